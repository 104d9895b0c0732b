#!/bin/bash
# Configurations that are wrong, from badconf.txt and some that need more than one file:
# the exact messages, exit status 2 from a mount and from --check, nothing mounted, no
# process left.

here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"

dir=$(mktemp -d "${W:-${TMPDIR:-/tmp}}/badconf.XXXXXX")
mkdir "$dir/mnt"

# The processes that run the daemon's program.
daemons()
{
	local p
	for p in /proc/[0-9]*; do
		[ "$(readlink "$p/exe")" = "$RUMPFUSE" ] && echo "${p#/proc/}"
	done
}

# refused NAME EXPECTED ARGUMENT…: the daemon prints what is in the file EXPECTED, no more
# and no less, and ends with status 2.
refused()
{
	local name=$1 expected=$2 rc
	shift 2
	timeout 30 "$RUMPFUSE" "$@" >"$dir/out" 2>"$dir/err"
	rc=$?
	if [ $rc != 2 ]; then
		fail "$name: status $rc, expected 2, of: rumpfuse $*"
		sed 's/^/  | /' "$dir/err" | head -n 20
	elif ! diff -u "$expected" "$dir/err" >"$dir/diff"; then
		fail "$name: other messages than expected from: rumpfuse $*"
		sed 1,2d "$dir/diff" | sed 's/^/  | /'
	elif [ -s "$dir/out" ]; then
		fail "$name: output beside the errors of: rumpfuse $*"
		sed 's/^/  | /' "$dir/out" | head -n 20
	else
		ok "$name: rumpfuse $*"
	fi
}

nothing_left()
{
	local name=$1 p
	if [ "$(cat /proc/self/mountinfo)" != "$mounts" ]; then
		fail "$name: something is mounted"
		umount -l "$dir/mnt"
	fi
	for p in $(daemons); do
		fail "$name: process $p is left"
		kill -9 "$p"
	done
}

# both NAME CONF: a mount of CONF and a check of it say what is in $dir/expected.
both()
{
	refused "$1" "$dir/expected" "$2" "$dir/mnt"
	nothing_left "$1"
	refused "$1" "$dir/expected" --check "$2"
	nothing_left "$1"
}

# expect [LINE…]: what the daemon is to say; FILE is the configuration.
expect()
{
	printf '%s\n' "$@" | sed "s|FILE|$dir/bad.conf|g" >"$dir/expected"
}

RUMPFUSE=$(realpath "$RUMPFUSE")
mounts=$(cat /proc/self/mountinfo)

# Each row of the table becomes NNN.name, NNN.conf and NNN.err.
awk -v dir="$dir" '
	/^=== / { n++; part = "conf"; f = sprintf("%s/%03d.", dir, n)
		  print substr($0, 5) >(f "name"); printf "" >(f "conf"); next }
	!n || (part == "err" && $0 == "") { next }
	part == "conf" && $0 == "---" { part = "err"; close(f "conf"); next }
	{ print >(f part) }
' "$here/badconf.txt"

rows=0
for name in "$dir"/*.name; do
	row=${name%.name}
	cp "$row.conf" "$dir/bad.conf"
	mapfile -t lines <"$row.err"
	expect "${lines[@]}"
	both "$(cat "$name")" "$dir/bad.conf"
	rows=$((rows + 1))
done
check "the table has 60 rows or more" [ "$rows" -ge 60 ]

# What a table of one text cannot hold.
rm "$dir/bad.conf"
expect "FILE: cannot be read: No such file or directory, expected a text file"
both "no file" "$dir/bad.conf"

mkdir "$dir/bad.conf"
expect "FILE: a directory, expected a text file"
both "a directory" "$dir/bad.conf"
rmdir "$dir/bad.conf"

printf '[daemon]\nthreads = 1\0\n' >"$dir/bad.conf"
expect "FILE:2: a NUL byte, expected a text file (nothing after it was read)"
both "a NUL byte" "$dir/bad.conf"

printf '# caf\351\n[etfs /a]\nhost = a\n' >"$dir/bad.conf"
expect "FILE:1: byte 0xe9 in column 6 is not UTF-8, expected UTF-8 text"
both "Latin 1" "$dir/bad.conf"

truncate -s 65M "$dir/bad.conf"
expect "FILE: larger than 64 MiB, expected less"
both "a large file" "$dir/bad.conf"

mkdir "$dir/bad.conf.d"
printf '[dir /a]\nmode = 9\n' >"$dir/bad.conf"
printf '[etfs /a]\nhost = x\n' >"$dir/bad.conf.d/20.conf"
printf '[daemon]\nthreads = none\n' >"$dir/bad.conf.d/10.conf"
expect 'FILE:2: [dir /a] mode: "9" is not a mode, expected octal digits, 0 to 7777' \
    'FILE.d/10.conf:2: [daemon] threads: "none" is not a number of threads, expected auto or 1 to 1024' \
    'FILE.d/20.conf:1: [etfs /a]: the path is declared already by [dir /a] (FILE:1), expected one section for a path'
both "drop-ins" "$dir/bad.conf"
rm -r "$dir/bad.conf.d"

# What would be waited for.
mkfifo "$dir/fifo"
sed "s|FILE|$dir/fifo|" >"$dir/expected" <<<'FILE: not a regular file, expected a text file'
refused "a fifo" "$dir/expected" "$dir/fifo" "$dir/mnt"
nothing_left "a fifo"
rm "$dir/fifo"
: >"$dir/bad.conf"
mkdir "$dir/bad.conf.d"
mkfifo "$dir/bad.conf.d/10.conf"
expect 'FILE.d/10.conf: not a regular file, expected a text file'
both "a fifo as a drop-in" "$dir/bad.conf"
rm -r "$dir/bad.conf.d"

# Keys on the command line.
expect '-k:1: "/x" has no "=", expected KEY=HOST' \
    '-k:2: [etfs /y] type: "blob" is not a type, expected reg, blk, chr, dir or dir-subdirs'
refused "-k" "$dir/expected" -k /x -k /y=f,type=blob none "$dir/mnt"
nothing_left "-k"

printf '[file /f]\n' >"$dir/bad.conf"
expect '-k:1: [etfs /f/k]: the path is below [file /f] (FILE:1), expected a directory above it'
refused "-k below a file" "$dir/expected" -k /f/k=/dev/null "$dir/bad.conf" "$dir/mnt"
nothing_left "-k below a file"

rm -r "$dir"
done_testing
