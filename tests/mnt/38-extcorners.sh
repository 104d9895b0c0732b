#!/bin/bash
# ext2, ext3 and ext4 images at their corners: the image's last block, levels of indirect
# blocks, clusters, data in inodes; and images whose numbers lead where no file's may.
LIMIT=200
. "$(dirname "$0")/lib.sh"
M=$W/m
IMG=$S/img

# up [ro]: the image, mounted.
up()
{
	rf_mount "$(printf '[mount /e]\nvfs = ext\nhost = %s\naccess = %s\n' "$IMG" \
	    "${1:-rw}")" "$M"
}

# image SIZE MKFS ARGS…
image()
{
	rm -f "$IMG"
	truncate -s "$1" "$IMG"
	shift
	"$@" -q -F "$IMG" >"$W/.out" 2>&1 || {
		skip "$*: $(head -n 1 "$W/.out")"
		return 1
	}
}

clean()
{
	check "$1: e2fsck has nothing to say" e2fsck -fn "$IMG"
}

# dirty WHAT: unmounted, which says that it cannot be left clean.
dirty()
{
	local pid=${RF_PID[$M]} rc
	umount "$M"
	wait "$pid"
	rc=$?
	unset "RF_PID[$M]"
	same "$1: the daemon says that it is not clean" $rc 5
	same "$1: and has no error in itself" \
	    "$(grep -cE 'Sanitizer|runtime error:|Assertion|rank' "${RF_LOG[$M]}")" 0
}

### The image's last block is another file's.
image 16M mkfs.ext4 -b 4096 -m 0 -O ^has_journal && up && {
	echo small >"$M/e/small"
	head -c 1000000 /dev/zero >"$M/e/other"
	dd if=/dev/zero of="$M/e/fill" bs=64k 2>/dev/null
	rf_umount "$M"
	check "the last block is in use" grep -q 'marked in use' \
	    <(debugfs -R 'testb 4095' "$IMG" 2>/dev/null)
	up && {
		check "the last block in use: another file is removed" timeout 10 rm "$M/e/other"
		check "and one is cut" timeout 10 truncate -s 0 "$M/e/small"
		rf_umount "$M"
	}
	clean "the last block in use"
}

### Random contents in every format of files.
n=${RF_FSX_OPS:-2500}
while read -r what size ops args; do
	# shellcheck disable=SC2086
	image "$size" $args && up && {
		mkdir "$M/e/fsx"
		"$TESTBIN/p-fsx" -s 1 -n "$ops" "$M/e/fsx" >"$W/.fsx" 2>&1
		same "contents, $what: $(tail -n 1 "$W/.fsx" | cut -c 1-100)" "$?" 0
		rm -rf "$M/e/fsx"
		rf_umount "$M"
		clean "contents, $what"
	}
done <<L
ext3-1k 64M $((n * 3)) mkfs.ext3 -b 1024
ext3-4k 64M $n mkfs.ext3 -b 4096
bigalloc 128M $n mkfs.ext4 -b 4096 -O bigalloc -C 16384
inline_data 64M $n mkfs.ext4 -b 4096 -O inline_data
L

# A hole over the end of each level of indirect blocks, 12, 12 + 256, 12 + 256 + 65536.
image 300M mkfs.ext2 -b 1024 && up && {
	f=$M/e/f
	for at in 5 10 14 200 264 270 65800 65806 66000; do
		printf x | dd of="$f" bs=1 seek=$((at * 1024)) conv=notrunc status=none
	done
	check "a hole over levels" fallocate -p -o $((10 * 1024)) -l $((10 * 1024)) "$f"
	check "and" fallocate -p -o $((264 * 1024)) -l $((10 * 1024)) "$f"
	check "and" fallocate -p -o $((65800 * 1024)) -l $((10 * 1024)) "$f"
	same "a hole over levels: what is left" "$(tr -d '\0' <"$f" | wc -c)" 3
	same "and in blocks" "$(cmp -l "$f" /dev/zero 2>/dev/null | awk '{
	    printf "%d ", ($1 - 1) / 1024 }')" "5 200 66000 "
	truncate -s 20k "$f"
	rf_umount "$M"
	clean "a hole over levels"
}

### Killed while holes are filled: nothing that had been deleted is in a file.
# killed WHAT ROUNDS
killed()
{
	local i pid found=0
	for ((i = 1; i <= $2; i++)); do
		up || return
		rm -f "$M/e/new"
		yes 'what was deleted' | dd of="$M/e/old" bs=256k count=96 iflag=fullblock \
		    conv=fsync status=none 2>/dev/null
		rm "$M/e/old"
		sync -f "$M/e"
		truncate -s 20M "$M/e/new"
		dd if=/dev/zero of="$M/e/new" bs=256k count=80 conv=notrunc 2>/dev/null &
		pid=$!
		sleep 0.$i
		kill -9 "${RF_PID[$M]}"
		wait "${RF_PID[$M]}" $pid 2>/dev/null
		unset "RF_PID[$M]"
		umount -l "$M"
		e2fsck -fy "$IMG" >"$W/.fsck" 2>&1
		clean "killed, $1, $i"
		up ro || return
		! grep -q deleted "$M/e/new" || found=1
		rf_umount "$M"
	done
	same "killed, $1: nothing deleted is read" $found 0
}
image 40M mkfs.ext3 -b 1024 && killed ext3 2
image 40M mkfs.ext4 -b 4096 -O bigalloc -C 16384 && killed bigalloc 2

### A file whose blocks are the inode table's: it is not read, nor written, nor given back.
image 16M mkfs.ext2 -b 1024 && up && {
	head -c 3000 /dev/urandom >"$M/e/evil"
	echo good >"$M/e/good"
	rf_umount "$M"
	table=$(dumpe2fs "$IMG" 2>/dev/null | sed -n 's/.*Inode table at \([0-9]*\)-.*/\1/p' | head -n 1)
	debugfs -w -R "sif /evil block[0] $table" "$IMG" 2>/dev/null
	sum=$(dd if="$IMG" bs=1k skip="$table" count=1 status=none | tail -c 128 | sha256sum)
	up && {
		refuse "the inode table in a file: reading" 'needs cleaning' cat "$M/e/evil"
		refuse "writing" 'needs cleaning' dd if=/dev/zero of="$M/e/evil" bs=1k count=2 \
		    conv=notrunc
		refuse "cutting" 'needs cleaning' truncate -s 0 "$M/e/evil"
		rm -f "$M/e/evil"
		head -c 20000 /dev/urandom >"$M/e/next"
		same "what else is there reads" "$(cat "$M/e/good")" good
		dirty "the inode table in a file"
	}
	same "the inode table is as it was" "$(dd if="$IMG" bs=1k skip="$table" count=1 \
	    status=none | tail -c 128 | sha256sum)" "$sum"
	e2fsck -fy "$IMG" >"$W/.fsck" 2>&1
	up && {
		same "and after e2fsck" "$(cat "$M/e/good")" good
		rf_umount "$M"
	}
}

### A block bitmap that has the inode table as free: only to be read.
image 16M mkfs.ext2 -b 1024 && {
	table=$(dumpe2fs "$IMG" 2>/dev/null | sed -n 's/.*Inode table at \([0-9]*\)-.*/\1/p' | head -n 1)
	debugfs -w -R "freeb $((table + 3))" "$IMG" 2>/dev/null
	up && {
		refuse "the inode table is free" 'Read-only' touch "$M/e/f"
		check "which is said" grep -q 'bitmaps are damaged' "${RF_LOG[$M]}"
		rf_umount "$M"
	}
}

### An inode bitmap that has inodes in use as free: nobody gets them.
image 32M mkfs.ext4 -O ^metadata_csum,^has_journal && up && {
	mkdir "$M/e/dir"
	echo other >"$M/e/dir/inner"
	head -c 100000 /dev/zero >"$M/e/victim"
	rf_umount "$M"
	for f in dir victim dir/inner; do
		i=$(debugfs -R "stat /$f" "$IMG" 2>/dev/null | sed -n 's/^Inode: \([0-9]*\).*/\1/p')
		debugfs -w -R "freei <$i>" "$IMG" 2>/dev/null
	done
	up && {
		sum=$(sha256sum <"$M/e/victim")
		refuse "inodes in use that are free" 'needs cleaning' touch "$M/e/dir/new"
		refuse "and then nothing is written" 'Read-only' mkdir "$M/e/new"
		same "the victim is as it was" "$(sha256sum <"$M/e/victim")" "$sum"
		same "and the other" "$(cat "$M/e/dir/inner")" other
		dirty "inodes in use"
	}
	same "it is marked" "$(dumpe2fs -h "$IMG" 2>/dev/null |
	    sed -n 's/^Filesystem state: *//p')" "not clean with errors"
}
done_testing
