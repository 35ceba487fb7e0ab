# Sourced: which version is built, and when its commit was made.
# Between releases it sorts after the last tag and before the next.
describe() { git describe --tags --match 'v[0-9]*' "$@" 2>/dev/null; }
version=${VERSION:-$(describe --exact-match || :)}
if [ -z "$version" ]; then
  version=$(describe --abbrev=0 || echo v0.0.0)+git$(git rev-list --count HEAD).$(git rev-parse --short=8 HEAD)
fi
export PACKAGE_VERSION=${version#v}
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
