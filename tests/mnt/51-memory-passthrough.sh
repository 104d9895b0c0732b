#!/bin/bash
# Files in memory that the kernel reads, writes and maps without the daemon: the limit holds
# to the page whoever writes, what others see is right, everything is given back, and random
# work comes out as on a tmpfs of the same size.
LIMIT=120
. "$(dirname "$0")/lib.sh"
M=$W/m
CTL=$(dirname "$RUMPFUSE")/rumpfusectl
MB=8

stat_of()
{
	"$CTL" "$M" stats --json | jq "(.result // .) | $1"
}
asked()
{
	stat_of '[.operations[]|select(.name=="read" or .name=="write")|.count]|add // 0'
}
used()
{
	sync "$M"
	df --output=used -B4096 "$1" | tail -n 1 | tr -d ' '
}
# py WHAT ARG…: the Python program on standard input succeeds.
py()
{
	local what=$1
	shift
	cat >"$W/prog.py"
	check "$what" /usr/bin/python3 "$W/prog.py" "$@"
}
# emptied WHAT: what a release gives back comes a moment later.
emptied()
{
	local i
	rm -f "$M"/* # what a failed part has left
	for i in $(seq 50); do
		[ "$(used "$M")" = 0 ] && break
		sleep 0.1
	done
	same "$1" "$(used "$M")" 0
}

cat >"$W/conf" <<X
[daemon]
allow-other = yes
no-open = no
[rumpfs]
size = ${MB}M
mode = 1777
[file /said]
content = said in the configuration
mode = 0666
X
mkdir -p "$W/ref"
rf_mount "$W/conf" "$M" -o suid || done_testing
if [ "$(stat_of .passthrough.on)" != true ]; then
	skip "the kernel does not pass anything through (Linux 6.9 does, for root)"
	rf_umount "$M"
	done_testing
fi
same "what was there before counts" "$(used "$M")" 1
rm "$M/said"

same "read ahead" \
    "$(cat "/sys/class/bdi/$(mountpoint -d "$M")/read_ahead_kb" 2>&1)" 1024

# Nothing of it comes by the daemon.
n=$(asked)
head -c 3000000 /dev/urandom >"$W/data"
cp "$W/data" "$M/large"
check "written and read" cmp "$W/data" "$M/large"
echo short >"$M/small"
same "a small one" "$(cat "$M/small")" short
check "through the kernel alone" test $(($(asked) - n)) -le 1
same "size and blocks" "$(stat -c '%s %b' "$M/large")" "3000000 5864"
same "as df has it" "$(used "$M")" 734
rm "$M/large" "$M/small"
emptied "nothing is left"

py "the limit, to the page" "$M" $((MB << 20)) <<'P'
import errno, mmap, os, sys, time
m, size = sys.argv[1], int(sys.argv[2])
P = 4096
total = size // P
def free(want=None):
    # What has been unlinked is given back when the kernel has forgotten it.
    for _ in range(100):
        n = os.statvfs(m).f_bfree
        if want is None or n == want:
            break
        time.sleep(0.05)
    return n
def fill(fd, off):
    n = 0
    while True:
        try:
            n += os.pwrite(fd, b"x" * 65536, off + n)
        except OSError as e:
            assert e.errno == errno.ENOSPC, e
            return n
# A large one before the small ones: after many of those it would go by the daemon at first.
with open(m + "/big", "wb") as f:
    f.write(b"x" * 1000000)
os.truncate(m + "/big", 0)
assert free(total) == total, free()
for i in range(20):  # small ones
    with open(f"{m}/s{i}", "wb") as f:
        f.write(b"s" * (i * 300 + 1))
small = sum((i * 300 + 1 + P - 1) // P for i in range(20))
assert free(total - small) == total - small, free()
fd = os.open(m + "/big", os.O_RDWR | os.O_CREAT)
assert fill(fd, 0) == (total - small) * P
assert free(0) == 0, free()
# Nobody else has anything either.
for what in (lambda: os.posix_fallocate(fd, size, P), lambda: os.setxattr(m + "/s0", "user.x", b"y" * 1000)):
    try:
        what()
        assert False
    except OSError as e:
        assert e.errno == errno.ENOSPC, e
with open(m + "/s1", "r+b", buffering=0) as f:
    f.seek(P)
    try:
        f.write(b"z")
        assert False
    except OSError as e:
        assert e.errno == errno.ENOSPC, e
# What one gives back another has.
os.unlink(m + "/s0")
assert free(1) == 1, free()
assert os.pwrite(fd, b"x" * P, size) == P
assert free(0) == 0, free()
os.ftruncate(fd, 10 * P)
assert free(total - small + 1 - 10) == total - small + 1 - 10, free()
# Holes that are written cost, what is punched is given back.
os.ftruncate(fd, size * 4)
assert os.fstat(fd).st_blocks == 80
mm = mmap.mmap(fd, size * 4)
os.close(fd)
for i in range(100, 110):
    mm[i * P] = 1
assert free(total - small + 1 - 20) == total - small + 1 - 20, free()
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
fd = os.open(m + "/big", os.O_RDWR)
assert os.pread(fd, 1, 105 * P) == b"\1"
assert libc.fallocate(fd, 3, ctypes.c_long(100 * P), ctypes.c_long(5 * P)) == 0
assert free(total - small + 1 - 15) == total - small + 1 - 15, free()
at = os.lseek(fd, 10 * P, os.SEEK_DATA)
assert at == 105 * P, at / P
assert os.lseek(fd, 105 * P, os.SEEK_HOLE) == 110 * P
assert mm[104 * P] == 0 and mm[105 * P] == 1
# A page that cannot be had is SIGBUS, in a child.
fill(fd, 0)
assert free(0) == 0, free()
pid = os.fork()
if pid == 0:
    mm[size * 4 - 1] = 1
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -7
mm.close()
os.close(fd)
for n in os.listdir(m):
    os.unlink(m + "/" + n)
P
emptied "all of it is given back"

# Several who fill it, by writes, by the daemon, and with small ones.
py "many fill it" "$M" $((MB << 20)) <<'P'
import errno, os, sys
m, size = sys.argv[1], int(sys.argv[2])
P = 4096
kids = []
for k in range(6):
    pid = os.fork()
    if pid:
        kids.append(pid)
        continue
    n = i = 0
    try:
        while True:
            if k % 2:
                fd = os.open(f"{m}/k{k}", os.O_RDWR | os.O_CREAT | os.O_APPEND * (k == 3))
                os.lseek(fd, 0, 2)
                for _ in range(16):
                    n += os.write(fd, b"k" * P)
            else:
                fd = os.open(f"{m}/k{k}.{i}", os.O_RDWR | os.O_CREAT)
                n += os.write(fd, b"k" * P)
                i += 1
            os.close(fd)
    except OSError as e:
        os._exit(0 if e.errno == errno.ENOSPC else 1)
for p in kids:
    assert os.waitpid(p, 0)[1] == 0
import time
for _ in range(100):
    if os.statvfs(m).f_bfree == 0:
        break
    time.sleep(0.05)
have = sum(os.stat(f"{m}/{n}").st_blocks * 512 for n in os.listdir(m))
assert have == size and os.statvfs(m).f_bfree == 0, (have, size)
for n in os.listdir(m):
    d = open(f"{m}/{n}", "rb").read()
    assert d == b"k" * len(d), n
    os.unlink(f"{m}/{n}")
P
emptied "and that too"

# Who opens it in another way sees the same; flags and set-id bits are as on tmpfs.
mount -t tmpfs -o "size=${MB}M" ref "$W/ref"
cat >"$W/seen.py" <<'P'
import fcntl, mmap, os, struct, sys, time
d = sys.argv[1]
p = d + "/f"
open(p, "w").write("as it was")
assert open(p).read() == "as it was"          # the kernel has its own page of it
w = os.open(p, os.O_RDWR)
os.pwrite(w, b"is", 3)
assert open(p).read() == "as is was", open(p).read()
os.close(w)
assert open(p).read() == "as is was"
r = os.open(p, os.O_RDONLY)                    # read first, then written
w = os.open(p, os.O_RDWR)
os.pwrite(w, b"IT", 3)
assert os.pread(r, 9, 0) == b"as IT was"
a = os.open(p, os.O_WRONLY | os.O_APPEND)
os.write(a, b"!")
assert os.pread(w, 20, 0) == b"as IT was!"
os.utime(p, ns=(5, 7))
assert os.stat(p).st_mtime_ns == 7 and os.stat(p).st_atime_ns == 5
for f in (r, w, a):
    os.close(f)
assert os.stat(p).st_mtime_ns == 7
os.chmod(p, 0o6777)
os.chown(p, 1000, 1000)
os.chmod(p, 0o6777)
pid = os.fork()
if pid == 0:
    os.setgroups([])
    os.setresgid(2000, 2000, 2000)
    os.setresuid(2000, 2000, 2000)
    f = os.open(p, os.O_WRONLY)
    os.write(f, b"X")
    os._exit(0)
os.waitpid(pid, 0)
print("after a stranger's write %o" % os.stat(p).st_mode)
os.chmod(p, 0o6777)
f = os.open(p, os.O_WRONLY)
os.write(f, b"Y")
print("after root's %o" % os.stat(p).st_mode)
os.close(f)
# A stranger's chown to nobody leaves them.
os.chmod(p, 0o755)
r = os.open(p, os.O_RDONLY)
os.chmod(p, 0o6755)
s = os.open(p, os.O_RDONLY)
pid = os.fork()
if pid == 0:
    os.setgroups([])
    os.setresgid(2000, 2000, 2000)
    os.setresuid(2000, 2000, 2000)
    try:
        os.chown(p, -1, -1)
    except OSError as e:
        os._exit(e.errno)
    os._exit(0)
os.waitpid(pid, 0)
print("after a stranger's chown %o" % os.stat(p).st_mode)
os.close(r)
os.close(s)
# Capabilities go whoever writes, and whoever has it open beside.
os.chmod(p, 0o777)
for how in (0, os.O_APPEND):
    os.setxattr(p, "security.capability", struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0))
    r = os.open(p, os.O_RDONLY)
    f = os.open(p, os.O_WRONLY | how)
    os.write(f, b"Z")
    print("capabilities", os.listxattr(p))
    os.close(f)
    os.close(r)
# The limit of file sizes is the caller's.
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
f = os.open(p, os.O_RDWR)
print("short", os.pwrite(f, b"x" * 4000, 3000))
try:
    os.pwrite(f, b"x", 5000)
except OSError as e:
    print(e.errno)
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
os.close(f)
# Mapped, closed, and many others opened and closed meanwhile.
f = os.open(p, os.O_RDWR)
mm = mmap.mmap(f, 4096)
os.close(f)
for i in range(300):
    open(f"{d}/n{i}", "w").write("n")
mm[0:4] = b"MMAP"
assert open(p, "rb").read(4) == b"MMAP"
open(p, "r+b").write(b"FILE")
assert mm[0:4] == b"FILE"
mm.close()
FS_GET, FS_SET = 0x80086601, 0x40086602
f = os.open(p, os.O_RDWR)
for flag in (0x10, 0x20):
    fcntl.ioctl(f, FS_SET, struct.pack("l", flag))
    for how in (os.O_WRONLY, os.O_WRONLY | os.O_APPEND, os.O_RDONLY):
        try:
            os.close(os.open(p, how))
            print(flag, how, "opens")
        except OSError as e:
            print(flag, how, e.errno)
fcntl.ioctl(f, FS_SET, struct.pack("l", 0))
for n in os.listdir(d):
    os.unlink(d + "/" + n)
P
/usr/bin/python3 "$W/seen.py" "$W/ref" >"$W/seen.ref" 2>&1
check "as others see it" /usr/bin/python3 "$W/seen.py" "$M"
same "as tmpfs has it" "$(cat "$W/.check")" "$(cat "$W/seen.ref")"
umount "$W/ref"
emptied "and now"

# What may only be appended to cannot be overwritten through a mapping; what does not note when
# it is read does not.
py "append-only, and no time of access" "$M/log" <<'P'
import fcntl, mmap, os, struct, sys, time
p = sys.argv[1]
w = os.open(p, os.O_RDWR | os.O_CREAT)
for _ in range(50):
    os.write(w, bytes(4096))            # a file of the store
os.close(w)
def flags(n):
    f = os.open(p, os.O_RDONLY)
    fcntl.ioctl(f, 0x40086602, struct.pack("l", n))
    os.close(f)
flags(0x20)
r = os.open(p, os.O_RDONLY)
w = os.open(p, os.O_RDWR | os.O_APPEND)
os.write(w, b"more")
try:
    m = mmap.mmap(w, 4096)
    m[0:6] = b"forged"
    m.flush()
except OSError:
    pass
os.close(w)
assert os.pread(r, 6, 0) == bytes(6)
os.close(r)
flags(0)
os.utime(p, ns=(5, 7))
flags(0x80)
r = os.open(p, os.O_RDONLY)
assert os.pread(r, 4, 204800) == b"more"
assert mmap.mmap(r, 4096, prot=mmap.PROT_READ)[0:6] == bytes(6)
os.close(r)
assert os.stat(p).st_atime_ns == 5, os.stat(p)
flags(0)
os.unlink(p)
P
emptied "and what had flags"

# Random work on files of all sizes, on a tmpfs of this size beside.
mount -t tmpfs -o "size=${MB}M,nr_inodes=0" ref "$W/ref"
py "random work as on tmpfs" "$W/ref" "$M" "${RF_SEED:-$RANDOM}" <<'P'
import ctypes, errno, os, random, sys, time
ref, mem, seed = sys.argv[1:]
libc = ctypes.CDLL(None, use_errno=True)
r = random.Random(seed)
opened = []
# What fallocate(2) has set aside is a hole to tmpfs until somebody reads it; what the kernel has
# kept of it is not read again.
aside = set()
def both(fn, patient=False):
    for _ in range(100 if patient else 1):
        out = tried(fn)
        if out[0] == out[1]:
            return out[0]
        time.sleep(0.05)
    assert False, (seed, step, out)
def tried(fn):
    out = []
    for i, d in enumerate((ref, mem)):
        try:
            out.append(fn(d, i))
        except OSError as e:
            out.append(errno.errorcode[e.errno])
    return out
def falloc(fd, mode, off, n):
    if libc.fallocate(fd, mode, ctypes.c_long(off), ctypes.c_long(n)) != 0:
        raise OSError(ctypes.get_errno(), "fallocate")
for step in range(4000):
    n = f"/r{r.randrange(30)}"
    k = r.randrange(100)
    top = r.choice((3000, 40000, 400000, 2000000))
    off, ln = r.randrange(top), r.randrange(1, top)
    byte = bytes([r.randrange(256)])
    if k < 25:
        how = r.choice((os.O_RDWR, os.O_RDONLY, os.O_RDWR | os.O_TRUNC, os.O_RDWR | os.O_APPEND)) | os.O_CREAT
        pair = [None, None, n]
        def op(d, i):
            pair[i] = os.open(d + n, how, 0o644)
        if both(op) is None:
            opened.append(pair)
        if len(opened) > 12:
            gone = opened.pop(r.randrange(len(opened)))
            for f in gone[:2]:
                os.close(f)
    elif k < 30:
        both(lambda d, i: os.unlink(d + n))
    elif k < 34:
        both(lambda d, i: os.truncate(d + n, off))
    elif opened:
        p = r.choice(opened)
        if k < 60:
            both(lambda d, i: os.pwrite(p[i], byte * ln, off))
        elif k < 75:
            both(lambda d, i: os.pread(p[i], ln, off))
        elif k < 80:
            mode = r.choice((0, 1, 3))
            aside |= {p[2]} if mode < 3 else set()
            both(lambda d, i: falloc(p[i], mode, off, ln))
        elif k < 85:
            what = r.choice((os.SEEK_DATA, os.SEEK_HOLE))
            if p[2] in aside:
                continue
            both(lambda d, i: os.lseek(p[i], off, what))
        elif k < 90:
            both(lambda d, i: os.ftruncate(p[i], off))
        elif k < 95:
            both(lambda d, i: (os.fstat(p[i]).st_size, os.fstat(p[i]).st_blocks))
        else:
            q = r.choice(opened)
            both(lambda d, i: os.write(q[i], byte * (ln % 50000)))
    if k < 30 or step % 10 == 0:  # what has gone is given back a moment later
        both(lambda d, i: os.statvfs(d).f_bfree, True)
for p in opened:
    for f in p[:2]:
        os.close(f)
for n in range(30):
    both(lambda d, i: open(f"{d}/r{n}", "rb").read())
    both(lambda d, i: os.unlink(f"{d}/r{n}"))
P
emptied "in the end"
umount "$W/ref"
rf_umount "$M"

# Where it is not wanted, the daemon keeps the account.
sed -i 's/^allow-other/passthrough = no\nallow-other/' "$W/conf"
rf_mount "$W/conf" "$M" || done_testing
cp "$W/data" "$M/large"
check "without it" cmp "$W/data" "$M/large"
check "through the daemon" test "$(asked)" -gt 3
rf_umount "$M"
done_testing
