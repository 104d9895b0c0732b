#!/bin/bash
# peers.sh DIR: builds libfuse's examples of the version that Debian's release of this machine
# has (passthrough_ll, passthrough_hp), from its source package, into DIR/examples.  A private apt
# configuration with the source lines of the mirror in use fetches it; the system's is not touched.
# What is there already is left alone.
set -u
dir=$(realpath -m "${1:?}")
[ -x "$dir/examples/passthrough_ll" ] && exit 0
apt=$dir/apt
mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$dir/examples" || exit 1

release=$(. /etc/os-release && echo "$VERSION_CODENAME")
# shellcheck disable=SC2016
apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
    awk -v release="$release" '$2 == release && $3 == "main" {
	print "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]", $0 }' |
    sort -u >"$apt/sources.list"
if [ ! -s "$apt/sources.list" ]; then
	echo "apt has no source for $release" >&2
	exit 1
fi
set -- -q -o "Dir::Etc::SourceList=$apt/sources.list" -o Dir::Etc::SourceParts=- \
    -o "Dir::State::Lists=$apt/lists" -o "Dir::Cache=$apt/cache" -o APT::Sandbox::User=root
{
	apt-get "$@" update && cd "$dir" && apt-get "$@" source fuse3 || exit 1
	src=$(find "$dir" -maxdepth 1 -type d -name 'fuse3-*')
	meson setup "$src/build" "$src" --buildtype=release --default-library=static \
	    -Dexamples=true -Dtests=false -Dutils=false -Duseroot=false || exit 1
	ninja -C "$src/build" || exit 1
} >"$dir/log" 2>&1
for p in passthrough_ll passthrough_hp memfs_ll; do
	[ ! -x "$src/build/example/$p" ] || cp "$src/build/example/$p" "$dir/examples/"
done
echo "${src##*-}" >"$dir/examples/version"
rm -rf "$apt"
[ -x "$dir/examples/passthrough_ll" ]
