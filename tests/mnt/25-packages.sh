#!/bin/bash
# Programs that keep whole trees: git with several at work, apt, dpkg, tar and rsync; in
# memory and on a directory key, compared with the bare disk.
LIMIT=120
. "$(dirname "$0")/lib.sh"
M=$W/m
export HOME=$W GIT_CONFIG_NOSYSTEM=1
mkdir -p "$W/host" "$W/bare"
cat >"$W/.gitconfig" <<X
[user]
	name = test
	email = test@example.org
[safe]
	directory = *
[gc]
	auto = 0
X
rf_mount "[daemon]
allow-other = yes
[rumpfs]
mode = 0755
[dir /mem]
[etfs /key]
host = $W/host
special = yes" "$M" -o dev,suid || done_testing

# All that a program can find out about a tree but inode numbers and times of access.
listing()
{
	(
		cd "$1" || exit 1
		find . -type d -printf '%p d %m %U:%G %T@\n' -o \
		    -printf '%p %y %m %U:%G %s %n %T@ %l\n' | sort
		find . \( -type c -o -type b \) -exec stat -c '%n %t:%T' {} + | sort
		find . -type f -exec sha256sum {} + | sort -k 2
		find . -print0 | sort -z | xargs -0 getfattr -h -d -m - -e hex |
		    grep -v '^system.posix_acl'
		# Which names are one file.
		find . -type f -links +1 -printf '%i %p\n' | sort -k 2 |
		    awk '{ if (!n[$1]) n[$1] = $2; print n[$1], $2 }'
		[ "$ACL" = no ] || find . ! -type l -print0 | sort -z | xargs -0 getfacl -n
	) 2>&1
}

same_tree()
{
	listing "$2" >"$W/want"
	listing "$3" >"$W/got"
	check "$1" diff "$W/want" "$W/got"
}

worktrees()
{
	local D=$1 what=$2 i w
	mkdir "$D/git"
	check "$what: a repository" sh -c "cd $D/git && git init -q main && cd main &&
	    mkdir d && seq 1000 >d/n && git add . && git commit -qm start"
	for w in 1 2 3 4; do
		git -C "$D/git/main" worktree add -q -b "b$w" "$D/git/w$w" 2>&1
	done >"$W/out" || fail "$what: worktrees: $(cat "$W/out")"
	for w in 1 2 3 4; do
		(
			cd "$D/git/w$w" || exit
			for i in {1..12}; do
				echo "$w $i" >"d/file$w.$i"
				sed -i "$((i * w))s/.*/$w $i/" d/n
				git add . && git commit -qm "$w $i" || echo "commit $w $i failed"
			done
		) >"$W/git.$w" 2>&1 &
	done
	# Somebody packs objects meanwhile.  Not references: git's own commits fail then now and
	# then, on any file system.
	for i in 1 2 3; do git -C "$D/git/main" repack -q; done >"$W/git.5" 2>&1 &
	wait $(jobs -p | grep -vxF "${RF_PID[$M]}")
	same "$what: no commit failed" "$(grep -hE 'failed|error|fatal' "$W"/git.?)" ""
	check "$what: git fsck" git -C "$D/git/main" fsck --strict --full
	for w in 1 2 3 4; do
		same "$what: commits of worktree $w" \
		    "$(git -C "$D/git/main" rev-list --count "b$w")" 13
		same "$what: worktree $w is clean" "$(git -C "$D/git/w$w" status --porcelain)" ""
	done
	check "$what: git gc" git -C "$D/git/main" gc -q --prune=now
	check "$what: merging all" git -C "$D/git/main" merge -q -s ours b1 b2 b3 b4
	check "$what: git fsck" git -C "$D/git/main" fsck --strict --full
	check "$what: a clone" git clone -q "$D/git/main" "$D/git/clone"
	rm -rf "$D/git"
}

# A package with what packages have: set-id bits, owners, links of both kinds, modes.
package()
{
	local d=$W/pkg version=$1 i
	rm -rf "$d"
	mkdir -p "$d/DEBIAN" "$d"/usr/{bin,lib/odd,share/doc/odd} "$d"/{etc,var/lib/odd}
	printf 'Package: odd\nVersion: %s\nArchitecture: all\nMaintainer: T <t@example.org>\n%s\n' \
	    "$version" 'Description: odd things' >"$d/DEBIAN/control"
	echo /etc/odd.conf >"$d/DEBIAN/conffiles"
	echo "conf $version" >"$d/etc/odd.conf"
	cp /bin/true "$d/usr/bin/odd"
	ln "$d/usr/bin/odd" "$d/usr/bin/odd-link"
	ln "$d/usr/bin/odd" "$d/usr/lib/odd/third"
	cp /bin/true "$d/usr/bin/odd-suid"
	chown 1:2 "$d/usr/bin/odd-suid"
	chmod 6755 "$d/usr/bin/odd-suid"
	ln -s odd "$d/usr/bin/odd-sym"
	ln -s ../lib/odd "$d/usr/share/odd"
	for i in {1..80}; do echo "$version $i" >"$d/usr/lib/odd/part$i"; done
	if [ "$version" != 1 ]; then
		rm "$d"/usr/lib/odd/part7*
		ln "$d/usr/bin/odd-suid" "$d/usr/bin/odd-suid2"
	fi
	chmod 4750 "$d/usr/lib/odd/part3"
	chown 7:8 "$d/usr/lib/odd/part4" "$d/var/lib/odd"
	chmod 3770 "$d/var/lib/odd"
	chmod 711 "$d/usr/share/doc/odd"
	find "$d" -exec touch -h -d '2021-03-04 05:06:07Z' {} +
	dpkg-deb -b "$d" "$W/odd_$version.deb" >/dev/null
}

# unpack DEB WHAT: into $D/root, and compared with what dpkg-deb -x makes on the bare disk.
unpack()
{
	local root=$D/root
	mkdir -p "$root"/var/lib/dpkg/{info,updates,triggers}
	touch "$root/var/lib/dpkg/status"
	check "$2: dpkg --unpack" dpkg --root="$root" --log=/dev/null --force-depends \
	    --unpack "$1"
	rm -rf "$W/want.d" "$W/have.d"
	mkdir "$W/want.d" && dpkg-deb -x "$1" "$W/want.d"
	cp -a "$root" "$W/have.d"
	(
		cd "$W/have.d" || exit
		# What dpkg needs is not of the package; conffiles have their names when
		# they are configured.
		rm -r var/lib/dpkg
		rmdir var/lib var
		find etc -name '*.dpkg-new' -exec sh -c 'mv "$0" "${0%.dpkg-new}"' {} \;
		# Directories have the time of the last change in them, or of this.
		cd "$W" && find have.d want.d -type d -exec touch -d 2021-01-01Z {} +
		chmod --reference=want.d have.d
	) >/dev/null 2>&1
	same_tree "$2: what is there" "$W/want.d" "$W/have.d"
}

packages()
{
	local D=$1 what=$2 deb
	unpack "$W/odd_1.deb" "$what: a package"
	# The comparison was with a copy; these are looked at in place.
	same "$what: set-id bits and owner" \
	    "$(stat -c '%a %u:%g' "$D/root/usr/bin/odd-suid")" "6755 1:2"
	same "$what: hard links" "$(stat -c '%h %i' "$D"/root/usr/{bin/odd,lib/odd/third} |
	    sort -u | wc -l) $(stat -c %h "$D/root/usr/bin/odd")" "1 3"
	same "$what: it says so" "$(dpkg --root="$D/root" -V odd 2>&1 | grep -v odd.conf)" ""
	unpack "$W/odd_2.deb" "$what: its next version"
	check "$what: dpkg --configure" dpkg --root="$D/root" --log=/dev/null --configure odd
	same "$what: dpkg --verify" "$(dpkg --root="$D/root" --verify odd 2>&1)" ""
	check "$what: dpkg --purge" dpkg --root="$D/root" --log=/dev/null --purge odd
	same "$what: nothing is left" \
	    "$(cd "$D/root" && find . -mindepth 1 ! -path './var*' -print)" ""
	rm -rf "$D/root"

	mkdir "$D/down"
	if (cd "$D/down" && timeout 60 apt-get -q -o APT::Sandbox::User=root download hello) \
	    >"$W/apt.out" 2>&1; then
		deb=$(echo "$D"/down/hello_*.deb)
		check "$what: apt download" dpkg-deb -c "$deb"
		unpack "$deb" "$what: a package of Debian's"
	else
		skip "$what: apt download: $(grep -E '^E:' "$W/apt.out" | head -n 1)"
	fi
	rm -rf "$D/root" "$D/down"
}

# A tree for those who copy trees.
odd_tree()
{
	local d=$1 i
	mkdir -p "$d"/{a/b/c,set,empty,default}
	for i in {1..60}; do head -c $((i * 333)) /dev/urandom >"$d/a/f$i"; done
	printf 'x' | dd of="$d/sparse" bs=1 seek=5000000 status=none
	ln "$d/a/f1" "$d/a/b/hard"
	ln "$d/a/f1" "$d/a/b/c/hard"
	ln -s ../f2 "$d/a/b/soft"
	ln -s /nowhere/$'odd\nname' "$d/dangling"
	ln "$d/dangling" "$d/dangling2"
	mkfifo "$d/pipe"
	mknod "$d/null" c 1 3
	mknod "$d/disk" b 7 200
	mknod "$d/white" c 0 0
	cp /bin/true "$d/suid"
	chown 5:6 "$d/suid"
	chmod 6511 "$d/suid"
	cp /bin/true "$d/capable"
	setcap cap_net_raw,cap_chown=eip "$d/capable"
	chmod 3775 "$d/set"
	chgrp 9 "$d/set"
	chmod 000 "$d/a/f3"
	chown 33:44 "$d/a/f4"
	touch "$d/a/"$'new\nline' "$d/a/"$'\xff\xfe bytes' "$d/a/-dash" \
	    "$d/a/$(printf 'n%.0s' {1..255})"
	setfattr -n user.text -v hello "$d/a/f5"
	setfattr -n user.empty "$d/a/f5"
	setfattr -n user.large -v "$(head -c 3000 /dev/zero | tr '\0' v)" "$d/a/f6"
	setfattr -n trusted.secret -v 1 "$d/a/f7"
	setfattr -n user.dir -v d "$d/a"
	setfattr -h -n trusted.link -v l "$d/dangling"
	if [ "$ACL" = yes ]; then
		setfacl -m u:1:rwx,u:2:---,g:3:r-x,m::rx "$d/a/f8"
		setfacl -m u:1:rx,d:u:1:rwx,d:g:3:rx,d:m::rx "$d/default"
		touch "$d/default/inherits"
		mkdir "$d/default/too"
	fi
	find "$d" -depth -exec touch -h -d '2021-03-04 05:06:07.123456789Z' {} +
}

TAR="--xattrs --xattrs-include=* --acls"

copies()
{
	local D=$1 what=$2
	mkdir "$D/tar" "$W/back"
	check "$what: tar -c, tar -x" sh -fc "tar -C $W/odd $TAR --sparse --format=pax \
	    -cf - . | tar -C $D/tar $TAR -xpf -"
	same_tree "$what: what tar made" "$W/odd" "$D/tar"
	check "$what: the sparse file is sparse" test "$(stat -c %b "$D/tar/sparse")" -lt 1000
	check "$what: and back" sh -fc "tar -C $D/tar $TAR --sparse --format=pax -cf - . |
	    tar -C $W/back $TAR -xpf -"
	same_tree "$what: what came back" "$W/odd" "$W/back"
	check "$what: rsync -aHAX" rsync -aHAX --sparse "$W/odd/" "$D/rsync/"
	same_tree "$what: what rsync made" "$W/odd" "$D/rsync"
	same "$what: rsync finds nothing to do" \
	    "$(rsync -aHAXci --sparse "$W/odd/" "$D/rsync/")" ""
	rm -rf "$W/back"
	check "$what: and back" rsync -aHAX "$D/rsync/" "$W/back/"
	same_tree "$what: what came back" "$W/odd" "$W/back"
	echo changed >"$D/rsync/a/f9"
	rm "$D/rsync/a/f10"
	chmod 777 "$D/rsync/suid"
	check "$what: rsync mends" rsync -aHAXc --inplace --delete "$W/odd/" "$D/rsync/"
	same_tree "$what: what rsync mended" "$W/odd" "$D/rsync"
	check "$what: cp -a" cp -a "$D/rsync" "$D/cp"
	same_tree "$what: what cp made" "$W/odd" "$D/cp"
	rm -rf "$W/back" "$D/rsync" "$D/tar" "$D/cp"
}

ACL=yes
setfacl -m u:7:r "$M/mem" 2>/dev/null || ACL=no
setfacl -b "$M/mem" 2>/dev/null
[ $ACL = yes ] || skip "ACLs: the mount has none"
odd_tree "$W/odd" 2>"$W/out"
same "making a tree of odd things" "$(cat "$W/out")" ""
package 1
package 2
for d in mem key; do
	worktrees "$M/$d" $d
	packages "$M/$d" $d
	copies "$M/$d" $d
	same "$d: nothing is left" "$(ls -A "$M/$d")" ""
done
rf_umount "$M"
done_testing
