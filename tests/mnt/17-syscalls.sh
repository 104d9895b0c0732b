#!/bin/bash
# The list of system calls, over bare tmpfs and ext4, the in-memory tree, and directory keys
# on both: access control lists, attributes, locks, flags, copies, mappings, what has no
# name any more, large files, names, handles, places in a listing.
LIMIT=150
. "$(dirname "$0")/lib.sh"
M=$W/m
mkdir -p "$W/bare" "$S/bare" "$W/host" "$S/host"
chmod 755 "$W" "$S"
cat >"$W/conf" <<X
[daemon]
allow-other = yes
[rumpfs]
mode = 0755
[dir /mem]
[etfs /disk]
host = $W/host
special = yes
[etfs /tmpfs]
host = $S/host
special = yes
X
rf_mount "$W/conf" "$M" -o dev,suid || done_testing

# Where a tree differs from the list, by tag: KNOWN[tree].  What the tags mean:
#	xattr-64k	an attribute of 64 KiB: ext4 has a block for all of them
#	immutable-flags	ext4 lets an immutable file have no other flag changed
#	immutable-open	tmpfs does not ask once a file is open for writing
#	mapped-tail	tmpfs leaves what a mapping has written behind the end
#	zero-range, collapse	tmpfs has neither; FUSE does not pass on the second
#	largest		ext4 ends at 16 TiB
# FUSE's own, whatever the daemon does:
#	statx-attributes	statx tells none but the kernel's own
#	flags-ctime	attributes that are cached stay so when flags are set
#	immutable-mode	permission is checked by mode and list alone, so access(2) and the
#			errno for whoever lacks the right anyway do not know the flag
#	append-open	O_APPEND can be taken off again, so the flag is looked at with each write
# And ours:
#	handles-forgotten	the handle of a key's file is good while the kernel knows the file
FUSE="collapse statx-attributes flags-ctime immutable-mode append-open"
declare -A KNOWN=(
	[bare tmpfs]="immutable-open mapped-tail zero-range collapse"
	[bare ext4]="xattr-64k immutable-flags largest"
	[in memory]="$FUSE immutable-open"
	[a key on ext4]="$FUSE handles-forgotten xattr-64k immutable-flags largest"
	[a key on tmpfs]="$FUSE handles-forgotten immutable-open zero-range"
)
declare -A DIR=(
	[bare tmpfs]=$S/bare [bare ext4]=$W/bare [in memory]=$M/mem
	[a key on ext4]=$M/disk [a key on tmpfs]=$M/tmpfs
)
declare -A OTHER=(
	[bare tmpfs]=$S/bare [bare ext4]=$W/bare [in memory]=$M/disk
	[a key on ext4]=$M/tmpfs [a key on tmpfs]=$M/mem
)
parts="acl xattr lock wait inode flags copy map gone big name list"
for tree in "bare tmpfs" "bare ext4" "in memory" "a key on ext4" "a key on tmpfs"; do
	x=
	for tag in ${KNOWN[$tree]}; do
		x="$x -x $tag"
	done
	rows=0 start=$(now)
	: >"$W/.differ"
	for part in $parts; do
		P_OTHER=${OTHER[$tree]} program "$tree: $part" "p-sys-$part" $x "${DIR[$tree]}" \
		    >"$W/.out"
		rc=$?
		grep -v '^deviation' "$W/.out"
		grep '^deviation' "$W/.out" >>"$W/.differ"
		# The sum is of the last line, and not of the frame's: a row here is a row there.
		read -r p _ f _ < <(tail -n 1 "$W/.prog")
		rows=$((rows + p + f))
		[ $rc = 0 ] || RF_FAILED=$((RF_FAILED + f - 1))
		RF_PASSED=$((RF_PASSED + p - (rc == 0)))
	done
	n=$(wc -l <"$W/.differ")
	figure "$tree: $((rows + n)) rows, $n of them differ, $(since "$start") s"
	sed 's/^deviation \([^:]*\): .*/\1/' "$W/.differ" | sort | uniq -c |
	    while read -r k tag; do
		echo "deviation $tree: $tag ($k rows)"
	done
done
rf_umount "$M"
done_testing
