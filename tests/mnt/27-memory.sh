#!/bin/bash
# Ten rounds of walking a large tree and dropping the kernel's caches: the daemon's memory
# after the last is what it was after the second.  RF_MEMORY_FILES: how many thousand files
# (./dev memory: 500).  RF_MEMORY_DISK=1: the host's tree is on the disk and not in memory.
# alone
K=${RF_MEMORY_FILES:-8}
LIMIT=$((60 + K * 3))
. "$(dirname "$0")/lib.sh"
M=$W/m
host=${RF_MEMORY_DISK:+$W/tree}
host=${host:-$S/tree}

if ! { echo 2 >/proc/sys/vm/drop_caches; } 2>/dev/null; then
	skip "memory over rounds: the kernel's caches may not be dropped here"
	done_testing
fi

# Four parts, so that four can walk at once and all of the daemon's threads have worked
# when the second round is over.
make_tree()
{
	mkdir "$1" && for p in 1 2 3 4; do
		"$TESTBIN/p-tree" make "$1/part$p" $((K / 4)) 1000 || return
	done
}

walk_tree()
{
	local p
	for p in 1 2 3 4; do
		"$TESTBIN/p-tree" walk "$1/part$p" 25 &
	done
	wait $(jobs -p | grep -vxF "${RF_PID[$M]}")
}

# The kernel tells what it has forgotten in its own time.
settled_rss()
{
	local a b=0 i same=0
	sleep 0.3
	for ((i = 0; i < 200 && same < 4; i++)); do
		a=$(rss_kib "$1")
		[ "$a" = "$b" ] && same=$((same + 1)) || same=0
		b=$a
		sleep 0.1
	done
	echo "$b"
}

rounds()
{
	local what=$1 dir=$2 pid=${RF_PID[$M]} r rss=() t
	t=$(now)
	: >"$W/walked"
	local slack=0
	for r in {1..10}; do
		walk_tree "$dir" >>"$W/walked"
		sync -f "$dir"
		echo 3 >/proc/sys/vm/drop_caches
		rss[r]=$(settled_rss "$pid")
	done
	same "$what: every round finds every file" "$(sort "$W/walked" | uniq -c | xargs)" \
	    "40 $((K / 4 * 1000)) files, 25 held open, 0 failures"
	figure "$what, $((K / 4 * 4))000 files, KiB after each of ten rounds, $(since "$t") s:" \
	    "${rss[*]}"
	# Of the sanitizers' memory nothing can be said.
	[ $MEASURE = 1 ] || return 0
	# After two rounds of a small tree not every worker has had its turn.
	[ $K -ge 500 ] || slack=$((6400 * $(grep -lE '^(rumpfuse|fuse_worker|rumpfuse-ring)$' \
	    "/proc/$pid/task"/*/comm | wc -l)))
	check "$what: memory after round 10 is that of round 2, or at most 5 % above" \
	    test $((rss[10] * 100)) -le $((rss[2] * 105 + slack))
	check "$what: and at most 5 % below" test $((rss[10] * 100)) -ge $((rss[2] * 95))
}

check "making the host tree" make_tree "$host"
rf_mount "[etfs /tree]
host = $host" "$M" || done_testing
rounds "a directory key" "$M/tree"
rf_umount "$M"

rf_mount "[rumpfs]
size = 4G
inodes = 2M" "$M" || done_testing
check "making the tree in memory" make_tree "$M/tree"
rounds "in memory" "$M/tree"
rf_umount "$M"
done_testing
