#!/bin/bash
# profile.sh OP [PLACE] [SECONDS]: where the time of one operation goes, as a table.
#
# OP is one of bench/ops_loop.c (without one: all of them); PLACE is memory (the default) or
# key, a directory of the host.  One client asks for it over and over while perf looks where
# it and the daemon are, by the processor's clock: what is slept does not appear in the parts,
# only in the wall time.  Each sample is given to one part by the function it is in and those
# that called it (profile.awk).
#
# Environment: RUMPFUSE, the daemon; PROFILE_OPTS, more of its options; PROFILE_HOST, the
# host directory of PLACE key (default: made in /dev/shm).
set -u
here=$(cd "$(dirname "$0")" && pwd)
RUMPFUSE=${RUMPFUSE:-$here/../build/rumpfuse}
place=${2:-memory}
seconds=${3:-2}

if [ "${PROFILE_STAGE:-}" != 2 ]; then
	[ "$(id -u)" = 0 ] || { echo "profile: perf of other processes takes root" >&2; exit 1; }
	PROFILE_STAGE=2 exec unshare -m --propagation private bash "$0" "$@"
fi

work=$(mktemp -d)
host=${PROFILE_HOST:-$(mktemp -d -p /dev/shm)}
daemon=
leave()
{
	umount "$work/m" 2>/dev/null || umount -l "$work/m" 2>/dev/null
	[ -z "$daemon" ] || wait "$daemon" 2>/dev/null
	rm -rf "$work"
	[ -n "${PROFILE_HOST:-}" ] || rm -rf "$host"
}
trap leave EXIT
cc -O2 -o "$work/ops_loop" "$here/ops_loop.c" || exit 1
mkdir "$work/m" "$host/key"
# shellcheck disable=SC2086
"$RUMPFUSE" -f ${PROFILE_OPTS:-} -k "/key=$host/key" none "$work/m" 2>"$work/log" &
daemon=$!
for ((i = 0; i < 100; i++)); do
	mountpoint -q "$work/m" && break
	sleep 0.1
done
mountpoint -q "$work/m" || { cat "$work/log" >&2; exit 1; }
dir=$work/m
[ "$place" != key ] || dir=$work/m/key

can=0
perf stat -e cpu-clock true >/dev/null 2>&1 && can=1

# one OP
one()
{
	local op=$1 client
	rm -rf "$dir"/p0-*
	"$work/ops_loop" "$op" "$dir" "$((seconds + 4))" >"$work/result" &
	client=$!
	sleep 1
	if [ "$can" = 1 ]; then
		perf record -q -g -F 2999 -e cpu-clock -o "$work/data" \
		    -p "$daemon,$(pgrep -P "$client" | tr '\n' ',' | sed 's/,$//')" \
		    -- sleep "$seconds" >/dev/null 2>&1
		wait "$client"
		perf script -i "$work/data" -F comm,ip,sym,dso 2>/dev/null |
		    awk -v op="$op" -v place="$place" -v seconds="$seconds" -v rate=2999 \
			-v result="$(cat "$work/result")" -f "$here/profile.awk"
	else
		echo "$op, $place: perf cannot run here; the daemon's calls by strace, which slows them:"
		timeout "$seconds" strace -f -c -w -p "$daemon" -o "$work/calls" 2>/dev/null
		wait "$client"
		head -n 12 "$work/calls"
	fi
	echo
}

if [ -n "${1:-}" ]; then
	one "$1"
else
	for op in stat miss open create read4k write4k read1m write1m readdir; do
		one "$op"
	done
fi
