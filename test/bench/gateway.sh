#!/usr/bin/env bash
# The figures of the S3 gateway, each with its target: CPU of a request in
# memory, before a server that does nothing, and before the real Swift of a lab;
# straight there and through the gateway take turns. Then where its time goes. For
# small requests a bare relay shows what any process in between would add.
#
#   test/bench/gateway.sh [LAB]      without LAB the real Swift is left out
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d /tmp/ccad-bench-gateway.XXXXXX)
trap 'rm -rf "$work"' EXIT

# benchmark, its figure, which way it must lie, the target, the aim beyond it
targets='
VerifyAndSign/both      cpu-us        <= 25
Null/Put64MiB           gateway-GiB/s >= 1.2
Null/Get64MiB           gateway-GiB/s >= 1.2
Null/SmallPut           added-ms      <= 0.4
Null/SmallGet           added-ms      <= 0.4
Null/64AtOnceOf8MiB     peak-MiB      <= 64
Null/64AtOnceOf64MiB    peak-MiB      <= 64'
lab_targets='
Lab/PutUnsigned64MiB    ratio         >= 0.88 0.92
Lab/PutSigned64MiB      ratio         >= 0.88 0.92
Lab/Get64MiB            ratio         >= 0.88 0.92
Lab/PutUnsigned64MiB    cpu-ms        <= 60
Lab/PutSigned64MiB      cpu-ms        <= 60
Lab/Get64MiB            cpu-ms        <= 60
Lab/SmallPut            added-ms      <= 0.4
Lab/SmallGet            added-ms      <= 0.4
Lab/64AtOnce            peak-MiB      <= 64'

which=Null
if [ $# -gt 0 ]; then
  export CCAD_LAB=$1
  which='Null|Lab' targets=$targets$lab_targets
fi
echo "# the S3 gateway (load of this machine: $(cut -d ' ' -f 1-3 /proc/loadavg))"
go test -run '^$' -bench 'VerifyAndSign|Checksums' ./daemon/gateway >"$work/figures" || { cat "$work/figures"; exit 1; }
(cd test/aws && CCAD_BENCH_PROFILES=$work go test -run '^$' -bench "$which" -benchtime 1x .) >>"$work/figures" || { cat "$work/figures"; exit 1; }

# A figure that is missing is a failure; one that misses its target is told.
awk -v targets="$targets" '
  /^Benchmark/ {
    name = $1; sub(/^Benchmark/, "", name); sub(/-[0-9]+$/, "", name)
    for (i = 3; i < NF; i += 2) figure[name, $(i + 1)] = $i
    if (name ~ /^Checksums/) printf "%-24s %10.1f MB/s\n", name, $5
  }
  END {
    n = split(targets, lines, "\n")
    for (l = 1; l <= n; l++) {
      if (split(lines[l], t, " ") < 4) continue
      if (!((t[1], t[2]) in figure)) { printf "%s has no figure %s\n", t[1], t[2]; missing = 1; continue }
      v = figure[t[1], t[2]] + 0
      met = t[3] == "<=" ? v <= t[4] : v >= t[4]
      other = ""
      if ((t[1], "direct-GiB/s") in figure) other = sprintf(" (direct %.2f)", figure[t[1], "direct-GiB/s"])
      else if (t[2] == "ratio") other = sprintf(" (%.0f of %.0f MiB/s)", figure[t[1], "gateway-MiB/s"], figure[t[1], "direct-MiB/s"])
      else if (t[2] == "added-ms") other = sprintf(" (±%.2f, to %.2f; a bare relay %.2f)", figure[t[1], "within-ms"], figure[t[1], "direct-ms"], figure[t[1], "relay-ms"])
      printf "%-24s %10.2f %-14s target %s %s%s: %s\n", t[1], v, t[2] other, t[3], t[4], t[5] ? ", aim " t[5] : "", met ? "met" : "MISSED"
    }
    exit missing
  }' "$work/figures"

for profile in "$work"/*.prof; do
  echo "# where its time goes, $(basename "$profile" .prof): CPU of the gateway and of what it calls"
  go tool pprof -top -cum -nodecount 14 -show 'ccad/daemon/gateway|signer/v4|syscall\.(Read|Write)|mallocgc$|crypto/|hash/|ReadRequest|ReadResponse' "$profile" 2>/dev/null | sed -n '/flat%/,$p'
done
