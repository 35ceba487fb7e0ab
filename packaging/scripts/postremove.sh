#!/bin/sh
# After a removal: user managers forget the units. What is in people's homes is
# theirs, and stays even when the package is purged.
set -e
case "$1" in
remove | 0) ;;
*) exit 0 ;;
esac
[ -d /run/systemd/system ] && command -v systemctl >/dev/null || exit 0
systemctl list-units 'user@*.service' --state=active --no-legend --plain | while read -r unit _; do
  uid=${unit#user@}
  systemctl --user --machine="${uid%.service}@.host" --quiet daemon-reload || :
done
