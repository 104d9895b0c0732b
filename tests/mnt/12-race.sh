#!/bin/bash
# Threads that change one small tree at the same time; then the tree is whole, and after
# deletion everything is back.
LIMIT=100
. "$(dirname "$0")/lib.sh"
M=$W/m
mkdir -p "$W/host"
rf_mount "[etfs /disk]
host = $W/host" "$W/mk" || done_testing
rf_mount none "$M" || done_testing
program "in memory" p-race -t "${RF_RACE_SECONDS:-20}" "$M"
same "in memory: nothing is left" "$(ls -A "$M")" ""
program "a directory key" p-race -k -t 6 "$W/mk/disk"
same "a directory key: nothing is left" "$(ls -A "$W/host")" ""
rf_umount "$W/mk"
rf_umount "$M"
done_testing
