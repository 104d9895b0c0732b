#!/bin/bash
# [mount PATH]: images in the mount.  What every type has is seen on the example module
# (lines: the lines of a text are files) and on the tree in memory; then ext, archives and
# squashfs, each where its module was built.
LIMIT=200
. "$(dirname "$0")/lib.sh"
M=$W/m
printf 'one\ntwo\nthree\n' >"$W/text"
printf 'inner one\ninner two\n' >"$W/lines.txt"
mkdir "$W/src"
echo host >"$W/src/file"

has()
{
	[ -e "$UKFS_MODULES/libukfs_$1.so" ]
}

# said WHAT TEXT: the last rf_start said so.
said()
{
	check "$1: $2" grep -qF -- "$2" "$W/.out"
}

# hup: a SIGHUP for the daemon of $M; what it logs from now on is what logged looks at.
hup()
{
	LOGGED=$(($(wc -l <"${RF_LOG[$M]}") + 1))
	kill -HUP "${RF_PID[$M]}"
}

# logged WHAT TEXT: the daemon of $M logs it (5 s).
logged()
{
	local i
	for ((i = 0; i < 100 * ${RF_SLOW:-1}; i++)); do
		tail -n "+$LOGGED" "${RF_LOG[$M]}" | grep -qE -- "$2" && break
		sleep 0.05
	done
	check "$1: $2" grep -qE -- "$2" <(tail -n "+$LOGGED" "${RF_LOG[$M]}")
}

# reloads WHAT COMMAND…: a reload, after which the command succeeds.
reloads()
{
	LOGGED=$(($(wc -l <"${RF_LOG[$M]}") + 1))
	rf_reload "$M" "$@"
}

# refuses WHAT TEXT: a reload that is refused, and says why.
refuses()
{
	hup
	logged "$1" "$2"
	logged "$1" 'was not reloaded; nothing has changed'
}

### Types, and the table.
rf_start 0 --types
check "--types has the tree in memory" grep -qE '^rumpfs +rw  a tree in memory' "$W/.out"
check "--types has a module, which only reads" grep -qE '^lines +ro  .*lines' "$W/.out"
for t in ext archive squashfs; do
	if has $t; then
		check "--types has $t" grep -qE "^$t +r[ow]  ." "$W/.out"
	else
		skip "there is no module $t"
	fi
done
UKFS_MODULES=$W/none rf_start 0 --types
same "--types without modules" "$(cut -d' ' -f1 "$W/.out")" rumpfs

cat >"$W/table.conf" <<'X'
[mount /deep/in/n]
vfs = lines
device = /deep/key
[etfs /deep/key]
host = text
[mount /w]
vfs = lines
host = text
begin = 4
size = 4
access = ro
lock = no
[mount /mem]
vfs = rumpfs
options = size=2M
X
before=$(sha256sum <"$W/text")
rf_start 0 --check "$W/table.conf"
check "--check: a device" grep -qE '^/deep/in/n +lines +- +- +ro +/deep/key \(device\)$' "$W/.out"
check "--check: a range" grep -qE "^/w +lines +4 +4 +ro +$W/text\$" "$W/.out"
check "--check: in memory" grep -qE '^/mem +rumpfs +- +- +rw +-$' "$W/.out"
same "--check leaves the host file" "$(sha256sum <"$W/text")" "$before"

### Over keys and under them, each in the other.
cat >"$W/all.conf" <<'X'
[mount /n2]
vfs = lines
device = /n1/3
[mount /n1]
vfs = lines
device = /deep/er/key
[etfs /deep/er/key]
host = text
[mount /over]
vfs = lines
host = text
[etfs /over/sub/src]
host = src
[etfs /over/2]
host = lines.txt
[file /over/note]
content = a note
mode = 0600
[dir /over/dir]
[whiteout /over/3]
[etfs /covered]
host = src
[mount /covered/by]
vfs = lines
host = text
uid = 12
gid = 13
[mount /mem]
vfs = rumpfs
options = size=1M,mode=0711
uid = 14
[mount /memro]
vfs = rumpfs
access = ro
X
rf_mount "$W/all.conf" "$M"
same "the names of an image" "$(cd "$M/n1" && echo *)" "1 2 3"
same "a line" "$(cat "$M/n1/2")" two
same "an image in an image" "$(cat "$M/n2/1")" three
same "keys, nodes and an image at one place" "$(cd "$M/over" && echo *)" "1 2 dir note sub"
same "a key over an image's file" "$(tail -n 1 "$M/over/2")" "inner two"
same "a key in an image" "$(cat "$M/over/sub/src/file")" host
same "a node in an image" "$(cat "$M/over/note") $(stat -c %a "$M/over/note")" "a note 600"
refuse "a whiteout in an image" 'No such file' cat "$M/over/3"
same "an image in a key" "$(cat "$M/covered/by/1"; cat "$M/covered/file")" "$(printf 'one\nhost')"
check "nothing is made on the host" test ! -e "$W/src/by"
same "whose it is" "$(stat -c %u:%g "$M/covered/by/1")" 12:13
same "a tree in memory" "$(stat -c '%a %u %F' "$M/mem")" "711 14 directory"
echo data >"$M/mem/file"
same "it can be written" "$(cat "$M/mem/file")" data
refuse "it has its size" 'No space' dd if=/dev/zero of="$M/mem/big" bs=1M count=2
refuse "access = ro" 'Read-only' touch "$M/memro/x"
refuse "what only reads" 'Read-only' touch "$M/n1/x"
refuse "nor what is in it" 'Read-only|Permission' sh -c "echo x >$M/n1/1"
refuse "an image cannot be removed" 'busy' rmdir "$M/mem"
refuse "nor moved" 'busy' mv "$M/mem" "$M/elsewhere"
refuse "nor files moved out of it by rename" 'cross-device|Invalid' \
    python3 -c "import os; os.rename('$M/mem/file', '$M/file')"
same "no two files have one number" \
    "$(find "$M/n1" "$M/n2" "$M/over" "$M/covered/by" "$M/mem" -printf '%i\n' 2>&1 | sort |
	uniq -d)" ""
same "listings show the same numbers" "$(ls -i "$M/n1" | head -n 1 | awk '{ print $1 }')" \
    "$(stat -c %i "$M/n1/1")"
same "df of an image" "$(df --output=itotal "$M/n1" | tail -n 1 | tr -d ' ')" 4
same "df of a tree in memory" "$(df -B1 --output=size "$M/mem" | tail -n 1 | tr -d ' ')" 1048576
rf_umount "$M" term

rf_mount "$W/all.conf" "$M" -o ro
same "the whole read-only" "$(cat "$M/n2/1")" three
refuse "the whole read-only" 'Read-only' touch "$M/mem/x"
rf_umount "$M"

### At the root.
rf_mount "[mount /]
vfs = lines
host = $W/text
[etfs /src]
host = $W/src" "$M"
same "an image at the root" "$(cd "$M" && echo * && cat 1 src/file)" "$(printf '1 2 3 src\none\nhost')"
rf_umount "$M"

### What is refused: status 3, and where and why.
: >"$W/empty"
head -c 300K /dev/urandom >"$W/garbage"
dd if=/dev/zero of="$W/zeros" bs=1K count=300 status=none
truncate -s 1M "$W/swap" # blkid knows it, and nobody reads it
mkswap "$W/swap" >/dev/null 2>&1
# refused WHAT TEXT LINES…: of [mount /p] with these lines, by --check and by mounting.
refused()
{
	local what=$1 text=$2
	shift 2
	printf '%s\n' "[dir /d]" "[etfs /k]" "host = empty" "[mount /p]" "$@" >"$W/bad.conf"
	rf_start 3 --check "$W/bad.conf"
	said "--check: $what" "bad.conf:4: [mount /p]: "
	said "--check: $what" "$text"
	mkdir -p "$W/no"
	rf_start 3 -f "$W/bad.conf" "$W/no"
	said "$what" "$text"
}
refused "an unknown type" "there is no file system type minix" "vfs = minix" "host = text"
refused "no device" "No such file or directory" "vfs = lines" "device = /nowhere/at/all"
refused "no host file" "No such file or directory" "vfs = lines" "host = nowhere"
refused "a directory as device" "Is a directory" "vfs = lines" "device = /d"
refused "a directory as host" "irectory" "vfs = lines" "host = src"
refused "an empty file" "no file system type recognises it" "device = /k"
refused "garbage" "no file system type recognises it" "host = garbage"
refused "zeros" "no file system type recognises it" "host = zeros"
refused "what there is no module for" "it is swap, for which there is no module" "host = swap"
refused "a partition that is not there" "partition" "host = garbage" "partition = 7"
refused "a range beyond the end" "text" "vfs = lines" "host = text" "begin = 1M"
refused "options that the type has not" 'option "colour"' "vfs = rumpfs" "options = colour=red"
for t in ext archive squashfs; do
	has $t || continue
	for f in empty garbage zeros; do
		refused "$f as $t" "$t: " "vfs = $t" "host = $f"
	done
	refused "a directory as $t" "irectory" "vfs = $t" "device = /d"
done
mkdir -p "$W/modules"
UKFS_MODULES=$W/modules rf_start 3 --check "$W/table.conf"
said "without modules" "there is no file system type lines, but: rumpfs"
echo garbage >"$W/modules/libukfs_lines.so"
UKFS_MODULES=$W/modules rf_start 3 --check "$W/table.conf"
said "a module that is none" "there is no file system type lines, but: rumpfs"

### Reload.
cat >"$W/r.conf" <<'X'
[dir /d]
X
rf_mount "$W/r.conf" "$M"
# Also: modules are loaded behind the filter of system calls.
sed '/^\[file/,/^\[dir/d; /whiteout/d' "$W/all.conf" >"$W/r.conf"
reloads "a reload mounts" test -e "$M/n2/1"
same "in the order of what needs what" "$(cat "$M/n2/1" "$M/covered/by/1")" "$(printf 'three\none')"
logged "it is told" 'images mounted: 6, unmounted: 0'
check "something in the tree in memory" sh -c "echo kept >$M/mem/file"

# Nothing happens to what stays as it is.
exec 5<"$M/n1/1" 6<"$M/mem/file"
sed -i 's/uid = 12/uid = 22/' "$W/r.conf"
uid_of() { [ "$(stat -c %u "$M/covered/by/1")" = "$1" ]; }
reloads "a change of one image" uid_of 22
same "others are not touched" "$(cat <&5; cat <&6; cat "$M/mem/file")" "$(printf 'one\nkept\nkept')"
logged "it is told" 'images mounted: 1, unmounted: 1'
exec 5<&- 6<&-

# One that is in use keeps all as it was.
cp "$W/r.conf" "$W/good.conf"
exec 5<"$M/n1/1"
cat >"$W/r.conf" <<'X'
[etfs /deep/er/key]
host = text
[etfs /new]
host = src
[etfs /over/sub/src]
host = src
X
refuses "an open file keeps its image" 'image at /n1: it cannot be unmounted: files are open'
same "what had been unmounted is back" \
    "$(cat "$M/n2/1" "$M/covered/by/1" "$M/over/sub/src/file")" "$(printf 'three\none\nhost')"
check "nothing new is there" test ! -e "$M/new"
same "the open file goes on" "$(cat <&5)" one
exec 5<&-
reloads "closed, it goes" test -e "$M/new/file"
check "all of them" test ! -e "$M/n2" -a ! -e "$M/mem" -a ! -e "$M/covered"
same "what lay on one is on what is below" "$(cat "$M/over/sub/src/file")" host
check "and that alone" test ! -e "$M/over/1"

# A key that an image lies on.
cp "$W/good.conf" "$W/r.conf"
reloads "they are mounted again" test -e "$M/n2/1"
awk '/^\[etfs .deep/ { n = 2 } n-- > 0 { next } 1' "$W/good.conf" >"$W/r.conf"
refuses "a key cannot go below an image that stays" \
    'key /deep/er/key: cannot be removed: an image is mounted from it'
awk '/^\[etfs .deep/ { n = 2 } n-- > 0 { sub("text", "lines.txt") } 1' "$W/good.conf" >"$W/r.conf"
refuses "nor change" 'key /deep/er/key: cannot be removed: an image is mounted from it'
same "it is as it was" "$(cat "$M/n2/1" "$M/over/1" "$M/covered/by/1")" "$(printf 'three\none\none')"
awk '/^\[(mount .n[12]|etfs .deep)/ { n = 3 } /^\[etfs .deep/ { n = 2 } n-- > 0 { next } 1' \
    "$W/good.conf" >"$W/less.conf"
cp "$W/less.conf" "$W/r.conf"
reloads "they may go together" test ! -e "$M/deep"
check "both" test ! -e "$M/n1" -a ! -e "$M/n2"
same "the rest stays" "$(cat "$M/over/1")" one

# What is refused is refused before anything is touched …
{
	awk '/^\[mount .over/ { n = 3 } n-- > 0 { next } 1' "$W/less.conf"
	printf '[mount /new2]\nvfs = lines\nhost = text\n[mount /x]\nhost = garbage\n'
} >"$W/r.conf"
refuses "one that is refused" '\[mount /x\]: .*no file system type recognises it'
check "neither new nor gone" test -e "$M/over/1" -a ! -e "$M/new2"
# … and what cannot be tried, because it is in an image that runs, is put back.
cp "$W/good.conf" "$W/r.conf"
reloads "they are mounted again" test -e "$M/n2/1"
{
	awk '/^\[mount .(over|n2)/ { n = 3 } n-- > 0 { next } 1' "$W/good.conf"
	printf '[mount /new2]\nvfs = lines\nhost = text\n[mount /x/y]\nvfs = lines\ndevice = /n1/4\n'
} >"$W/r.conf"
refuses "one that is refused at last" '\[mount /x/y\]: .*No such file'
check "neither new nor gone" test -e "$M/over/1" -a -e "$M/n2/1" -a ! -e "$M/new2"
sed -i 's,/n1/4,/n1/3,' "$W/r.conf"
reloads "an image in one that runs" test -e "$M/x/y/1"
rf_umount "$M"

### With a file open, by force.
for how in term int; do
	rf_mount "$W/all.conf" "$M"
	exec 5<"$M/n2/1"
	rf_umount "$M" $how
	exec 5<&-
done


done_testing
