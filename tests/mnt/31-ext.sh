#!/bin/bash
# ext2, ext3 and ext4 images: what the kernel's own driver writes reads the same here, and what
# is written here reads the same there, with e2fsck having nothing to say; over the features
# that mke2fs can set.  Then what is refused, and why.
# first
LIMIT=240
. "$(dirname "$0")/lib.sh"
M=$W/m
K=$W/kernel
IMG=$S/img
SRC=$W/src
mkdir "$K" "$SRC"

# One of everything.
make_source()
{
	local d=$SRC i
	local long
	long=$(printf 'n%.0s' {1..255})
	echo hello >"$d/file"
	: >"$d/empty"
	echo "$long" >"$d/$long"
	head -c 5000000 /dev/urandom >"$d/large"
	head -c 50 /dev/urandom >"$d/tiny"
	head -c 150 /dev/urandom >"$d/small"
	truncate -s 20M "$d/sparse"
	echo middle | dd of="$d/sparse" bs=1 seek=10000001 conv=notrunc status=none
	for i in 1 3 5 7 9 200 201 4000; do
		echo $i | dd of="$d/pieces" bs=1 seek=$((i * 5000)) conv=notrunc status=none
	done
	mkdir "$d/many"
	(cd "$d/many" && seq -f 'a name of some length %g' 1 1500 | xargs -d '\n' touch)
	d=$SRC
	for i in {1..40}; do
		d=$d/d$i
		mkdir "$d"
	done
	echo deep >"$d/file"
	d=$SRC
	ln "$d/file" "$d/many/hard"
	ln -s file "$d/link"
	ln -s "$(printf 'x%.0s' {1..200})" "$d/slow"
	ln -s "$(printf 'x%.0s' {1..59})" "$d/fast59"
	ln -s "$(printf 'x%.0s' {1..60})" "$d/slow60"
	mkfifo "$d/fifo"
	mknod "$d/char" c 5 1
	mknod "$d/block" b 259 70000
	echo program >"$d/setuid"
	chmod 6755 "$d/setuid"
	mkdir -m 3777 "$d/sticky"
	chown 70000:80000 "$d/tiny"
	touch "$d/"$'\xff\xfe'"no utf8" "$d/"$'new\nline'
	touch -d '1901-12-14 12:00:00.5' "$d/old"
	touch -d '1969-12-31 23:59:58.25' "$d/before"
	touch -d '2400-02-29 03:04:05.123456789' "$d/new"
	touch -h -d '2040-01-01' "$d/link"
	setfattr -n user.short -v value "$d/file"
	setfattr -n user.empty "$d/file"
	setfattr -n user.longer -v "$(printf 'v%.0s' {1..600})" "$d/small"
	setfattr -n trusted.t -v 0x00ff10 "$d/many"
	setfattr -n security.s -v x "$d/large"
	setfacl -m u:1000:rw,g:2000:r "$d/small"
	setfacl -d -m u:33:rwx,o:- "$d/sticky"
}

# differences A B: what rsync would have to do.
differences()
{
	rsync -naHAX --checksum --delete --specials --devices -i --exclude=/lost+found \
	    "$1/" "$2/" 2>&1
}

conf()
{
	printf '[mount /e]\nvfs = ext\nhost = %s\naccess = %s\n' "$IMG" "$1"
}

# clean WHAT
clean()
{
	check "$1: e2fsck has nothing to say" e2fsck -fn "$IMG"
	check "$1: it is marked as clean" grep -qE '^Filesystem state: +clean$' \
	    <(dumpe2fs -h "$IMG" 2>/dev/null)
}

# The kernel writes, we read.
read_kernels()
{
	local what=$1
	if ! mount -o loop "$IMG" "$K" 2>"$W/.out"; then
		skip "$what: the kernel does not mount it: $(head -n 1 "$W/.out")"
		return
	fi
	cp -a --sparse=always "$SRC/." "$K/"
	sync -f "$K"
	df -B1 --output=size,used,avail,itotal,iused "$K" | tail -n 1 >"$W/df.kernel"
	umount "$K"
	rf_mount "$(conf ro)" "$M" || return
	same "$what: the kernel's tree reads the same" "$(differences "$SRC" "$M/e")" ""
	same "$what: and holes are where they are" \
	    "$(du --block-size=1 "$M/e/pieces" | cut -f1)" "$(mount -o loop,ro "$IMG" "$K" &&
		du --block-size=1 "$K/pieces" | cut -f1; umount "$K")"
	df -B1 --output=size,used,avail,itotal,iused "$M/e" | tail -n 1 >"$W/df.ours"
	same "$what: df" "$(cat "$W/df.ours")" "$(cat "$W/df.kernel")"
	refuse "$what: nothing is written" 'Read-only' touch "$M/e/x"
	rf_umount "$M"
}

# Changes to the tree of a writable mount, which leave it as the source is.
churn()
{
	local d=$1 i
	mkdir "$d/w" "$d/w/a" "$d/w/b"
	(cd "$d/w/a" && seq 1 600 | xargs touch && seq 1 3 600 | xargs rm &&
	    seq 2 3 600 | xargs mv -t ../b)
	for i in 1 2 3 4; do
		head -c 300000 /dev/urandom >"$d/w/f$i"
	done
	truncate -s 100001 "$d/w/f1"
	truncate -s 400001 "$d/w/f1"
	fallocate -l 1M "$d/w/f2" 2>/dev/null
	fallocate -p -o 100000 -l 100000 "$d/w/f3"
	dd if=/dev/zero of="$d/w/f4" bs=1000 seek=150 count=7 conv=notrunc status=none
	mv "$d/w/b" "$d/w/a/below"
	mv "$d/w/f1" "$d/w/f2"
	ln "$d/w/f3" "$d/w/a/f3"
	setfattr -n user.x -v "$(printf 'y%.0s' {1..300})" "$d/w/f3"
	setfattr -n user.x -v short "$d/w/f3"
	setfattr -x user.x "$d/w/f3"
	mv "$d/many" "$d/w/many"
	touch "$d/w/many/added"
	rm "$d/w/many/added"
	mv "$d/w/many" "$d/many"
	sha256sum "$d"/w/f[234] | cut -d' ' -f1 >"$W/sums"
}

# The kernel reads what we write.
write_ours()
{
	local what=$1
	rf_mount "$(conf rw)" "$M" || return
	check "$what: a tree is written" \
	    rsync -aHAXS --specials --devices "$SRC/" "$M/e/"
	check "$what: and changed" churn "$M/e"
	rm -rf "$M/e/w/a"
	same "$what: and reads the same" \
	    "$(differences "$SRC" "$M/e" | grep -vE '^\*deleting +w/|^\.d\.\.t\.+ (many/|\./)$')" ""
	rf_umount "$M"
	clean "$what"
	if mount -o loop,ro "$IMG" "$K" 2>/dev/null; then
		same "$what: the kernel reads the same contents" \
		    "$(sha256sum "$K"/w/f[234] | cut -d' ' -f1)" "$(cat "$W/sums")"
		same "$what: and the same tree" \
		    "$(differences "$SRC" "$K" | grep -vE '^\*deleting +w/|^\.d\.\.t\.+ (many/|\./)$')" ""
		umount "$K"
	fi
	rf_mount "$(conf rw)" "$M" || return
	rm -rf "$M"/e/[!l]* "$M"/e/l[!o]*
	same "$what: all of it can be removed" "$(ls -A "$M/e")" "lost+found"
	rf_umount "$M"
	clean "$what: emptied"
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

make_source
while read -r what size args; do
	# shellcheck disable=SC2086
	image "$size" $args && read_kernels "$what"
	# shellcheck disable=SC2086
	image "$size" $args && write_ours "$what"
done <<'X'
ext2 64M mkfs.ext2 -I 256
ext3 96M mkfs.ext3 -I 256
ext4 96M mkfs.ext4 -b 4096
ext4-1k 96M mkfs.ext4 -b 1024
ext4-2k-no-journal 96M mkfs.ext4 -b 2048 -O ^has_journal,^metadata_csum,uninit_bg
ext4-64bit-csum 96M mkfs.ext4 -b 4096 -O 64bit,metadata_csum,metadata_csum_seed
ext4-inline_data 96M mkfs.ext4 -b 4096 -O inline_data
ext4-bigalloc 192M mkfs.ext4 -b 4096 -O bigalloc -C 16384
ext4-sparse_super2 96M mkfs.ext4 -b 4096 -O sparse_super2
ext4-meta_bg 96M mkfs.ext4 -b 1024 -O meta_bg,^resize_inode
ext4-ea_inode 96M mkfs.ext4 -b 4096 -O ea_inode
ext4-no-extents 96M mkfs.ext4 -b 1024 -O ^extents,^64bit
ext4-64k 256M mkfs.ext4 -b 65536
X

### Inodes of 128 bytes have no room for times before the second, and none for attributes.
image 32M mkfs.ext2 -I 128 && rf_mount "$(conf rw)" "$M" && {
	touch -d '2030-01-01 00:00:00.75' "$M/e/f"
	setfattr -n user.a -v b "$M/e/f"
	same "128 bytes: times are in seconds" "$(stat -c %y "$M/e/f" | cut -d' ' -f2)" \
	    00:00:00.000000000
	touch -d '2100-01-01' "$M/e/f"
	same "128 bytes: times end in 2038" "$(date -u -d "@$(stat -c %Y "$M/e/f")" +%Y)" 2038
	same "128 bytes: attributes are in a block" \
	    "$(getfattr --only-values -n user.a "$M/e/f" 2>/dev/null)" b
	rf_umount "$M"
	clean "128 bytes"
}

### Files beyond 4 GiB.
image 64M mkfs.ext4 && rf_mount "$(conf rw)" "$M" && {
	truncate -s 6G "$M/e/f"
	echo end >>"$M/e/f"
	echo at | dd of="$M/e/f" bs=1 seek=5000000000 conv=notrunc status=none
	same "beyond 4 GiB" "$(tail -c 4 "$M/e/f")" end
	same "beyond 4 GiB, inside" \
	    "$(dd if="$M/e/f" bs=1 skip=5000000000 count=2 status=none)" at
	rf_umount "$M"
	clean "beyond 4 GiB"
}

### A full image: nothing half-done.
image 16M mkfs.ext4 -m 0 -N 200 && rf_mount "$(conf rw)" "$M" && {
	head -c 1000000 /dev/urandom >"$M/e/keep"
	refuse "full: writing" 'No space' dd if=/dev/zero of="$M/e/fill" bs=64k
	for i in {1..200}; do echo $i 2>/dev/null >"$M/e/n$i"; done 2>/dev/null
	refuse "full: a directory" 'No space' mkdir "$M/e/d"
	check "full: what is there can be written" \
	    dd if=/dev/urandom of="$M/e/keep" bs=1000 count=1000 conv=notrunc
	rm "$M/e/fill"
	check "full: room that is given back can be had" \
	    dd if=/dev/zero of="$M/e/keep2" bs=1M count=2
	for i in {1..300}; do : >"$M/e/i$i"; done 2>/dev/null
	refuse "full: inodes" 'No space' touch "$M/e/one more"
	rf_umount "$M"
	clean "full"
}

### A full image can be put right by who uses it.
for what in ^inline_data inline_data; do
	image 16M mkfs.ext4 -m 0 -O "^has_journal,$what" && mount -o loop "$IMG" "$K" || continue
	mkdir "$K/d" "$K/d/sub" "$K/to"
	for i in 1 2 3 4; do echo "content $i" | tee "$K/f$i" >"$K/d/f$i"; done
	head -c 100 /dev/zero | tr '\0' x >"$K/longer"
	umount "$K"
	rf_mount "$(conf rw)" "$M" || continue
	dd if=/dev/zero of="$M/e/fill" bs=64k 2>/dev/null
	dd if=/dev/zero of="$M/e/fill2" bs=4k 2>/dev/null
	what="full, $what"
	check "$what: rename" mv "$M/e/f1" "$M/e/g1"
	check "$what: rename over another" mv "$M/e/f2" "$M/e/f3"
	check "$what: rename to another directory" mv "$M/e/g1" "$M/e/d/f2"
	check "$what: move a directory" mv "$M/e/d/sub" "$M/e/to/sub"
	check "$what: exchange" mv "$M/e/d/f3" "$M/e/d/f4"
	check "$what: remove" rm "$M/e/d/f1"
	check "$what: make" touch "$M/e/new"
	check "$what: link" ln "$M/e/f3" "$M/e/l"
	check "$what: a short symlink" ln -s short "$M/e/symlink"
	check "$what: empty" truncate -s 0 "$M/e/f4"
	[[ $what = *^* ]] || {
		check "$what: write what is small" eval 'echo small >"$M/e/f4"'
		check "$what: over a part" dd if=/dev/zero of="$M/e/longer" bs=1 seek=50 \
		    count=20 conv=notrunc status=none
		check "$what: cut" truncate -s 80 "$M/e/longer"
		check "$what: and lengthen" truncate -s 90 "$M/e/longer"
		same "$what: it reads as that" "$(od -c "$M/e/longer" | tr -s ' ')" \
		    "$({ printf 'x%.0s' {1..50}; head -c 20 /dev/zero; printf 'x%.0s' {1..10}
		    head -c 10 /dev/zero; } | od -c | tr -s ' ')"
		same "$what: and the other" "$(cat "$M/e/f4")" small
	}
	check "$what: punch" fallocate -p -o 4096 -l 8192 "$M/e/fill"
	(cd "$M/e" && find . -type f ! -name 'fill*' -exec sha256sum {} + | sort) >"$W/sums"
	rf_umount "$M"
	clean "$what"
	mount -o loop,ro "$IMG" "$K"
	same "$what: the kernel reads the same" "$(cd "$K" && find . -type f ! -name 'fill*' \
	    -exec sha256sum {} + | sort)" "$(cat "$W/sums")"
	umount "$K"
done

### A file that is open without a name is there until its last user has gone.
image 16M mkfs.ext4 && rf_mount "$(conf rw)" "$M" && {
	before=$(df --output=iavail "$M/e" | tail -n 1)
	echo content >"$M/e/f"
	exec 7<>"$M/e/f"
	rm "$M/e/f"
	echo more >&7
	same "without a name: it reads" "$(cat "/proc/self/fd/7")" "more
nt"
	exec 7<&-
	sync -f "$M/e"
	for ((i = 0; i < 50; i++)); do
		after=$(df --output=iavail "$M/e" | tail -n 1)
		[ "$after" != "$before" ] || break
		sleep 0.1
	done
	same "without a name: and is given back" "$after" "$before"
	rf_umount "$M"
	clean "without a name"
}

### Marked before the first change, and not without one.
state()
{
	dumpe2fs -h "$IMG" 2>/dev/null | sed -n 's/^Filesystem state: *//p'
}
image 16M mkfs.ext4 && rf_mount "$(conf rw)" "$M" && {
	cat "$M/e/lost+found" 2>/dev/null
	ls "$M/e" >/dev/null
	touch "$M/e/f"
	same "it is marked as not clean while it is written" "$(state)" "not clean"
	rf_umount "$M"
	same "and as clean when it is unmounted" "$(state)" "clean"
}

### What is not to be written, and what is not to be read.
# only_reads WHAT TEXT
only_reads()
{
	rf_mount "$(conf rw)" "$M" || return
	check "$1 is said: $2" grep -q -- "$2" "${RF_LOG[$M]}"
	refuse "$1: nothing is written" 'Read-only' touch "$M/e/x"
	rf_umount "$M"
}
image 16M mkfs.ext4 && {
	debugfs -w -R 'set_super_value state 0' "$IMG" 2>/dev/null
	only_reads "not unmounted" "was not unmounted cleanly: run e2fsck -fy"
	debugfs -w -R 'set_super_value state 3' "$IMG" 2>/dev/null
	only_reads "errors" "is marked as having errors: run e2fsck -fy"
}
image 16M mkfs.ext4 && {
	debugfs -w -R 'feature needs_recovery' "$IMG" >/dev/null 2>&1
	rf_mount "$(conf ro)" "$M" && {
		check "a journal with something in it is said" \
		    grep -qF "its journal was not replayed" "${RF_LOG[$M]}"
		rf_umount "$M"
	}
	check "and it is not touched" grep -q needs_recovery \
	    <(dumpe2fs -h "$IMG" 2>/dev/null)
}
image 16M mkfs.ext4 -O quota && only_reads "quota" "cannot be written here: quota"
image 16M mkfs.ext4 -O verity && only_reads "verity" "cannot be written here: verity"
# refused WHAT TEXT
refused()
{
	conf rw >"$W/refused.conf"
	check "$1 is refused: $2" grep -qF -- "$2" <(timeout 20 "$RUMPFUSE" -f \
	    "$W/refused.conf" "$M" 2>&1)
	! rf_is_mounted "$M" || umount "$M"
}
image 16M mkfs.ext4 -O encrypt && refused "encrypt" "cannot be read here: encrypt"
image 16M mkfs.ext4 -O casefold && refused "casefold" "cannot be read here: casefold"
image 16M mkfs.ext4 && {
	truncate -s 8M "$IMG"
	refused "cut short" "the device ends before"
}
image 16M mkfs.ext4 && {
	printf X | dd of="$IMG" bs=1 seek=1100 conv=notrunc status=none
	refused "a superblock that is wrong" "checksum of the superblock is wrong"
}

### Images as they are when the power goes: the journal is replayed, and files without a name
### are freed, as the kernel does both.
# crashed OPTIONS: $IMG and $S/copy are what the device had while the kernel had it mounted.
crashed()
{
	local i
	mount -o "loop,commit=300${1:+,$1}" "$IMG" "$K" 2>"$W/.out" || {
		skip "the kernel does not mount it: $(head -n 1 "$W/.out")"
		return 1
	}
	echo first >"$K/first"
	mkdir "$K/gone" "$K/dir"
	(cd "$K/gone" && seq -f 'a name of some length %g' 1 800 | xargs -d '\n' touch)
	echo nameless >"$K/nameless"
	head -c 100000 /dev/urandom >"$K/cut"
	exec 8<"$K/nameless"
	sync "$K/first"
	# Their blocks are revoked, and then something else's.
	rm -r "$K/gone"
	rm "$K/nameless"
	truncate -s 5000 "$K/cut"
	sync "$K/cut"
	for i in {1..40}; do
		head -c 30000 /dev/urandom >"$K/dir/f$i"
	done
	# As it begins, so does a block of the journal.
	printf '\xc0\x3b\x39\x98 escaped' >"$K/escaped"
	mv "$K/first" "$K/dir/second"
	ln -s target "$K/dir/link"
	sync "$K"/dir/f* "$K/escaped" "$K/dir"
	cp "$IMG" "$S/copy"
	exec 8<&-
	umount "$K"
	cp "$S/copy" "$IMG"
}
while read -r what args; do
	how=${args##* }
	# shellcheck disable=SC2086
	image 64M ${args% *} && crashed "${how#-}" || continue
	check "$what: it is to be recovered" grep -q needs_recovery \
	    <(dumpe2fs -h "$IMG" 2>/dev/null)
	sum=$(sha256sum <"$IMG")
	rf_mount "$(conf ro)" "$M" && {
		check "$what: who only reads is told" \
		    grep -qF "its journal was not replayed" "${RF_LOG[$M]}"
		rf_umount "$M"
	}
	same "$what: and nothing is written" "$(sha256sum <"$IMG")" "$sum"
	mount -o loop "$S/copy" "$K" || continue
	rf_mount "$(conf rw)" "$M" && {
		check "$what: its journal is replayed" \
		    grep -qF "its journal was replayed" "${RF_LOG[$M]}"
		same "$what: as the kernel does it" "$(differences "$K" "$M/e")" ""
		same "$what: with what was there" "$(cat "$M/e/dir/second")" first
		same "$what: and as much room as there" \
		    "$(df --output=used,iused "$M/e" | tail -n 1)" \
		    "$(df --output=used,iused "$K" | tail -n 1)"
		check "$what: it can be written" touch "$M/e/new"
		rf_umount "$M"
		clean "$what"
	}
	umount "$K"
done <<'X'
crashed-ext4 mkfs.ext4 -b 4096 -O 64bit,metadata_csum -
crashed-1k mkfs.ext4 -b 1024 -O metadata_csum -
crashed-data mkfs.ext4 -b 4096 -O metadata_csum -data=journal
crashed-ext3 mkfs.ext3 -b 1024 -O ^64bit -
crashed-ext3-data mkfs.ext3 -b 4096 -data=journal
crashed-orphan_file mkfs.ext4 -b 4096 -O orphan_file,metadata_csum -
X

# log_at N: where the N-th block of the log is, in blocks of 4096.
log_at()
{
	debugfs -R "bmap <8> $1" "$IMG" 2>/dev/null
}
# damaged WHAT TEXT: it is read, and stays as it is.
damaged()
{
	local sum
	sum=$(sha256sum <"$IMG")
	only_reads "$1" "$2"
	same "$1: nothing is written" "$(sha256sum <"$IMG")" "$sum"
}
image 64M mkfs.ext4 -b 4096 -O metadata_csum && crashed "" && {
	super=$(log_at 0)
	start=$(od -An -tu4 --endian=big -j $((super * 4096 + 28)) -N 4 "$IMG")
	cp "$IMG" "$S/copy"
	for i in 0 1; do
		printf damage | dd of="$IMG" bs=1 conv=notrunc status=none \
		    seek=$(($(log_at $((start + i))) * 4096 + 50))
		damaged "a damaged block $i in the journal" "of the journal is damaged\|in the journal is damaged"
		cp "$S/copy" "$IMG"
	done
	printf '\0\0\0\x40' | dd of="$IMG" bs=1 conv=notrunc status=none \
	    seek=$((super * 4096 + 32))
	damaged "a journal's superblock" "the journal's superblock is damaged"
}
image 64M mkfs.ext3 -b 4096 && crashed "" && {
	super=$(log_at 0)
	start=$(od -An -tu4 --endian=big -j $((super * 4096 + 28)) -N 4 "$IMG")
	seek=$(($(log_at "$start") * 4096 + 12))
	cp "$IMG" "$S/copy"
	printf '\x7f\0\0\0' | dd of="$IMG" bs=1 seek=$seek conv=notrunc status=none
	damaged "a block beyond the end" "names a block beyond the end"
	cp "$S/copy" "$IMG"
	printf '%08x' "$super" | sed 's/../\\x&/g' | xargs -0 printf |
	    dd of="$IMG" bs=1 seek=$seek conv=notrunc status=none
	damaged "a block of the journal itself" "names a block of its own"
	cp "$S/copy" "$IMG"
	printf '\xff\xff\xff\xfb' | dd of="$IMG" bs=1 conv=notrunc status=none \
	    seek=$((super * 4096 + 32))
	only_reads "an error that the journal has" "is marked as having errors"
}
### A list of what is to be freed that cannot be true.
image 16M mkfs.ext4 -O ^has_journal && rf_mount "$(conf rw)" "$M" && {
	for i in 1 2 3; do echo $i >"$M/e/f$i"; done
	rf_umount "$M"
	for i in 5 1000000 200 2; do
		debugfs -w -R "set_super_value last_orphan $i" "$IMG" 2>/dev/null
		damaged "a file to be freed, $i" "wait to be freed is damaged"
	done
	a=$(debugfs -R 'stat f1' "$IMG" 2>/dev/null | sed -n 's/^Inode: *\([0-9]*\).*/\1/p')
	b=$(debugfs -R 'stat f2' "$IMG" 2>/dev/null | sed -n 's/^Inode: *\([0-9]*\).*/\1/p')
	debugfs -w -R "set_inode_field f1 dtime @$b" "$IMG" 2>/dev/null
	debugfs -w -R "set_inode_field f2 dtime @$a" "$IMG" 2>/dev/null
	debugfs -w -R "set_super_value last_orphan $a" "$IMG" 2>/dev/null
	damaged "files to be freed, in a ring" "wait to be freed is damaged"
}

### A damaged part is an error for itself.
image 16M mkfs.ext4 -b 1024 && rf_mount "$(conf rw)" "$M" && {
	mkdir "$M/e/good" "$M/e/bad"
	echo content >"$M/e/good/f"
	echo content >"$M/e/bad/f"
	rf_umount "$M"
	block=$(debugfs -R 'blocks /bad' "$IMG" 2>/dev/null | tr -d ' ')
	printf damage | dd of="$IMG" bs=1 seek=$((block * 1024 + 30)) conv=notrunc status=none
	rf_mount "$(conf ro)" "$M" && {
		refuse "a damaged directory" 'needs cleaning|Input/output' ls "$M/e/bad/"
		same "and a good one" "$(cat "$M/e/good/f")" content
		rf_umount "$M"
	}
}

### Reading while writing.
image 64M mkfs.ext4 && rf_mount "$(conf rw)" "$M" && {
	head -c 8M /dev/urandom >"$S/data"
	cp "$S/data" "$M/e/data"
	for i in 1 2 3 4 5 6; do
		cp "$S/data" "$M/e/copy" &
		for j in 1 2 3; do
			dd if="$M/e/data" iflag=direct bs=64k status=none 2>/dev/null |
			    cmp -s - "$S/data" || fail "reading while writing"
		done
		wait $!
		cmp -s "$S/data" "$M/e/copy" || fail "writing while reading"
	done
	ok "reading while writing"
	rf_umount "$M"
	clean "reading while writing"
}
done_testing
