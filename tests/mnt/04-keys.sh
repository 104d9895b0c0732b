#!/bin/bash
# What keys are like in the tree: parents, listing, nesting, symlinks, special files, the
# two kinds of directory keys, owners.  SEMANTICS, sections 2 and 3.
LIMIT=100
. "$(dirname "$0")/lib.sh"
M=$W/m
H=$W/h
mkdir -p "$H/sub/deeper" "$H/nest" "$W/one/sub" "$W/ro/sub" "$W/outside"
echo file >"$H/file"
echo deep >"$H/sub/deeper/file"
echo hidden >"$H/.env"
echo under >"$H/covered"
echo nest >"$H/nest/host-file"
ln -s file "$H/link"
ln -s /etc/passwd "$H/abs"
ln -s ../outside/secret "$H/up"
ln -s sub/deeper "$H/dirlink"
ln -s nowhere "$H/dangling"
mkfifo "$H/fifo"
mknod "$H/null" c 1 3
"$TESTBIN/p-io" . r "mksock:$H/sock" >/dev/null
ln "$H/file" "$H/hard"
echo secret >"$W/outside/secret"
echo immediate >"$W/one/file"
echo below >"$W/one/sub/file"
echo ro >"$W/ro/file"
ln -s file "$W/ro/link"
printf 'source\n' >"$W/copy-me"
cat >"$W/conf" <<X
[rumpfs]
mode = 0751
uid = 12
gid = 34
[dir /tmp]
mode = 1777
[file /etc/motd]
content = hello\n
mode = 0600
uid = 5
[file /etc/copied]
host-copy = copy-me
[symlink /bin/sh]
target = dash
[node /dev/null]
type = chr
major = 1
minor = 3
mode = 0666
[node /dev/fifo]
type = fifo
[etfs /no/such/parents/file]
host = h/file
[etfs /secret/hidden]
host = h/file
hidden = yes
[etfs /a]
host = h
[etfs /ab]
host = copy-me
[whiteout /a/.env]
[etfs /a/nest/key]
host = copy-me
[etfs /a/new/nest/key]
host = copy-me
[dir /a/sub]
mode = 0700
[file /a/covered]
content = memory\n
[etfs /tmp/key]
host = copy-me
mode = 0640
uid = 77
gid = 88
[etfs /hide]
host = h
symlinks = hide
[etfs /follow]
host = h
symlinks = follow
[etfs /special]
host = h
special = yes
[etfs /one]
host = one
type = dir
[etfs /ro]
host = ro
access = ro
[etfs /later]
host = not-yet
missing = hide
X
rf_mount "$W/conf" "$M" -o allow_other || done_testing

# The in-memory part.
same "the root" "$(stat -c '%a %u %g' "$M")" "751 12 34"
same "[dir]" "$(stat -c '%F %a' "$M/tmp")" "directory 1777"
same "[file]" "$(cat "$M/etc/motd") $(stat -c '%a %u' "$M/etc/motd")" "hello 600 5"
same "[file] host-copy" "$(cat "$M/etc/copied")" source
same "[symlink]" "$(readlink "$M/bin/sh")" dash
same "[node] chr" "$(stat -c '%F %a %t:%T' "$M/dev/null")" "character special file 666 1:3"
same "[node] fifo" "$(stat -c '%F' "$M/dev/fifo")" fifo
echo more >>"$M/etc/copied"
same "a copy does not touch its source" "$(cat "$W/copy-me")" source
# Parents.
same "missing parents are there" "$(cat "$M/no/such/parents/file")" file
same "and are directories" "$(stat -c '%F %a %u' "$M/no/such")" "directory 755 12"
check "and can be used" mkdir "$M/no/such/other"
same "and list" "$(ls "$M/no/such" | tr '\n' ' ')" "other parents "
# Hidden.
same "hidden: by name" "$(cat "$M/secret/hidden")" file
same "hidden: not listed" "$(ls -A "$M/secret")" ""
# The longest key wins.
same "/ab is not /a" "$(cat "$M/ab")" source
refuse "a whiteout" 'No such file' cat "$M/a/.env"
same "a whiteout hides from the listing" "$(ls -A "$M/a" | grep -c '^.env$')" 0
refuse "creating over a whiteout" '' touch "$M/a/.env"
same "the host's file is untouched" "$(cat "$H/.env")" hidden
same "a nested key" "$(cat "$M/a/nest/key")" source
same "beside the host's file" "$(ls "$M/a/nest" | tr '\n' ' ')" "host-file key "
same "not on the host" "$(ls "$H/nest")" host-file
same "a nested key with parents the host lacks" "$(cat "$M/a/new/nest/key")" source
same "these are not on the host" "$(ls -d "$H/new" 2>&1 | grep -c 'No such')" 1
same "a directory in memory over one of the host" "$(ls -A "$M/a/sub")" ""
check "takes files" sh -c "echo x >$M/a/sub/mine"
same "that the host does not see" "$(ls "$H/sub")" deeper
same "a file in memory over one of the host" "$(cat "$M/a/covered")" memory
check "each name is listed once" test "$(ls -A "$M/a" | sort | uniq -d | wc -l)" = 0
# Overrides.
same "mode, uid, gid of a key" "$(stat -c '%a %u %g' "$M/tmp/key")" "640 77 88"
same "the host's stay" "$(stat -c '%a %u' "$W/copy-me")" "644 0"
# The key itself cannot be changed, nor what leads to it.
for cmd in "rm -f $M/tmp/key" "mv $M/tmp/key $M/tmp/x" "rmdir $M/one" "mv $M/a $M/b" \
    "rm -f $M/a/nest/key"; do
	refuse "$cmd" 'busy' $cmd
done
echo x >"$M/tmp/x"
refuse "rename over a key" 'busy' mv -f "$M/tmp/x" "$M/tmp/key"
refuse "creating over a key" 'exists' mkdir "$M/tmp/key"
refuse "ln over a key" 'exists' ln "$M/tmp/x" "$M/tmp/key"
refuse "exclusive create over a key" 'EEXIST' "$TESTBIN/p-io" "$M/tmp/key" rwcx
refuse "moving a directory above a key" 'busy' mv "$M/no/such" "$M/no/other"
refuse "removing a directory above a key" 'not empty|busy' rmdir "$M/no/such/parents"
# From one file system to another.
refuse "ln from a key to memory" 'cross-device' ln "$M/a/file" "$M/tmp/y"
refuse "ln from memory to a key" 'cross-device' ln "$M/tmp/x" "$M/a/y"
refuse "ln from a key to another" 'cross-device' ln "$M/a/file" "$M/special/y"
check "mv across copies" mv "$M/tmp/x" "$M/a/moved"
same "it is on the host" "$(cat "$H/moved")" x
rm "$M/a/moved"

# Symlinks and special files.
same "symlinks are shown" "$(readlink "$M/a/link") $(readlink "$M/a/abs")" "file /etc/passwd"
same "d_type of a symlink" "$(find "$M/a" -maxdepth 1 -type l | wc -l)" 5
same "hide" "$(find "$M/hide" -maxdepth 1 -type l | wc -l)" 0
same "hide: not listed" "$(ls "$M/hide" | grep -cE '^(link|abs|up|dirlink|dangling)$')" 0
refuse "hide: by name" 'No such file' stat "$M/hide/link"
same "follow: a file" "$(stat -c %F "$M/follow/link") $(cat "$M/follow/link")" \
    "regular file file"
same "follow: a directory" "$(cat "$M/follow/dirlink/file")" deep
refuse "follow: an absolute one leaves" 'denied|No such' cat "$M/follow/abs"
refuse "follow: .. leaves" 'denied|No such' cat "$M/follow/up"
refuse "follow: a dangling one" 'No such file' cat "$M/follow/dangling"
for n in fifo null sock; do
	refuse "$n is hidden" 'No such file' stat "$M/a/$n"
	same "$n is not listed" "$(ls "$M/a" | grep -c "^$n\$")" 0
	check "special = yes: $n" stat "$M/special/$n"
	same "special = yes: $n is listed" "$(ls "$M/special" | grep -c "^$n\$")" 1
done
same "hard links are recognised" "$(stat -c %i "$M/a/file")" "$(stat -c %i "$M/a/hard")"
same "two keys on one file" "$(stat -c %i "$M/a/file")" "$(stat -c %i "$M/special/hard")"
same "and the link count is the host's" "$(stat -c %h "$M/a/file")" 2

# type = dir.
same "dir: listing" "$(ls "$M/one" | tr '\n' ' ')" "file sub "
same "dir: a file" "$(cat "$M/one/file")" immediate
check "dir: writing" sh -c "echo more >>$M/one/file"
same "dir: it reaches the host" "$(tail -n1 "$W/one/file")" more
check "dir: creating a file" touch "$M/one/new"
check "dir: it is on the host" test -f "$W/one/new"
check "dir: removing it" rm "$M/one/new"
same "dir: a subdirectory is there, empty" "$(ls -A "$M/one/sub")" ""
refuse "dir: nothing below it" 'No such file' cat "$M/one/sub/file"
refuse "dir: creating below it" 'denied' touch "$M/one/sub/new"
refuse "dir: mkdir" 'not permitted' mkdir "$M/one/newdir"
# access = ro.
same "ro: reading" "$(cat "$M/ro/file")" ro
for cmd in "touch $M/ro/new" "rm $M/ro/file" "mkdir $M/ro/d" "chmod 600 $M/ro/file" \
    "chown 1 $M/ro/file" "touch $M/ro/file" "truncate -s 0 $M/ro/file" "ln -s x $M/ro/l" \
    "ln $M/ro/file $M/ro/l" "mv $M/ro/file $M/ro/g" "rmdir $M/ro/sub" "mkfifo $M/ro/p" \
    "setfattr -n user.a -v b $M/ro/file"; do
	refuse "ro: $cmd" 'Read-only' $cmd
done
same "ro: the host is untouched" "$(ls "$W/ro" | tr '\n' ' ')$(cat "$W/ro/file")" \
    "file link sub ro"

touch -a -d 2001-02-03 "$W/ro/file" "$W/ro"
check "ro: reading again" cat "$M/ro/file"
check "ro: listing" ls "$M/ro"
same "ro: the host's access times" "$(stat -c %x "$W/ro/file" "$W/ro" | cut -d' ' -f1 | tr '\n' ' ')" \
    "2001-02-03 2001-02-03 "

# missing = hide.
refuse "a missing one" 'No such file' cat "$M/later"
same "is not listed" "$(ls "$M" | grep -c later)" 0
echo here >"$W/not-yet"
sleep 1.2
same "appears with its host object" "$(cat "$M/later")" here
same "and in the listing" "$(ls "$M" | grep -c later)" 1

# The host's changes show, and ours reach the host.
echo changed >"$H/file"
sleep 1.2
same "the host's change shows" "$(cat "$M/a/file")" changed
echo fresh >"$H/fresh"
sleep 1.2
same "a file new on the host" "$(cat "$M/a/fresh")" fresh
rm "$H/fresh"
sleep 1.2
refuse "a file removed on the host" 'No such file' cat "$M/a/fresh"
echo ours >"$M/a/file"
same "our change reaches the host" "$(cat "$H/file")" ours
check "chmod reaches the host" chmod 4711 "$M/a/file"
same "its mode" "$(stat -c %a "$H/file")" 4711
check "another user makes a file" sh -c "chmod 777 $H && setpriv --reuid=1000 --regid=1001 \
    --clear-groups touch $M/a/theirs"
same "it belongs to the caller" "$(stat -c '%u %g' "$H/theirs")" "1000 1001"
chmod 755 "$H"
sleep 1.2
refuse "and may no more than on the host" 'denied' setpriv --reuid=1000 --regid=1001 \
    --clear-groups touch "$M/a/theirs2"
# Names of extended attributes that only root may see.
for f in etc/motd a/file; do
	check "$f: trusted.t" setfattr -n trusted.t -v 1 "$M/$f"
	same "$f: root sees it" "$(getfattr -m - "$M/$f" 2>&1 | grep -c '^trusted\.t$')" 1
	same "$f: nobody else" "$(setpriv --reuid=65534 --regid=65534 --clear-groups \
	    getfattr -m - "$M/$f" 2>&1)" ""
	check "$f: user.u" setfattr -n user.u -v 1 "$M/$f"
	same "$f: others see the rest" "$(setpriv --reuid=65534 --regid=65534 --clear-groups \
	    getfattr -m - --absolute-names "$M/$f" 2>&1 | grep -v '^#' | tr '\n' ' ')" "user.u  "
done
inos=$(cd "$M" && find a ro one -printf '%p %i\n' | grep -v -e '^a/sub' -e /key -e covered -e a/new | sort)
rf_umount "$M"
rf_mount "$W/conf" "$M"
same "inode numbers after a restart" \
    "$(cd "$M" && find a ro one -printf '%p %i\n' | grep -v -e '^a/sub' -e /key -e covered -e a/new | sort)" "$inos"
rf_umount "$M"

# A directory as the root, with keys on top of it.
mkdir "$W/root"
echo r >"$W/root/file"
rf_mount "[etfs /]
host = $W/root
[etfs /key]
host = $W/copy-me
[dir /memory]" "$M"
same "/ is the directory" "$(cat "$M/file")" r
same "with a key in it" "$(cat "$M/key")" source
check "and a directory in memory" mkdir "$M/memory/d"
check "making a file" touch "$M/new"
same "what the host has" "$(ls "$W/root" | tr '\n' ' ')" "file new "
rf_umount "$M"

# An owner that a key shows is not the host file's, and a directory that the host closes to
# somebody is closed, though its mode bits say nothing of it.
U="setpriv --reuid=65534 --regid=65534 --clear-groups"
echo x >"$W/rootfile"
chmod 755 "$W/rootfile"
mkdir -p "$W/acl/shut/in/deep"
chmod -R 777 "$W/acl"
rf_mount "[daemon]
allow-other = yes
[etfs /f]
host = $W/rootfile
uid = 65534
[etfs /acl]
host = $W/acl" "$M"
same "the owner shown" "$(stat -c %u "$M/f")" 65534
refuse "chmod by the owner shown" 'not permitted' $U chmod 4755 "$M/f"
refuse "chgrp by the owner shown" 'not permitted' $U chgrp 65534 "$M/f"
refuse "touch -d by the owner shown" 'not permitted|denied' $U touch -d @5 "$M/f"
refuse "setfattr by the owner shown" 'not permitted|denied' $U setfattr -n user.x -v y "$M/f"
same "the host file" "$(stat -c '%a %u %g' "$W/rootfile")" "755 0 0"
check "it can write" $U sh -c "echo more >>$M/f"
check "and truncate" $U truncate -s 3 "$M/f"
same "its data" "$(od -An -c "$W/rootfile" | tr -d ' ')" 'x\nm'
check "root's chmod" chmod 4755 "$M/f"
check "writing takes the setuid bit off" $U sh -c "echo more >>$M/f"
same "the host file" "$(stat -c %a "$W/rootfile")" 755
if setfacl -m u:65534:--- "$W/acl/shut" 2>/dev/null; then
	chmod o+rwx "$W/acl/shut"
	for d in shut shut/in shut/in/deep; do
		refuse "listing $d" 'denied' $U ls "$M/acl/$d"
	done
	refuse "making a file below" 'denied' $U touch "$M/acl/shut/in/new"
	refuse "making a directory below" 'denied' $U mkdir "$M/acl/shut/in/new"
	refuse "removing below" 'denied' $U rmdir "$M/acl/shut/in/deep"
	refuse "renaming below" 'denied' $U mv "$M/acl/shut/in/deep" "$M/acl/out"
	same "the host's directory" "$(ls "$W/acl/shut/in")" deep
	check "others may" setpriv --reuid=1000 --regid=1000 --clear-groups \
	    touch "$M/acl/shut/in/new"
else
	skip "ACLs: not on this file system"
fi
rf_umount "$M"
done_testing
