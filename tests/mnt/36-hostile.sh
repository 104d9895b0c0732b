#!/bin/bash
# Images with random damage: 200 and more of each type, each mounted in a process of its own
# by libukfs, walked, read, and where the type can write also written.  None may end it, keep
# it longer than 10 s, or make a sanitizer speak.  Images are made here by their own tools,
# damage by seeds (corrupt.h), so that "p-corrupt IMAGE SEED OUT" makes one again.
#
# RF_HOSTILE_IMAGES: how many of each; RF_HOSTILE_SEED: the first seed; RF_KEEP keeps the images.
# first
LIMIT=600
. "$(dirname "$0")/lib.sh"
N=${RF_HOSTILE_IMAGES:-200}
SEED=${RF_HOSTILE_SEED:-1}
export UKFS_MODULES=${UKFS_MODULES:-$(dirname "$RUMPFUSE")}
# A report is a status of its own, and every report ends the process.
export ASAN_OPTIONS=exitcode=99:detect_odr_violation=1:abort_on_error=0:allocator_may_return_null=1:max_allocation_size_mb=4096
export UBSAN_OPTIONS=halt_on_error=1:exitcode=99:print_stacktrace=1

src=$S/src
mkdir -p "$src/a/deep/er/dir" "$src/many"
(
	cd "$src" || exit 1
	seq 1 9000 >a/text
	head -c 120000 /dev/urandom >a/random
	printf small >a/deep/small
	ln a/text a/deep/hard
	ln -s ../text a/deep/symlink
	ln -s /nowhere/$(printf 'x%.0s' {1..90}) a/long-symlink
	truncate -s 300000 a/holes
	printf x | dd of=a/holes bs=1 seek=150000 conv=notrunc status=none
	for ((i = 0; i < 150; i++)); do echo $i >many/file-with-a-name-$i; done
	mkfifo a/fifo
	mknod a/null c 1 3
	long=$(printf 'n%.0s' {1..200})
	echo long >"a/$long"
	setfattr -n user.some -v value a/text
	setfattr -n user.large -v "$(printf 'v%.0s' {1..600})" a/random
	setfacl -m u:12:rx,g:34:r a/text
	setfacl -d -m u:12:rwx a/deep
)

# ext NAME OPTION…: a small file system with the tree in it.
ext()
{
	local img=$S/$1
	shift
	truncate -s 3M "$img" && mke2fs -q -F -d "$src" "$@" "$img"
}

check "images" true
ext ext2 -t ext2 -b 1024 -N 400 >"$W/.out" 2>&1 || fail "ext2: $(cat "$W/.out")"
ext ext3 -t ext3 -b 1024 -N 400 -J size=1 >"$W/.out" 2>&1 || fail "ext3: $(cat "$W/.out")"
ext ext4 -t ext4 -b 1024 -N 400 -O ^has_journal,^metadata_csum,^64bit >"$W/.out" 2>&1 ||
    fail "ext4: $(cat "$W/.out")"
ext ext4-csum -t ext4 -b 4096 -N 400 -O inline_data,metadata_csum,64bit,^has_journal \
    >"$W/.out" 2>&1 || fail "ext4-csum: $(cat "$W/.out")"
tar -C "$src" --format=posix --xattrs --acls -S -cf "$S/tar" .
tar -C "$src" --format=gnu -S -cf "$S/tar.gnu" .
gzip -c "$S/tar" >"$S/tar.gz"
zstd -q -c "$S/tar" >"$S/tar.zst"
xz -c "$S/tar" >"$S/tar.xz"
(cd "$src" && find . | cpio -o -H newc --quiet >"$S/cpio")
(cd "$src" && rm -f "$S/zip.zip" && zip -qry "$S/zip.zip" . -x a/fifo a/null 2>/dev/null)
(cd "$src" && rm -f "$S/7z.7z" && 7z a -bd "$S/7z.7z" many a/text a/random a/deep/small >/dev/null)
genisoimage -quiet -R -J -o "$S/iso" "$src" 2>/dev/null
mksquashfs "$src" "$S/squashfs" -quiet -no-progress -noappend >/dev/null 2>&1
mksquashfs "$src" "$S/squashfs.raw" -quiet -no-progress -noappend -noI -noD -noF >/dev/null 2>&1

# hostile NAME TYPE FILE [OPTION…]
hostile()
{
	local name=$1 type=$2 file=$3
	shift 3
	if [ ! -s "$S/$file" ]; then
		fail "$name: there is no image"
	elif [ ! -e "$UKFS_MODULES/libukfs_$type.so" ]; then
		skip "$name: there is no module $type"
	else
		program "$name: $N damaged images" p-hostile -t "$type" -n "$N" -s "$SEED" \
		    -l $((10 * ${RF_SLOW:-1})) "$@" "$name" "$S/$file" "$S"
	fi
}

for i in ext2 ext3 ext4 ext4-csum; do
	hostile $i ext $i -w
done
for i in tar tar.gz cpio zip.zip 7z.7z iso; do
	hostile $i archive $i
done
hostile squashfs squashfs squashfs
# The same by other ways: a quarter of each.
N=$((N / 4))
for i in ext2 ext3 ext4 ext4-csum; do
	hostile "$i, read-only" ext $i
done
for i in tar.gnu tar.zst tar.xz; do
	hostile $i archive $i
done
hostile squashfs.raw squashfs squashfs.raw
# Nobody says what it is.
for i in ext4 tar zip.zip iso squashfs; do
	program "$i, its type found out" p-hostile -n "$N" -s $((SEED + 100000)) \
	    -l $((10 * ${RF_SLOW:-1})) "$i, auto" "$S/$i" "$S"
done
done_testing
