#!/usr/bin/env bash
# fresh.sh - a fresh Debian 12 with nothing but Go, git, gcc, make and certificates, to run the README's commands as a newcomer would.
#   fresh.sh DIR REPO 'COMMAND'    clone REPO into the container's /home/dev/ccad and run COMMAND there as root
# Uses this machine's own registry settings (apt configuration, environment); DIR keeps the base root, each run starts from a copy.
set -euo pipefail
dir=$1 repo=$(cd "$2" && pwd) cmd=$3
mkdir -p "$dir"; [[ -d $dir/base/usr ]] || mmdebstrap --quiet --variant=minbase --include=ca-certificates,git,gcc,libc6-dev,make,curl bookworm "$dir/base"
rm -rf "$dir/run"; cp -a --reflink=auto "$dir/base" "$dir/run"
cp -a /usr/local/go "$dir/run/usr/local/go"
cp -a /etc/apt/apt.conf.d/. "$dir/run/etc/apt/apt.conf.d/" 2>/dev/null || true
cp /etc/apt/sources.list.d/*.sources "$dir/run/etc/apt/sources.list.d/" 2>/dev/null && : >"$dir/run/etc/apt/sources.list"
cp -a /etc/ssl/certs/. "$dir/run/etc/ssl/certs/" 2>/dev/null || true
cp -a /usr/local/share/ca-certificates/. "$dir/run/usr/local/share/ca-certificates/" 2>/dev/null || true
mkdir -p "$dir/run/home/dev"; git clone -q "$repo" "$dir/run/home/dev/ccad"
envs=(); while IFS='=' read -r k v; do envs+=("--setenv=$k=$v"); done < <(env | grep -iE '^(https?_proxy|no_proxy|GOPROXY|GONOSUMDB|GOFLAGS|GOSUMDB|GOTOOLCHAIN|GONOSUMCHECK|SSL_CERT_FILE|SSL_CERT_DIR|NODE_EXTRA_CA_CERTS|npm_config_[a-z_]*)=' || true)
for k in GOPROXY GOSUMDB GOFLAGS GOTOOLCHAIN GONOSUMDB; do v=$(go env $k); [[ -n $v ]] && envs+=("--setenv=$k=$v"); done
cp /etc/resolv.conf "$dir/run/etc/resolv.conf" 2>/dev/null || true
SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 systemd-nspawn -q -D "$dir/run" --register=no --keep-unit --pipe --resolv-conf=copy-host "${envs[@]}" \
  --setenv=PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin --setenv=HOME=/root \
  /bin/bash -c "cd /home/dev/ccad && $cmd"
