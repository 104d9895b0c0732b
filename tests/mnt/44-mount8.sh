#!/bin/bash
# mount(8), umount(8) and fstab: both types, every option that a line can have, remounting,
# users' own mounts, namespaces; and what a service manager is told.
LIMIT=120
. "$(dirname "$0")/lib.sh"
D="$W/d"
M="$D/m"
U="setpriv --reuid=65534 --regid=65534 --clear-groups"
mkdir "$D" "$M"
echo text >"$D/file"
printf '[etfs /file]\nhost = file\n' >"$D/a.conf"
printf '[daemon]\naccess = ro\n[etfs /file]\nhost = file\n' >"$D/ro.conf"
printf '[etfs /file]\nhost = no-such\n' >"$D/broken.conf"

# mount(8) looks for helpers in /sbin alone, and mount.fuse3 for the program in the usual
# places.  Here, and nowhere else, they are there.
mkdir "$S/upper" "$S/work"
check "the helper is where mount(8) looks" mount -t overlay overlay \
    -o "lowerdir=/usr/sbin,upperdir=$S/upper,workdir=$S/work" /usr/sbin
ln -s "$RUMPFUSE" /usr/sbin/rumpfuse
ln -s rumpfuse /usr/sbin/mount.rumpfuse

# Sockets of our own: who removes an empty /run/rumpfuse elsewhere would take a mount on it along.
mount -t tmpfs tmpfs /run

# fstab LINE…: the lines are the fstab.
fstab()
{
	printf '%s\n' "$@" >"$W/fstab"
}

# status WANTED WHAT COMMAND…: its output is in $W/.out.
status()
{
	local want=$1 what=$2 rc
	shift 2
	timeout 30 "$@" >"$W/.out" 2>&1
	rc=$?
	same "$what: status" $rc "$want" || sed 's/^/  | /' "$W/.out"
}

says()
{
	check "$1" grep -qE -- "$2" "$W/.out" || sed 's/^/  | /' "$W/.out"
}

# How often, and with which options, something is mounted at $M.
mounts()
{
	grep -cF " $M fuse.rumpfuse " /proc/mounts
}

options()
{
	awk -v m="$M" '$2 == m { print $4 }' /proc/mounts
}

# umounted: and its daemon has gone.
umounted()
{
	local i p
	status 0 "$1: umount" umount "$M"
	for ((i = 0; i < 100 * ${RF_SLOW:-1}; i++)); do
		p=$(rf_daemon_of "$M")
		[ -n "$p" ] || return 0
		sleep 0.05
	done
	fail "$1: the daemon $p does not end"
}

for type in rumpfuse fuse.rumpfuse; do
	fail_code=32
	[ $type = rumpfuse ] || fail_code=3
	all=nofail,_netdev,noatime,x-systemd.automount,x-systemd.requires=/srv,comment=hello
	fstab "$D/a.conf $M $type $all 0 0"
	status 0 "$type: findmnt --verify" findmnt --verify --tab-file "$W/fstab"
	says "$type: no errors in the line" '0 errors'
	status 0 "$type: mount DIR" mount -T "$W/fstab" "$M"
	same "$type: it answers at once" "$(cat "$M/file")" text
	same "$type: source, place and type" \
	    "$(awk -v m="$M" '$2 == m { print $1, $2, $3 }' /proc/mounts)" \
	    "$D/a.conf $M fuse.rumpfuse"
	check "$type: noatime" grep -q noatime <<<"$(options)"
	status 0 "$type: mount -a" mount -T "$W/fstab" -a
	same "$type: mount -a does not stack" "$(mounts)" 1
	umounted "$type"

	# remount
	fstab "$D/a.conf $M $type nodev,nosuid 0 0"
	status 0 "$type: mount -a mounts" mount -T "$W/fstab" -a
	for where in "-t $type $D/a.conf $M" "-T $W/fstab $M" "$M"; do
		# shellcheck disable=SC2086
		status 0 "$type: remount,ro $where" mount -o remount,ro $where
		same "$type: without a word" "$(cat "$W/.out")" ""
		check "$type: it is shown" grep -q '^ro,' <<<"$(options)"
		refuse "$type: and enforced" 'Read-only' touch "$M/new"
		# shellcheck disable=SC2086
		status 0 "$type: remount,rw $where" mount -o remount,rw $where
		check "$type: it is shown" grep -q '^rw,' <<<"$(options)"
		check "$type: and can be written to" touch "$M/new"
	done
	status 0 "$type: remount with other flags" mount -o remount,noexec,noatime "$M"
	same "$type: those that are not named stay" \
	    "$(options | cut -d, -f 1-5)" "rw,nosuid,nodev,noexec,noatime"
	status 0 "$type: remount without a change" mount -o remount "$M"
	same "$type: flags afterwards" "$(options | cut -d, -f 1-5)" "rw,nosuid,nodev,noexec,noatime"
	exec 5>"$M/open"
	if mount -o remount,ro "$M" 2>"$W/.out"; then
		fail "$type: remount,ro succeeds while a file is written"
	fi
	says "$type: and why not" 'read-only: files are open for writing'
	exec 5>&-
	mv "$D/a.conf" "$D/gone"
	status 0 "$type: remount without the file" mount -o remount,ro "$M"
	mv "$D/gone" "$D/a.conf"
	umounted "$type"

	# What is broken.
	fstab "$D/broken.conf $M $type nofail 0 0"
	status $fail_code "$type: a broken configuration" mount -T "$W/fstab" "$M"
	says "$type: the reason is all that a person sees" 'file: .*no-such: No such file'
	fstab "$D/a.conf $M $type noauto 0 0"
	status 0 "$type: noauto" mount -T "$W/fstab" -a
	same "$type: noauto is not mounted" "$(mounts)" 0
	status 0 "$type: X-mount.mkdir" mount -t $type -o X-mount.mkdir "$D/a.conf" "$D/made/here"
	same "$type: X-mount.mkdir answers" "$(cat "$D/made/here/file")" text
	umount "$D/made/here"
	rmdir "$D/made/here" "$D/made"

	# Names that a shell would take apart.
	odd="$D/a b,c'd\"e"
	mkdir "$odd" "$odd/m"
	cp "$D/a.conf" "$D/file" "$odd"
	status 0 "$type: odd names" mount -t $type "$odd/a.conf" "$odd/m"
	same "$type: odd names answer" "$(cat "$odd/m/file")" text
	status 0 "$type: odd names: remount" mount -o remount,ro "$odd/m"
	status 0 "$type: odd names: umount" umount "$odd/m"
	(cd "$D" && exec mount -t $type a.conf m) >"$W/.out" 2>&1
	same "$type: relative names" $? 0
	same "$type: the source is the whole name" "$(mounts)" 1
	umounted "$type: relative names"
	rm -r "$odd"
done

# The helper's own: flags, exit codes, words.
H=/usr/sbin/mount.rumpfuse
status 1 "no mount point" $H "$D/a.conf"
status 1 "an option that is none" $H -q "$D/a.conf" "$M"
says "its grammar" 'usage: mount.rumpfuse SOURCE DIR'
for word in -h --help; do
	status 0 "$word" $H $word
	says "$word: its grammar" '^usage: mount.rumpfuse SOURCE DIR'
done
status 0 "-V" $H -V
says "-V: the version" '^mount.rumpfuse [0-9.]+$'
status 1 "an unknown word" $H "$D/a.conf" "$M" -o rw,colour=red
says "it is named" 'unknown mount option: colour=red'
status 0 "-s: sloppy" $H "$D/a.conf" "$M" -s -o rw,colour=red
status 32 "a second time" $H "$D/a.conf" "$M"
says "a second time: why not" "$D/a.conf is already mounted on $M"
says "a second time: who has" "by process $(rf_daemon_of "$M")\$"
umounted "-s"
status 0 "-v -n -t: verbose" $H "$D/a.conf" "$M" -v -n -t rumpfuse -o rw
says "-v says what was done" "a.conf mounted on $M"
umounted "-v"
status 0 "-f: fake" $H "$D/a.conf" "$M" -f
same "-f: quiet" "$(cat "$W/.out")" ""
same "-f mounts nothing" "$(mounts)" 0
status 0 "-f -v" mount -f -v -t rumpfuse "$D/a.conf" "$M"
says "-f -v: the table of keys" "^/file +reg"
status 32 "-f: broken" $H "$D/broken.conf" "$M" -f
status 32 "no configuration" $H "$D/none.conf" "$M"
status 32 "no mount point there" $H "$D/a.conf" "$D/none"
for word in drop_privileges setuid=nobody; do
	status 1 "$word is not passed over, not even with -s" $H "$D/a.conf" "$M" -s -o $word
	says "$word: where it belongs" "mount.fuse3.*type.*fuse.rumpfuse: $word"
done
status 1 "offset" $H "$D/a.conf" "$M" -o offset=5
says "offset: why" 'loop devices'
ln -s rumpfuse /usr/sbin/mount.fuse.rumpfuse
status 1 "the other name is a helper too" mount -t fuse.rumpfuse -o colour=red "$D/a.conf" "$M"
rm /usr/sbin/mount.fuse.rumpfuse

# remount: what is refused.
status 0 "to be remounted" mount -t rumpfuse -o ro "$D/ro.conf" "$M"
status 32 "access = ro stays so" mount -o remount,rw -t rumpfuse "$D/ro.conf" "$M"
says "access = ro: why" "cannot become writable: the configuration has access = ro"
rm /run/rumpfuse/*
status 32 "and without a socket" mount -o remount,rw -t rumpfuse "$D/ro.conf" "$M"
says "and without a socket: why" "cannot become writable: .*ro.conf says access = ro"
check "access = ro: is ro" grep -q '^ro,' <<<"$(options)"
status 32 "another configuration" $H "$D/a.conf" "$M" -o remount,ro
says "another configuration: which" "ro.conf is mounted there, not .*a.conf"
umounted "remount"
status 0 "mounted read-only" mount -t rumpfuse -o ro "$D/a.conf" "$M"
status 0 "what was mounted read-only becomes writable" mount -o remount,rw -t rumpfuse "$D/a.conf" "$M"
check "what was mounted read-only: is rw" grep -q '^rw,' <<<"$(options)"
check "what was mounted read-only: can be written" touch "$M/remounted"
umounted "read-only"
status 32 "nothing to be remounted" $H "$D/a.conf" "$M" -o remount,ro
says "nothing is there" 'nothing is mounted there'
mount -t tmpfs tmpfs "$M"
status 32 "somebody else's mount" $H tmpfs "$M" -o remount,ro
says "somebody else's: whose" 'of type tmpfs'
umount "$M"
rf_start 1 -o remount none
says "rumpfuse -o remount without a mount point" 'needs a mount point'

# What a remount cannot change; a line's own options may stand in it.
status 32 "-f of a remount of nothing" $H "$D/a.conf" "$D/zzz" -f -o remount,ro
status 32 "-f of a remount where nothing is" $H "$D/a.conf" "$M" -f -o remount,ro
says "-f of a remount: why" 'nothing is mounted there'
line=allow_other,max_threads=2,clone_fd
status 0 "to be changed" mount -t rumpfuse -o $line "$D/a.conf" "$M"
status 0 "the line's own pass" mount -t rumpfuse -o remount,noexec,$line,fsname="$D/a.conf",subtype=rumpfuse "$D/a.conf" "$M"
same "without a word" "$(cat "$W/.out")" ""
status 0 "-f of a remount" $H "$D/a.conf" "$M" -f -o remount,ro
check "changes nothing" grep -q '^rw,' <<<"$(options)"
status 32 "max_threads" mount -t rumpfuse -o remount,max_threads=3 "$D/a.conf" "$M"
says "max_threads: why" "$M: max_threads cannot be changed by a remount, and is 2"
status 32 "fsname" mount -t rumpfuse -o remount,fsname=other "$D/a.conf" "$M"
says "fsname: why" "$M: fsname=other cannot be changed by a remount, and is $D/a.conf"
status 32 "subtype" mount -t rumpfuse -o remount,subtype=other "$D/a.conf" "$M"
says "subtype: why" "$M: subtype=other cannot be changed by a remount, and is rumpfuse"
umounted "to be changed"
rf_start 0 "$D/a.conf" "$M"
status 32 "allow_other, clone_fd" $H "$D/a.conf" "$M" -o remount,allow_other
says "allow_other: why" "$M: allow_other cannot be changed by a remount"
status 32 "clone_fd" $H "$D/a.conf" "$M" -o remount,clone_fd
says "clone_fd: why" "$M: clone_fd cannot be changed by a remount"
kill -9 "$(rf_daemon_of "$M")"
status 32 "remounting a dead one" $H "$D/a.conf" "$M" -o remount,ro
says "a dead one: what helps" "$M: the mount there is dead, .*umount -l $M"
umount -l "$M"

# The times of access: what libfuse does not pass on.
status 0 "strictatime,nodiratime,lazytime" mount -t rumpfuse -o strictatime,nodiratime,lazytime "$D/a.conf" "$M"
same "strictatime,nodiratime,lazytime: without a word" "$(cat "$W/.out")" ""
same "strictatime,nodiratime,lazytime: are shown" \
    "$(options | tr , '\n' | grep -E 'atime|lazy' | sort | tr '\n' ' ')" "lazytime nodiratime "
status 0 "remounted with another" mount -o remount,noexec "$M"
same "strictatime,nodiratime,lazytime: stay" \
    "$(options | tr , '\n' | grep -E 'atime|lazy' | sort | tr '\n' ' ')" "lazytime nodiratime "
umounted "strictatime"
status 0 "noatime,nodiratime" $H "$D/a.conf" "$M" -o noatime,nodiratime
status 0 "remount,atime" $H "$D/a.conf" "$M" -o remount,atime,diratime
same "remount,atime" "$(options | tr , '\n' | grep -E 'atime')" relatime
umounted "noatime"

# A daemon with a control socket is asked; here one that answers as is written in a file.
cat >"$W/answer.py" <<'X2'
import json, os, socket, sys
path, answer, said = sys.argv[1:]
s = socket.socket(socket.AF_UNIX)
s.bind(path)
s.listen(1)
open(said, "w").close()
c = s.accept()[0]
with open(said, "w") as f:
    f.write(c.makefile().readline())
c.sendall(answer.encode())
os.unlink(path)
X2
# ask ANSWER STATUS WHAT COMMAND…
ask()
{
	local answer=$1 want=$2 what=$3 p
	shift 3
	rm -f "$W/said" "/run/rumpfuse/$DEV"
	python3 "$W/answer.py" "/run/rumpfuse/$DEV" "$answer" "$W/said" &
	p=$!
	while [ ! -e "$W/said" ] && kill -0 $p; do sleep 0.02; done
	status "$want" "$what" "$@"
	kill $p 2>/dev/null
	wait $p 2>/dev/null
}
status 0 "to be asked" mount -t rumpfuse "$D/a.conf" "$M"
DEV=$(awk -v m="$M" '$5 == m { print $3 }' /proc/self/mountinfo)
ask '{"ok": true, "result": {}}
' 0 "the daemon agrees" mount -o remount,ro "$M"
same "what it was asked" "$(jq -r '.op, .access' "$W/said" | tr '\n' ' ')" "remount ro "
same "and nothing more is said" "$(cat "$W/.out")" ""
ask '{"progress": {"what": "images"}}
{"ok": false, "error": {"code": "EROFS", "text": "the image at /p1 is damaged"}}
' 4 "the daemon refuses rw" mount -o remount,rw "$M"
says "in its own words" 'cannot become writable: the image at /p1 is damaged'
check "and it is ro" grep -q '^ro,' <<<"$(options)"
ask '{"ok": false, "error": {"code": "ENOSYS", "text": "unknown"}}
' 0 "the daemon knows nothing of it" mount -o remount,rw "$M"
says "which is said" 'the kernel alone is told'
ask '{"ok": false, "error": {"code": "EBUSY", "text": "an image is in use"}}
' 4 "the daemon refuses ro" mount -o remount,ro "$M"
check "and it is rw again" grep -q '^rw,' <<<"$(options)"
ask 'nonsense
' 4 "an answer that is none" mount -o remount,ro "$M"
rm -f /run/rumpfuse/*
status 0 "no socket" mount -o remount,ro "$M"
says "no socket is said" 'the daemon has no control socket'
umounted "the socket"

# mount.fuse3's own: drop_privileges and setuid=, and the old form of a source.
status 0 "drop_privileges" mount -t fuse.rumpfuse -o drop_privileges "$D/a.conf" "$M"
same "drop_privileges: it answers" "$(cat "$M/file")" text
pid=$(rf_daemon_of "$D/a.conf")
same "drop_privileges: nothing is left" \
    "$(awk '/^Cap(Prm|Eff|Bnd)/ { print $2 }' "/proc/$pid/status" | sort -u)" 0000000000000000
status 0 "drop_privileges: umount" umount "$M"
check "drop_privileges: the daemon ends" rf_gone "$pid"
status 0 "drop_privileges, fsname" mount -t fuse.rumpfuse \
    -o "drop_privileges,fsname=$D/a.conf" "$D/a.conf" "$M"
fstab "$D/a.conf $M fuse.rumpfuse drop_privileges,fsname=$D/a.conf 0 0"
status 0 "drop_privileges: mount -a" mount -T "$W/fstab" -a
same "drop_privileges: mount -a does not stack" "$(mounts)" 1
status 0 "drop_privileges: remount" mount -o remount,ro "$M"
# With the word among the options mount.fuse3 mounts anew, whatever was asked for.
status 4 "drop_privileges: remount with the line" mount -T "$W/fstab" -o remount,ro "$M"
says "drop_privileges: what has happened" 'drop_privileges mounts anew.*umount'
umount "$M"
same "drop_privileges: the first one is there" "$(cat "$M/file")" text
pid=$(rf_daemon_of "$D/a.conf")
umount "$M"
check "drop_privileges: it ends" rf_gone "$pid"
status 4 "drop_privileges,allow_other is everybody's" \
    mount -t fuse.rumpfuse -o drop_privileges,allow_other "$D/a.conf" "$M"
says "what is missing" 'need default_permissions'
umount "$M"
mknod -m 666 "$W/fuse" c 10 229
mount --bind "$W/fuse" /dev/fuse
chown -R 65534:65534 "$D"
status 0 "setuid=" mount -t fuse.rumpfuse -o setuid=nobody "$D/a.conf" "$M"
same "setuid=: it answers" "$($U cat "$M/file")" text
same "setuid=: whose it is" "$(options | grep -o 'user_id=[0-9]*')" user_id=65534
umounted "setuid="
fstab "rumpfuse#$D/a.conf $M fuse nofail,fsname=rumpfuse#$D/a.conf 0 0"
status 0 "type fuse, rumpfuse#CONFIG" mount -T "$W/fstab" "$M"
same "type fuse: it answers" "$(cat "$M/file")" text
status 0 "type fuse: mount -a" mount -T "$W/fstab" -a
same "type fuse: mount -a does not stack" "$(mounts)" 1
umounted "type fuse"

# Users' own mounts.
mount --bind "$W/fstab" /etc/fstab
for type in rumpfuse fuse.rumpfuse; do
	for word in user users; do
		fstab "$D/a.conf $M $type $word,noauto 0 0"
		# shellcheck disable=SC2086
		status 0 "$type, $word: mount" $U mount "$M"
		same "$type, $word: it answers" "$($U cat "$M/file")" text
		check "$type, $word: nosuid,nodev,noexec" \
		    grep -q '^rw,nosuid,nodev,noexec' <<<"$(options)"
		refuse "$type, $word: remount is root's" 'only root' $U mount -o remount,ro "$M"
		[ $word = users ] || refuse "$type, $word: another's umount" 'superuser|not permitted' setpriv \
		    --reuid=65533 --regid=65533 --clear-groups umount "$M"
		pid=$(rf_daemon_of "$D/a.conf" | head -n 1)
		# shellcheck disable=SC2086
		status 0 "$type, $word: umount" $U umount "$M"
		check "$type, $word: the daemon ends" rf_gone "$pid"
	done
done
umount /etc/fstab

chown 65534 "$M"
# shellcheck disable=SC2086
status 0 "a user's strictatime" $U "$RUMPFUSE" -o strictatime "$D/a.conf" "$M"
says "a user's strictatime is ignored" 'strictatime, nodiratime and lazytime are ignored: only root'
umounted "a user's"

# Namespaces, bind mounts, a mount that is moved.
unshare -m sleep 60 &
other=$!
while [ "$(readlink /proc/$other/ns/mnt)" = "$(readlink /proc/self/ns/mnt)" ]; do sleep 0.02; done
status 0 "-N" mount -N /proc/$other/ns/mnt -t rumpfuse "$D/a.conf" "$M"
same "-N: not here" "$(mounts)" 0
check "-N: there" grep -qF " $M fuse.rumpfuse " /proc/$other/mounts
check "-N: it answers" nsenter -t $other -m cat "$M/file"
nsenter -t $other -m umount "$M"
kill $other
wait $other 2>/dev/null
mkdir "$D/bound" "$D/moved"
rf_mount "$D/a.conf" "$M" || done_testing
mount --bind "$M" "$D/bound"
mount --move "$M" "$D/moved"
same "--bind, --move: both answer" "$(cat "$D/bound/file" "$D/moved/file")" "text
text"
umount "$D/bound"
same "the moved one goes on" "$(cat "$D/moved/file")" text
umount "$D/moved"
rf_wait "$M"

# What a service manager is told: of a mount that has answered, by the process that stays.
cat >"$W/listen.py" <<'X2'
import os, socket, sys
path, mnt = sys.argv[1:]
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(path)
s.settimeout(30)
while True:
    m = s.recv(4096).decode().replace("\n", " ")
    ready = "READY=1" in m
    # The moment that it is said the mount must be there.
    print(m, os.path.exists(mnt + "/file") if ready else "", flush=True)
    if m.startswith("STOPPING"):
        break
X2
listen()
{
	rm -f "$W/notify"
	python3 "$W/listen.py" "$W/notify" "$M" >"$W/told" &
	listener=$!
	while [ ! -S "$W/notify" ]; do sleep 0.02; done
	export NOTIFY_SOCKET=$W/notify
}
# heard TEXT: waits until the service manager has been told; it looks at the mount then, which
# therefore must not go before.
heard()
{
	local i
	for ((i = 0; i < 500; i++)); do
		grep -q -- "$1" "$W/told" && return
		sleep 0.02
	done
}
listen
rf_mount "$D/a.conf" "$M"
unset NOTIFY_SOCKET
heard READY=1
rf_umount "$M" term
wait $listener
same "READY=1, when it answers" "$(grep -c 'READY=1 True' "$W/told")" 1
check "STATUS= with the number of keys" grep -qE 'STATUS=.*: 1 key, 0 images' "$W/told"
same "STOPPING=1 at the end" "$(tail -n 1 "$W/told" | tr -d ' ')" STOPPING=1
printf '[etfs /file]\nhost = file\n[etfs /g]\nhost = g\nmissing = hide\n' >"$D/two.conf"
listen
rf_mount "$D/two.conf" "$M"
unset NOTIFY_SOCKET
heard READY=1
rf_umount "$M" term
wait $listener
check "STATUS= with what is missing" grep -qE 'STATUS=.*: 2 keys, 1 missing, 0 images' "$W/told"
listen
rf_start 0 "$D/a.conf" "$M"
unset NOTIFY_SOCKET
pid=$(rf_daemon_of "$M")
heard READY=1
umount "$M"
check "the daemon in the background ends" rf_gone "$pid"
wait $listener
check "MAINPID is the one that stays" grep -q "MAINPID=$pid READY=1 True" "$W/told"
# A user's daemon has a process to unmount for it, which is not the service.
listen
chmod 777 "$W/notify"
NOTIFY_SOCKET=$W/notify $U "$RUMPFUSE" "$D/a.conf" "$M" >"$W/.out" 2>&1
same "a user's service" $? 0
unset NOTIFY_SOCKET
helper=$(pgrep -x rumpfuse-umount)
pid=$(rf_daemon_of "$M" | grep -vx "$helper")
kill -TERM "$pid" "$helper"
check "a signal to all of the service ends it" rf_gone "$pid"
same "and it is unmounted" "$(mounts)" 0
kill $listener 2>/dev/null
wait $listener 2>/dev/null
# The journal's lines have priorities.
touch "$W/journal"
JOURNAL_STREAM=$(stat -c %d:%i "$W/journal") "$RUMPFUSE" -f none "$D/none" 2>"$W/journal"
check "lines for the journal begin with a priority" \
    grep -q '^<3>mount point .*/none: No such file' "$W/journal"
done_testing
