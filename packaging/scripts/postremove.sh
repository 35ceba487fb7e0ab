#!/bin/sh
# After a removal: user managers forget the units. A purge takes the sealed
# passphrases, which are root's; rpm knows none, and its removal does. What is in
# people's homes is theirs, and stays.
set -e
case "$1" in
remove | purge | 0) ;;
*) exit 0 ;;
esac
if [ "$1" != remove ]; then
  # The drop-ins first: a user's manager does not start without what one names.
  for dropin in "${DPKG_ROOT-}"/etc/systemd/system/user@*.service.d/ccad.conf; do
    grep -qs '^# A unit of ccad: ' "$dropin" || continue
    rm "$dropin"
    rmdir --ignore-fail-on-non-empty "${dropin%/*}"
  done
  rm -f "${DPKG_ROOT-}"/etc/credstore.encrypted/ccad.[0-9]*
  rm -rf "${DPKG_ROOT-}/var/lib/ccad"
fi
[ -d "${DPKG_ROOT-}/run/systemd/system" ] && command -v systemctl >/dev/null || exit 0
[ "$1" = remove ] || systemctl daemon-reload || :
systemctl list-units 'user@*.service' --state=active --no-legend --plain | while read -r unit _; do
  uid=${unit#user@}
  systemctl --user --machine="${uid%.service}@.host" --quiet daemon-reload || :
done
