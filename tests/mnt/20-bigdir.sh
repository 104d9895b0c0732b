#!/bin/bash
# A million files in one in-memory directory.
# first
LIMIT=400
. "$(dirname "$0")/lib.sh"
M=$W/m
# On one processor: waking the daemon on another one costs more than all its work.
taskset -p -c "$(($(nproc) - 1))" $$ >/dev/null
rf_mount '[rumpfs]
size = 4G
inodes = 2M' "$M" || done_testing
q=
[ $MEASURE = 1 ] || q=-q
program "a large directory" p-bigdir $q -n "${RF_BIGDIR_FILES:-1000000}" "${RF_PID[$M]}" "$M"
rf_umount "$M"
done_testing
