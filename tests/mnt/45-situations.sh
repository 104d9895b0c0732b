#!/bin/bash
# What goes wrong at people's machines, one row each: the exit status and the very message.
# first
LIMIT=150
. "$(dirname "$0")/lib.sh"
D="$W/d"
M="$D/m"
U="setpriv --reuid=65534 --regid=65534 --clear-groups"
mkdir "$D" "$M"
echo text >"$D/file"
printf '[etfs /file]\nhost = file\n' >"$D/a.conf"
A="$D/a.conf"
mknod -m 666 "$W/fuse" c 10 229
mount --bind "$W/fuse" /dev/fuse
: >"$W/fuse.conf"
[ -e /etc/fuse.conf ] && mount --bind "$W/fuse.conf" /etc/fuse.conf

# row WHAT STATUS TEXT COMMAND…: TEXT is an extended regular expression that a line matches.
row()
{
	local what=$1 want=$2 text=$3 rc
	shift 3
	timeout 30 "$@" >"$W/.out" 2>&1
	rc=$?
	if [ $rc != "$want" ]; then
		fail "$what: status $rc, expected $want"
	elif [ -n "$text" ] && ! grep -qE -- "$text" "$W/.out"; then
		fail "$what: does not say \"$text\""
	else
		ok "$what"
		return 0
	fi
	sed 's/^/  | /' "$W/.out"
}

# ended PID STATUS WHAT: a job of ours; how it ends.
ended()
{
	local i rc
	for ((i = 0; i < 300 * ${RF_SLOW:-1}; i++)); do
		kill -0 "$1" 2>/dev/null || break
		sleep 0.05
	done
	kill -0 "$1" 2>/dev/null && fail "$3: does not end" && kill -9 "$1"
	{ wait "$1"; } 2>/dev/null
	rc=$?
	same "$3: status" $rc "$2"
}

# log_says WHAT TEXT: in what the daemon of $M has printed.
log_says()
{
	check "$1" grep -qE -- "$2" "${RF_LOG[$M]}" || sed 's/^/  | /' "${RF_LOG[$M]}"
}

# background: a daemon there, $pid; as MOUNT's user if there are words.
background()
{
	row "a start in the background" 0 '' "$@" "$RUMPFUSE" "$A" "$M"
	pid=$(rf_daemon_of "$M" | head -n 1)
}
off()
{
	local i
	# Who has asked one that hung, by io_uring, is there until it has answered.
	for ((i = 0; i < 50; i++)); do
		umount "$M" 2>"$W/.out" && break
		sleep 0.1
	done
	rf_gone "$pid" || fail "the daemon $pid does not end"
}

# Dead mounts.
dead()
{
	rf_mount "$A" "$M"
	says=$(rf_dead_says "$M")
	kill -9 "${RF_PID[$M]}"
	{ wait "${RF_PID[$M]}"; } 2>/dev/null
	unset "RF_PID[$M]"
}
dead
row "a dead mount, as everybody sees it" 2 "$says" ls "$M"
row "a dead mount is replaced" 0 "$M: took away a dead mount" "$RUMPFUSE" "$A" "$M"
pid=$(rf_daemon_of "$M")
same "by one that answers" "$(cat "$M/file")" text
off
rf_mount "$A" "$M"
(cd "$M" && exec sleep 60) &
user=$!
sleep 0.1
kill -9 "${RF_PID[$M]}"
{ wait "${RF_PID[$M]}"; } 2>/dev/null
unset "RF_PID[$M]"
row "a dead mount that somebody stands in" 0 'took away a dead mount' "$RUMPFUSE" "$A" "$M"
pid=$(rf_daemon_of "$M")
same "by one that answers" "$(cat "$M/file")" text
off
kill $user
wait $user 2>/dev/null

# At once after a crash: what is asked at that moment fails otherwise than what is asked later.
bad=0
for ((i = 0; i < 30; i++)); do
	"$RUMPFUSE" "$A" "$M" >"$W/.out" 2>&1 || { bad=$((bad + 1)); sed 's/^/  | /' "$W/.out"; }
	kill -9 "$(rf_daemon_of "$M" | head -n 1)"
done
same "starts at once after a crash that fail, of 30" $bad 0
background
kill -STOP "$pid"
"$RUMPFUSE" "$A" "$M" >"$W/.out" 2>&1 &
start=$!
sleep 0.5
kill -9 "$pid"
wait $start
same "a start whose question is under way at the crash" $? 0
check "a start whose question is under way: takes it away" grep -q 'took away a dead mount' "$W/.out"
pid=$(rf_daemon_of "$M" | head -n 1)
off
# Killed while it starts.
bad=0
for ((i = 0; i < 20; i++)); do
	"$RUMPFUSE" -f "$A" "$M" >/dev/null 2>&1 &
	pid=$!
	sleep "$(printf '0.%03d' $((3 * i)))"
	kill -9 $pid
	"$RUMPFUSE" "$A" "$M" >"$W/.out" 2>&1 && [ -e "$M/file" ] ||
	    { bad=$((bad + 1)); sed 's/^/  | /' "$W/.out"; }
	{ wait $pid; } 2>/dev/null
	# The one before is about to end when the next one begins, with the same device number.
	umount "$M"
done
same "starts after one that was killed while it started that fail, of 20" $bad 0
# The end of one that was unmounted is slow: it must not take its successor's mount away.
bad=0
for ((i = 0; i < 10; i++)); do
	rf_start 0 "$A" "$M" >/dev/null
	pid=$(rf_daemon_of "$M" | head -n 1)
	kill -STOP "$pid"
	umount -l "$M"
	rf_start 0 "$A" "$M" >/dev/null
	kill -CONT "$pid"
	rf_gone "$pid" || bad=$((bad + 1))
	[ -e "$M/file" ] || bad=$((bad + 1))
	umount "$M"
done
same "mounts that a predecessor takes away, of 10" $bad 0
row "a subtype" 0 '' "$RUMPFUSE" -o subtype=other "$A" "$M"
kill -9 "$(rf_daemon_of "$M" | head -n 1)"
row "a dead mount with a subtype of its own" 4 \
    "dead mount of type fuse.other \\($A\\) is in the way: umount -l $M" "$RUMPFUSE" "$A" "$M"
row "is replaced by its like" 0 'took away a dead mount' "$RUMPFUSE" -o subtype=other "$A" "$M"
row "is not mounted twice" 4 'already mounted on' "$RUMPFUSE" -o subtype=other "$A" "$M"
umount "$M"

# One that hangs.
background
kill -STOP "$pid"
start=$(now)
row "on a mount that hangs" 4 "$M: what is mounted there \\($A, fuse.rumpfuse\\) does not answer: .*umount -l $M" \
    "$RUMPFUSE" none "$M"
row "remounting one that hangs" 4 "does not answer: .*umount -l $M" "$RUMPFUSE" -o remount,ro "$A" "$M"
at_most "seconds that both ask" "$(since "$start")" 13
kill -CONT "$pid"
off

# Busy, lazy.
rf_mount "$A" "$M"
exec 5<"$M/file"
row "umount of one that is in use" 32 'target is busy' umount "$M"
same "it is there" "$(cat "$M/file")" text
kill -TERM "${RF_PID[$M]}"
ended "${RF_PID[$M]}" 0 "SIGTERM while it is in use"
log_says "how many files are open is said" "$M is in use \(open files: 1\): it is taken away"
unset "RF_PID[$M]"
rf_is_mounted "$M" && fail "it is still mounted"
exec 5<&-
rf_mount "$A" "$M"
exec 5<"$M/file"
row "umount -l" 0 '' umount -l "$M"
sleep 0.3
check "the daemon goes on" kill -0 "${RF_PID[$M]}"
same "for who has a file open" "$(cat <&5)" text
exec 5<&-
ended "${RF_PID[$M]}" 0 "the last file is closed"
unset "RF_PID[$M]"

# The mount point.
row "a relative name" 0 '' env -C "$D" "$RUMPFUSE" a.conf m
same "the source is the whole name" "$(awk -v m="$M" '$2 == m { print $1 }' /proc/mounts)" "$A"
umount "$M"
background
row "a double start" 4 "$A is already mounted on $M, by process $pid\$" "$RUMPFUSE" "$A" "$M"
for name in a.conf ./a.conf m/../a.conf; do
	row "a double start as $name" 4 "$A is already mounted on $M, by process $pid\$" \
	    env -C "$D" "$RUMPFUSE" $name m
done
ln "$A" "$D/link.conf"
row "a double start by another name" 4 "$A is already mounted on $M" "$RUMPFUSE" "$D/link.conf" "$M"
rm "$D/link.conf"
row "another source on top" 0 "what is mounted there, $A, is covered" "$RUMPFUSE" none "$M"
umount "$M"
row "a mount in the mount" 0 '' bash -c "mkdir $M/in && '$RUMPFUSE' none $M/in && umount $M/in"
off
row "no mount point" 4 "mount point $D/none: No such file or directory" "$RUMPFUSE" "$A" "$D/none"
row "a file as mount point" 4 "mount point $D/file: Not a directory" "$RUMPFUSE" "$A" "$D/file"
touch "$M/full"
row "a mount point that is not empty" 0 '' "$RUMPFUSE" "$A" "$M///"
pid=$(rf_daemon_of "$M///")
same "slashes at the end" "$(awk '$3 == "fuse.rumpfuse" { print $2 }' /proc/mounts)" "$M"
off
rm "$M/full"
row "the key's own host directory below the mount point" 0 '' "$RUMPFUSE" -k "/k=$M" none "$M"
check "shows what is below" touch "$M/k/below"
umount "$M"
check "on the host" rm "$M/below"
row "a host directory that the mount point is in" 0 '' "$RUMPFUSE" -k "/k=$D" none "$M"
row "the mount in itself" 2 'Resource deadlock avoided' ls "$M/k/m"
umount "$M"
for name in "blank and	tab" $'new\nline' "$(printf 'n%.0s' {1..255})" 'back\slash' "quo'te\"s"; do
	mkdir "$D/$name"
	row "on ${name:0:12}" 0 '' "$RUMPFUSE" "$A" "$D/$name"
	same "on ${name:0:12}: it answers" "$(cat "$D/$name/file")" text
	pid=$(rf_daemon_of "$A")
	kill -TERM "$pid"
	check "on ${name:0:12}: it ends" rf_gone "$pid"
	mountpoint -q "$D/$name" && fail "on ${name:0:12}: it is still mounted"
done
for round in 1 2 3; do
	"$RUMPFUSE" "$A" "$M" >"$W/one" 2>&1 &
	one=$!
	"$RUMPFUSE" "$A" "$M" >"$W/two" 2>&1 &
	two=$!
	{ wait $one; rc1=$?; wait $two; rc2=$?; }
	same "two at once: one wins ($round)" "$(printf '%s\n' $rc1 $rc2 | sort | tr '\n' ' ')" "0 4 "
	same "two at once: one mount ($round)" "$(grep -c " $M fuse" /proc/mounts)" 1
	check "two at once: the other says so ($round)" \
	    grep -hqE 'already mounted on|about to mount there' "$W/one" "$W/two"
	umount "$M"
done
exec 6<"$M"
flock -x 6
row "somebody who does not come to an end with mounting" 4 'another process is about to mount' \
    "$RUMPFUSE" "$A" "$M"
exec 6<&-

# Users.
# shellcheck disable=SC2086
row "no right to the mount point" 4 'no write access to mountpoint' $U "$RUMPFUSE" none "$M"
chown 65534 "$M"
# shellcheck disable=SC2086
{
	row "allow_other as user" 4 'needs the line user_allow_other in /etc/fuse.conf' \
	    $U "$RUMPFUSE" -o allow_other none "$M"
	echo user_allow_other >"$W/fuse.conf"
	row "with that line" 0 '' $U "$RUMPFUSE" -o allow_other none "$M"
	umount "$M"
	echo mount_max=0 >"$W/fuse.conf"
	row "mount_max" 4 'mount_max=N can be set in /etc/fuse.conf' $U "$RUMPFUSE" none "$M"
	: >"$W/fuse.conf"
	row "no new rights" 4 'cannot gain rights.*NoNewPrivileges' \
	    $U --no-new-privs "$RUMPFUSE" none "$M"
	F=$(command -v fusermount3)
	cp "$F" "$W/fm"
	chmod 755 "$W/fm"
	mount --bind "$W/fm" "$F"
	row "fusermount3 without setuid" 4 "$F is not setuid root" $U "$RUMPFUSE" none "$M"
	umount "$F"
	: >"$W/fm"
	chmod 644 "$W/fm"
	mount --bind "$W/fm" "$F"
	row "no fusermount3" 4 'fusermount3.* is not installed .package fuse3' \
	    $U "$RUMPFUSE" none "$M"
	umount "$F"
	chmod 600 "$A" "$D/file"
	row "a configuration that is not one's own" 2 "a.conf: cannot be read: Permission denied" \
	    $U "$RUMPFUSE" "$A" "$M"
	row "a key that is not one's own" 3 "/k: $D/file: cannot be read: Permission denied" \
	    $U "$RUMPFUSE" -k "/k=$D/file" none "$M"
	chmod 644 "$A" "$D/file"
	chown 65534 "$D/file"
	row "without a PATH" 0 '' $U env -i UKFS_MODULES="$UKFS_MODULES" "$RUMPFUSE" "$A" "$M"
	pid=$(rf_daemon_of "$M" | head -n 1)
	kill -TERM "$pid"
	check "it ends" rf_gone "$pid"
	rf_is_mounted "$M" && fail "without a PATH it does not unmount"
}
chown 0 "$D/file" "$M"

# The device.
cat >"$W/nodev.sh" <<'X2'
mount -t tmpfs tmpfs /mnt
cp -a /dev/null /dev/zero /dev/urandom /mnt
ln -s /proc/self/fd /mnt/fd
mount --move /mnt /dev
"$@"
X2
row "no /dev/fuse" 4 '/dev/fuse is not there: load the module' \
    unshare -m bash "$W/nodev.sh" "$RUMPFUSE" none "$M"
row "a /dev/fuse that comes late" 0 '/dev/fuse is not there: waiting for it' unshare -m bash \
    "$W/nodev.sh" bash -c "(sleep 1; mknod /dev/fuse c 10 229) & '$RUMPFUSE' none $M && umount $M"
row "a /dev/fuse that is not permitted" 4 \
    '/dev/fuse cannot be opened: Permission denied: the unit, or the container' \
    unshare -m bash "$W/nodev.sh" bash -c "mknod -m 0 /dev/fuse c 10 229; chmod 755 /dev
    capsh --drop=cap_dac_override,cap_dac_read_search -- -c \"'$RUMPFUSE' none $M\""

# The configuration.
row "a directory as configuration" 2 "$D: a directory, expected a text file" "$RUMPFUSE" "$D" "$M"
: >"$D/empty"
row "an empty configuration is an empty tree" 0 '' "$RUMPFUSE" "$D/empty" "$M"
same "empty" "$(ls "$M")" ""
umount "$M"

# Where it is started from.
mkdir "$D/gone"
row "a directory that is gone" 0 '' \
    bash -c "cd $D/gone; rmdir $D/gone; '$RUMPFUSE' $A $M; s=\$?; cd /; umount $M; exit \$s"
mkdir "$D/gone"
row "a directory that is gone, and a relative name" 1 'working directory cannot be named' \
    bash -c "cd $D/gone; rmdir $D/gone; '$RUMPFUSE' a.conf $M"
row "no stdin, stdout, stderr" 0 '' bash -c "'$RUMPFUSE' $A $M <&- >&- 2>&-"
pid=$(rf_daemon_of "$M")
same "and nothing went into a key" "$(cat "$M/file")" text
off
row "few descriptors" 0 '' bash -c "ulimit -n 20; '$RUMPFUSE' -f -s $A $M & sleep 1; cat $M/file && umount $M && wait \$!"
row "hardly any descriptors" 4 'Too many open files' bash -c "ulimit -n 8; '$RUMPFUSE' $A $M"
rf_is_mounted "$M" && fail "hardly any descriptors: it is still mounted"

# The log: full, gone, a pipe that nobody reads.  Nobody waits for it, nobody ends of it.
traced()
{
	local i
	for ((i = 0; i < 1500; i++)); do echo "$M/no-such-file-of-a-long-name-that-fills-pipes-$i"; done |
	    timeout 30 xargs stat >/dev/null 2>&1
	[ $? = 124 ] && return 1
	timeout 5 cat "$M/file"
}
mkfifo "$W/pipe"
sleep 60 <>"$W/pipe" &
reader=$!
"$RUMPFUSE" -d "$A" "$M" 2>"$W/pipe" &
pid=$!
for ((i = 0; i < 200; i++)); do rf_is_mounted "$M" && break; sleep 0.05; done
check "a pipe that nobody reads holds nobody" traced
kill -TERM $pid
ended $pid 0 "with a full pipe"
kill $reader
wait $reader 2>/dev/null
mkfifo "$W/pipe2"
"$RUMPFUSE" -d "$A" "$M" 2>"$W/pipe2" &
pid=$!
head -c 10 "$W/pipe2" >/dev/null
for ((i = 0; i < 200; i++)); do rf_is_mounted "$M" && break; sleep 0.05; done
check "a pipe whose reader is gone ends nobody" traced
kill -TERM $pid
ended $pid 0 "with a broken pipe"
mkdir "$W/small"
mount -t tmpfs -o size=16k tmpfs "$W/small"
"$RUMPFUSE" -d "$A" "$M" 2>"$W/small/log" &
pid=$!
for ((i = 0; i < 200; i++)); do rf_is_mounted "$M" && break; sleep 0.05; done
check "a full disk below the log holds nobody" traced
kill -TERM $pid
ended $pid 0 "with a full disk"
umount "$W/small"
row "no /dev/log" 0 '' unshare -m bash "$W/nodev.sh" bash -c "mknod /dev/fuse c 10 229
    '$RUMPFUSE' $A $M && cat $M/file && umount $M"

# A host that does not answer: another mount of ours, stopped.
mkdir "$W/slow" "$W/b"
for i in {0..11}; do : >"$W/b/f$i"; done
# Nothing of it is in the kernel's caches, which would answer for it.
RF_TRANSPORT=device rf_mount "[daemon]
attr-timeout = 0
[etfs /k]
host = $W/b
watch = no" "$W/slow"
slow=${RF_PID[$W/slow]}
kill -STOP "$slow"
sleep 0.1
kill -CONT "$slow"
sleep 0.2
check "stopped and continued it goes on" stat "$W/slow/k/f0"
for n in 1 12; do
	rf_mount none "$M" -k "/k=$W/slow/k,watch=no"
	kill -STOP "$slow"
	sleep 0.2
	pids=
	for ((i = 0; i < n; i++)); do
		cat "$M/k/f$i" 2>>"$W/cut" &
		pids="$pids $!"
	done
	sleep 0.3
	start=$(now)
	kill -TERM "${RF_PID[$M]}"
	# What a thread of it has in the other's hands keeps it as a zombie.
	check "SIGTERM while $n requests wait for the host: it ends" rf_gone "${RF_PID[$M]}"
	at_most "seconds until it has ended" "$(since "$start")" 15
	log_says "why is said" "$M: a host path does not answer, and requests wait for it: they are cut off"
	rf_is_mounted "$M" && fail "it is still mounted"
	# shellcheck disable=SC2086
	check "who waited is let go" timeout 5 tail --pid="${pids##* }" -f /dev/null
	kill -CONT "$slow"
	# shellcheck disable=SC2086
	wait $pids
	ended "${RF_PID[$M]}" 5 "SIGTERM while $n requests wait for the host"
	unset "RF_PID[$M]"
done
# While it starts.
kill -STOP "$slow"
"$RUMPFUSE" -f -k "/k=$W/slow/k" none "$M" >"$W/.out" 2>&1 &
pid=$!
sleep 0.3
kill -TERM $pid
ended $pid 143 "SIGTERM during the start"
"$RUMPFUSE" -k "/k=$W/slow/k" none "$M" >"$W/.out" 2>&1 &
pid=$!
sleep 0.3
child=$(pgrep -P $pid)
kill -TERM $pid
ended $pid 143 "the parent killed during the start"
kill -CONT "$slow"
check "its child ends too" rf_gone "$child"
rf_is_mounted "$M" && fail "an interrupted start has mounted"
rf_umount "$W/slow"
done_testing
