#!/usr/bin/env bash
# The figures, as ratios of one run: start to exit of credential-process against
# the least that Go and C can do with the same daemon, and against a minimal
# start; the prompt hook against a no-op; the daemon's own benchmarks.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d /tmp/ccad-bench.XXXXXX)
run=$(mktemp -d /dev/shm/ccad-bench.XXXXXX 2>/dev/null || mktemp -d /tmp/ccad-bench.XXXXXX) # a runtime folder is a tmpfs
daemon=
finish() {
  bash test/lab/cloud.sh down "$work/lab" >/dev/null 2>&1 || :
  [ -z "$daemon" ] || kill "$daemon" 2>/dev/null || :; wait 2>/dev/null || :; rm -rf "$work" "$run"
}
trap finish EXIT

gcc -O2 -o "$work/spawn" test/bench/spawn.c
gcc -O2 -static -o "$work/dial-c" test/bench/dial.c
CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$work/dial-go" ./test/bench/dial

GOMODCACHE=$(go env GOMODCACHE) GOCACHE=$(go env GOCACHE); export GOMODCACHE GOCACHE
export HOME=$work/home XDG_RUNTIME_DIR=$run XDG_CONFIG_HOME=$work/c XDG_DATA_HOME=$work/d XDG_STATE_HOME=$work/s
unset CCAD_SOCKET CCAD_ENV
mkdir -m 700 "$HOME"
echo bench >"$work/passphrase"
# All programs are copied: one fresh from the linker starts slower than its copy.
mkdir "$work/bin"
cp bin/ccad bin/ccactl "$work/dial-c" "$work/dial-go" "$work/bin/"
PATH=$work/bin:$PATH
ccad run --passphrase-file "$work/passphrase" >"$work/ready" 2>"$work/log" &
daemon=$!
for _ in $(seq 100); do [ -s "$work/ready" ] && break; sleep 0.1; done
printf 'wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY\n' | ccactl add bench --s3-endpoint http://127.0.0.1:1 --s3-access-key AKIDEXAMPLE --s3-secret-stdin --no-verify >/dev/null

echo "# credential-process, start to exit, ${ROUNDS:=400} rounds in turn (targets: x1.15 of Go's least, x3.3 of C's)"
socket=$XDG_RUNTIME_DIR/ccad/ccad.sock
path=/v1/environments/bench/views/credential-process
"$work/spawn" "$ROUNDS" "$work/bin/dial-go" "$socket" $path , "$work/bin/ccactl" credential-process --env bench
"$work/spawn" "$ROUNDS" "$work/bin/dial-c" "$socket" $path , "$work/bin/ccactl" credential-process --env bench

echo "memory of the daemon: $(awk '/VmRSS/ {print $2/1024 " MB resident"} /VmHWM/ {print $2/1024 " MB at most"}' "/proc/$daemon/status" | paste -sd, )"
echo "# 10,000 environments (targets: an unlock within 1 s, 64 MB at most)"
bash test/bench/large.sh
echo "# prompt hook, and what the daemon does in memory"
# shellcheck disable=SC2046
go test -run '^$' -bench . -benchtime "${BENCHTIME:-1s}" ./cmd/ccactl/shell $(go list ./daemon/... | grep -v /gateway) | grep -E '^(Benchmark|FAIL)'
echo "# from a saved file to the last view, the practice cloud's answers included (target: 1 s)"
go test -count 3 -v -run '^TestTenEnvironments$' ./daemon | grep -oE 'ten environments follow .*|^FAIL.*'
if [ -x /usr/bin/uwsgi_python3 ]; then
  bash test/lab/cloud.sh up "$work/lab" 2>/dev/null
  bash test/bench/gateway.sh "$work/lab"
else
  echo "# left out: the gateway before a real Swift (make test installs the lab)"
  bash test/bench/gateway.sh
fi
