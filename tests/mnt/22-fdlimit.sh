#!/bin/bash
# 200,000 host files are walked through a key by a daemon that may open 1,024, while 500
# are held open.
LIMIT=120
. "$(dirname "$0")/lib.sh"
M=$W/m
check "making the tree" "$TESTBIN/p-tree" make "$S/tree" 200 1000
RF_NOFILE=1024
rf_mount "[etfs /tree]
host = $S/tree" "$M" || done_testing
same "the daemon's limit" \
    "$(awk '/^Max open files/ { print $5 }' "/proc/${RF_PID[$M]}/limits")" 1024
t=$(now)
same "the walk" "$("$TESTBIN/p-tree" walk "$M/tree" 500)" \
    "200000 files, 500 held open, 0 failures"
figure "a walk over 200,000 host files: $(since "$t") s," \
    "the daemon has $(ls "/proc/${RF_PID[$M]}/fd" | wc -l) files open"
check "and its memory" test "$(rss_kib "${RF_PID[$M]}")" -gt 0
figure "memory of the daemon after it: $(rss_kib "${RF_PID[$M]}") KiB"
# What was forgotten is found again, and what has gone meanwhile is an error and not
# another file.
exec 5<"$M/tree/dir0"
rm "$S/tree/dir199/file199.999"
mv "$S/tree/dir199/file199.998" "$S/tree/dir199/file199.999"
sleep 1.2
same "another file took a name" "$(cat "$M/tree/dir199/file199.999")" file199.998
refuse "and left its own" 'No such file' cat "$M/tree/dir199/file199.998"
mv "$S/tree/dir150" "$S/tree/moved"
sleep 1.2
same "a directory that was moved" "$(cat "$M/tree/moved/file150.7")" file150.7
refuse "its old name" 'No such file' cat "$M/tree/dir150/file150.7"
exec 5<&-
rf_umount "$M"
done_testing
