#!/bin/bash
# squashfs images of mksquashfs, gensquashfs and tar2sqfs, in all compressions and sizes of
# blocks: the tree through the mount is the source, and is what the kernel's driver shows.
LIMIT=240
. "$(dirname "$0")/lib.sh"
M=$W/m
[ -e "${UKFS_MODULES:-$(dirname "$RUMPFUSE")}/libukfs_squashfs.so" ] || {
	skip "no squashfs module"
	done_testing
}

### A source with everything in it.
src=$W/src
mkdir -p "$src/d/e/f" "$src/empty" "$src/sizes"
for n in 0 1 4095 4096 4097 65536 131071 131072 131073 1048576 1048577 3000000; do
	head -c "$n" /dev/urandom | base64 -w 0 | head -c "$n" >"$src/sizes/$n"
done
cat "$src"/sizes/* /usr/bin/perl >"$src/big"
truncate -s 40M "$src/sparse"
dd if=/dev/urandom of="$src/sparse" bs=1k seek=10000 count=300 conv=notrunc status=none
dd if=/dev/urandom of="$src/sparse" bs=1k seek=30001 count=5 conv=notrunc status=none
truncate -s 3000000 "$src/hole"
ln "$src/big" "$src/d/big2"
ln "$src/big" "$src/d/e/big3"
ln -s ../d/e "$src/d/link"
ln -s "$(printf 'x/%.0s' {1..2000})" "$src/longlink"
mknod "$src/d/c" c 300 70000
mknod "$src/d/b" b 8 17
mkfifo "$src/d/pipe"
long=$(printf 'n%.0s' {1..255})
echo long >"$src/$long"
echo "odd" >"$src/odd
 name ä %s"
echo own >"$src/owned"
chown 12345:54321 "$src/owned"
chown 3000000000:1 "$src/empty"
chmod 7751 "$src/d/e"
chmod 0 "$src/sizes/1"
setfattr -n user.one -v 1 "$src/big"
setfattr -n user.large -v "$(head -c 3000 /dev/zero | tr '\0' v)" "$src/big"
setfattr -n user.large -v "$(head -c 3000 /dev/zero | tr '\0' v)" "$src/owned"
setfattr -n trusted.t -v secret "$src/d"
cp /bin/true "$src/prog"
setcap cap_net_raw+ep "$src/prog"
touch -d '1970-01-02 03:04:05' "$src/sizes/0"
touch -d '2100-01-01' "$src/sizes/4096"
find "$src" -exec touch -h -d '2020-02-02 02:02:02' {} +
touch -h -d '1970-01-02 03:04:05' "$src/sizes/0"
touch -h -d '2100-01-01' "$src/sizes/4096"

# image NAME OPTION…
images=""
image()
{
	local name=$1
	shift
	check "mksquashfs of $name" mksquashfs "$src" "$W/$name.sqfs" -quiet -no-progress "$@" &&
	    images="$images $name"
}
image gzip4k -comp gzip -b 4K
image gzip -comp gzip
image xz1m -comp xz -b 1M -Xbcj x86
image lzo -comp lzo -b 64K
image lz4 -comp lz4 -no-fragments
image zstd -comp zstd -b 256K -always-use-fragments
image lzma -comp lzma -b 16K
image stored -noI -noD -noF -noX
image stored4k -noI -noD -noF -noX -b 4K -no-fragments
image plaindata -comp zstd -noD -noF -b 1M
image noexport -comp gzip -no-exports -no-duplicates -no-sparse
check "gensquashfs" gensquashfs -q -k -x -D "$src" -c zstd "$W/gen.sqfs" && images="$images gen"
tar -C "$src" --xattrs '--xattrs-include=*' --format=pax -cf "$W/src.tar" .
check "tar2sqfs" tar2sqfs -q -c xz "$W/tar.sqfs" <"$W/src.tar" && images="$images tar"

# A directory that is large, and one that is deep.
mkdir -p "$S/many/all" "$S/many/$(printf 'd/%.0s' {1..200})"
(cd "$S/many/all" && seq -f 'file-with-a-name-%.0f' 1 50000 | xargs touch)
check "mksquashfs of 50,000 names" mksquashfs "$S/many" "$W/many.sqfs" -quiet -no-progress

### Mounted all at once.
for name in $images many; do
	printf '[mount /%s]\nvfs = squashfs\nhost = %s.sqfs\naccess = ro\n' "$name" "$name"
done >"$W/all.conf"
printf '[mount /auto]\nhost = gzip.sqfs\naccess = ro\noptions = cache=1\n' >>"$W/all.conf"
rf_mount "$W/all.conf" "$M" || done_testing

# The directories' link counts and everybody's blocks are the format's own affair.
manifest()
{
	(cd "$1" && find . -printf '%p|%y|%s|%n|%m|%U|%G|%T@|%l\n' | sort)
}

# equal WHAT DIR DIR [OPTION…]: rsync finds nothing that they differ in.
equal()
{
	check "$1: rsync" rsync -naHAX --checksum --delete -i "${@:4}" "$2/" "$3/"
	same "$1: as rsync sees it" "$(cat "$W/.check")" ""
}

kernel=$W/k
mkdir "$kernel"
for name in $images; do
	case $name in
	# It makes files of hard links, and the root's time is its own.
	gen) equal "$name" "$src" "$M/$name" --no-H --omit-dir-times ;;
	*) equal "$name" "$src" "$M/$name" ;;
	esac
	program "$name: contents by eight threads" p-same "$M/$name/big" "$src/big" 8 25
	program "$name: holes" p-same "$M/$name/sparse" "$src/sparse" 2 10
	if mount -t squashfs -o loop,ro "$W/$name.sqfs" "$kernel" 2>/dev/null; then
		manifest "$kernel" >"$W/of-kernel"
		manifest "$M/$name" >"$W/of-ours"
		check "$name: as the kernel shows it" diff "$W/of-kernel" "$W/of-ours"
		same "$name: inodes, as the kernel counts them" "$(stat -f -c '%S %b %f %c' "$M/$name")" \
		    "$(stat -f -c '%S %b %f %c' "$kernel")"
		umount "$kernel"
	else
		skip "$name: the kernel cannot mount it"
	fi
done
equal "found out, a small cache" "$src" "$M/auto"
check "sparse files take less" [ "$(stat -c %b "$M/gzip/sparse")" -lt 10000 ]
same "hard links are one" "$(stat -c %i "$M/gzip/big")" "$(stat -c %i "$M/gzip/d/e/big3")"
same "an attribute" "$(getfattr -n trusted.t --only-values "$M/lzo/d")" secret
same "a capability" "$(getcap "$M/zstd/prog")" "$M/zstd/prog cap_net_raw=ep"
refuse "an attribute that is not there" 'No such attribute' getfattr -n user.no "$M/gzip/big"
refuse "writing" 'Read-only' touch "$M/gzip/big"
refuse "making" 'Read-only' mkdir "$M/gzip/new"

### Many names.
same "names of the large directory" "$(ls "$M/many/all" | wc -l)" 50000
same "each once" "$(ls -f "$M/many/all" | sort -u | wc -l)" 50002
check "one of them" stat "$M/many/all/file-with-a-name-43210"
refuse "none of them" 'No such file' stat "$M/many/all/file-with-a-name-50001"
same "depth" "$(find "$M/many/d" -type d | wc -l)" 200
rf_umount "$M"

### Images that are not whole.
size=$(stat -c %s "$W/gzip.sqfs")
head -c $((size / 2)) "$W/gzip.sqfs" >"$W/half.sqfs"
head -c 50 "$W/gzip.sqfs" >"$W/head.sqfs"
head -c 1M /dev/urandom >"$W/noise.sqfs"
for name in half head noise; do
	printf '[mount /s]\nvfs = squashfs\nhost = %s.sqfs\naccess = ro\n' "$name" >"$W/bad.conf"
	"$RUMPFUSE" -f "$W/bad.conf" "$M" >"$W/.out" 2>&1
	check "$name: refused, with the reason" grep -qE 'superblock|cut short|owners|root dir' "$W/.out"
done
# Contents that are damaged are an error of those who read them, and of nobody else.
cp "$W/gzip.sqfs" "$W/bad.sqfs"
dd if=/dev/zero of="$W/bad.sqfs" bs=1k seek=200 count=300 conv=notrunc status=none
printf '[mount /s]\nvfs = squashfs\nhost = bad.sqfs\naccess = ro\n' >"$W/bad.conf"
rf_mount "$W/bad.conf" "$M"
refuse "damaged contents" 'Structure needs cleaning|Input/output' cat "$M"/s/big
same "and all else" "$(cat "$M/s/owned")" own
rf_umount "$M"
done_testing
