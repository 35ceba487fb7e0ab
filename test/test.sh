#!/usr/bin/env bash
# Runs every test: installs what they need, brings up the lab (a real Keystone
# and Swift on loopback), takes it down again.
#
# Without root and sudo nothing is installed; what then can't run is listed at
# the end as left out. With CCAD_TEST_STRICT=1 (CI) that is a failure.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD

packages="lintian rpm ruby mmdebstrap systemd-container bash-completion prometheus curl zsh fish tmux strace dbus gnome-keyring pass gnupg age openssl duplicity python3-yaml python3-boto3 python3-dotenv groff-base"
command -v gcc >/dev/null || packages="$packages gcc libc6-dev" # the race detector's
command -v node >/dev/null && command -v npm >/dev/null || packages="$packages nodejs npm"
left_out=()
failed=
started=$SECONDS
# What this was started with (nohup) must not decide which signals tests can send.
run() { if env --default-signal true 2>/dev/null; then env --default-signal "$@"; else "$@"; fi; }
say() { printf '== %s (%d s)\n' "$*" $((SECONDS - started)); }

# ---- what the tests need
sudo=
if [ "$(id -u)" != 0 ]; then
  if sudo -n true 2>/dev/null; then sudo="sudo -n"; else sudo=none; fi
fi
missing() { local p; for p in $packages; do dpkg-query -W -f '${db:Status-Abbrev}' "$p" 2>/dev/null | grep -q '^ii' || echo "$p"; done; }
if command -v apt-get >/dev/null && [ "$sudo" != none ]; then
  say "install what the tests need"
  need=$(missing)
  if [ -n "$need" ]; then
    apt-cache show fish >/dev/null 2>&1 || $sudo apt-get -qq update
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive $sudo apt-get -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 -qq install -y --no-install-recommends $need </dev/null >/dev/null
  fi
  $sudo bash test/lab/cloud.sh install clients
else
  left_out+=("packages: no root and no sudo, or no apt-get; tests that miss a program are skipped")
  export CCAD_TEST_PARTIAL=1
fi

# ---- the lab
work=$(mktemp -d /var/tmp/ccad-test.XXXXXX)
finish() { bash "$root/test/lab/cloud.sh" down "$work/lab" >/dev/null 2>&1 || :; rm -rf "$work"; }
trap finish EXIT
if [ -x /usr/bin/uwsgi_python3 ]; then
  say "bring up the lab"
  bash test/lab/cloud.sh up "$work/lab"
  export CCAD_LAB=$work/lab
else
  left_out+=("lab: no Keystone and Swift on this machine; what needs the real cloud is skipped")
fi

# ---- the tests
say "vet and staticcheck"
make --no-print-directory check || failed=1
say "unit, conformance and stories, under the race detector"
skips=$work/skips
run go test -race -count=1 -timeout 20m -p 4 -json ./... >"$work/test.json" || failed=1
go build -o "$work/report" ./test/report
"$work/report" <"$work/test.json" 2>"$skips" || failed=1
while read -r line; do left_out+=("$line"); done <"$skips"
for module in test/aws; do
  [ -e $module/go.mod ] || continue
  say "$module"
  (cd $module && run go test -race -count=1 -timeout 20m -json ./...) >"$work/module.json" || failed=1
  "$work/report" <"$work/module.json" 2>"$skips" || failed=1
  while read -r line; do left_out+=("$line"); done <"$skips"
done

say "done"
if [ ${#left_out[@]} -gt 0 ]; then
  printf 'left out: %s\n' "${left_out[@]}"
  [ -z "${CCAD_TEST_STRICT:-}" ] || { echo "something was left out, and here nothing may be"; exit 1; }
else
  echo "nothing was left out"
fi
[ -z "$failed" ] || { echo "FAILED"; exit 1; }
echo "all tests passed"
