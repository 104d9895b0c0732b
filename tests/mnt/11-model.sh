#!/bin/bash
# Random operations on the in-memory tree and on directory keys agree with tmpfs.  The
# three targets are walked in lockstep: RF_MODEL_STEPS steps are three times as many
# operations.  RF_MODEL_SEED repeats a run.
LIMIT=240
. "$(dirname "$0")/lib.sh"
M=$W/m
mkdir -p "$S/ref" "$W/host" "$S/host"
cat >"$W/conf" <<X
[dir /mem]
[etfs /disk]
host = $W/host
special = yes
[etfs /tmpfs]
host = $S/host
special = yes
X
rf_mount "$W/conf" "$M" -o dev,suid || done_testing
program "the model" p-model ${RF_MODEL_SEED:+-s "$RF_MODEL_SEED"} \
    -n "${RF_MODEL_STEPS:-66700}" "$S/ref" "$M/mem" "$M/disk" "$M/tmpfs"
rf_umount "$M"
done_testing
