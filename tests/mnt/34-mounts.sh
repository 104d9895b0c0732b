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
refused "options of a type without any" "lines has no options" "vfs = lines" "host = text" \
    "options = colour=red"
for t in ext archive squashfs; do
	has $t || continue
	for f in empty garbage zeros; do
		[ $t-$f = archive-zeros ] || # that is an empty tar
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
reloads "closed, it goes, and all of them" test -e "$M/new/file" -a ! -e "$M/n2" -a \
    ! -e "$M/mem" -a ! -e "$M/covered" -a ! -e "$M/over/1"
same "what lay on one is on what is below" "$(cat "$M/over/sub/src/file")" host

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
reloads "they may go together" test ! -e "$M/deep" -a ! -e "$M/n1" -a ! -e "$M/n2"
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

### What the modules read.
T=$W/tree
mkdir -p "$T/dir/sub"
head -c 3000000 /dev/urandom >"$T/big"
echo small >"$T/dir/small"
: >"$T/empty"
ln -s ../big "$T/dir/link"
chmod 640 "$T/dir/small"
seq 1 100000 >"$T/dir/sub/numbers"
declare -A IMAGE=([squashfs]=a.sqfs [archive]="a.tar a.tgz a.zip a.iso a.7z")
if has squashfs; then
	check "mksquashfs" mksquashfs "$T" "$W/a.sqfs" -quiet -no-progress
fi
if has archive; then
	tar -C "$T" -cf "$W/a.tar" .
	tar -C "$T" -czf "$W/a.tgz" .
	(cd "$T" && zip -qry "$W/a.zip" . && bsdtar -cf "$W/a.7z" --format 7zip .)
	genisoimage -quiet -R -o "$W/a.iso" "$T" 2>/dev/null
fi
for t in squashfs archive; do
	has $t || continue
	for f in ${IMAGE[$t]}; do
		printf '[mount /a]\nhost = %s\n' "$f" >"$W/a.conf"
		rf_start 0 --check "$W/a.conf"
		check "--check: $f" grep -qE "^/a +$t +0 +$(stat -c %s "$W/$f") +ro +$W/$f\$" "$W/.out"
		before=$(sha256sum <"$W/$f")
		rf_mount "$W/a.conf" "$M"
		check "$f has what was put into it" diff -r --no-dereference "$T" "$M/a"
		same "$f: symlinks" "$(readlink "$M/a/dir/link")" ../big
		[ $f = a.iso ] || same "$f: modes" "$(stat -c %a "$M/a/dir/small")" 640
		refuse "$f is not written" 'Read-only' touch "$M/a/dir/small"
		rf_umount "$M"
		same "$f is as it was" "$(sha256sum <"$W/$f")" "$before"
	done
done

# An ISO in a tar in an ext4 in a partition of a disk, declared the wrong way round.
if has archive; then
	mkdir "$W/inner"
	cp "$W/a.iso" "$W/inner/in.iso"
	tar -C "$W/inner" -cf "$W/t.tar" .
	printf '[mount /all/iso]\ndevice = /tar/in.iso\n[mount /tar]\ndevice = %s/t.tar\n' \
	    "$(has ext && echo /all || echo /key)" >"$W/nested.conf"
	if has ext; then
		truncate -s 64M "$W/disk"
		printf 'label: gpt\nsize=48MiB, start=2048, name=data\n' | sfdisk -q "$W/disk" >/dev/null
		mkdir "$W/root"
		cp "$W/t.tar" "$W/root/t.tar"
		mkfs.ext4 -q -F -d "$W/root" -E offset=1048576 "$W/disk" 48m 2>/dev/null
		printf '[mount /all]\ndevice = /disk/p1\n[etfs /disk/p1]\nhost = disk\npartition = data\n' \
		    >>"$W/nested.conf"
	else
		printf '[etfs /key/t.tar]\nhost = t.tar\n' >>"$W/nested.conf"
	fi
	rf_start 0 --check "$W/nested.conf"
	rf_mount "$W/nested.conf" "$M"
	check "a file in an ISO in a tar" diff -r --no-dereference "$T" "$M/all/iso"
	exec 5<"$M/all/iso/big"
	rf_umount "$M" term
	exec 5<&-
fi

# What is mounted for writing.
# fsck WHAT: the image is clean.
fsck()
{
	check "$1: e2fsck" e2fsck -fn "$W/e.img"
	check "$1: its features can be read" sh -c "dumpe2fs -h $W/e.img >'$W/features' 2>&1"
	check "$1: no recovery" sh -c "grep -q 'features:' '$W/features' && ! grep needs_recovery '$W/features'"
}
if has ext; then
	mkfs.ext4 -q -F -d "$T" "$W/e.img" 64m 2>/dev/null
	cp --sparse=always "$W/e.img" "$W/fresh.img"
	printf '[mount /e]\nhost = e.img\n' >"$W/e.conf"
	before=$(sha256sum <"$W/e.img")
	rf_start 0 --check "$W/e.conf"
	check "--check: ext" grep -qE "^/e +ext +0 +67108864 +rw +$W/e.img\$" "$W/.out"
	same "--check writes nothing" "$(sha256sum <"$W/e.img")" "$before"
	for o in "-o ro" "-s"; do
		[ "$o" = -s ] && echo 'access = ro' >>"$W/e.conf"
		rf_mount "$W/e.conf" "$M" $o
		check "read-only" diff -r --no-dereference -x lost+found "$T" "$M/e"
		refuse "read-only" 'Read-only' touch "$M/e/x"
		rf_umount "$M"
		same "read-only, nothing is written" "$(sha256sum <"$W/e.img")" "$before"
	done
	printf '[mount /e]\nhost = e.img\n[mount /e2]\nhost = e.img\naccess = ro\n' >"$W/bad.conf"
	rf_start 3 --check "$W/bad.conf"
	said "--check: one image twice" 'it is mounted already'
	rf_start 3 -f "$W/bad.conf" "$W/no"
	said "one image twice" 'it is mounted already'
	printf '[mount /e]\nhost = e.img\naccess = ro\n[mount /e2]\nhost = e.img\naccess = ro\n' >"$W/bad.conf"
	rf_start 0 --check "$W/bad.conf"
	printf '[etfs /k]\nhost = e.img\naccess = ro\n[mount /e]\ndevice = /k\n' >"$W/bad.conf"
	rf_start 3 --check "$W/bad.conf"
	said "--check: a device that only reads" 'the device cannot be written'
	rf_start 3 -f "$W/bad.conf" "$W/no"
	said "a device that only reads" 'the device cannot be written'
	same "what is refused is not written" "$(sha256sum <"$W/e.img")" "$before"

	# Written, seen, synced, unmounted in every way.
	for how in umount term int; do
		printf '[mount /e]\nhost = e.img\n' >"$W/e.conf"
		rf_mount "$W/e.conf" "$M"
		check "writing" cp -a "$T" "$M/e/copy-$how"
		check "moving" mv "$M/e/copy-$how/dir" "$M/e/copy-$how/moved"
		rm "$M/e/copy-$how/empty"
		df1=$(df --output=avail "$M/e" | tail -n 1)
		[ $how = umount ] || exec 5<>"$M/e/copy-$how/big"
		rf_umount "$M" $how
		exec 5>&-
		fsck "$how"
		rf_mount "$W/e.conf" "$M"
		check "$how: it is there" cmp "$T/big" "$M/e/copy-$how/big"
		check "$how: it was moved" diff -r --no-dereference "$T/dir" "$M/e/copy-$how/moved"
		check "$how: it was removed" test ! -e "$M/e/copy-$how/empty"
		same "$how: as much is free" "$(df --output=avail "$M/e" | tail -n 1)" "$df1"
		rf_umount "$M"
	done
	rf_mount "$W/e.conf" "$M"
	echo soon >"$M/e/soon"
	for ((i = 0; i < 16; i++)); do
		debugfs -R 'cat /soon' "$W/e.img" 2>/dev/null | grep -q soon && break
		sleep 0.5
	done
	at_most "s until it is with the host" $((i / 2 + 1)) 7
	check "without fsync and unmount" sh -c "debugfs -R 'cat /soon' $W/e.img 2>/dev/null | grep soon"

	# A reload beside it looks at others only; and what is written must be closed.
	printf '[mount /e]\nhost = e.img\n[mount /l]\nvfs = lines\nhost = text\n' >"$W/e.conf"
	exec 5>"$M/e/open"
	echo 1 >&5
	reloads "a reload beside it" test -e "$M/l/1"
	echo 2 >&5
	printf '[mount /e]\nhost = e.img\naccess = ro\n[mount /l]\nvfs = lines\nhost = text\n' >"$W/e.conf"
	refuses "a change of one that is in use" 'image at /e: it cannot be unmounted: files are open'
	echo 3 >&5
	exec 5>&-
	same "goes on" "$(cat "$M/e/open")" "$(printf '1\n2\n3')"
	is_ro() { ! touch "$M/e/open" 2>/dev/null; }
	reloads "closed, it becomes read-only" is_ro
	fsck "a reload"
	same "what was written" "$(cat "$M/e/open")" "$(printf '1\n2\n3')"
	sed -i '/access/d' "$W/e.conf"
	is_rw() { touch "$M/e/open" 2>/dev/null; }
	reloads "and writable again" is_rw
	printf '[mount /e]\nhost = e.img\n[mount /again]\nhost = e.img\naccess = ro\n' >"$W/e.conf"
	refuses "one image twice" 'it is mounted already'
	same "it goes on" "$(cat "$M/e/open")" "$(printf '1\n2\n3')"

	# The connection is cut.
	echo last >"$M/e/last"
	devs=$(rf_fuse_devs)
	for d in $devs; do
		grep -q " 0:$d .* $M " /proc/self/mountinfo && echo 1 >"/sys/fs/fuse/connections/$d/abort"
	done
	wait "${RF_PID[$M]}"
	same "the exit status when the connection is cut" $? 5
	unset "RF_PID[$M]"
	fsck "a cut connection"
	same "what was written is there" "$(debugfs -R 'cat /last' "$W/e.img" 2>/dev/null)" last

	# Where it cannot be written back, that is told.
	mkdir "$W/small"
	mount -t tmpfs -o size=12m none "$W/small"
	truncate -s 64M "$W/small/e.img"
	mkfs.ext4 -q -F -E lazy_itable_init=1,nodiscard -J size=4 "$W/small/e.img" 2>/dev/null
	printf '[mount /e]\nhost = small/e.img\n' >"$W/e.conf"
	rf_mount "$W/e.conf" "$M"
	cat /dev/zero >"$W/small/fill" 2>/dev/null
	for ((i = 0; i < 300; i++)); do
		mkdir "$M/e/d$i" 2>/dev/null
	done
	umount "$M"
	wait "${RF_PID[$M]}"
	same "the exit status with a host that is full" $? 5
	check "it is told" grep -q 'image at /e: it could not be written back' "${RF_LOG[$M]}"
	unset "RF_PID[$M]"
	umount "$W/small"
fi

done_testing
