#!/bin/bash
# Starting and ending: exit codes, the background, signals, a daemon that was killed.
LIMIT=100
. "$(dirname "$0")/lib.sh"
M=$W/m
mkdir "$M"
echo text >"$W/file"
cat >"$W/good.conf" <<X
[etfs /file]
host = file
X

# Exit codes.
rf_start 1
rf_start 1 --no-such-option none "$M"
rf_start 1 none
rf_start 1 none "$M" too-many
rf_start 1 -o loop none "$M"
rf_start 0 -h
check "-h says how it is used" grep -q MOUNTPOINT "$W/.out"
rf_start 0 -V
check "-V says the version" grep -qE '[0-9]+\.[0-9]+' "$W/.out"
rf_start 2 "$W/no-such.conf" "$M"
check "which file is missing is said" grep -q no-such.conf "$W/.out"
printf '[etfs /x]\nhost = a\nbegin = banana\n[strange]\n' >"$W/bad.conf"
rf_start 2 "$W/bad.conf" "$M"
check "the line of an error" grep -q 'bad.conf:3: \[etfs /x\] begin:.*banana' "$W/.out"
check "all errors in one run" grep -q 'bad.conf:4: ' "$W/.out"
rf_start 2 --check "$W/bad.conf"
printf '[etfs /x]\nhost = no-such-file\n' >"$W/missing.conf"
rf_start 3 "$W/missing.conf" "$M"
check "key, host and reason are said" \
    grep -q "/x: $W/no-such-file: No such file" "$W/.out"
rf_start 3 --check "$W/missing.conf"
rf_start 4 none "$W/no-such-dir"
check "the mount point is said" grep -q no-such-dir "$W/.out"
rf_start 4 none "$W/file"
rf_start 3 -k "/x=$W/no-such-file" none "$M"
rf_start 2 -k "x=$W/file" none "$M"
rf_start 2 -k "/x=$W/file,colour=red" none "$M"
rf_is_mounted "$M" && fail "something is mounted after refusals"
same "processes after refusals" "$(rf_processes | xargs -r -n1 readlink -f -- | grep -c rumpfuse)" 0

# --check
cat >"$W/check.conf" <<X
[etfs /disk/p1]
host = disk.img
type = blk
begin = 1M
size = 2M
access = ro
[etfs /later]
host = not-yet
missing = hide
[etfs /dir]
host = .
[etfs /overlap]
host = disk.img
type = blk
begin = 2M
X
truncate -s 8M "$W/disk.img"
rf_start 0 --check "$W/check.conf"
check "--check: a header" grep -qE '^key +type +begin +size +access +host' "$W/.out"
check "--check: a window" grep -qE "^/disk/p1 +blk +1048576 +2097152 +ro +$W/disk.img" "$W/.out"
check "--check: a directory" grep -qE "^/dir +dir-subdirs .*rw +$W" "$W/.out"
check "--check: a missing one" grep -qE '^/later .*not-yet' "$W/.out"
check "--check warns of overlaps" grep -q 'overlap' "$W/.out"

# The background: the start returns when the mount answers.
rf_start 0 "$W/good.conf" "$M"
same "the mount answers at once" "$(cat "$M/file")" text
pid=$(rf_daemon_of "$M")
check "one daemon runs" test "$(echo "$pid" | wc -w)" = 1
same "it has left the directory it was started in" "$(readlink "/proc/$pid/cwd")" /
check "what is in /proc/mounts" grep -q "^$W/good.conf $M fuse.rumpfuse " /proc/mounts
refuse "a second start on the same mount point" 'already mounted' \
    timeout 20 "$RUMPFUSE" "$W/good.conf" "$M"
check "umount" umount "$M"
check "the daemon ends with its mount" rf_gone "$pid"
(cd "$W" && timeout 20 "$RUMPFUSE" good.conf m) >"$W/.out" 2>&1
same "relative names" "$?" 0
same "a key of it" "$(cat "$M/file")" text
pid=$(rf_daemon_of m)
[ -n "$pid" ] || pid=$(rf_daemon_of "$M")
check "SIGTERM" kill -TERM "$pid"
check "ends it" rf_gone "$pid"
rf_is_mounted "$M" && fail "still mounted after SIGTERM"

# The mount point of the configuration.
printf '[daemon]\nmountpoint = m\n[etfs /file]\nhost = file\n' >"$W/where.conf"
rf_start 0 "$W/where.conf"
same "mountpoint = in the configuration" "$(cat "$M/file")" text
pid=$(rf_daemon_of "$W/where.conf")
umount "$M"
check "the daemon ends with its mount" rf_gone "$pid"

# Signals in the foreground; open files and a directory someone stands in.
for how in term int umount; do
	rf_mount "$W/good.conf" "$M" || continue
	echo kept >"$M/new"
	rf_umount "$M" $how
done
rf_mount "$W/good.conf" "$M" || done_testing
exec 5<"$M/file"
rf_umount "$M" term
exec 5<&-
# kill -9 and a new start on the same place.
rf_mount "$W/good.conf" "$M" || done_testing
exec 5<"$M/file"
says=$(rf_dead_says "$M")
kill -9 "${RF_PID[$M]}"
wait "${RF_PID[$M]}" 2>/dev/null
# What the kernel has it shows.
refuse "the dead mount" "$says" cat "$M/not-seen-as-yet"
rf_mount "$W/good.conf" "$M" || umount -l "$M"
same "a new start cleans up and mounts" "$(cat "$M/file")" text
same "one mount is there" "$(grep -c " $M fuse" /proc/mounts)" 1
exec 5<&-
rf_umount "$M"
rf_mount "$W/good.conf" "$M" || done_testing
kill -9 "${RF_PID[$M]}"
wait "${RF_PID[$M]}" 2>/dev/null
rf_start 0 "$W/good.conf" "$M"
same "and in the background" "$(cat "$M/file")" text
pid=$(rf_daemon_of "$M")
umount "$M"
check "the daemon ends" rf_gone "$pid"

# -d, -s, -k
rf_mount none "$M" -d
mkdir "$M/dir-for-trace"
echo x >"$M/dir-for-trace/f"
rm "$M/dir-for-trace/f"
ls "$M/no-such" 2>/dev/null
rf_umount "$M"
log=${RF_LOG[$M]}
check "-d: mkdir in the trace" grep -qE 'm(ake|kdir).*dir-for-trace' "$log"
check "-d: an error in the trace" grep -qE 'lookup.*no-such.*(ENOENT|-2|No such)' "$log"
check "-d: a write in the trace" grep -qE 'write' "$log"
check "-d: an unlink in the trace" grep -qE 'unlink.*"f"' "$log"
rf_mount none "$M" -s -k "/a/b/c=$W/file" -k "/d=$W,access=ro"
same "-k: a file" "$(cat "$M/a/b/c")" text
same "-k: a directory" "$(cat "$M/d/file")" text
refuse "-k: access = ro" 'Read-only' touch "$M/d/new"
rf_umount "$M"
rf_mount "$W/good.conf" "$M" -o ro
refuse "-o ro" 'Read-only' mkdir "$M/x"
refuse "-o ro, a key" 'Read-only' sh -c "echo >$M/file"
refuse "-o ro, chmod" 'Read-only' chmod 600 "$M/file"
rf_umount "$M"
rf_mount "$W/good.conf" "$M" -o rw,nofail,_netdev,x-systemd.automount,noatime,dev,suid
rf_umount "$M"
printf '[daemon]\naccess = ro\n' >"$W/ro.conf"
rf_mount "$W/ro.conf" "$M"
refuse "access = ro of the daemon" 'Read-only' mkdir "$M/x"
rf_umount "$M"

# The numbers of file systems are used again: a daemon that comes late to its end must not
# take another one's for its own.
# Other mounts of the machine may be quicker to take one.
mkdir "$W/other"
for ((i = 0; i < 8; i++)); do
	rf_mount none "$M"
	late=${RF_PID[$M]}
	dev=$(stat -c %d "$M")
	kill -STOP "$late"
	umount -l "$M"
	rf_mount none "$W/other"
	[ "$(stat -c %d "$W/other")" != "$dev" ] || break
	kill -CONT "$late"
	rf_wait "$M"
	rf_umount "$W/other"
done
if [ $i = 8 ]; then
	skip "a number that is used again: others have taken it each time"
else
	kill -CONT "$late"
	rf_wait "$M"
	check "the other mount lives on" touch "$W/other/new"
	rf_umount "$W/other"
fi
done_testing
