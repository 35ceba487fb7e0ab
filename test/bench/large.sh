#!/usr/bin/env bash
# A store of 10,000 environments: how long an unlock, a view, a change, a backup
# and a lock take, how much of it is the daemon's own work (on a busy machine the
# better figure), and what its memory is after each. It needs bin/.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d /tmp/ccad-large.XXXXXX)
run=$(mktemp -d /dev/shm/ccad-large.XXXXXX 2>/dev/null || mktemp -d /tmp/ccad-large.XXXXXX) # a runtime folder is a tmpfs
daemon=
finish() { [ -z "$daemon" ] || kill "$daemon" 2>/dev/null || :; wait 2>/dev/null || :; rm -rf "$work" "$run"; }
trap finish EXIT
go build -o "$work/fill" ./test/bench/fill
gcc -O2 -o "$work/spawn" test/bench/spawn.c
export HOME=$work/home XDG_RUNTIME_DIR=$run XDG_CONFIG_HOME=$work/c XDG_DATA_HOME=$work/d XDG_STATE_HOME=$work/s
unset CCAD_SOCKET CCAD_ENV
mkdir -p -m 700 "$HOME" "$XDG_CONFIG_HOME/ccad" "$XDG_DATA_HOME"
(umask 077; echo bench >"$work/passphrase")
PATH=$PWD/bin:$PATH
"$work/fill" "$XDG_DATA_HOME/ccad" bench
ccad run >"$work/ready" 2>"$work/log" &
daemon=$!
for _ in $(seq 100); do [ -s "$work/ready" ] && break; sleep 0.1; done

busy() { awk '{print ($14 + $15) * 10}' "/proc/$daemon/stat"; } # ms of the daemon's own work
memory() { awk '/VmHWM/ {peak = $2/1024} /VmRSS/ {now = $2/1024} END {printf "%.1f MB resident, %.1f MB at most", now, peak}' "/proc/$daemon/status"; }
step() { # WHAT COMMAND…
  local what=$1 start end work; shift
  work=$(busy); start=$(date +%s%N); "$@" >/dev/null; end=$(date +%s%N)
  printf '%-24s %6d ms, %5d of them the daemon at work; %s\n' "$what" $(((end - start) / 1000000)) $(($(busy) - work)) "$(memory)"
}
update() { echo "secret-$1" | ccactl update e00001 --s3-secret-stdin --s3-access-key AK --no-verify; }
updates() { for i in $(seq "$1"); do update "$i"; done; }

ccactl status >/dev/null
step "unlock" ccactl unlock --passphrase-file "$work/passphrase"
step "100 credential-process" "$work/spawn" 100 "$PWD/bin/ccactl" credential-process --env e05000
step "status" ccactl status --json
step "remove" ccactl remove e09999
step "update" update 0
step "20 updates" updates 20
step "update of the password" sh -c 'echo another | ccactl update --user system-ccontini-2925 --password-stdin --no-verify'
step "backup" ccactl backup "$work/backup" --passphrase-file "$work/passphrase"
step "lock" ccactl lock
step "unlock" ccactl unlock --passphrase-file "$work/passphrase"
