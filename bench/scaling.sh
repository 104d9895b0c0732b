#!/bin/bash
# What an operation costs as numbers grow: nodes, keys, open files.
#
#	bench/scaling.sh [FACTOR]
#
# Each row has three sizes, asked in turns, and the medians of the microseconds that one
# operation takes, with CPU time of the daemon in brackets (it counts where the machine is busy
# with other things).  The last column is the ratio of the largest to the smallest: near 1,
# nothing grows.  FACTOR divides the sizes (10: a minute on a slow machine).
#
# Environment: RUMPFUSE; BENCH_ROUNDS (5).
. "$(dirname "$0")/lib.sh"
need python3 awk
F=${1:-1}
P=$BENCH_DIR/scaling.py
cat >"$P" <<'PY'
import os, statistics, subprocess, sys, time

rumpfuse, work, factor, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
TICKS = os.sysconf("SC_CLK_TCK")


class Mount:
    def __init__(self, conf, size):
        self.size = size
        self.dir = "%s/m%d-%d" % (work, size, time.monotonic_ns())
        os.mkdir(self.dir)
        name = self.dir + ".conf"
        with open(name, "w") as f:
            f.write(conf)
        self.proc = subprocess.Popen([rumpfuse, "-f", name, self.dir],
                                     stderr=subprocess.DEVNULL)
        while not os.path.ismount(self.dir):
            if self.proc.poll() is not None:
                sys.exit("%s does not mount" % name)
            time.sleep(0.01)
        os.statvfs(self.dir)

    def cpu(self):
        with open("/proc/%d/schedstat" % self.proc.pid) as f:
            first = int(f.read().split()[0])
        total = 0
        for t in os.listdir("/proc/%d/task" % self.proc.pid):
            try:
                with open("/proc/%d/task/%s/schedstat" % (self.proc.pid, t)) as f:
                    total += int(f.read().split()[0])
            except OSError:
                pass
        return max(first, total) / 1000

    def end(self):
        subprocess.run(["umount", self.dir])
        self.proc.wait()


def row(name, mounts, op, count, forget=False):
    """op(mount, i); the median of the rounds' microseconds for one.  forget: names are unknown to
    the kernel."""
    wall = {m: [] for m in mounts}
    cpu = {m: [] for m in mounts}
    for r in range(rounds):
        for m in mounts:
            if forget:
                drop()
            c, t = m.cpu(), time.perf_counter()
            n = 0
            for i in range(count):
                n += op(m, r * count + i) or 1
            wall[m].append((time.perf_counter() - t) * 1e6 / n)
            cpu[m].append((m.cpu() - c) / n)
    w = [statistics.median(wall[m]) for m in mounts]
    c = [statistics.median(cpu[m]) for m in mounts]
    print("| %-38s | %s | %.2f | %.2f |" % (name, " | ".join(
        "%s: %.1f (%.1f)" % (format(m.size, ","), a, b) for m, a, b in zip(mounts, w, c)),
        w[-1] / w[0], c[-1] / c[0] if c[0] > 0.05 else 1), flush=True)


def drop():
    with open("/proc/sys/vm/drop_caches", "w") as f:
        f.write("2")


def cycle(d, i):
    name = "%s/new%d" % (d, i)
    os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    os.unlink(name)


def missing(d, i):
    try:
        os.stat("%s/none-%d" % (d, i))
    except FileNotFoundError:
        pass


def reopen(path):
    os.close(os.open(path, os.O_RDONLY))


def listing(d):
    fd = os.open(d, os.O_RDONLY)
    n = len(os.listdir(fd))
    os.close(fd)
    return n


def nodes(sizes):
    # Half of them in one directory, the others in directories of a hundred.
    mounts = []
    for size in sizes:
        m = Mount("[rumpfs]\ninodes = 2000000\n", size)
        os.mkdir(m.dir + "/one")
        for i in range(size // 2):
            os.mknod("%s/one/f%d" % (m.dir, i))
            if i % 100 == 0:
                os.mkdir("%s/d%d" % (m.dir, i // 100))
            os.mknod("%s/d%d/f%d" % (m.dir, i // 100, i % 100))
        mounts.append(m)
    one = lambda m, i: "%s/one/f%d" % (m.dir, i * 7919 % (m.size // 2))
    row("stat, known to the kernel", mounts, lambda m, i: os.stat(m.dir + "/one/f1") and 1, 2000)
    row("look-up of a name, in one directory", mounts, lambda m, i: os.stat(one(m, i)) and 1, 200, True)
    row("look-up of a missing name", mounts, lambda m, i: missing(m.dir + "/one", i), 200)
    row("open and close", mounts, lambda m, i: reopen(m.dir + "/d1/f1"), 500)
    row("create and unlink, in one directory", mounts, lambda m, i: cycle(m.dir + "/one", i), 200)
    row("create and unlink, in a small directory", mounts, lambda m, i: cycle(m.dir + "/d1", i), 200)
    row("an entry of a listing, small directory", mounts, lambda m, i: listing(m.dir + "/d1"), 50)
    row("an entry of a listing, one directory", mounts, lambda m, i: listing(m.dir + "/one"), 1)
    for m in mounts:
        m.end()


def keys(sizes):
    host = work + "/host"
    os.mkdir(host)
    for i in range(100):
        with open("%s/f%d" % (host, i), "w") as f:
            f.write("x" * 4096)
    mounts = []
    for size in sizes:
        conf = "".join("[etfs /keys/k%d]\nhost = %s/f%d\n" % (i, host, i % 100) for i in range(size))
        t = time.perf_counter()
        m = Mount(conf + "[etfs /host]\nhost = %s\n" % host, size)
        print("start with %s keys: %.2f s, CPU %.2f s" % (
            format(size, ","), time.perf_counter() - t, m.cpu() / 1e6), flush=True)
        mounts.append(m)
    key = lambda m, i: "%s/keys/k%d" % (m.dir, i * 37 % m.size)
    row("look-up of a key", mounts, lambda m, i: os.stat(key(m, i)) and 1, 100, True)
    row("look-up of a missing name beside them", mounts, lambda m, i: missing(m.dir + "/keys", i), 200)
    row("open and close of a key", mounts, lambda m, i: reopen(m.dir + "/keys/k1"), 200)
    row("create and unlink beside them", mounts, lambda m, i: cycle(m.dir + "/keys", i), 200)
    row("create and unlink below a directory key", mounts, lambda m, i: cycle(m.dir + "/host", i), 100)
    for m in mounts:
        m.end()


def opened(sizes):
    mounts = []
    for size in sizes:
        m = Mount("", size)
        os.mkdir(m.dir + "/d")
        for i in range(64):
            os.mknod("%s/d/f%d" % (m.dir, i))
        m.fds = [os.open("%s/d/f%d" % (m.dir, i % 64), os.O_RDONLY) for i in range(size)]
        mounts.append(m)
    row("open and close", mounts, lambda m, i: reopen(m.dir + "/d/f1"), 500)
    row("create and unlink", mounts, lambda m, i: cycle(m.dir + "/d", i), 200)
    for m in mounts:
        for fd in m.fds:
            os.close(fd)
        m.end()


import resource
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
try:
    resource.setrlimit(resource.RLIMIT_NOFILE, (250000, 250000))
    hard = 250000
except (ValueError, OSError):
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
for title, fn, sizes in (("nodes in memory", nodes, (1000, 100000, 1000000)),
                         ("keys", keys, (100, 10000, 100000)),
                         ("open files", opened, (10, 10000, 100000))):
    sizes = [max(s // factor, 10 if fn == opened else 400 if fn == nodes else 100) for s in sizes]
    if fn == opened and sum(sizes) > hard - 100:
        sizes[2] = hard - sizes[1] - 200
    print("\n| %s | µs (the daemon's CPU) | | | ratio | of CPU |\n|---|---|---|---|---|---|" % title, flush=True)
    fn(sizes)
PY
python3 "$P" "$RUMPFUSE" "$W" "$F" "$BENCH_ROUNDS"
