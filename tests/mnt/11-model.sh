#!/bin/bash
# Random operations on the in-memory tree and on directory keys agree with tmpfs.  The
# three targets are walked in lockstep: RF_MODEL_STEPS steps are three times as many
# operations.  RF_MODEL_SEED repeats a run.  Half of it is with files that the kernel uses by
# itself: of those that are open no set-id bits are set, because the kernel's writing takes them off
# again, root's too.
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
for passthrough in no auto; do
	printf '[daemon]\npassthrough = %s\n' $passthrough | cat - "$W/conf" >"$W/$passthrough.conf"
	rf_mount "$W/$passthrough.conf" "$M" -o dev,suid || done_testing
	program "the model, passthrough = $passthrough" p-model \
	    ${RF_MODEL_SEED:+-s "$RF_MODEL_SEED"} $([ $passthrough = no ] || echo -p) \
	    -n "$((${RF_MODEL_STEPS:-66700} / 2))" "$S/ref" "$M/mem" "$M/disk" "$M/tmpfs"
	rf_umount "$M"
	rm -rf "${S:?}/ref" "$W/host" "$S/host"
	mkdir -p "$S/ref" "$W/host" "$S/host"
done
done_testing
