#!/bin/bash
# Requests at a bad time: a file that comes between the question whether it is there and its
# creation, a host that does not answer, the daemon's end in the midst of it.
LIMIT=100
. "$(dirname "$0")/lib.sh"
M=$W/m
as() { setpriv --reuid "$1" --regid "$1" --clear-groups "${@:2}"; }

# What is there by then is opened only by whom may open it: the kernel does not ask about
# what a create has opened.
mkdir -m 1777 "$W/h"
rf_mount "[daemon]
allow-other = yes
attr-timeout = 10s
[dir /mem]
mode = 1777
[etfs /k]
watch = no
host = $W/h" "$M" || done_testing
for user in 0 65533; do
	as 65532 "$TESTBIN/p-late" create "$M/k/late$user" 1000 >"$W/said" &
	late=$!
	sleep 0.4
	as $user sh -c "umask 077; echo secret >$W/h/late$user"
	wait $late
	same "a file of user $user is not opened by another" "$(cat "$W/said")" EACCES
	same "and is as it was" "$(cat "$W/h/late$user")" secret
done
as 65532 "$TESTBIN/p-late" create "$M/k/mine" 1000 >"$W/said" &
late=$!
sleep 0.4
as 65532 sh -c "umask 077; echo mine >$W/h/mine"
wait $late
same "one's own is" "$(cat "$W/said")" open
rf_umount "$M"

# The same as a daemon that acts as itself whoever asks.
mknod -m 666 "$W/fuse" c 10 229
echo user_allow_other >"$W/fuse.conf"
mount --bind "$W/fuse" /dev/fuse
touch /etc/fuse.conf
mount --bind "$W/fuse.conf" /etc/fuse.conf
mkdir -m 1777 "$W/uh"
mkdir "$W/um"
chown 65534:65534 "$W/uh" "$W/um"
setpriv --reuid 65534 --regid 65534 --clear-groups \
    "$RUMPFUSE" -f -o allow_other -k "/k=$W/uh,watch=no" none "$W/um" \
    >"$W/daemon.u.log" 2>&1 &
daemon=$!
for ((i = 0; i < 200; i++)); do
	[ -d "$W/um/k" ] && break
	sleep 0.05
done
as 65532 "$TESTBIN/p-late" create "$W/um/k/late" 600 >"$W/said" &
late=$!
sleep 0.3
as 65534 sh -c "umask 077; echo secret >$W/uh/late"
wait $late
same "nor by a daemon that is no root's" "$(cat "$W/said")" EACCES
same "and is as it was" "$(cat "$W/uh/late")" secret
kill -TERM $daemon
wait $daemon
same "that daemon's end" $? 0
umount /dev/fuse /etc/fuse.conf

# A host that does not answer holds up those who ask about it and nobody else, whatever
# they ask.
mkdir "$W/slow" "$W/fast" "$W/b"
for i in {0..5}; do : >"$W/b/f$i"; done
RF_TRANSPORT=device rf_mount "[daemon]
attr-timeout = 0
[etfs /k]
watch = no
host = $W/b" "$W/slow" || done_testing
rf_mount "[daemon]
attr-timeout = 60s
[dir /mem]
[etfs /k]
watch = no
host = $W/slow/k" "$W/fast" || done_testing
for i in {0..5}; do stat -c %n "$W/fast/k/f$i" >/dev/null; done
kill -STOP "${RF_PID[$W/slow]}"
pids=
for i in {0..5}; do
	"$TESTBIN/p-late" statx "$W/fast/k/f$i" &
	pids="$pids $!"
done
sleep 0.5
check "in memory all goes on" timeout 5 mkdir "$W/fast/mem/new"
kill -CONT "${RF_PID[$W/slow]}"
# shellcheck disable=SC2086
wait $pids
sleep 0.3
check "who was stopped goes on" test -e "$W/slow/k/f1"
rf_umount "$W/fast"
rf_umount "$W/slow"

# The end in the midst of files without a name.
for round in 1 2 3; do
	rf_mount "[daemon]
allow-other = yes
[dir /mem]
mode = 1777
[etfs /k]
host = $W/h" "$M" || done_testing
	pids=
	for d in mem k k; do
		as 65532 "$TESTBIN/p-late" storm "$M/$d" &
		pids="$pids $!"
	done
	sleep 0.5
	rf_umount "$M" term
	# shellcheck disable=SC2086
	check "round $round: who was at it is let go" timeout 10 tail --pid="${pids##* }" -f /dev/null
	# shellcheck disable=SC2086
	wait $pids
done
# Host objects that come after the mount: by a file that is made, by a directory that is moved
# to its place, by a file system that is mounted over an empty directory, behind a link that led
# nowhere, and as one that is too small at first.  What the kernel was told is taken back, and
# nobody looks the names up by hand meanwhile.
said() { grep -cF -- "$1" "${RF_LOG[$M]}"; }
come() # WHAT NAME: the log tells of it, and the directory lists it
{
	local i
	for ((i = 0; i < 40 * ${RF_SLOW:-1}; i++)); do
		[ "$(said "key /l/$2: ")" != 0 ] && break
		sleep 0.05
	done
	at_most "$1: seconds until it is there" "$(awk -v i=$i 'BEGIN { print i * 0.05 }')" 1
	check "$1: it is listed" sh -c "ls $M/l | grep -qx $2"
	check "$1: it is found" stat "$M/l/$2"
}
mkdir "$W/late" "$W/late/disk" "$W/late/moving"
echo moved >"$W/late/moving/file"
ln -s "$W/late/elsewhere" "$W/late/link"
rf_mount "[dir /l]
[etfs /l/file]
host = $W/late/file
missing = hide
[etfs /l/deep]
host = $W/late/a/b/c/file
missing = wait
[etfs /l/moved]
host = $W/late/moved/file
missing = hide
[etfs /l/disk]
host = $W/late/disk/dir/file
missing = hide
[etfs /l/link]
host = $W/late/link/file
missing = hide
[etfs /l/small]
host = $W/late/small
type = blk
size = 4096
missing = hide
[daemon]
attr-timeout = 60s
wait = 300ms" "$M" || done_testing
check "what has not come in time is told" grep -q 'a/b/c/file has not come in time' "${RF_LOG[$M]}"
same "none is there" "$(ls "$M/l")" ""
for n in file deep moved disk link small; do
	refuse "$n is not there" 'No such file' cat "$M/l/$n"
done
late_threads() { cat /proc/"${RF_PID[$M]}"/task/*/comm | grep -c rumpfuse-late; }
same "one thread waits for all of them" "$(late_threads)" 1
echo x >"$W/late/file"
come "a file" file
mkdir -p "$W/late/a/b/c"
echo x >"$W/late/a/b/c/file"
come "a file with its directories" deep
mv "$W/late/moving" "$W/late/moved"
come "a directory that is moved" moved
mkdir -p "$S/disk/dir"
echo x >"$S/disk/dir/file"
mount --bind "$S/disk" "$W/late/disk"
come "a file system that is mounted" disk
mkdir "$W/late/elsewhere"
echo x >"$W/late/elsewhere/file"
for ((i = 0; i < 100; i++)); do [ "$(said 'key /l/link: ')" = 0 ] || break; sleep 0.05; done
check "behind a symbolic link" cat "$M/l/link"
echo x >"$W/late/small"
for ((i = 0; i < 100; i++)); do [ "$(said 'lies past the end')" = 0 ] || break; sleep 0.05; done
same "one that is too small is told once" "$(said 'lies past the end')" 1
refuse "and is not there" 'No such file' cat "$M/l/small"
truncate -s 1M "$W/late/small"
come "one that has grown" small
switches() { awk '/ctxt/ { s += $2 } END { print s }' /proc/"${RF_PID[$M]}"/task/*/status; }
sleep 0.2
before=$(switches)
sleep 1.5
at_most "wake-ups while nothing happens" $(($(switches) - before)) 10
rf_umount "$M"
umount "$W/late/disk"

# missing = wait: waited for in the order of need, ended by a signal, and not by a reload.
(sleep 0.7; mkdir "$W/late/w"; echo x >"$W/late/w/1"; sleep 0.3; echo y >"$W/late/w/2") &
come=$!
begin=$(now)
rf_mount "[etfs /1]
host = $W/late/w/1
missing = wait
[etfs /2]
host = $W/late/w/2
missing = wait" "$M" || done_testing
wait $come
at_most "seconds for two that come after 0.7 and 1 s" "$(since "$begin")" 2
same "both are there at once" "$(cat "$M/1" "$M/2" | tr -d '\n')" xy
printf '%s\n' "[etfs /3]" "host = $W/late/never" "missing = wait" "[etfs /4]" \
    "host = $W/late/w/2" >>"$RF_CONF"
begin=$(now)
rf_reload "$M" "a reload adds one that is missing" test -e "$M/4"
at_most "seconds, for it does not wait" "$(since "$begin")" 2
rf_umount "$M"
"$RUMPFUSE" -f "$RF_CONF" "$M" 2>"$W/daemon.w.log" &
daemon=$!
sleep 0.5
begin=$(now)
kill -TERM $daemon
wait $daemon
same "told to end while it waits: as the signal has it" $? 143
at_most "seconds until it has" "$(since "$begin")" 1.5

# The size of files is limited for those who write them, not for who started the daemon.
ulimit -S -f 100
rf_mount "[dir /mem]
[etfs /k]
host = $W/h" "$M" || done_testing
ulimit -S -f unlimited
for d in mem k; do
	check "$d: a file larger than the daemon's own might be" \
	    dd if=/dev/zero of="$M/$d/large" bs=64K count=16 status=none
	refuse "$d: and one larger than its writer's" "File too large|File size limit" \
	    bash -c "ulimit -f 100; trap '' XFSZ; dd if=/dev/zero of=$M/$d/limited bs=64K count=16"
done
rf_umount "$M"
done_testing
