#!/bin/sh
# The layers hold: who includes whom, and which symbols each archive needs from outside.
#
#	t-layers.sh BUILD-DIRECTORY
#
# daemon → conf, etfs, vfs · etfs → vfs, hostcalls · conf, vfs, hostcalls → nothing of ours;
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

# includes LAYER ALLOWED-REGEX: no "x/y.h" but these.
includes()
{
	found=$(grep -nE '^#include "' "$1"/*.[ch] | grep -vE "\"($2)/")
	if [ -n "$found" ]; then bad "$1 includes more than it may:
$found"; else ok; fi
}
includes hostcalls 'hostcalls'
includes vfs 'vfs'
includes vfs/ukfs/tool 'vfs/ukfs/tool'
includes conf 'conf'
includes etfs 'etfs|vfs|hostcalls'
includes daemon 'daemon|conf|etfs|vfs'

# outside LAYERS REGEX WHAT
outside()
{
	# shellcheck disable=SC2086
	found=$(grep -nE "^#include <($2)" $1 2>/dev/null)
	if [ -n "$found" ]; then bad "$3:
$found"; else ok; fi
}
outside 'hostcalls/*.[ch] vfs/*.[ch] etfs/*.[ch] conf/*.[ch]' 'fuse|syslog|systemd' \
    "only daemon/ may know libfuse and the logger"
outside 'hostcalls/*.[ch] vfs/*.[ch] etfs/*.[ch] daemon/fe*.[ch]' 'glib|gio|gmodule' \
    "no glib where requests pass"
outside 'vfs/*.[ch] etfs/*.[ch] conf/*.[ch] daemon/*.[ch]' 'blkid' "libblkid is hostcalls'"

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
# The system calls that touch host files.  rumpfs's memfds are its own memory: it may write
# and seek in those, but has no way to open anything.
needs etfs '^(open(at)?(64)?|creat(64)?|p?(read|write)v?(64)?|stat(x|64)?|[lf]stat(at)?(64)?|mkdir(at)?|mknod(at)?|symlink(at)?|link(at)?|unlink(at)?|rename(at2?)?|readlink(at)?|f?truncate(64)?|l?f?(set|get|list|remove)xattr|f?chmod(at)?|[lf]?chown(at)?|utimensat|futimens|ioctl|getdents64|opendir|realpath|syscall)$' \
    "host files past the host calls"
needs vfs '^(open(at)?(64)?|creat(64)?|stat(x|64)?|[l]stat(64)?|fstatat(64)?|mkdir(at)?|mknod(at)?|symlink(at)?|link(at)?|unlink(at)?|rename(at2?)?|readlink(at)?|truncate(64)?|l?f?(set|get|list|remove)xattr|f?chmod(at)?|[lf]?chown(at)?|utimensat|futimens|ioctl|getdents64|opendir|realpath|syscall)$' \
    "host files"

# The size rules.
long=$(wc -l daemon/*.[ch] vfs/*.[ch] etfs/*.[ch] hostcalls/*.[ch] conf/*.[ch] |
    awk '$2 != "total" && $1 > 700 { print $2 ": " $1 " lines" }')
if [ -n "$long" ]; then bad "files over 700 lines: $long"; else ok; fi

echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
