#!/bin/bash
# newest-libfuse.sh DIR [examples]: the newest libfuse of Debian's source packages, built in DIR:
#
#	DIR/prefix              where it is installed, for PKG_CONFIG_PATH and -rpath
#	DIR/version             what it is: the source package's version
#	DIR/examples/NAME       with "examples": passthrough_ll, passthrough_hp and memfs_ll,
#	                        linked with it
#	DIR/src                 its source
#
# It comes from the mirror that the system's own sources name, through an apt configuration
# of its own: neither the system's sources nor its lists are touched.  Nothing is done where
# it has been done.  The status is 2 if the source package cannot be had, 1 if it cannot be
# built.
set -u

dir=${1:?usage: newest-libfuse.sh DIR [examples]}
wanted=${2:-}
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
	# As Debian builds it, but for what else is in the package.
	{
		meson setup "$work/build" "$work/src" --prefix="$dir/prefix" --libdir=lib \
		    --buildtype=release -Dutils=false -Dtests=false -Dexamples=false &&
		    ninja -C "$work/build" &&
		    meson install -C "$work/build" --no-rebuild
	} >"$work/log" 2>&1 || return 1
	grep -rq 'define HAVE_URING' "$work/build" --include='*config.h' ||
	    say "built without io_uring: liburing or libnuma is missing"
	mkdir -p "$dir/src" && cp -a "$work/src/." "$dir/src" &&
	    cp "$work/build/fuse_config.h" "$work/build/libfuse_config.h" "$dir/src"
}

# The examples, which find the library in the prefix.
example()
{
	local name=$1 src
	src=$(ls "$dir/src/example/$name".c*) || return 1
	case $src in
	*.cc) set -- g++ -std=c++20 ;;
	*) set -- gcc -std=gnu11 ;;
	esac
	# shellcheck disable=SC2046
	"$@" -O2 -g -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DHAVE_LIBFUSE_PRIVATE_CONFIG_H \
	    -I"$dir/src" -I"$dir/src/lib" -I"$dir/src/include" \
	    $(PKG_CONFIG_PATH=$dir/prefix/lib/pkgconfig pkg-config --cflags --libs fuse3) \
	    "$src" -o "$dir/examples/$name.new" -L"$dir/prefix/lib" -lfuse3 \
	    -Wl,-rpath,"$dir/prefix/lib" -pthread >>"$dir/examples/log" 2>&1 &&
	    mv "$dir/examples/$name.new" "$dir/examples/$name"
}

# Whether all of it is there that is wanted.
complete()
{
	local e
	[ -f "$dir/version" ] || return 1
	[ "$wanted" = examples ] || return 0
	for e in $examples; do
		[ -x "$dir/examples/$e" ] || return 1
	done
}

! complete || exit 0
mkdir -p "$dir" || exit 1
dir=$(cd "$dir" && pwd) || exit 1
# Of two that begin at once one waits for the other.
exec 9>"$dir/.lock" || exit 1
flock 9
if [ ! -f "$dir/version" ]; then
	work=$dir/work
	rm -rf "$work" "$dir/prefix" "$dir/examples" "$dir/src"
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
fi
[ "$wanted" = examples ] || exit 0
mkdir -p "$dir/examples"
for e in $examples; do
	[ -x "$dir/examples/$e" ] || example "$e" || {
		tail -n 40 "$dir/examples/log" >&2
		say "its example $e cannot be built"
		exit 1
	}
done
rm -f "$dir/examples/log"
