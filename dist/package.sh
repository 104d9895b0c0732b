#!/bin/sh
# Builds the Debian packages, source and binary, of the tree as it is, out of it.
#
#	package.sh DIRECTORY
#
# dpkg-buildpackage's own variables work: DEB_BUILD_OPTIONS=noautodbgsym, for one.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)
tmp=$(mktemp -d "${TMPDIR:-/var/tmp}/rumpfuse-package.XXXXXX")
trap 'rm -rf "$tmp"' EXIT

# What was built here, and by whom it is tested, is no source.
mkdir "$tmp/rumpfuse"
tar -C "$top" -c --exclude='./build*' --exclude='./.git' --exclude='./.ci' . | tar -C "$tmp/rumpfuse" -x
mv "$tmp/rumpfuse/dist/debian" "$tmp/rumpfuse/debian"
cd "$tmp/rumpfuse"
if ! dpkg-buildpackage -us -uc >"$tmp/build.log" 2>&1; then
	tail -n 60 "$tmp/build.log"
	exit 1
fi
cd "$tmp"
mv ./*.deb ./*.dsc ./*.tar.* ./*.changes ./*.buildinfo build.log "$out"
