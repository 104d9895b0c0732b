#!/bin/bash
# Directories of the host that are replaced, moved and removed behind the mount: keys and
# hidden names below them stay at their paths, and nothing hidden comes to light.
LIMIT=90
. "$(dirname "$0")/lib.sh"
M=$W/m
mkdir -p "$W/d/sub/deep" "$W/n"
echo secret >"$W/d/sub/.env"
echo n >"$W/n/n"
rf_mount "[daemon]
attr-timeout = 0
[etfs /k]
host = $W/d
[etfs /k/sub/nested]
host = $W/n
[whiteout /k/sub/.env]
[dir /k/sub/deep/mem]
[etfs /plain/over]
host = $W/n" "$M" || done_testing

# in_place WHAT: the nested key and the whiteout are where they were declared.
in_place()
{
	same "$1: the nested key" "$(cat "$M/k/sub/nested/n")" n
	refuse "$1: the hidden name" "No such file" cat "$M/k/sub/.env"
	same "$1: it is not listed" "$(ls -A "$M/k/sub" | grep -c env)" 0
}

in_place "at first"
echo x >"$M/k/sub/deep/mem/x"
rm -rf "$W/d/sub"
mkdir "$W/d/sub"
echo secret >"$W/d/sub/.env"
in_place "replaced"
same "the in-memory directory came along" "$(cat "$M/k/sub/deep/mem/x")" x
mv "$W/d/sub" "$W/d/moved"
mkdir "$W/d/sub"
echo secret >"$W/d/sub/.env"
same "what was moved away has no key" "$(ls -A "$M/k/moved")" .env
in_place "moved away, and another there"
mv "$W/d/sub" "$W/d/moved2"
same "moved away only: no key there" "$(ls -A "$M/k/moved2")" .env
in_place "moved away only"
echo file >"$W/d/sub"
in_place "a file in its place"
rm "$W/d/sub"
mkdir "$W/d/sub"
echo secret >"$W/d/sub/.env"
echo y >"$W/d/sub/y"
in_place "a directory again"
same "with what is in it" "$(cat "$M/k/sub/y")" y

# Walkers never see what is hidden, however often the directory is replaced.
(
	for ((i = 0; i < 300; i++)); do
		mkdir "$W/new"
		echo secret >"$W/new/.env"
		mv "$W/d/sub" "$W/old"
		mv "$W/new" "$W/d/sub"
		rm -rf "$W/old"
	done
) &
swapper=$!
seen=0
walks=0
while kill -0 $swapper 2>/dev/null; do
	grep -qs secret "$M/k/sub/.env" && seen=$((seen + 1))
	walks=$((walks + 1))
done
wait $swapper
same "the hidden file was read" $seen 0
figure "replaced 300 times under $walks readers"
in_place "after that"

# Link counts know of what is attached.
same "links of the root" "$(stat -c %h "$M")" 4
same "links of a made parent" "$(stat -c %h "$M/plain")" 3
rf_umount "$M"
done_testing
