#!/bin/bash
# POSIX to the letter, part one: names, users, permission.  One list, as root and as two
# users, over bare tmpfs and ext4, the in-memory tree, and directory keys on both.  What
# differs between a mount and what it is to be like is shown row by row; there is to be
# nothing.
LIMIT=150
. "$(dirname "$0")/lib.sh"
M=$W/m
TREES="tmpfs ext4 memory disk-key tmpfs-key"
mkdir -p "$W/bare" "$S/bare" "$W/host" "$S/host" "$W/rows"
cat >"$W/conf" <<C
[daemon]
allow-other = yes
[rumpfs]
mode = 0755
[dir /mem]
[etfs /disk]
host = $W/host
special = yes
[etfs /tmpfs]
host = $S/host
special = yes
[etfs /file]
host = $W/file
[etfs /own-mode]
host = $W/own-mode
mode = 0666
[etfs /window]
host = $W/windowed
type = blk
[etfs /disk-readonly]
host = $W/readonly
access = ro
special = yes
[etfs /tmpfs-readonly]
host = $S/readonly
access = ro
special = yes
C
cat >"$W/readonly.conf" <<C
[daemon]
allow-other = yes
access = ro
[dir /d]
mode = 0777
[file /d/in]
content = x
[file /f]
content = text
mode = 0666
[node /p]
type = fifo
mode = 0666
[symlink /l]
target = f
C
for dir in "$S/readonly" "$W/readonly"; do
	(
		umask 0
		mkdir "$dir" "$dir/d" && cd "$dir" || exit
		touch d/in
		printf text >f
		mkfifo p
		ln -s f l
	)
done
for dir in "$S" "$W"; do
	mkdir "$dir/bound"
	mount --bind "$dir/readonly" "$dir/bound" && mount -o remount,bind,ro "$dir/bound"
done
touch "$W/file"
for f in own-mode windowed; do
	head -c 8192 /dev/zero >"$W/$f"
	chmod 6777 "$W/$f"
done
rf_mount "$W/conf" "$M" -o dev,suid || done_testing
rf_mount "$W/readonly.conf" "$W/r" || done_testing

# list PART TREE DIR READONLY [OPTION…]: runs a part of the list.
list()
{
	local part=$1 tree=$2 dir=$3
	export POSIX_READONLY=$4
	shift 4
	"$TESTBIN/p-posix-$part" -v "$@" "$dir" >"$W/rows/$tree.$part" 2>&1
	echo $? >"$W/rows/$tree.$part.rc"
}

for prog in "$TESTBIN"/p-posix-*; do
	[ -f "$prog" ] && [ -x "$prog" ] || continue
	part=${prog##*/p-posix-}
	pids= disk= key= mount=
	case $part in
	# ext4 has no files that large.
	# What the kernel writes to host files by itself it writes as nobody.
	size) disk="-x huge" key="-x passed-setid" ;;
	# The kernel does not ask for access(2) when it checks permission itself.
	readonly) key="-x readonly-access" ;;
	# Nor does it say for which reason it asks for nothing.
	chown) mount="-x chown-nothing" ;;
	esac
	# Most of the time they wait for a clock to move on.
	list "$part" tmpfs "$S/bare" "$S/bound" & pids="$pids $!"
	list "$part" ext4 "$W/bare" "$W/bound" $disk & pids="$pids $!"
	list "$part" memory "$M/mem" "$W/r" $mount & pids="$pids $!"
	list "$part" disk-key "$M/disk" "$M/disk-readonly" $disk $key $mount & pids="$pids $!"
	list "$part" tmpfs-key "$M/tmpfs" "$M/tmpfs-readonly" $key $mount & pids="$pids $!"
	wait $pids
	for tree in $TREES; do
		judge "$part" "$tree"
	done
done

# A file key is opened as the daemon; set-id bits go by who writes all the same.
for how in '>' '>>'; do
	chmod 6777 "$M/file"
	sh -c "echo text $how \"\$1\"" sh "$M/file"
	same "mode of a file key after root's $how" "$(stat -c %a "$W/file")" 6777
	check "a stranger's $how" setpriv --reuid 65532 --regid 65532 --clear-groups \
	    sh -c "echo text $how \"\$1\"" sh "$M/file"
	same "mode of a file key after a stranger's $how" "$(stat -c %a "$W/file")" 777
done
chmod 6777 "$M/file"
check "a stranger's truncation" setpriv --reuid 65532 --regid 65532 --clear-groups \
    sh -c ': >"$1"' sh "$M/file"
same "mode of a file key after it" "$(stat -c %a "$W/file")" 777
same "its mode as it is seen" "$(stat -c %a "$M/file")" 777
# Those of the host file that the kernel does not see, or believes to have taken off.
for f in own-mode windowed; do
	key=$M/${f%ed}
	check "$f: a stranger writes" setpriv --reuid 65532 --regid 65532 --clear-groups \
	    sh -c 'echo text 1<>"$1"' sh "$key"
	same "$f: mode of the host file after it" "$(stat -c %a "$W/$f")" 777
	same "$f: what is in it" "$(head -n 1 "$W/$f")" text
done
chmod 6777 "$W/own-mode"
check "own-mode: a stranger's truncation by name" setpriv --reuid 65532 --regid 65532 \
    --clear-groups truncate -s 10 "$M/own-mode"
same "own-mode: mode of the host file after that" "$(stat -c %a "$W/own-mode")" 777
chmod 6777 "$W/own-mode"
check "own-mode: a stranger's O_TRUNC" setpriv --reuid 65532 --regid 65532 --clear-groups \
    sh -c ': >"$1"' sh "$M/own-mode"
same "own-mode: mode of the host file after O_TRUNC" "$(stat -c %a "$W/own-mode")" 777
rf_umount "$M"
rf_umount "$W/r"
umount "$S/bound" "$W/bound"

for tree in $TREES; do
	figure "rows on $tree: $(wc -l <"$W/rows/$tree")," \
	    "$(grep -c '^bad' "$W/rows/$tree") of them other than expected"
done
{
	differ memory tmpfs
	differ tmpfs-key tmpfs
	differ disk-key ext4
} >"$W/differences"
sed -n 's/^\([^ ]*\) known/deviation \1/p' "$W/differences"
sed -i '/^[^ ]* known/d' "$W/differences"
figure "differences from tmpfs and ext4 that README does not explain:" \
    "$(wc -l <"$W/differences")"
head -n 100 "$W/differences"
same "rows that differ without explanation" "$(wc -l <"$W/differences")" 0
# shellcheck disable=SC2086
same_rows $TREES
needed ext4 huge
needed memory chown-nothing
needed disk-key huge readonly-access chown-nothing passed-setid
needed tmpfs-key readonly-access chown-nothing passed-setid
done_testing
