#!/bin/bash
# alone: a switch of the kernel is turned.
# Requests by io_uring: all kinds of them and their data, hosts that hang, each way to end,
# and the reasons for which they come by /dev/fuse after all.
LIMIT=120
. "$(dirname "$0")/lib.sh"
SWITCH=/sys/module/fuse/parameters/enable_uring
CTL=$(dirname "$RUMPFUSE")/rumpfusectl
M=$W/m
H=$W/host
B=$W/back
mkdir "$M" "$H" "$B" "$W/real"
mount -t tmpfs -o mode=755 run /run || exit 1
unset RF_TRANSPORT

if [ ! -e $SWITCH ]; then
	skip "the kernel has no FUSE over io_uring ($SWITCH)"
	done_testing
fi
was=$(cat $SWITCH)
if [ "$was" != Y ] && ! echo Y 2>/dev/null >$SWITCH; then
	skip "FUSE over io_uring is off, and cannot be turned on here ($SWITCH)"
	done_testing
fi
# Put back however this ends.
trap '[ "$was" = Y ] || echo "$was" >$SWITCH' EXIT

cpus=$(nproc)
truncate -s 8M "$W/disk"
cat >"$W/conf" <<X
[daemon]
transport = io-uring
[etfs /d]
host = host
[etfs /disk]
host = disk
type = blk
begin = 1M
size = 4M
X

by()
{
	"$CTL" "$1" --json stats | jq -r .transport
}

# ended WHAT PID: within 5 s.
ended()
{
	check "$1: the daemon has ended" rf_gone "$2"
}

# Every kind of request: what the daemon sees is what there would have been by /dev/fuse.
rf_mount "$W/conf" "$M" || done_testing
same "requests come by" "$(by "$M")" io-uring
check "rumpfusectl stats says so" grep -q 'requests by *io-uring, threads: at most' <("$CTL" "$M" stats)
same "nothing is complained about" "$(grep -c fuse, "${RF_LOG[$M]}")" 0
head -c 5000001 /dev/urandom >"$W/data"
for d in "$M" "$M/d"; do
	what=${d#"$W/"}
	check "$what: large" cp "$W/data" "$d/large"
	check "$what: the same" cmp "$W/data" "$d/large"
	check "$what: large, directly" dd if="$W/data" of="$d/direct" bs=1M oflag=direct,nonblock \
	    iflag=fullblock count=4
	check "$what: the same" cmp -n 4194304 "$W/data" "$d/direct"
	check "$what: read directly" cmp -n 4194304 "$W/data" <(dd if="$d/direct" bs=1M iflag=direct \
	    status=none)
	check "$what: in pieces" dd if="$W/data" of="$d/pieces" bs=777 count=900 oflag=sync status=none
	check "$what: the same" cmp -n $((777 * 900)) "$W/data" "$d/pieces"
	check "$what: copied within" cp --reflink=never "$d/large" "$d/copy"
	check "$what: the same" cmp "$W/data" "$d/copy"
	name=$(printf 'n%.0s' {1..255})
	check "$what: a long name" touch "$d/$name"
	check "$what: renamed" mv "$d/$name" "$d/${name/n/m}"
	target=$(printf 't%.0s' {1..4000})
	check "$what: a long target" ln -s "$target" "$d/link"
	same "$what: a long target is" "$(readlink "$d/link")" "$target"
	value=$(head -c 3000 "$W/data" | base64 -w 0)
	check "$what: an attribute" setfattr -n user.some -v "$value" "$d/copy"
	same "$what: its value" "$(getfattr --only-values -n user.some "$d/copy")" "$value"
	refuse "$what: none" 'No such attribute' getfattr -n user.none "$d/copy"
	mkdir "$d/many"
	(cd "$d/many" && seq 1500 | xargs touch)
	same "$what: a listing" "$(ls -l "$d/many" | awk 'NR > 1 { print $9 }' | sort -n | sha1sum)" \
	    "$(seq 1500 | sha1sum)"
	check "$what: removed" rm -r "$d/many" "$d/copy" "$d/link"
	check "$what: the time of birth" grep -qv '^0$' <(stat -c %W "$d/large")
done
head -c 65000 "$W/data" >"$W/big"
check "an attribute that fills all there is" /usr/bin/python3 -c \
    "import os; v = open('$W/big', 'rb').read(); os.setxattr('$M/large', 'user.big', v); assert os.getxattr('$M/large', 'user.big') == v"
check "a window" dd if="$W/data" of="$M/disk" bs=1M count=4 conv=notrunc status=none
sync -f "$M"
check "is where it is on the host" cmp -n 4194304 -i 0:1048576 "$W/data" "$W/disk"
before=$("$CTL" "$M" --json stats | jq '[.operations[] | select(.name == "mkdir") | .count] + [0] | .[0]')
for i in {1..10}; do mkdir "$M/c$i"; done
same "requests are counted" "$("$CTL" "$M" --json stats |
    jq '.operations[] | select(.name == "mkdir") | .count')" $((before + 10))
refuse "errors come through" 'File exists' mkdir "$M/c1"
pid=${RF_PID[$M]}
same "threads: a few for each processor" \
    "$(grep -hx rumpfuse-ring "/proc/$pid/task"/*/comm | wc -l)" \
    "$("$CTL" "$M" --json stats | jq .threads)"
if ((cpus > 1)); then
	for ((i = 0; i < cpus && i < 4; i++)); do
		check "from processor $i" taskset -c $i mkdir "$M/p$i"
	done
fi
rf_umount "$M"

# A host that does not answer holds up who asks it, and nobody else, on the same processor.
echo text >"$W/real/f"
rf_mount "[daemon]
transport = device
attr-timeout = 0
[etfs /r]
host = $W/real" "$B"
rf_mount "[daemon]
transport = io-uring
attr-timeout = 0
slow = 200ms
[etfs /h]
watch = no
host = $B/r" "$M"
check "a host that answers" cat "$M/h/f"
sleep 0.3
kill -STOP "${RF_PID[$B]}"
stuck=()
for i in 1 2 3 4 5 6; do
	taskset -c 0 timeout 40 stat "$M/h/f$i" >/dev/null 2>&1 &
	stuck+=($!)
done
sleep 0.5
check "others go on" timeout 5 taskset -c 0 mkdir "$M/made"
check "and list" timeout 5 taskset -c 0 ls "$M"
same "who waits is listed" "$("$CTL" "$M" --json stats | jq '.waiting | length > 0')" true
kill -CONT "${RF_PID[$B]}"
for i in "${stuck[@]}"; do wait "$i"; done
check "and it goes on" cat "$M/h/f"

# The same at the end.
kill -STOP "${RF_PID[$B]}"
timeout 40 stat "$M/h/other" >/dev/null 2>&1 &
user=$!
sleep 0.3
begin=$(now)
kill -TERM "${RF_PID[$M]}"
{ wait "${RF_PID[$M]}"; } 2>/dev/null
same "SIGTERM while a host does not answer: status" $? 5
at_most "seconds that takes" "$(since "$begin")" 12
check "is said" grep -q 'does not answer, and requests wait for it' "${RF_LOG[$M]}"
unset "RF_PID[$M]"
wait $user
kill -CONT "${RF_PID[$B]}"
rf_umount "$B"

# Ends.
rf_mount "$W/conf" "$M"
rf_umount "$M" term
rf_mount "$W/conf" "$M"
exec 5<"$M/large" 2>/dev/null || exec 5<"$M/d/large"
rf_umount "$M" term
check "in use at SIGTERM: it is taken away" sh -c "! stat -f /proc/self/fd/5"
exec 5<&-
rf_mount "$W/conf" "$M"
pid=${RF_PID[$M]}
dev=$(awk -v m="$M" '$5 == m { split($3, d, ":"); print d[2] }' /proc/self/mountinfo | tail -n 1)
echo 1 >"/sys/fs/fuse/connections/$dev/abort"
ended "aborted" "$pid"
{ wait "$pid"; } 2>/dev/null
same "aborted: status" $? 5
unset "RF_PID[$M]"
umount -l "$M" 2>/dev/null

# Killed under load: who asked is told, and nothing stays.
for round in 1 2 3; do
	rf_mount "$W/conf" "$M"
	pid=${RF_PID[$M]}
	users=()
	for i in 1 2 3 4; do
		sh -c "i=0; while mkdir $M/u$i.\$i && echo x >$M/d/u$i; do i=\$((i + 1)); done" \
		    >"$W/user$i" 2>&1 &
		users+=($!)
	done
	sleep 0.3
	kill -9 "$pid"
	{ wait "$pid"; } 2>/dev/null
	for i in "${users[@]}"; do wait "$i"; done
	check "killed ($round): users are told" grep -qhE "not connected|connection abort|canceled" "$W"/user?
	refuse "killed ($round): the mount is dead" 'not connected|canceled|connection abort' stat "$M/d"
	unset "RF_PID[$M]"
	umount -l "$M"
done
same "no daemon is left" "$(pgrep -cx rumpfuse)" 0

# A user's own.
U="setpriv --reuid=65534 --regid=65534 --clear-groups"
mkdir "$W/nobody" && chown 65534:65534 "$W/nobody"
mknod -m 666 "$W/fuse" c 10 229 && mount --bind "$W/fuse" /dev/fuse
if $U "$RUMPFUSE" -o transport=io-uring none "$W/nobody" >"$W/.out" 2>&1; then
	same "a user's own: nothing is said" "$(cat "$W/.out")" ""
	check "a user's own: serves" $U mkdir "$W/nobody/d"
	check "a user's own: by rings" test "$(grep -hx rumpfuse-ring \
	    /proc/"$(pgrep -x rumpfuse)"/task/*/comm | wc -l)" -ge "$cpus"
	pid=$(pgrep -x rumpfuse)
	$U fusermount3 -u "$W/nobody"
	ended "a user's own" "$pid"
else
	fail "a user's own: $(cat "$W/.out")"
fi
umount /dev/fuse

# By /dev/fuse after all.
# falls WHAT TEXT OPTION…
falls()
{
	local what=$1 text=$2
	shift 2
	rf_mount none "$M" "$@" || return
	check "$what: serves" mkdir "$M/d"
	same "$what: by" "$(by "$M")" device
	if [ -n "$text" ]; then
		check "$what: is said" grep -q "not by io_uring: $text" "${RF_LOG[$M]}"
	else
		same "$what: nothing is said" "$(grep -c io_uring "${RF_LOG[$M]}")" 0
	fi
	rf_umount "$M"
}
falls "device" "" -o transport=device
falls "one thread" "one thread is to serve" -s -o transport=io-uring
RF_NOFILE=20 falls "few descriptors" "Too many open files" -o transport=io-uring
if echo N 2>/dev/null >$SWITCH; then
	falls "off" "it is off" -o transport=io-uring
	falls "off, as anywhere" "" -o transport=auto
	echo Y >$SWITCH
else
	skip "turning it off"
fi
rf_mount none "$M" -o transport=auto
same "auto: by" "$(by "$M")" io-uring
rf_umount "$M"
rf_mount none "$M" -o transport=io-uring,max_threads=3,clone_fd
same "threads that are counted: for each processor" "$("$CTL" "$M" --json stats | jq .threads)" \
    $((3 * cpus))
check "serves" mkdir "$M/d"
rf_umount "$M"
rf_start 1 -o transport=pigeon none "$M"
check "what there is" grep -q 'must be auto, device or io-uring' "$W/.out"
done_testing
