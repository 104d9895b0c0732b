#!/bin/bash
# rumpfusectl and daemons that are none: whatever one answers, or does not, the program ends in
# time, says why, and does not crash.
LIMIT=100
. "$(dirname "$0")/lib.sh"
CTL=$(dirname "$RUMPFUSE")/rumpfusectl
T=0.2 # seconds that it waits
[ $MEASURE = 1 ] || T=2

MODES="garbage half wrongid stringid noid nullid deep deepobject comment array empty noresult
noerror okstring latin1 closed nothing silent deaf drip endless progress protocol2 stranger types
good many10000"
mkfifo "$W/in"
# shellcheck disable=SC2086
python3 "$HERE/ctl-fake.py" "$W" $MODES <"$W/in" >"$W/fake.out" 2>"$W/fake.err" &
FAKE=$!
exec 7>"$W/in" # it ends when this is closed
for ((i = 0; i < 500; i++)); do
	! grep -q ready "$W/fake.out" || break
	sleep 0.02
done

# ctl STATUS TEXT ARGS…: ends within the time, with this status, and says TEXT on stderr.
ctl()
{
	local want=$1 text=$2 rc
	shift 2
	timeout 60 "$CTL" -t $T -S "$W/$MODE" "$@" >"$W/ctl.out" 2>"$W/ctl.err" 7>&-
	rc=$?
	same "$MODE, $*: status" "$rc" "$want" || { sed 's/^/  | /' "$W/ctl.err"; return 1; }
	[ -z "$text" ] || check "$MODE, $*: says \"$text\"" grep -qE -- "$text" "$W/ctl.err"
}

# What each mode comes to.
while read -r MODE status text; do
	ctl "$status" "$text" list
	case $MODE in
	nothing | silent | deaf | drip | endless | progress) ctl "$status" "$text" reload ;;
	*)
		for op in reload "stats --openmetrics"; do
			# shellcheck disable=SC2086
			ctl "$status" "$text" $op
		done
		;;
	esac
done <<'Y'
garbage 4 not in the protocol: no JSON
half 4 has not answered
wrongid 4 not asked
stringid 4 not asked
noid 4 not asked
nullid 1 EPROTO
deep 4 not in the protocol
deepobject 4 nested too deeply
comment 4 no JSON
array 4 no JSON object
empty 4 no JSON object
noresult 4 without a result
noerror 4 without a result
okstring 4 without a result
latin1 4 no JSON object
closed 4 closed the connection
nothing 4 has not answered
silent 4 has not answered
deaf 4 takes no connections
drip 4 has not answered
endless 4 has not answered|is not in the protocol
progress 4 has not answered
protocol2 4 speaks protocol 2
stranger 3 not you
Y

# Everything of another type than it should be: taken for absent, and no noise.
MODE=types
for op in list "list -p" stats "stats --json" "explain /a" reload "add /a=/b" "remove /a"; do
	# shellcheck disable=SC2086
	ctl 0 "" $op
	same "$op: nothing on stderr" "$(cat "$W/ctl.err")" ""
done
ctl 0 "" stats --openmetrics
check "such statistics are OpenMetrics all the same" /usr/bin/python3 "$HERE/openmetrics.py" "$W/ctl.out"
ctl 0 "" top -b -n 1 -d 0.1

# One that is well: texts that would play with a terminal, progress, logs.
MODE=good
ctl 0 "" list
check "control characters of names are shown as numbers" grep -qF '/evil\033[2J\012\342\200\256name\134' \
    "$W/ctl.out"
same "and nothing else of them" "$(tr -d '[:print:]\n' <"$W/ctl.out" | wc -c)" 0
ctl 0 "" list --json
same "as JSON they are what they were" "$(jq -r '.entries[2].path' "$W/ctl.out" | od -An -c | tr -d ' \n')" \
    "$(printf '/evil\033[2J\n\342\200\256name\\\n' | od -An -c | tr -d ' \n')"
same "on one line" "$(wc -l <"$W/ctl.out")" 1
ctl 1 "such thing.*ENOENT" explain /disk/p1 /none /b
same "those that are there are explained" "$(grep -c '^/' "$W/ctl.out")" 2
ctl 1 "what led to it" remove /a --json
same "a refusal as JSON" "$(jq -r '.error.code, .log[0].text' "$W/ctl.out")" "ENOSYS
what led to it"
ctl 0 "^warning: two keys" reload
same "the plan, and no progress where no terminal is" "$(cat "$W/ctl.out")" "add /a
add /b
remove /c
2 added, 1 removed, 0 changed"
ctl 0 "" stats
same "what waits comes first" "$(head -n 1 "$W/ctl.out")" "WAITING: 1 request for longer than 5 s"
(cd "$W" && ctl 0 "" add 'k=a\,b,type=reg' --json)
same "a host path becomes absolute" "$(jq -r .key "$W/ctl.out")" "k=$W/a\\,b,type=reg"
ctl 0 "" stats --openmetrics
check "OpenMetrics text" /usr/bin/python3 "$HERE/openmetrics.py" "$W/ctl.out"
check "a key's name in a label" grep -qF 'key="/q\"uo\\te\n"' "$W/ctl.out"
ctl 0 "" top -b -n 2 -d 0.3
same "two rounds" "$(grep -c 'operations/s' "$W/ctl.out")" 2
# A hundred lookups in a second; those of the interval took 8 µs, the slow ones came before.
check "rates and percentiles of the interval" awk '$1 == "lookup" { n++
    if ($2 < 80 || $2 > 125 || $4 != 8 || $8 != 8) exit 1 } END { exit n != 2 }' "$W/ctl.out"
for out in list stats "stats --openmetrics" "stats --json"; do
	# shellcheck disable=SC2086
	"$CTL" -S "$W/$MODE" $out >/dev/full 2>"$W/ctl.err"
	same "$out: output that cannot be written" $? 5
done
check "the terminal: size, stop, q" python3 "$HERE/ctl-pty.py" \
    "see:lookup;see:WAITING;size:10x40;size:3x20;size:40x120;see:/disk/p1;stop;see:lookup;key:q;end:0" \
    "$CTL" -S "$W/$MODE" top -d 0.2
for sig in INT TERM HUP; do
	check "the terminal after SIG$sig" python3 "$HERE/ctl-pty.py" \
	    "see:lookup;signal:$sig;end:-$(kill -l $sig)" "$CTL" -S "$W/$MODE" top -d 0.1
done
check "so many rounds" python3 "$HERE/ctl-pty.py" "see:lookup;end:0" "$CTL" -S "$W/$MODE" top -d 0.1 -n 2
check "progress on a terminal" python3 - "$CTL" "$W/$MODE" <<'Y'
import os, pty, sys
seen = b""
def read(fd):
    global seen
    data = os.read(fd, 4096)
    seen += data
    return data
os.close(1), os.open("/dev/null", os.O_WRONLY)
status = pty.spawn([sys.argv[1], "-S", sys.argv[2], "reload"], read, lambda fd: b"")
assert status == 0, status
assert b"registering: 8 of 9 keys, 88 %" in seen, seen
assert b"\r\x1b[K" in seen, seen
Y
MODE=nothing
check "q is heard while the daemon says nothing" python3 "$HERE/ctl-pty.py" \
    "see:NO ANSWER;key:q;end:0" "$CTL" -S "$W/$MODE" top -d 0.2

# Many entries in one answer.
MODE=many10000
T=60
ctl 0 "" list
same "30,000 entries" "$(wc -l <"$W/ctl.out")" 30001
MODE=none
ctl 3 "No such file" list
exec 7>&-
wait "$FAKE"
same "the fakes have nothing to complain about" "$(cat "$W/fake.err")" ""
MODE=good
T=5
ctl 3 "no daemon listens there" list
done_testing
