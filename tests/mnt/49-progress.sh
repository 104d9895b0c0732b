#!/bin/bash
# What takes long says so: a bar on a terminal, STATUS= for a service manager, lines
# elsewhere; and nothing remains of it, nor is said of what is quick.
LIMIT=120
. "$(dirname "$0")/lib.sh"
M=$W/m
mkdir "$M"

# What one waits for.  In the large one b lies behind 5 MiB that bzip2 has to go through, with
# a small cache.
mkdir "$S/t"
head -c 5M /dev/urandom >"$S/t/a"
head -c 100K /dev/urandom >"$S/t/b"
head -c 9M /dev/urandom >"$S/t/c"
head -c 3M /dev/urandom >"$S/t/d"
pack() { tar -C "$S/t" --use-compress-program='bzip2 -1' -cf "$@"; }
check "a large archive" pack "$W/big.tar.bz2" a b c
check "a smaller one" pack "$W/mid.tar.bz2" d
head -c 300000 "$W/big.tar.bz2" >"$W/cut.tar.bz2"
mid="[mount /mid]
host = $W/mid.tar.bz2
vfs = archive"

# terminal FILE COMMAND…: the command on a terminal of 100 columns, for which the variables of
# the environment stand before it; with -f it is unmounted when it is mounted.  What the
# terminal has got is in FILE, what is to be seen on it in the end is in FILE.screen.
cat >"$W/terminal.py" <<'P'
import fcntl, os, pty, re, struct, subprocess, sys, termios, threading, time
out, mnt, argv = sys.argv[1], sys.argv[2], sys.argv[3:]
master, slave = pty.openpty()
fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 25, 100, 0, 0))
got = bytearray()
def read():
    try:
        while True:
            data = os.read(master, 65536)
            if not data:
                break
            got.extend(data)
    except OSError:
        pass
reader = threading.Thread(target=read)
reader.start()
p = subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave)
os.close(slave)
if mnt != "-":
    # Before it says so it may be looking at the mount itself.
    while p.poll() is None and b" mounted on " not in got:
        time.sleep(0.02)
    while p.poll() is None and subprocess.run(["umount", mnt]).returncode:
        time.sleep(0.1)
rc = p.wait()
reader.join()
os.close(master)
open(out, "wb").write(got)
rows, row = [], ""
for part in re.findall("\r\n|\r|\033\\[K|[^\r\033]+|.", got.decode(), re.S):
    if part == "\r\n":
        rows.append(row)
        row = ""
    elif part == "\r":
        back = True
    elif part == "\033[K":
        row = ""
    else:
        row += part
open(out + ".screen", "w").write("\n".join(rows + [row]))
sys.exit(rc)
P
terminal()
{
	local out=$1 mnt=$2
	shift 2
	timeout 30 python3 "$W/terminal.py" "$out" "$mnt" "$@"
}
bars()
{
	tr '\r' '\n' <"$1" | grep -cE "$2"
}

conf=$(rf_conf "$mid")
now="RF_PROGRESS_AFTER_MS=20 RF_PROGRESS_LINE_MS=100"

# In the foreground.
# shellcheck disable=SC2086
check "a mount on a terminal" terminal "$W/fg" "$M" env $now TERM=xterm "$RUMPFUSE" -f "$conf" "$M"
n=$(bars "$W/fg" 'opening .*mid.tar.bz2 \[[#-]+\] [0-9]+ %  [0-9.]+ of 3\.[0-9] MiB  [0-9.]+ MiB/s  0:0[0-9] left$')
check "has a bar ($n times)" [ "$n" -ge 1 ]
same "and no line of it on the screen in the end" "$(cat "$W/fg.screen")" \
    "rumpfuse: $conf mounted on $M"
longest=$(tr '\r' '\n' <"$W/fg" | sed 's/\x1b\[K//' | awk 'length > n { n = length } END { print n }')
check "no bar is wider than the terminal ($longest)" [ "$longest" -lt 100 ]

# In the background the parent waits, and the child has the terminal.
# shellcheck disable=SC2086
check "a mount in the background" terminal "$W/bg" - env $now TERM=xterm "$RUMPFUSE" "$conf" "$M"
check "has a bar" [ "$(bars "$W/bg" 'opening .*\] [0-9]+ %')" -ge 1 ]
same "of which nothing remains" "$(cat "$W/bg.screen")" ""
daemon=$(rf_daemon_of "$M")
umount "$M"
check "its daemon ends" rf_gone "$daemon"

# What is logged meanwhile stands above the bar.
cut=$(rf_conf "[mount /cut]
host = $W/cut.tar.bz2
vfs = archive
$mid")
check "a mount with a warning" terminal "$W/warn" "$M" env RF_PROGRESS_AFTER_MS=0 TERM=xterm \
    "$RUMPFUSE" -f "$cut" "$M"
check "the warning is whole" grep -qE "^$cut:1: \[mount /cut\]: mount /cut from .*damaged after 1 entries \(.*\)$" "$W/warn.screen"
check "it comes in the midst of a bar" grep -qaE "K$cut:1" "$W/warn"
same "two lines, and no bar" "$(grep -c . "$W/warn.screen")" 2

# No terminal that could draw it, or none at all.
# shellcheck disable=SC2086
check "a mount on a dumb terminal" terminal "$W/dumb" "$M" env $now TERM=dumb \
    "$RUMPFUSE" -f "$conf" "$M"
line="^rumpfuse: opening $W/mid.tar.bz2: [0-9.]+ of 3\.[0-9] MiB, [0-9]+ %, [0-9.]+ MiB/s, 0:0[0-9] left$"
check "has lines" grep -qE "$line" "$W/dumb.screen"
check "and nothing else" bash -c "! grep -qa $'\033' '$W/dumb'"
export RF_PROGRESS_AFTER_MS=20 RF_PROGRESS_LINE_MS=100
rf_mount "$mid
[mount /big]
host = $W/big.tar.bz2
vfs = archive
options = cache=8M" "$M" || done_testing
log=${RF_LOG[$M]}
check "lines in a log" grep -qE "$line" "$log"
check "and how long it took" grep -qE "^rumpfuse: opening $W/big.tar.bz2: it took 0:0[0-9]$" "$log"
check "a file far behind" cmp "$M/big/b" "$S/t/b"
check "says what it waits for" \
    grep -qE "^rumpfuse: reading through $W/big.tar.bz2: [0-9.]+ of 5\.[0-9] MiB, [0-9]+ %" "$log"
check "and how long it took" grep -qE "^rumpfuse: reading through $W/big.tar.bz2: it took" "$log"
check "nothing is drawn" bash -c "! grep -qa $'\033' '$log'"
rf_umount "$M"

# A service manager.
cat >"$W/notify.py" <<'P'
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
while True:
    data = s.recv(65536).decode()
    print(data.replace("\n", " "), flush=True)
    if data == "X":
        break
P
python3 "$W/notify.py" "$S/notify" >"$W/told" &
manager=$!
for ((i = 0; i < 100; i++)); do
	[ -S "$S/notify" ] && break
	sleep 0.05
done
export NOTIFY_SOCKET=$S/notify
rf_mount "$conf" "$M" || done_testing
unset NOTIFY_SOCKET
rf_umount "$M"
python3 -c 'import socket, sys
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"X", sys.argv[1])' "$S/notify"
wait $manager
check "STATUS= for a service manager, and more time" grep -qE \
    "^STATUS=opening $W/mid.tar.bz2: .* [0-9]+ %.* EXTEND_TIMEOUT_USEC=[0-9]+$" "$W/told"
check "which is taken back" \
    [ "$(awk '/^STATUS=/ { now = $1 } END { print now }' "$W/told")" != STATUS=opening ]

# Keys, and a file that is copied.
: >"$S/f"
for ((i = 0; i < 5000; i++)); do
	printf '[etfs /keys/k%d]\nhost = %s\n' "$i" "$S/f"
done >"$W/many.conf"
cp "$W/many.conf" "$W/keys.conf"
printf '[file /copy]\nhost-copy = %s\n' "$S/t/a" >>"$W/many.conf"
RF_PROGRESS_AFTER_MS=1 RF_PROGRESS_LINE_MS=1 rf_start 0 --check "$W/many.conf"
check "keys are counted" grep -qE '^rumpfuse: checking: [0-9]+ of 500[0-9] entries, [0-9]+ %' "$W/.out"
check "a copy is told of" grep -qE "^rumpfuse: copying $S/t/a: [0-9.]+ of 5\.0 MiB" "$W/.out"

# Who asks for a reload is told how far it is, once a second: of the copy, were it there, and
# of nothing more where all of it takes no longer.
export RF_PROGRESS_AFTER_MS=1
reload=$(rf_conf "[dir /d]")
rf_mount "$reload" "$M" || done_testing
cat "$W/keys.conf" >>"$reload"
check "a reload by rumpfusectl" terminal "$W/ctl" - env TERM=xterm \
    "$(dirname "$RUMPFUSE")/rumpfusectl" "$M" reload
check "shows how far it is" grep -qaE 'checking: [0-9]+ of 500[0-9] entries, [0-9]+ %' "$W/ctl"
check "and takes that away" bash -c "! grep -qE 'entries, [0-9]+ %$' '$W/ctl.screen'"
check "the plan is cut, which is said" grep -q '^\.\.\. and 4800 more' "$W/ctl.screen"
printf '[dir /d]\n' >"$reload"
"$(dirname "$RUMPFUSE")/rumpfusectl" --json "$M" reload >"$W/reload.json"
same "in numbers where programs read it" "$(jq -c '[(.plan|length),.plan_left_out,.removed,(.plan[]|select(startswith("- ")|not))]' \
    "$W/reload.json")" '[200,4800,5000]'
rf_umount "$M"

# As people have it: what is quick says nothing.
unset RF_PROGRESS_AFTER_MS RF_PROGRESS_LINE_MS
quick=$(rf_conf "[mount /cut]
host = $W/small.tar.gz
vfs = archive
[dir /d]")
tar -C "$S/t" -czf "$W/small.tar.gz" b
check "a quick mount" terminal "$W/quick" "$M" env TERM=xterm "$RUMPFUSE" -f "$quick" "$M"
same "says what it always said" "$(cat "$W/quick")" "rumpfuse: $quick mounted on $M"$'\r'
rf_mount "$quick" "$M" || done_testing
check "so in a log" bash -c "! grep -qE 'opening|registering' '${RF_LOG[$M]}'"
done_testing
