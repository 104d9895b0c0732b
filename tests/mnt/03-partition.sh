#!/bin/bash
# Windows of real disk images: a GPT partition as a block key with an ext4 on it, and a
# sparse file of 8 TiB.
LIMIT=100
. "$(dirname "$0")/lib.sh"
M=$W/m
disk=$W/disk.img
uuid=6f1b2a3c-0d4e-4f5a-8b6c-7d8e9fa0b1c2
head -c 96M /dev/urandom >"$disk"
sfdisk -q "$disk" >/dev/null <<X
label: gpt
size=48MiB, name=data, uuid=$uuid
size=16MiB, name=same
size=16MiB, name=same
X
json=$(sfdisk -J "$disk")
begin=$(($(echo "$json" | jq '.partitiontable.partitions[0].start') * 512))
size=$(($(echo "$json" | jq '.partitiontable.partitions[0].size') * 512))
mkfs.ext4 -q -F -E "offset=$begin" "$disk" $((size / 1024))k
before=$(sum_outside "$disk" "$begin" "$size")

cat >"$W/disk.conf" <<X
[daemon]
allow-other = yes
[etfs /by/number]
host = disk.img
type = blk
partition = 1
[etfs /by/label]
host = disk.img
type = blk
partition = data
access = ro
[etfs /by/uuid]
host = disk.img
type = blk
partition = $uuid
access = ro
X
rf_start 0 --check "$W/disk.conf"
check "--check shows the window" grep -qE "^/by/number +blk +$begin +$size +rw" "$W/.out"
printf '[etfs /k]\nhost = disk.img\npartition = 9\n' >"$W/bad.conf"
rf_start 3 --check "$W/bad.conf"
check "a partition that is not there" grep -q 'no partition 9' "$W/.out"
printf '[etfs /k]\nhost = disk.img\npartition = same\n' >"$W/bad.conf"
rf_start 3 --check "$W/bad.conf"
check "a label that two partitions have" grep -q 'label same' "$W/.out"

rf_mount "$W/disk.conf" "$M"
for k in number label uuid; do
	same "size of /by/$k" "$(stat -c %s "$M/by/$k")" "$size"
	check "/by/$k has the bytes of the partition" cmp "$M/by/$k" \
	    <(dd if="$disk" bs=512 skip=$((begin / 512)) count=$((size / 512)) status=none)
done
loop=$(losetup -f --show "$M/by/number")
check "the key as a loop device" test -b "$loop"
mkdir "$W/fs"
check "mounting its file system" mount -t ext4 "$loop" "$W/fs"
cp -r /usr/include/linux "$W/fs/headers"
head -c 5M /dev/urandom >"$W/fs/random"
sum=$(sha256sum <"$W/fs/random")
check "sync" sync -f "$W/fs/random"
check "unmounting it" umount "$W/fs"
losetup -d "$loop"
for ((i = 0; i < 100; i++)); do
	losetup -n -O BACK-FILE | grep -qF "$M/" || break
	sleep 0.05
done
check "e2fsck through the key" e2fsck -fn "$M/by/number"
refuse "the read-only key" 'Read-only' dd if=/dev/zero of="$M/by/label" count=1 conv=notrunc
sleep 1.2
check "the other key sees the same" cmp "$M/by/number" "$M/by/label"
check "and the host" cmp "$M/by/number" \
    <(dd if="$disk" bs=512 skip=$((begin / 512)) count=$((size / 512)) status=none)
rf_umount "$M"
check "e2fsck on the host" e2fsck -fn "$disk?offset=$begin"
same "every byte outside the partition" "$(sum_outside "$disk" "$begin" "$size")" "$before"
loop=$(losetup -f --show -o "$begin" --sizelimit "$size" "$disk")
mount -t ext4 -o ro "$loop" "$W/fs"
same "what was written is there" "$(sha256sum <"$W/fs/random")" "$sum"
check "the tree that was written is there" diff -r /usr/include/linux "$W/fs/headers"
umount "$W/fs"
losetup -d "$loop"

# 8 TiB, written at 6 TiB, under one name and then under another.
check "a sparse file of 8 TiB" truncate -s 8T "$W/big"
printf '[etfs /big]\nhost = big\ntype = blk\n' >"$W/big.conf"
rf_mount "$W/big.conf" "$M"
same "its size" "$(stat -c %s "$M/big")" 8796093022208
io "writing at 6 TiB" "pwrite 100000 check yes fsync 0 end 8796093022208" \
    "$M/big" rw pwrite:6T:100000:x check:6T:100000:x fsync end
io "at the very end" "pwrite 4096 pwrite ENOSPC pread 0 check yes" \
    "$M/big" rw pwrite:8796093018112:8192:y pwrite:8T:1:z pread:8T:10 \
    check:8796093018112:4096:y
printf '[etfs /other/name]\nhost = big\ntype = blk\n' >"$W/big.conf"
rf_reload "$M" "registered under another name" test -e "$M/other/name"
refuse "the first name is gone" 'No such file' stat "$M/big"
io "it reads back" "check yes check yes zero yes" \
    "$M/other/name" r check:6T:100000:x check:8796093018112:4096:y zero:5T:65536
rf_umount "$M"
printf '[etfs /third]\nhost = big\ntype = blk\nbegin = 6T\nsize = 1M\n' >"$W/big.conf"
rf_mount "$W/big.conf" "$M"
io "a window at 6 TiB" "check yes zero yes end 1048576" \
    "$M/third" r check:0:100000:x zero:100000:900000 end
rf_umount "$M"
same "the file is as sparse as before" "$(($(stat -c %b "$W/big") < 1000))" 1
done_testing
