#!/usr/bin/env bash
# systemd.sh - a throw-away Debian 12 with a real systemd (system and user managers), logind, D-Bus and
# journald, in a container on this machine: for installing the packages and running the
# service the way a user's machine would. Needs root, mmdebstrap and systemd-container.
#
#   systemd.sh install        install mmdebstrap and systemd-container from Debian
#   systemd.sh up DIR         build the root in DIR/root (about 35 s, once), boot it, print its leader pid
#   systemd.sh run DIR CMD    run a shell command inside, as root
#   systemd.sh as DIR USER CMD  run a shell command inside as USER, with its user manager's environment
#   systemd.sh down DIR       power it off
set -euo pipefail
verb=${1:?verb} dir=${2:-}
leader() { cat "$dir/leader"; }
case $verb in
install) DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends mmdebstrap systemd-container >/dev/null ;;
up)
  mkdir -p "$dir"
  [[ -x $dir/root/sbin/init ]] || mmdebstrap --quiet --variant=minbase \
    --include=systemd,systemd-sysv,dbus,dbus-user-session,libpam-systemd,adduser,ca-certificates bookworm "$dir/root"
  SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 setsid systemd-nspawn -D "$dir/root" --register=no --keep-unit -b \
    >"$dir/console" 2>&1 </dev/null &
  echo $! >"$dir/nspawn"
  for _ in $(seq 60); do
    pid=$(pgrep -x systemd -P "$(cat "$dir/nspawn")" || true)
    [[ -n $pid ]] && echo "$pid" >"$dir/leader" &&
      nsenter -t "$pid" -a systemctl is-system-running 2>/dev/null | grep -Eq 'running|degraded' && { echo "$pid"; exit 0; }
    sleep 0.5
  done
  echo "the container did not boot" >&2; tail -5 "$dir/console" >&2; exit 1 ;;
run) nsenter -t "$(leader)" -a /bin/sh -c "$3" ;;
as)
  uid=$(nsenter -t "$(leader)" -a id -u "$3")
  nsenter -t "$(leader)" -a su - "$3" -c "export XDG_RUNTIME_DIR=/run/user/$uid DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/$uid/bus; $4" ;;
down) nsenter -t "$(leader)" -a systemctl poweroff || true; sleep 2; kill "$(cat "$dir/nspawn")" 2>/dev/null || true ;;
*) sed -n '2,12p' "$0"; exit 2 ;;
esac
