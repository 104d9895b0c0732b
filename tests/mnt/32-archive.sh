#!/bin/bash
# Archives made by their own tools, mounted as images: each tree is the one that it was made
# of, attribute by attribute as far as the format can hold them; an iso9660 is also what the
# kernel's driver shows.  Holes, hard links, devices, times, names and sizes.  Their data, and
# archives that are damaged, are in 37-archive-data.
LIMIT=240
. "$(dirname "$0")/lib.sh"
export UKFS_MODULES=${UKFS_MODULES:-$(dirname "$RUMPFUSE")}
M=$W/m
export LC_ALL=C.UTF-8 # for what bsdtar writes
src=$W/src
A=$W/a
mkdir -p "$src" "$A"

# A tree with everything that a tar can hold.
(
	cd "$src" || exit 1
	mkdir -p dir/deep/er empty "with space" ünï
	seq 1 60000 >dir/text
	head -c 3000000 /dev/urandom >dir/random
	: >empty/file
	ln dir/text dir/deep/hard
	ln dir/text hard2
	ln -s text dir/symlink
	ln -s /does/not/exist dangling
	printf 'ü\n' >ünï/cödé
	echo x >"with space/and 'quotes\""
	truncate -s 3000000 holes
	for at in 0 500000 1000001 2900000; do
		printf 'data at %s' $at | dd of=holes bs=1 seek=$at conv=notrunc status=none
	done
	truncate -s 700000 all-hole
	long=$(printf 'l%.0s' {1..120})
	max=$(printf 'm%.0s' {1..255})
	mkdir -p "$long/$long/$long"
	echo long >"$long/$long/$long/$max"
	ln -s "$long/$long/$long/$max" long-symlink
	chmod 4755 dir/text
	chmod 0000 dir/random
	chmod 1777 empty
	chown 1234:5678 dir/random
	chown -h 70000:80000 dir/symlink
	touch -d '2001-02-03 04:05:06.789012345' dir/text
	touch -h -d '1969-12-31 23:00:00' dangling
)
cp -a "$src" "$W/plain" # for formats that can hold neither devices nor attributes
(
	cd "$src" || exit 1
	mkfifo fifo
	mknod null c 1 3
	mknod blk b 7 200
	setfattr -n user.one -v 1 dir/text
	setfattr -n user.binary -v 0x00ff0a00 dir/random
	setfattr -n trusted.t -v t dir
	setfattr -n user.large -v "$(printf 'v%.0s' {1..3000})" dir/deep
	setfacl -m u:1111:rwx,g:2222:r-- dir/random
	setfacl -m u:1111:---,m::rw- hard2
	setfacl -d -m u:33:rwx,o::r-x empty
	touch -d '2010-01-01 00:00:01.5' dir dir/deep empty .
)
find "$W/plain" -depth -exec touch -h -d '2011-11-11 11:11:12' {} + # even, for zip

t() { tar -C "$src" --sort=name "$@" .; }
t --format=posix --xattrs --xattrs-include='*' --acls -S -cf "$A/pax.tar"
t --format=gnu -S -cf "$A/gnu.tar"
t --format=posix --sparse-version=0.0 -S -cf "$A/sparse00.tar"
t --format=posix --sparse-version=0.1 -S -cf "$A/sparse01.tar"
bsdtar -C "$src" --format pax --xattrs --acls -cf "$A/bsd.tar" .
tar -C "$W/plain" --format=ustar --exclude='l*' -cf "$A/ustar.tar" .
tar -C "$W/plain" --format=v7 --exclude='l*' -cf "$A/v7.tar" .
for c in gzip:gz bzip2:bz2 xz:xz zstd:zst lz4:lz4 "xz --format=lzma:lzma"; do
	${c%:*} -c <"$A/pax.tar" >"$A/pax.tar.${c#*:}" 2>/dev/null
done
bsdtar -C "$src" --format pax --xattrs --acls --compress -cf "$A/bsd.tar.Z" .
bsdtar -C "$src" --format pax --xattrs --acls --lzip -cf "$A/bsd.tar.lz" .
(cd "$src" && find . | cpio -o -H newc --quiet >"$A/newc.cpio")
(cd "$src" && find . | cpio -o -H odc --quiet >"$A/odc.cpio" 2>/dev/null)
cd "$W/plain" || exit 1
zip -qry "$A/deflate.zip" . && zip -qry0 "$A/stored.zip" .
zip -qry -fz "$A/zip64.zip" .
7z a -bd -ms=on "$A/solid.7z" . >/dev/null
7z a -bd -ms=off "$A/single.7z" . >/dev/null
7z a -bd -m0=bzip2 "$A/bzip2.7z" . >/dev/null
genisoimage -quiet -R -J -joliet-long -o "$A/rr.iso" . 2>/dev/null
xorriso -as mkisofs -quiet -R -J -joliet-long -o "$A/xorriso.iso" . 2>/dev/null
genisoimage -quiet -J -joliet-long -o "$A/joliet.iso" dir 2>/dev/null
genisoimage -quiet -iso-level 3 -o "$A/plain.iso" dir 2>/dev/null
cd "$W" || exit 1
gzip -c "$src/dir/text" >"$A/single.gz"

conf="[daemon]
allow-other = yes
"
for f in "$A"/*; do
	[ -s "$f" ] && conf="$conf
[mount /$(basename "$f")]
host = $f
"
done
rf_mount "$conf" "$M"
check "no warning" sh -c "! grep -iE 'left out|damaged|not to be found' '${RF_LOG[$M]}'"

# equal WHAT MOUNTED TREE [OPTION…]
equal()
{
	local what=$1 a=$2 b=$3
	shift 3
	rsync -naHi --checksum --delete "$@" "$b/" "$a/" >"$W/.diff" 2>&1
	if [ -s "$W/.diff" ]; then
		fail "$what"
		head -n 20 "$W/.diff" | sed 's/^/  | /'
	else
		ok "$what"
	fi
}
for f in pax.tar bsd.tar pax.tar.gz pax.tar.bz2 pax.tar.xz pax.tar.zst pax.tar.lz4 pax.tar.lzma \
    bsd.tar.Z bsd.tar.lz; do
	[ -d "$M/$f" ] && equal "$f is the tree, attributes and ACLs too" "$M/$f" "$src" -AX ||
	    skip "$f: there is no tool for it"
done
equal "gnu.tar is the tree" "$M/gnu.tar" "$src" --modify-window=1
for f in newc.cpio odc.cpio; do # which have no time before 1970
	equal "$f is the tree" "$M/$f" "$src" --modify-window=1 --exclude=/dangling
	same "$f: a symlink that leads nowhere" "$(readlink "$M/$f/dangling")" /does/not/exist
done
for f in sparse00.tar sparse01.tar; do
	equal "$f is the tree" "$M/$f" "$src"
done
for f in ustar.tar v7.tar; do
	equal "$f is the tree, but for long names" "$M/$f" "$W/plain" --exclude='l*' \
	    --modify-window=1
done
for f in deflate.zip stored.zip zip64.zip; do
	equal "$f is the tree, but for hard links" "$M/$f" "$W/plain" --no-H --modify-window=2
done
for f in solid.7z single.7z bzip2.7z; do
	equal "$f is the tree, but for hard links and owners" "$M/$f" "$W/plain" --no-H --no-o \
	    --no-g --modify-window=1 --no-p
done
same "file modes in a 7z" "$(stat -c %a "$M/solid.7z/dir/text")" 4755

# What the archives cannot lose on the way: link counts, devices, holes.
same "one inode with three names" "$(stat -c '%h %i' "$M/pax.tar/dir/text")" \
    "3 $(stat -c %i "$M/pax.tar/hard2")"
same "links of a directory" "$(stat -c %h "$M/pax.tar/dir")" 3
same "a device" "$(stat -c '%F %t %T' "$M/pax.tar/null" "$M/pax.tar/blk")" \
    "$(stat -c '%F %t %T' "$src/null" "$src/blk")"
for f in pax.tar gnu.tar sparse00.tar sparse01.tar pax.tar.zst; do
	same "holes of $f take no room" $(($(stat -c %b "$M/$f/holes") < 100)) 1
	same "a file that is one hole, $f" "$(stat -c '%s %b' "$M/$f/all-hole")" "700000 0"
	# Bytes of it, from inside of pieces, over their ends, over the end.
	for at in 0 3 499990 500003 1000000 2899999 2999990; do
		cmp -s <(tail -c +$((at + 1)) "$src/holes" | head -c 70000) \
		    <(dd if="$M/$f/holes" bs=70000 iflag=skip_bytes skip=$at count=1 \
			status=none) || fail "$f: holes at $at"
	done
done
io "data and holes" "data 0 hole 4096 data 499712 hole 700000 data ENXIO" "$M/pax.tar/holes" r \
    data:0 hole:0 data:100000 hole:700000 data:2999999
same "times to the nanosecond" "$(stat -c %y "$M/pax.tar/dir/text")" \
    "$(stat -c %y "$src/dir/text")"
same "a time before 1970" "$(stat -c %Y "$M/pax.tar/dangling")" "$(stat -c %Y "$src/dangling")"
same "a single compressed file" "$(sha256sum <"$M/single.gz/data")" \
    "$(sha256sum <"$src/dir/text")"
refuse "it cannot be written" 'Read-only' touch "$M/pax.tar/new"
same "its size in statfs" "$(stat -f -c '%b' "$M/pax.tar")" \
    $((($(stat -c %s "$A/pax.tar") + 511) / 512))

# The kernel's own driver of iso9660, where there is one.
mkdir "$W/l"
kernel()
{
	grep -qw iso9660 /proc/filesystems || modprobe -q iso9660 2>/dev/null
	mount -o "loop,ro$2" "$A/$1" "$W/l" 2>/dev/null && return 0
	skip "$1: the kernel has no iso9660"
	return 1
}
for f in rr.iso xorriso.iso; do
	# libarchive cuts targets that a record of 255 bytes does not hold.
	equal "$f is the tree" "$M/$f" "$W/plain" --modify-window=1 --exclude=/long-symlink
	if kernel $f ""; then
		equal "$f is what the kernel shows" "$M/$f" "$W/l" --exclude=/long-symlink
		umount "$W/l"
	fi
done
equal "joliet.iso is the tree, but for links and attributes" "$M/joliet.iso" "$W/plain/dir" \
    --exclude=symlink --no-H --no-p --no-o --no-g --modify-window=1
if kernel joliet.iso ,norock; then
	equal "joliet.iso is what the kernel shows" "$M/joliet.iso" "$W/l" --no-H
	umount "$W/l"
fi
same "plain.iso: names" "$(cd "$M/plain.iso" && find . | sort | tr '\n' ' ')" \
    ". ./DEEP ./DEEP/ER ./DEEP/HARD ./RANDOM ./TEXT "
same "plain.iso: contents" "$(sha256sum <"$M/plain.iso/TEXT")" "$(sha256sum <"$src/dir/text")"
if kernel plain.iso ,map=off; then
	same "plain.iso: names are the kernel's" "$(cd "$M/plain.iso" && find . | sort)" \
	    "$(cd "$W/l" && find . | sed 's/;1$//; s/\.$//; s/^$/./' | sort)"
	umount "$W/l"
fi
rf_umount "$M"
done_testing
