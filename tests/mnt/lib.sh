# The frame of every mount test; sourced first:
#
#	LIMIT=60				# seconds; 120 if not set
#	. "$(dirname "$0")/lib.sh"
#	rf_mount none "$W/m"			# or a file, or the text of a configuration
#	check "a directory can be made" mkdir "$W/m/d"
#	rf_umount "$W/m"
#	done_testing
#
# Environment: RUMPFUSE, the daemon; TESTBIN, the directory of the built p-* programs;
# RF_SLOW, a factor (sanitizer builds): limits of time are multiplied by it, and measured
# times are printed and not judged; RF_TRANSPORT, auto, device or io-uring: how requests are
# to come wherever the test does not say.  (A stopped daemon stands for a host that does not
# answer, whose users can be killed: by io_uring they cannot, so a test says device for it.)
#
# A script runs three times.  First it becomes a child in namespaces of its own for mounts
# and processes.  There, as process 1, it is the keeper: it makes the directories $W (on a
# disk) and $S (in memory), runs itself once more as the test proper, and stops that after
# the limit.  Whatever the test leaves behind (a mount, a process, a loop device) is a
# failure, and is removed.  A daemon that hangs takes everybody with it who touches its
# mount, so the keeper never does: it reads the mount table, aborts the connections through
# /sys/fs/fuse/connections, detaches and kills.
#
# The last line is "N passed, N failed, N skipped"; the exit status is 1 if any failed.

set -u
LIMIT=$((${LIMIT:-120} * ${RF_SLOW:-1}))
MEASURE=1
[ "${RF_SLOW:-1}" = 1 ] || MEASURE=0

# Device numbers of the FUSE mounts in this namespace, as the connections are called.
rf_fuse_devs()
{
	awk '{ for (i = 7; $i != "-"; i++) ; if ($(i + 1) ~ /^fuse(\.|$)/) {
	    split($3, d, ":"); print d[2] } }' /proc/self/mountinfo | sort -un
}

# Mount points with these device numbers, innermost first.
rf_mounts_of()
{
	awk -v devs="$*" 'BEGIN { n = split(devs, a, " "); for (i in a) want["0:" a[i]] }
	    $3 in want { m[++k] = $5 } END { for (; k; k--) print m[k] }' /proc/self/mountinfo
}

# Processes of this namespace but the keeper and whoever asks.
rf_processes()
{
	local d
	for d in /proc/[0-9]*; do
		d=${d#/proc/}
		[ "$d" != 1 ] && [ "$d" != "$BASHPID" ] || continue
		# A zombie is only waiting to be reaped; a vanished one is gone.
		grep -q '^State:.*[^ZX] (' "/proc/$d/status" 2>/dev/null || continue
		echo "$d"
	done
}

rf_keeper()
{
	local old rc left devs p loop passed=0 failed=0 skipped=0

	mountpoint -q /sys/fs/fuse/connections ||
	    mount -t fusectl none /sys/fs/fuse/connections || exit 1
	old=$(rf_fuse_devs)
	W=$(mktemp -d "${RF_DISK:-/var/tmp}/rf.XXXXXX") || exit 1
	S=$(mktemp -d /dev/shm/rf.XXXXXX) || exit 1
	chmod 755 "$W" "$S"
	export W S
	RF_STAGE=2 timeout --foreground "$LIMIT" bash "$0" "$@" </dev/null
	rc=$?
	[ -r "$W/.counts" ] && read -r passed failed skipped <"$W/.counts"
	if [ $rc = 124 ]; then
		echo "FAIL the test takes longer than $LIMIT s"
		failed=$((failed + 1))
		# What it was at.
		tail -n 30 "$W/.prog" "$W/.check" "$W/.out" 2>/dev/null | sed 's/^/  | /'
	elif [ ! -r "$W/.counts" ]; then
		echo "FAIL the test ended early, with status $rc"
		failed=$((failed + 1))
	fi

	devs=$(comm -13 <(echo "$old") <(rf_fuse_devs) | tr '\n' ' ')
	if [ -n "${devs% }" ] && [ $rc != 124 ]; then
		echo "FAIL a mount is left behind: $(rf_mounts_of $devs | tr '\n' ' ')"
		failed=$((failed + 1))
	fi
	for p in $devs; do
		echo 1 >"/sys/fs/fuse/connections/$p/abort"
	done
	# What is about to end by itself gets two seconds for it.
	for p in 1 2 3 4 5 6 7 8 9 10; do
		left=$(rf_processes)
		[ -n "$left" ] && [ $rc != 124 ] || break
		sleep 0.2
	done
	if [ -n "$left" ]; then
		if [ $rc != 124 ]; then
			echo "FAIL a process is left behind:"
			failed=$((failed + 1))
		fi
		for p in $left; do
			echo "  $p $(tr '\0' ' ' <"/proc/$p/cmdline")"
			kill -9 "$p"
		done 2>/dev/null
	fi
	while IFS= read -r p; do
		umount -l "$p"
	done < <(awk -v w="$W/" -v s="$S/" 'index($5, w) == 1 || index($5, s) == 1 {
	    m[++k] = $5 } END { for (; k; k--) print m[k] }' /proc/self/mountinfo)
	losetup -l -n -O NAME,BACK-FILE | while read -r loop p; do
		case $p in
		"$W"/* | "$S"/*) losetup -d "$loop" ;;
		esac
	done
	if [ "$failed" != 0 ]; then
		for p in "$W"/daemon*.log; do
			[ -s "$p" ] || continue
			echo "--- $(basename "$p")"
			tail -n 60 "$p"
		done
	fi
	if [ -n "${RF_KEEP:-}" ]; then
		echo "kept: $W $S"
	else
		rm -rf --one-file-system "$W" "$S"
	fi
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" = 0 ]
}

case ${RF_STAGE:-0} in
0)
	RUMPFUSE=$(realpath "${RUMPFUSE:?is to be the daemon}") || exit 1
	TESTBIN=$(realpath "${TESTBIN:?is to be the directory of the p-* programs}") || exit 1
	# The modules of this build, whatever is installed.
	UKFS_MODULES=$(dirname "$RUMPFUSE")
	export RUMPFUSE TESTBIN UKFS_MODULES
	RF_STAGE=1 exec unshare -m -p -f --mount-proc --kill-child --propagation private \
	    bash "$0" "$@"
	;;
1)
	rf_keeper "$@"
	exit
	;;
esac

# From here on: the test proper.

HERE=$(cd "$(dirname "$0")" && pwd)
RF_PASSED=0 RF_FAILED=0 RF_SKIPPED=0 RF_SERIAL=0
declare -A RF_PID RF_LOG
# Every module has a symbol of the same name (vfs/image/fstype.h), and of the same size.  How
# large the thread-local memory of a library is that was loaded late, the sanitizer guesses from
# what lies before it, and looks for pointers all through that guess: it is not to.
export ASAN_OPTIONS="${ASAN_OPTIONS:-exitcode=99:detect_leaks=1:detect_odr_violation=1:intercept_tls_get_addr=0}"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-halt_on_error=1:print_stacktrace=1:exitcode=98}"
# No detection of deadlocks: directories are locked parent before child, and a rename can
# make a parent of a child; checked builds watch the ranks.
export TSAN_OPTIONS="${TSAN_OPTIONS:-exitcode=97:halt_on_error=0:detect_deadlocks=0}"
export LC_ALL=C
umask 022
cd "$W" || exit 1

ok()
{
	RF_PASSED=$((RF_PASSED + 1))
	[ -z "${RF_VERBOSE:-}" ] || echo "ok   $*"
}

fail()
{
	RF_FAILED=$((RF_FAILED + 1))
	echo "FAIL $*"
}

skip()
{
	RF_SKIPPED=$((RF_SKIPPED + 1))
	echo "SKIP $*"
}

figure()
{
	echo "figure: $*"
}

# check WHAT COMMAND…: the command succeeds.
check()
{
	local what=$1 rc
	shift
	"$@" >"$W/.check" 2>&1
	rc=$?
	if [ $rc = 0 ]; then
		ok "$what"
		return 0
	fi
	fail "$what: status $rc of: $*"
	tail -n 40 "$W/.check" | sed 's/^/  | /'
	return 1
}

# refuse WHAT TEXT COMMAND…: the command fails, and says TEXT (an extended regular
# expression) somewhere.
refuse()
{
	local what=$1 text=$2 rc
	shift 2
	"$@" >"$W/.check" 2>&1
	rc=$?
	if [ $rc = 0 ]; then
		fail "$what: succeeds: $*"
	elif ! grep -qE -- "$text" "$W/.check"; then
		fail "$what: does not say \"$text\":"
		tail -n 10 "$W/.check" | sed 's/^/  | /'
	else
		ok "$what"
		return 0
	fi
	return 1
}

# same WHAT GOT WANTED
same()
{
	if [ "$2" = "$3" ]; then
		ok "$1"
	else
		fail "$1: is \"$2\", expected \"$3\""
		return 1
	fi
}

# at_most WHAT GOT LIMIT: numbers, with a fraction or without; a measurement.
at_most()
{
	figure "$1: $2 (limit $3)"
	if [ $MEASURE = 0 ]; then
		return 0
	elif awk -v a="$2" -v b="$3" 'BEGIN { exit !(a != "" && a + 0 <= b + 0) }'; then
		ok "$1"
	else
		fail "$1: $2 is more than $3"
	fi
}

# program WHAT P-PROGRAM ARGS…: runs it; its figures are shown, and all it says when it
# fails.
program()
{
	local what=$1 prog=$2 rc
	shift 2
	"$TESTBIN/$prog" "$@" >"$W/.prog" 2>&1
	rc=$?
	grep -E '^(figure|deviation|SKIP)' "$W/.prog"
	if [ $rc = 0 ]; then
		ok "$what"
	else
		fail "$what: status $rc of: $prog $*"
		tail -n 60 "$W/.prog" | sed 's/^/  | /'
		return 1
	fi
}

# judge PART TREE: says how a part of a list went on a tree.  It was run with -v into
# $W/rows/TREE.PART, its status is in $W/rows/TREE.PART.rc.  The rows are kept in
# $W/rows/TREE, the tags of those that deviate in $W/rows/TREE.tags.
judge()
{
	local part=$1 tree=$2 out=$W/rows/$2.$1 rc line
	rc=$(cat "$out.rc")
	sed -nE "s/^(ok   |known|bad  ) /\1 $part: /p" "$out" >>"$W/rows/$tree"
	sed -nE "s/^deviation ([^:]*): .*/\1/p" "$out" >>"$W/rows/$tree.tags"
	while IFS= read -r line; do
		skip "$tree: ${line#SKIP }"
	done < <(grep '^SKIP' "$out")
	if [ "$rc" = 0 ]; then
		ok "$tree: $part"
	else
		fail "$tree: $part: status $rc"
		grep -vE '^(ok   |known|bad  ) ' "$out" | tail -n 60 | sed 's/^/  | /'
	fi
}

# differ TREE REFERENCE: the rows that come out differently.
differ()
{
	diff "$W/rows/$2" "$W/rows/$1" | sed -n "s/^> /$1 /p"
}

# same_rows TREE…: the trees were asked the same.
same_rows()
{
	local tree
	for tree in "$@"; do
		same "as many rows on $tree as on $1" "$(wc -l <"$W/rows/$tree")" \
		    "$(wc -l <"$W/rows/$1")"
	done
}

# needed TREE TAG…: a tag that no row deviates under is not to be there.
needed()
{
	local tree=$1 tag
	shift
	for tag in "$@"; do
		check "$tree: rows deviate under $tag" grep -qxF -- "$tag" "$W/rows/$tree.tags"
	done
}

rf_is_mounted()
{
	grep -qF " $1 " < <(awk '{ for (i = 7; $i != "-"; i++) ; if ($(i + 1) ~ /^fuse/)
	    print " " $5 " " }' /proc/self/mountinfo)
}

# rf_conf TEXT-OR-FILE: prints the name of a file that holds it.
rf_conf()
{
	case $1 in
	none | /*) echo "$1" ;;
	*)
		local f="$W/$((RANDOM * 32768 + RANDOM)).conf"
		printf '%s\n' "$1" >"$f"
		echo "$f"
		;;
	esac
}

# rf_mount CONF DIR [OPTION…]: starts a daemon in the foreground mode as a job of ours and
# returns when the mount answers.  CONF: "none", an absolute file name, or text.  Its pid
# is ${RF_PID[DIR]}, what it prints is in ${RF_LOG[DIR]}.  RF_NOFILE limits its open files.
rf_mount()
{
	local conf mnt=$2 i
	conf=$(rf_conf "$1")
	shift 2
	[ -z "${RF_TRANSPORT:-}" ] || set -- -o "transport=$RF_TRANSPORT" "$@"
	mkdir -p "$mnt" 2>/dev/null
	RF_SERIAL=$((RF_SERIAL + 1))
	RF_LOG[$mnt]=$W/daemon$RF_SERIAL.log
	RF_CONF=$conf
	(
		[ -z "${RF_NOFILE:-}" ] || ulimit -n "$RF_NOFILE"
		exec "$RUMPFUSE" -f "$@" "$conf" "$mnt"
	) >"${RF_LOG[$mnt]}" 2>&1 &
	RF_PID[$mnt]=$!
	for ((i = 0; i < 2000; i++)); do
		# A dead mount may be there, which the daemon is to replace.
			# A dead mount that is being taken away shows what lies below it.
		rf_is_mounted "$mnt" && [ "$(stat -f -c %t "$mnt" 2>/dev/null)" = 65735546 ] && return 0
		kill -0 "${RF_PID[$mnt]}" 2>/dev/null || break
		sleep 0.02
	done
	wait "${RF_PID[$mnt]}"
	fail "mounting $conf at $mnt: status $?"
	sed 's/^/  | /' "${RF_LOG[$mnt]}" | tail -n 30
	unset "RF_PID[$mnt]"
	return 1
}

# rf_dead_says DIR: what will be said of a mount, whose daemon is there as yet, when that has been
# killed.  By io_uring a moment passes before the kernel knows, and requests of that are called
# off.
rf_dead_says()
{
	if "$(dirname "$RUMPFUSE")/rumpfusectl" "$1" stats --json | grep -qE '"transport": *"io-uring"'; then
		echo 'not connected|connection abort|[Cc]anceled'
	else
		echo 'not connected'
	fi
}

# rf_wait DIR: waits for the daemon, whose end has been brought about already, and judges
# how it ended.
rf_wait()
{
	local mnt=$1 rc i
	for ((i = 0; i < 600 * ${RF_SLOW:-1}; i++)); do
		kill -0 "${RF_PID[$mnt]}" 2>/dev/null || break
		sleep 0.05
	done
	if kill -0 "${RF_PID[$mnt]}" 2>/dev/null; then
		fail "the daemon of $mnt ends"
		kill -9 "${RF_PID[$mnt]}"
	fi
	{ wait "${RF_PID[$mnt]}"; } 2>/dev/null
	rc=$?
	unset "RF_PID[$mnt]"
	same "exit status of the daemon of $mnt" $rc 0
	if grep -qE 'Sanitizer|runtime error:|Assertion|rank|SUMMARY:' "${RF_LOG[$mnt]}"; then
		fail "the daemon of $mnt reports an error in itself"
		grep -nE -A 30 'Sanitizer|runtime error:|Assertion|rank' "${RF_LOG[$mnt]}" |
		    head -n 80 | sed 's/^/  | /'
	fi
}

# rf_umount DIR [umount|term|int]: ends the mount; the daemon must end with status 0 and
# nothing to complain about.
rf_umount()
{
	local mnt=$1 i
	if [ -z "${RF_PID[$mnt]:-}" ]; then
		return 1
	fi
	case ${2:-umount} in
	umount)
		for ((i = 0; i < 50; i++)); do
			umount "$mnt" 2>"$W/.out" && break
			sleep 0.1
		done
		if rf_is_mounted "$mnt"; then
			fail "umount $mnt: $(cat "$W/.out")"
			umount -l "$mnt"
		fi
		;;
	term) kill -TERM "${RF_PID[$mnt]}" ;;
	int) kill -INT "${RF_PID[$mnt]}" ;;
	esac
	rf_wait "$mnt"
	! rf_is_mounted "$mnt" || fail "$mnt is still mounted"
}

# rf_reload DIR WHAT COMMAND…: SIGHUP, then waits up to 5 s for the command to succeed.
rf_reload()
{
	local mnt=$1 what=$2 i
	shift 2
	kill -HUP "${RF_PID[$mnt]}"
	for ((i = 0; i < 100; i++)); do
		if "$@" >/dev/null 2>&1; then
			ok "$what"
			return 0
		fi
		sleep 0.05
	done
	fail "$what: not seen 5 s after SIGHUP: $*"
	return 1
}

# rf_start STATUS ARGS…: runs the daemon with these arguments as a person would and
# compares the exit status; its output is in $W/.out.
rf_start()
{
	local want=$1 rc
	shift
	timeout 20 "$RUMPFUSE" "$@" >"$W/.out" 2>&1
	rc=$?
	if [ $rc != "$want" ]; then
		fail "status $rc, expected $want, of: rumpfuse $*"
		sed 's/^/  | /' "$W/.out" | head -n 20
		return 1
	fi
	ok "status $want of: rumpfuse $*"
}

# rf_daemon_of DIR: the pid of the daemon that runs in the background for this mount.
rf_daemon_of()
{
	local p
	for p in $(rf_processes); do
		if [ "$(readlink "/proc/$p/exe")" = "$RUMPFUSE" ] &&
		    tr '\0' '\n' <"/proc/$p/cmdline" | grep -qxF -- "$1"; then
			echo "$p"
		fi
	done
}

# rf_gone PID: waits for a process that is not our child to end.
rf_gone()
{
	local i
	for ((i = 0; i < 200 * ${RF_SLOW:-1}; i++)); do
		grep -q '^State:.*[^ZX] (' "/proc/$1/status" 2>/dev/null || return 0
		sleep 0.05
	done
	return 1
}

# io WHAT WANTED FILE FLAGS OP…: what p-io says, lines joined by blanks.
io()
{
	local what=$1 want=$2
	shift 2
	same "$what" "$("$TESTBIN/p-io" "$@" 2>&1 | tr '\n' ' ' | sed 's/ $//')" "$want"
}

# rss_kib PID
rss_kib()
{
	awk '$1 == "VmRSS:" { print $2 }' "/proc/$1/status"
}

now()
{
	date +%s.%N
}

since()
{
	awk -v a="$1" -v b="$(date +%s.%N)" 'BEGIN { printf "%.2f", b - a }'
}

# sum_outside FILE BEGIN SIZE: a checksum of all bytes of FILE but the window.
sum_outside()
{
	{
		head -c "$2" "$1"
		tail -c +$(($2 + $3 + 1)) "$1"
	} | sha256sum
}

done_testing()
{
	local m
	for m in "${!RF_PID[@]}"; do
		rf_umount "$m"
	done
	echo "$RF_PASSED $RF_FAILED $RF_SKIPPED" >"$W/.counts"
	exit $((RF_FAILED != 0))
}
