#!/bin/bash
# cp -a, rsync and tar between the host, the in-memory tree and a directory key: every
# copy compares equal, hard links and attributes included.
LIMIT=60
. "$(dirname "$0")/lib.sh"
M=$W/m
A=$W/source
mkdir -p "$W/host" "$A/dir/deep/er" "$A/empty" "$A/many"
echo text >"$A/file"
ln "$A/file" "$A/dir/hard"
ln "$A/file" "$A/dir/deep/hard2"
ln -s file "$A/link"
ln -s /no/where "$A/dangling"
ln "$A/link" "$A/hardlink-of-link" 2>/dev/null
mkfifo "$A/fifo"
mknod "$A/chr" c 1 3
head -c 3M /dev/urandom >"$A/dir/random"
truncate -s 20M "$A/sparse"
printf 'middle' | dd of="$A/sparse" bs=1 seek=10M conv=notrunc status=none
: >"$A/zero"
printf 'odd' >"$A/na me	tab"
printf 'odd' >"$A/"$'new\nline'
printf 'odd' >"$A/$(printf 'x%.0s' {1..255})"
for i in {1..300}; do echo $i >"$A/many/$i"; done
setfattr -n user.colour -v blue "$A/file"
setfattr -n user.empty "$A/dir"
setfattr -n trusted.secret -v top "$A/dir/random"
setfattr -n user.big -v "$(head -c 2000 /dev/zero | tr '\0' b)" "$A/zero"
chmod 4755 "$A/dir/random"
chmod 1777 "$A/empty"
chmod 000 "$A/zero"
chown 1000:1001 "$A/dir/deep"
chown -h 5:6 "$A/link"
touch -d '2001-02-03 04:05:06.789012345' "$A/file" "$A/dir/deep"
touch -h -d '1999-01-01' "$A/dangling"
touch -d '1970-01-01 00:00:01' "$A/many"

# All there is to say of a tree, in text; directories are of no size.
manifest()
{
	(cd "$1" && find . -type d -printf '%p %y %m %U %G - %n %T@\n' -o \
	    -printf '%p %y %m %U %G %s %n %T@ %l\n' | sort
	find . -type f -print0 | sort -z | xargs -0 sha256sum
	find . -links +1 ! -type d -printf '%i %p\n' | sort -k 2 |
	    awk '{ if (!($1 in n)) n[$1] = ++k; $1 = n[$1]; print }'
	getfattr -h -R -d -m '^(user|trusted)\.' . 2>/dev/null | sort)
}

rf_mount "[dir /mem]
[etfs /disk]
host = $W/host
special = yes" "$M" -o dev,suid || done_testing
manifest "$A" >"$W/want"
compare()
{
	manifest "$2" >"$W/got"
	check "$1" diff "$W/want" "$W/got"
}

check "cp -a, host to memory" cp -a --sparse=always "$A" "$M/mem/1"
compare "is the same" "$M/mem/1"
check "rsync, memory to a key" rsync -aHXS --checksum "$M/mem/1/" "$M/disk/2"
compare "is the same" "$M/disk/2"
same "rsync finds no difference" "$(rsync -aHXnic --delete "$A/" "$M/disk/2")" ""
mkdir "$M/mem/3"
tar -C "$M/disk/2" --xattrs --xattrs-include='*' -cSf "$M/mem/t.tar" .
same "tar, a key into a file in memory" $? 0
check "tar, out of it" tar -C "$M/mem/3" --xattrs --xattrs-include='*' -xpf "$M/mem/t.tar"
compare "is the same" "$M/mem/3"
check "tar finds no difference" tar -C "$M/mem/3" --xattrs --compare -f "$M/mem/t.tar"
check "cp -a, memory to the host" cp -a --sparse=always "$M/mem/3" "$W/back"
compare "is the same" "$W/back"
check "cp -a, a key to memory" cp -a "$M/disk/2" "$M/mem/4"
compare "is the same" "$M/mem/4"
check "cp -a, within memory" cp -a "$M/mem/4" "$M/mem/5"
compare "is the same" "$M/mem/5"
check "cp -a, within a key" cp -a "$M/disk/2" "$M/disk/6"
compare "is the same" "$M/disk/6"
check "rsync, host to memory" rsync -aHXS --checksum "$A/" "$M/mem/7"
compare "is the same" "$M/mem/7"
check "mv within memory" mv "$M/mem/7" "$M/mem/8"
compare "is the same" "$M/mem/8"
check "mv from memory to a key" mv "$M/mem/8" "$M/disk/9"
compare "is the same" "$M/disk/9"
same "what the host has" "$(rsync -aHXnic --delete "$A/" "$W/host/9/")" ""
check "a sparse file stays sparse in memory" test "$(stat -c %b "$M/mem/1/sparse")" -le 64
check "and on the key" test "$(stat -c %b "$M/disk/2/sparse")" -le 64
check "removing it all" sh -c "rm -r $M/mem/* $M/disk/*"
same "nothing is left" "$(ls -A "$M/mem" "$M/disk" "$W/host" | grep -c '^[0-9]')" 0
rf_umount "$M"
done_testing
