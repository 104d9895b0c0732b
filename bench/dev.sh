# shellcheck shell=bash
# The benchmark and what else measures, for ./dev, which sources this.

# What the benchmarks ask besides.
BENCH_DEPS="squashfuse fuse2fs archivemount bindfs mergerfs fuse-overlayfs unionfs-fuse xmount
 nbdkit libnbd-bin dbench gnuplot-nox dpkg-dev g++ liburing-dev libnuma-dev"

# bench_builds: the daemon as it would be installed (or $RUMPFUSE, another build of it), and the
# peers that are built from source.
bench_builds()
{
	RUMPFUSE=$(realpath -m "${RUMPFUSE:-$top/build-bench/rumpfuse}")
	export RUMPFUSE BENCH_TOP=$top
	export BENCH_OPS=$top/build-bench/ops
	setup build-bench -Dtests=false && compile build-bench || return 1
	UKFS_MODULES=$(dirname "$RUMPFUSE")
	export UKFS_MODULES
	gcc -O2 -Wall -Wextra -o build-bench/ops bench/ops.c || return 1
	if newest_libfuse build-libfuse examples >&2; then
		BENCH_LIBFUSE_NEW_VERSION=$(cat build-libfuse/version)
		export BENCH_LIBFUSE_NEW_VERSION BENCH_LIBFUSE_NEW=$top/build-libfuse/examples
	fi
	if bash bench/peers.sh build-libfuse-system >&2; then
		export BENCH_LIBFUSE_SYSTEM=$top/build-libfuse-system/examples
	fi
}

bench_bench()
{
	local p
	# shellcheck disable=SC2086
	deps $BUILD_DEPS $RUN_DEPS $TEST_DEPS || exit 1
	# A peer that cannot be had is a row that says so.
	# shellcheck disable=SC2086
	deps $BENCH_DEPS || for p in $BENCH_DEPS; do
		deps "$p" || echo "bench: $p cannot be installed" >&2
	done
	bench_builds || exit 1
	exec python3 bench/run.py "$@"
}

bench_profile()
{
	# shellcheck disable=SC2086
	deps $BUILD_DEPS $RUN_DEPS linux-perf strace procps || exit 1
	build || exit 1
	RUMPFUSE=$top/build/rumpfuse bash bench/profile.sh "$@"
}

# The daemon as it would be installed, as for the benchmark.
bench_scaling()
{
	# shellcheck disable=SC2086
	deps $BUILD_DEPS $RUN_DEPS python3 || exit 1
	setup build-bench -Dtests=false && compile build-bench || exit 1
	RUMPFUSE=${RUMPFUSE:-$top/build-bench/rumpfuse} bash bench/scaling.sh "$@"
}

bench_contend()
{
	# shellcheck disable=SC2086
	deps $BUILD_DEPS || exit 1
	setup build && compile build contend || exit 1
	build/contend "$@"
}
