#!/bin/bash
# Host files that the kernel reads, writes and maps without the daemon (passthrough), and
# what must stay as it is: sizes and times, who may write what, set-id bits, the time of
# access of evidence, several who have one file open, and those that have to be served as
# usual.
LIMIT=120
. "$(dirname "$0")/lib.sh"
M=$W/m
CTL=$(dirname "$RUMPFUSE")/rumpfusectl

# stat_of FILTER: a number of the statistics.
stat_of()
{
	"$CTL" "$M" stats --json | jq "(.result // .) | $1"
}
passed()
{
	stat_of .passthrough.opens
}
# asked OP…: how many of these requests there were.
asked()
{
	local op s=0 n
	for op in "$@"; do
		n=$(stat_of "[.operations[]|select(.name==\"$op\")|.count]|add // 0")
		s=$((s + n))
	done
	echo "$s"
}
# py WHAT FILE: the Python program on standard input succeeds on that file.
py()
{
	cat >"$W/prog.py"
	check "$1" /usr/bin/python3 "$W/prog.py" "$2"
}
user="setpriv --reuid 65532 --regid 65532 --clear-groups"

# Writing and reading in all ways, on a file below a directory key, and by a file key.
body()
{
	local where=$1 f=$2 h=$3 n t
	n=$(passed)
	t=$(asked read write)
	printf 'one\ntwo\n' >"$f"
	same "$where: written" "$(cat "$h")" $'one\ntwo'
	same "$where: read" "$(cat "$f")" $'one\ntwo'
	dd if=/dev/urandom of="$f" bs=4k count=64 conv=notrunc status=none
	check "$where: as it is on the host" cmp "$f" "$h"
	same "$where: the size is known" "$(stat -c %s "$f")" 262144
	same "$where: opens that the kernel took" $(($(passed) - n)) 4
	same "$where: requests to read or write" $(($(asked read write) - t)) 0
	py "$where: sizes, holes, mappings, flags" "$f" <<'P'
import ctypes, fcntl, mmap, os, sys, time
p = sys.argv[1]
fd = os.open(p, os.O_RDWR)
os.ftruncate(fd, 0)
assert os.fstat(fd).st_size == 0
for i in range(64):
    assert os.pwrite(fd, bytes([i]) * 4096, i * 4096) == 4096
    assert os.fstat(fd).st_size == (i + 1) * 4096
# Times move.
was = os.fstat(fd)
time.sleep(0.02)
os.pwrite(fd, b"x", 100)
now = os.fstat(fd)
assert now.st_mtime_ns > was.st_mtime_ns and now.st_ctime_ns > was.st_ctime_ns
assert os.stat(p).st_mtime_ns == now.st_mtime_ns
# Truncating and growing, by name and by descriptor.
os.truncate(p, 5000)
assert os.lseek(fd, 0, os.SEEK_END) == 5000 and os.pread(fd, 8192, 4990) == b"\x01" * 10
os.ftruncate(fd, 1 << 20)
assert os.pread(fd, 10, 5000) == bytes(10)
# Holes.
os.posix_fallocate(fd, 1 << 20, 4096)
assert os.fstat(fd).st_size == (1 << 20) + 4096
os.pwrite(fd, b"d", 600000)
libc = ctypes.CDLL(None, use_errno=True)
libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long]
assert libc.fallocate(fd, 3, 0, 4096) == 0          # punch a hole, keep the size
assert os.pread(fd, 4096, 0) == bytes(4096)
at = os.lseek(fd, 16384, os.SEEK_DATA)
assert 16384 <= at <= 600000, at
assert os.lseek(fd, at, os.SEEK_HOLE) > 600000
# Mappings: what is written one way is read the other, at once.
m = mmap.mmap(fd, 8192)
c = mmap.mmap(fd, 8192, flags=mmap.MAP_PRIVATE)
m[0:3] = b"map"
assert os.pread(fd, 3, 0) == b"map" and c[0:3] == b"map"
os.pwrite(fd, b"file", 4096)
assert m[4096:4100] == b"file"
c[0:3] = b"own"
assert os.pread(fd, 3, 0) == b"map"
m.flush()
os.fsync(fd)
# Those who come while it is open: to append, and what they see is one.
a = os.open(p, os.O_RDWR | os.O_APPEND)
size = os.fstat(fd).st_size
assert os.write(a, b"tail") == 4
assert os.pread(fd, 10, size) == b"tail" and os.fstat(fd).st_size == size + 4
os.pwrite(fd, b"seen", 0)
assert os.pread(a, 4, 0) == b"seen"
# Appending is a flag that can go and come.
fcntl.fcntl(a, fcntl.F_SETFL, 0)
os.pwrite(a, b"HEAD", 0)
assert os.pread(fd, 4, 0) == b"HEAD" and os.fstat(fd).st_size == size + 4
fcntl.fcntl(fd, fcntl.F_SETFL, os.O_APPEND)
os.write(fd, b"more")
assert os.fstat(a).st_size == size + 8 and os.pread(a, 8, size) == b"tailmore"
fcntl.fcntl(fd, fcntl.F_SETFL, 0)
# Without caches, and without again.
d = os.open(p, os.O_RDWR | os.O_DIRECT)
b = mmap.mmap(-1, 4096)
b[0:4] = b"DRCT"
assert os.pwritev(d, [b], 8192) == 4096
assert os.pread(fd, 4, 8192) == b"DRCT"
fcntl.fcntl(d, fcntl.F_SETFL, 0)
assert os.pwrite(d, b"odd", 8193) == 3 and os.pread(fd, 4, 8192) == b"Dodd"
# O_TRUNC by another, and copies in the kernel.
t = os.open(p, os.O_WRONLY | os.O_TRUNC)
assert os.fstat(fd).st_size == 0 and os.pread(fd, 10, 0) == b""
os.write(t, b"0123456789")
assert os.copy_file_range(fd, t, 10, 0, 10) == 10
assert os.pread(fd, 100, 0) == b"01234567890123456789"
assert os.sendfile(t, fd, 5, 5) == 5 and os.pread(fd, 5, 10) == b"56789"
P
	check "$where: the same on the host after that" cmp "$f" "$h"
	# A later open that goes through the kernel's own pages has none of before.
	exec 5>>"$f" && printf end >&5
	same "$where: appended, and read as usual beside" "$(tail -c 3 "$f")" end
	printf host >>"$h"
	same "$where: what the host appends" "$(tail -c 4 "$f")" host
	exec 5>&-
	same "$where: and read by the kernel again" "$(tail -c 7 "$f")" endhost
}

for kind in disk memory; do
	[ $kind = disk ] && H=$W/host || H=$S/host
	mkdir -p "$H/d/sub" "$H/ro"
	echo key >"$H/f"
	echo evidence >"$H/ro/e"
	truncate -s 64K "$H/img"
	chmod 777 "$H/d"
	rf_mount "[daemon]
allow-other = yes
[etfs /f]
host = $H/f
[etfs /g]
host = $H/f
[etfs /d]
host = $H/d
[etfs /ro]
host = $H/ro
access = ro
[etfs /win]
host = $H/img
type = blk
size = 32K
[etfs /chr]
host = $H/img
type = chr
begin = 32K
[etfs /over]
host = $H/f
mode = 4755" "$M" || done_testing
	if [ "$(stat_of .passthrough.on)" != true ]; then
		skip "the kernel does not pass anything through (Linux 6.9 does, for root)"
		rf_umount "$M"
		done_testing
	fi
	body "$kind, a directory key" "$M/d/sub/x" "$H/d/sub/x"
	body "$kind, a file key" "$M/f" "$H/f"

	# One host file under two keys.
	py "$kind: two keys of one host file" "$M" <<'P'
import mmap, os, sys
f, g = os.open(sys.argv[1] + "/f", os.O_RDWR), os.open(sys.argv[1] + "/g", os.O_RDWR)
os.ftruncate(f, 8192)
m = mmap.mmap(g, 4096)
for i in range(200):
    os.pwrite(f, b"%08d" % i, 0)
    assert os.pread(g, 8, 0) == b"%08d" % i and m[0:8] == b"%08d" % i
    os.pwrite(g, b"%08d" % i, 8000)
    assert os.pread(f, 8, 8000) == b"%08d" % i
    os.ftruncate(f, 8192 + i)
    assert os.fstat(g).st_size == 8192 + i or i == 0
P
	# A file without a name, renamed, with two names.
	py "$kind: names" "$M/d" <<'P'
import os, sys
os.chdir(sys.argv[1])
fd = os.open("n1", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
os.write(fd, b"text")
os.link("n1", "n2")
two = os.open("n2", os.O_RDWR)
os.rename("n1", "n3")
os.pwrite(two, b"TEXT", 0)
assert os.pread(fd, 4, 0) == b"TEXT" and open("n3").read() == "TEXT"
os.unlink("n2"); os.unlink("n3")
assert os.fstat(fd).st_nlink == 0
os.pwrite(fd, b"more", 4)
assert os.pread(two, 8, 0) == b"TEXTmore" and os.fstat(two).st_size == 8
t = os.open(".", os.O_RDWR | os.O_TMPFILE, 0o600)
os.write(t, b"tmp")
assert os.pread(t, 3, 0) == b"tmp"
P
	# Not these: windows, what has set-id bits, what only promises to be read.
	n=$(passed)
	head -c 100 "$M/win" >"$W/.out"
	printf x 1<>"$M/win"
	dd if="$M/chr" of="$W/.out" bs=512 count=1 status=none
	cp /bin/true "$M/d/suid"
	chmod 4755 "$M/d/suid"
	t=$(passed)
	cat "$M/d/suid" >"$W/.out"
	cat "$M/over" >"$W/.out"
	same "$kind: opens of windows and set-id files that the kernel took" \
	    $(($(passed) - t)) 0
	refuse "$kind: a key that is read only" "Read-only" dd if=/dev/zero of="$M/ro/e" \
	    count=1 conv=notrunc
	same "$kind: which is untouched" "$(cat "$H/ro/e")" evidence

	# What a stranger writes takes set-id bits off, whenever they were set.
	touch "$M/d/prog"
	chmod 666 "$M/d/prog"
	# shellcheck disable=SC2016
	rm -f "$W/opened" "$W/changed"
	mkfifo -m 666 "$W/opened" "$W/changed"
	(
		read -r _ <"$W/opened"
		chmod 6777 "$M/d/prog"
		stat -c %a "$M/d/prog" >"$W/mode"
		echo >"$W/changed"
	) &
	check "$kind: a stranger writes to what became set-id meanwhile" $user bash -c '
	    exec 4<>"$1"; echo >"$2"; read -r _ <"$3"; echo text >&4' bash \
	    "$M/d/prog" "$W/opened" "$W/changed"
	wait $!
	same "$kind: which it was" "$(cat "$W/mode")" 6777
	same "$kind: its mode on the host" "$(stat -c %a "$H/d/prog")" 777
	same "$kind: as it is seen" "$(stat -c %a "$M/d/prog")" 777
	chmod 6777 "$M/d/prog"
	check "$kind: a stranger writes to a set-id file" $user sh -c 'echo text >>"$1"' sh "$M/d/prog"
	same "$kind: its mode on the host after that" "$(stat -c %a "$H/d/prog")" 777
	same "$kind: as it is seen after that" "$(stat -c %a "$M/d/prog")" 777

	# What may only be appended to cannot be overwritten through a mapping.
	printf logged >"$M/d/log"
	if chattr +a "$H/d/log" 2>"$W/.out"; then
		py "$kind: append-only" "$M/d/log" <<'P'
import mmap, os, sys
r = os.open(sys.argv[1], os.O_RDONLY)
w = os.open(sys.argv[1], os.O_RDWR | os.O_APPEND)
os.write(w, b"more")
try:
    m = mmap.mmap(w, 6)
    m[0:6] = b"forged"
    m.flush()
except OSError:
    pass
P
		same "$kind: append-only, on the host" "$(cat "$H/d/log")" loggedmore
		chattr -a "$H/d/log"
		exec 5<"$M/d/log"
		chattr +a "$H/d/log"
		refuse "$kind: append-only since it is passed" "Text file busy" \
		    /usr/bin/python3 -c 'import os, sys; os.open(sys.argv[1], os.O_RDWR | os.O_APPEND)' "$M/d/log"
		check "$kind: but it is appended to" sh -c 'printf x >>"$1"' sh "$M/d/log"
		exec 5<&-
		same "$kind: all of it" "$(cat "$M/d/log")" loggedmorex
		chattr -a "$H/d/log"
	else
		skip "$kind: no append-only files here: $(cat "$W/.out")"
	fi

	# The time of access of evidence stays, whoever reads it and how.
	touch -a -d '2001-01-01' "$H/ro/e"
	cat "$M/ro/e" >"$W/.out"
	check "$kind: evidence can be mapped" /usr/bin/python3 -c 'import mmap, sys
f = open(sys.argv[1], "rb"); assert mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)[0:8] == b"evidence"' "$M/ro/e"
	same "$kind: the time of access of evidence" "$(stat -c %X "$H/ro/e")" \
	    "$(date -d 2001-01-01 +%s)"

	check "$kind: explained" test "$("$CTL" "$M" explain --json /d/x | jq -c .result.passthrough,.passthrough | grep true)" = true
	"$CTL" "$M" explain /win >"$W/.out"
	check "$kind: and that a window is not" grep -q 'passthrough.*no' "$W/.out"
	same "$kind: per key" "$(stat_of '[.keys[]|select(.path=="/d")|.passthrough_opens > 3]|first')" true
	same "$kind: none were refused" "$(stat_of .passthrough.refused)" 0

	# A handle that the kernel has cannot be taken away; the name can.
	exec 6<>"$M/f"
	printf kept >&6
	sed -i '/^\[etfs \/f\]/,+1d' "$RF_CONF"
	rf_reload "$M" "$kind: a key is removed" test ! -e "$M/f"
	same "$kind: what was open goes on" "$(printf more >&6; head -c 8 "$H/f")" keptmore
	exec 6>&-
	rf_umount "$M"
done

# Hosts whose mount leaves times alone: there evidence is read by the kernel, too.
mkdir "$W/still"
mount -o bind "$W/host" "$W/still" && mount -o remount,bind,noatime "$W/still"
touch -a -d 2001-01-01 "$W/host/ro/e"
rf_mount "[etfs /ro]
host = $W/still/ro
access = ro" "$M" || done_testing
same "evidence on a host that keeps no times" "$(cat "$M/ro/e")" evidence
same "is read by the kernel" "$(passed)" 1
same "and its time stays" "$(stat -c %X "$W/host/ro/e")" "$(date -d 2001-01-01 +%s)"
rf_umount "$M"
umount "$W/still"

# Stacked file systems are not taken, and serve all the same.
mkdir "$S/l" "$S/u" "$S/w" "$S/o"
echo lower >"$S/l/x"
if mount -t overlay -o "lowerdir=$S/l,upperdir=$S/u,workdir=$S/w" none "$S/o" 2>"$W/.out"; then
	rf_mount "[etfs /o]
host = $S/o" "$M" || done_testing
	same "on overlayfs: read" "$(cat "$M/o/x")" lower
	echo upper >"$M/o/x"
	same "on overlayfs: written" "$(cat "$S/u/x")" upper
	same "on overlayfs: none was taken" "$(passed)" 0
	rf_umount "$M"
	umount "$S/o"
else
	skip "overlayfs cannot be mounted here: $(cat "$W/.out")"
fi

# passthrough = no: nothing is handed out, and a key that goes takes its handles along.
echo key >"$W/host/f"
rf_mount "[daemon]
passthrough = no
[etfs /f]
host = $W/host/f" "$M" || done_testing
same "passthrough = no: read" "$(cat "$M/f")" key
same "passthrough = no: none is taken" "$(passed)" 0
same "passthrough = no: said so" "$(stat_of .passthrough.on)" false
exec 6<"$M/f"
sed -i '/^\[etfs \/f\]/,+1d' "$RF_CONF"
rf_reload "$M" "passthrough = no: a key is removed" test ! -e "$M/f"
refuse "passthrough = no: what was open is revoked" "Input/output error" cat <&6
exec 6<&-
rf_umount "$M"

# What a 4 KiB write costs.
rf_mount "[dir /mem]
[etfs /d]
host = $W/host/d
[etfs /n]
host = $W/host/d" "$M" || done_testing
for f in mem/w d/w; do
	for how in middle append; do
		head -c 409600 /dev/zero >"$M/$f"
		n=$(stat_of '[.operations[].count]|add')
		/usr/bin/python3 - "$M/$f" $how <<'P'
import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | (os.O_APPEND if sys.argv[2] == "append" else 0))
for i in range(100):
    os.write(fd, bytes(4096)) if sys.argv[2] == "append" else os.pwrite(fd, bytes(4096), i * 4096)
P
		n=$(($(stat_of '[.operations[].count]|add') - n))
		figure "requests of 100 writes of 4 KiB, /$f, $how: $n"
		limit=112
		[ $how != middle ] || limit=12
		check "/$f, $how: few requests" [ "$n" -le $limit ]
	done
done
rf_umount "$M"
done_testing
