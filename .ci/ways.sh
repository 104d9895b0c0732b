# shellcheck shell=bash
# Other ways between the kernel and the daemon, for ./dev, which sources this: the newest libfuse,
# which has some of its own, and the transport that is not the machine's default.
# shellcheck disable=SC2154

# What building the newest libfuse asks, and its examples.
LIBFUSE_DEPS="liburing-dev libnuma-dev g++ dpkg-dev pkg-config meson ninja-build"

# newest_libfuse DIR [examples]: 0, 1: cannot be built, 2: cannot be had.
newest_libfuse()
{
	# shellcheck disable=SC2086
	if ! deps $LIBFUSE_DEPS; then
		echo "newest libfuse: what building it needs cannot be installed: $LIBFUSE_DEPS" >&2
		return 2
	fi
	dist/newest-libfuse.sh "$@"
}

# 0, 1: cannot be built, 2: its source cannot be had.
build_newest()
{
	local rc
	newest_libfuse build-libfuse
	rc=$?
	[ $rc = 0 ] || return $rc
	PKG_CONFIG_PATH=$top/build-libfuse/prefix/lib/pkgconfig setup build-newest || return 1
	# shellcheck disable=SC2046,SC2086
	compile_werror build-newest $(but_for build-newest '^tests/') $NEWEST_UNITS || return 1
	mkdir -p build-newest/tests/mnt && lend_programs build-newest
}

# Those that have the daemon's requests in them.
NEWEST_UNITS="tests/t-control tests/t-stats-race tests/t-confine tests/t-pass tests/t-unopened"
# Start and end, many threads, mount(8)'s options, and what is agreed on with the kernel: files
# that it reads and writes by itself, opens and listings that it does not ask for.
NEWEST_TESTS="01-start 12-race 44-mount8 50-passthrough 51-memory-passthrough 53-noopen 55-dircache"

stage_newest()
{
	local log rc
	log=$(mktemp)
	build && build_newest >"$log" 2>&1
	rc=$?
	if [ $rc = 2 ]; then
		echo "== newest libfuse"
		echo "SKIP newest libfuse: $(tail -n 1 "$log")"
		S=$((S + 1))
	else
		tally "build with the newest libfuse" report "$rc" "$log"
		tally "unit tests, newest libfuse" unit build-newest
		# shellcheck disable=SC2086
		RF_RACE_SECONDS=5 sized tally "mount tests, newest libfuse" mnt build-newest $NEWEST_TESTS
	fi
	rm -f "$log"
}

# Some mount tests again, with requests that come the other way (transport = of [daemon]): by
# io_uring where that is off, which is turned on meanwhile, else by /dev/fuse.
OTHER_WAY="01-start 04-keys 12-race 15-crash 28-notify"

other_way()
{
	local switch=/sys/module/fuse/parameters/enable_uring was rc
	if [ ! -e $switch ]; then
		echo "SKIP io_uring: the kernel's FUSE has none"
		echo "0 passed, 0 failed, 1 skipped"
		return
	fi
	was=$(cat $switch)
	if [ "$was" = Y ]; then
		# shellcheck disable=SC2086
		RF_TRANSPORT=device mnt build $OTHER_WAY
		return
	fi
	if ! echo Y 2>/dev/null >$switch; then
		echo "SKIP io_uring: it is off, and cannot be turned on"
		echo "0 passed, 0 failed, 1 skipped"
		return
	fi
	# However this ends, the machine has it as it was.  Traps wait for what runs in the
	# foreground, so the tests do not.
	# shellcheck disable=SC2064
	trap "echo $was >$switch" EXIT
	trap 'other_way_ends 129' HUP
	trap 'other_way_ends 130' INT
	trap 'other_way_ends 143' TERM
	# shellcheck disable=SC2086
	RF_TRANSPORT=io-uring mnt build $OTHER_WAY &
	OTHER_PID=$!
	wait $OTHER_PID
	rc=$?
	trap - HUP INT TERM EXIT
	echo "$was" >$switch
	return $rc
}

# other_way_ends STATUS: with what it has begun.
other_way_ends()
{
	# shellcheck disable=SC2046
	kill $(pgrep -P "$OTHER_PID") "$OTHER_PID"
	exit "$1"
}
