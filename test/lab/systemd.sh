#!/usr/bin/env bash
# systemd.sh - a throw-away Debian 12 with a real systemd (system and user managers), logind,
# D-Bus and journald, in a container on this machine: for running ccad's service and installing
# its packages as a user's machine would. Needs root, mmdebstrap and systemd-container.
#
#   systemd.sh install          install those two from Debian
#   systemd.sh up DIR [BIND…]   boot one; each BIND is HOST:INSIDE, seen read-only inside
#   systemd.sh hold DIR [BIND…] up, print "ready", wait for the end of stdin, down; DIR goes too
#   systemd.sh run DIR CMD      run a shell command inside, as root
#   systemd.sh as DIR USER CMD  log USER in, and run a shell command as him
#   systemd.sh down DIR         power it off
#
# The root is built once (about 40 s) below SYSTEMD_CACHE (/var/cache/ccad-test) and never
# written to: what a container changes is in memory and gone with it. It shares the machine's
# network, so loopback is the same inside. One container at a time; others wait for it.
set -euo pipefail

packages=systemd,systemd-sysv,dbus,dbus-user-session,libpam-systemd,adduser,ca-certificates,sudo,polkitd,procps,gnupg,pass
cache=${SYSTEMD_CACHE:-/var/cache/ccad-test}
root=$cache/bookworm-$(printf %s "$packages" | cksum | cut -d' ' -f1)
verb=${1:-help} dir=${2:-}

die() { echo "systemd.sh: $*" >&2; exit 1; }
leader() { cat "$dir/leader"; }
inside() { nsenter -t "$(leader)" -a "$@"; }

build() {
  [ -x "$root/sbin/init" ] && return
  mkdir -p "$cache"
  rm -rf "$cache"/bookworm-* # other lists of packages, and what was cut short
  mmdebstrap --quiet --variant=minbase --include="$packages" bookworm "$root.new" >&2
  mv "$root.new" "$root"
}

up() {
  mkdir -p "$dir" "$cache"
  exec 9>"$cache/lock" # held for the container's life, by nspawn
  flock -w 900 9 || die "another container is up"
  build
  local binds=() b
  for b in "$@"; do binds+=("--bind-ro=$b"); done
  SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 setsid systemd-nspawn -D "$root" --volatile=overlay --register=no --keep-unit \
    --system-call-filter=@keyring "${binds[@]}" -b >"$dir/console" 2>&1 </dev/null &
  echo $! >"$dir/nspawn"
  exec 9>&-
  for _ in $(seq 240); do
    kill -0 "$(cat "$dir/nspawn")" 2>/dev/null || break
    pid=$(pgrep -x systemd -P "$(cat "$dir/nspawn")" || true)
    if [ -n "$pid" ]; then
      echo "$pid" >"$dir/leader"
      inside systemctl is-system-running 2>/dev/null | grep -Eq 'running|degraded' && return
    fi
    sleep 0.25
  done
  tail -5 "$dir/console" >&2
  down
  die "the container did not boot"
}

down() {
  local pid
  pid=$(cat "$dir/nspawn" 2>/dev/null) || return 0
  kill "$pid" 2>/dev/null || return 0 # nspawn asks init to power off
  for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || return 0; sleep 0.1; done
  kill -9 "$pid" 2>/dev/null || :
}

case $verb in
install)
  command -v mmdebstrap >/dev/null && command -v systemd-nspawn >/dev/null ||
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends mmdebstrap systemd-container >/dev/null ;;
up) shift 2; up "$@" ;;
hold)
  shift 2
  trap 'down; rm -rf "$dir"' EXIT
  up "$@"
  echo ready
  cat >/dev/null ;;
run) inside /bin/sh -c "$3" ;;
as)
  uid=$(inside id -u "$3")
  inside su - "$3" -c "export XDG_RUNTIME_DIR=/run/user/$uid DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/$uid/bus; $4" ;;
down) down ;;
*) sed -n '2,17p' "$0"; exit 2 ;;
esac
