#!/usr/bin/env bash
# cloud.sh - a throw-away OpenStack Object Storage on 127.0.0.1:
#   a real Keystone (v3, sqlite, fernet tokens) and a real Swift (account, container,
#   object; s3api + s3token + authtoken + keystoneauth; 1 replica) with two proxies over
#   the same accounts: one whose S3 region is cloud.ca, one whose S3 region is us-east-1.
#
#   cloud.sh install [clients]   Debian packages; "clients" adds aws, rclone, s3cmd, restic
#   cloud.sh up DIR              make DIR if needed, start everything, wait until it answers
#   cloud.sh down DIR            stop what `up DIR` started (by recorded pid), keep DIR
#   cloud.sh hold DIR            up, print "ready", wait for the end of stdin, down; DIR goes
#                                too if it was made by this
#   cloud.sh restart DIR         restart Keystone alone, so that it reads extra.conf again
#   cloud.sh env DIR [user|dev|admin]    print `export ...` lines for a POSIX shell
#   cloud.sh vars DIR [user|dev|admin]   print KEY=VALUE lines
#
# Everything lives under DIR (config, sqlite, ring files, objects, logs, pids). DIR must be
# on a filesystem with user.* xattrs (ext4, xfs, btrfs, or tmpfs on Linux >= 6.6); no loop
# mounts, no systemd, no files in /etc. `up` and `down` are idempotent; `up` after `down`
# keeps the data and, while they are free, the ports. Start afresh: down, then rm -rf DIR.
# Calls for one DIR wait for each other.
#
# Settings, all optional, read by `up`:
#   CLOUD_BCRYPT_ROUNDS  4    password hash cost (Keystone's own default is 12)
#   CLOUD_TOKEN_TTL      3600 token lifetime, seconds
#   CLOUD_TOKEN_CACHE    300  Swift authtoken cache, seconds (300 is the upstream default)
#   CLOUD_S3_CACHE       0    s3token secret cache, seconds (0 is the upstream default)
#   CLOUD_S3_REGION  cloud.ca the region that S3 requests to CLOUD_S3_URL must be signed for
#                             (as documented for cloud.ca); at CLOUD_S3_URL_US it is us-east-1
# DIR/keystone/extra.conf (INI, read after keystone.conf) is created empty and never
# overwritten: put [security_compliance] and the like there, then restart.
set -euo pipefail

SERVER_PKGS="python3-keystone python3-swift python3-keystonemiddleware python3-memcache
  uwsgi-core uwsgi-plugin-python3 memcached python3-openstackclient python3-swiftclient
  curl"
CLIENT_PKGS="awscli rclone s3cmd restic"
# The security fixes of 2025 and 2026 changed what Keystone answers (delegated tokens and EC2
# keys, /v3/s3tokens): a lab with an older one would teach the tests an outdated cloud.
KEYSTONE_AT_LEAST=2:22.0.2-0+deb12u6
SWIFT_AT_LEAST=2.30.1-0+deb12u3
US_REGION=us-east-1
PY=/usr/bin/python3          # never a pyenv python: the packages live in the system's

say() { printf 'cloud: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# ---------------------------------------------------------------- install
# at_least PACKAGE VERSION: installed, and not older
at_least() {
  local have; have=$(dpkg-query -W -f '${db:Status-Abbrev}${Version}' "$1" 2>/dev/null) || return
  case "$have" in ii*) dpkg --compare-versions "${have#ii }" ge "$2" ;; *) return 1 ;; esac
}

cmd_install() {
  local pkgs="$SERVER_PKGS" missing=() p floor as_root= log
  command -v dpkg-query >/dev/null || die "install: needs Debian or a relative of it"
  [ "${1:-}" = clients ] && pkgs="$pkgs $CLIENT_PKGS"
  for p in $pkgs; do
    case "$p" in
      python3-keystone) floor=$KEYSTONE_AT_LEAST ;;
      python3-swift) floor=$SWIFT_AT_LEAST ;;
      *) floor=0 ;;
    esac
    at_least "$p" "$floor" || missing+=("$p")
  done
  if [ ${#missing[@]} -eq 0 ]; then say "packages: all there"; return; fi
  if [ "$(id -u)" != 0 ]; then
    sudo -n true 2>/dev/null || die "install: neither root nor sudo without a password; missing or too old: ${missing[*]}"
    as_root="sudo -n"
  fi
  # memcached's postinst would start a daemon on port 11211: deny that for the time of
  # the install. An existing policy-rc.d (containers have one) is left alone.
  if [ ! -e /usr/sbin/policy-rc.d ]; then
    printf '#!/bin/sh\nexit 101\n' | $as_root install -m 755 /dev/stdin /usr/sbin/policy-rc.d
    trap "$as_root rm -f /usr/sbin/policy-rc.d" EXIT
  fi
  # The python3-* packages ask no debconf question; the keystone/swift-* daemon packages
  # (dbconfig, init scripts, systemd units) are not needed and not installed.
  apt_get() { $as_root env DEBIAN_FRONTEND=noninteractive apt-get -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 -qq "$@" </dev/null; }
  log=$(mktemp)
  { apt_get update && apt_get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 ||
    { tail -20 "$log" >&2; die "install: apt-get failed; its words are in $log"; }
  rm -f "$log"
  at_least python3-keystone "$KEYSTONE_AT_LEAST" && at_least python3-swift "$SWIFT_AT_LEAST" ||
    die "install: this machine's archive has no keystone $KEYSTONE_AT_LEAST and swift $SWIFT_AT_LEAST"
  say "packages: installed ${#missing[@]}"
}

# ---------------------------------------------------------------- processes
# start_time PID: field 22 of /proc/PID/stat; nothing for a process that is gone or a zombie
start_time() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | awk '$1 != "Z" { print $20 }'; }

# alive NAME: the recorded pid runs and is still the process we started
alive() {
  local pid born
  [ -s "$DIR/run/$1" ] || return 1
  read -r pid born <"$DIR/run/$1"
  [ -n "$born" ] && [ "$(start_time "$pid")" = "$born" ]
}

# spawn NAME COMMAND...: in the background, own session, log to DIR/log/NAME.log
spawn() {
  local name=$1 pid; shift
  alive "$name" && return
  setsid "$@" </dev/null >>"$DIR/log/$name.log" 2>&1 9>&- &
  pid=$!
  echo "$pid $(start_time $pid)" >"$DIR/run/$name"
}

# wait_for NAME URL: until the URL answers (any HTTP status), 30 s at most
wait_for() {
  local i
  for ((i = 0; i < 300; i++)); do
    curl -s -o /dev/null --max-time 2 "$2" && return
    alive "$1" || break
    sleep 0.1
  done
  tail -5 "$DIR/log/$1.log" >&2; die "$1 did not come up"
}

# ---------------------------------------------------------------- configuration
write_config() {
  local c=$DIR/swift k=$DIR/keystone s
  mkdir -p "$DIR"/{run,log,tmp} "$k" "$c" "$DIR/node/d1"
  chmod 700 "$DIR"

  cat >"$k/keystone.conf" <<EOF
[DEFAULT]
use_stderr = true
public_endpoint = http://127.0.0.1:$KS_PORT
[database]
connection = sqlite:///$k/keystone.db
[cache]
enabled = true
backend = dogpile.cache.memcached
memcache_servers = 127.0.0.1:$MC_PORT
[fernet_tokens]
key_repository = $k/fernet
[credential]
key_repository = $k/credential
[fernet_receipts]
key_repository = $k/fernet
[token]
provider = fernet
expiration = ${CLOUD_TOKEN_TTL:-3600}
[identity]
password_hash_rounds = ${CLOUD_BCRYPT_ROUNDS:-4}
[security_compliance]
lockout_failure_attempts = 3
lockout_duration = 1800
[oslo_policy]
enforce_scope = false
EOF
  [ -e "$k/extra.conf" ] || : >"$k/extra.conf"

  cat >"$c/swift.conf" <<EOF
[swift-hash]
swift_hash_path_suffix = lab
[storage-policy:0]
name = Policy-0
default = yes
EOF
  # user: the servers call drop_privileges(user) at start; naming ourselves is a no-op
  local common="swift_dir = $c
user = $(id -un)
bind_ip = 127.0.0.1
workers = 0
log_level = INFO
log_statsd_host ="
  for s in account container object; do
    local up=${s^^}; local portvar="${up}_PORT"
    cat >"$c/$s-server.conf" <<EOF
[DEFAULT]
$common
bind_port = ${!portvar}
devices = $DIR/node
mount_check = false
disable_fallocate = true
fallocate_reserve = 0
[pipeline:main]
pipeline = healthcheck $s-server
[app:$s-server]
use = egg:swift#$s
[filter:healthcheck]
use = egg:swift#healthcheck
EOF
  done
  write_proxy "$c/proxy-server.conf" "$SW_PORT" "${CLOUD_S3_REGION:-cloud.ca}"
  write_proxy "$c/proxy-us-server.conf" "$US_PORT" "$US_REGION"
}

# write_proxy FILE PORT REGION, with $common of write_config
write_proxy() {
  cat >"$1" <<EOF
[DEFAULT]
$common
bind_port = $2
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck proxy-logging cache listing_formats bulk tempurl authtoken s3api s3token keystoneauth copy container-quotas account-quotas slo dlo versioned_writes symlink proxy-logging proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:healthcheck]
use = egg:swift#healthcheck
[filter:proxy-logging]
use = egg:swift#proxy_logging
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:$MC_PORT
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:bulk]
use = egg:swift#bulk
[filter:tempurl]
use = egg:swift#tempurl
[filter:s3api]
use = egg:swift#s3api
location = $3
# accept any Host header / path style only
dns_compliant_bucket_names = false
[filter:s3token]
use = egg:swift#s3token
auth_uri = http://127.0.0.1:$KS_PORT/v3
delay_auth_decision = true
secret_cache_duration = ${CLOUD_S3_CACHE:-0}
# Debian's Keystone (CVE-2025-65073) answers /v3/s3tokens only to a service user
auth_type = password
auth_url = http://127.0.0.1:$KS_PORT/v3
username = swift
password = swift-secret
project_name = service
user_domain_id = default
project_domain_id = default
[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
www_authenticate_uri = http://127.0.0.1:$KS_PORT
auth_type = password
auth_url = http://127.0.0.1:$KS_PORT/v3
username = swift
password = swift-secret
project_name = service
user_domain_id = default
project_domain_id = default
delay_auth_decision = true
cache = swift.cache
token_cache_time = ${CLOUD_TOKEN_CACHE:-300}
include_service_catalog = false
[filter:keystoneauth]
use = egg:swift#keystoneauth
operator_roles = admin, member
reseller_admin_role = ResellerAdmin
[filter:copy]
use = egg:swift#copy
[filter:container-quotas]
use = egg:swift#container_quotas
[filter:account-quotas]
use = egg:swift#account_quotas
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_versioned_writes = true
allow_object_versioning = true
[filter:symlink]
use = egg:swift#symlink
EOF
}

# ---------------------------------------------------------------- Swift
# Rings, then the five servers: what the (not installed) /usr/bin/swift-*-server scripts
# do, forked from one interpreter so that the imports are paid, and kept in memory, once.
# Prints "NAME PID" lines.
start_swift() {
  PYTHONWARNINGS=ignore $PY - "$DIR" "$ACCOUNT_PORT" "$CONTAINER_PORT" "$OBJECT_PORT" 9>&- <<'EOF'
import os, sys
from swift.common.ring import RingBuilder
from swift.common.utils import set_swift_dir
from swift.common.wsgi import run_wsgi
import swift.account.server, swift.container.server, swift.obj.server, swift.proxy.server
import keystonemiddleware.auth_token, swift.common.middleware.s3api.s3api
base, names = sys.argv[1], ("account", "container", "object")
set_swift_dir(base + "/swift")            # swift.conf is there, not in /etc/swift
for name, port in zip(names, map(int, sys.argv[2:])):
    b = RingBuilder(4, 1, 1)              # 2**4 partitions, 1 replica
    b.add_dev(dict(id=0, region=1, zone=1, weight=1.0, device="d1", meta="",
                   ip="127.0.0.1", port=port,
                   replication_ip="127.0.0.1", replication_port=port))
    b.rebalance()
    b.get_ring().save("%s/swift/%s.ring.gz" % (base, name))
for name in names + ("proxy", "proxy-us"):
    pid = os.fork()
    if pid:
        print("swift-" + name, pid, flush=True)
        continue
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    log = os.open("%s/log/swift-%s.log" % (base, name), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1); os.dup2(log, 2)
    sys.argv = ["swift-%s-server" % name, "%s/swift/%s-server.conf" % (base, name)]
    kw = {"global_conf_callback": swift.obj.server.global_conf_callback} if name == "object" else {}
    os._exit(run_wsgi(sys.argv[1], name.removesuffix("-us") + "-server", verbose=True, **kw))
EOF
}

# keystone_init: schema, keys, admin. The four keystone-manage runs in one interpreter
# (forked after the 2 s of imports).
keystone_init() {
  $PY - "$DIR/keystone" "$(id -un)" "$(id -gn)" "http://127.0.0.1:$KS_PORT/v3" <<'EOF'
import os, sys
from keystone.cmd import cli
conf, user, group, url = sys.argv[1:]
who = ["--keystone-user", user, "--keystone-group", group]
for args in (["db_sync"], ["fernet_setup"] + who, ["credential_setup"] + who,
             ["bootstrap", "--bootstrap-username", "admin", "--bootstrap-password", "admin-secret",
              "--bootstrap-project-name", "admin", "--bootstrap-role-name", "admin",
              "--bootstrap-service-name", "keystone", "--bootstrap-region-id", "RegionOne",
              "--bootstrap-public-url", url, "--bootstrap-internal-url", url,
              "--bootstrap-admin-url", url]):
    pid = os.fork()
    if pid == 0:
        cli.main(["keystone-manage", "--config-file", conf + "/keystone.conf",
                  "--config-file", conf + "/extra.conf"] + args)
        sys.stdout.flush(); os._exit(0)
    if os.waitpid(pid, 0)[1]:
        sys.exit("keystone-manage %s failed" % args[0])
import sqlite3
sqlite3.connect(conf + "/keystone.db").execute("PRAGMA journal_mode=WAL")  # one fsync a commit
EOF
}

start_keystone() {
  export OS_KEYSTONE_CONFIG_DIR="$DIR/keystone" OS_KEYSTONE_CONFIG_FILES="keystone.conf;extra.conf"
  # One worker, one thread: with sqlite, two writers at once end in "database is locked"
  # (the client then sees a connection closed without an answer). Requests queue instead.
  # Connection: close, because --http-socket closes without saying so and keep-alive
  # clients (keystoneauth in s3token) would now and then write into a closed socket.
  spawn keystone /usr/bin/uwsgi_python3 --http-socket "127.0.0.1:$KS_PORT" --die-on-term --master \
    --processes 1 --lazy-apps --need-app \
    --add-header "Connection: close" --buffer-size 65535 --disable-logging --wsgi-file /usr/bin/keystone-wsgi-public
}

# ---------------------------------------------------------------- accounts, over the API
# The identities of the lab. Runs on every `up`, creates what is missing, moves the
# endpoints to this run's ports, changes no password of an existing user.
populate() {
  $PY - "http://127.0.0.1:$KS_PORT/v3" "http://127.0.0.1:$SW_PORT" <<'EOF'
import json, sys, urllib.request
ks, swift = sys.argv[1:]
def call(method, path, body=None, token=None):
    r = urllib.request.Request(ks + path, method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json", **({"X-Auth-Token": token} if token else {})})
    with urllib.request.urlopen(r) as f:
        data = f.read()
        return f.headers, json.loads(data) if data else {}
h, _ = call("POST", "/auth/tokens", {"auth": {
    "identity": {"methods": ["password"], "password": {"user": {
        "name": "admin", "domain": {"id": "default"}, "password": "admin-secret"}}},
    "scope": {"project": {"name": "admin", "domain": {"id": "default"}}}}})
tok = h["X-Subject-Token"]
def ensure(kind, name, **attrs):
    found = call("GET", "/%ss?name=%s" % (kind, name), token=tok)[1][kind + "s"]
    if found: return found[0]["id"]
    return call("POST", "/%ss" % kind, {kind: dict(attrs, name=name)}, tok)[1][kind]["id"]
def grant(project, user, role):
    call("PUT", "/projects/%s/users/%s/roles/%s" % (project, user, role), token=tok)
role = {r["name"]: r["id"] for r in call("GET", "/roles", token=tok)[1]["roles"]}
service = ensure("project", "service", domain_id="default")
swiftu = ensure("user", "swift", domain_id="default", password="swift-secret",
                options={"ignore_password_expiry": True, "ignore_lockout_failure_attempts": True})
# s3tokens wants role "service" (or admin); ec2 secrets for the s3 cache want admin
for r in ("admin", "service"):
    role[r] = role.get(r) or ensure("role", r)
    grant(service, swiftu, role[r])
ensure("role", "ResellerAdmin")
user = ensure("user", "system-ccontini-2925", domain_id="default", password="hunter2")
for name in ("system-ccontini", "dev-ccontini"):
    grant(ensure("project", name, domain_id="default"), user, role["member"])
found = [s for s in call("GET", "/services", token=tok)[1]["services"] if s["type"] == "object-store"]
sid = found[0]["id"] if found else call("POST", "/services", {"service": {
    "name": "swift", "type": "object-store"}}, tok)[1]["service"]["id"]
eps = call("GET", "/endpoints", token=tok)[1]["endpoints"]
idsvc = [s["id"] for s in call("GET", "/services", token=tok)[1]["services"] if s["type"] == "identity"][0]
for service_id, url in ((sid, swift + "/v1/AUTH_%(tenant_id)s"), (idsvc, ks)):
    for iface in ("public", "internal", "admin"):
        have = [e for e in eps if e["service_id"] == service_id and e["interface"] == iface]
        body = {"endpoint": {"url": url, "interface": iface, "service_id": service_id, "region_id": "RegionOne"}}
        if not have: call("POST", "/endpoints", body, tok)
        elif have[0]["url"] != url: call("PATCH", "/endpoints/" + have[0]["id"], {"endpoint": {"url": url}}, tok)
EOF
}

# ---------------------------------------------------------------- up / down / env
NAMES="memcached keystone swift-account swift-container swift-object swift-proxy swift-proxy-us"

all_alive() { local n; for n in $NAMES; do alive $n || return 1; done; }

choose_ports() {           # keep this DIR's ports when all are free, else take fresh ones
  local want=
  [ -e "$DIR/ports" ] && want=$(sed 's/.*=//' "$DIR/ports" | tr '\n' ' ')
  $PY - $want >"$DIR/ports.new" <<'EOF'
import socket, sys
names = ["MC_PORT", "KS_PORT", "ACCOUNT_PORT", "CONTAINER_PORT", "OBJECT_PORT", "SW_PORT", "US_PORT"]
def take(ports):
    held = []
    for p in ports:
        s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", p)); s.listen(1); held.append(s)   # all held at once: all different
    return [s.getsockname()[1] for s in held]
try:
    ports = take(list(map(int, sys.argv[1:])) if len(sys.argv) - 1 == len(names) else [0] * len(names))
except OSError:
    ports = take([0] * len(names))
for n, p in zip(names, ports): print("%s=%d" % (n, p))
EOF
  mv "$DIR/ports.new" "$DIR/ports"
}

cmd_up() {
  mkdir -p "$DIR"/{run,log}
  if all_alive; then say "already up in $DIR"; return; fi
  cmd_down quiet           # a half-dead lab: stop the rest first
  $PY - "$DIR" <<'EOF' || die "$DIR: no user xattrs on this filesystem; Swift needs them"
import os, sys
f = os.path.join(sys.argv[1], ".xattr"); open(f, "w").close()
try: os.setxattr(f, "user.swift.metadata", b"x" * 2000)
except OSError as e: sys.exit(str(e))
finally: os.unlink(f)
EOF
  choose_ports; . "$DIR/ports"
  write_config
  local mcuser=; [ "$(id -u)" = 0 ] && mcuser="-u root"
  spawn memcached /usr/bin/memcached $mcuser -l 127.0.0.1 -p "$MC_PORT" -U 0 -m 32 -t 1

  start_swift 2>>"$DIR/log/swift-start.log" >"$DIR/tmp/swift.pids" & local swift=$!

  local s
  if [ ! -e "$DIR/keystone/ready" ]; then
    rm -f "$DIR/keystone/keystone.db"*
    keystone_init >>"$DIR/log/keystone-manage.log" 2>&1 ||
      { tail -5 "$DIR/log/keystone-manage.log" >&2; die "keystone-manage failed"; }
    touch "$DIR/keystone/ready"
  fi
  start_keystone
  wait $swift || { tail -5 "$DIR/log/swift-start.log" >&2; die "Swift did not start"; }
  local n pid; while read -r n pid; do echo "$pid $(start_time "$pid")" >"$DIR/run/$n"; done <"$DIR/tmp/swift.pids"
  wait_for keystone "http://127.0.0.1:$KS_PORT/v3"
  populate || die "could not create the identities"
  for s in account container object; do
    local v="${s^^}_PORT"; wait_for "swift-$s" "http://127.0.0.1:${!v}/healthcheck"
  done
  wait_for swift-proxy "http://127.0.0.1:$SW_PORT/healthcheck"
  wait_for swift-proxy-us "http://127.0.0.1:$US_PORT/healthcheck"
  say "up in $DIR: keystone http://127.0.0.1:$KS_PORT/v3  swift+s3 http://127.0.0.1:$SW_PORT (${CLOUD_S3_REGION:-cloud.ca}), http://127.0.0.1:$US_PORT ($US_REGION)"
}

# stop NAME...: TERM, after ten seconds KILL, to what still is the process we started
stop() {
  local n pid born i sig left
  for sig in TERM KILL; do
    for n in "$@"; do
      if alive "$n"; then read -r pid born <"$DIR/run/$n"; kill -$sig "$pid" 2>/dev/null || :; fi
    done
    for ((i = 0; i < 100; i++)); do
      left=; for n in "$@"; do if alive "$n"; then left=$n; fi; done
      [ -n "$left" ] || break 2
      sleep 0.1
    done
  done
  for n in "$@"; do rm -f "$DIR/run/$n"; done
}

cmd_down() {
  stop $NAMES
  [ "${1:-}" = quiet ] || say "down: $DIR"
}

# The caller's stdin is its life: however it ends, the lab does not outlive it, nor does a
# DIR that was made here. The subshell gives the lock back when cmd_up fails.
cmd_hold() {
  new=; [ -e "$DIR" ] || new=$DIR
  trap 'locked cmd_down quiet; rm -rf ${new:+"$new"}' EXIT
  (locked cmd_up)
  echo ready
  cat >/dev/null
}

cmd_restart() {
  all_alive || die "$DIR: not up"
  . "$DIR/ports"
  stop keystone
  start_keystone
  wait_for keystone "http://127.0.0.1:$KS_PORT/v3"
}

cmd_env() {
  [ -e "$DIR/ports" ] || die "$DIR: not a lab"
  . "$DIR/ports"
  local u=system-ccontini-2925 p=hunter2 j=system-ccontini
  case "${1:-user}" in
    user) ;;
    dev) j=dev-ccontini ;;
    admin) u=admin p=admin-secret j=admin ;;
    *) die "env: user, dev or admin" ;;
  esac
  cat <<EOF
export OS_AUTH_URL=http://127.0.0.1:$KS_PORT/v3
export OS_IDENTITY_API_VERSION=3
export OS_USERNAME=$u
export OS_PASSWORD=$p
export OS_PROJECT_NAME=$j
export CLOUD_S3_URL=http://127.0.0.1:$SW_PORT
export CLOUD_S3_REGION=$(sed -n 's/^location = //p' "$DIR/swift/proxy-server.conf")
export CLOUD_S3_URL_US=http://127.0.0.1:$US_PORT
export CLOUD_S3_REGION_US=$US_REGION
EOF
}

cmd_vars() { cmd_env "$@" | sed 's/^export //; /^OS_IDENTITY_API_VERSION=/d; /^OS_PROJECT_NAME=/d'; }

# locked COMMAND...: while no other call works on DIR; the servers don't inherit the lock
locked() {
  mkdir -p "$DIR"
  { flock 9; "$@"; } 9>"$DIR/lock"
}

case "${1:-}" in
  install) shift; cmd_install "$@" ;;
  up|down|hold|restart|env|vars)
    [ -n "${2:-}" ] || die "usage: cloud.sh $1 DIR"
    DIR=$(realpath -m "$2"); verb=$1; shift 2
    case $verb in
      up|down|restart) locked "cmd_$verb" "$@" ;;
      *) "cmd_$verb" "$@" ;;
    esac ;;
  *) sed -n '2,32s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
