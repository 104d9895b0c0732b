#!/bin/sh
# libukfs as a program meets it: what is installed, by pkg-config, shared and static; the
# example of ukfs(3); C++.
#
#	t-library.sh BUILD-DIRECTORY
cd "$(dirname "$0")/.." || exit 1
build=${1:-build}
passed=0 failed=0 skipped=0
T=$(mktemp -d) || exit 1
trap 'rm -rf "$T"' EXIT

ok() { passed=$((passed + 1)); }
bad()
{
	failed=$((failed + 1))
	echo "FAIL $*"
}
# check WHAT COMMAND…
check()
{
	what=$1
	shift
	if "$@" >"$T/log" 2>&1; then ok; else bad "$what: $(cat "$T/log")"; fi
}
finish()
{
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" = 0 ]
	exit
}

check "meson install" env DESTDIR="$T/root" meson install -C "$build" --quiet
[ "$failed" = 0 ] || finish
PKG_CONFIG_LIBDIR=$(dirname "$(find "$T/root" -name ukfs.pc)"):$(pkg-config --variable pc_path pkg-config)
PKG_CONFIG_SYSROOT_DIR=$T/root
export PKG_CONFIG_LIBDIR PKG_CONFIG_SYSROOT_DIR
libdir=$(dirname "$(find "$T/root" -name libukfs.so)")
moduledir=$(pkg-config --variable=moduledir ukfs)
case $moduledir in "$T"*) ;; *) moduledir=$T/root$moduledir ;; esac

check "the modules are where pkg-config says" test -f "$moduledir/libukfs_lines.so"
check "the header" test -f "$T/root$(PKG_CONFIG_SYSROOT_DIR='' pkg-config --variable=includedir ukfs)/ukfs.h"
check "the manual" test -n "$(find "$T/root" -name 'ukfs.3*')"

# The example of the manual, and its output on an image.
sed -n '/^\.Sh EXAMPLES/,/^\.Sh SEE/p' doc/ukfs.3 | sed '1,/^\.Bd/d; /^\.Ed/,$d; s/\\e/\\/g' >"$T/show.c"
printf 'one\ntwo\n' >"$T/text"
flags="-Wall -Wextra -Werror"
# shellcheck disable=SC2046,SC2086
check "the example compiles" cc $flags "$T/show.c" -o "$T/show" $(pkg-config --cflags --libs ukfs)
cat >"$T/lines.c" <<'X'
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <ukfs.h>

/* A tree in memory works; then what "lines" says of a text, if there is that type. */
int
main(int argc, char **argv)
{
	char buf[64];
	struct ukfs *fs;
	ssize_t n;

	if (argc != 3 || ukfs_init() < 0 ||
	    !(fs = ukfs_mount("rumpfs", NULL, "/m", 0, NULL, 0)) ||
	    ukfs_create(fs, "/f", 0600) < 0 || ukfs_write(fs, "/f", 0, "x", 1) != 1 ||
	    ukfs_read(fs, "/f", 0, buf, sizeof(buf)) != 1 || ukfs_release(fs, 0) < 0)
		return 2;
	printf("%d ", ukfs_modload(argv[2]));
	fs = ukfs_mount("lines", argv[1], "/l", UKFS_RDONLY, NULL, 0);
	if (!fs)
		return puts(errno == ENODEV ? "no type" : ukfs_why()) < 0;
	n = ukfs_read(fs, "/2", 0, buf, sizeof(buf));
	printf("%.*s", n < 0 ? 0 : (int)n, buf);
	return ukfs_release(fs, 0) < 0;
}
X

# prints WHAT EXPECTED COMMAND…
prints()
{
	what=$1 want=$2
	shift 2
	got=$("$@" 2>&1) || got="status $?: $got"
	if [ "$got" = "$want" ]; then ok; else bad "$what: \"$got\", expected \"$want\""; fi
}
export UKFS_MODULES="$moduledir"
# shellcheck disable=SC2046,SC2086
check "a program, shared" cc $flags "$T/lines.c" -o "$T/lines" $(pkg-config --cflags --libs ukfs)
prints "a program, shared" "1 two" env LD_LIBRARY_PATH="$libdir" "$T/lines" "$T/text" "$moduledir/libukfs_lines.so"
check "it needs neither libfuse nor glib" sh -c "! LD_LIBRARY_PATH='$libdir' ldd '$T/lines' | grep -E 'fuse|glib|gobject'"
if [ -f "$moduledir/libukfs_ext.so" ] && command -v mke2fs >/dev/null; then
	mkdir "$T/src" && echo "hello" >"$T/src/file"
	truncate -s 4M "$T/img" && mke2fs -q -F -t ext4 -d "$T/src" "$T/img"
	prints "the example" "$(printf '.\n..\nlost+found\nfile\nhello')" \
	    env LD_LIBRARY_PATH="$libdir" "$T/show" "$T/img" "" /file
	prints "the example's failure" "status 1: mount /img from $T/text: no file system type recognises it" \
	    env LD_LIBRARY_PATH="$libdir" "$T/show" "$T/text" "" /file
else
	skipped=$((skipped + 2))
fi

# A sanitizer's runtime comes with the executable.
if meson introspect --buildoptions "$build" |
    grep -qE '"name": "b_sanitize", "value": "none"|"value": "none"[^}]*"name": "b_sanitize"'; then
	libs=$(pkg-config --static --libs ukfs | sed 's/-lukfs/-l:libukfs.a/')
	# shellcheck disable=SC2046,SC2086
	check "a program, static" cc $flags $(pkg-config --cflags ukfs) "$T/lines.c" -o "$T/static" $libs
	prints "static: modules are refused" "-1 no type" env LD_LIBRARY_PATH="$libdir" "$T/static" "$T/text" "$moduledir/libukfs_lines.so"
	check "static: libukfs.so is not needed" sh -c "! readelf -d '$T/static' | grep libukfs"
	# shellcheck disable=SC2046,SC2086
	check "a program, static, for modules" cc $flags -rdynamic $(pkg-config --cflags ukfs) "$T/lines.c" \
	    -o "$T/whole" $(echo "$libs" | sed 's/-l:libukfs.a/-Wl,--whole-archive & -Wl,--no-whole-archive/')
	prints "static: modules of a program that shows itself" "1 two" \
	    env LD_LIBRARY_PATH="$libdir" "$T/whole" "$T/text" "$moduledir/libukfs_lines.so"
else
	skipped=$((skipped + 5))
fi

if command -v c++ >/dev/null; then
	printf '#include <ukfs.h>\nint main() { return ukfs_init(); }\n' >"$T/p.cc"
	# shellcheck disable=SC2046,SC2086
	check "a C++ program" c++ -Wall -Wextra -Werror "$T/p.cc" -o "$T/p" $(pkg-config --cflags --libs ukfs)
	check "a C++ program runs" env LD_LIBRARY_PATH="$libdir" "$T/p"
else
	skipped=$((skipped + 2))
fi
finish
