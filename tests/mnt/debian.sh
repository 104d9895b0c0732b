#!/bin/bash
# A Debian root file system (minbase and a compiler) as an ext4 partition in a GPT image, as
# squashfs and as tar.zst.  Each is mounted at the root of a mount, with a /tmp in memory and
# /dev/null over it, is the tree that it was made of, and a chroot into it lists its packages
# and compiles and runs a program.  The ext4 is also written: a package's worth of files.
#
# Not among the tests of CI, for it fetches packages: ./dev debian.  RF_DEBIAN: a directory
# to keep the tree in.
# alone
LIMIT=1500
. "$(dirname "$0")/lib.sh"
M=$W/m
D=${RF_DEBIAN:-$W/debian}
command -v mmdebstrap >/dev/null || {
	skip "mmdebstrap is not installed"
	done_testing
}
mkdir -p "$D"
[ -s "$D/root.tar" ] || check "a Debian tree" mmdebstrap --quiet --variant=minbase \
    --include=gcc,libc6-dev bookworm "$D/root.tar" || done_testing
mkdir "$W/tree"
check "it unpacks" tar -C "$W/tree" --xattrs --acls --numeric-owner -xpf "$D/root.tar" ||
    done_testing
cat >"$W/tree/root/hello.c" <<'C'
#include <stdio.h>
#include <math.h>
int main(void) { printf("compiled %d\n", (int)sqrt(1764.0)); return 0; }
C
# What a tar without times of its own for directories would lose is set last.
find "$W/tree" -depth -type d -exec touch -d '2024-05-06 07:08:09' {} +

# disk NAME BYTES: a GPT image whose second partition is an ext4 with the tree in it, as the
# kernel writes it.
disk()
{
	local loop
	truncate -s 1500M "$1"
	sfdisk -q "$1" >/dev/null <<P
label: gpt
start=2048, size=16MiB, name=boot
size=1400MiB, name=root
P
	loop=$(losetup -f --show -o $((17 * 1024 * 1024)) --sizelimit $((1400 * 1024 * 1024)) "$1")
	mkfs.ext4 -q -F "$loop" && mkdir -p "$W/l" && mount "$loop" "$W/l" &&
	    rsync -aHAX "$W/tree/" "$W/l/" && umount "$W/l"
	losetup -d "$loop"
}
begin=$(date +%s)
check "a disk image" disk "$W/disk.img"
rm -f "$W/root.sqfs"
check "a squashfs" mksquashfs "$W/tree" "$W/root.sqfs" -comp zstd -noappend -quiet -no-progress
check "a tar.zst" tar -C "$W/tree" --xattrs --acls --numeric-owner --sort=name \
    --format=posix --zstd -cf "$W/root.tar.zst" .
figure "images made in $(($(date +%s) - begin)) s"

over="
[dir /tmp]
mode = 1777
[node /dev/null]
type = chr
major = 1
minor = 3
mode = 0666"

# try NAME SECTION: mounts it and uses it.
try()
{
	local name=$1 start
	start=$(date +%s.%N)
	rf_mount "[daemon]
dev = yes
suid = yes
allow-other = yes
$2
$over" "$M" || return
	figure "$name: mounted after $(awk -v a="$start" -v b="$(date +%s.%N)" \
	    'BEGIN { printf "%.1f", b - a }') s"
	start=$(date +%s)
	same "$name: the tree is the one it was made of" \
	    "$(rsync -naHAX --checksum --delete --itemize-changes --exclude=/tmp \
	        --exclude=/dev/null --exclude=/lost+found "$W/tree/" "$M/" 2>&1)" ""
	figure "$name: compared in $(($(date +%s) - start)) s"
	start=$(date +%s)
	check "$name: dpkg -l in it" sh -c "chroot '$M' dpkg -l >'$W/dpkg.$name'"
	check "$name: lists packages" grep -qE '^ii +gcc ' "$W/dpkg.$name"
	check "$name: compiles in it" chroot "$M" gcc -O2 -o /tmp/hello /root/hello.c -lm
	same "$name: and runs" "$(chroot "$M" /tmp/hello)" "compiled 42"
	figure "$name: used in $(($(date +%s) - start)) s"
}

try ext4-ro "[mount /]
host = $W/disk.img
partition = root
access = ro"
rf_umount "$M"
try squashfs "[mount /]
host = $W/root.sqfs"
rf_umount "$M"
try tar.zst "[mount /]
host = $W/root.tar.zst"
rf_umount "$M"
try ext4-rw "[mount /]
host = $W/disk.img
partition = root"
check "ext4-rw: a tree is copied in it" cp -a "$M/usr/share" "$M/copy"
same "ext4-rw: the copy is the same" \
    "$(rsync -naHAX --checksum --delete --itemize-changes "$W/tree/usr/share/" "$M/copy/" 2>&1)" ""
check "ext4-rw: dpkg writes its database" chroot "$M" dpkg --clear-selections
rf_umount "$M"
loop=$(losetup -f --show -o $((17 * 1024 * 1024)) --sizelimit $((1400 * 1024 * 1024)) "$W/disk.img")
check "ext4-rw: e2fsck finds nothing" e2fsck -fn "$loop"
losetup -d "$loop"
done_testing
