#!/usr/bin/env bash
# Draws test/record/terminal.svg, the recording in the README, from a real run: a
# practice cloud on this machine, a daemon, the AWS CLI. Nothing of the caller's
# is touched.
set -euo pipefail
cd "$(dirname "$0")/.."
repo=$PWD
work=$(mktemp -d "${TMPDIR:-/tmp}/ccad-record.XXXXXX")
pids=()
finish() {
  pids+=($(ccactl status --json 2>/dev/null | sed -n 's/.*"pid":\([0-9]*\).*/\1/p')) # the daemon that setup started
  for p in "${pids[@]}"; do kill "$p" 2>/dev/null || :; done
  wait 2>/dev/null || :
  rm -rf "$work"
}
trap finish EXIT
make --no-print-directory build VERSION=dev >/dev/null
go build -o "$work/record" ./test/record
CGO_ENABLED=0 go build -o "$work/practice" ./test/practice/cmd/practice
for v in $(compgen -e | grep -E '^(OS_|ST_|AWS_|CCAD_|XDG_|NO_COLOR)' || :); do unset "$v"; done
export XDG_RUNTIME_DIR=$work/run HOME=$work/home PATH=$work/home/.local/bin:$PATH TERM=xterm SHELL=/bin/bash AWS_EC2_METADATA_DISABLED=true AWS_PAGER=
mkdir -m 700 "$HOME" "$XDG_RUNTIME_DIR"
install -D -t "$HOME/.local/bin" bin/ccad bin/ccactl # as make install
mkfifo "$work/hold" # the practice cloud ends with its stdin
exec 9<>"$work/hold"
"$work/practice" --ready-file "$work/cloud" <&9 >/dev/null 2>&1 &
pids+=($!)
for _ in $(seq 100); do [ -s "$work/cloud" ] && break; sleep 0.1; done
. "$work/cloud"
cat >"$HOME/dev-openrc.sh" <<RC
export OS_USERNAME=$OS_USERNAME
export OS_PASSWORD=hunter2
export OS_PROJECT_NAME=dev-ccontini
export OS_AUTH_URL=${OS_AUTH_URL%/v3}
export OS_IDENTITY_API_VERSION=3
RC
chmod 600 "$HOME/dev-openrc.sh"
echo "export AWS_ENDPOINT_URL_S3=$CLOUD_S3_URL" >>"$HOME/dev-openrc.sh" # cloud.ca's is known
cd "$HOME"
"$work/record" 100 >"$work/terminal.svg" <<'COMMANDS'
# one command, from nothing to a working aws s3 ls
ccactl setup
aws --profile dev s3 mb s3://backups
aws --profile dev s3 cp --no-progress .bashrc s3://backups/bashrc
# a new key while clients work, and the old one proved dead
ccactl rotate dev --grace 0s --yes --wait
aws --profile dev s3 ls s3://backups
ccactl status
# nobody at the machine
ccactl lock
COMMANDS
mv "$work/terminal.svg" "$repo/test/record/terminal.svg"
