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
done_testing
