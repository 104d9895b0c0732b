#!/bin/bash
# rumpfusectl with a real mount: each command, as text and as JSON; what it says and exits with
# when there is no daemon, or none that answers; top on a terminal.
LIMIT=100
. "$(dirname "$0")/lib.sh"
M=$W/lab
# Sockets of our own: those of other tests are no business of this one.
mkdir -p /run/rumpfuse && mount -t tmpfs -o mode=755 none /run/rumpfuse || exit 1
unset XDG_RUNTIME_DIR
cp "$(dirname "$RUMPFUSE")/rumpfusectl" "$W/rumpfusectl"
CTL=$W/rumpfusectl

# ctl STATUS ARGS…: what it prints is in $W/ctl.out and $W/ctl.err.
ctl()
{
	local want=$1 rc
	shift
	timeout 30 "$CTL" "$@" >"$W/ctl.out" 2>"$W/ctl.err"
	rc=$?
	same "status of rumpfusectl $*" $rc "$want" ||
	    sed 's/^/  | /' "$W/ctl.out" "$W/ctl.err" | head -n 20
}

# at DIRECTORY STATUS ARGS…: the same from there.
at()
{
	cd "$1" || exit 1
	shift
	ctl "$@"
	cd "$W" || exit 1
}

# said WHAT TEXT, told WHAT TEXT: stdout, stderr has a line like this.
said()
{
	check "$1" grep -qE -- "$2" "$W/ctl.out" || head -n 20 "$W/ctl.out"
}

told()
{
	check "$1" grep -qE -- "$2" "$W/ctl.err" || head -n 20 "$W/ctl.err"
}

# json WHAT FILTER WANTED
json()
{
	same "$1" "$(jq -c "$2" "$W/ctl.out" 2>&1)" "$3"
}

head -c 2M /dev/urandom >"$W/img"
mkdir -p "$W/src/deep"
echo text >"$W/src/deep/f"
conf='[etfs /disk/p1]
host = img
begin = 1M
size = 512K
access = ro
[etfs /src]
host = src
[file /etc/motd]
content = hello
[symlink /l]
target = etc
[whiteout /src/.env]
[etfs /later]
host = later
missing = hide'
echo "$conf" >"$W/lab.conf"
rf_mount "$W/lab.conf" "$M" || done_testing

# The command line.
ctl 2
told "without arguments: the usage" '^usage: rumpfusectl'
ctl 0 -h
said "help" 'mounts .*the daemons'
ctl 0 --version
said "version" '^rumpfusectl [0-9]'
while IFS='|' read -r text args; do
	# shellcheck disable=SC2086
	ctl 2 $args
	told "$args" "$text"
done <<Y
what is to be done|$M
no command "frob"|$M frob
needs an argument|$M add
needs an argument|$M explain
"x" is too much|$M list x
is to be a number|$M -t 0 list
is to be a number|$M top -n x
one of these options|$M list -b
one of these options|$M explain --openmetrics /
has no --json|$M top --json
has no --json of that|$M stats --openmetrics -j
unrecognized option|$M list --frob
no command|-S $W/s
Y
ctl 2 "$M" explain "$(printf '/\377')"
told "a path that is not UTF-8" 'not UTF-8'

# list.
ctl 0 "$M" list
same "a row for each entry and the head" "$(wc -l <"$W/ctl.out")" 7
said "a key" '^/disk/p1 +key +reg +ro +1M +512K +.*lab.conf:1 +.*/img$'
said "one that is missing" '^/later .*/later \(missing\)$'
said "a node" '^/l +node +symlink '
ctl 0 "$M" list -p
same "the paths alone" "$(tr '\n' ' ' <"$W/ctl.out")" "/disk/p1 /etc/motd /l /later /src /src/.env "
ctl 0 --json "$M" list
json "as JSON" '[.entries[] | select(.kind == "key") | .path]' '["/disk/p1","/later","/src"]'
json "numbers in bytes" '.entries[0] | [.begin, .size, .access, .missing]' '[1048576,524288,"ro",false]'
same "on one line" "$(wc -l <"$W/ctl.out")" 1

# Other names of the mount point, and what is none.
ln -s "$W" "$S/link"
ctl 0 lab list -p
ctl 0 ./lab/ list -p
ctl 0 "$S/link/lab" list -p
ctl 3 "$M/src" list
told "below it" "lies in the mount at $M: name that"
ctl 3 "$W/src" list
told "no mount" "is not a mount point"
ctl 3 /proc list
told "another type" "mount of type proc .*not of rumpfuse"
ctl 3 "$W/nothing/there" list
sock=/run/rumpfuse/$(awk -v m="$M" '$5 == m { print $3 }' /proc/self/mountinfo)
ctl 0 -S "$sock" list -p
ctl 0 mounts
said "it is among those that run" "^$M +$W/lab.conf +rw +${RF_PID[$M]} "
ctl 0 mounts -j
json "as JSON" '.mounts[] | [.mountpoint, .pid, .socket]' "[\"$M\",${RF_PID[$M]},\"$sock\"]"

# explain.
ctl 0 "$M" explain /disk/p1 "$M/src/deep/f" /etc/motd
same "three paths" "$(grep -c '^/' "$W/ctl.out")" 3
said "which key" '^  declared by +\[etfs /disk/p1\], .*lab.conf:1$'
said "the range" 'begins at byte 1048576 .*524288 \(512.0 KiB\)'
said "read only" '^  access +read only$'
said "the host's path of just this" "^  host +$W/src/deep/f\$"
ctl 0 "$M" explain -j /src/deep/f
json "as JSON" '[.path, .covered_by, .host]' "[\"/src/deep/f\",\"/src\",\"$W/src/deep/f\"]"
at "$M/src" 0 "$M" explain deep
said "a relative path in the mount" '^/src/deep$'
at / 0 "$M" explain etc
said "and from elsewhere" '^/etc$'

ctl 0 "$M" explain /l/motd
said "a link on the way is followed" '^  note +symlinks followed: /l -> etc$'
said "to what is declared there" '^  ruled by +/etc/motd$'
ctl 0 "$M" explain /src/.env
said "a whiteout: nothing may be done to it" '^  access +-$'
ctl 0 "$M" explain /src/.env/x
said "nor is there anything below it" '^  note +not there: /src/.env is hidden by a whiteout$'

# add, remove, reload.
at "$W/src" 0 "$M" add /new=deep,access=ro
same "nothing is said of what was done" "$(cat "$W/ctl.out" "$W/ctl.err")" ""
same "it is there at once" "$(cat "$M/new/f")" text
ctl 0 "$M" list -j
json "who has added it" '.entries[] | select(.path == "/new") | .origin' '"added"'
ctl 1 "$M" add "/new=$W/src"
told "twice" 'add: .*EEXIST'
ctl 1 "$M" add "/x=$W/none"
told "of what is not there" 'add: .*No such file.*ENOENT'
ctl 1 "$M" add "/x=$W/src,frob=1"
told "with a wrong option" 'frob'
ctl 1 "$M" add "nonsense"
told "without a host" 'expected KEY=HOST'
ctl 1 "$M" add "/x=$W/none" --json
json "as JSON" '.error.code' '"ENOENT"'
echo "$conf
[etfs /more]
host = src" >"$W/lab.conf"
ctl 0 "$M" reload
said "what was reloaded" '^1 added, 0 removed, 0 changed$'
same "a key that was added stays" "$(cat "$M/new/f" "$M/more/deep/f")" "text
text"
echo "frob = 1" >>"$W/lab.conf"
ctl 1 "$M" reload
told "a broken file" 'lab.conf:18: .*frob'
told "is refused" '^rumpfusectl: reload: .*EINVAL'
ctl 1 "$M" reload -q
told "quietly: the reason" '^rumpfusectl: reload: .*lab.conf:18: .*frob'
same "alone" "$(cat "$W/ctl.out" "$W/ctl.err" | wc -l)" 1
same "and nothing has changed" "$(cat "$M/new/f")" text
echo "$conf" >"$W/lab.conf"
ctl 0 "$M" reload --json
json "as JSON" '[.added, .removed, .changed, .later]' '[0,1,0,0]'
printf '[daemon]\nthreads = 3\n%s\n' "$conf" >"$W/lab.conf"
ctl 0 "$M" reload
said "what waits for the next mount, apart" '^0 added, 0 removed, 0 changed, 1 at the next mount$'
echo "$conf" >"$W/lab.conf"
ctl 0 "$M" reload -q
same "quietly: nothing" "$(cat "$W/ctl.out" "$W/ctl.err")" ""
ctl 0 "$M" remove /new
check "it is gone at once" test ! -e "$M/new"
ctl 1 "$M" remove /new
told "twice" 'remove: .*ENOENT'

# stats.
dd if="$M/disk/p1" of=/dev/null bs=64K status=none
refuse "a key that is read-only" 'Read-only' dd if=/dev/zero of="$M/disk/p1" bs=1 count=1 conv=notrunc
ctl 0 "$M" stats
said "reads with their bytes" '^read +[1-9][0-9]* +0 .* [1-9][0-9]{5}$'
said "what failed" '^open +[1-9][0-9]* +1 '
said "the key that was read" '^/disk/p1 +[1-9][0-9]* +524288 +0$'
said "nothing waits" '^requests waiting +none'
ctl 0 "$M" stats -j
json "counts and buckets agree" '[.operations[] | .count == ([.buckets[][1]] | add)] | unique' '[true]'
json "percentiles ascend" '[.operations[] | .p50_us <= .p90_us and .p90_us <= .p99_us and
    .p99_us <= .p999_us and .p999_us <= .max_us] | unique' '[true]'
ctl 0 "$M" stats --openmetrics
check "OpenMetrics text" /usr/bin/python3 "$HERE/openmetrics.py" "$W/ctl.out"
said "the bytes of a key" "^rumpfuse_key_read_bytes_total\{mountpoint=\"$M\",key=\"/disk/p1\"\} 524288$"

# top.
while [ ! -e "$W/enough" ]; do cat "$M/disk/p1" "$M/src/deep/f"; done >/dev/null &
load=$!
ctl 0 "$M" top -b -n 2 -d 0.5
same "two rounds" "$(grep -c 'operations/s.*p99' "$W/ctl.out")" 2
same "operations by their rate" "$(awk '/^OPERATION/ { rows = 1; last = 1e9; next } !NF { rows = 0 }
    rows { if ($2 ~ /K$/) $2 *= 1000; if ($2 > last) print "not sorted: " $0; last = $2; n++ }
    END { print (n > 8) }' "$W/ctl.out")" 1
same "keys that are used" "$(grep -cE '^/(disk/p1|src) ' "$W/ctl.out")" 4
check "on a terminal" python3 "$HERE/ctl-pty.py" \
    "see:read;see:/disk/p1;size:12x60;stop;see:operations/s;key:x;key:q;end:0" "$CTL" "$M" top -d 0.3
: >"$W/enough"
wait $load

# Whoever may not.
setpriv --reuid=65534 --regid=65534 --clear-groups "$CTL" "$M" list >"$W/ctl.out" 2>"$W/ctl.err"
same "a stranger: status" $? 3
told "a stranger: why" "permission denied: only root and the user who runs the daemon, root"

# A daemon that is stopped answers nobody, and nobody waits for longer than he likes.
kill -STOP "${RF_PID[$M]}"
start=$(now)
ctl 4 -t 1 "$M" stats
told "stopped: which process" "process ${RF_PID[$M]}.* has not answered for 1 s"
at_most "seconds of waiting for one that is stopped, 1 of them asked for" "$(since "$start")" 3
ctl 0 -t 0.5 mounts
told "and is named among those that run" "has not answered"
kill -CONT "${RF_PID[$M]}"
check "top, stopped and going on" python3 "$HERE/ctl-pty.py" \
    "see:operations/s;run:kill -STOP ${RF_PID[$M]};see:NO ANSWER;run:kill -CONT ${RF_PID[$M]};hide:NO ANSWER;see:operations/s;key:q;end:0" \
    "$CTL" "$M" top -d 0.3

# The host does not answer: the mount hangs, and this does not.
mkdir "$W/b"
echo text >"$W/b/f"
RF_TRANSPORT=device rf_mount "[daemon]
attr-timeout = 0
[etfs /k]
watch = no
host = $W/b" "$W/host" || done_testing
rf_mount "[daemon]
attr-timeout = 0
slow = 200ms
[etfs /k]
watch = no
host = $W/host/k" "$W/front" || done_testing
same "through two" "$(cat "$W/front/k/f")" text
kill -STOP "${RF_PID[$W/host]}"
stat "$W/front/k/f" >/dev/null &
stuck=$!
for ((i = 0; i < 100; i++)); do
	"$CTL" "$W/front" stats 2>&1 | grep -qE "^ *[0-9.]+ m?s +[a-z]+ +$stuck " && break
	sleep 0.1
done
start=$(now)
ctl 0 "$W/front" stats
# The release of the reading before may be among them.
same "what waits comes first" "$(sed -n '1s/[12] requests* for.*//p' "$W/ctl.out")" "WAITING: "
said "for what, and who" "^ *[0-9.]+ m?s +[a-z]+ +$stuck +/k.*$W/host/k"
ctl 0 "$W/front" explain /k/f "$W/front/k/f"
ctl 0 "$W/front" list
ctl 0 "$W/front" top -b -n 1 -d 0.1
said "in top as well" '^WAITING: [12] request'
ctl 0 "$W/front" stats --openmetrics
said "and in the metrics" '^rumpfuse_waiting_requests\{.*\} [12]$'
at_most "seconds of five answers of a mount that hangs" "$(since "$start")" 3
kill -CONT "${RF_PID[$W/host]}"
wait $stuck
rf_umount "$W/front"
rf_umount "$W/host"

# A user's own: he may, root may, others may not.
U=$W/user
mkdir -p "$U/run" "$U/m"
mknod -m 666 "$W/fuse" c 10 229
mount --bind "$W/fuse" /dev/fuse
chown -R 65534:65534 "$U"
as()
{
	XDG_RUNTIME_DIR=$U/run setpriv --reuid="$1" --regid="$1" --clear-groups "${@:2}"
}
XDG_RUNTIME_DIR=$U/run setpriv --reuid=65534 --regid=65534 --clear-groups \
    "$RUMPFUSE" -f -k "/k=$W/b" none "$U/m" >"$W/daemon.u.log" 2>&1 &
daemon=$!
for ((i = 0; i < 200; i++)); do
	[ ! -S "$(echo "$U"/run/rumpfuse/*:*)" ] || break
	sleep 0.05
done
same "the user himself" "$(as 65534 "$CTL" "$U/m" list -p 2>&1)" /k
same "root, of whose runtime directory it is not" "$("$CTL" -S "$U"/run/rumpfuse/*:* list -p 2>&1)" /k
refuse "another user" "permission denied: only root and the user who runs the daemon, nobody" \
    as 65533 "$CTL" "$U/m" list
# Somebody's socket where root's should be is not talked to.
mv "$sock" "$sock.root"
chmod 777 /run/rumpfuse
mkfifo "$W/in"
cp "$HERE/ctl-fake.py" "$W"
setpriv --reuid=65534 --regid=65534 --clear-groups \
    /usr/bin/python3 "$W/ctl-fake.py" /run/rumpfuse "${sock##*/}" <"$W/in" >"$W/fake.out" &
fake=$!
exec 7>"$W/in"
for ((i = 0; i < 200; i++)); do
	! grep -q ready "$W/fake.out" || break
	sleep 0.05
done
refuse "a stranger's socket in the place of root's" "belongs to nobody .uid 65534., who does not serve" \
    "$CTL" "$M" list
exec 7>&-
wait $fake
chmod 755 /run/rumpfuse
mv -f "$sock.root" "$sock"
ctl 0 "$M" list
kill -TERM $daemon
wait $daemon
same "that daemon's end" $? 0
umount /dev/fuse

# The completion of the shell.
same "bash: mounts, commands, keys, files" "$(
	compopt() { :; }
	PATH=$W:$PATH
	. "$HERE/../../dist/completion/bash/rumpfusectl"
	try()
	{
		COMP_WORDS=(rumpfusectl "$@") COMP_CWORD=$#
		_rumpfusectl
		echo "${COMPREPLY[*]}"
	}
	try ""
	try mo
	try "$M" re
	try -t 5 "$M" remove /d
	try "$M" stats --op
	try "$M" add /x = "$W/im"
)" "$M mounts
mounts
remove reload
/disk/p1
--openmetrics
$W/img"

# The end, and the next one, while somebody looks.
python3 "$HERE/ctl-pty.py" \
    "see:operations/s;run:touch $W/looking;see:NO DAEMON;run:touch $W/seen;hide:NO DAEMON;see:operations/s;key:q;end:0" \
    "$CTL" "$M" top -d 0.3 >"$W/pty.out" 2>&1 &
look=$!
for ((i = 0; i < 200; i++)); do
	[ ! -e "$W/looking" ] || break
	sleep 0.05
done
rf_umount "$M"
for ((i = 0; i < 200; i++)); do
	[ ! -e "$W/seen" ] || break
	sleep 0.05
done
rf_mount "$W/lab.conf" "$M" || done_testing
wait $look
same "top over a restart: $(tr -d '\033' <"$W/pty.out" | head -n 5)" $? 0

# Killed.
kill -9 "${RF_PID[$M]}"
{ wait "${RF_PID[$M]}"; } 2>/dev/null
unset "RF_PID[$M]"
ctl 3 "$M" list
told "killed: what that means" "daemon of $M is gone.*Transport endpoint is not connected"
told "and what to do" "\"rumpfuse $W/lab.conf $M\" replaces it, \"umount -l $M\" takes it away"
rm -f "$sock" /run/rumpfuse/*:*
ctl 3 "$M" list
told "no socket either" "has no control socket"
ctl 0 mounts
same "nobody is left" "$(wc -l <"$W/ctl.out")" 1
umount -l "$M"
ctl 3 "$M" list
told "taken away" "is not a mount point"

# The manual page and the completions know all of it.
DOC=$HERE/../../doc/rumpfusectl.8
COMPLETION=$HERE/../../dist/completion
same "mandoc has nothing to say" "$(mandoc -Tlint -W warning "$DOC" 2>&1)" ""
same "nor has groff" "$(groff -mdoc -Tutf8 -ww -z "$DOC" 2>&1)" ""
same "nor man" "$(MANROFFSEQ='' man --warnings -l "$DOC" 2>&1 >/dev/null)" ""
for w in list add remove explain stats reload top mounts json timeout socket paths openmetrics batch \
    delay rounds help version; do
	for f in "$DOC" "$COMPLETION/bash/rumpfusectl" "$COMPLETION/zsh/_rumpfusectl"; do
		grep -qw -- "$w" "$f" || fail "$f does not know $w"
	done
done
check "the zsh completion can be read" zsh -n "$COMPLETION/zsh/_rumpfusectl"
umount /run/rumpfuse
done_testing
