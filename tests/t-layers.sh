#!/bin/sh
# The layers hold: who includes whom, and which symbols each archive needs from outside.
#
#	t-layers.sh BUILD-DIRECTORY
#
# daemon → conf, ukfs, etfs, vfs · ukfs → etfs, vfs · etfs → vfs, hostcalls · image modules → vfs ·
# conf, vfs, hostcalls → nothing of ours; the ukfs tool → ukfs.h alone; rumpfusectl → nothing of
# ours, the daemon's socket is a protocol;
# only daemon/ knows libfuse and syslog; glib only in conf/ and in what daemon/ does before
# the first request; only hostcalls/ opens, reads, names or changes host files.
cd "$(dirname "$0")/.." || exit 1
build=${1:-build}
passed=0 failed=0

ok() { passed=$((passed + 1)); }
bad()
{
	failed=$((failed + 1))
	echo "FAIL $*"
}

# Sources below a folder, or in it alone with a depth.
sources()
{
	find "$1" ${2:+-maxdepth "$2"} -name '*.[ch]'
}

# includes FILES ALLOWED-REGEX [FORBIDDEN-REGEX]: no "x/y.h" but these.
includes()
{
	# shellcheck disable=SC2086
	found=$(grep -nE '^#include "' $1 /dev/null |
	    awk -v ok="\"($2)/" -v no="\"(${3:-//})/" '$0 !~ ok || $0 ~ no')
	if [ -n "$found" ]; then bad "includes more than it may:
$found"; else ok; fi
}
includes "$(sources hostcalls)" 'hostcalls'
includes "$(sources vfs 1)" 'vfs' 'vfs/(image|ukfs)'
includes "$(sources vfs/image)" 'vfs' 'vfs/ukfs'
includes "$(sources vfs/ukfs 1)" 'vfs|etfs' 'vfs/ukfs/tool'
# The tool is a program like any other: it has what is installed.
if [ -d vfs/ukfs/tool ]; then
	includes "$(sources vfs/ukfs/tool)" 'vfs/ukfs/tool|vfs/ukfs'
	found=$(grep -nE '^#include "vfs/ukfs/' vfs/ukfs/tool/*.[ch] |
	    grep -vE '"vfs/ukfs/(tool/[a-z_]*|ukfs)\.h"')
	if [ -n "$found" ]; then bad "the tool uses more than ukfs.h: $found"; else ok; fi
fi
includes "$(sources conf)" 'conf'
includes "$(sources etfs)" 'etfs|vfs|hostcalls' 'vfs/(image|ukfs)'
includes "$(sources daemon 1)" 'daemon|conf|etfs|vfs' 'vfs/ukfs/tool|daemon/ctl'
includes "$(sources daemon/ctl)" 'daemon/ctl'
for f in vfs/image/*/; do
	other=$(grep -nE '^#include "vfs/image/[a-z]+/' "$f"*.[ch] | grep -v "\"$f")
	if [ -n "$other" ]; then bad "a module includes another: $other"; else ok; fi
done

# outside FILES REGEX WHAT
outside()
{
	# shellcheck disable=SC2086
	found=$(grep -nE "^#include <($2)" $1 /dev/null)
	if [ -n "$found" ]; then bad "$3:
$found"; else ok; fi
}
below="$(sources hostcalls) $(sources vfs) $(sources etfs)"
outside "$below $(sources conf) $(sources daemon/ctl)" 'fuse|syslog|systemd' \
    "only daemon/ may know libfuse and the logger"
outside "$below $(find daemon -name 'fe*.[ch]')" 'glib|gio|gmodule' "no glib where requests pass"
outside "$(sources vfs | grep -vE '^vfs/(image/fstype\.c|ukfs/tool/.*)$') $(sources etfs) $(sources conf)
    $(sources daemon)" 'blkid' "libblkid is hostcalls', detection's and the tool's"
for lib in ext2fs:ext archive:archive sqfs:squashfs; do
	outside "$(sources vfs | grep -v "^vfs/image/${lib#*:}/") $(sources daemon)" \
	    "${lib%:*}" "lib${lib%:*} is the module's"
done

# needs ARCHIVE REGEX WHAT: no undefined symbol that matches.
needs()
{
	lib=$build/lib$1.a
	if [ ! -f "$lib" ]; then
		bad "$lib is not there"
		return
	fi
	found=$(nm -u "$lib" | sed -n 's/^ *U //p' | sort -u | grep -E "$2")
	if [ -n "$found" ]; then bad "lib$1.a needs $3: $(echo "$found" | tr '\n' ' ')"; else ok; fi
}
needs hostcalls '^(vop_|vn_|vfs_|etfs_|conf_|fuse_|g_|syslog)' "something above it"
needs vfs '^(hc_|etfs_|conf_|fuse_|g_[a-z]|syslog)' "something beside it"
needs conf '^(hc_|etfs_|vop_|vn_|vfs_|fuse_|syslog)' "something beside it"
needs etfs '^(conf_|fuse_|g_[a-z]|syslog)' "something above it"
needs daemon '^hc_' "the host calls directly"
needs ctl '^(hc_|etfs_|conf_|vop_|vn_|vfs_|session_|log_|fuse_|syslog|sd_)' "what is the daemon's"
needs ukfscalls '^(hc_|conf_|fuse_|g_[a-z]|syslog)' "something beside it"
# The system calls that touch host files.  rumpfs's memfds are its own memory: it may write
# and seek in those, but has no way to open anything.
needs etfs '^(open(at)?(64)?|creat(64)?|p?(read|write)v?(64)?|stat(x|64)?|[lf]stat(at)?(64)?|mkdir(at)?|mknod(at)?|symlink(at)?|link(at)?|unlink(at)?|rename(at2?)?|readlink(at)?|f?truncate(64)?|l?f?(set|get|list|remove)xattr|f?chmod(at)?|[lf]?chown(at)?|utimensat|futimens|ioctl|getdents64|opendir|realpath|syscall)$' \
    "host files past the host calls"
paths='^(open(at)?(64)?|creat(64)?|fopen(64)?|stat(x|64)?|[l]stat(64)?|fstatat(64)?|mkdir(at)?|mknod(at)?|symlink(at)?|link(at)?|unlink(at)?|rename(at2?)?|readlink(at)?|truncate(64)?|l?f?(set|get|list|remove)xattr|f?chmod(at)?|[lf]?chown(at)?|utimensat|futimens|ioctl|getdents64|opendir|realpath|syscall)$'
needs vfs "$paths" "host files"
needs ukfscalls "$paths" "host files"

# Modules have their device, and no way to anything else of the host.
for m in "$build"/libukfs_*.so; do
	found=$(nm -D --undefined-only "$m" | awk '{ sub("@.*", "", $2); print $2 }' | grep -E \
	    "$paths|^(hc_|etfs_|ukfs_|image_|conf_|fuse_|g_[a-z]|syslog|v?fork|exec|posix_spawn|system|popen|socket|connect)")
	if [ -n "$found" ]; then bad "$m needs $(echo "$found" | tr '\n' ' ')"; else ok; fi
done

# The library: what it links, and what it shows.
lib=$build/libukfs.so
if [ -f "$lib" ]; then
	found=$(readelf -d "$lib" | grep NEEDED | grep -vE '(ld-linux.*|lib(c|blkid|dl|pthread|asan|ubsan|tsan))\.so')
	if [ -n "$found" ]; then bad "libukfs.so links $found"; else ok; fi
	found=$(nm -D --defined-only "$lib" | awk '$2 != "A" { print $3 }' |
	    grep -vE '@@LIBUKFS_(0|PRIVATE)$')
	if [ -n "$found" ]; then bad "symbols without a version: $found"; else ok; fi
	found=$(nm -D --defined-only "$lib" | grep -E ' (hc_|uk_)')
	if [ -n "$found" ]; then bad "libukfs.so shows $found"; else ok; fi
	nm -D --defined-only "$lib" | sed -n 's/^.* \(.*\)@@LIBUKFS_0$/\1/p' | sort >"$build/.public"
	found=$(cc -E -P vfs/ukfs/ukfs.h | grep -oE '\b_?ukfs_[a-z_]+\(' | tr -d '(' | sort -u |
	    diff - "$build/.public")
	if [ -n "$found" ]; then bad "LIBUKFS_0 is not what ukfs.h declares: $found"; else ok; fi
else
	bad "$lib is not there"
fi

# The size rules.
long=$(find daemon vfs etfs hostcalls conf -name '*.[ch]' -exec wc -l {} + |
    awk '$2 != "total" && $1 > 700 { print $2 ": " $1 " lines" }')
if [ -n "$long" ]; then bad "files over 700 lines: $long"; else ok; fi

echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
