#!/bin/bash
# POSIX to the letter, part two: the rest of the system calls.  Access control lists,
# attributes, locks, flags, copies, mappings, what has no name any more, large files, names,
# handles, places in a listing: one list, over bare tmpfs and ext4, the in-memory tree, and
# directory keys on both.  What differs between a mount and what it is to be like is shown.
LIMIT=300
. "$(dirname "$0")/lib.sh"
M=$W/m
TREES="tmpfs ext4 memory disk-key tmpfs-key"
mkdir -p "$W/bare" "$S/bare" "$W/host" "$S/host" "$W/rows"
cat >"$W/conf" <<C
[daemon]
allow-other = yes
export = yes
[rumpfs]
mode = 0755
[dir /mem]
[etfs /disk]
host = $W/host
special = yes
[etfs /tmpfs]
host = $S/host
special = yes
C
rf_mount "$W/conf" "$M" -o dev,suid || done_testing

# Where a tree is known to differ from the list, by tag:
#	collapse	tmpfs can neither collapse nor insert a range, and FUSE does not pass it on
#	zero-range	nor can tmpfs set one to zero
#	xattr-64k	attributes of 64 KiB: ext4 has a block for all of a file's
#	largest		ext4 ends at 16 TiB
#	immutable-flags	ext4 lets an immutable file have no other flag changed
#	immutable-open	tmpfs does not ask once a file is open for writing
#	mapped-tail	tmpfs leaves in a file what a mapping has written behind its end
# FUSE's own, whatever a daemon does:
#	statx-attributes	statx tells of none
#	immutable-mode	permission is checked by mode and list alone, so access(2) does not
#			know the flag, and who lacks the right anyway gets EACCES
#	append-open	O_APPEND can be taken off again, so each write asks for the flag
# Ours:
#	kept-listing	who goes back to a place in a listing that the kernel has kept (no-open)
#			may be shown what has been removed since, as POSIX lets it be
#	handles-forgotten	a handle below a key is good while the kernel knows the file
FUSE="collapse statx-attributes immutable-mode append-open"
TMPFS="immutable-open zero-range"
EXT4="xattr-64k immutable-flags largest"
declare -A KNOWN=(
	[tmpfs]="$TMPFS collapse mapped-tail" [ext4]="$EXT4"
	[memory]="$FUSE immutable-open mapped-tail kept-listing"
	[disk-key]="$FUSE $EXT4 handles-forgotten"
	[tmpfs-key]="$FUSE $TMPFS handles-forgotten mapped-tail"
)

# list PART TREE DIR OTHER: runs a part of the list; OTHER is where it may copy to.
list()
{
	local tag x=
	for tag in ${KNOWN[$2]}; do
		x="$x -x $tag"
	done
	# shellcheck disable=SC2086
	P_OTHER=$4 "$TESTBIN/p-sys-$1" -v $x "$3" >"$W/rows/$2.$1" 2>&1
	echo $? >"$W/rows/$2.$1.rc"
}

for part in acl xattr lock wait inode flags copy map gone big name list; do
	# Most of the time they wait for a clock or the disk.
	pids=
	list "$part" tmpfs "$S/bare" "$S/bare" & pids="$pids $!"
	list "$part" ext4 "$W/bare" "$W/bare" & pids="$pids $!"
	list "$part" memory "$M/mem" "$M/disk" & pids="$pids $!"
	list "$part" disk-key "$M/disk" "$M/tmpfs" & pids="$pids $!"
	list "$part" tmpfs-key "$M/tmpfs" "$M/mem" & pids="$pids $!"
	# shellcheck disable=SC2086
	wait $pids
	for tree in $TREES; do
		judge "$part" "$tree"
	done
done
rf_umount "$M"

for tree in $TREES; do
	figure "rows on $tree: $(wc -l <"$W/rows/$tree"), of them different," \
	    "and how many: $(sort "$W/rows/$tree.tags" | uniq -c | awk '{
	        printf "%s%s %d", n++ ? ", " : "", $2, $1 }')"
done
{
	differ memory tmpfs
	differ tmpfs-key tmpfs
	differ disk-key ext4
} >"$W/differences"
# Each row once, with the trees that it is about.
awk '{ t = $1; sub(/^[^ ]* */, ""); r[$0] = r[$0] " " t }
    END { for (k in r) print "deviation " k ":" r[k] }' "$W/differences" | sort
n=$(awk '$2 == "bad"' "$W/differences" | wc -l)
figure "differences from tmpfs and ext4: $(wc -l <"$W/differences"), not explained: $n"
same "rows that differ without explanation" "$n" 0
# shellcheck disable=SC2086
same_rows $TREES
for tree in $TREES; do
	# shellcheck disable=SC2086
	needed "$tree" ${KNOWN[$tree]}
done
done_testing
