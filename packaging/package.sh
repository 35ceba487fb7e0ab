#!/usr/bin/env bash
# Builds ccad_VERSION_ARCH.deb and .rpm for each ARCH (amd64 arm64) into FOLDER.
# From the same commit the same bytes come out.
#   packaging/package.sh FOLDER [ARCH…]
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(realpath -m "${1:-bin/packages}")
shift || :
[ $# -gt 0 ] || set -- amd64 arm64

. packaging/version.sh
STAGE=$(mktemp -d)
export STAGE
trap 'rm -rf "$STAGE"' EXIT
umask 022
mkdir -p "$out" "$STAGE"/{bin,units}
doc=$STAGE/share/doc/ccad

packaging/share.sh "$STAGE/share"
find "$STAGE/share/man" -type f -exec gzip -9n {} +
mkdir -p "$doc/examples"
mv "$STAGE/share/zsh/vendor-completions/_ccactl" "$STAGE/_ccactl" # Debian and Fedora have another place each
rm -r "$STAGE/share/zsh"
cp packaging/config.toml "$doc/"
cp packaging/systemd/strict.conf packaging/prometheus/ccad.rules.yml packaging/grafana/ccad.json "$doc/examples/"
cp README.md SECURITY.md "$doc/"
cp LICENSE "$doc/copyright"
packaging/licences.sh | gzip -9n >"$doc/licences-of-modules.gz"
{
  printf 'ccad (%s) unstable; urgency=medium\n\n' "$PACKAGE_VERSION"
  echo "  * See https://github.com/cloud-ca/ccad/blob/main/CHANGELOG.md"
  printf '\n -- cloud.ca <cloud-ca@users.noreply.github.com>  %s\n' "$(LC_ALL=C date -u -R -d "@$SOURCE_DATE_EPOCH")"
} | gzip -9n >"$doc/changelog.gz"
gzip -9n <CHANGELOG.md >"$doc/NEWS.md.gz"
# The gateway's socket is written by ccad install: its port is each user's own.
for unit in packaging/systemd/*.service packaging/systemd/*.socket; do
  case $unit in *ccad-gateway*) ;; *) cp "$unit" "$STAGE/units/" ;; esac
done
chmod -R u=rwX,go=rX "$STAGE"

for ARCH in "$@"; do
  export ARCH
  GOOS=linux GOARCH=$ARCH CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$PACKAGE_VERSION" -o "$STAGE/bin/" ./cmd/ccad ./cmd/ccactl
  for format in deb rpm; do
    go tool -modfile=tools/go.mod nfpm package --config packaging/nfpm.yaml --packager "$format" --target "$out" >"$STAGE/nfpm.log" || { cat "$STAGE/nfpm.log" >&2; exit 1; }
  done
done
ls -1 "$out"
