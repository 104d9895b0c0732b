#!/bin/bash
# Reload of all that a configuration declares: what comes, changes and goes, what users have
# made of it, and that a reload which fails, at whatever step, leaves all as it was.
LIMIT=60
. "$(dirname "$0")/lib.sh"
M=$W/m
conf=$W/r.conf
mkdir -p "$W/host" "$W/host2"
for i in 1 2 3; do head -c 4096 /dev/zero | tr '\0' $i >"$W/img$i"; done
echo theirs >"$W/host/theirs"
echo copied >"$W/copy"
log=

# ends: how many reloads have come to an end.
ends()
{
	grep -cE 'reloaded: [0-9]+ added|reloaded: no difference|was not reloaded' "$log"
}

# hup: reloads, and waits for the end of it; what was logged is in $W/said.
hup()
{
	local before lines i
	before=$(ends)
	lines=$(wc -l <"$log")
	kill -HUP "${RF_PID[$M]}"
	for ((i = 0; i < 500 * ${RF_SLOW:-1}; i++)); do
		[ "$(ends)" != "$before" ] && break
		sleep 0.01
	done
	tail -n +$((lines + 1)) "$log" >"$W/said"
}

# to TEXT: reloads to it; it must succeed.
to()
{
	printf '%s' "$1" >"$conf"
	hup
	grep -q 'reloaded: [0-9n]' "$W/said" || {
		fail "the reload succeeds: $(cat "$W/said")"
		return 1
	}
}

# refused WHAT TEXT REASON…: a reload to it is refused with all these reasons, and nothing is
# another.
refused()
{
	local what=$1 text=$2 r
	shift 2
	picture >"$W/before"
	printf '%s' "$text" >"$conf"
	hup
	check "$what: it is refused" grep -q 'not reloaded; nothing has changed' "$W/said"
	for r in "$@"; do
		check "$what: it says $r" grep -qE -- "$r" "$W/said"
	done
	picture >"$W/after"
	check "$what: nothing is another" diff "$W/before" "$W/after"
}

# picture: all that can be seen, in the order of the listings: inode, type, mode, owner, links,
# size, target, name; and contents.
picture()
{
	(
		cd "$M" || exit 1
		find . -printf '%i %y %m %U:%G %n %s %l %p\n'
		find . -type f -exec sha256sum {} +
	)
}

said()
{
	check "it is said: $1" grep -qE -- "$1" "$W/said"
}

base="[etfs /stay]
host = img1
type = blk
[etfs /h]
host = host
"
printf '%s' "$base" >"$conf"
rf_mount "$conf" "$M" || done_testing
log=${RF_LOG[$M]}
exec 5<"$M/stay"

### Nodes come …
refuse "not there yet" 'No such file' stat "$M/f"
refuse "nor over the host" 'No such file' stat "$M/h/f"
to "$base
[dir /d]
mode = 0750
[file /d/f]
content = one
mode = 0640
uid = 7
[file /c]
host-copy = copy
[symlink /s]
target = d/f
[node /n]
type = fifo
[node /z]
type = chr
major = 1
minor = 5
[whiteout /w]
[file /h/f]
content = laid
[dir /h/sub]
[whiteout /h/theirs]
[file /deep/er/f]
content = deep
"
said 'reloaded: 11 added, 0 removed, 0 changed'
said '\+ \[file /d/f\]: content "one", mode 0640, uid 7'
same "a directory" "$(stat -c '%F %a' "$M/d")" "directory 750"
same "a file" "$(cat "$M/d/f"; stat -c '%a %u' "$M/d/f")" "one640 7"
same "a copy" "$(cat "$M/c")" copied
same "a symlink" "$(readlink "$M/s")" d/f
same "a fifo" "$(stat -c %F "$M/n")" fifo
same "a device" "$(stat -c '%F %t:%T' "$M/z")" "character special file 1:5"
same "a whiteout" "$(stat -c '%F %t:%T' "$M/w")" "character special file 0:0"
same "a file over the host's directory" "$(cat "$M/h/f")" laid
refuse "a name of the host is hidden" 'No such file' stat "$M/h/theirs"
same "a file with directories made for it" "$(cat "$M/deep/er/f")" deep
same "nothing is made on the host" "$(ls "$W/host")" theirs

### … change …
exec 6<"$M/d/f" 7<"$M/h/f"
ino=$(stat -c %i "$M/d")
chmod 0600 "$M/c"
to "$base
[dir /d]
mode = 0755
gid = 9
[file /d/f]
content = another
mode = 0640
uid = 7
[file /c]
host-copy = copy
uid = 3
[symlink /s]
target = c
[node /n]
type = fifo
mode = 0600
[node /z]
type = chr
major = 1
minor = 3
[file /w]
content = none
[file /h/f]
content = laid anew
[dir /h/sub]
mode = 0700
[file /deep/er/f]
content = deep
"
said 'reloaded: 1 added, 2 removed, 8 changed'
said '~ \[file /d/f\]: content "one" -> "another"$'
said '~ \[symlink /s\]: target d/f -> c'
same "a directory is the same one" "$(stat -c '%i %a %g' "$M/d")" "$ino 755 9"
same "a file has other contents" "$(cat "$M/d/f"; stat -c ' %a %u' "$M/d/f")" \
    "another 640 7"
same "who has it open has the old" "$(cat <&6)" one
same "no name is left of it" "$(stat -Lc %h /proc/self/fd/6)" 0
same "an owner changes, a user's mode stays" "$(stat -c '%a %u' "$M/c")" "600 3"
same "a symlink" "$(readlink "$M/s")" c
same "a fifo's mode" "$(stat -c '%F %a' "$M/n")" "fifo 600"
same "a device is another" "$(stat -c '%t:%T' "$M/z")" "1:3"
same "a whiteout is a file" "$(cat "$M/w")" none
same "over the host's directory" "$(cat "$M/h/f")" "laid anew"
same "who has that open has the old" "$(cat <&7)" laid
same "a directory over it" "$(stat -c %a "$M/h/sub")" 700
same "a name of the host is seen again" "$(cat "$M/h/theirs")" theirs
exec 6<&- 7<&-

### … and go; but not what users have made.
echo mine >"$M/d/mine"
rm "$M/c"
echo "my own" >"$M/new" && mv "$M/new" "$M/w"
to "$base"
said 'r.conf:[0-9]+: \[dir /d\]: the directory stays: users have put something into it'
said '\[file /w\]: what is there stays'
same "what is theirs is there" "$(cat "$M/d/mine" "$M/w")" "mine
my own"
same "all else is gone" "$(ls -A "$M" "$M/d" "$M/h" | tr '\n' ' ')" \
    "$M: d h stay w  $M/d: mine  $M/h: theirs "
for name in s n z c deep d/f h/f h/sub; do
	refuse "$name is not there" 'No such file' stat "$M/$name"
done
rm -r "$M/d" "$M/w"
same "an open key goes on" "$(head -c 4 <&5)" 1111

### What users have changed and the configuration has not stays as they have it.
to "$base
[file /f]
content = one
[dir /e]
"
echo two >"$M/f"
mv "$M/e" "$M/e2"
to "$base
[file /f]
content = one
[dir /e]
[symlink /x]
target = y
"
same "they keep what they have written" "$(cat "$M/f"; ls "$M")" "two
e2
f
h
stay
x"
to "$base
[file /f]
content = changed
[dir /e]
"
same "what is changed by both is the configuration's" "$(cat "$M/f")" changed
to "$base"
rmdir "$M/e2"
same "what they renamed stays theirs" "$(ls "$M" | tr '\n' ' ')" "h stay "

### What they have put in its place is theirs, whatever the configuration says of it.
to "$base
[file /u]
content = 1
[dir /dd]
[file /gone]
content = 1
[node /dev]
type = fifo
"
echo mine >"$M/u.t" && mv "$M/u.t" "$M/u"
rmdir "$M/dd" && echo z >"$M/dd" && chmod 0640 "$M/dd"
rm "$M/gone" "$M/dev" && mkdir "$M/dev"
to "$base
[file /u]
content = 2
mode = 0600
[dir /dd]
mode = 0700
[file /gone]
content = 2
[node /dev]
type = chr
major = 1
minor = 3
"
same "it is neither replaced nor changed" \
    "$(cat "$M/u" "$M/dd"; stat -c '%F %a' "$M/u" "$M/dd" "$M/dev")" "mine
z
regular file 644
regular file 640
directory 755"
for name in 'file /u' 'dir /dd' 'node /dev'; do
	said "r.conf:[0-9]+: \\[$name\\]: what is there stays: users have put it"
done
same "what they have only removed comes back" "$(cat "$M/gone")" 2
to "$base"
same "nor does it go" "$(ls "$M" | tr '\n' ' ')" "dd dev h stay u "
rm "$M/u" "$M/dd" && rmdir "$M/dev"

### A name that is in the way; a directory that is there for what lies in it.
echo mine >"$M/way"
mkdir "$M/wd"
refused "names in the way" "$base
[file /way]
[dir /wd]
[etfs /way/k]
host = img2
" 'r.conf:[0-9]+: \[etfs /way/k\].*\[file /way\]' # not even a configuration
refused "names in the way" "$base
[file /way]
[dir /wd]
[file /fine]
" '\[file /way\]: something that users have made is in the way' '\[dir /wd\]: something'
refused "a file on the way to a key" "$base
[etfs /way/k]
host = img2
" '\[etfs /way/k\].*not a directory'
rm "$M/way"
rmdir "$M/wd"
to "$base
[etfs /on/the/way]
host = img2
"
ino=$(stat -c %i "$M/on")
to "$base
[dir /on]
mode = 0711
[etfs /on/the/way]
host = img2
"
same "it becomes the declared one" "$(stat -c '%i %a' "$M/on")" "$ino 711"
to "$base
[etfs /on/the/way]
host = img2
"
same "and is a parent again" "$(stat -c '%i %a' "$M/on")" "$ino 755"
to "$base"
refuse "which goes with what it was made for" 'No such file' stat "$M/on"

### What is declared below a key that comes stays, with what users have written into it.
to "$base
[file /o/f]
content = first
[dir /o/d]
"
echo written >"$M/o/f"
echo kept >"$M/o/d/mine"
exec 6<"$M/o/f"
refused "below a key that cannot come" "$base
[etfs /o]
host = absent
[file /o/f]
content = first
[dir /o/d]
" 'absent: No such file'
to "$base
[etfs /o]
host = host
[file /o/f]
content = first
[dir /o/d]
"
same "it lies over the key" "$(cat "$M/o/f" "$M/o/d/mine" "$M/o/theirs")" "written
kept
theirs"
same "and is the same file" "$(stat -Lc '%i %h' /proc/self/fd/6)" "$(stat -c '%i 1' "$M/o/f")"
to "$base
[file /o/f]
content = first
[dir /o/d]
"
same "and it stays when the key goes" "$(cat "$M/o/f" "$M/o/d/mine"; ls "$M/o" | tr '\n' ' ')" \
    "written
kept
d f "
exec 6<&-
to "$base"
refuse "a file that lay over it goes" 'No such file' stat "$M/o/f"
same "what users have put into a directory stays" "$(cat "$M/o/d/mine")" kept
to "$base
[dir /o/d]
"
same "and it is declared again" "$(cat "$M/o/d/mine")" kept
rm "$M/o/d/mine"
to "$base"
refuse "empty, it goes" 'No such file' stat "$M/o"

### A whiteout that was in memory hides what lies below the key that comes.
to "$base
[whiteout /o/theirs]
"
to "$base
[whiteout /o/theirs]
[etfs /o]
host = host
"
refuse "it hides" 'No such file' stat "$M/o/theirs"
to "$base
[etfs /o]
host = host
"
same "until it goes" "$(cat "$M/o/theirs")" theirs
to "$base"

### Keys: mode, owner and listing change in place.
to "$base
[etfs /k]
host = img2
type = blk
mode = 0640
"
exec 6<"$M/k"
head -c 4096 "$M/k" >/dev/null
to "$base
[etfs /k]
host = img2
type = blk
mode = 0600
uid = 5
hidden = yes
"
same "at once" "$(stat -c '%a %u' "$M/k")" "600 5"
same "not listed any more" "$(ls "$M" | tr '\n' ' ')" "h stay "
same "open files go on" "$(head -c 4 <&6)" 2222
chmod 0444 "$M/k"
to "$base
[etfs /k]
host = img2
type = blk
mode = 0600
uid = 6
"
same "a user's mode stays where the configuration's does" "$(stat -c '%a %u' "$M/k")" "444 6"
same "listed again" "$(ls "$M" | tr '\n' ' ')" "h k stay "
to "$base
[etfs /k]
host = img3
type = blk
access = ro
"
same "another host file" "$(head -c 4 "$M/k")" 3333
refuse "read-only" 'Read-only' sh -c "echo x >'$M/k'"
refuse "who had the old one open is told" 'Input/output' head -c 4 <&6
exec 6<&-

### Memory and settings.
to "[rumpfs]
mode = 0711
size = 1M
inodes = 100
uid = 4
$base"
same "the root's mode and owner" "$(stat -c '%a %u' "$M")" "711 4"
same "the size" "$(stat -f -c '%b %S' "$M" | awk '{ print $1 * $2 }')" 1048576
refuse "it holds" 'No space' sh -c "head -c 2M /dev/zero >'$M/big'"
rm "$M/big"
head -c 600K /dev/zero >"$M/big"
refused "less than is used" "[rumpfs]
mode = 0700
size = 512K
inodes = 1
$base" 'size: [0-9]+ bytes are in use, more than 524288' 'inodes: [0-9]+ are in use, more than 1'
rm "$M/big"
to "[rumpfs]
mode = 0755
uid = 0
[daemon]
attr-timeout = 7
threads = 3
$base"
said '\[daemon\]: attr-timeout 1 s -> 7 s$'
said '\[daemon\]: threads auto -> 3 \(at the next mount\)'
to "$base"

### Nothing is stale, and nothing is asked again that did not change.
ls "$M/absent" 2>/dev/null
reads()
{
	kill -USR1 "${RF_PID[$M]}"
	sleep 0.1
	grep 'requests: ' "$log" | tail -n 1 | grep -oE '[ ;]read [0-9]+' | grep -oE '[0-9]+'
}
to "$base
[file /kept]
content = kept
"
exec 8<"$M/stay" 9<"$M/h/theirs"
head -c 100 <&8 >/dev/null
head -c 2 <&9 >/dev/null
cat "$M/kept" >/dev/null
to "$base
[file /kept]
content = kept
[file /absent]
content = now
[etfs /k2]
host = img2
type = blk
"
same "a name that was missing is there" "$(cat "$M/absent")" now
before=$(reads)
same "open files go on" "$(head -c 4 <&8)$(head -c 4 <&9)$(cat "$M/kept")" 1111eirskept
same "the pages of what stays are kept" "$(reads)" "$before"
cat "$M/k2" >/dev/null
check "while what came is read" test "$(reads)" -gt "$before"
exec 8<&- 9<&-
to "$base"
refuse "a name that was there is missing" 'No such file' stat "$M/absent"

### Broken files, at every place where they can be.
to "$base
[file /a]
content = a
"
for text in "[file /a]
content = b
[strange]
" "[file /a]
content = b
[file /a/b]
" "[file /a]
content = b
[file /c]
host-copy = absent
" "[file /a]
content = b
[etfs /k]
host = absent
[etfs /l]
host = img1
begin = 1M
"; do
	refused "a broken file" "$base$text" "r.conf:[0-9]+: .*"
done
same "two reasons are both said" "$(grep -cE '\[etfs /[kl]\]' "$W/said")" 2
chmod 0 "$conf" # root may read it; gone it is unreadable for all
mv "$conf" "$conf.away"
hup
check "a file that is gone changes nothing" grep -q 'not reloaded; nothing has changed' "$W/said"
mv "$conf.away" "$conf"
chmod 644 "$conf"

### A failure at each step of a reload with everything in it.
old="$base
[rumpfs]
mode = 0755
[dir /gone]
[file /gone/f]
content = gone
[file /chg]
content = old
mode = 0600
[symlink /chgl]
target = old
[dir /chgd]
mode = 0700
[whiteout /gonew]
[etfs /gonek]
host = img2
type = blk
[etfs /a/b/gonek]
host = host2
[etfs /chgk]
host = img3
type = blk
[etfs /chgm]
host = img3
mode = 0600
[file /h/laid]
content = old
[whiteout /h/theirs]
[dir /h/dir]
[file /under/f]
content = under
[mount /mem]
vfs = rumpfs
[file /kind]
content = file
"
new="$base
[rumpfs]
mode = 0700
[daemon]
attr-timeout = 3
[file /chg]
content = new
mode = 0640
[symlink /chgl]
target = new
[dir /chgd]
mode = 0711
[etfs /chgk]
host = img2
type = blk
[etfs /chgm]
host = img3
mode = 0644
[file /h/laid]
content = new
[file /h/more]
content = more
[dir /kind]
[file /kind/in]
content = in
[etfs /under]
host = host2
[file /under/f]
content = under
[file /new/f]
content = new
[node /newn]
type = sock
[etfs /new/k]
host = img1
type = reg
[mount /mem2]
vfs = rumpfs
"
to "$old" || done_testing
echo user >"$M/user"
touch "$M/under/user"
printf '%s' "$new" >"$conf"
if grep -q '%s\.fault' "$RUMPFUSE"; then
	exec 6<"$M/gonek" 7<"$M/gone/f" 8<"$M/chgk"
	cd "$M/gone" || exit 1
	picture >"$W/before"
	for ((n = 1; n < 100; n++)); do
		echo $n >"$conf.fault"
		hup
		grep -q 'a fault is injected' "$W/said" || break
		check "step $n: it is refused" \
		    grep -q 'not reloaded; nothing has changed' "$W/said"
		picture >"$W/after"
		check "step $n: all is as it was" diff "$W/before" "$W/after" || break
		same "step $n: open files go on" "$(head -c 4 <&6; head -c 4 <&8)" 22223333
	done
	figure "steps that failed one by one: $((n - 1))"
	check "there were many" test $n -gt 30
	rm "$conf.fault"
	same "an open file in memory outlives its name" "$(cat <&7)" gone
	exec 6<&- 7<&- 8<&-
	cd "$W" || exit 1
else
	skip "a failure at each step: only in a checked build"
	hup
fi
check "it succeeds" grep -q 'reloaded: [0-9]' "$W/said"
same "all is new" "$(cat "$M/chg" "$M/kind/in" "$M/h/laid" "$M/h/more" "$M/under/f" \
    "$M/new/f"; readlink "$M/chgl"; stat -c %a "$M" "$M/chgd" "$M/chgm" | tr '\n' ' ')" \
    "newinnewmoreundernewnew
700 711 644 "
to "$old"
same "and back" "$(cat "$M/chg" "$M/kind" "$M/h/laid" "$M/gone/f" "$M/under/f")" \
    "oldfileoldgoneunder"
exec 5<&-

### --check --diff.
printf '%s' "$old" >"$W/old.conf"
printf '%s' "$base" | sed 's/img1/img2/' >"$W/new.conf"
rf_start 0 --check --diff "$W/old.conf" "$W/new.conf"
sed "s,$W/,,g" "$W/.out" >"$W/diff"
cat >"$W/want" <<'X'
- [etfs /a/b/gonek]
- [file /under/f]
- [dir /h/dir]
- [whiteout /h/theirs]
- [file /h/laid]
- [file /gone/f]
- [mount /mem]
- [etfs /chgm]
- [etfs /chgk]
- [etfs /gonek]
- [file /kind]
- [whiteout /gonew]
- [dir /chgd]
- [symlink /chgl]
- [file /chg]
- [dir /gone]
~ [etfs /stay]: host img1 -> img2
0 added, 16 removed, 1 changed
X
check "the plan" diff "$W/want" "$W/diff"
rf_start 0 --check --diff "$W/new.conf" "$W/new.conf"
same "nothing differs" "$(cat "$W/.out")" "no difference"
echo '[strange]' >"$W/bad.conf"
rf_start 2 --check --diff "$W/new.conf" "$W/bad.conf"
rf_start 2 --check --diff "$W/bad.conf" "$W/new.conf"
printf '[etfs /k]\nhost = absent\n' >"$W/absent.conf"
rf_start 3 --check --diff "$W/new.conf" "$W/absent.conf"
check "a host object that is missing: the plan" grep -qx "+ \\[etfs /k\\]: host $W/absent" "$W/.out"
check "and after it the error" bash -c "tail -n 1 '$W/.out' | grep -q 'etfs /k.*No such file'"
rf_start 0 --check --diff "$W/absent.conf" "$W/new.conf"
rf_start 1 --check --diff "$W/new.conf"
rf_start 1 --diff "$W/new.conf" "$W/new.conf"
rf_umount "$M"

### Many keys where many nodes are declared.
M=$W/m3
seq 4000 | sed 's,.*,[file /n/&],' >"$conf"
rf_mount "$conf" "$M" || done_testing
log=${RF_LOG[$M]}
{
	cat "$conf"
	seq 4000 | sed "s,.*,[etfs /k/&]\nhost = $W/copy,"
} >"$W/many.conf"
before=$(date +%s%N)
to "$(cat "$W/many.conf")"
at_most "milliseconds for 4000 keys beside 4000 nodes" \
    $((($(date +%s%N) - before) / 1000000)) 3000
same "they are there" "$(cat "$M/k/4000"; ls "$M/n" | wc -l)" "copied
4000"
rf_umount "$M"

### A read-only mount; a key and an image that become all of it.
M=$W/m2
printf '[daemon]\naccess = ro\n[file /f]\ncontent = one\n' >"$conf"
rf_mount "$conf" "$M" || done_testing
log=${RF_LOG[$M]}
same "read-only" "$(cat "$M/f")" one
to '[daemon]
access = ro
[file /f]
content = two
[file /d/g]
content = more
'
same "what is declared changes nevertheless" "$(cat "$M/f" "$M/d/g")" twomore
refuse "for others it is read-only" 'Read-only' touch "$M/x"
to '[daemon]
access = ro
[etfs /]
host = host
[file /f]
content = two
'
same "a key that is the root" "$(ls "$M" | tr '\n' ' ')$(cat "$M/f" "$M/theirs")" \
    "f theirs twotheirs"
refused "with a broken file" '[daemon]
access = ro
[file /f]
content = two
[etfs /x]
host = absent
' 'absent: No such'
to '[daemon]
access = ro
[mount /]
vfs = rumpfs
[file /f]
content = three
'
same "an image that is" "$(ls "$M" | tr '\n' ' ')$(cat "$M/f")" "f three"
to '[daemon]
access = ro
[file /f]
content = three
'
same "and neither" "$(ls "$M" | tr '\n' ' ')$(cat "$M/f")" "f three"
to '[daemon]
access = rw
'
said '\[daemon\]: access ro -> rw \(at the next mount\)'
same "nothing is left" "$(ls -A "$M")" ""
rf_umount "$M"
done_testing
