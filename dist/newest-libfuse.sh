#!/bin/bash
# newest-libfuse.sh DIR: the newest libfuse of Debian's source packages, built in DIR:
#
#	DIR/prefix              where it is installed, for PKG_CONFIG_PATH and -rpath
#	DIR/examples/NAME       passthrough_ll, passthrough_hp and memfs_ll, linked with it
#	DIR/version             what it is: the source package's version
#
# It comes from the mirror that the system's own sources name, through an apt configuration
# of its own: neither the system's sources nor its lists are touched.  Nothing is done where
# it has been done.  The status is 2 if the source package cannot be had, 1 if it cannot be
# built.
set -u

dir=${1:?usage: newest-libfuse.sh DIR}
# Debian's testing has what is newest and has been used by some for a while.
suite=${LIBFUSE_SUITE:-forky}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
examples="passthrough_ll passthrough_hp memfs_ll"

say()
{
	echo "newest libfuse: $*" >&2
}

# The mirror of the suite that the system is of, in either form of apt's sources.
mirror()
{
	local codename
	codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
	# shellcheck disable=SC2012
	awk -v suite="$codename" '
		function flush() {
			if (uri != "" && has) { print uri; exit }
			uri = ""; has = 0
		}
		/^[[:space:]]*#/ { next }
		/^[[:space:]]*$/ { flush(); next }
		FNR == 1 { flush() }
		$1 == "URIs:" { uri = $2; next }
		$1 == "Suites:" { for (i = 2; i <= NF; i++) has = has || $i == suite; next }
		$1 == "deb" || $1 == "deb-src" {
			sub(/\[[^]]*\]/, "")
			if ($3 == suite) { print $2; exit }
		}
		END { flush() }' \
	    $(ls /etc/apt/sources.list /etc/apt/sources.list.d/*.sources \
		/etc/apt/sources.list.d/*.list 2>/dev/null) </dev/null | head -n 1
}

private_apt()
{
	apt-get -q -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=- \
	    -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache" \
	    -o Acquire::Languages=none -o Acquire::Retries=1 -o Acquire::http::Timeout=20 \
	    -o Acquire::https::Timeout=20 -o APT::Get::List-Cleanup=false \
	    -o APT::Update::Error-Mode=any -o APT::Sandbox::User=root "$@"
}

# The source package, in $work.
fetch()
{
	local from
	from=$(mirror)
	if [ -z "$from" ]; then
		say "the system's apt sources name no mirror of its own release"
		return 2
	fi
	mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
	echo "deb-src [signed-by=$keyring] $from $suite main" >"$work/sources.list"
	if ! private_apt update >"$work/log" 2>&1 ||
	    ! (cd "$work" && private_apt source --download-only fuse3) >>"$work/log" 2>&1; then
		tail -n 5 "$work/log" >&2
		say "the source package of Debian's $suite cannot be had: is there a network?"
		return 2
	fi
	# apt has compared all of it with what the suite's signature vouches for.
	(cd "$work" && dpkg-source --no-check -x fuse3_*.dsc src) >>"$work/log" 2>&1
}

build()
{
	local e
	{
		meson setup "$work/build" "$work/src" --prefix="$dir/prefix" --libdir=lib \
		    --buildtype=release -Dutils=false -Dtests=false -Dexamples=true &&
		    ninja -C "$work/build" &&
		    meson install -C "$work/build" --no-rebuild
	} >"$work/log" 2>&1 || return 1
	grep -q 'define HAVE_URING' "$work/build/fuse_config.h" "$work"/build/*/*config.h \
	    2>/dev/null || say "built without io_uring: liburing or libnuma is missing"
	mkdir -p "$dir/examples"
	for e in $examples; do
		# They find the library in the prefix.
		gcc_rpath "$e" || return 1
	done
}

# The examples as meson has linked them look for the library in the build folder, which goes.
gcc_rpath()
{
	local e=$1 src
	src=$(ls "$work/src/example/$e".c*)
	PKG_CONFIG_PATH=$dir/prefix/lib/pkgconfig
	export PKG_CONFIG_PATH
	case $src in
	*.cc) set -- g++ -std=c++20 ;;
	*) set -- gcc -std=gnu11 ;;
	esac
	# shellcheck disable=SC2046
	"$@" -O2 -g -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DHAVE_LIBFUSE_PRIVATE_CONFIG_H \
	    -I"$work/build" -I"$work/src/lib" -I"$work/src/include" \
	    $(pkg-config --cflags fuse3) -o "$dir/examples/$e" "$src" \
	    $(pkg-config --libs fuse3) -Wl,-rpath,"$dir/prefix/lib" -pthread >>"$work/log" 2>&1
}

if [ -f "$dir/version" ]; then
	exit 0
fi
mkdir -p "$dir" || exit 1
dir=$(cd "$dir" && pwd) || exit 1
# Of two that begin at once one waits for the other.
exec 9>"$dir/.lock" || exit 1
flock 9
[ ! -f "$dir/version" ] || exit 0
work=$dir/work
rm -rf "$work" "$dir/prefix" "$dir/examples"
mkdir -p "$work" || exit 1
fetch || exit 2
version=$(sed -n 's/^Version: //p' "$work"/fuse3_*.dsc | head -n 1)
say "building $version"
if ! build; then
	tail -n 40 "$work/log" >&2
	say "$version cannot be built"
	exit 1
fi
rm -rf "$work"
echo "$version" >"$dir/version"
say "$version is in $dir"
