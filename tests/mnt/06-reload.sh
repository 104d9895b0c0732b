#!/bin/bash
# SIGHUP: keys are added, removed and changed while the mount is in use.
LIMIT=60
. "$(dirname "$0")/lib.sh"
M=$W/m
mkdir -p "$W/dir" "$W/dir2"
for i in 1 2 3; do head -c 4096 /dev/zero | tr '\0' $i >"$W/img$i"; done
echo in >"$W/dir/file"
echo two >"$W/dir2/file"
conf="$W/live.conf"
base="[file /motd]
content = hi
[etfs /stay]
host = img1
type = blk
"
log()
{
	grep -c "$1" "${RF_LOG[$M]}"
}

printf '%s' "$base" >"$conf"
rf_mount "$conf" "$M" || done_testing
echo mine >"$M/mine"
exec 5<"$M/stay"
refuse "not there yet" 'No such file' stat "$M/disk/new"
printf '%s[etfs /disk/new]\nhost = img2\ntype = blk\n[etfs /d]\nhost = dir\n' "$base" >"$conf"
rf_reload "$M" "a key is added" test -e "$M/disk/new"
io "it works" "check yes size 4096" "$M/disk/new" r check:0:4096:2 size
same "a directory key is added" "$(cat "$M/d/file")" in
same "what was there goes on" "$(cat "$M/mine") $(cat "$M/motd")" "mine hi"
same "an open file of an unchanged key goes on" "$(head -c 4 <&5)" 1111

# Removed: the name is gone at once; open windows give EIO; open files below a directory
# key go on.
cat "$M/disk/new" >/dev/null
"$TESTBIN/p-io" "$M/disk/new" rw pread:0:10 "touch:$W/open" "wait:$W/go" pread:0:10 \
    pwrite:0:10:x pread:4000:10 fsync >"$W/io.out" &
p1=$!
"$TESTBIN/p-io" "$M/d/file" rw pread:0:10 "touch:$W/open2" "wait:$W/go" pread:0:10 \
    pwrite:0:1:I size >"$W/io2.out" &
p2=$!
while [ ! -e "$W/open" ] || [ ! -e "$W/open2" ]; do sleep 0.02; done
printf '%s' "$base" >"$conf"
rf_reload "$M" "a key is removed" test ! -e "$M/disk/new"
refuse "its name is gone" 'No such file' stat "$M/disk/new"
refuse "the directory key too" 'No such file' stat "$M/d/file"
refuse "the parents made for it are gone" 'No such file' stat "$M/disk"
same "not listed" "$(ls "$M" | tr '\n' ' ')" "mine motd stay "
touch "$W/go"
wait $p1 $p2
same "an open window gives EIO" "$(tr '\n' ' ' <"$W/io.out")" \
    "pread 10 touch 0 wait 0 pread EIO pwrite EIO pread EIO fsync EIO "
same "an open file of a directory key goes on" "$(tr '\n' ' ' <"$W/io2.out")" \
    "pread 3 touch 0 wait 0 pread 3 pwrite 1 size 3 "
same "its write is on the host" "$(cat "$W/dir/file")" In
same "the window's host was not touched" "$(tr -d 2 <"$W/img2" | wc -c)" 0
io "and its lock is gone" "wrlock 0" "$W/img2" rw wrlock:0:0

# The same key again at once, with another host: NetBSD's re-registration.
printf '%s[etfs /disk/new]\nhost = img3\ntype = blk\n' "$base" >"$conf"
rf_reload "$M" "registered again" test -e "$M/disk/new"
io "with the other file" "check yes" "$M/disk/new" r check:0:4096:3
printf '%s[etfs /disk/new]\nhost = img2\ntype = blk\nbegin = 1K\nsize = 2K\n' "$base" >"$conf"
rf_reload "$M" "changed to a window of another" \
    sh -c "test \$(stat -c %s $M/disk/new) = 2048"
io "its bytes" "size 2048 check yes" "$M/disk/new" r size check:0:2048:2
printf '%s[etfs /reg]\nhost = img2\n' "$base" >"$conf"
rf_reload "$M" "a reg key" test -e "$M/reg"
io "its bytes" "check yes" "$M/reg" r check:0:4096:2
printf '%s[etfs /reg]\nhost = img3\n' "$base" >"$conf"
kill -HUP "${RF_PID[$M]}"
for ((i = 0; i < 100; i++)); do
	[ "$(head -c 1 "$M/reg" 2>/dev/null)" = 3 ] && break
	sleep 0.05
done
io "the reg key with another file" "check yes" "$M/reg" r check:0:4096:3
same "the removed one is gone" "$(ls "$M" | tr '\n' ' ')" "mine motd reg stay "

# Over an in-memory file, which comes back.
printf '%s[etfs /mine]\nhost = dir2/file\n' "$base" >"$conf"
kill -HUP "${RF_PID[$M]}"
for ((i = 0; i < 100; i++)); do
	[ "$(cat "$M/mine")" = two ] && break
	sleep 0.05
done
same "a key over a file in memory" "$(cat "$M/mine")" two
printf '%s' "$base" >"$conf"
kill -HUP "${RF_PID[$M]}"
for ((i = 0; i < 100; i++)); do
	[ "$(cat "$M/mine")" = mine ] && break
	sleep 0.05
done
same "and it is seen again" "$(cat "$M/mine")" mine

# A file that cannot be used changes nothing, and says why.
for text in "[etfs /x]\nhost = absent\n" "[etfs /x]\nhost = img2\nbegin = nonsense\n" \
    "[strange]\n" "[etfs /x]\nhost = img2\n[etfs /y]\nhost = absent\n"; do
	said=$(log 'not reloaded')
	printf "%s$text" "$base" >"$conf"
	kill -HUP "${RF_PID[$M]}"
	for ((i = 0; i < 100; i++)); do
		[ "$(log 'not reloaded')" != "$said" ] && break
		sleep 0.05
	done
	same "a refusal is logged" "$(log 'not reloaded')" $((said + 1))
	same "and nothing has changed" "$(ls "$M" | tr '\n' ' ')" "mine motd stay "
done
check "the reason is in the log" grep -q "/y: $W/absent: No such file" "${RF_LOG[$M]}"
check "a line is in the log" grep -qE 'live.conf:[0-9]+: .*nonsense' "${RF_LOG[$M]}"
# A key that was to change while another could not be had: it never lost its lock, so that
# nobody can have taken its range meanwhile, and who has it open goes on.
held='[etfs /held]
host = img2
type = blk
'
printf '%s%s' "$base" "$held" >"$conf"
rf_reload "$M" "a key with a lock" test -e "$M/held"
exec 6<"$M/held"
"$TESTBIN/p-io" "$W/img3" rw wrlock:0:0 "touch:$W/l3" "wait:$W/l-end" >/dev/null &
p3=$!
while [ ! -e "$W/l3" ]; do sleep 0.02; done
said=$(log 'not reloaded')
quiet=$(log 'nothing has changed')
{
	printf '%s%sbegin = 1K\n' "$base" "${held/img2/img1}"
	for i in {1..800}; do printf '[etfs /b%03d]\nhost = img1\ntype = reg\n' $i; done
	printf '[etfs /zz]\nhost = img3\ntype = blk\n'
} >"$conf"
kill -HUP "${RF_PID[$M]}"
for ((i = 0; i < 200 * ${RF_SLOW:-1}; i++)); do
	[ "$(log 'not reloaded')" != "$said" ] && break
	sleep 0.05
done
same "the reload is refused" "$(log 'not reloaded')" $((said + 1))
same "and nothing has changed" "$(log 'nothing has changed')" $((quiet + 1))
io "the key is as it was" "check yes" "$M/held" r check:0:4096:2
io "its range is still locked" "wrlock EAGAIN" "$W/img2" rw wrlock:0:0
same "who has it open goes on" "$(head -c 4 <&6)" 2222
exec 6<&-
same "all is as before" "$(ls "$M" | tr '\n' ' ')" "held mine motd stay "
touch "$W/l-end"
wait $p3
printf '%s' "$base" >"$conf"
rf_reload "$M" "and it can be removed" test ! -e "$M/held"
rm "$conf"
kill -HUP "${RF_PID[$M]}"
sleep 0.5
io "a configuration that is gone changes nothing" "check yes" "$M/stay" r check:0:4096:1
printf '%s[etfs /last]\nhost = img3\n' "$base" >"$conf"
rf_reload "$M" "and the next one counts" test -e "$M/last"
# Hundreds of reloads while somebody reads.
(while [ ! -e "$W/enough" ]; do cat "$M"/d*/* "$M/stay" >/dev/null 2>&1; ls -lR "$M" >/dev/null 2>&1; done) &
reader=$!
for i in {1..60}; do
	printf '%s[etfs /d%d]\nhost = dir\n[etfs /w]\nhost = img%d\ntype = blk\n' \
	    "$base" $((i % 3)) $((i % 2 + 2)) >"$W/new"
	mv "$W/new" "$conf" # a reload may be reading the old one
	kill -HUP "${RF_PID[$M]}"
	sleep 0.03
done
touch "$W/enough"
wait $reader
sleep 0.5
same "the last of many reloads" "$(ls "$M" | tr '\n' ' ')" "d0 mine motd stay w "
same "the first file is still the same" "$(head -c 4 <&5)" 1111
exec 5<&-
rf_umount "$M"
done_testing
