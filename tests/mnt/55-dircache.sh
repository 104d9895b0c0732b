#!/bin/bash
# Listings that the kernel keeps: of what changes through it alone, and of host
# directories that have not changed; never one that is old.
LIMIT=90
. "$(dirname "$0")/lib.sh"
mount -t tmpfs -o mode=755 run /run || exit 1
M=$W/m
# py WHAT COMMAND…: by dircache.py, which says what differs.
py()
{
	check "$1" timeout 60 /usr/bin/python3 "$HERE/dircache.py" "${@:2}"
}
CTL=$(dirname "$RUMPFUSE")/rumpfusectl
mkdir -p "$W/h/d" "$S/h/d" "$S/nested" "$W/flat/sub" "$W/exact" "$W/late"
touch "$W/flat/f" "$S/file" "$S/h/d/hidden" "$W/h/d/x"

# asked OP…: how often such requests have come.
asked()
{
	timeout 30 "$CTL" "$M" stats | awk -v ops=" $* " '
	    NF && index(ops, " " $1 " ") && $2 ~ /^[0-9]+$/ { n += $2 } END { print n + 0 }'
}

# costs NUMBER OP… -- COMMAND…: at most so many such requests.
costs()
{
	local most=$1 before ops=()
	shift
	while [ "$1" != -- ]; do
		ops+=("$1")
		shift
	done
	shift
	before=$(asked "${ops[@]}")
	"$@" >/dev/null
	at_most "requests (${ops[*]}) of $*" $(($(asked "${ops[@]}") - before)) "$most"
}

names()
{
	ls -a "$1" | grep -v '^\.*$' | tr '\n' ' '
}

conf="[daemon]
attr-timeout = 30s
[dir /mem]
[dir /mem/sub]
[symlink /mem/link]
target = sub
[file /mem/file]
content = x
[etfs /disk]
host = $W/h
[etfs /shm]
host = $S/h
[etfs /shm/d/nested]
host = $S/nested
[whiteout /shm/d/hidden]
[etfs /flat]
host = $W/flat
type = dir
[etfs /keys/one]
host = $S/file
[etfs /late/file]
host = $W/late/file
missing = hide"
echo "$conf" >"$W/conf"
rf_mount "$W/conf" "$M" || done_testing
sleep 0.1 # what has just been made is not kept

for d in mem mem/sub disk disk/d shm shm/d flat flat/sub keys; do
	ls "$M/$d" >/dev/null
	costs 0 readdir readdirplus -- ls "$M/$d"
done
same "a merged listing that is kept" "$(names "$M/shm/d")" "nested "
ln -s d "$W/h/l"
same "a link" "$(readlink "$M/mem/link" "$M/disk/l" | wc -l)" 2

# In memory and below keys, through the mount.
for d in mem mem/sub disk shm/d; do
	py "changes through the mount: $d" through "$M/$d"
done

# On the host.
for d in disk/d shm; do
	[ $d = shm ] && h=$S/h || h=$W/h/d
	py "changes on the host within a tick: $d" tick "$M/$d" "$h" 3
done
py "the same while others list" beside "$M/disk/d" "$W/h/d" 3
py "a directory that is held open" held "$M/disk/d" "$W/h/d"
touch "$W/flat/more"
same "one level" "$(names "$M/flat")" "f more sub "
rm "$W/flat/more"
same "and back" "$(names "$M/flat")" "f sub "

# A listing of several parts that is merged, of which the kernel has lost the middle.
for i in {0..999}; do : >"$S/h/d/a-name-that-is-long-$i"; done
sleep 0.1
same "many names, merged" "$(ls "$M/shm/d" | wc -l)" 1001
{
	read -r -N 1 _ # the first part has been read
	sync
	echo 3 >/proc/sys/vm/drop_caches 2>/dev/null
	cat
} < <(ls -U "$M/shm/d") >"$W/list"
same "and again" "$(ls -U "$M/shm/d" | sort -u | wc -l)" 1001

# What is attached, hidden and taken away.
ls "$M/mem" "$M/keys" >/dev/null
check "a key is added" timeout 30 "$CTL" "$M" add "/mem/key=$S/file"
same "it is listed" "$(names "$M/mem")" "file key link sub "
check "and removed" timeout 30 "$CTL" "$M" remove /mem/key
same "it is not" "$(names "$M/mem")" "file link sub "
check "one below directories that are made for it" \
    timeout 30 "$CTL" "$M" add "/mem/a/b/key=$S/file"
same "they are listed" "$(names "$M/mem") $(names "$M/mem/a") $(names "$M/mem/a/b")" \
    "a file link sub  b  key "
check "and gone" timeout 30 "$CTL" "$M" remove /mem/a/b/key
same "with it" "$(names "$M/mem")" "file link sub "
ls "$M/shm/d" "$M/disk" >/dev/null
check "a key in a host directory" timeout 30 "$CTL" "$M" add "/disk/key=$S/file"
same "it is listed there" "$(names "$M/disk")" "d key l "
printf '%s\n[whiteout /disk/l]\n[file /mem/new]\ncontent = y\n' "$conf" |
    sed '/^\[file .mem.file\]/,/^content/d' >"$W/conf"
check "another configuration" timeout 30 "$CTL" "$M" reload
same "a name is hidden" "$(names "$M/disk")" "d key "
same "nodes have come and gone" "$(names "$M/mem")" "link new sub "
same "what is late is not there" "$(names "$M/late")" ""
touch "$W/late/file"
for i in {0..49}; do
	[ "$(names "$M/late")" = "file " ] && break
	sleep 0.1
done
same "and then it is" "$(names "$M/late")" "file "
rf_umount "$M"

# Links, where names are good for no time.
rf_mount "[daemon]
attr-timeout = 0
[etfs /k]
host = $W/exact
[etfs /proc]
host = /proc/self
[etfs /keys/one]
host = $S/file" "$M" || done_testing
same "a key that is listed" "$(names "$M/keys")" "one "
rm "$S/file"
same "and as its file is gone" "$(names "$M/keys")" \
    "$(stat "$M/keys/one" >/dev/null 2>&1 && echo 'one ')"
py "links that are replaced within a tick" links "$M/k" "$W/exact" 3
same "a link that says it is empty" "$(readlink "$M/proc/root")" /
rf_umount "$M"
done_testing
