#!/usr/bin/env bash
# The newcomer's tour: a practice cloud on this machine, a daemon, the
# documentation's samples, and what each client gets. Nothing is installed and
# nothing outside a temporary folder is touched; it ends by itself.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$PWD/bin
work=$(mktemp -d "${TMPDIR:-/tmp}/ccad-demo.XXXXXX")
pids=()
finish() {
  exec 8>&- # the open shell ends with its stdin
  for p in "${pids[@]}"; do kill "$p" 2>/dev/null || :; done
  wait 2>/dev/null || :
  rm -rf "$work"
}
trap finish EXIT

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\e[1m' dim=$'\e[2m' off=$'\e[0m'; else bold= dim= off=; fi
chapter() { printf '\n%s%s%s\n' "$bold" "$*" "$off"; }
run() { printf '%s$ %s%s\n' "$dim" "$*" "$off"; "$@"; }

echo "building the practice cloud"
CGO_ENABLED=0 go build -o "$work/practice" ./test/practice/cmd/practice

# A home of its own, and nothing of the caller's.
for v in $(compgen -e | grep -E '^(OS_|ST_|AWS_|CCAD_|XDG_)' || :); do unset "$v"; done
export HOME=$work/home XDG_RUNTIME_DIR=$work/run AWS_EC2_METADATA_DISABLED=true PATH=$bin:$PATH
export AWS_CONFIG_FILE=$HOME/.aws/config
mkdir -m 700 "$HOME" "$XDG_RUNTIME_DIR"

chapter "1. A practice cloud: Keystone, Swift and S3 of this machine only"
mkfifo "$work/hold" # the practice cloud ends with its stdin, and takes an administrator's word there
exec 9<>"$work/hold"
"$work/practice" --ready-file "$work/cloud" <&9 >"$work/practice.out" 2>"$work/practice.log" &
pids+=($!)
for _ in $(seq 600); do [ -s "$work/cloud" ] && break; sleep 0.1; done
. "$work/cloud"
auth=${OS_AUTH_URL%/v3}
echo "Keystone at $auth, S3 at $CLOUD_S3_URL, the documentation's user $OS_USERNAME"

chapter "2. The daemon, with an encrypted keyring"
echo "a passphrase of your own" >"$work/passphrase"; chmod 600 "$work/passphrase"
ccad run --passphrase-file "$work/passphrase" >"$work/ready" 2>"$work/ccad.log" &
pids+=($!)
for _ in $(seq 600); do [ -s "$work/ready" ] && break; sleep 0.1; done
cat "$work/ready"

chapter "3. The documentation's samples go in"
cat >"$HOME/openrc" <<RC
export OS_PASSWORD=hunter2
export OS_USERNAME=$OS_USERNAME
export OS_PROJECT_NAME=system-ccontini
export OS_AUTH_URL=$auth
export OS_IDENTITY_API_VERSION=3
RC
sed 's/system-ccontini$/dev-ccontini/' "$HOME/openrc" >"$HOME/openrc-dev"
cat >"$HOME/aws-sample" <<'RC'
[default]
region = cloud.ca
aws_access_key_id = 076d7a255a4236965ba97b4f91363f2
aws_secret_access_key = ********************
s3 =
endpoint_url = https://objects.cloud.ca
RC
chmod 600 "$HOME"/openrc* "$HOME/aws-sample"
cd "$HOME"
run ccactl import openrc --name system --s3-endpoint "$CLOUD_S3_URL"
run ccactl import openrc-dev --name dev --s3-endpoint "$CLOUD_S3_URL"
echo "${dim}The AWS sample's secret is masked; that is noticed, not stored:${off}"
run ccactl import aws-sample --dry-run

chapter "4. The AWS CLI with the documented region cloud.ca, which it refuses by itself"
run ccactl configure aws dev
cat .aws/config
if command -v aws >/dev/null; then
  # AWS CLI 2 before 2.13 reads no endpoint_url from the profile, hence the option.
  s3() { run aws --profile dev --endpoint-url "$(sed -n 's/^endpoint_url = //p' .aws/config | head -n 1)" s3 "$@"; }
  s3 mb s3://demo
  s3 cp --no-progress openrc-dev s3://demo/hello
  s3 ls s3://demo
else
  echo "(no AWS CLI on this machine: this is what it would get)"
  run ccactl credential-process --env dev --gateway | sed -E 's/("SecretAccessKey":")[^"]+/\1…/'
fi

chapter "5. New S3 keys while programs work with the old ones, which then are gone"
# Each line of a worker's file is a request: its status, or what the AWS CLI says.
ask() { # ask KEYS URL-PATH [OPTION…]: one S3 request, signed with the keys in a file of variables
  local keys=$1 path=$2
  shift 2
  (. "$keys" && curl -s -o /dev/null -w '%{http_code}\n' --aws-sigv4 "aws:amz:$AWS_REGION:s3" -H "x-amz-content-sha256: UNSIGNED-PAYLOAD" \
    -u "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" "$@" "$AWS_ENDPOINT_URL_S3/$path") || echo "curl ends with $?"
}
uploader() { while [ ! -e "$work/stop" ]; do ask "$work/gate" "worked/$RANDOM" -T openrc-dev >>"$work/uploads"; done; }
lister() { while [ ! -e "$work/stop" ]; do ask "$work/gate" worked >>"$work/lists"; done; }
awscli() {
  local url
  url=$(sed -n 's/^endpoint_url = //p' .aws/config | head -n 1)
  while [ ! -e "$work/stop" ]; do
    if aws --profile dev --endpoint-url "$url" s3 cp --no-progress openrc-dev s3://demo/worked >/dev/null 2>&1; then echo 200; else echo failed; fi >>"$work/awscli"
  done
}
workers=() files=()
if curl --help all 2>/dev/null | grep -q aws-sigv4; then
  ccactl env dev --client aws --gateway >"$work/gate"
  ccactl env dev --client aws --direct >"$work/former"
  ask "$work/gate" worked -X PUT >/dev/null
  uploader & workers+=($!) files+=("$work/uploads")
  lister & workers+=($!) files+=("$work/lists")
fi
if command -v aws >/dev/null; then awscli & workers+=($!) files+=("$work/awscli"); fi
for f in "${files[@]}"; do for _ in $(seq 600); do [ -s "$f" ] && break; sleep 0.1; done; done
for _ in 1 2 3; do run ccactl rotate dev --grace 0s --yes --wait; done
touch "$work/stop"
if [ ${#workers[@]} = 0 ]; then
  echo "(neither curl 7.75 nor an AWS CLI is here: nobody worked with them meanwhile)"
else
  wait "${workers[@]}"
  failed=$(cat "${files[@]}" | grep -vc '^2' || :)
  echo "${bold}Programs at work meanwhile: ${#workers[@]}, their requests: $(cat "${files[@]}" | wc -l), failed: $failed.${off}"
  if [ -s "$work/former" ]; then echo "The first of the keys now: $(ask "$work/former" worked)"; fi
  [ "$failed" = 0 ]
fi

chapter "6. A shell whose rc file says: eval \"\$(ccactl shell-init bash)\""
cat >"$work/shell" <<'RC'
eval "$(ccactl shell-init bash)"
RC
printf '%s\n' 'ccactl use dev' 'echo "OS_PROJECT_NAME=$OS_PROJECT_NAME, OS_PASSWORD has ${#OS_PASSWORD} characters"' \
  'command ccactl lock' 'echo "locked: OS_PASSWORD is ${OS_PASSWORD-unset}"' 'exit' |
  bash --rcfile "$work/shell" -i 2>/dev/null | grep -E 'OS_PASSWORD' || :
run ccactl unlock --passphrase-file "$work/passphrase"

chapter "7. An administrator resets the password, and with it every S3 key of the user"
# A shell that stays open meanwhile, without a terminal of its own.
echo "  | is a shell that stays open: what it says when Enter is pressed in it"
cat >"$work/shell" <<'RC'
PS1=
eval "$(ccactl shell-init bash)"
ccactl use dev
look() { if [ -n "${OS_PASSWORD-}" ]; then echo "OS_PASSWORD has ${#OS_PASSWORD} characters"; else echo "OS_PASSWORD is unset"; fi; }
RC
mkfifo "$work/typed"
$(command -v setsid) bash --noediting --rcfile "$work/shell" -i <"$work/typed" >"$work/shell.out" 2>&1 &
pids+=($!)
exec 8>"$work/typed"
typed=0
type_in() { # Enter, a command, and what the open shell prints for both
  typed=$((typed + 1))
  printf '%s\n' "" "$1" "echo end of $typed" >&8
  for _ in $(seq 600); do grep -qx "end of $typed" "$work/shell.out" && break; sleep 0.1; done
  sed -n "/^end of $((typed - 1))\$/,/^end of $typed\$/{/^end of /d;s/^/  | /;p}" "$work/shell.out"
}
type_in true >/dev/null
type_in look
new=$(od -An -N8 -tx1 /dev/urandom | tr -d ' \n')
echo "regenerate $OS_USERNAME $new" >&9
until grep -qx "done" "$work/practice.out"; do sleep 0.1; done
echo "The reset is done; whoever asks the cloud now is refused, once:"
run ccactl verify dev || :
type_in look

chapter "8. Somebody saves the new password where the old one was, and that is all"
printf '%s$ sed -i s/hunter2/…/ openrc%s\n' "$dim" "$off"
sed "s/hunter2/$new/" openrc >openrc.new && chmod 600 openrc.new && mv openrc.new openrc
start=$(date +%s%N)
until ccactl env dev >/dev/null 2>&1 && ccactl env system >/dev/null 2>&1; do sleep 0.02; done
echo "healed after $((($(date +%s%N) - start) / 1000000)) ms: both environments, their S3 keys, who asks"
type_in look
if command -v aws >/dev/null; then s3 ls s3://demo; fi
run ccactl status
echo
echo "${dim}Who still has the old one? The other openrc, which nobody has touched:${off}"
printf '%s$ ccactl doctor --stale%s\n' "$dim" "$off"
ccactl doctor --stale | grep -A1 ' stale ' || :
run ccactl log --verify

chapter "That was all of it"
cat <<END
Two environments of one user were imported once, from the documentation's own
samples. The password lies sealed in $(du -sh "$HOME/.local/share/ccad" | cut -f1) of keyring: programs ask for it when
they need it, shells follow by themselves, a lock takes it from all of them, and
a reset that nobody announced is a line at the next prompt. Next: README.md,
"Five minutes to your own cloud".
END
