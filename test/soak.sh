#!/usr/bin/env bash
# The long forms: 1,000 random kills of rotations and 1,000 lives of the model, a
# rotation under load with the shortest lease that users can have, and an object
# over 5 GiB through the gateway on the real cloud.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d /var/tmp/ccad-soak.XXXXXX)
finish() { bash test/lab/cloud.sh down "$work/lab" >/dev/null 2>&1 || :; rm -rf "$work"; }
trap finish EXIT
bash test/lab/cloud.sh install clients
bash test/lab/cloud.sh up "$work/lab"
CCAD_SOAK=${KILLS:-1000} go test -race -count=1 -timeout 60m -v -run 'Kill|Random|Model' ./daemon/rotate
(cd test/aws && CCAD_LAB=$work/lab go test -tags soak -count=1 -timeout 60m -v -run Soak .)
