#!/usr/bin/env bash
# Builds the programs for each platform into FOLDER, one .tar.gz each, the same
# bytes from the same commit. Without cgo: macOS's keychain needs a build there.
#   packaging/dist.sh FOLDER [OS/ARCH…]
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(realpath -m "${1:-bin/dist}")
shift || :
[ $# -gt 0 ] || set -- linux/amd64 linux/arm64 darwin/amd64 darwin/arm64
. packaging/version.sh
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
umask 022
mkdir -p "$out"
packaging/share.sh "$stage/share"
for platform in "$@"; do
  name=ccad-$PACKAGE_VERSION-${platform/\//-}
  mkdir "$stage/$name"
  GOOS=${platform%/*} GOARCH=${platform#*/} CGO_ENABLED=0 \
    go build -trimpath -ldflags "-s -w -X main.version=$PACKAGE_VERSION" -o "$stage/$name/" ./cmd/ccad ./cmd/ccactl
  cp -r LICENSE README.md packaging/config.toml "$stage/share" "$stage/$name/"
  tar -C "$stage" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner -cf - "$name" | gzip -9n >"$out/$name.tar.gz"
done
ls -1 "$out"
