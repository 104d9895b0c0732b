#!/bin/bash
# POSIX to the letter, part one: names, users, permission.  One list, as root and as two
# users, over bare tmpfs and ext4, the in-memory tree, and directory keys on both.  What
# differs between a mount and what it is to be like is shown row by row; there is to be
# nothing.
LIMIT=150
. "$(dirname "$0")/lib.sh"
M=$W/m
TREES="tmpfs ext4 memory disk-key tmpfs-key"
mkdir -p "$W/bare" "$S/bare" "$W/host" "$S/host" "$W/rows"
cat >"$W/conf" <<C
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
C
rf_mount "$W/conf" "$M" -o dev,suid || done_testing

# list PART TREE DIR [OPTION…]: runs a part of the list.
list()
{
	local part=$1 tree=$2 dir=$3
	shift 3
	"$TESTBIN/p-posix-$part" -v "$@" "$dir" >"$W/rows/$tree.$part" 2>&1
	echo $? >"$W/rows/$tree.$part.rc"
}

# judge PART TREE: says how it went, and keeps the rows for the table.
judge()
{
	local part=$1 tree=$2 out=$W/rows/$2.$1 rc
	rc=$(cat "$out.rc")
	sed -nE "s/^(ok  |bad ) /\1 $part: /p" "$out" >>"$W/rows/$tree"
	grep -E '^(deviation|SKIP)' "$out"
	if [ "$rc" = 0 ]; then
		ok "$tree: $part"
	else
		fail "$tree: $part: status $rc"
		grep -vE '^(ok  |bad ) ' "$out" | tail -n 60 | sed 's/^/  | /'
	fi
}

# differ TREE REFERENCE: the rows that come out differently.
differ()
{
	diff "$W/rows/$2" "$W/rows/$1" | sed -nE "s/^> (ok  |bad )/$1: \1/p"
}

for prog in "$TESTBIN"/p-posix-*; do
	[ -f "$prog" ] && [ -x "$prog" ] || continue
	part=${prog##*/p-posix-}
	# Most of the time they wait for a clock to move on.
	pids=
	list "$part" tmpfs "$S/bare" & pids="$pids $!"
	list "$part" ext4 "$W/bare" & pids="$pids $!"
	list "$part" memory "$M/mem" & pids="$pids $!"
	list "$part" disk-key "$M/disk" & pids="$pids $!"
	list "$part" tmpfs-key "$M/tmpfs" & pids="$pids $!"
	# shellcheck disable=SC2086
	wait $pids
	for tree in $TREES; do
		judge "$part" "$tree"
	done
done
rf_umount "$M"

for tree in $TREES; do
	figure "rows on $tree: $(wc -l <"$W/rows/$tree")," \
	    "$(grep -c '^bad' "$W/rows/$tree") of them other than expected"
done
{
	differ memory tmpfs
	differ tmpfs-key tmpfs
	differ disk-key ext4
} >"$W/differences"
figure "differences from tmpfs and ext4: $(wc -l <"$W/differences")"
sed 's/^/deviation /' "$W/differences" | head -n 100
done_testing
