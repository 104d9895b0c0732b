#!/bin/bash
# Nothing outside of a directory key is reached through it: symlinks, magic links, races;
# and a key whose directory contains the mount itself.
LIMIT=150
. "$(dirname "$0")/lib.sh"
M=$W/m
T=${RF_CONTAIN_SECONDS:-30}
mkdir -p "$W/show" "$W/follow" "$W/static/sub" "$W/out/sub" "$M"
echo SECRET >"$W/out/secret"
echo SECRET >"$W/out/sub/secret"
echo inside >"$W/static/file"
ln -s / "$W/static/root"
ln -s .. "$W/static/dotdot"
ln -s ../out "$W/static/sub/rel"
ln -s "$W/out/secret" "$W/static/abs"
ln -s ../out/secret "$W/static/up"
ln -s /proc/self/root "$W/static/magic"
ln -s ../file "$W/static/sub/ok"
ln -s sub/../file "$W/static/ok2"
ln -s sub/../../out/secret "$W/static/upmid"
ln -s "$W/static/file" "$W/static/absin"
ln -s loop "$W/static/loop"
cat >"$W/conf" <<X
[daemon]
attr-timeout = 0s
allow-other = yes
[etfs /show]
host = show
[etfs /follow]
host = follow
symlinks = follow
[etfs /static]
host = static
symlinks = follow
[etfs /proc]
host = /proc/$$
symlinks = follow
[etfs /world]
host = $W
[etfs /self]
host = m
X
rf_mount "$W/conf" "$M" || done_testing

# The races run beside everything else.
# They take all the time they are given, whoever else runs: let others go first.
nice -n 19 "$TESTBIN/p-swap" "$T" "$W/show" "$M/show" "$W/secret1" >"$W/swap1.out" 2>&1 &
p1=$!
nice -n 19 "$TESTBIN/p-swap" -f "$T" "$W/follow" "$M/follow" "$W/secret2" >"$W/swap2.out" 2>&1 &
p2=$!

S1=$M/static
same "follow: inside by ../" "$(cat "$S1/sub/ok")" inside
same "follow: inside by sub/../" "$(cat "$S1/ok2")" inside
for n in root/etc/passwd dotdot/out/secret sub/rel/secret sub/rel/sub/secret abs up upmid \
    magic/etc/passwd absin; do
	refuse "follow: $n" 'denied|No such|too many' timeout 10 cat "$S1/$n"
done
refuse "follow: a loop" 'denied|No such|[Tt]oo many' timeout 10 cat "$S1/loop"
for n in root dotdot sub/rel; do
	refuse "follow: listing $n" 'denied|No such' timeout 10 ls "$S1/$n/"
	refuse "follow: creating in $n" 'denied|No such' timeout 10 touch "$S1/$n/created-outside"
done
refuse "follow: writing through a link that leaves" 'denied|No such|not permitted' \
    timeout 10 sh -c "echo x >$S1/up"
same "the outside is as it was" "$(cat "$W/out/secret")$(ls "$W/out" | tr '\n' ' ')" \
    "SECRETsecret sub "
check "no file was made outside" test ! -e "$W/created-outside" -a ! -e /created-outside
for n in root/etc/passwd cwd/conf exe fd/0; do
	refuse "magic links: $n" '' timeout 10 cat "$M/proc/$n"
done

# The mount in its own tree.
K=$M/world
check "a key that contains the mount: stat" timeout 10 stat "$K"
same "its other names" "$(timeout 10 cat "$K/static/file")" inside
refuse "its mount point" 'deadlock|denied|loop|No such' timeout 10 stat "$K/m"
refuse "a name below it" 'deadlock|denied|loop|No such' timeout 10 stat "$K/m/static/file"
timeout 20 ls -lR "$K" >"$W/.out" 2>&1
check "ls -R ends" test $? != 124
timeout 20 find "$K" -newer "$W/conf" >"$W/.out" 2>&1
check "find ends" test $? != 124
refuse "creating in it" 'deadlock|denied|loop|No such' timeout 10 touch "$K/m/new"
refuse "removing it" '' timeout 10 rmdir "$K/m"
refuse "moving it" '' timeout 10 mv "$K/m" "$K/m2"
timeout 10 ls -la "$M/self" >"$W/.out" 2>&1
check "a key on the mount point itself does not hang" test $? != 124
timeout 10 stat "$M/self/show" >"$W/.out" 2>&1
check "nor does a name below it" test $? != 124
check "the mount still answers" timeout 10 stat "$M/static/file"

wait $p1
r1=$?
wait $p2
r2=$?
grep -h ^figure "$W/swap1.out" "$W/swap2.out"
same "$T s of swapping a directory for a symlink: nothing leaks" $r1 0 || cat "$W/swap1.out"
same "$T s of it with symlinks = follow" $r2 0 || cat "$W/swap2.out"
rf_umount "$M"
done_testing
