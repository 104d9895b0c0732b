#!/bin/bash
# Keys that are refused, through configuration files: SEMANTICS, section 2, row by row.
# Each refusal has its exit code and names the key, the host object, and the reason.
LIMIT=100
. "$(dirname "$0")/lib.sh"
M=$W/m
mkdir "$M" "$W/dir"
head -c 64000 /dev/zero >"$W/reg"
ln -s reg "$W/link"
ln -s nowhere "$W/dangling"
ln -s dir "$W/dirlink"
mkfifo "$W/fifo"
mknod "$W/chr" c 1 3
"$TESTBIN/p-io" . r "mksock:$W/sock" >/dev/null
truncate -s 1M "$W/blkfile"
loop=$(losetup -f --show "$W/blkfile")
ln -s "$loop" "$W/blkdev"

# row WHAT STATUS REASON TEXT: the text is a configuration; REASON is what is to be said.
row()
{
	printf '%b\n' "$4" >"$W/row.conf"
	timeout 20 "$RUMPFUSE" "$W/row.conf" "$M" >"$W/.out" 2>&1
	local rc=$?
	if rf_is_mounted "$M"; then
		umount "$M"
		[ "$2" = 0 ] || fail "$1: is mounted"
	fi
	if [ $rc != "$2" ]; then
		fail "$1: status $rc, expected $2: $(cat "$W/.out")"
	elif [ -n "$3" ] && ! grep -qE -- "$3" "$W/.out"; then
		fail "$1: does not say \"$3\": $(cut -c 1-200 "$W/.out")"
	elif [ "$2" = 3 ] && ! grep -qE -- "(/k[^ ]*|: /): $W/" "$W/.out"; then
		fail "$1: does not name the key and the host path: $(cat "$W/.out")"
	else
		ok "$1"
	fi
	[ "$2" != 0 ] || sleep 0.1
}

key()
{
	printf '[etfs %s]\\nhost = reg\\n' "$1"
}
long=$(printf 'n%.0s' {1..255})

# The syntax of keys.
row "a key without a leading slash" 2 'key|absolute|"/"' "$(key key)"
row "an empty key" 2 '' "[etfs ]\nhost = reg"
row "four leading slashes" 0 '' "$(key ////key)"
row "a slash at the end" 0 '' "$(key /key/)"
row "a . component" 2 '\.' "$(key /a/./b)"
row "a .. component" 2 '\.\.' "$(key /a/../b)"
row "a component of 255 bytes" 0 '' "$(key "/$long")"
row "a component of 256 bytes" 2 '255|long' "$(key "/n$long")"
row "a key of 4,096 bytes" 2 '409[56]' "$(key "$(printf "/$long%.0s" {1..16})")"
row "/ with a file" 3 '/: .*/reg: only a directory' '[etfs /]\nhost = reg'
row "/ with a directory" 0 '' '[etfs /]\nhost = dir'

# The table of host objects.
host()
{
	printf '[etfs /k]\\nhost = %s\\ntype = %s' "$1" "$2"
}
for t in reg blk chr; do
	row "$t: a regular file" 0 '' "$(host reg $t)"
	row "$t: a symlink to one" 0 '' "$(host link $t)"
	row "$t: a directory" 3 '[Dd]irectory' "$(host dir $t)"
	row "$t: a fifo" 3 'fifo' "$(host fifo $t)"
	row "$t: a socket" 3 'socket' "$(host sock $t)"
	row "$t: a block device" 0 '' "$(host blkdev $t)"
	row "$t: a character device" 3 'character device' "$(host chr $t)"
	row "$t: nothing" 3 'No such file' "$(host absent $t)"
	row "$t: a dangling symlink" 3 'No such file' "$(host dangling $t)"
done
for t in dir dir-subdirs; do
	row "$t: a directory" 0 '' "$(host dir $t)"
	row "$t: a symlink to one" 0 '' "$(host dirlink $t)"
	row "$t: a regular file" 3 'regular file' "$(host reg $t)"
	row "$t: a fifo" 3 'fifo' "$(host fifo $t)"
	row "$t: a socket" 3 'socket' "$(host sock $t)"
	row "$t: a block device" 3 'block device' "$(host blkdev $t)"
	row "$t: a character device" 3 'character device' "$(host chr $t)"
	row "$t: nothing" 3 'No such file' "$(host absent $t)"
	row "$t: a dangling symlink" 3 'No such file' "$(host dangling $t)"
	row "$t: a range, in the text" 2 'directory' "$(host dir $t)\nbegin = 1"
done
row "a directory with a range" 3 'range' '[etfs /k]\nhost = dir\nbegin = 1'
row "a directory with a size" 3 'range' '[etfs /k]\nhost = dir\nsize = 1'
row "a directory as a partition" 3 '' '[etfs /k]\nhost = dir\npartition = 1'
# Unreadable for the daemon.
echo secret >"$W/secret"
chmod 600 "$W/secret"
printf '[etfs /k]\nhost = secret\n' >"$W/secret.conf"
setpriv --reuid=65534 --regid=65534 --clear-groups "$RUMPFUSE" --check "$W/secret.conf" \
    >"$W/.out" 2>&1
same "an unreadable file: status" $? 3
check "an unreadable file: the reason" grep -q "/k: $W/secret:.*Permission denied" "$W/.out"

# Ranges.
for t in reg blk chr; do
	row "$t: begin past the end" 3 'past the end' "$(host reg $t)\nbegin = 64001"
	row "$t: begin at the end" 0 '' "$(host reg $t)\nbegin = 64000"
	row "$t: end past the end" 3 'past the end' "$(host reg $t)\nbegin = 1\nsize = 64000"
	row "$t: just fits" 0 '' "$(host reg $t)\nbegin = 1\nsize = 63999"
	row "$t: the sum overflows" 2 'too large' \
	    "$(host reg $t)\nbegin = 9223372036854775807\nsize = 9223372036854775807"
	row "$t: size = end" 0 '' "$(host reg $t)\nbegin = 16000\nsize = end"
done
row "no partition table" 3 'partition' "$(host reg blk)\npartition = 1"
row "partition and begin" 2 '' "$(host reg blk)\npartition = 1\nbegin = 0"

# Duplicates and nesting.
row "the same key twice" 2 '/k' "$(key /k)\n$(key /k)"
row "the same key twice, written otherwise" 2 '/k' "$(key /k)\n$(key //k/)"
row "a key below a reg key" 2 'directory|below' "$(host reg reg)\n$(key /k/below)"
row "a key below a blk key" 2 'directory|below' "$(host reg blk)\n$(key /k/below)"
row "a key below a key that turns out to be a file" 3 'directory' "$(key /k)\n$(key /k/below)"
row "/a and /ab" 0 '' "[etfs /a]\nhost = dir\n$(key /ab)"
row "a key below a directory key" 0 '' "$(host dir dir-subdirs)\n$(key /k/a/b)"

# Locks of other processes: a writable window is exclusive, a read-only one shared.
printf '[etfs /k]\nhost = reg\ntype = blk\nbegin = 1000\nsize = 1000\n' >"$W/lock.conf"
hold()
{
	rm -f "$W/held" "$W/release"
	"$TESTBIN/p-io" "$W/reg" rw "$1" "touch:$W/held" "wait:$W/release" >/dev/null &
	holder=$!
	while [ ! -e "$W/held" ]; do sleep 0.02; done
}
release()
{
	touch "$W/release"
	wait "$holder"
}
hold wrlock:1500:1
rf_start 3 "$W/lock.conf" "$M"
check "a lock of another process: key, host" grep -q "/k: $W/reg:.*in use" "$W/.out"
check "an overlap in one byte is named" grep -qE "1000 to (1999|2000)" "$W/.out"
row "lock = no" 0 '' "$(cat "$W/lock.conf")\nlock = no"
row "a window beside it" 0 '' '[etfs /k]\nhost = reg\ntype = blk\nbegin = 1501\nsize = 10'
rf_start 0 --check "$W/lock.conf"
release
# A lock of the classic kind names its holder.
hold plock:1000:10
rf_start 3 "$W/lock.conf" "$M"
check "the holder is named" grep -qE "in use.*process $holder" "$W/.out"
release
hold rdlock:1000:1000
rf_start 3 "$W/lock.conf" "$M"
row "a read-only window shares" 0 '' "$(cat "$W/lock.conf")\naccess = ro"
release
# And the daemon's own lock is seen by others.
rf_mount "$W/lock.conf" "$M"
io "the daemon's lock holds others off" "wrlock EAGAIN rdlock EAGAIN wrlock 0 wrlock 0" \
    "$W/reg" rw wrlock:1999:1 rdlock:1000:1 wrlock:999:1 wrlock:2000:0
rf_mount none "$W/m2" -k "/other=$W/reg,type=blk,begin=2000"
rf_umount "$W/m2"
timeout 20 "$RUMPFUSE" -k "/other=$W/reg,type=blk" none "$W/m2" >"$W/.out" 2>&1
same "a second daemon is refused" $? 3
rf_umount "$M"
io "the lock is gone with the daemon" "wrlock 0" "$W/reg" rw wrlock:0:0
losetup -d "$loop"
same "no process is left" \
    "$(for p in $(rf_processes); do readlink "/proc/$p/exe"; done | grep -c rumpfuse)" 0
done_testing
