#!/bin/bash
# run.sh [-j N] [NN-name …]: runs the mount tests (all, or those named) and prints a line
# for each, with what it measured.  The last line is the sum: "N passed, N failed,
# N skipped".
#
# Environment: as lib.sh says.  RUMPFUSE and TESTBIN default to what is in ./build.
# RF_LOGS: a directory to keep every test's output in.
#
# Four tests run at a time, for they wait most of it; but those that say "# alone" measure.
# Those that say "# first" take longest and are started before the others.

set -u
here=$(cd "$(dirname "$0")" && pwd)
export RUMPFUSE=${RUMPFUSE:-$here/../../build/rumpfuse}
export TESTBIN=${TESTBIN:-$here/../../build/tests/mnt}
jobs=4
if [ "${1:-}" = -j ]; then
	jobs=$2
	shift 2
fi
for f in "$RUMPFUSE" "$TESTBIN/p-model"; do
	if [ ! -x "$f" ]; then
		echo "$f is not there; build first" >&2
		exit 1
	fi
done
logs=${RF_LOGS:-$(mktemp -d)}
mkdir -p "$logs"
sum="$logs/.sum"
: >"$sum"

tests=()
if [ $# = 0 ]; then
	tests=("$here"/[0-9][0-9]-*.sh)
else
	for t in "$@"; do
		t=$(basename "$t" .sh)
		tests+=("$here/$t.sh")
	done
fi

run_one()
{
	local name start rc last p f s
	name=$(basename "$1" .sh)
	start=$(date +%s)
	bash "$1" >"$logs/$name.log" 2>&1
	rc=$?
	last=$(tail -n 1 "$logs/$name.log")
	if read -r p _ f _ s _ < <(echo "$last" |
	    grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$'); then
		[ $rc = 0 ] || [ "$f" != 0 ] || f=1
	else
		p=0 f=1 s=0 last="it ended without a result, with status $rc"
	fi
	[ "$f" = 0 ] && [ "$p" = 0 ] && [ "$s" = 0 ] && f=1
	{
		flock 9
		echo "$p $f $s" >>"$sum"
		printf '%-6s %-18s %4d s  %s\n' "$([ "$f" = 0 ] && echo ok || echo FAILED)" \
		    "$name" $(($(date +%s) - start)) "$last"
		grep -E '^(figure|deviation)' "$logs/$name.log" | sed 's/^/         /'
		if [ "$f" = 0 ]; then
			grep -E '^SKIP' "$logs/$name.log" | sed 's/^/         /'
		else
			sed 's/^/    | /' "$logs/$name.log"
		fi
	} 9>"$logs/.lock"
}

running=0
mapfile -t tests < <(grep -l '^# first' "${tests[@]}"; grep -L '^# first' "${tests[@]}")
for t in "${tests[@]}"; do
	grep -q '^# alone' "$t" && continue
	if [ $running -ge "$jobs" ]; then
		wait -n
		running=$((running - 1))
	fi
	run_one "$t" &
	running=$((running + 1))
done
wait
for t in "${tests[@]}"; do
	grep -q '^# alone' "$t" && run_one "$t"
done

awk '{ p += $1; f += $2; s += $3 }
    END { printf "%d passed, %d failed, %d skipped\n", p, f, s; exit f > 0 || p + s == 0 }' "$sum"
rc=$?
[ -n "${RF_LOGS:-}" ] || rm -rf "$logs"
exit $rc
