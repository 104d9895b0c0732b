#!/bin/bash
# Reading and writing reg, blk and chr keys: windows, sectors, the whole living file.
# SEMANTICS, section 3.
LIMIT=60
. "$(dirname "$0")/lib.sh"
M=$W/m
# 64,000 bytes, each telling its sector, so that a byte from elsewhere is seen.
awk 'BEGIN { for (i = 0; i < 64000; i += 10) printf "%09d\n", i }' >"$W/data"
cp "$W/data" "$W/data.was"
head -c 8192 /dev/zero | tr '\0' 'h' >"$W/host"
for t in reg blk chr; do cp "$W/host" "$W/$t.img"; done
truncate -s $((4194304 + 1024)) "$W/pieces.img"
cat >"$W/conf" <<X
[etfs /nb/window]
host = data
begin = 16000
size = 32000
access = ro
[etfs /whole]
host = host
[etfs /reg]
host = reg.img
type = reg
begin = 1000
size = 3000
[etfs /blk]
host = blk.img
type = blk
begin = 1000
size = 3000
[etfs /chr]
host = chr.img
type = chr
begin = 1000
size = 3000
[etfs /chrpart]
host = chr.img
type = chr
begin = 0
size = 1000
[etfs /pieces]
host = pieces.img
type = chr
begin = 512
size = 4M
[etfs /empty]
host = host
type = blk
begin = 8192
access = ro
[etfs /twice]
host = blk.img
type = blk
begin = 2000
size = 500
X
rf_mount "$W/conf" "$M" || done_testing

# NetBSD's own case: the window [16000, 48000) of 64,000 bytes.
same "a window's size" "$(stat -c %s "$M/nb/window")" 32000
same "what is read" "$(wc -c <"$M/nb/window")" 32000
check "is the window" cmp "$M/nb/window" <(tail -c +16001 "$W/data" | head -c 32000)

for t in reg blk; do
	io "$t: SEEK_END and fstat" "end 3000 size 3000" "$M/$t" r end size
	io "$t: inside" "pwrite 10 check yes pread 10" "$M/$t" rw pwrite:7:10:a check:7:10:a pread:7:10
	io "$t: reading over the end" "pread 100 pread 0 pread 0" \
	    "$M/$t" r pread:2900:500 pread:3000:10 pread:100000:10
	io "$t: writing over the end is short" "pwrite 100 pwrite ENOSPC pwrite ENOSPC size 3000" \
	    "$M/$t" rw pwrite:2900:500:b pwrite:3000:1:b pwrite:5000:10:b size
	io "$t: truncate" "trunc 0 trunc EINVAL trunc EINVAL trunc EINVAL size 3000 check yes" \
	    "$M/$t" rw trunc:3000 trunc:2999 trunc:3001 trunc:0 size check:2900:100:b
	io "$t: O_TRUNC does nothing" "size 3000 check yes" "$M/$t" rwt size check:2900:100:b
	io "$t: writing after O_TRUNC and O_APPEND" "write ENOSPC write ENOSPC check yes" \
	    "$M/$t" rwta write:1:z write:512:z check:2900:100:b
	io "$t: growing" "alloc EOPNOTSUPP size 3000" "$M/$t" rw alloc:0:2000:5000 size
	io "$t: punching" "alloc 0 zero yes check yes size 3000" \
	    "$M/$t" rw alloc:3:100:100 zero:100:100 check:200:100:h size
	io "$t: punching over the end" "size 3000" "$M/$t" rw size
	io "$t: zeroing" "fsync 0" "$M/$t" rw fsync
	same "$t: before the window" "$(head -c 1000 "$W/$t.img" | tr -d h | wc -c)" 0
	same "$t: after the window" "$(tail -c +4001 "$W/$t.img" | tr -d h | wc -c)" 0
	same "$t: the host has what was written" \
	    "$(tail -c +1008 "$W/$t.img" | head -c 10)" aaaaaaaaaa
	same "$t: the host's size" "$(stat -c %s "$W/$t.img")" 8192
	check "$t: chmod" chmod 640 "$M/$t"
	check "$t: chown" chown 3:4 "$M/$t"
	same "$t: changes the view" "$(stat -c '%a %u %g' "$M/$t")" "640 3 4"
	same "$t: and not the host" "$(stat -c '%a %u %g' "$W/$t.img")" "644 0 0"
done
io "zeroing a range of a window" "alloc 0 zero yes" "$M/blk" rw alloc:16:300:50 zero:300:50
"$TESTBIN/p-io" "$M/blk" rw alloc:3:2990:5000 >/dev/null
same "punching past the window stays inside" "$(tail -c +4001 "$W/blk.img" | tr -d h | wc -c)" 0
check "many openings" sh -c "exec 5<>$M/blk 6<>$M/blk 7<$M/blk"
io "an empty window" "size 0 end 0 pread 0 pwrite EBADF" "$M/empty" r size end pread:0:10 pwrite:0:1:x
io "two windows of one file are two" "pwrite 5" "$M/twice" rw pwrite:0:5:t
sleep 1.2
io "and both see it" "check yes" "$M/blk" r check:1000:5:t

# chr: sectors of 512 bytes, cut to the exact end, nothing cached.
io "chr: whole sectors" "pread 512 pwrite 1024 check yes" \
    "$M/chr" rw pread:512:512 pwrite:0:1024:c check:0:1024:c
same "chr: each write is on the host when it returns" \
    "$(tail -c +1001 "$W/chr.img" | head -c 1024 | tr -d c | wc -c)" 0
io "chr: parts of sectors" "pread EINVAL pread EINVAL pwrite EINVAL pwrite EINVAL" \
    "$M/chr" rw pread:1:512 pread:0:511 pwrite:512:100:x pwrite:100:512:x
io "chr: cut to the end" "pread 440 pwrite 440 end 3000" \
    "$M/chr" rw pread:2560:512 pwrite:2560:512:e end
io "chr: at and past the end" "pread 0 pwrite ENOSPC" "$M/chr" rw pread:3072:512 pwrite:3072:512:x
same "chr: after the window" "$(tail -c +4001 "$W/chr.img" | tr -d h | wc -c)" 0
io "chr: writing after O_TRUNC and O_APPEND" "write ENOSPC write ENOSPC check yes" \
    "$M/chr" rwta write:1:z write:512:z check:0:1024:c
# The kernel cuts large transfers at the pages of the caller's memory.
io "chr: a large transfer of memory that is not aligned" \
    "pwrite 4194304 pread 4194304 check yes pwrite EINVAL pread EINVAL" \
    "$M/pieces" rwu pwrite:0:4M:p pread:0:4M check:0:4M:p pwrite:1:4M:q pread:0:1000
same "chr: all of it is on the host" \
    "$(tail -c +513 "$W/pieces.img" | head -c 4M | tr -d p | wc -c)" 0
same "chr: and nothing beside it" \
    "$( (head -c 512 "$W/pieces.img"; tail -c 512 "$W/pieces.img") | tr -d '\0' | wc -c)" 0
io "chr: a window of 1,000 bytes" "pread 488 pread 1000" "$M/chrpart" r pread:512:512 pread:0:1024
printf 'H' | dd of="$W/chr.img" bs=1 seek=1000 conv=notrunc status=none
same "chr: the host's change shows at once" "$(dd if="$M/chr" bs=512 count=1 status=none | head -c1)" H

# The whole file, alive.
io "whole: as the host" "size 8192 check yes" "$M/whole" r size check:0:8192:h
printf 'grown' >>"$W/host"
sleep 1.2
io "whole: the host's growth shows" "size 8197 end 8197" "$M/whole" r size end
io "whole: append" "write 3 size 8200" "$M/whole" wa write:3:A size
same "whole: acts on the host" "$(tail -c 8 "$W/host")" grownAAA
printf 'more' >>"$W/host"
io "whole: append goes to where the end is by then" "write 2" "$M/whole" wa write:2:B
same "whole: behind what the host added" "$(tail -c 9 "$W/host")" AAAmoreBB
io "whole: truncate" "trunc 0 size 100" "$M/whole" rw trunc:100 size
same "whole: on the host" "$(stat -c %s "$W/host")" 100
io "whole: O_TRUNC" "size 0" "$M/whole" wt size
same "whole: O_TRUNC on the host" "$(stat -c %s "$W/host")" 0
io "whole: writing past the end" "pwrite 5 size 1005 zero yes" \
    "$M/whole" rw pwrite:1000:5:w size zero:0:1000
check "whole: chmod" chmod 600 "$M/whole"
same "whole: chmod on the host" "$(stat -c %a "$W/host")" 600
check "whole: touch" touch -d 2001-02-03 "$M/whole"
same "whole: mtime on the host" "$(date -d "@$(stat -c %Y "$W/host")" +%F)" 2001-02-03
exec 5<"$M/whole"
io "whole: reading and then writing" "pwrite 3 check yes" "$M/whole" rw pwrite:0:3:r check:0:3:r
exec 5<&-

# ioctls of block devices.
io "BLKGETSIZE64 of a blk key" "getsize 3000" "$M/blk" r getsize
io "BLKFLSBUF of a blk key" "flsbuf 0" "$M/blk" rw flsbuf
io "BLKGETSIZE64 of a directory key's file" "getsize ENOTTY" "$M/whole" r getsize
figure "sector sizes: $("$TESTBIN/p-io" "$M/blk" r ssz pbsz | tr '\n' ' ')" \
    "discard: $("$TESTBIN/p-io" "$M/blk" rw discard:0:512 | tr '\n' ' ')"
check "not a byte outside changed" cmp "$W/data" "$W/data.was"
rf_umount "$M"
# A block device as the host object.
truncate -s 4M "$W/back"
loop=$(losetup -f --show "$W/back")
rf_mount none "$M" -k "/dev/disk=$loop" -k "/dev/part=$loop,begin=1M,size=1M,type=blk"
io "a block device" "end 4194304 pwrite 4096 fsync 0 getsize 4194304" \
    "$M/dev/disk" rw end pwrite:2M:4096:d fsync getsize
io "a window of it" "size 1048576 pwrite 512 pwrite ENOSPC" \
    "$M/dev/part" rw size pwrite:0:512:p pwrite:1M:512:x
rf_umount "$M"
sync -f "$W/back"
losetup -d "$loop"
io "what is behind it" "check yes check yes" "$W/back" r check:2M:4096:d check:1M:512:p
done_testing
