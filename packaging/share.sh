#!/usr/bin/env bash
# Writes the man pages and the completions into FOLDER (bin/share), laid out as
# below /usr/share. What it writes depends on the commands alone.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-bin/share}
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
rm -rf "$out"
mkdir -p "$out"/{man/man1,bash-completion/completions,zsh/vendor-completions,fish/vendor_completions.d,powershell,doc/ccad}
go run -tags man ./cmd/ccactl man "$out/man/man1"
cp packaging/man/ccad.1 "$out/man/man1/"
cp packaging/config.toml README.md SECURITY.md CHANGELOG.md LICENSE "$out/doc/ccad/"
cp packaging/completion/ccad.bash "$out/bash-completion/completions/ccad"
go build -trimpath -o "$out/ccactl" ./cmd/ccactl
"$out/ccactl" completion bash >"$out/bash-completion/completions/ccactl"
"$out/ccactl" completion zsh >"$out/zsh/vendor-completions/_ccactl"
"$out/ccactl" completion fish >"$out/fish/vendor_completions.d/ccactl.fish"
"$out/ccactl" completion pwsh >"$out/powershell/ccactl.ps1"
rm "$out/ccactl"
chmod -R u=rwX,go=rX "$out"
