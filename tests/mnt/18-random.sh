#!/bin/bash
# Random work with a check: on contents (p-fsx) and on trees by several processes and two
# users (p-fstress), in memory and on keys.  RF_FSX_OPS, RF_FSTRESS_SECONDS and RF_SEED make
# longer and other runs (./dev stress).
LIMIT=$((90 + ${RF_FSX_OPS:-4000} / 100 + 6 * ${RF_FSTRESS_SECONDS:-3}))
. "$(dirname "$0")/lib.sh"
M=$W/m
seed=${RF_SEED:-$((RANDOM * 32768 + RANDOM))}
mkdir -p "$W/host" "$S/host" "$W/bare" "$S/bare"
chmod 755 "$W" "$S"
cat >"$W/conf" <<X
[daemon]
allow-other = yes
[dir /mem]
mode = 0777
[etfs /disk]
host = $W/host
special = yes
[etfs /tmpfs]
host = $S/host
special = yes
X
# The programs themselves, shortly.
for d in "$S/bare" "$W/bare"; do
	program "contents, bare $d" p-fsx -s "$seed" -n 1000 -d "$d"
	program "trees, bare $d" p-fstress -s "$seed" -t 1 -u 1000 "$d"
done
rf_mount "$W/conf" "$M" -o dev,suid || done_testing
for t in mem disk tmpfs; do
	program "contents, $t" p-fsx -s "$seed" -n "${RF_FSX_OPS:-4000}" -d "$M/$t"
	alone=
	[ $t != mem ] || alone=-m
	program "trees, $t" p-fstress -s "$seed" -t "${RF_FSTRESS_SECONDS:-3}" -u 1000 $alone \
	    "$M/$t"
	same "nothing is left, $t" "$(ls -A "$M/$t")" ""
done
rf_umount "$M"
done_testing
