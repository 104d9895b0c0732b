#!/bin/bash
# The ukfs tool on real images: every command, against what the kernel's own driver or the
# source tree shows; by an unprivileged user; partition tables; refusals; evidence that is
# left untouched.
LIMIT=170
. "$(dirname "$0")/lib.sh"
build=$(dirname "$RUMPFUSE")

# Where another user can get at it, too.
mkdir "$W/bin" "$W/lib" "$W/mod"
cp "$build/ukfs" "$W/bin/"
cp -L "$build"/libukfs.so.0 "$W/lib/"
cp "$build"/libukfs_*.so "$W/mod/"
export LD_LIBRARY_PATH=$W/lib UKFS_MODULES=$W/mod TZ=UTC0
ukfs()
{
	"$W/bin/ukfs" "$@"
}
# status WHAT WANTED ARGS…: the exit code; what it says is in $W/.out.
status()
{
	local what=$1 want=$2 rc
	shift 2
	ukfs "$@" >"$W/.out" 2>&1 </dev/null
	rc=$?
	same "$what: status" $rc "$want" || sed 's/^/  | /' "$W/.out" | head -n 20
}
# nothing_differs WHAT A B: the trees are the same in everything that rsync knows of.
nothing_differs()
{
	rsync -naHAXi --checksum --delete --numeric-ids "$2/" "$3/" >"$W/.diff" 2>&1
	if [ -s "$W/.diff" ]; then
		fail "$1: $(head -n 20 "$W/.diff")"
	else
		ok "$1"
	fi
}
# like WHAT GOT WANTED: long texts; what differs is shown.
like()
{
	if [ "$2" = "$3" ]; then
		ok "$1"
	else
		fail "$1:"
		diff <(echo "$3") <(echo "$2") | head -n 20 | sed 's/^/  | /'
	fi
}
clean()
{
	check "$1: e2fsck" e2fsck -fn "$2"
}

# A tree with everything in it.
src=$W/src
mkdir -p "$src/dir/sub/deep" "$src/empty" "$src/etc" "$src/many"
printf 'root:x:0:0::/:\nalice:x:1234:4321::/:\n' >"$src/etc/passwd"
printf 'root:x:0:\nwheel:x:4321:\n' >"$src/etc/group"
head -c 5000000 /dev/urandom >"$src/dir/random"
truncate -s 20M "$src/dir/sparse"
printf end | dd of="$src/dir/sparse" bs=1 seek=9000000 conv=notrunc status=none
ln "$src/dir/random" "$src/dir/sub/hard"
ln -s ../dir/random "$src/empty/link"
ln -s /nowhere "$src/dangling"
mkfifo "$src/fifo"
mknod "$src/null" c 1 3
mknod "$src/disk" b 8 1
printf 'x' >"$src/a b"
printf 'x' >"$src/$(printf 'esc\033[31m\nline')"
printf 'x' >"$src/-dash"
printf 'x' >"$src/:colon"
chmod 4755 "$src/dir/random"
chmod 0 "$src/a b"
chmod 1777 "$src/empty"
chown 1234:4321 "$src/dir" "$src/etc/passwd"
chown -h 33:33 "$src/dangling"
setfattr -n user.text -v value "$src/etc/passwd"
setfattr -n user.bytes -v 0x00ff10 "$src/dir"
setfattr -n trusted.t -v t "$src/fifo"
setfacl -m u:1234:rw,g:33:r "$src/etc/group"
setfacl -d -m u:1234:rwx "$src/empty"
for ((i = 0; i < 300; i++)); do
	echo "$i" >"$src/many/file$i"
done
touch -d '2001-02-03 04:05:06.789' "$src/etc/passwd" "$src/dir" "$src/many/file7"
touch -h -d '1999-01-02 03:04:05' "$src/dangling"

ext=$W/ext4.img
truncate -s 96M "$ext"
mkfs.ext4 -q -F -L label -d "$src" "$ext" || fail "mke2fs -d"
mksquashfs "$src" "$W/sq.img" -quiet -no-progress >/dev/null 2>&1
tar -C "$src" --format=posix --xattrs --acls --sparse -cf "$W/src.tar" . 2>/dev/null

# Reading, against the kernel.
mkdir "$W/k"
sum=$(sha256sum <"$ext")
check "the kernel mounts it" mount -o loop,ro,noload "$ext" "$W/k"
for o in -1 -a -A -lnA -inA -lnR -R -lnt -lnS -r -lnsF; do
	like "ls $o" "$(ukfs "$ext" ls $o .)" "$(cd "$W/k" && ls $o .)"
done
like "ls -lnai" "$(ukfs "$ext" ls -lnai dir)" "$(ls -lnai "$W/k/dir")"
same "ls -U has the names" "$(ukfs "$ext" ls -U1 / | sort)" "$(ls -U1 "$W/k" | sort)"
like "ls -lh" "$(ukfs "$ext" ls -lnh dir | tail -n +2)" "$(ls -lnh "$W/k/dir" | tail -n +2)"
like "ls -d" "$(ukfs "$ext" ls -dln dir empty dangling)" "$(cd "$W/k" && ls -dln dir empty dangling)"
like "ls --full-time" "$(ukfs "$ext" ls -n --full-time etc | tail -n +2)" \
    "$(ls -n --full-time "$W/k/etc" | tail -n +2)"
same "names of owners are the image's" "$(ukfs "$ext" stat -c %U:%G /etc/passwd)" alice:wheel
same "cat" "$(ukfs "$ext" cat /dir/random etc/passwd | sha256sum)" \
    "$(cat "$W/k/dir/random" "$W/k/etc/passwd" | sha256sum)"
f='%n %s %b %f %a %A %u %g %h %i %F %t %T %Y %y %X %Z %N'
for p in dir etc/passwd dir/sparse null disk fifo dangling empty 'a b'; do
	same "stat $p" "$(ukfs "$ext" stat -c "$f" "$p")" "$(cd "$W/k" && stat -c "$f" "$p")"
done
same "stat -L" "$(ukfs "$ext" stat -L -c '%F %s' empty/link)" "regular file 5000000"
same "stat" "$(ukfs "$ext" stat etc/passwd | grep -v '^Device\|IO Block\|Uid')" \
    "$(cd "$W/k" && stat etc/passwd | grep -v '^Device\|IO Block\|Uid\|Birth')"
same "readlink" "$(ukfs "$ext" readlink empty/link dangling)" "../dir/random
/nowhere"
finds=('-type f' '-name *[1-3]* -type f' '! -type f' '-size +100k' '-size -2' '-size 5000000c'
    '-newer ./etc/passwd -type d' '-perm 4755' '-perm -1000' '-perm /4000 -o -links 2'
    '-maxdepth 1' '-mindepth 2 -maxdepth 2' '-empty' '-path */sub/*' '-depth -type d'
    '-name dir -prune -o -print' '-user 1234' '-lname *nowhere*' '-mtime +1000'
    '( -name fifo -o -name null ) -print' '-iname FIFO' '-inum +0 -type d' '-name sub -quit')
set -f
for e in "${finds[@]}"; do
	case $e in
	*1234*) k=${e/-user/-uid} ;;
	*) k=$e ;;
	esac
	like "find $e" "$(ukfs "$ext" find . $e | sort)" "$(cd "$W/k" && find . $k | sort)"
done
set +f
same "find -print0" "$(ukfs "$ext" find . -print0 | sort -z | sha256sum)" \
    "$(cd "$W/k" && find . -print0 | sort -z | sha256sum)"
like "du" "$(ukfs "$ext" du -ac etc many dir/sub | sort)" "$(cd "$W/k" && du -ac etc many dir/sub | sort)"
same "du of files of several names" "$(ukfs "$ext" du -s .)" "$(cd "$W/k" && du -s .)"
same "du -sb" "$(ukfs "$ext" du -sb dir)" "$(cd "$W/k" && du -sb dir)"
# The kernel keeps some room for itself.
same "df" "$(ukfs "$ext" df | awk 'NR == 2 { print $3, $4 }')" \
    "$(df "$W/k" | awk 'NR == 2 { print $2, $3 }')"
same "df -i" "$(ukfs "$ext" df -i | awk 'NR == 2 { print $3, $4, $5 }')" \
    "$(df -i "$W/k" | awk 'NR == 2 { print $2, $3, $4 }')"
check "df -h" sh -c "\"\$0\" \"\$1\" df -h | grep -q '9[0-9]M\\|8[0-9]M'" "$W/bin/ukfs" "$ext"
same "tree counts" "$(ukfs "$ext" tree -a / | tail -n 1)" \
    "$(find "$W/k" -mindepth 1 -type d | wc -l) directories, $(find "$W/k" ! -type d -printf x | wc -c) files"
same "tree -L 1 -d" "$(ukfs "$ext" tree -d -L 1 /)" "/
|-- dir
|-- empty
|-- etc
|-- lost+found
\`-- many

5 directories"
same "xattr" "$(ukfs "$ext" xattr dir; ukfs "$ext" xattr -p user.text etc/passwd)" \
    'user.bytes=0x00ff10
value'
check "cp -a out" ukfs "$ext" cp -a :/ "$W/out"
nothing_differs "the copy equals what the kernel shows" "$W/k" "$W/out"
umount "$W/k"
rm -r "$W/out/lost+found"
touch -r "$src" "$W/out"
nothing_differs "the copy equals the source" "$src" "$W/out"
at_most "KiB that the copy's sparse file takes" "$(du -k "$W/out/dir/sparse" | cut -f 1)" 100
same "the image after all that" "$(sha256sum <"$ext")" "$sum"
for i in "$W/sq.img" "$W/src.tar"; do
	rm -rf "$W/out"
	check "cp -a out of $(basename "$i")" ukfs "$i" cp -a :/ "$W/out"
	# squashfs has whole seconds, and no ACLs.
	acl=-A
	[ "$i" = "$W/src.tar" ] || acl=
	rsync -naHX $acl -i --checksum --delete --modify-window=1 "$src/" "$W/out/" >"$W/.diff" 2>&1
	same "the copy of $(basename "$i") equals the source" "$(cat "$W/.diff")" ""
done
same "cat out of a tar" "$(ukfs "$W/src.tar" cat etc/passwd)" "$(cat "$src/etc/passwd")"
status "mkdir in a squashfs" 1 "$W/sq.img" mkdir /x
check "  and why" grep -q '^ukfs: .*/x: Read-only file system$' "$W/.out"

# Names on a terminal.
same "a terminal gets no escape sequences" "$(script -qec "$W/bin/ukfs $ext ls -1 /" /dev/null |
    grep -c "$(printf '\033')")" 0
same "  but what a shell reads" "$(script -qec "$W/bin/ukfs $ext ls -1 /" /dev/null | grep esc | tr -d '\r')" \
    "'esc'\$'\\033''[31m'\$'\\n''line'"
same "ls -q" "$(ukfs "$ext" ls -q / | grep esc)" 'esc?[31m?line'
same "ls -b" "$(ukfs "$ext" ls -b / | grep esc)" 'esc\033[31m\nline'

# Writing: a whole tree in, and compared by the kernel.
new=$W/new.img
truncate -s 96M "$new"
mkfs.ext4 -q -F "$new"
check "cp -a in" ukfs "$new" cp -a "$src/." :/
clean "after cp -a in" "$new"
mount -o loop,ro "$new" "$W/k"
rm -rf "$W/out"
cp -a "$W/k" "$W/out"
umount "$W/k"
rmdir "$W/out/lost+found"
touch -r "$src" "$W/out"
nothing_differs "what the kernel shows equals the source" "$src" "$W/out"
at_most "KiB that the sparse file takes in the image" "$(ukfs "$new" du dir/sparse | cut -f 1)" 100
truncate -s 5G "$W/large"
printf 'far away' | dd of="$W/large" bs=1 seek=4900000000 conv=notrunc status=none
check "cp of 5 GiB of hole" ukfs "$new" cp "$W/large" :/large
check "  and out" ukfs "$new" cp :/large "$W/large2"
same "  its size" "$(stat -c %s "$W/large2")" 5368709120
same "  what is in it" "$(dd if="$W/large2" bs=1 skip=4900000000 count=8 status=none)" "far away"
at_most "  KiB that it takes" "$(du -k "$W/large2" | cut -f 1)" 100
check "  rm" ukfs "$new" rm /large
check "cp -a within" ukfs "$new" cp -a :/dir :/dir2
rm -rf "$W/out"
check "and out" ukfs "$new" cp -a :/dir2 "$W/out"
nothing_differs "three copies later" "$src/dir" "$W/out"
clean "after copies" "$new"

# Every other command that writes, in one mount.
cat >"$W/script" <<X
mkdir -p -m 2750 /c/x/y
mkdir "/c/with blank" # and a comment
truncate -s 10k /c/file
touch -d '2020-01-02 03:04:05' '/c/file'
chmod u=rwx,g+x,o-r /c/file
chown alice:wheel /c/file
ln /c/file /c/hard
ln -s file /c/soft
chown -h 7:8 /c/soft
mv /c/hard "/c/with blank"
mv -T '/c/with blank' /c/moved
xattr -w user.k v /c/file
cp $src/etc/group :/c/group
cp :/c/group :/c/x/y
cp -r :/c/x :/c/x2
rm -r /c/x
rmdir /empty2
mkdir /empty2
rmdir /empty2
rm -f /c/none
find /many -name 'file1*' -delete
cd /c
mv group renamed
X
ukfs "$new" - <"$W/script" 2>"$W/.out"
same "a script: one of its lines fails" $? 1
same "  and says which" "$(cat "$W/.out")" "ukfs: cannot remove /empty2: No such file or directory"
clean "after the script" "$new"
mount -o loop,ro "$new" "$W/k"
like "what it has made" "$(cd "$W/k/c" && find . -printf '%p %y %m %U:%G %l\n' | sort)" \
    ". d 755 0:0 
./file f 750 1234:4321 
./moved d 755 0:0 
./moved/hard f 750 1234:4321 
./renamed f 644 0:0 
./soft l 777 7:8 file
./x2 d 755 0:0 
./x2/y d 750 0:0 
./x2/y/group f 644 0:0 "
same "  sizes and links" "$(cd "$W/k/c" && stat -c '%s %h' file moved/hard)" "10240 2
10240 2"
check "  bytes" cmp "$W/k/c/x2/y/group" "$src/etc/group"
same "the time" "$(stat -c %y "$W/k/c/file")" "2020-01-02 03:04:05.000000000 +0000"
same "the attribute" "$(getfattr --absolute-names --only-values -n user.k "$W/k/c/file")" v
same "what find has deleted" "$(ls "$W/k/many" | grep -c '^file1')" 0
same "and what not" "$(ls "$W/k/many" | wc -l)" $((300 - 111))
umount "$W/k"
printf 'hello\n' | check "write" ukfs "$new" write /w
printf 'world\n' | check "write -a" ukfs "$new" write -a /w
same "what was written" "$(ukfs "$new" cat w)" "hello
world"
check "rm -r of all" ukfs "$new" rm -r /dir /dir2 /many /c /etc
clean "after rm" "$new"

# cp as cp(1) does, side by side.
mkdir "$W/cp" "$W/cp/there"
cd "$W/cp" || exit 1
ukfs "$new" mkdir /there
for args in "SRCetc/passwd DSTnew" "SRCetc/passwd SRCetc/group DSTthere" "-r SRCetc DSTthere" \
    "-r SRCetc/ DSTthere2" "-rT SRCetc DSTthere" "SRCetc DSTx" "SRCetc/passwd SRCnone DSTthere" \
    "SRCetc/passwd SRCetc/group DSTnowhere" "-r SRCetc/. DSTthere3" "SRCempty/link DSTcontent" \
    "-P SRCempty/link DSTlink" "-n SRCetc/group DSTnew" "-p SRCetc/passwd DSTkept" \
    "-r SRCfifo DSTfifo" "-t DSTthere SRCmany/file1"; do
	h=${args//SRC/$src/}
	cp ${h//DST/} >/dev/null 2>&1
	hr=$?
	ukfs "$new" cp ${h//DST/:/} >"$W/.out" 2>&1
	same "status of cp $args" $? $hr
done
rm -rf "$W/out"
mkdir "$W/out"
ukfs "$new" cp -a :/there :/there2 :/there3 :/new :/content :/link :/kept :/fifo "$W/out"
same "what those have made" "$(cd "$W/out" && find . -type f -printf '%p %m %s\n' -o -printf '%p %m %l\n' | sort)" \
    "$(cd "$W/cp" && find . -type f -printf '%p %m %s\n' -o -printf '%p %m %l\n' | sort)"
same "a time that was kept" "$(stat -c %y "$W/out/kept")" "$(stat -c %y "$src/etc/passwd")"
cd "$W" || exit 1

# Somebody without any right, with an image of his own.
cp "$new" "$W/his.img"
mkdir "$W/his"
chown 4000:4000 "$W/his.img" "$W/his"
as_him()
{
	setpriv --reuid 4000 --regid 4000 --clear-groups --no-new-privs "$W/bin/ukfs" "$@"
}
chmod -R a+rX "$W/src" 2>/dev/null
check "a user makes directories" as_him "$W/his.img" mkdir -p /root/x
check "  copies in" as_him "$W/his.img" cp -r "$src/etc" :/root/x
check "  gives owners" as_him "$W/his.img" chown -R 77:88 /root/x/etc
same "  and sees them" "$(as_him "$W/his.img" stat -c %u:%g /root/x/etc/group)" 77:88
check "  copies out, without owners" as_him "$W/his.img" cp -a :/root/x/etc "$W/his/etc"
same "  as himself" "$(stat -c %u "$W/his/etc/group")" 4000
clean "after him" "$W/his.img"
chmod 444 "$W/his.img"
chown 0:0 "$W/his.img"
check "an image that he may only read" as_him "$W/his.img" ls /root
refuse "  he cannot write" 'ukfs: .*(Permission denied|cannot be written)' as_him "$W/his.img" mkdir /y

# A dirty image is read as it is.
dirty=$W/dirty.img
truncate -s 32M "$dirty"
mkfs.ext4 -q -F "$dirty"
debugfs -w -R 'feature needs_recovery' "$dirty" >/dev/null 2>&1
debugfs -w -R 'set_super_value state 0' "$dirty" >/dev/null 2>&1
sum=$(sha256sum <"$dirty")
status "ls of an image that needs recovery" 0 "$dirty" ls /
check "  shows it" grep -qx lost+found "$W/.out"
same "  and leaves it so" "$(sha256sum <"$dirty")" "$sum"
status "-r and mkdir" 1 -r "$dirty" mkdir /x
same "  leaves it so" "$(sha256sum <"$dirty")" "$sum"

# Partition tables.
cp "$ext" "$W/part"
gpt=$W/gpt.img
truncate -s 256M "$gpt"
sfdisk -q "$gpt" <<X
label: gpt
size=100MiB, name=data, uuid=6f1b2a3c-0d4e-4f5a-8b6c-7d8e9fa0b1c2
size=32MiB, name=same, type=U
size=32MiB, name=same, type=S
size=32MiB, name="co,mm:a"
X
dd if="$ext" of="$gpt" bs=1M seek=1 conv=notrunc status=none
dd if="$W/sq.img" of="$gpt" bs=512 conv=notrunc status=none \
    seek="$(sfdisk -J "$gpt" | jq '.partitiontable.partitions[3].start')"
same "rows of a GPT" "$(ukfs "$gpt" | awk 'NR > 2 { print $1, $2, $3 }')" \
    "$(sfdisk -J "$gpt" | jq -r '.partitiontable.partitions | to_entries[] |
	"\(.key + 1) \(.value.start * 512) \(.value.size * 512)"')"
ukfs "$gpt" >"$W/.out"
check "  what it is" grep -q 'partition table gpt, id .*, 4 partitions' "$W/.out"
check "  a row" grep -qE '^  1 +1048576 +104857600 +100M +Linux filesystem +ext4 +label +data +6f1b2a3c-0d4e-4f5a-8b6c-7d8e9fa0b1c2$' "$W/.out"
check "  another" grep -qE '^  2 .* 32M +EFI system +- +- +same ' "$W/.out"
check "  and another" grep -qE "^  4 .* 32M +Linux filesystem +squashfs +- +co,mm:a " "$W/.out"
for p in 1 data 6f1b2a3c-0d4e-4f5a-8b6c-7d8e9fa0b1c2 6F1B2A3C-0D4E-4F5A-8B6C-7D8E9FA0B1C2; do
	same "partition $p" "$(ukfs "$gpt:$p" cat /many/file5)" 5
done
same "-o partition=" "$(ukfs -o partition=data "$gpt" cat /many/file5)" 5
same "-o begin=,size=" "$(ukfs -o begin=1M,size=100M "$gpt" cat /many/file5)" 5
same "-o begin= in sectors" "$(ukfs -o begin=2048s,size=204800s "$gpt" cat /many/file5)" 5
same "a label with a comma and a colon" "$(ukfs "$gpt:co,mm:a" cat /many/file5)" 5
same "what a partition is" "$(ukfs "$gpt:data" | sed 's/, UUID.*//')" \
    "$gpt:data: ext4, 104857600 bytes (100M), label label"
status "writing into a partition" 0 "$gpt:data" mkdir /made
check "e2fsck of it" e2fsck -fn "$gpt?offset=1048576"
same "  the others are as before" "$(ukfs "$gpt:4" cat /many/file5)" 5
status "no such partition" 3 "$gpt:9" ls
status "no such partition, looked at" 3 "$gpt:9"
status "a label that two have" 3 "$gpt:same" ls
status "the whole disk" 3 "$gpt" ls
check "  says where to look" grep -q 'has a partition table' "$W/.out"
loop=$(losetup -f --show "$gpt")
like "the table of a block device" "$(ukfs "$loop" | tail -n +3)" "$(ukfs "$gpt" | tail -n +3)"
same "a partition of a block device" "$(ukfs "$loop:data" cat /many/file5)" 5
losetup -d "$loop"
truncate -s 256M "$W/4k.img"
loop=$(losetup -b 4096 -f --show "$W/4k.img")
sfdisk -q --no-reread --no-tell-kernel "$loop" <<X
label: gpt
size=100MiB, name=data
X
losetup -d "$loop"
dd if="$ext" of="$W/4k.img" bs=1M seek=1 conv=notrunc status=none
check "a GPT with sectors of 4096 bytes" sh -c '"$0" "$1" | grep -qE "^  1 +1048576 +104857600 .* ext4 "' \
    "$W/bin/ukfs" "$W/4k.img"
same "  and its partition" "$(ukfs "$W/4k.img:data" cat /many/file5)" 5
mbr=$W/mbr.img
truncate -s 256M "$mbr"
sfdisk -q "$mbr" <<X
label: dos
label-id: 0xa917be5f
size=16MiB, type=c
size=16MiB, type=82
size=180MiB, type=f
5: size=100MiB, type=83
6: size=16MiB, type=83
X
truncate -s 16M "$W/swap"
mkswap -q -L "swap label" "$W/swap"
dd if="$W/swap" of="$mbr" bs=512 conv=notrunc status=none \
    seek="$(sfdisk -J "$mbr" | jq '.partitiontable.partitions[1].start')"
dd if="$ext" of="$mbr" bs=512 conv=notrunc status=none \
    seek="$(sfdisk -J "$mbr" | jq '.partitiontable.partitions[] | select(.node | endswith("5")).start')"
ukfs "$mbr" >"$W/.out"
same "rows of an MBR" "$(awk 'NR > 2 { print $1, $2, $3 }' "$W/.out" | sort)" \
    "$(sfdisk -J "$mbr" | jq -r '.partitiontable.partitions[] |
	"\(.node[-1:]) \(.start * 512) \(.size * 512)"' | sort)"
check "  swap" grep -qE "^  2 .* 16M +Linux swap +swap +'swap label' " "$W/.out"
check "  an extended one" grep -qE '^  3 .* 180M +W95 extended \(LBA\) +- ' "$W/.out"
check "  a logical one" grep -qE '^  5 .* 100M +Linux +ext4 +label +- +a917be5f-05$' "$W/.out"
same "a logical partition" "$(ukfs "$mbr:5" cat /many/file5)" 5
same "by its PARTUUID" "$(ukfs "$mbr:a917be5f-05" cat /many/file5)" 5

# An image that means harm: directories in themselves, of several names, and links to the host
# where a copy is about to write.
evil=$W/evil.img
truncate -s 16M "$evil"
mkfs.ext4 -q -F "$evil"
mkdir "$W/victim"
debugfs -w -f - "$evil" >/dev/null 2>&1 <<X
mkdir /a
mkdir /a/b
mkdir /a/b/c
ln /a /a/b/c/loop
mkdir /two
ln /a/b /two/again
mkdir /d
symlink /d/x $W/victim
symlink /d/y $W/victim/file
mkdir /real
mkdir /real/x
write $src/etc/passwd /real/x/stolen
write $src/etc/passwd /real/y
X
for c in 'find /' 'ls -R /' 'tree /' 'du /'; do
	timeout 20 "$W/bin/ukfs" "$evil" $c >"$W/.out" 2>&1
	same "status of $c of an endless tree" $? 1
	check "  it says why" grep -qE '/(again|loop): (it is a directory of several names|Structure needs)' "$W/.out"
done
rm -rf "$W/out"
timeout 20 "$W/bin/ukfs" "$evil" cp -a :/ "$W/out" >"$W/.out" 2>&1
same "status of cp -a" $? 1
check "  the rest was copied" cmp "$W/out/real/y" "$src/etc/passwd"
# Into a tree with links, made by the copy before.
timeout 20 "$W/bin/ukfs" "$evil" cp -rT :/real "$W/out/d" >"$W/.out" 2>&1
same "status of cp -r over links" $? 1
check "  a link is not a directory" grep -q 'out/d/x: cannot overwrite a non-directory' "$W/.out"
check "  a link is replaced by a file" test -f "$W/out/d/y" -a ! -L "$W/out/d/y"
same "nothing was written elsewhere" "$(ls -A "$W/victim")" ""
timeout 20 "$W/bin/ukfs" "$evil" rm -r /a /two >"$W/.out" 2>&1
check "rm -r ends" test $? = 1

# Names of images, and refusals.
cp "$ext" "$W/odd:1"
same "an image whose name has a colon" "$(ukfs "$W/odd:1" cat /many/file5)" 5
same "what an image is" "$(ukfs "$W/sq.img" | cut -d , -f 1)" "$W/sq.img: squashfs"
same "what no image is" "$(ukfs "$W/script" | cut -d , -f 1)" \
    "$W/script: no file system that libblkid knows"
status "no argument" 2
status "--help" 0 --help
status "--version" 0 --version
status "a bad option" 2 -Z "$ext" ls
status "a bad command" 2 "$ext" nosuch
status "a command without operands" 2 "$ext" mkdir
status "a bad option of a command" 2 "$ext" ls -Z
status "a bad expression" 2 "$ext" find / -nosuch
status "a bad mode" 2 "$ext" chmod z /etc
status "an image that is not there" 3 "$W/none" ls
same "  and why" "$(cat "$W/.out")" "ukfs: $W/none: No such file or directory"
status "a directory" 3 "$W" ls
status "no file system" 3 "$W/script" ls
status "a type that there is not" 3 -t nosuch "$ext" ls
check "  says which there are" grep -q 'squashfs' "$W/.out"
status "a tree in memory" 0 -t rumpfs "$ext" ls
status "a file that is not there" 1 "$ext" cat /etc/x
same "  and why" "$(cat "$W/.out")" "ukfs: /etc/x: No such file or directory"
status "some that are" 1 "$ext" cat /many/file5 /none /many/file6
same "  are shown" "$(cat "$W/.out")" "5
ukfs: /none: No such file or directory
6"
status "a directory as a file" 1 "$ext" cat /etc
status "ls of one that is and one that is not" 1 "$ext" ls -1 /etc /none
truncate -s 8M "$W/small.img"
mkfs.ext4 -q -F "$W/small.img"
status "a file system that is full" 1 "$W/small.img" cp "$src/dir/random" "$W/part" "$src/etc/passwd" :/
check "  says so" grep -q '^ukfs: error writing :/part: No space left on device$' "$W/.out"
same "  but goes on" "$(ukfs "$W/small.img" stat -c %s /random)" 5000000
clean "after that" "$W/small.img"

# Two at a time: a lock keeps them apart.
coproc HOLD { "$W/bin/ukfs" "$ext" - 2>&1; }
echo 'touch /held' >&"${HOLD[1]}"
echo 'ls /' >&"${HOLD[1]}"
while read -r line <&"${HOLD[0]}" && [ "$line" != null ]; do :; done
status "an image that another one writes" 3 "$ext" ls
check "  and why" grep -qiE 'lock|use|busy' "$W/.out"
# And a signal ends a writer in order.
pid=$HOLD_PID
kill -TERM "$pid"
wait "$pid"
same "  and is what it ends by" $? 143
clean "after SIGTERM" "$ext"
status "and it is free again" 0 "$ext" ls /held
{ ukfs "$ext" find / ; } | head -n 1 >/dev/null
check "a reader that goes away" true
{ ukfs "$ext" - <<<'touch /t
find /
touch /t2'; } 2>/dev/null | head -n 1 >/dev/null
clean "a reader of a writer that goes away" "$ext"
same "  and it went on" "$(ukfs "$ext" ls /t2)" /t2
done_testing
