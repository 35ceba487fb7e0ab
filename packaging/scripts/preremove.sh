#!/bin/sh
# Before a removal; not before an upgrade (dpkg: "upgrade", rpm: 1).
set -e
case "$1" in
remove | 0) ;;
*) exit 0 ;;
esac
command -v systemctl >/dev/null || exit 0
systemctl --global disable --quiet ccad.socket || :
[ -d /run/systemd/system ] || exit 0
systemctl list-units 'user@*.service' --state=active --no-legend --plain | while read -r unit _; do
  uid=${unit#user@}
  manager="systemctl --user --machine=${uid%.service}@.host --quiet"
  units=$($manager list-unit-files 'ccad*' --no-legend | cut -d' ' -f1)
  # shellcheck disable=SC2086 # they are words
  $manager disable --now $units || :
done
