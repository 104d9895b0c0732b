#!/bin/bash
# One list of what a file system does, over bare tmpfs and ext4, the in-memory tree, and
# directory keys on both.
LIMIT=100
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
# tmpfs has no FALLOC_FL_ZERO_RANGE, and a key passes on what the host says.
for part in tree dir data attr; do
	x=
	[ $part != data ] || x="-x zero-range"
	program "bare tmpfs: $part" p-list-$part $x "$S/bare"
	program "bare disk: $part" p-list-$part "$W/bare"
	program "in memory: $part" p-list-$part "$M/mem"
	program "a key on the disk: $part" p-list-$part "$M/disk"
	program "a key on tmpfs: $part" p-list-$part $x "$M/tmpfs"
done
rf_umount "$M"
done_testing
