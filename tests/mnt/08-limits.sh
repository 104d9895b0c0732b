#!/bin/bash
# The limits of the in-memory tree: ENOSPC at once, statfs tells, memory comes back.
LIMIT=60
. "$(dirname "$0")/lib.sh"
M=$W/m
rf_mount '[rumpfs]
size = 16M
inodes = 100' "$M" || done_testing
free() { stat -f -c %a "$M"; }
nodes() { stat -f -c %d "$M"; }
# back WHAT: all bytes are free again.  The kernel tells a moment after the deletion that it
# has forgotten a file.
back()
{
	local i
	for ((i = 0; i < 40 && $(free) != b0; i++)); do sleep 0.05; done
	same "$1" "$(free)" "$b0"
}
b0=$(free) n0=$(nodes) bs=$(stat -f -c %S "$M")
same "statfs: size" "$(($(stat -f -c %b "$M") * bs))" $((16 << 20))
same "statfs: nodes" "$(stat -f -c %c "$M")" 100
same "statfs: the root is one" "$n0" 99
refuse "a file that is too big" 'No space' dd if=/dev/zero of="$M/big" bs=64K count=300
size=$(stat -c %s "$M/big")
check "what fits was written" test "$size" -le $((16 << 20)) -a "$size" -ge $((15 << 20))
check "the rest is nearly nothing" test "$(($(free) * bs))" -lt $((1 << 20))
refuse "another file has no room" 'No space' dd if=/dev/zero of="$M/more" bs=1M count=2
check "truncating gives back" truncate -s 4M "$M/big"
check "so there is room" dd if=/dev/zero of="$M/more" bs=1M count=8
check "removing" rm "$M/big" "$M/more"
back "gives all back"
check "a sparse file larger than the limit" truncate -s 1T "$M/sparse"
same "costs nothing" "$(stat -c %b "$M/sparse")" 0
io "data in it" "pwrite 4096 pwrite 4096 check yes" \
    "$M/sparse" rw pwrite:512G:4096:s pwrite:1023G:4096:t check:512G:4096:s
io "fallocate over the limit leaves nothing behind" "alloc ENOSPC size 0" \
    "$M/fa" rwc alloc:0:0:64M size
same "nothing allocated" "$(stat -c %b "$M/fa")" 0
io "fallocate within it" "alloc 0 size 8388608" "$M/fa" rw alloc:0:0:8M size
check "is allocated" test "$(stat -c %b "$M/fa")" -ge $((8 << 11))
refuse "and counts" 'No space' dd if=/dev/zero of="$M/x" bs=1M count=9
rm "$M/fa" "$M/x" "$M/sparse"
back "all is back"
# An open file that has lost its name keeps its memory until it is closed.
exec 5<>"$M/open"
dd if=/dev/zero of="$M/open" bs=1M count=8 conv=notrunc status=none
rm "$M/open"
check "still taken" test "$(($(free) * bs))" -lt $((9 << 20))
exec 5>&-
back "back after the close"
# Nodes.
for i in {1..97}; do : >"$M/n$i"; done
check "a file" touch "$M/a"
check "a directory" mkdir "$M/d"
for cmd in "touch $M/over" "mkdir $M/over" "ln -s x $M/over" "mkfifo $M/over" "ln $M/a $M/over"; do
	refuse "$cmd" 'No space' $cmd
done
check "mv needs no node" mv "$M/a" "$M/b"
same "none left" "$(nodes)" 0
rm "$M"/n*
rm "$M/b" "$M/hard"
rmdir "$M/d"
for ((i = 0; i < 40 && $(nodes) != n0; i++)); do sleep 0.05; done
same "all nodes are back" "$(nodes)" "$n0"
back "all bytes are back"
# Attributes cost memory, too.
touch "$M/f"
head -c 60000 /dev/zero | tr '\0' x >"$W/value"
ok=0
for i in {1..400}; do
	setfattr -n "user.v$i" -v "$(cat "$W/value")" "$M/f" 2>"$W/.out" || break
	ok=$i
done
check "attributes are limited, too (after $ok)" grep -qE 'No space' "$W/.out"
rm "$M/f"
back "and given back"
rf_umount "$M"
# In a percentage of the memory.
rf_mount '[rumpfs]
size = 25%' "$M"
half=$(awk '/^MemTotal/ { printf "%.0f\n", $2 * 256 }' /proc/meminfo)
got=$(($(stat -f -c %b "$M") * $(stat -f -c %S "$M")))
check "size = 25%" test "$got" -ge $((half * 9 / 10)) -a "$got" -le $((half * 11 / 10))
# What a gigabyte takes is given back to the machine.
avail() { awk '/^MemAvailable/ { print int($2 / 1024) }' /proc/meminfo; }
a0=$(avail)
dd if=/dev/zero of="$M/g" bs=1M count=512 status=none
a1=$(avail)
rm "$M/g"
sleep 0.5
figure "available memory: $a0 MiB, with a file of 512 MiB $a1 MiB, without $(avail) MiB"
rf_umount "$M"
# A limit of file sizes that the daemon is given is an error, and not its end.
rf_mount none "$M"
prlimit --pid "${RF_PID[$M]}" --fsize=1048576
refuse "a file in memory over the daemon's limit" 'too large' \
    dd if=/dev/zero of="$M/f" bs=1M count=3 status=none
check "it goes on" touch "$M/g"
rf_umount "$M"
done_testing
