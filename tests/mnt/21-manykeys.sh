#!/bin/bash
# A hundred thousand keys: mounted in time, and no lookup is slower for them.
# alone
LIMIT=120
. "$(dirname "$0")/lib.sh"
# Sockets of this test alone.
mount -t tmpfs -o mode=755 run /run || exit 1
mkdir -p "$S/hosts" "$S/dirs"
for i in {0..299}; do head -c 4096 /dev/zero >"$S/hosts/f$i"; mkdir "$S/dirs/d$i"; done
# Most are whole files, every tenth is a window, every fiftieth a directory.  The windows
# are read-only, so that two daemons may have them.
config()
{
	awk -v n="$1" -v s="$S" 'BEGIN { for (i = 0; i < n; i++) {
	    print "[etfs /keys/k" i "]"
	    if (i % 50 == 0)
		    print "host = " s "/dirs/d" i % 300
	    else if (i % 10 == 1)
		    print "host = " s "/hosts/f" i % 300 "\ntype = blk\nbegin = " i % 7 "s\nsize = 512\naccess = ro"
	    else
		    print "host = " s "/hosts/f" i % 300
	} }'
}
config 100000 >"$W/many.conf"
config 100 >"$W/few.conf"
t=$(now)
rf_mount "$W/many.conf" "$W/many" || done_testing
at_most "100,000 keys: seconds until the mount answers" "$(since "$t")" 5
at_most "100,000 keys: milliseconds that a question waits while another lists them" \
    "$(timeout 60 /usr/bin/python3 "$HERE/control.py" beside /run/rumpfuse/* 3)" 150
rf_mount "$W/few.conf" "$W/few" || done_testing
figure "memory with 100,000 keys: $(rss_kib "${RF_PID[$W/many]}") KiB," \
    "with 100: $(rss_kib "${RF_PID[$W/few]}") KiB"
same "all are listed" "$(ls -f "$W/many/keys" | grep -c '^k')" 100000
for m in many few; do
	for i in {0..99}; do : >"$W/$m/keys/plain$i"; done
done
# Both use the same keys, so that the same host files are asked for.
limit=1.3
[ $MEASURE = 1 ] || limit=1000
program "lookup of a key" p-lookup -r 25 -n 100 "a key among 100,000 and among 100" $limit \
    "$W/many/keys" k 100 "$W/few/keys" k 100
program "lookup of a plain name" p-lookup -r 25 -n 100 \
    "a plain name beside 100,000 keys and beside 100" $limit \
    "$W/many/keys" plain 100 "$W/few/keys" plain 100
program "all keys answer" p-lookup -r 1 -n 100000 "100,000 keys, and 100 again and again" 1000 \
    "$W/many/keys" k 100000 "$W/few/keys" k 100
t=$(now)
rf_umount "$W/many"
figure "seconds to end with 100,000 keys: $(since "$t")"
rf_umount "$W/few"
done_testing
