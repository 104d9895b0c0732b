#!/bin/bash
# Reloads while eight processes use the mount.  RF_RELOAD_SECONDS: for how long (7;
# ./dev stress: 60).
SECONDS_=${RF_RELOAD_SECONDS:-7}
LIMIT=$((60 + SECONDS_ * 3))
. "$(dirname "$0")/lib.sh"
M=$W/m
# A stale name is looked for 100 ms after each: so many fit in.
rounds=100
[ "$SECONDS_" -ge 20 ] || rounds=$((SECONDS_ * 8))
mkdir -p "$W/tree/1/2"
for i in 0 1/1 1/2/2; do
	for k in '' .a .b .c; do printf %s "${i##*/}$k" >"$W/tree/$i$k"; done
done
head -c 65536 /dev/zero | tr '\0' s >"$W/stay"
head -c 4096 /dev/zero | tr '\0' A >"$W/imgA"
head -c 4096 /dev/zero | tr '\0' B >"$W/imgB"
head -c 524288 /dev/zero >"$W/own"
{
	echo '[etfs /stay]
host = stay
type = blk
[etfs /tree]
host = tree
[file /kept]
content = kept
[dir /mine]'
	for i in 0 1 2 3 4 5 6 7; do
		printf '[etfs /own%d]\nhost = own\ntype = blk\nbegin = %d\nsize = 64K\n' \
		    $i $((i * 65536))
	done
} >"$W/text"
cp "$W/text" "$W/u.conf"
printf hidden >"$W/tree/hidden"
rf_mount "$W/u.conf" "$M" || done_testing
"$TESTBIN/p-underload" use "$M" "$W/stop" >"$W/use.out" 2>&1 &
users=$!
program "what changes is seen, what is broken changes nothing" p-underload drive "$M" \
    "$W/text" "$W/u.conf" "${RF_LOG[$M]}" "${RF_PID[$M]}" "$rounds" "$SECONDS_"
touch "$W/stop"
wait $users
rc=$?
same "who uses what stays notices nothing" "$rc" 0
[ $rc = 0 ] || head -n 40 "$W/use.out"
figure "rounds of eight users: $(awk '/rounds/ { n += $3 } END { print n }' "$W/use.out")"
check "they have used it" test "$(grep -c ' [1-9][0-9]* rounds' "$W/use.out")" = 8
rf_umount "$M"
done_testing
