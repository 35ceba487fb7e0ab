#!/usr/bin/env bash
# Prints the licences of the modules that are linked into the two programs, as
# they ask of binaries.
set -euo pipefail
cd "$(dirname "$0")/.."
echo "ccad and ccactl are linked with what follows."
modules=$(GOOS=linux CGO_ENABLED=0 go list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}' ./cmd/ccad ./cmd/ccactl | sort -u)
while read -r path version dir; do
  printf '\n\n== %s %s\n\n' "$path" "$version"
  licence=$(find "$dir" -maxdepth 1 -iname 'licen[cs]e*' -o -maxdepth 1 -iname 'copying*' -type f | sort | head -n 1)
  [ -n "$licence" ] || { echo "$path has no licence file" >&2; exit 1; }
  cat "$licence"
  if [ -e "$dir/NOTICE" ]; then printf '\n'; cat "$dir/NOTICE"; fi
done <<<"$modules"
printf '\n\n== Go and its standard library\n\n'
cat "$(go env GOROOT)/LICENSE"
