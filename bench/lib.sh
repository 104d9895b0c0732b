# The frame of every bench/NAME.sh: two file systems that show the same tree, ours and theirs,
# asked the same things in turns; sourced first:
#
#	. "$(dirname "$0")/lib.sh"
#	up() { ...; }		# up SIDE: mounts at $W/SIDE, ours with the image at /i
#	compare "tree walk" remount walk
#	bench_done
#
# SIDE is "ours" or "theirs".  Each line that is printed is
#
#	NAME	ours (s)	theirs (s)	theirs/ours
#
# with the medians of the times and the median of each round's own ratio: above 1, ours is the
# faster.  `./dev bench [NAME…]` runs the scripts and makes one table of the lines.
#
# Environment: RUMPFUSE, the daemon; UKFS_MODULES, its modules; BENCH_ROUNDS (5).
#
# A script runs in namespaces of its own for mounts and processes, where all that it starts ends
# with it.  $W is a directory in memory, so that what is measured is no disk; drop_caches spares
# what lies there, so an image stays where it is and only what has been made of it goes.

set -u
BENCH_ROUNDS=${BENCH_ROUNDS:-5}
if [ -z "${BENCH_INSIDE:-}" ]; then
	RUMPFUSE=$(realpath "${RUMPFUSE:-$(dirname "$0")/../build/rumpfuse}") || exit 1
	UKFS_MODULES=$(realpath "${UKFS_MODULES:-$(dirname "$RUMPFUSE")}") || exit 1
	BENCH_DIR=$(mktemp -d "${BENCH_BASE:-/dev/shm}/rfbench.XXXXXX") || exit 1
	export RUMPFUSE UKFS_MODULES BENCH_DIR
	BENCH_INSIDE=1 unshare -m -p -f --mount-proc --kill-child --propagation private \
	    bash "$0" "$@" &
	inside=$!
	trap 'kill -9 "$inside" 2>/dev/null' INT TERM # it ignores all others
	wait "$inside"
	rc=$?
	# A signal ends the first wait before what it ends.
	wait "$inside" 2>/dev/null
	rm -rf --one-file-system "$BENCH_DIR"
	exit $rc
fi

W=$BENCH_DIR
cd "$W" || exit 1
mkdir -p "$W/ours" "$W/theirs"
declare -A BENCH_PID

# die WHAT: there is nothing to compare.
die()
{
	echo "bench: $*" >&2
	exit 1
}

# need COMMAND…
need()
{
	local c
	for c in "$@"; do
		command -v "$c" >/dev/null || die "$c is not installed"
	done
}

# serve SIDE DIR COMMAND…: starts a file system in the foreground as a job and returns when
# DIR is a mount point.
serve()
{
	local side=$1 dir=$2 i
	shift 2
	"$@" >"$W/$side.log" 2>&1 &
	BENCH_PID[$side]=$!
	for ((i = 0; i < 1000; i++)); do
		mountpoint -q "$dir" && return 0
		kill -0 "${BENCH_PID[$side]}" 2>/dev/null || break
		sleep 0.01
	done
	sed 's/^/  | /' "$W/$side.log" >&2
	die "$side: $* does not mount"
}

# unserve SIDE DIR: the other end.
unserve()
{
	local i
	for ((i = 0; i < 100; i++)); do
		umount "$2" 2>/dev/null && break
		sleep 0.05
	done
	wait "${BENCH_PID[$1]}"
	unset "BENCH_PID[$1]"
}

# What is asked of both, below the roots of their trees.

# root SIDE: ours has the image at /i of its mount.
root() { [ "$1" = ours ] && echo "$W/ours/i" || echo "$W/theirs"; }
down() { unserve "$1" "$W/$1"; }

# sample DIR BYTES: what images are made of: programs and libraries of this machine in one large
# file "big", 160 MiB of it in four parts, and a tree of small ones.
sample()
{
	local d i
	mkdir -p "$1/tree"
	find /usr/lib /usr/bin -xdev -type f -size +100k -readable -print0 | sort -z |
	    xargs -0 cat 2>/dev/null | head -c "$2" >"$1/big"
	for i in 0 1 2 3; do
		dd if="$1/big" of="$1/part$i" bs=1M skip=$((i * 40)) count=40 status=none
	done
	for d in /usr/include /usr/lib/python3 /usr/share/doc; do
		[ ! -d "$d" ] || cp -r --parents "$d" "$1/tree" 2>/dev/null
	done
}

cat >"$W/random.py" <<'PY'
import os, random, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
size = os.fstat(fd).st_size
r = random.Random(7)
for _ in range(int(sys.argv[2])):
    if len(os.pread(fd, 4096, r.randrange(size // 4096 - 1) * 4096)) != 4096:
        sys.exit("a short read")
PY

one() { dd if="$(root "$1")/big" of=/dev/null bs=1M status=none; }
four()
{
	local i pids=""
	for i in 0 1 2 3; do
		dd if="$(root "$1")/part$i" of=/dev/null bs=1M status=none &
		pids="$pids $!"
	done
	# shellcheck disable=SC2086
	wait $pids
}
# random SIDE N: reads of 4 KiB.
random() { python3 "$W/random.py" "$(root "$1")/big" "$2"; }
walk() { find "$(root "$1")/tree" -printf '%s %m %T@ %p\n' >/dev/null; }
files() { tar -C "$(root "$1")/tree" -cf - . | cat >/dev/null; }

# What may be done before each run.

# cold SIDE: neither names, attributes nor pages are known to the kernel; the file system
# still has what it keeps itself.
cold()
{
	sync
	echo 3 >/proc/sys/vm/drop_caches
}

# remount SIDE: nobody knows anything.
remount()
{
	[ -z "${BENCH_PID[$1]:-}" ] || down "$1"
	up "$1"
	cold "$1"
}

# warm SIDE: as it is left by the run before (the first round is thrown away).
warm()
{
	:
}

# compare NAME BEFORE COMMAND ARGS…: per round and side, "BEFORE SIDE" untimed and then
# "COMMAND SIDE ARGS…" timed; who is first changes with each round.
compare()
{
	local name=$1 before=$2 command=$3 round side from first
	shift 3
	: >"$W/.ours"
	: >"$W/.theirs"
	first=1
	[ "$before" != warm ] || first=0
	for ((round = first; round <= BENCH_ROUNDS; round++)); do
		for side in $([ $((round % 2)) = 0 ] && echo ours theirs || echo theirs ours); do
			"$before" "$side" || die "$name: $before $side"
			from=$EPOCHREALTIME
			"$command" "$side" "$@" || die "$name: $command $side"
			[ $round = 0 ] ||
			    echo "$from $EPOCHREALTIME" >>"$W/.$side"
		done
	done
	paste "$W/.ours" "$W/.theirs" | awk -v name="$name" '
	function median(a, n, i, j, t) {
		for (i = 2; i <= n; i++)
			for (j = i; j > 1 && a[j - 1] > a[j]; j--) {
				t = a[j]; a[j] = a[j - 1]; a[j - 1] = t
			}
		return n % 2 ? a[(n + 1) / 2] : (a[n / 2] + a[n / 2 + 1]) / 2
	}
	{
		n++; o[n] = $2 - $1; t[n] = $4 - $3
		if (o[n] < 1e-6) o[n] = 1e-6
		r[n] = t[n] / o[n]
	}
	END { printf "%s\t%.4f\t%.4f\t%.2f\n", name, median(o, n), median(t, n), median(r, n) }'
}

# row NAME OURS THEIRS: what was measured in another way; numbers where less is better.
row()
{
	awk -v n="$1" -v o="$2" -v t="$3" 'BEGIN {
	    printf "%s\t%.4f\t%.4f\t%.2f\n", n, o, t, (o > 0 ? t / o : 0) }'
}

bench_done()
{
	local side
	for side in "${!BENCH_PID[@]}"; do
		down "$side"
	done
}
