#!/bin/bash
# POSIX to the letter on an ext4 image: the lists of 16-posix and 17-syscalls over a mounted
# image and over the kernel's own ext4, row by row; then random contents and trees, and e2fsck.
LIMIT=300
. "$(dirname "$0")/lib.sh"
M=$W/m
mkdir -p "$W/rows" "$W/kernel" "$W/rosrc" "$W/bound"
truncate -s 512M "$S/img" "$S/kimg"
for i in img kimg; do
	mkfs.ext4 -q -F -b 4096 -N 60000 "$S/$i"
done
truncate -s 16M "$S/roimg"
(
	umask 0
	mkdir "$W/rosrc/d" && cd "$W/rosrc" || exit
	touch d/in
	printf text >f
	mkfifo p
	ln -s f l
)
mkdir "$W/ro" && cp -a "$W/rosrc" "$W/ro/t"
mkfs.ext4 -q -F -d "$W/ro" "$S/roimg"
# Before the kernel's, which may take the loop device of a file that is there.
cat >"$W/conf" <<C
[daemon]
allow-other = yes
export = yes
[rumpfs]
mode = 0755
[mount /e]
vfs = ext
host = $S/img
[mount /r]
vfs = ext
host = $S/roimg
access = ro
[dir /mem]
C
mount -o loop "$S/kimg" "$W/kernel" || {
	skip "there is no loop device"
	done_testing
}
chmod 755 "$W/kernel" "$W"
mount --bind "$W/rosrc" "$W/bound" && mount -o remount,bind,ro "$W/bound"
rf_mount "$W/conf" "$M" -o dev,suid || done_testing
mkdir "$W/kernel/t" "$M/e/t"

# list PROGRAM PART TREE DIR [OPTION…]
list()
{
	local prog=$1 part=$2 tree=$3 dir=$4
	shift 4
	"$TESTBIN/$prog-$part" -v "$@" "$dir" >"$W/rows/$tree.$part" 2>&1
	echo $? >"$W/rows/$tree.$part.rc"
}

for prog in "$TESTBIN"/p-posix-*; do
	[ -f "$prog" ] && [ -x "$prog" ] || continue
	part=${prog##*/p-posix-}
	disk= key=
	case $part in
	size) disk="-x huge" ;;
	readonly) key="-x readonly-access" ;;
	chown) key="-x chown-nothing" ;;
	esac
	# shellcheck disable=SC2086
	POSIX_READONLY=$W/bound list p-posix "$part" ext4 "$W/kernel/t" $disk &
	a=$!
	# shellcheck disable=SC2086
	POSIX_READONLY=$M/r/t list p-posix "$part" image "$M/e/t" $disk $key &
	wait $a $!
	judge "$part" ext4
	judge "$part" image
done

# See 17-syscalls for what the tags stand for.
EXT4="xattr-64k immutable-flags largest"
FUSE="collapse statx-attributes immutable-mode append-open kept-listing"
IMAGE="xattr-64k largest immutable-flags handles-forgotten"
tags()
{
	local t
	for t in "$@"; do
		printf -- '-x %s ' "$t"
	done
}
for part in acl xattr lock wait inode flags copy map gone big name list; do
	# shellcheck disable=SC2046,SC2086
	P_OTHER=$W/kernel/t list p-sys "$part" ext4 "$W/kernel/t" $(tags $EXT4) &
	a=$!
	# shellcheck disable=SC2046,SC2086
	P_OTHER=$M/mem list p-sys "$part" image "$M/e/t" $(tags $FUSE $IMAGE) &
	wait $a $!
	judge "$part" ext4
	judge "$part" image
done
for tree in ext4 image; do
	figure "rows on $tree: $(wc -l <"$W/rows/$tree"), of them different," \
	    "and how many: $(sort "$W/rows/$tree.tags" | uniq -c | awk '{
	        printf "%s%s %d", n++ ? ", " : "", $2, $1 }')"
done
differ image ext4 >"$W/differences"
sed -n 's/^\([^ ]*\) known/deviation \1/p' "$W/differences"
# A row that is fine is only in another place: entries come in another order.
sed -i '/^[^ ]* \(known\|ok\)/d' "$W/differences"
head -n 100 "$W/differences"
same "rows that differ without explanation" "$(wc -l <"$W/differences")" 0
same_rows ext4 image
# shellcheck disable=SC2086
needed image $FUSE $IMAGE huge readonly-access chown-nothing

### Random work, with a check.
mkdir -p "$S/ref" "$M/e/fsx" "$M/e/stress" "$M/e/model"
chmod 777 "$M/e/stress"
seed=${RF_SEED:-$((RANDOM * 32768 + RANDOM))}
program "contents" p-fsx -s "$seed" -n "${RF_FSX_OPS:-6000}" -d "$M/e/fsx"
program "trees" p-fstress -s "$seed" -t "${RF_FSTRESS_SECONDS:-4}" -u 1000 "$M/e/stress"
same "nothing is left" "$(ls -A "$M/e/stress")" ""
program "the model" p-model -s "$seed" -n "$((${RF_MODEL_STEPS:-60000} / 4))" "$S/ref" \
    "$M/e/model"
mkdir "$M/e/race"
program "threads" p-race -t "${RF_RACE_SECONDS:-5}" "$M/e/race"
umount "$W/bound" "$W/kernel"
rf_umount "$M"
check "e2fsck has nothing to say" e2fsck -fn "$S/img"
done_testing
