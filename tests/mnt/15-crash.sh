#!/bin/bash
# What was acknowledged is on the host: SIGTERM, umount -l and kill -9 while a writer runs.
LIMIT=60
. "$(dirname "$0")/lib.sh"
M=$W/m
mkdir -p "$W/host"
truncate -s 64M "$W/img"
# The daemon's part: what the kernel writes by itself is further down.
cat >"$W/conf" <<X
[daemon]
passthrough = no
[etfs /dir]
host = host
[etfs /blk]
host = img
type = blk
X
for how in TERM INT KILL; do
	for t in dir/file blk; do
		rf_mount "$W/conf" "$M" || continue
		"$TESTBIN/p-writer" "$M/$t" "$W/log" >"$W/writer.out" 2>&1 &
		writer=$!
		exec 5<"$M/blk"
		sleep 0.7
		kill -$how "${RF_PID[$M]}"
		if [ $how = KILL ]; then
			wait "${RF_PID[$M]}" 2>/dev/null
			unset "RF_PID[$M]"
		else
			rf_wait "$M"
			rf_is_mounted "$M" && fail "SIG$how, $t: is still mounted"
		fi
		wait $writer
		same "SIG$how, $t: the writer is ended by an error" $? 0 || cat "$W/writer.out"
		n=$(cat "$W/log")
		check "SIG$how, $t: something was written ($n)" test "$n" -gt 10
		host=$W/img
		[ $t = blk ] || host=$W/host/file
		check "SIG$how, $t: all $n acknowledged records are on the host" \
		    "$TESTBIN/p-writer" -c "$host" "$n"
		exec 5<&-
		if [ $how = KILL ]; then
			rf_mount "$W/conf" "$M"
			check "and through a new start" "$TESTBIN/p-writer" -c "$M/$t" "$n"
			rf_umount "$M"
		fi
	done
done
# What the kernel writes without us goes on after the end, as after umount -l, and is there.
sed s/^passthrough.*// "$W/conf" >"$W/passed.conf"
for how in TERM KILL; do
	rf_mount "$W/passed.conf" "$M" || continue
	"$TESTBIN/p-writer" "$M/dir/file" "$W/log" >"$W/writer.out" 2>&1 &
	writer=$!
	sleep 0.3
	kill -$how "${RF_PID[$M]}"
	if [ $how = KILL ]; then
		wait "${RF_PID[$M]}" 2>/dev/null
		unset "RF_PID[$M]"
		umount -l "$M"
	else
		rf_wait "$M"
	fi
	n=$(cat "$W/log")
	sleep 0.3
	if kill -0 $writer 2>/dev/null; then
		check "SIG$how, passed by: the writer goes on" test "$(cat "$W/log")" -gt "$n"
	elif [ "$(id -u)" = 0 ]; then
		fail "SIG$how, passed by: the writer has ended: $(cat "$W/writer.out")"
	fi
	kill $writer 2>/dev/null
	wait $writer 2>/dev/null
	n=$(cat "$W/log")
	check "SIG$how, passed by: all $n acknowledged records are on the host" \
	    "$TESTBIN/p-writer" -c "$W/host/file" "$n"
done
# Ends while many are busy.
rf_mount "$W/conf" "$M" || done_testing
for i in 1 2 3 4; do
	(while :; do
		ls -lR "$M" && echo x >"$M/f$i" && cat "$M/f$i" && mkdir "$M/d$i" && rmdir "$M/d$i"
	done) >/dev/null 2>&1 &
	busy[i]=$!
	(while :; do
		echo y >"$M/dir/g$i" && rm "$M/dir/g$i"
	done) >/dev/null 2>&1 &
	busy[i + 4]=$!
done
sleep 1
kill -TERM "${RF_PID[$M]}"
rf_wait "$M"
kill "${busy[@]}"
wait "${busy[@]}" 2>/dev/null
rf_is_mounted "$M" && fail "still mounted after SIGTERM under load"
done_testing
