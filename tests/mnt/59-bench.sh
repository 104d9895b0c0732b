#!/bin/bash
# alone: a switch of the kernel is turned.
# The benchmark, at its smallest: two rounds of three works of tmpfs, bindfs and ours.  What it
# says of speed is not looked at; that it comes to an end with a table, with samples, and with
# nothing left behind, is.
. "$(dirname "$0")/lib.sh"
top=$(cd "$(dirname "$0")/../.." && pwd)

check "its arithmetic" python3 "$top/bench/selftest.py"
if [ "$(id -u)" != 0 ]; then
	skip "the benchmark itself: mounting what is measured takes root"
	done_testing
fi
check "the loops are built" gcc -O2 -o "$W/ops" "$top/bench/ops.c"
uring=$(cat /sys/module/fuse/parameters/enable_uring 2>/dev/null)
export BENCH_OPS=$W/ops BENCH_TOP=$top BENCH_RESULTS=$W/results TMPDIR=$W
check "it runs" python3 "$top/bench/run.py" --quick --rounds 2 --name small \
    --only '^(stat|create|rand-write)$' --sides '^(bindfs|mem|key)$'
same "enable_uring is as it was" "$(cat /sys/module/fuse/parameters/enable_uring 2>/dev/null)" \
    "$uring"
check "nothing is left" sh -c "! ls -d '$W'/rfbench.*"
same "samples of each" "$(jq -c '[.works[] | .samples | [.tmpfs, .mem, .key] | flatten |
    map(select(. > 0)) | length]' "$W/results/small.json")" "[6,6,6]"
same "requests of creating in memory are counted" "$(jq '.works["create/1"].requests.mem |
    length > 1' "$W/results/small.json")" true
check "the table has verdicts" grep -qE '^\| create .*\| (met|\*\*missed\*\*) \|$' \
    "$W/results/small.md"
done_testing
