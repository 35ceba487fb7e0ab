#!/bin/sh
# Before a removal; not before an upgrade (dpkg: "upgrade", rpm: 1).
set -e
case "$1" in
remove | 0) ;;
*) exit 0 ;;
esac
command -v systemctl >/dev/null || exit 0
# dpkg takes what comes after a removal for an upgrade: it is told what to undo.
if [ "$1" = remove ] && systemctl --global is-enabled --quiet ccad.socket; then
  mkdir -p "${DPKG_ROOT-}/var/lib/ccad"
  : >"${DPKG_ROOT-}/var/lib/ccad/enabled"
fi
systemctl --global disable --quiet ccad.socket || :
[ -d "${DPKG_ROOT-}/run/systemd/system" ] || exit 0
systemctl list-units 'user@*.service' --state=active --no-legend --plain | while read -r unit _; do
  uid=${unit#user@}
  manager="systemctl --user --machine=${uid%.service}@.host --quiet"
  units=$($manager list-unit-files 'ccad*' --no-legend | cut -d' ' -f1)
  # shellcheck disable=SC2086 # they are words
  $manager disable --now $units || :
done
