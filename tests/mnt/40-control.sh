#!/bin/bash
# The control socket: what can be asked, by whom, and that it answers whatever the mount and
# its clients do.  RF_CONTROL_MESSAGES: how many malformed messages (20,000; a twentieth of it
# with the sanitizers; ./dev stress: 100,000).
# first
LIMIT=$((180 + ${RF_CONTROL_MESSAGES:-0} / 500))
. "$(dirname "$0")/lib.sh"
M=$W/m
B=$W/back
H=$W/host
N=$W/nobody
CTL=$(dirname "$RUMPFUSE")/rumpfusectl
U="setpriv --reuid=65534 --regid=65534 --clear-groups"
MESSAGES=${RF_CONTROL_MESSAGES:-20000}
[ $MEASURE = 1 ] || MESSAGES=$((MESSAGES / 20))
# Sockets of this test alone.
mount -t tmpfs -o mode=755 run /run || exit 1

# sock DIR: its socket's name.
sock()
{
	awk -v m="$1" '$5 == m { print "/run/rumpfuse/" $3 }' /proc/self/mountinfo | tail -n 1
}

client()
{
	timeout $((100 + MESSAGES / 500)) /usr/bin/python3 "$W/control.py" "$@"
}

# ask LINE…: of the daemon at $SOCK; its answers, a line each, are in $W/answers.
ask()
{
	client ask "$SOCK" "$@" >"$W/answers" 2>&1
}

# says WHAT FILTER WANTED LINE: what jq makes of the answer.
says()
{
	ask "$4"
	same "$1" "$(jq -c "$2" "$W/answers" 2>&1)" "$3" || head -c 2000 "$W/answers"
}

# answer WHAT FILTER WANTED: of the same answer.
answer()
{
	same "$1" "$(jq -c "$2" "$W/answers" 2>&1)" "$3" || head -c 2000 "$W/answers"
}

# log_has WHAT TEXT: within 5 s.
log_has()
{
	local i
	for ((i = 0; i < 100 * ${RF_SLOW:-1}; i++)); do
		grep -qE -- "$2" "${RF_LOG[$M]}" && break
		sleep 0.05
	done
	check "$1" grep -E -- "$2" "${RF_LOG[$M]}"
}

# stop_host: the daemon of $B, all of its threads.
stop_host()
{
	local i
	sleep 0.3 # until what was open has been released
	kill -STOP "${RF_PID[$B]}"
	for ((i = 0; i < 100; i++)); do
		grep -q '^State:.*[^T] (' "/proc/${RF_PID[$B]}/task"/*/status || break
		sleep 0.05
	done
}

# socket_gone: within 5 s.
socket_gone()
{
	local i
	for ((i = 0; i < 100 * ${RF_SLOW:-1}; i++)); do
		[ -e "$SOCK" ] || return 0
		sleep 0.05
	done
	return 1
}

cp "$HERE/control.py" "$W"
mkdir "$M" "$B" "$H" "$H/sub" "$W/real" "$W/real/sub"
echo text >"$H/f"
echo text >"$W/real/sub/f"
truncate -s 4M "$W/disk"
truncate -s 1M "$W/ext.img"
mke2fs -q -t ext2 "$W/ext.img" 2>/dev/null
cat >"$W/conf" <<X
[daemon]
slow = 400ms
passthrough = no
[dir /tmp]
[file /etc/motd]
content = hello
[etfs /d]
host = host
[whiteout /d/gone]
[dir /d/laid]
[etfs /disk]
host = disk
type = blk
begin = 1M
size = 1M
access = ro
[etfs /late]
host = comes
missing = hide
hidden = yes
[mount /img]
host = ext.img
X
rf_mount "$W/conf" "$M" || done_testing
SOCK=$(sock "$M")
same "the socket" "$(stat -c '%F %a %u' "$SOCK")" "socket 600 0"
same "its directory" "$(stat -c '%F %a %u' /run/rumpfuse)" "directory 755 0"

# What there is.
says "hello" '[.id,.ok,.result.protocol,.result.mountpoint,.result.config,.result.access,.result.pid]' \
    "[\"x\",true,1,\"$M\",\"$W/conf\",\"rw\",${RF_PID[$M]}]" '{"id":"x","op":"hello"}'
ask '{"op":"list"}'
answer "list" '[.result.entries[]|[.path,.kind,.type,.access,.hidden,.missing]]' \
    "$(jq -c . <<'X'
[["/d","key","dir-subdirs","rw",false,false],
 ["/d/gone","node","whiteout","rw",false,false],
 ["/d/laid","node","dir","rw",false,false],
 ["/disk","key","blk","ro",false,false],
 ["/etc/motd","node","file","rw",false,false],
 ["/img","image","ext","rw",false,false],
 ["/late","key","auto","rw",true,true],
 ["/tmp","node","dir","rw",false,false]]
X
)"
answer "ranges" '[.result.entries[]|select(.kind!="node")|[.begin,.size]]' \
    '[[0,null],[1048576,1048576],[0,1048576],[0,null]]'
answer "where they come from" '[.result.entries[].origin]|unique|length' 8
answer "on the host" '.result.entries[0].host' "\"$H\""
echo >"$W/comes"
check "what was missing comes" test -f "$M/late"
says "and is listed as what it is" '[.result.entries[]|select(.path=="/late")|.type,.missing]' \
    '["reg",false]' '{"op":"list"}'

# explain PATH WANTED: covered_by, kind, type, host, exists.
explain()
{
	says "explain $1" '[.result|.covered_by,.kind,.type,.host,.exists]' "$2" \
	    "{\"op\":\"explain\",\"path\":\"$1\"}"
}
explain / '["/","memory","dir",null,true]'
explain /etc '["/","memory","dir",null,true]'
explain /etc//motd/ '["/etc/motd","node","file",null,true]'
explain /none/x '["/","memory",null,null,false]'
explain /tmp/x '["/tmp","memory",null,null,false]'
mkdir "$M/tmp/x"
explain /tmp/x '["/tmp","memory","dir",null,true]'
explain /d "[\"/d\",\"key\",\"dir-subdirs\",\"$H\",true]"
explain /d/a/b "[\"/d\",\"key\",null,\"$H/a/b\",null]"
explain /d/gone '["/d/gone","whiteout","whiteout",null,false]'
explain /d/laid '["/d/laid","node","dir",null,true]'
echo 1 >"$M/d/laid/y"
explain /d/laid/y '["/d/laid","memory","file",null,true]'
explain /disk "[\"/disk\",\"key\",\"blk\",\"$W/disk\",true]"
explain /disk/x '["/disk","key",null,null,false]'
explain /img "[\"/img\",\"image\",\"ext\",\"$W/ext.img\",true]"
explain /img/a '["/img","image",null,null,null]'
explain /d/gone/sub '["/d/gone","none",null,null,false]'
answer "hidden by what" '[.result.access,.result.notes]' '[null,["not there: /d/gone is hidden by a whiteout"]]'
says "explain: a whiteout has no access" .result.access null '{"op":"explain","path":"/d/gone"}'
mkdir "$M/tmp/x/y"
ln -s tmp "$M/ln"
ln -s ../ln/./x "$M/tmp/rel"
ln -s "$M/d" "$M/tmp/abs"
ln -s /etc "$M/tmp/out"
ln -s ../.. "$M/tmp/above"
ln -s loop "$M/loop"
ln -s ../d/deep/.. "$M/tmp/hidden"
explain /ln '["/","memory","symlink",null,true]'
explain /ln/x '["/tmp","memory","dir",null,true]'
answer "by what link" '[.result.path,.result.notes]' '["/ln/x",["symlinks followed: /ln -> tmp"]]'
explain /ln/rel/y '["/tmp","memory","dir",null,true]'
answer "by which" .result.notes '["symlinks followed: /ln -> tmp, /tmp/rel -> ../ln/./x, /ln -> tmp"]'
explain /tmp/abs/f "[\"/d\",\"key\",null,\"$H/f\",null]"
explain /tmp/abs/gone '["/d/gone","whiteout","whiteout",null,false]'
explain /tmp/out/passwd '["/tmp","none",null,null,null]'
answer "what leads out" '.result.notes[0]' '"a symlink is in the way: /tmp/out -> /etc"'
explain /tmp/above/x '["/","none",null,null,null]'
explain /tmp/hidden/x '["/d","none",null,null,null]'
explain /loop/x '["/","none",null,null,false]'
answer "a loop" '.result.notes[0]' '"not there: too many symbolic links"'
rm "$M/ln" "$M/loop" "$M/tmp/"{rel,abs,out,above,hidden}
says "explain: a range" '[.result|.begin,.size,.access,.section,.names_cached_ms]' \
    '[1048576,1048576,"ro","[etfs /disk]",null]' '{"op":"explain","path":"/disk"}'
says "explain: times, passthrough" \
    '[.result|.names_cached_ms,.attributes_cached_ms,.contents_cached,.passthrough]' \
    '[1000,1000,"until changed",false]' '{"op":"explain","path":"/d/x"}'

# Changes.
says "add" '[.ok,.log[0].priority]' '[true,5]' "{\"op\":\"add\",\"key\":\"/new=$H/f,access=ro\"}"
check "it is there" grep -q text "$M/new"
says "its origin" '[.result.entries[]|select(.path=="/new")|.origin,.access]' '["added","ro"]' \
    '{"op":"list"}'
says "no key twice" .error.code '"EEXIST"' "{\"op\":\"add\",\"key\":\"/new=$H/f\"}"
says "nor over a node" .error.code '"EEXIST"' "{\"op\":\"add\",\"key\":\"/tmp=$H\"}"
says "a missing host object" '[.error.code,(.error.text|test("/nowhere"))]' '["ENOENT",true]' \
    '{"op":"add","key":"/n=/nowhere"}'
says "what the text has wrong" \
    '[.error.code,(.error.text|test("\\[etfs /n\\] begin: .*expected"))]' '["EINVAL",true]' \
    "{\"op\":\"add\",\"key\":\"/n=$H/f,begin=x\"}"
check "nothing of it stays" test ! -e "$M/n"
says "remove" .ok true '{"op":"remove","key":"/disk"}'
check "it is gone" test ! -e "$M/disk"
says "remove: none there" .error.code '"ENOENT"' '{"op":"remove","key":"/disk"}'
says "remove: no path" .error.code '"EINVAL"' '{"op":"remove","key":"disk"}'
says "reload" '[.ok,.result.added,.result.removed,.result.changed]' '[true,1,0,0]' '{"op":"reload"}'
check "what the file declares comes back" test -e "$M/disk"
check "what was added stays" grep -q text "$M/new"
cp "$W/conf" "$W/conf.good"
echo '[etfs /bad]' >>"$W/conf"
says "a reload that fails" '[.error.code,(.error.text|length > 10),(.log|length > 1)]' \
    '["EINVAL",true,true]' '{"op":"reload"}'
cp "$W/conf.good" "$W/conf"
says "remove what was added" .ok true '{"op":"remove","key":"/new/"}'
says "and it stays away" '[.ok,.result.added]' '[true,0]' '{"op":"reload"}'
check "it is not there" test ! -e "$M/new"
says "what is no key" '[.error.code,(.error.text|test("^/tmp: .*\\[dir /tmp\\].*conf:[0-9]+.*file"))]' \
    '["ENOENT",true]' '{"op":"remove","key":"/tmp"}'
says "nor is an image" '.error.text|test("^/img: .*\\[mount /img\\]")' true \
    '{"op":"remove","key":"/img"}'

# With what is declared below it, as by a reload.
mkdir "$W/src"
echo secret >"$W/src/.env"
echo host >"$W/src/over"
cat >>"$W/conf" <<'X'
[whiteout /src/.env]
[file /src/over]
content = over
[dir /src/d]
X
says "nodes" .result.added 3 '{"op":"reload"}'
explain /src/.env '["/src/.env","whiteout","whiteout",null,true]'
ln -s kept "$M/src/d/mine"
under()
{
	refuse "$1: a whiteout hides" 'No such file' stat "$M/src/.env"
	same "$1: what is declared lies over it" "$(cat "$M/src/over"; readlink "$M/src/d/mine")" overkept
	explain /src/.env '["/src/.env","whiteout","whiteout",null,false]'
	explain /src/over '["/src/over","node","file",null,true]'
}
says "a key that cannot come" .error.code '"ENOENT"' '{"op":"add","key":"/src=/nowhere"}'
as_they_were()
{
	same "they are as they were" "$(cat "$M/src/over"; readlink "$M/src/d/mine"
	stat -c %t:%T "$M/src/.env")" "overkept
0:0"
}
as_they_were
says "nor a file, which has nothing below it" .error.code '"ENOTDIR"' \
    "{\"op\":\"add\",\"key\":\"/src=$H/f\"}"
as_they_were
says "add over nodes" .ok true "{\"op\":\"add\",\"key\":\"/src=$W/src\"}"
under "added"
says "no difference" '[.result.added,.result.removed,.result.changed]' '[0,0,0]' '{"op":"reload"}'
under "reloaded"
says "removed" .ok true '{"op":"remove","key":"/src"}'
same "they stay" "$(cat "$M/src/over"; readlink "$M/src/d/mine"; ls -A "$M/src" | tr '\n' ' ')" "overkept
d over "
says "and again" .ok true "{\"op\":\"add\",\"key\":\"/src=$W/src\"}"
under "once more"
rm "$M/src/d/mine"

# Added, and then declared.
cp "$W/conf" "$W/conf.nodes"
exec 8<"$M/src/over"
printf '[etfs /src]\nhost = %s\n' "$W/src" >>"$W/conf"
says "the same: nothing changes" '[.ok,.result.added,.result.removed,.result.changed,
    (.log|map(.text)|any(test("key /src: added by hand, and declared now \\(.*conf:[0-9]+\\)$")))]' \
    '[true,0,0,0,true]' '{"op":"reload"}'
says "its origin is the file" '.result.entries[]|select(.path=="/src")|.origin|test("conf:")' true \
    '{"op":"list"}'
says "add another" .ok true "{\"op\":\"add\",\"key\":\"/new=$H\"}"
says "and one" .ok true "{\"op\":\"add\",\"key\":\"/new2=$H/f\"}"
printf '[etfs /new]\nhost = %s\naccess = ro\n[file /new2]\ncontent = node\n' "$H" >>"$W/conf"
says "another: the file rules" '[.ok,.result.changed,(.log|map(.text)|map(select(test("differs and rules")))|length)]' \
    '[true,1,2]' '{"op":"reload"}'
refuse "it does" 'Read-only' touch "$M/new/x"
same "be it a node" "$(cat "$M/new2")" node
cp "$W/conf.good" "$W/conf"
says "they are the file's to take away" '[.ok,.result.removed]' '[true,6]' '{"op":"reload"}'
exec 8<&-
check "they are gone" test ! -e "$M/new" -a ! -e "$M/new2" -a ! -e "$M/src"

# Read-only and back.
exec 8>>"$M/d/open"
says "remount ro" .ok true '{"op":"remount","access":"ro"}'
says "hello says so" .result.access '"ro"' '{"op":"hello"}'
refuse "in memory" 'Read-only' touch "$M/tmp/new"
refuse "in a key" 'Read-only' touch "$M/d/new"
refuse "in an image" 'Read-only' touch "$M/img/new"
refuse "by who has it open" 'Read-only' sh -c 'cat conf >&8'
says "a key that is added meanwhile" .ok true "{\"op\":\"add\",\"key\":\"/new=$H\"}"
refuse "is so, too" 'Read-only' touch "$M/new/x"
says "remount rw" .ok true '{"op":"remount","access":"rw"}'
check "writable again" touch "$M/tmp/new" "$M/d/new" "$M/img/new" "$M/new/x"
refuse "but what is declared otherwise" 'Read-only' sh -c "echo x >$M/disk"
check "and by who has it open" sh -c 'head -c 2 conf >&8'
exec 8>&-
says "remove the key again" .ok true '{"op":"remove","key":"/new"}'

# Counting.
cat "$M/d/f" "$M/d/f" >"$W/.out"
dd if=/dev/zero of="$M/d/w" bs=1000 count=7 status=none
cat "$M/d/none" 2>/dev/null
ask '{"op":"stats"}'
answer "bytes of a key" \
    '[.result.keys[]|select(.path=="/d")|(.operations>5),(.read_bytes>=5),.written_bytes]' '[true,true,7002]'
answer "images, and keys that have been used" \
    '[.result.keys[].path]|[index("/d"),any(.[];.=="/img"),any(.[];.=="/late")]' '[0,true,false]'
answer "operations are whole" '[.result.operations[]|select(.name=="write")|
    .bytes,(.total_us>0),(.p50_us<=.p90_us and .p90_us<=.p99_us and .p99_us<=.p999_us
    and .p999_us<=.max_us),(([.buckets[][1]]|add)<=.count),.errors]' '[7004,true,true,true,1]'
answer "errors" '[.result.operations[].errors]|add>=3' true
answer "the rest" '[.result|(.nodes>5),(.open_files|type),(.memory.inodes_used>3),
    (.rss_bytes>1000000),(.host.known>2),.waiting,.waiting_limit_ms]' '[true,"number",true,true,true,[],400]'
says "without buckets" '[.result.operations[]|has("buckets")]|any' false \
    '{"op":"stats","buckets":false}'
kill -USR1 "${RF_PID[$M]}"
log_has "SIGUSR1 still logs them" 'requests: [0-9]+, errors: [0-9]+; .*write [0-9]+'

# Lines.
says "an op that is not known" '[.id,.ok,.error.code]' '[7,false,"ENOSYS"]' '{"id":7,"op":"dance"}'
for id in 1e999 123456789012345678901234567890 0.1 1E5 -0 '"a\u0000b"' '"\u00e4"'; do
	ask "{\"op\":\"dance\",\"id\":$id}" "{\"id\": $id ,\"op\":\"hello\"}" "{\"op\":\"remove\",\"key\":\"/none\",\"id\":$id}"
	same "the id $id comes back to the byte" "$(grep -cF "{\"id\":$id,\"ok\":" "$W/answers")" 3
	check "in JSON" client strict "$W/answers"
done
for request in '"op":"explain","path":"/a\u0000b"' '"op":"remove","key":"/a\u0000b"' \
    '"op":"remount","access":"ro\u0000"' '"op":"hello\u0000"'; do
	says "a NUL: $request" '[.error.code,.error.text]' '["EINVAL","a string with a NUL"]' "{$request}"
done
says "no op" .error.code '"EINVAL"' '{}'
says "add without a key" '[.error.code,.error.text]' '["EINVAL","key: a string is missing"]' \
    '{"op":"add","key":7}'
says "explain without a path" .error.code '"EINVAL"' '{"op":"explain"}'
says "explain: not absolute" .error.code '"EINVAL"' '{"op":"explain","path":"a/../b"}'
says "remount to what?" .error.code '"EINVAL"' '{"op":"remount","access":"wr"}'
says "members that are not known" .ok true '{"op":"hello","more":[1,{"a":[]}],"id":null}'
for line in x '[]' '{"op":' '{} {}' '{"id":01}' '{"id":inf}' '/* " */ {}' "{\"a\":$(printf '[%.0s' {1..40})"; do
	ask "$line" '{"op":"hello"}'
	same "not a request: $line" "$(sed -n 1p "$W/answers" | jq -c '[.id,.error.code]') $(sed 1d "$W/answers")" \
	    '[null,"EPROTO"] closed'
done
says "a line of nearly 64 KiB" .ok true "$(printf '{"op":"hello","x":"%065000d"}' 0)"
printf '{"id":1,"op":"hello"}\n{"id":2,"op":"remove","key":"/x"}\n{"id":3,"op":"stats"}\n{"id":4,"op":"hello"}\n' \
    >"$W/many"
same "many at once, in their order, and the end" \
    "$(client pour "$SOCK" "$W/many" | jq -c '[.id,.ok]' | tr '\n' ' ')" \
    '[1,true] [2,false] [3,true] [4,true] '
head -c 70000 /dev/zero | tr '\0' x >"$W/long"
same "too long, and no end of it" "$(client pour "$SOCK" "$W/long" | jq -c .error.code)" '"EPROTO"'

# Others.
refuse "nobody cannot even connect" 'Permission denied' \
    $U /usr/bin/python3 "$W/control.py" ask "$SOCK" '{"op":"hello"}'
chmod 666 "$SOCK"
refuse "and where the mode lets him, he is not let in" 'closed|reset|Broken' \
    $U /usr/bin/python3 "$W/control.py" ask "$SOCK" '{"op":"hello"}'
chmod 600 "$SOCK"

# Many, malformed, deaf.
check "$MESSAGES malformed messages and 200 idle connections" \
    client storm "$SOCK" "$MESSAGES" 200 "${RF_PID[$M]}"
grep '^figure' "$W/.check"
check "one who does not read" client deaf "$SOCK" "${RF_PID[$M]}"
grep '^figure' "$W/.check"
rf_umount "$M"
check "after the unmount it is gone" test ! -e "$SOCK"

# A host that does not answer: a directory of another daemon, which is stopped.
printf '[etfs /hang]\nhost = back/r\n[etfs /dead]\nhost = back/r/sub\n' >>"$W/conf"
sed -i 's/^slow =.*/&\nattr-timeout = 60s/' "$W/conf"
RF_TRANSPORT=device rf_mount none "$B" -k "/r=$W/real"
rf_mount "$W/conf" "$M" || done_testing
SOCK=$(sock "$M")
same "two daemons, two sockets" "$(ls /run/rumpfuse | wc -l)" 2
check "the host answers" grep -q text "$M/hang/sub/f"
stop_host
timeout 60 cat "$M/hang/sub/other" >/dev/null 2>&1 &
a=$!
sleep 0.1
timeout 60 ls "$M/hang/sub" >/dev/null 2>&1 &
b=$!
client drop "$SOCK" "{\"op\":\"add\",\"key\":\"/added=$B/r/sub\"}"
at_most "milliseconds that a question waits while the host does not answer" \
    "$(client pace "$SOCK" 2)" 100
ask '{"op":"stats"}'
answer "who waits, oldest first" '[.result.waiting[]|select(.pid)|[.path,.host,(.age_ms>1000)]]' \
    "[[\"/hang/sub/other\",\"$B/r/sub/other\",true],[\"/hang/sub\",\"$B/r/sub\",true]]"
answer "for what" '[.result.waiting[]|select(.pid)|.operation]' '["lookup","opendir"]'
answer "and the change that waits" '.result.waiting[]|select(.pid==null)|[.operation,.path,.host,(.age_ms>400)]' \
    "[\"add\",\"/added\",\"$B/r/sub\",true]"
log_has "it is told, too" 'add of /added \(.*/back/r/sub on the host\) has been waiting for [0-9.]+ s'
same "who has queued another is told what for" \
    "$(client told "$SOCK" "{\"id\":5,\"op\":\"add\",\"key\":\"/unwanted=$H\"}" | jq -c '[.id,.progress.what]')" \
    "[5,\"waiting for $B/r/sub (add)\"]"
"$CTL" "$M" reload >"$W/ctl1" 2>&1 &
e=$!
"$CTL" "$M" reload >"$W/ctl2" 2>&1 &
g=$!
sleep 0.3
same "more than 64 are not queued" "$(client flood "$SOCK" 70 | grep -c EBUSY)" 8
log_has "it is told" \
    'lookup of /hang/sub/other \(.*/back/r/sub/other on the host\) has been waiting for [0-9.]+ s; process [0-9]+'
same "once" "$(grep -c 'other.*has been waiting' "${RF_LOG[$M]}")" 1
ls "$M" >"$W/names" 2>&1 &
c=$!
sleep 0.5
refuse "the listing above does not wait" '' kill -0 $c
check "and has it" grep -qx dead "$W/names"
timeout 60 stat "$M/dead" >/dev/null 2>&1 &
d=$!
sleep 0.6
check "who asks about it waits" kill -0 $d
says "which is told with its name" '.result.waiting[]|select(.path=="/dead")|[.operation,.host]' \
    "[\"lookup\",\"$B/r/sub\"]" '{"op":"stats"}'
kill -CONT "${RF_PID[$B]}"
wait $a $b $c $d
check "the host is back" grep -q text "$B/r/sub/f"
log_has "and that it came back" '/hang/sub/other .*has come back after [0-9.]+ s'
log_has "what was begun for one who has gone is done" 'key /added: added'
log_has "it is told that it goes on" 'add of /added .*has come back after [0-9.]+ s'
check "one reload is done" wait $e
check "and the other with it" wait $g
check "who is told" grep -q "waiting for $B/r/sub (add)" "$W/ctl2"
same "once" "$(grep -c ' reloaded: ' "${RF_LOG[$M]}")" 1
check "what was queued by one who has gone is not done" test ! -e "$M/unwanted"
check "the key is there" grep -q text "$M/added/f"

# The end, with the manager stuck.
stop_host
client drop "$SOCK" "{\"op\":\"add\",\"key\":\"/more=$B/r/sub/f2\"}"
sleep 0.3
kill -TERM "${RF_PID[$M]}"
check "SIGTERM takes the socket away, whatever the host does" socket_gone
sleep 3
kill -CONT "${RF_PID[$B]}"
{ wait "${RF_PID[$M]}"; } 2>/dev/null
unset "RF_PID[$M]"
rf_umount "$B"

# Killed.
rf_mount none "$M" || done_testing
SOCK=$(sock "$M")
kill -9 "${RF_PID[$M]}"
{ wait "${RF_PID[$M]}"; } 2>/dev/null
unset "RF_PID[$M]"
check "a killed one leaves it" test -S "$SOCK"
umount -l "$M"
rf_mount none "$M" || done_testing
old=$SOCK
SOCK=$(sock "$M")
if [ "$SOCK" = "$old" ]; then
	says "the next with the number replaces it" .ok true '{"op":"hello"}'
else
	skip "a stale socket: the kernel has given another number"
	rm "$old"
fi
rf_umount "$M" term
check "after SIGTERM it is gone" test ! -e "$SOCK"
same "nothing is left" "$(ls /run/rumpfuse)" ""

# A directory that is not ours.
no_place()
{
	rf_mount none "$M" || return
	check "$1: the mount works" touch "$M/x"
	log_has "$1: it is said" 'no control socket: /run/rumpfuse: not a directory that is ours alone'
	rf_umount "$M"
}
chmod 777 /run/rumpfuse
no_place "a directory that others can write"
chmod 755 /run/rumpfuse
chown 65534 /run/rumpfuse
no_place "another's directory"
rmdir /run/rumpfuse
mkdir "$W/elsewhere"
ln -s "$W/elsewhere" /run/rumpfuse
no_place "a link"
same "nothing went there" "$(ls "$W/elsewhere")" ""
rm /run/rumpfuse

# Read-only from the start.
rf_mount '[daemon]
access = ro' "$M"
SOCK=$(sock "$M")
says "access = ro" .result.access '"ro"' '{"op":"hello"}'
says "stays" .error.code '"EROFS"' '{"op":"remount","access":"rw"}'
rf_umount "$M"
rf_mount none "$M" -o ro -k "/d=$H" -k "/w=$W/disk,type=blk" -k "/r=$W/disk,type=blk,access=ro" \
    -k "/new=$W/new,missing=hide,type=blk"
SOCK=$(sock "$M")
check "another reader" rf_mount none "$B" -k "/w=$W/disk,type=blk,access=ro"
says "-o ro: not while another reads a range" .error.code '"EBUSY"' '{"op":"remount","access":"rw"}'
refuse "still read-only" 'Read-only' touch "$M/d/x"
rf_umount "$B"
says "-o ro and remount rw" .ok true '{"op":"remount","access":"rw"}'
check "the kernel is told" mount -i -o remount,rw "$M"
check "it can be written" sh -c "touch $M/x $M/d/x && head -c 512 /dev/zero | dd of=$M/w conv=notrunc status=none"
refuse "but what is read-only itself" 'Read-only' sh -c "echo x >$M/r"
truncate -s 1M "$W/new"
check "and what comes" sh -c "head -c 512 /dev/zero | dd of=$M/new conv=notrunc status=none"
refuse "the range is locked" 'in use: locked' timeout 5 "$RUMPFUSE" -f -k "/w=$W/disk,type=blk" none "$B"
rf_umount "$M"

# A user's own.
mkdir "$N" "$N/m" "$N/run"
chown -R 65534:65534 "$N"
chmod 700 "$N/run"

# said_by_nobody: within 5 s, for it comes when the mount has answered.
said_by_nobody()
{
	local i
	for ((i = 0; i < 100 * ${RF_SLOW:-1}; i++)); do
		grep -q 'no control socket: XDG_RUNTIME_DIR is not set' "$W/daemon-nobody.log" && return
		sleep 0.05
	done
	return 1
}

# nobody_serves RUNTIME_DIR
nobody_serves()
{
	(cd "$N" && XDG_RUNTIME_DIR=$1 exec $U "$RUMPFUSE" -f none "$N/m") >"$W/daemon-nobody.log" 2>&1 &
	RF_PID[$N/m]=$!
	RF_LOG[$N/m]=$W/daemon-nobody.log
	for ((i = 0; i < 500; i++)); do
		rf_is_mounted "$N/m" && $U stat -f "$N/m" >/dev/null 2>&1 && return
		sleep 0.02
	done
}
if [ -u "$(command -v fusermount3)" ] && mknod -m 666 "$W/fuse" c 10 229 &&
    mount --bind "$W/fuse" /dev/fuse && $U sh -c 'exec 3<>/dev/fuse' 2>/dev/null; then
	nobody_serves "$N/run"
	SOCK=$(sock "$N/m")
	SOCK=$N/run/rumpfuse/${SOCK##*/}
	same "a user's socket" "$(stat -c '%a %u' "$SOCK" "$N/run/rumpfuse" | tr '\n' ' ')" \
	    "600 65534 700 65534 "
	says "root may ask" .result.uid 65534 '{"op":"hello"}'
	check "so may he" $U /usr/bin/python3 "$W/control.py" ask "$SOCK" '{"op":"hello"}'
	rf_umount "$N/m" term
	same "and nothing is left" "$(ls "$N/run/rumpfuse")" ""
	nobody_serves ""
	check "without XDG_RUNTIME_DIR it is said" said_by_nobody
	rf_umount "$N/m" term
	umount /dev/fuse
else
	skip "an unprivileged daemon: no setuid fusermount3, or /dev/fuse cannot be used"
fi
done_testing
