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
rf_mount "[daemon]
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
