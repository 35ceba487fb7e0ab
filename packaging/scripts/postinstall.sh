#!/bin/sh
# After an installation or an upgrade. dpkg says "configure" and the version that
# was configured last, also where that was removed since; rpm says 1 or 2.
set -e
enabled=${DPKG_ROOT-}/var/lib/ccad/enabled # there since a removal, by preremove.sh
first=
case "$1" in
configure) if [ -z "$2" ] || [ -e "$enabled" ]; then first=yes; fi ;;
1) first=yes ;;
2) ;;
*) exit 0 ;;
esac
command -v systemctl >/dev/null || exit 0

# The socket is every user's from his next login on, and costs a user nothing
# who never asks. Only the first time: an administrator may disable it.
if [ -n "$first" ]; then
  systemctl --global enable --quiet ccad.socket || :
  rm -rf "${enabled%/*}"
fi
[ -d "${DPKG_ROOT-}/run/systemd/system" ] || exit 0

# Those who are logged in have it now. An upgrade leaves a daemon that runs
# alone, since a new one would be locked: it takes the new program at its next
# lock or restart.
systemctl list-units 'user@*.service' --state=active --no-legend --plain | while read -r unit _; do
  uid=${unit#user@}
  manager="systemctl --user --machine=${uid%.service}@.host --quiet"
  $manager daemon-reload || continue
  if [ -n "$first" ]; then $manager start ccad.socket || :; fi
done
