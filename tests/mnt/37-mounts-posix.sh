#!/bin/bash
# An ext4 image through [mount] is to users what the kernel's own ext4 is: the POSIX list,
# random operations against it, contents and trees under load.  Then e2fsck has its say.
LIMIT=150
. "$(dirname "$0")/lib.sh"
M=$W/m
B=$W/bare
seed=${RF_SEED:-1}
mkdir -p "$W/rows" "$B"
for i in ours theirs; do
	truncate -s 256M "$W/$i.img"
	mkfs.ext4 -q -F -b 4096 "$W/$i.img"
done
cat >"$W/conf" <<X
[daemon]
allow-other = yes
[mount /e]
host = ours.img
[mount /mem]
vfs = rumpfs
X
start()
{
	check "the kernel's" mount -o loop "$W/theirs.img" "$B"
	rf_mount "$W/conf" "$M" -o dev,suid || done_testing
	chmod 777 "$B" "$M/e" "$M/mem"
}
end()
{
	rf_umount "$M"
	umount "$B"
	check "$1: e2fsck" e2fsck -fn "$W/ours.img"
}

start
program "the model" p-model -s "$seed" -n "${RF_MODEL_STEPS:-6000}" "$B" "$M/e"
end "the model"

start
rm -rf "$B"/* "$M"/e/*
# list TREE DIR [OPTION…]: runs a part of the list.
list()
{
	local tree=$1 dir=$2
	shift 2
	"$prog" -v "$@" "$dir" >"$W/rows/$tree.$part" 2>&1
	echo $? >"$W/rows/$tree.$part.rc"
}
for prog in "$TESTBIN"/p-posix-*; do
	[ -f "$prog" ] && [ -x "$prog" ] || continue
	part=${prog##*/p-posix-}
	mount= disk=
	case $part in
	readonly) continue ;; # wants a tree that was made for it
	size) disk="-x huge" ;;
	chown) mount="-x chown-nothing" ;;
	esac
	list kernel "$B" $disk & kernel=$!
	list image "$M/e" $disk $mount & image=$!
	list memory "$M/mem" $mount & memory=$!
	wait $kernel $image $memory
	for tree in kernel image memory; do
		judge "$part" "$tree"
	done
done
differ image kernel | grep -v '^image known' >"$W/differences"
head -n 50 "$W/differences"
same "rows that differ" "$(wc -l <"$W/differences")" 0
same_rows kernel image memory
end "the list"

start
for t in e mem; do
	program "contents, $t" p-fsx -s "$seed" -n "${RF_FSX_OPS:-4000}" -d "$M/$t"
	program "trees, $t" p-fstress -s "$seed" -t 3 -u 1000 -m "$M/$t"
	program "threads, $t" p-race -t "${RF_RACE_SECONDS:-5}" "$M/$t"
done
end "load"
done_testing
