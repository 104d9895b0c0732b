#!/bin/bash
# Opens and listings that send nothing: where only memory is shown, what a cached open, read
# and close, a look, and a listing cost in messages is none; and what is added to such a mount
# later is right without opens.
LIMIT=60
. "$(dirname "$0")/lib.sh"
M=$W/m
CTL=$(dirname "$RUMPFUSE")/rumpfusectl

# asked OPERATION: how often.
asked()
{
	"$CTL" "$M" stats | awk -v op="$1" 'NF > 5 && $1 == op { n = $2 } END { print n + 0 }'
}

# all: how often anything was asked, but for what asking itself costs.
all()
{
	"$CTL" "$M" stats -j | tr ',{' '\n\n' | awk -F: '/"count"/ { n += $2 } END { print n + 0 }'
}

# says WANTED WHAT COMMAND…: what it prints.
says()
{
	local want=$1 what=$2
	shift 2
	same "$what" "$("$@" 2>&1)" "$want"
}

rf_mount none "$M" || done_testing
echo text >"$M/file"
mkdir "$M/dir"
for i in {1..50}; do : >"$M/dir/$i"; done
cat "$M/file" "$M/dir/1" >/dev/null
ls -l "$M/dir" "$M" >/dev/null
ls -l "$M/dir" "$M" >/dev/null
[ -e "$M/none" ] && fail "there is nothing as yet"
before=$(all)
for i in {1..40}; do
	line=$(<"$M/file")
	names=("$M/dir"/*)
	[ -e "$M/none" ] && fail "a name that is not there"
done
[ -e "$M/dir/1" ] || fail "a name that is there"
after=$(all)
same "what is read" "$line ${#names[@]}" "text 50"
same "messages of 40 times open, read, close, list and look" "$((after - before))" 0
at_most "opens" "$(asked open)" 3
at_most "opendirs" "$(asked opendir)" 3
says "" "nothing is left open" sh -c "'$CTL' '$M' stats | awk '/^open files/ && \$3 != 0'"

# The kernel keeps where a symlink leads, and the attributes of what it is.
ln -s file "$M/link"
readlink "$M/link" >/dev/null
before=$(asked readlink)
after=$(all)
for i in 1 2 3; do where=$(readlink "$M/link"); done
same "a symlink that was read, again" "$where $(($(all) - after))" "file 0"
same "readlinks, of all" "$before $(asked readlink)" "1 1"
same "and through it" "$(cat "$M/link")" text
same "readlinks then" "$(asked readlink)" 1

# What an open would do.
echo longer text >"$M/file"
says "longer text" "O_TRUNC" cat "$M/file"
echo more >>"$M/file"
says "longer text
more" "O_APPEND" cat "$M/file"
exec 5<>"$M/gone"
echo kept >&5
rm "$M/gone"
sync "$M"
says kept "without a name" cat <(exec 6<"/proc/$$/fd/5"; cat <&6)
says 0 "its links" stat -Lc %h "/proc/$$/fd/5"
exec 5>&-
mv "$M/dir/1" "$M/dir/renamed"
touch "$M/dir/new"
rm "$M/dir/2"
says 50 "a listing after changes" sh -c "ls '$M/dir' | wc -l"
says "new
renamed" "and what is new" sh -c "ls '$M/dir' | grep -v '^[0-9]'"
cp /bin/true "$M/true"
check "a program runs" "$M/true"
same "sizes, holes and flags of an open file" \
    "$("$TESTBIN/p-io" "$M/io" rwc pwrite:4096:10:a size trunc:8192 size data:0 alloc:3:4096:4096 \
        data:0 fsync nlink flags 2>&1 | tr '\n' ' ')" \
    "pwrite 10 size 4106 trunc 0 size 8192 data 4096 alloc 0 data ENXIO fsync 0 nlink 1 flags 0 "
: >"$M/fixed"
if chattr +i "$M/fixed" 2>/dev/null; then
	refuse "an immutable file is not written" "not permitted" bash -c "echo x >>'$M/fixed'"
	refuse "nor truncated" "not permitted" bash -c ": >'$M/fixed'"
	chattr -i "$M/fixed"
fi

# Two listings at a time, and entries that go meanwhile: nothing that stays is missed.
mkdir "$M/big"
(cd "$M/big" && seq -f n%05g 1 6000 | xargs touch)
exec 7< <(cd "$M/big" && find . -name 'n*' -print)
read -r line <&7
rm "$M/big"/n0[0-2]*
ls "$M/big" | wc -l >/dev/null
ls "$M/big" >/dev/null
same "all that stays is listed once" "$( (echo "$line"; cat <&7) | grep -c 'n0[3-6]')" 3001
exec 7<&-
check "rm of a large directory" rm -r "$M/big"

# Keys that are added later.
H=$W/h
mkdir "$H"
echo one >"$H/f"
echo inside >"$H/g"
head -c 1M /dev/zero | tr '\0' a >"$W/img"
"$CTL" "$M" add "/k=$H" >/dev/null || fail "adding a directory"
"$CTL" "$M" add "/p=$W/img,type=blk,begin=4096,size=8192" >/dev/null || fail "adding a window"
"$CTL" "$M" add "/ro=$H/g,access=ro" >/dev/null || fail "adding a file"
says one "a file of the host" cat "$M/k/f"
for n in two six ten; do
	echo $n >"$H/f"
	says $n "after a change on the host: $n" cat "$M/k/f"
done
echo through >"$M/k/f"
says through "written through" cat "$H/f"
echo more >>"$M/k/f"
says "through
more" "appended through" cat "$H/f"
says "f
g" "a listing" ls "$M/k"
echo x >"$H/x"
says "f
g
x" "a listing after a change on the host" ls "$M/k"
rm "$H/x"
says "f
g" "and another" ls "$M/k"
exec 5<>"$M/k/f"
rm "$M/k/f"
echo "still there" >&5
says "still there" "an unlinked file of the host" cat <(tail -n 2 "/proc/$$/fd/5")
exec 5>&-
echo fresh >"$M/k/made"
says fresh "a file that was made" cat "$H/made"
mv "$H/g" "$H/g.old"
echo other >"$H/g"
for i in {1..60}; do
	[ "$(cat "$M/k/g")" = other ] && break
	sleep 0.05
done
says other "a file that was replaced, within the time of names" cat "$M/k/g"
refuse "what is read-only" "Read-only file system" bash -c "echo x >>'$M/ro'"
printf bbbb >"$M/p"
same "a window is written inside it" "$(head -c 4102 "$W/img" | tail -c 8)" aabbbbaa
same "and no longer" "$(stat -c %s "$M/p")" 8192
refuse "nor at its end" "No space left" bash -c "echo >>'$M/p'"
refuse "nor cut" "Invalid argument" truncate -s 100 "$M/p"
"$CTL" "$M" add "/k/in=$W/img" >/dev/null || fail "adding a key in a key"
for i in {1..300}; do : >"$H/many$i"; done
same "a listing of both" "$(ls "$M/k" | sort | uniq -d | wc -l) $(ls "$M/k" | grep -c many) $(ls "$M/k" | grep -cx in)" "0 300 1"
"$CTL" "$M" remove /k/in >/dev/null || fail "removing it"
"$CTL" "$M" remove /p >/dev/null || fail "removing the window"
refuse "it is gone" "No such file" cat "$M/p"
rf_umount "$M"

# An image that is added later stays while somebody uses it, and goes when nobody does: what
# the kernel has in its caches is no use, nor what it was asked to drop when it was in use.
echo '[dir /d]' >"$W/none.conf"
printf '%s\n' '[dir /d]' '[mount /mem]' 'vfs = rumpfs' >"$W/image.conf"
# without TEXT: a reload without the image, and waits until the log says this.  Nobody looks at
# the image meanwhile: that would make the kernel remember where the rest of it was.
without()
{
	local i from
	from=$(($(wc -l <"${RF_LOG[$M]}") + 1))
	cp "$W/none.conf" "$W/r.conf"
	kill -HUP "${RF_PID[$M]}"
	for ((i = 0; i < 100 * ${RF_SLOW:-1}; i++)); do
		tail -n "+$from" "${RF_LOG[$M]}" | grep -qE 'nothing has changed|images mounted' && break
		sleep 0.05
	done
	tail -n "+$from" "${RF_LOG[$M]}" | grep -q "$1"
}
stays()
{
	check "$1: the image stays" without 'image at /mem: it cannot be unmounted: files are open'
}
goes()
{
	check "$1: the image goes" without 'images mounted: 0, unmounted: 1'
	check "$1: it is gone" test ! -e "$M/mem"
}
# comes: it is there, and the kernel has all of it in its caches.
comes()
{
	cp "$W/image.conf" "$W/r.conf"
	rf_reload "$M" "the image comes" test -e "$M/mem"
	mkdir -p "$M/mem/a/b/c"
	printf '%s\n' '[etfs /mem/a/made/key]' "host = $H" >>"$W/r.conf"
	rf_reload "$M" "and a key in it" test -e "$M/mem/a/made/key/g"
	echo kept >"$M/mem/a/b/c/f"
	for i in {1..100}; do : >"$M/mem/a/b/c/$i"; done
	find "$M" >/dev/null
	cat "$M/mem/a/b/c/f" "$M/mem/a/made/key/g" >/dev/null
}
cp "$W/none.conf" "$W/r.conf"
rf_mount "$W/r.conf" "$M" || done_testing
comes
goes "not in use"
comes
exec 5<"$M/mem/a/b/c/f"
stays "an open file"
same "what is open goes on" "$(cat <&5)" kept
exec 5<&-
goes "closed"
comes
exec 5<"$M/mem/a/made/key/g"
stays "an open file of a key in it"
exec 5<&-
goes "closed"
comes
(cd "$M/mem/a/b" && exec sleep 60) &
pid=$!
sleep 0.1
stays "a working directory"
check "it goes on" test -e "/proc/$pid/cwd/c/f"
kill $pid
wait $pid 2>/dev/null
goes "left"
rf_umount "$M"

# A directory that shows another mode than the host's, and many who open a file as it changes.
mkdir "$W/secret"
echo hidden >"$W/secret/name"
chmod 700 "$W/secret"
chmod 755 "$W"
printf '[rumpfs]\nsize = 64M\n' >"$W/later.conf"
rf_mount "$W/later.conf" "$M" -o allow_other || done_testing
printf '[etfs /s]\nhost = secret\ntype = dir-subdirs\nmode = 0755\n[etfs /h]\nhost = h\n' >>"$W/later.conf"
check "keys by a reload" "$CTL" "$M" reload
same "the mode that is seen" "$(stat -c %a "$M/s")" 755
says name "root lists it" ls "$M/s"
at_most "opendirs" "$(asked opendir)" 1
if [ "$(id -u)" = 0 ]; then
	refuse "whom the host refuses does not" "Permission denied" \
	    setpriv --reuid 1000 --regid 1000 --clear-groups ls "$M/s"
	chmod 755 "$W/secret"
	says name "nor is he refused for ever" setpriv --reuid 1000 --regid 1000 --clear-groups ls "$M/s"
else
	skip "another user's listing: not root"
fi
echo 10000 >"$H/turn"
echo 10000 >"$W/turn"
for i in 1 2 3 4; do
	(
		stale=0 reads=0
		while [ ! -e "$W/over" ]; do
			read -r low <"$W/turn"
			read -r seen <"$M/h/turn"
			reads=$((reads + 1))
			[ "${seen:-99999}" -lt "${low:-0}" ] 2>/dev/null && stale=$((stale + 1))
		done
		echo $reads $stale >"$W/reader.$i"
	) &
	readers[i]=$!
done
for ((n = 10001; n < 10300; n++)); do
	printf '%s\n' $n | dd of="$H/turn" conv=notrunc status=none
	printf '%s\n' $n | dd of="$W/turn" conv=notrunc status=none
done
: >"$W/over"
wait "${readers[@]}"
figure "reads of a file that changes: $(awk '{ n += $1 } END { print n }' "$W"/reader.?)"
same "of what was there before" "$(awk '{ n += $2 } END { print n }' "$W"/reader.?)" 0
rf_umount "$M"

# As asked.
rf_mount "[daemon]
no-open = no" "$M" || done_testing
for i in {1..5}; do : >"$M/f"; cat "$M/f"; done
same "no-open = no: opens" "$(asked open)" 9
rf_umount "$M"
rf_mount "[etfs /k]
host = $H" "$M" || done_testing
for i in {1..5}; do cat "$M/k/g" >/dev/null; done
same "with a key, auto: opens" "$(asked open)" 5
rf_umount "$M"
rf_mount "[daemon]
no-open = yes
[etfs /k]
host = $H" "$M" || done_testing
for n in 1 2 3; do
	echo $n >"$H/g"
	says $n "with a key, yes: contents $n" cat "$M/k/g"
done
at_most "opens" "$(asked open)" 2
rf_umount "$M"
done_testing
