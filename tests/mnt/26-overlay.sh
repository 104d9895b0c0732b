#!/bin/bash
# overlayfs on top: the mount as lower layer and as upper and work layer, and everything
# seen compared with the same on bare tmpfs.
# first
LIMIT=240
. "$(dirname "$0")/lib.sh"
M=$W/m
O=$W/o
mkdir -p "$O" "$S/bare" "$S/host" "$W/disk"

if ! grep -qw overlay /proc/filesystems && ! modprobe -q overlay; then
	skip "overlayfs: this kernel has none"
	done_testing
fi

# A lower layer with something of everything.
lower()
{
	local d=$1 i
	mkdir -p "$d"/{dir/sub/deep,gone/sub,moved/in/deep,empty,set,many}
	for i in a b c d e f g; do echo "lower $i" >"$d/$i"; done
	echo in >"$d/dir/in"; echo deep >"$d/dir/sub/deep/x"; echo old >"$d/gone/old"
	echo sub >"$d/gone/sub/x"; echo m >"$d/moved/in/deep/m"; echo n >"$d/moved/n"
	for i in {0..199}; do echo "$i" >"$d/many/$i"; done
	seq 30000 >"$d/large"
	truncate -s 3M "$d/sparse"; echo end >>"$d/sparse"
	echo two >"$d/two"; ln "$d/two" "$d/dir/second"; ln "$d/two" "$d/dir/third"
	ln -s dir/in "$d/link"; ln -s /nowhere "$d/dangling"
	mkfifo "$d/pipe"; mknod "$d/null" c 1 3
	chmod 2775 "$d/set"; chgrp 7 "$d/set"
	cp "$d/a" "$d/suid"; chown 1:2 "$d/suid"; chmod 4751 "$d/suid"
	cp "$d/a" "$d/attrs"; setfattr -n user.one -v 1 "$d/attrs"
	setfattr -n trusted.two -v 2 "$d/attrs"; setfattr -n user.dir -v 3 "$d/moved"
	cp "$d/a" "$d/capable"; setcap cap_net_raw=ep "$d/capable"
	cp "$d/a" "$d/acl"; chmod 640 "$d/acl"
	if [ "$ACL" = yes ]; then
		setfacl -m u:7:rw,g:9:r "$d/acl"
		setfacl -m d:u:7:rwx,d:g:9:rx "$d/set"
	fi
	find "$d" -exec touch -h -d '2021-03-04 05:06:07.123456789Z' {} +
}

# All that can be seen below a directory, but numbers of inodes and new times.
dump()
{
	(
		cd "$1" || exit 1
		# Directories have sizes and link counts of their own kind.
		find . -mindepth 1 \( -type d -printf '%p %M %U:%G\n' \) -o -type l \
		    -printf '%p %M %U:%G -> %l\n' -o -printf '%p %M %U:%G %n %s %T@\n' |
		    sed -E '/ 1[56][0-9]{8}\.[0-9]*$/! s/ 1[0-9]{9}\.[0-9]*$/ new/' | sort
		find . -type c -printf '%p ' -exec stat -c '%t:%T' {} \; | sort
		find . -type f -exec sha256sum {} + | sort -k 2
		find . ! -type l -print0 | sort -z | xargs -0 getfattr -h -d -m - 2>/dev/null |
		    grep -vE '^trusted.overlay.(origin|uuid|impure|upper)='
		[ "$ACL" != yes ] || find . ! -type l -print0 | sort -z |
		    xargs -0 getfacl -n -p 2>&1
	)
}

op()
{
	local out rc
	out=$("$@" 2>&1)
	rc=$?
	echo "$rc ${*//$O/} | $(echo "${out//$O/}" | tr '\n' ' ' | head -c 300)"
}

rename()
{
	perl -e 'rename($ARGV[0], $ARGV[1]) or die "$!\n"' "$1" "$2"
}

# What is done to the merged tree; each with what came of it.
ops()
{
	local d=$O i
	op cat "$d/a" "$d/link" "$d/dir/sub/deep/x"
	op sh -c "echo more >>$d/a" && op cat "$d/a"
	op sh -c "echo new >$d/b" && op cat "$d/b"
	op truncate -s 3 "$d/c" && op cat "$d/c"
	op chmod 600 "$d/d" && op chown 5:6 "$d/e" && op touch -d 2020-01-01Z "$d/f"
	op stat -c '%a %u %g %Y %s' "$d/d" "$d/e" "$d/f"
	op setfattr -n user.up -v 1 "$d/g" && op getfattr -d -m user. --only-values "$d/g"
	op setfattr -x user.one "$d/attrs" && op setfattr -n user.three -v 3 "$d/attrs"
	op setfattr -n trusted.overlay.opaque -v y "$d/g"
	op chmod u-s "$d/suid" && op sh -c "echo x >>$d/capable" && op getcap "$d/capable"
	op touch "$d/set/inherits" && op mkdir "$d/set/inheritsdir"
	op sh -c "echo x >>$d/acl"
	# Names with several links.
	op sh -c "echo up >>$d/two" && op cat "$d/dir/second"
	op ln "$d/two" "$d/fourth" && op rm "$d/dir/third" && op stat -c %h "$d/fourth"
	op ln "$d/sparse" "$d/sparse2" && op ln "$d/link" "$d/link2"
	# Names that go, and come again as something else.
	op rm "$d/dangling" && op ls "$d/dangling" && op ln -s other "$d/dangling"
	op rmdir "$d/gone" && op rm -r "$d/gone" && op ls "$d/gone"
	op mkdir "$d/gone" && op ls -A "$d/gone" && op sh -c "echo n >$d/gone/new"
	op mkdir "$d/gone/sub" && op ls -A "$d/gone/sub"
	op rm -r "$d/many" && op sh -c "echo file >$d/many" && op cat "$d/many"
	op rm "$d/pipe" "$d/null" && op mknod "$d/null" c 1 5 && op mkfifo "$d/pipe2"
	op rmdir "$d/empty" && op ls -d "$d/empty"
	# Renames of what is below and of what is new.
	op rename "$d/large" "$d/dir/large" && op rename "$d/dir/in" "$d/link"
	op rename "$d/moved" "$d/went"
	[ -d "$d/went" ] || op mv "$d/moved" "$d/went"
	op ls -RA "$d/went" && op sh -c "echo z >>$d/went/in/deep/m"
	op mkdir "$d/moved" && op ls -A "$d/moved"
	op mkdir -p "$d/new/sub" && op rename "$d/new" "$d/newer" && op ls -A "$d/newer"
	op rename "$d/newer" "$d/dir" && op rename "$d/newer/sub" "$d/gone/sub"
	op mkdir "$d/whole" && op sh -c "cp -a $d/dir $d/whole/ && rm -r $d/dir"
	op rename "$d/whole/dir" "$d/dir"
	for i in {0..99}; do echo "$i" >"$d/whole/$i"; done
	rm "$d"/whole/?[02468]
	op sh -c "ls $d/whole | wc -l"
	op mknod "$d/white" c 0 0
	op sync -f "$d"
}

# The kernel's caches go, so that it is asked for again; not everywhere permitted.
forget()
{
	{ echo 2 >/proc/sys/vm/drop_caches; } 2>/dev/null
	true
}

# overlay NAME LOWER UPPERWORK: the whole with the options $o, into
# $W/NAME.{first,ops,seen,…}.
overlay()
{
	local name=$W/$1 lower=$2 uw=$3 opts=$o
	mkdir -p "$uw/up" "$uw/work"
	dmesg -C 2>/dev/null
	check "$1: mounts" mount -t overlay -o \
	    "lowerdir=$lower,upperdir=$uw/up,workdir=$uw/work$opts" overlay "$O" || return
	dump "$O" >"$name.first" 2>&1
	ops >"$name.ops" 2>&1
	dump "$O" >"$name.seen" 2>&1
	check "$1: umount" umount "$O"
	dmesg 2>/dev/null | grep overlayfs | sed 's/^[^]]*\] //' | sort -u >"$name.dmesg"
	forget
	check "$1: mounts again" mount -t overlay -o \
	    "lowerdir=$lower,upperdir=$uw/up,workdir=$uw/work$opts" overlay "$O" || return
	dump "$O" >"$name.again" 2>&1
	umount "$O"
	dump "$uw/up" >"$name.upper" 2>&1
	# The upper layer, whiteouts and all, as a lower one.
	check "$1: as two lower layers" mount -t overlay -o \
	    "lowerdir=$uw/up:$lower${opts/index=on,/}" overlay "$O" || return
	dump "$O" >"$name.lower" 2>&1
	umount "$O"
	check "$1: the same after mounting it again" diff "$name.seen" "$name.again"
}

# compare NAME: with bare tmpfs, of the same options.
compare()
{
	local part
	for part in first ops seen upper lower dmesg; do
		check "$1: $part as on bare tmpfs" diff "$W/bare$n.$part" "$W/$1.$part"
	done
}

rf_mount "[daemon]
allow-other = yes
[rumpfs]
mode = 0755
[dir /mem]
mode = 1777
[dir /low]
[dir /hide]
[whiteout /hide/b]
[etfs /key]
host = $S/host
special = yes
[etfs /disk]
host = $W/disk
special = yes" "$M" -o dev,suid || done_testing

ACL=no
if setfacl -m u:7:r "$M/low" 2>/dev/null; then
	ACL=yes
	setfacl -b "$M/low"
fi
for d in "$S/bare/low" "$M/low" "$M/key/low" "$M/disk/low"; do
	lower "$d" 2>"$W/.out"
	same "a lower layer in ${d#"$W/"}" "$(cat "$W/.out")" ""
done
dump "$S/bare/low" >"$W/bare.low"
for d in "$M/low" "$M/key/low" "$M/disk/low"; do
	dump "$d" >"$W/low"
	check "${d#"$W/"} is as on bare tmpfs" diff "$W/bare.low" "$W/low"
done

for o in "" ,redirect_dir=on ,index=on,redirect_dir=on,metacopy=on; do
	n=${o//[,=]/-}
	overlay "bare$n" "$S/bare/low" "$S/bare/up$n"
	check "the bare one does what it is to" grep -q '^2 ls /gone |' "$W/bare$n.ops"
	overlay "lower-mem$n" "$M/low" "$S/bare/mem$n" && compare "lower-mem$n"
	overlay "upper-mem$n" "$S/bare/low" "$M/mem/up$n" && compare "upper-mem$n"
	overlay "both-mem$n" "$M/low" "$M/mem/both$n" && compare "both-mem$n"
	# Files of a directory key have no ids that last: no index.
	case $o in *index*) continue ;; esac
	overlay "key-mem$n" "$M/disk/low" "$M/mem/key$n" && compare "key-mem$n"
	[ -z "$o" ] || continue
	overlay "lower-key$n" "$M/key/low" "$S/bare/key$n" && compare "lower-key$n"
	overlay "lower-disk$n" "$M/disk/low" "$S/bare/disk$n" && compare "lower-disk$n"
	overlay "upper-key$n" "$S/bare/low" "$M/key/up$n" && compare "upper-key$n"
done

# A name hidden by the configuration is one for overlayfs.
check "a whiteout of the configuration" mount -t overlay -o \
    "lowerdir=$M/hide:$M/key/low" overlay "$O"
same "it hides" "$(ls "$O"/[abc])" "$(printf '%s\n' "$O/a" "$O/c")"
umount "$O"

# Everything a file system does, on the merged tree: what overlayfs itself does otherwise
# is the same with tmpfs below.  But for names of a file with several: overlayfs asks for
# the first by its name even when it is gone, over any file system that has to be asked.
mkdir "$W/empty"
for u in "$S/bare/list" "$M/mem/list" "$M/key/list"; do
	mkdir -p "$u/up" "$u/work"
	check "an overlay over $u" mount -t overlay -o \
	    "lowerdir=$W/empty,upperdir=$u/up,workdir=$u/work" overlay "$O"
	for part in tree dir data attr; do
		mkdir "$O/list"
		"$TESTBIN/p-list-$part" -v "$O/list" $(sed -n 's/^GROUP(\(.*\))$/\1/p' \
		    "$HERE/p-list-$part.c" |
		    grep -vxE 'link|mknod_kinds|rename_files|zero_range')
		rm -rf "$O/list"
	done >"$u.said" 2>&1
	umount "$O"
	check "the list over ${u#"$W/"}: as over bare tmpfs" diff "$S/bare/list.said" "$u.said"
done
figure "the list over bare tmpfs: $(grep -c '^ok' "$S/bare/list.said") rows hold," \
    "$(grep -c '^bad' "$S/bare/list.said") do not, by overlayfs itself"

# Programs on top: a project that is built, and packages.
export HOME=$W GIT_CONFIG_NOSYSTEM=1
mkdir -p "$M/mem/prog/up" "$M/mem/prog/work" "$M/disk/src"
(
	cd "$M/disk/src" || exit
	printf 'all: a.o b.o\n\t$(CC) -o prog a.o b.o\n' >Makefile
	echo 'int f(void); int main(void) { return f(); }' >a.c
	echo 'int f(void) { return 7; }' >b.c
	git init -q . && git add . && git -c user.name=t -c user.email=t@example.org \
	    commit -qm one
) >"$W/.out" 2>&1 || fail "a project: $(cat "$W/.out")"
find "$M/disk/src" | sort >"$W/before"
check "a key below, memory above" mount -t overlay -o \
    "lowerdir=$M/disk/src,upperdir=$M/mem/prog/up,workdir=$M/mem/prog/work" overlay "$O"
git config --global safe.directory '*'
check "make" make -s -C "$O"
"$O/prog"
same "the program" $? 7
check "git" sh -c "cd $O && echo 'int g;' >>b.c && git -c user.name=t \
    -c user.email=t@example.org commit -qam two && git gc -q && git fsck"
check "git clone" git clone -q "$O" "$O/clone"
rm "$O/a.c"
umount "$O"
find "$M/disk/src" | sort >"$W/after"
check "below nothing has changed" diff "$W/before" "$W/after"
same "a whiteout for what was removed" "$(stat -c '%F %t:%T' "$M/mem/prog/up/a.c")" \
    "character special file 0:0"

# By somebody who is nobody, in a namespace of users: their own mount, and their overlay.
cat >"$W/nobody.sh" <<X
cd "$W/nobody" || exit
mkdir m o low
echo low >low/a; mkdir low/d; echo x >low/d/x
"$RUMPFUSE" none m || exit
mkdir m/up m/work
mount -t overlay -o lowerdir=low,upperdir=m/up,workdir=m/work,userxattr overlay o || exit
rm o/a && rm -r o/d && mkdir o/d && echo new >o/b && ln o/b o/c
stat -c '%n %F' m/up/a; ls o o/d; getfattr -n user.overlay.opaque --only-values m/up/d
umount o && umount m
X
mknod -m 666 "$W/fuse" c 10 229 && mount --bind "$W/fuse" /dev/fuse
mkdir "$W/nobody" && chown 65534:65534 "$W/nobody"
same "a user's own overlay on a user's own mount" "$(setpriv --reuid=65534 --regid=65534 \
    --clear-groups unshare -Urm bash "$W/nobody.sh" 2>&1 | tr '\n' ' ')" \
    "m/up/a character special file o: b c d  o/d: y"
for ((i = 0; i < 50; i++)); do
	[ -z "$(rf_daemon_of m)" ] && break
	sleep 0.1
done
umount /dev/fuse
rf_umount "$M"
done_testing
