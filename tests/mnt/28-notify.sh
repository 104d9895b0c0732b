#!/bin/bash
# Somebody who holds a directory in the kernel, by listing it into a page that never comes,
# holds up what the kernel is told of that directory, and nothing else: not the changes of
# other files, not those who open, not a reload, not the end.
LIMIT=60
. "$(dirname "$0")/lib.sh"
M=$W/m
H=$W/host
mkdir -p "$H/d"
touch "$H/d/x" "$H/d/y" "$H/shared" "$H/other"
echo secret >"$W/secret"
truncate -s 64K "$W/disk"
conf="[daemon]
allow-other = yes
[etfs /k]
host = $H
[etfs /j]
host = $H
[etfs /window]
host = $W/disk
type = blk"
printf '%s\n[etfs /secret]\nhost = %s\n' "$conf" "$W/secret" >"$W/conf"

# hold DIR: $holder holds it.  False: that is not permitted here.
hold()
{
	local i rc
	: >"$W/held"
	"$TESTBIN/p-hold" "$1" >"$W/held" 2>&1 &
	holder=$!
	for ((i = 0; i < 250; i++)); do
		grep -q '^held' "$W/held" && return 0
		kill -0 $holder 2>/dev/null || break
		sleep 0.02
	done
	wait $holder
	rc=$?
	[ $rc = 3 ] || fail "holding $1: status $rc: $(cat "$W/held")"
	return 1
}

# is_held: a thread of the daemon is held by the kernel.
is_held()
{
	local i
	for ((i = 0; i < 250; i++)); do
		grep -q '^State:.*D (' "/proc/${RF_PID[$M]}/task"/*/status && return 0
		sleep 0.02
	done
	return 1
}

size_is()
{
	[ "$(stat -c %s "$1")" = "$2" ]
}

# An input/output error would mean that the kernel still knows it.
has_gone()
{
	stat "$1" 2>&1 | grep -q 'No such file'
}

# ms_until COMMAND…: milliseconds, about 2000 at most: after 10 s it would be there
# anyway.
ms_until()
{
	local start t=0
	start=$(date +%s%N)
	until "$@" 2>/dev/null; do
		t=$((($(date +%s%N) - start) / 1000000))
		[ $t -lt 2000 ] || break
		sleep 0.01
	done
	echo $((($(date +%s%N) - start) / 1000000))
}

opens()
{
	local i start
	start=$(date +%s%N)
	for i in {1..20}; do : >>"$1"; done
	echo $((($(date +%s%N) - start) / 1000000))
}

rf_mount "$W/conf" "$M" || done_testing
stat "$M/k/d/x" "$M/k/d/y" "$M/k/other" "$M"/[jk]/shared "$M/secret" >/dev/null
if ! hold "$M/k/d"; then
	skip "a directory that is held: userfaultfd is not permitted"
	done_testing
fi
rm "$H/d/x"
mv "$H/d/y" "$H/d/z"
check "the kernel holds who tells it of the directory" is_held
echo 12345 >"$H/other"
at_most "ms until the change of another file is there" \
    "$(ms_until size_is "$M/k/other" 6)" 1000
at_most "ms for 20 opens of a file of two keys" "$(opens "$M/k/shared")" 1000
echo "$conf" >"$W/conf"
kill -HUP "${RF_PID[$M]}"
at_most "ms until a key that is taken away has gone" \
    "$(ms_until has_gone "$M/secret")" 1000

pid=${RF_PID[$M]}
start=$(now)
kill -TERM "$pid"
check "SIGTERM ends the daemon all the same" rf_gone "$pid"
at_most "s for that" "$(since "$start")" 6
rf_is_mounted "$M" && fail "it is still mounted"
# What it had is free: the lock of the window too.
rf_mount "$W/conf" "$W/next" && rf_umount "$W/next"
kill -0 $holder 2>/dev/null || fail "nobody held the directory"
kill -9 $holder
{ wait $holder; } 2>/dev/null
rf_wait "$M"

# The same, and he lets go in time.
rf_mount "$W/conf" "$M" || done_testing
touch "$H/d/a"
stat "$M/k/d/a" >/dev/null
hold "$M/k/d" || done_testing
rm "$H/d/a"
check "once more" is_held
kill -9 $holder
{ wait $holder; } 2>/dev/null
at_most "ms until what was held up is there" "$(ms_until test ! -e "$M/k/d/a")" 1000
rf_umount "$M" term
done_testing
