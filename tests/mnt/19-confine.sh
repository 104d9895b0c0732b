#!/bin/bash
# What the daemon holds while it runs, and that it is enough: capabilities, descriptors,
# threads, the filter of system calls; set-id bits and devices only where asked for.
. "$(dirname "$0")/lib.sh"
M=$W/m
H=$W/host
N=$W/nobody
CTL=$(dirname "$RUMPFUSE")/rumpfusectl
U="setpriv --reuid=65534 --regid=65534 --clear-groups"
FILTER=2
if grep -qE '__(asan|tsan)_init' "$RUMPFUSE"; then FILTER=0; fi
mkdir "$M" "$H" "$N" "$N/m" "$N/dir" "$N/run"
export XDG_RUNTIME_DIR=$N/run # nobody's
truncate -s 4M "$W/disk"
echo text >"$W/file"
cat >"$W/conf" <<X
[daemon]
allow-other = yes
threads = 4
[file /big]
host-copy = disk
[etfs /file]
host = file
[etfs /window]
host = disk
type = blk
begin = 1M
size = 1M
[etfs /d]
host = host
special = yes
X
# The same for a user who has directories of his own.
sed -e 's/= host$/= dir/' -e '/allow-other/d' "$W/conf" >"$N/conf"
cp "$W/disk" "$W/file" "$N"
chown -R 65534:65534 "$N"

# What root's daemon keeps.  LeakSanitizer needs one more.
KEEPS="cap_chown,cap_dac_override,cap_dac_read_search,cap_fowner,cap_fsetid,cap_setgid"
KEEPS="$KEEPS,cap_setuid,cap_linux_immutable"
if [ $FILTER = 0 ]; then KEEPS="$KEEPS,cap_sys_ptrace"; fi
KEEPS="$KEEPS,cap_sys_admin,cap_mknod,cap_setfcap"

# value NAME FILE…: of the lines "NAME: value".
value()
{
	local name=$1
	shift
	sed -n "s/^$name:[[:space:]]*//p" "$@" | tr -s '\t' ' '
}

caps()
{
	capsh --decode="$(value "$1" "$2")" | sed 's/^[^=]*=//'
}

# all_threads WHAT PID NAME WANTED: the same for each thread.
all_threads()
{
	same "$1" "$(value "$3" "/proc/$2/task"/*/status | sort -u)" "$4"
}

# is_nowhere PID FD: it is of a tmpfs that no path leads to.
is_nowhere()
{
	local dev
	dev=$(stat -L -c '%Hd:%Ld' "/proc/$1/fd/$2") &&
	    [ "$(stat -L -f -c %T "/proc/$1/fd/$2")" = tmpfs ] &&
	    ! awk '{ print $3 }' "/proc/$1/mountinfo" | grep -qxF "$dev"
}

# rings PID [AS…]: how many threads serve by rings, as the daemon has it.
rings()
{
	local dir
	dir=$(tr '\0' '\n' <"/proc/$1/cmdline" | tail -n 1)
	shift
	setpriv "$@" "$CTL" "$dir" stats --json |
	    jq '(.result // .) | if .transport == "io-uring" then .threads else 0 end'
}

# fds WHO PID STDIO: checks every descriptor; what they are in $FDS.
fds()
{
	local who=$1 pid=$2 stdio=$3 fd link flags bad=""
	FDS=""
	for fd in $(ls "/proc/$pid/fd" | sort -n); do
		link=$(readlink "/proc/$pid/fd/$fd") || continue
		flags=$(value flags "/proc/$pid/fdinfo/$fd")
		if [ "$fd" -gt 2 ] && [ $((0$flags & 02000000)) = 0 ]; then
			bad="$bad $fd=$link (inherited by children)"
		fi
		case $fd:$link in
		[012]:*) [[ $link =~ $stdio ]] || bad="$bad $fd=$link" ;;
		*:/proc | *:/proc/*/mountinfo | *:/dev/fuse | *:"$N"/fuse) ;;
		*:"$W" | *:"$H" | *:"$H"/* | *:"$W/disk" | *:"$W/file") ;;
		*:"$N" | *:"$N/dir" | *:"$N/dir"/* | *:"$N/disk" | *:"$N/file") ;;
		# What changes the size of the store of what is in memory, its root, its files:
		# of a file system that is mounted nowhere.
		*:anon_inode:\[fscontext\]) [[ $who = root* ]] || bad="$bad $fd=$link" ;;
		*:/ | *:/\#*\ \(deleted\)) is_nowhere "$pid" "$fd" || bad="$bad $fd=$link" ;;
		*:/memfd:* | *:pipe:* | *:socket:* | *:anon_inode:inotify | *:anon_inode:\[eventfd\] | *:anon_inode:\[io_uring\]) ;;
		# What the harness holds, and lets everybody inherit.
		*) [ "$(readlink "/proc/$$/fd/$fd")" = "$link" ] || bad="$bad $fd=$link" ;;
		esac
		link=${link/#$W/\$W}
		FDS="$FDS $fd=${link%:[*}"
	done
	same "$who: descriptors" "$bad" ""
	same "$who: rings, one for each of their threads" \
	    "$(readlink "/proc/$pid/fd"/* | grep -cF 'anon_inode:[io_uring]')" "$n"
	check "$who: at most four to change the store by" \
	    [ "$(readlink "/proc/$pid/fd"/* | grep -cF 'anon_inode:[fscontext]')" -le 4 ]
}

# table WHO PID CAPS BOUND DUMPABLE CWD STDIO: prints what the process holds, and checks it.
table()
{
	local who=$1 pid=$2 keeps=$3 bound=$4 dumpable=$5 cwd=$6 stdio=$7 t set names n ringers as=()
	[ -n "$keeps" ] || as=(--reuid=65534 --regid=65534 --clear-groups)
	for t in "/proc/$pid/task"/*; do
		for set in CapPrm CapEff; do
			same "$who: $set of $(cat "$t/comm")" "$(caps $set "$t/status")" "$keeps"
		done
	done
	all_threads "$who: CapInh" "$pid" CapInh 0000000000000000
	all_threads "$who: CapAmb" "$pid" CapAmb 0000000000000000
	all_threads "$who: CapBnd" "$pid" CapBnd "$bound"
	all_threads "$who: no_new_privs" "$pid" NoNewPrivs 1
	all_threads "$who: the filter" "$pid" Seccomp $FILTER
	all_threads "$who: umask" "$pid" Umask 0000
	# Main, three that tell, control, manage, signal, watch; libfuse's workers come and go, up to
	# the limit; by io_uring there are those of the rings besides.
	n=$(rings "$pid" "${as[@]}")
	ringers=
	[ "$n" = 0 ] || ringers="$n rumpfuse-ring "
	names=$(cat "/proc/$pid/task"/*/comm | sed s/fuse_worker/rumpfuse/ | sort | uniq -c | awk '{ printf " %s %s", $1, $2 }')
	if [ $FILTER = 2 ]; then
		check "$who: threads: $names" \
		    grep -qE "^ [2-5] rumpfuse 1 rumpfuse-attrs 1 rumpfuse-ctl 1 rumpfuse-expire 1 rumpfuse-manage 1 rumpfuse-notify 1 rumpfuse-pages ${ringers}1 rumpfuse-signal 1 rumpfuse-watch\$" <<<"$names"
	fi
	same "$who: working directory" "$(readlink "/proc/$pid/cwd")" "$cwd"
	same "$who: core limit" "$(awk '/core file/ { print $5 $6 }' "/proc/$pid/limits")" 00
	# Whoever has all that it has, but not CAP_SYS_PTRACE, can attach to what is dumpable.
	same "$who: dumpable" "$(setpriv --bounding-set=-sys_ptrace "${as[@]}" \
	    head -c 0 "/proc/$pid/mem" >/dev/null 2>&1 && echo 1 || echo 0)" "$dumpable"
	fds "$who" "$pid" "$stdio"
	figure "$who: capabilities ${keeps:-none}; bounding $bound; no_new_privs 1;" \
	    "seccomp $FILTER; threads$names; umask 0; dumpable $dumpable; core 0; cwd ${cwd/#$W/\$W}; fds$FDS"
}

use()
{
	cat "$1/file" "$1/window" "$1/big" >/dev/null &&
	    dd if=/dev/zero of="$1/mem" bs=1M count=2 status=none &&
	    ls -lR "$1" >/dev/null && df "$1" "$1/d" >/dev/null
}

# Root, in the foreground and in the background; 9 is left open by a careless parent.
exec 9<"$W/file"
rf_mount "$W/conf" "$M" || done_testing
check "using it" use "$M"
table "root, foreground" "${RF_PID[$M]}" "$KEEPS" 0000000000000000 0 "$W" .
rf_umount "$M" term
rf_start 0 "$W/conf" "$M"
check "using it" use "$M"
pid=$(rf_daemon_of "$M")
table "root, background" "$pid" "$KEEPS" 0000000000000000 0 / '^/dev/null$'
check "SIGTERM" kill -TERM "$pid"
check "ends it" rf_gone "$pid"
rf_is_mounted "$M" && fail "still mounted after SIGTERM"
exec 9<&-

# nobody_start: in the background.  $pid: the daemon, $helper: the one that unmounts for it.
nobody_start()
{
	same "nobody: the start returns" "$($U "$RUMPFUSE" "$N/conf" "$N/m" 2>&1)" ""
	pid=$(pgrep -x rumpfuse -u 65534)
	helper=$(pgrep -x rumpfuse-umount -P "$pid")
}

# nobody_gone WHAT
nobody_gone()
{
	check "nobody: $1 ends the daemon" rf_gone "$pid"
	check "nobody: and the helper" rf_gone "$helper"
	rf_is_mounted "$N/m" && fail "nobody: still mounted after $1"
}

# Not everywhere may everybody open /dev/fuse.
if [ -u "$(command -v fusermount3)" ] && mknod -m 666 "$N/fuse" c 10 229 &&
    mount --bind "$N/fuse" /dev/fuse && $U sh -c 'exec 3<>/dev/fuse' 2>/dev/null; then
	bound=$(value CapBnd /proc/self/status)
	(cd "$N" && exec $U "$RUMPFUSE" -f "$N/conf" "$N/m") >"$W/daemon-nobody.log" 2>&1 &
	RF_PID[$N/m]=$!
	RF_LOG[$N/m]=$W/daemon-nobody.log
	for ((i = 0; i < 500; i++)); do
		rf_is_mounted "$N/m" && break
		sleep 0.02
	done
	check "nobody: using it" $U sh -c "$(declare -f use); use $N/m"
	table "nobody, foreground" "${RF_PID[$N/m]}" "" "$bound" 1 "$N" .
	helper=$(pgrep -x rumpfuse-umount -P "${RF_PID[$N/m]}")
	same "nobody: the helper's descriptors" \
	    "$(readlink "/proc/$helper/fd"/* | sed 's/:.*//' | tr '\n' ' ')" \
	    "/dev/null /dev/null /dev/null socket "
	rf_umount "$N/m" term
	check "nobody: the helper ends" rf_gone "$helper"

	nobody_start
	table "nobody, background" "$pid" "" "$bound" 1 / '^/dev/null$'
	$U sh -c "cd $N/m && exec sleep 30" &
	sleep 0.3
	kill -TERM "$pid"
	nobody_gone "SIGTERM, in use,"
	kill $!
	nobody_start
	check "nobody: fusermount3 -u" $U fusermount3 -u "$N/m"
	nobody_gone "fusermount3"
	nobody_start
	kill -9 "$pid"
	check "nobody: the helper does not outlive the daemon" rf_gone "$helper"
	umount -l "$N/m"
	umount /dev/fuse
else
	skip "an unprivileged daemon: no setuid fusermount3, or /dev/fuse cannot be used"
fi

# Everything still works.
rf_mount "$W/conf" "$M" || done_testing
D=$M/d
touch "$H/f" "$H/x"
check "chown" chown 1000:1001 "$D/f"
same "on the host" "$(stat -c '%u %g' "$H/f")" "1000 1001"
chmod 000 "$H/f"
check "root writes what is not its own" sh -c "echo text >$D/f"
check "and reads it" grep -q text "$D/f"
check "chmod of another's file" chmod 2751 "$D/f"
same "on the host" "$(stat -c %a "$H/f")" 2751
check "touch -d of another's file" touch -d @5 "$D/f"
check "root's write" sh -c "echo more >>$D/f"
same "leaves set-id bits" "$(stat -c %a "$D/f") $(stat -c %a "$H/f")" "2751 2751"
check "mknod" mknod -m 666 "$D/null" c 1 3
same "on the host" "$(stat -c '%F %t %T' "$H/null")" "character special file 1 3"
check "trusted attributes" setfattr -n trusted.x -v y "$D/x"
same "on the host" "$(getfattr --only-values --absolute-names -n trusted.x "$H/x")" y
check "setcap" setcap cap_net_raw+ep "$D/x"
check "on the host" sh -c "getcap $H/x | grep -q cap_net_raw"
mkdir -m 770 "$H/group"
chown root:1002 "$H/group"
check "another user, by a supplementary group" setpriv --reuid=1000 --regid=1001 \
    --groups=1002 touch "$D/group/new"
same "on the host" "$(stat -c '%u %g' "$H/group/new")" "1000 1001"
refuse "without the group" 'denied' setpriv --reuid=1000 --regid=1001 --clear-groups \
    touch "$D/group/new2"
mkdir -p "$H/a/b" "$H/c"
check "in a directory that moves behind it" sh -c \
    "cd $D/a/b && mv $H/a/b $H/c/b && sleep 1.1 && touch new && test -e $H/c/b/new"
if chattr +i "$H/f" 2>/dev/null && chattr -i "$H/f"; then
	check "chattr +i" chattr +i "$D/x"
	check "on the host" sh -c "lsattr $H/x | cut -d' ' -f1 | grep -q i"
	refuse "and it holds" 'not permitted' sh -c "echo >>$D/x"
	check "chattr -i" chattr -i "$D/x"
else
	skip "chattr +i: not on this file system"
fi
printf 'label: gpt\nstart=2048,size=2048\n' >"$W/table"
sfdisk -q --no-reread --no-tell-kernel --lock=no "$W/disk" <"$W/table" >"$W/.out" 2>&1
printf '[etfs /more]\nhost = host\nuid = nobody\n[etfs /part]\nhost = disk\npartition = 1\n' \
    >>"$W/conf"
rf_reload "$M" "a reload adds keys, with a user's name and a partition" test -e "$M/more/x"
same "the user" "$(stat -c %U "$M/more")" nobody
same "the partition" "$(stat -c %s "$M/part")" 1048576
kill -USR1 "${RF_PID[$M]}"
for ((i = 0; i < 100; i++)); do
	grep -q 'requests: ' "${RF_LOG[$M]}" && break
	sleep 0.05
done
check "statistics" grep -q 'requests: ' "${RF_LOG[$M]}"
rf_umount "$M" term
refuse "nothing could not be given up" "^0$" grep -c 'not confined' "${RF_LOG[$M]}"

# By file handles, more files than there may be descriptors.
mkdir "$H/many"
for i in {1..300}; do echo $i >"$H/many/$i"; done
RF_NOFILE=128 rf_mount none "$M" -k "/d=$H"
cat "$H"/many/* >"$W/all"
for i in 1 2; do
	check "opening by handle, round $i" sh -c "cat $D/many/* | cmp - $W/all"
done
rf_umount "$M"

# Without the filter.
rf_mount '[daemon]
seccomp = no' "$M"
all_threads "seccomp = no" "${RF_PID[$M]}" Seccomp 0
all_threads "seccomp = no: no_new_privs" "${RF_PID[$M]}" NoNewPrivs 1
rf_umount "$M"

# Set-id bits and devices.
id=$(command -v id)
cp "$id" "$H/suid"
chmod 4755 "$H/suid"
node="
[node /null]
type = chr
major = 1
minor = 3
mode = 666
[node /ram]
type = blk
major = 1
minor = 250
[node /white]
type = chr
major = 0
minor = 0
[node /pipe]
type = fifo"

# row WHAT UID DEV CONF OPTIONS…: whom a set-id program runs as; whether devices open.
row()
{
	local what=$1 uid=$2 dev=$3 conf=$4 f said=""
	shift 4
	rf_mount "[daemon]
allow-other = yes
$conf$node
[etfs /d]
host = $H
special = yes" "$M" "$@" || return
	cp "$id" "$M/suid"
	chmod 4755 "$M/suid"
	for f in suid d/suid; do
		same "$what: set-id, $f" "$($U "$M/$f" -u)" "$uid"
	done
	for f in null d/null; do
		if [ "$dev" = yes ]; then
			check "$what: device, $f" sh -c "echo >$M/$f"
		else
			refuse "$what: device, $f" 'denied' sh -c "echo >$M/$f"
		fi
	done
	rf_umount "$M"
	[ "$dev" = yes ] || said="[node /null] [node /ram] "
	same "$what: what is said" "$(grep 'cannot be opened' "${RF_LOG[$M]}" |
	    grep -oE '\[node /[a-z]*\]' | tr '\n' ' ')" "$said"
}
row "by default" 65534 no ""
row "dev = yes" 65534 yes "dev = yes"
row "suid = yes" 0 no "suid = yes"
row "both" 0 yes "dev = yes
suid = yes"
row "-o dev" 65534 yes "" -o dev
row "-o suid" 0 no "" -o suid
row "-o nodev,nosuid over both" 65534 no "dev = yes
suid = yes" -o nodev,nosuid

# In --check.
printf '%s\n' "$node" >"$W/node.conf"
rf_start 0 --check "$W/node.conf"
check "--check says it" grep -q "node.conf:2: \[node /null\]: the device cannot be opened" \
    "$W/.out"
rf_start 0 --check -o dev "$W/node.conf"
refuse "not with -o dev" '^0$' grep -c 'cannot be opened' "$W/.out"
printf '[daemon]\ndev = yes\n%s\n' "$node" >"$W/node.conf"
rf_start 0 --check "$W/node.conf"
refuse "not with dev = yes" '^0$' grep -c 'cannot be opened' "$W/.out"
$U "$RUMPFUSE" --check "$W/node.conf" >"$W/.out" 2>&1
check "but for others than root" grep -q "only root's mounts have devices" "$W/.out"
done_testing
