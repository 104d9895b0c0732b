"""What is asked of each side, and how often.  A sample is a dictionary: rate (per second, more
is better) and, where it is known, the microseconds of processor time that one operation took
of the client and of the daemon."""

import json
import os
import shutil
import subprocess
import time

from sides import DEVICE, URING, quiet, zeros


class Failed(Exception):
    pass


class Work:
    def __init__(self, name, suite, title, unit, run, clients=(1, 2), sides=None, prepare=None,
                 quick=False, limit=60, cost=0.4, fewer=None):
        self.name, self.suite, self.title, self.unit = name, suite, title, unit
        self.run, self.clients, self.wants, self.prepare = run, clients, sides, prepare
        self.quick = quick
        self.limit = limit  # seconds that a sample may take
        self.cost = cost  # seconds of a sample, roughly: how the time is shared out
        self.fewer = fewer or sides  # who is asked with more clients than one
        self.jobs = self.chosen = None  # of fio, if a run is several works


def command(argv, seconds, cwd=None, env=None):
    """Output of a command; Failed with the end of what it says."""
    p = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=cwd, env=env,
                         stdin=subprocess.DEVNULL, text=True, errors="replace",
                         start_new_session=True)
    try:
        out, said = p.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        try:
            os.killpg(p.pid, 9)
        except OSError:
            pass
        raise
    if p.returncode:
        lines = [s for s in (said or out).strip().splitlines() if s.strip()]
        raise Failed((lines[-1] if lines else "status %d" % p.returncode)[-160:])
    return out


def cpu_ns(pids):
    """Of all threads of these processes since they began; as ops.c reads it."""
    total = 0
    for pid in pids:
        try:
            total += time.clock_gettime_ns((~pid << 3) | 2)
        except OSError:
            pass
    return total


def own_dir(s, *more):
    d = os.path.join(s.root, "w", s.name, *more)
    os.makedirs(d, exist_ok=True)
    return d


def requests(c, s):
    """What our daemon has been asked so far: operation → how often."""
    try:
        out = command([c.rumpfuse + "ctl", "--json", c.path("m", s.name), "stats"], 5)
        return {o["name"]: o["count"] for o in json.loads(out)["operations"]}
    except (Failed, ValueError, KeyError, OSError, subprocess.TimeoutExpired):
        return None


# Loops of ops.c.

def loop(c, s, work, clients, directory=None, ms=None, count=0):
    argv = [c.ops, "-p", str(clients), "-t", str(ms or (100 if c.quick else 150))]
    if count:
        argv += ["-n", str(count)]
    for pid in s.pids():
        argv += ["-d", str(pid)]
    out = json.loads(command(argv + [work, directory or own_dir(s)], 30))
    if not out["ops"]:
        raise Failed("no operation came to an end")
    return {"rate": out["rate"], "ops": out["ops"] + out["warm"], "client_us": out["client_ns"] / out["ops"] / 1e3,
            "daemon_us": out["daemon_ns"] / out["ops"] / 1e3}


def meta(name, title, clients=(1, 2), quick=False, sides=None):
    return Work(name, "meta", title, "operations/s",
                lambda c, s, n: loop(c, s, name, n), clients, sides or directories, quick=quick,
                fewer=main_directories, cost=0.3)


def directories(s):
    return s.kind in ("dir", "mem") and s.name not in (
        "mem-beside-uring", "mem-wb-uring", "mem-opens-uring", "key-no-uring")


def main_directories(s):
    """Without those that are beaten everywhere by others of their kind, where a sample is dear."""
    return directories(s) and s.name not in (
        "bind", "ext4", "mergerfs", "fuse-overlayfs", "unionfs-fuse", "ll-3.14", "hp-3.14",
        "ll-new", "ll-new-uring", "mem-beside", "mem-beside-uring", "mem-wb", "mem-wb-uring",
        "key-no", "key-no-uring", "hp-new-no", "hp-new-no-uring", "mem-opens-uring")


def tree_readers(s):
    """A tree of files in memory is dear to make."""
    return main_directories(s) and s.name not in ("overlayfs",)


# Trees.

def prepare_tree(c, s):
    """The tree of many files; for those who show a host directory, below it."""
    if s.kind == "dir" and s.name not in ("ext4",):
        place = c.path("b", "ours" if s.cls == "ours" else "theirs")
    else:
        place = s.root
    if not os.path.exists(place + "/tree"):
        make_tree(c, place)
    if not os.path.exists(place + "/many"):
        os.makedirs(place + "/many.new")
        command([c.ops, "fill", place + "/many.new", str(c.many), "0"], 120)
        os.rename(place + "/many.new", place + "/many")


def make_tree(c, place):
    os.makedirs(place + "/tree.new")
    command([c.ops, "make-tree", place + "/tree.new", str(c.tree_dirs), "100"], 120)
    os.rename(place + "/tree.new", place + "/tree")


def tree_loop(name, where):
    return lambda c, s, n: loop(c, s, name, n, os.path.join(s.root, where), 100)


def trees():
    def w(name, where, title, clients=(1,), quick=False):
        return Work(name, "trees", title, "entries/s", tree_loop(name.replace("-small", ""), where), clients,
                    tree_readers, prepare_tree, quick, cost=1.0)
    return [
        # Peers that hold a descriptor for each file they know are in this where they may not
        # have enough of them for the large tree.
        w("walk-small", "tree/b0", "tree walk of 2,500 files, warm", (1, 2)),
        w("walk", "tree", "tree walk, warm", (1, 2), True),
        w("walk-cold", "tree", "tree walk, cold"),
        w("readdir", "many", "readdir of a large directory, cached", (1, 2), True),
        w("readdir-cold", "many", "readdir of a large directory, first time"),
        w("list", "many", "readdir and stat (ls -l) of a large directory, cached"),
        w("list-cold", "many", "readdir and stat (ls -l) of a large directory, first time"),
        Work("git-status", "trees", "git status, warm", "runs/s", git_status, (1,),
             tree_readers, prepare_git, True, cost=0.8),
    ]


GIT = dict(os.environ, GIT_CONFIG_NOSYSTEM="1", GIT_CONFIG_GLOBAL="/dev/null",
           GIT_AUTHOR_NAME="b", GIT_AUTHOR_EMAIL="b@b", GIT_COMMITTER_NAME="b",
           GIT_COMMITTER_EMAIL="b@b", GIT_OPTIONAL_LOCKS="0")


def prepare_git(c, s):
    """One repository over the tree, made once on tmpfs; the others get a copy of .git."""
    prepare_tree(c, s)
    made = c.path("b/theirs/tree/.git")
    if not os.path.exists(made):
        tree = c.path("b/theirs/tree")
        if not os.path.exists(tree):
            make_tree(c, c.path("b/theirs"))
        for argv in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"], ["gc", "-q"]):
            command(["git", "-c", "safe.directory=*", "-c", "core.looseCompression=0"] + argv,
                    180, tree, GIT)
    if s.kind == "mem" or s.name == "ext4":
        place = s.root
    elif s.cls == "ours":
        place = c.path("b/ours")
    else:
        place = c.path("b/theirs")
    if not os.path.exists(place + "/tree/.git"):
        shutil.copytree(made, place + "/tree/.git")


def git_status(c, s, clients):
    """Several sides show one repository: each asks with an index of its own."""
    index = c.path("conf", "index." + s.name)
    env = dict(GIT, GIT_INDEX_FILE=index)
    if not os.path.exists(index):
        shutil.copy(c.path("b/theirs/tree/.git/index"), index)
        command(["git", "-c", "safe.directory=*", "update-index", "-q", "--refresh"], 120,
                s.root + "/tree", env)
    return timed(s, ["git", "-c", "safe.directory=*", "-c", "core.preloadIndex=true", "status",
                     "--porcelain"], s.root + "/tree", env)


def timed(s, argv, cwd=None, env=None, seconds=60, count=1):
    pids = s.pids()
    served, start = cpu_ns(pids), time.monotonic()
    before = os.times()
    command(argv, seconds, cwd, env)
    took = time.monotonic() - start
    after = os.times()
    used = after.children_user + after.children_system - before.children_user \
        - before.children_system
    return {"rate": count / took, "client_us": used * 1e6 / count,
            "daemon_us": (cpu_ns(pids) - served) / 1e3 / count}


# Data, by fio.

def data_sides(s):
    return s.name in ("tmpfs", "ext4", "bindfs", "hp-new", "hp-new-uring", "hp-new-no",
                      "hp-new-no-uring", "memfs-new", "mem", "mem-uring", "mem-opens",
                      "mem-opens-uring", "mem-beside", "mem-wb", "mem-wb-uring", "key",
                      "key-uring", "key-no", "key-no-uring", "file", "file-uring")


def below_directories(s):
    return data_sides(s) and s.kind != "file" and s.name not in ("ext4", "hp-new-no-uring")


def window_side(s):
    return s.kind == "window"


def read_file(c, s):
    if s.kind == "window":
        return s.root
    if s.kind == "file":
        return s.root + "/big"
    if s.kind == "dir" and s.name != "ext4":
        place = c.path("b", "ours" if s.cls == "ours" else "theirs")
    else:
        place = s.root
    if not os.path.exists(place + "/big"):
        zeros(place + "/big.new", c.big)
        os.rename(place + "/big.new", place + "/big")
    return s.root + "/big"


def write_file(c, s, number):
    if s.kind == "window":
        return s.root
    if s.kind == "file":
        return s.root + "/w%d" % number
    path = own_dir(s) + "/w%d" % number
    if not os.path.exists(path):
        zeros(path, 64 << 20)
    return path


class Job:
    """One job of fio: a pass over the file, cut off after a while; round and round if cached."""

    def __init__(self, name, title, rw, size, clients=1, engine="psync", cached=False,
                 direct=False, quick=False):
        self.name, self.title, self.rw, self.size, self.clients = name, title, rw, size, clients
        self.engine, self.cached, self.direct, self.quick = engine, cached, direct, quick
        self.reading = "read" in rw
        self.unit = "operations/s" if size == "4k" else "MB/s"

    def arguments(self, c, s, first):
        names = [read_file(c, s)] * self.clients if self.reading else \
            [write_file(c, s, k) for k in range(self.clients)]
        total = c.window if s.kind == "window" else os.stat(names[0]).st_size
        if self.cached:
            touch(names[0], total)
        for k, name in enumerate(names):
            yield from ["--name=" + self.name, "--filename=" + name, "--size=%d" % total,
                        "--rw=" + self.rw, "--bs=" + self.size, "--ioengine=" + self.engine,
                        "--direct=%d" % self.direct, "--invalidate=%d" % (not self.cached),
                        "--runtime=200ms"]
            if "rand" in self.rw:
                yield "--random_generator=lfsr"
            if self.cached:
                yield "--time_based"
            if k == 0:
                clocks = " ".join([c.ops, "clock", "0"] + [str(p) for p in s.pids()])
                yield from ["--exec_prerun=" + clocks, "--exec_postrun=" + clocks,
                            "--new_group"] + ([] if first else ["--stonewall"])


def clock(path):
    """What ops clock has said, in microseconds."""
    try:
        with open(path) as f:
            return int(f.read()) / 1e3
    except (OSError, ValueError):
        return 0


def fio(c, s, jobs):
    """All jobs in one run of fio, which is long in starting; one after the other."""
    there = c.path("conf/fio")
    os.makedirs(there, exist_ok=True)
    argv = ["fio", "--output-format=json", "--eta=never", "--group_reporting", "--fallocate=none",
            "--thread"]
    for k, j in enumerate(jobs):
        argv += j.arguments(c, s, k == 0)
    out = json.loads(cut(command(argv, 60, there)))
    got, seen = {}, {}
    for r in out["jobs"]:
        seen.setdefault(r["jobname"], r)
    for j in jobs:
        r = seen[j.name]
        side = r["read" if j.reading else "write"]
        ops = side["total_ios"]
        if not ops:
            raise Failed("fio did nothing")
        used = (r["usr_cpu"] + r["sys_cpu"]) / 100 * side["runtime"] * 1e3 * j.clients
        base = os.path.join(there, j.name)
        served = clock(base + ".postrun.txt") - clock(base + ".prerun.txt")
        got[j.name] = {"rate": side["iops"] if j.size == "4k" else side["bw_bytes"] / 1e6,
                       "client_us": used / ops, "daemon_us": max(served, 0) / ops}
    return got


def cut(text):
    """fio says notes before its JSON."""
    return text[text.index("{"):]


def touch(name, total):
    """Brings a file into the cache."""
    with open(name, "rb", buffering=0) as f:
        while total > 0:
            n = len(f.read(1 << 20))
            if n == 0:
                break
            total -= n


def bundle(suite, name, jobs, wants):
    """A work that is several; those that were asked for are run."""
    w = Work(name, suite, name, "", None, (1,), wants, quick=any(j.quick for j in jobs),
             cost=0.6 + 0.25 * len(jobs))
    w.jobs = jobs
    w.run = lambda c, s, n: fio(c, s, w.chosen)
    return w


def datas():
    return [
        bundle("data", "read", [
            Job("seq-read", "sequential read, 1 MiB, first time", "read", "1m", quick=True),
            Job("rand-read", "random read, 4 KiB, first time", "randread", "4k", quick=True),
            Job("mmap-read", "random read of a mapping, 4 KiB, first time", "randread", "4k",
                engine="mmap"),
        ], data_sides),
        # Cached, and direct, a file key is as a file below a directory key.
        bundle("data", "read-cached", [
            Job("seq-read-cached", "sequential read, 1 MiB, cached", "read", "1m", cached=True),
            Job("rand-read-cached", "random read, 4 KiB, cached", "randread", "4k", cached=True),
            Job("rand-read-cached2", "random read, 4 KiB, cached", "randread", "4k", 2,
                cached=True),
        ], below_directories),
        bundle("data", "write", [
            Job("seq-write", "sequential write, 1 MiB, buffered", "write", "1m", quick=True),
            Job("seq-write2", "sequential write, 1 MiB, buffered", "write", "1m", 2),
            Job("rand-write", "random write, 4 KiB, buffered", "randwrite", "4k", quick=True),
            Job("rand-write2", "random write, 4 KiB, buffered", "randwrite", "4k", 2),
            Job("mmap-write", "random write to a mapping, 4 KiB", "randwrite", "4k",
                engine="mmap"),
        ], data_sides),
        bundle("data", "direct", [
            Job("seq-read-direct", "sequential read, 1 MiB, direct", "read", "1m", direct=True),
            Job("rand-read-direct", "random read, 4 KiB, direct", "randread", "4k", direct=True),
            Job("seq-write-direct", "sequential write, 1 MiB, direct", "write", "1m",
                direct=True),
            Job("rand-write-direct", "random write, 4 KiB, direct", "randwrite", "4k",
                direct=True),
        ], below_directories),
    ]


def windows():
    return [
        bundle("windows", "window-read", [
            Job("window-seq-read", "window: sequential read, 1 MiB, first time", "read", "1m"),
            Job("window-seq4k-read", "window: sequential read, 4 KiB, first time", "read", "4k",
                quick=True),
            Job("window-rand-read", "window: random read, 4 KiB, first time", "randread", "4k",
                quick=True),
        ], window_side),
        bundle("windows", "window-read-cached", [
            Job("window-seq-read-cached", "window: sequential read, 1 MiB, cached", "read", "1m",
                cached=True),
            Job("window-rand-read-cached", "window: random read, 4 KiB, cached", "randread",
                "4k", cached=True),
        ], window_side),
        bundle("windows", "window-write", [
            Job("window-seq-write", "window: sequential write, 1 MiB", "write", "1m"),
            Job("window-seq4k-write", "window: sequential write, 4 KiB", "write", "4k"),
            Job("window-rand-write", "window: random write, 4 KiB", "randwrite", "4k",
                quick=True),
        ], window_side),
    ]


# Programs.

def app_sides(s):
    return s.name in ("tmpfs", "overlayfs", "ext4", "bindfs", "hp-new", "hp-new-uring",
                      "memfs-new", "memfs-new-uring", "mem", "mem-uring", "mem-opens", "mem-opens-uring", "key",
                      "key-uring")


def dbench_sides(s):
    return app_sides(s) and s.name not in ("overlayfs", "ext4", "mem-opens-uring")


PROJECT_FILES = 40


def prepare_source(c, s):
    """A C project, and a larger tree of it, as archives: generated, so that it is the same
    everywhere."""
    if os.path.exists(c.path("img/source.tar")):
        return
    d = c.path("img/source")
    os.makedirs(d + "/src")
    with open(d + "/src/all.h", "w") as f:
        f.write("#include <stdio.h>\n#include <string.h>\n")
        f.writelines("int f%d(int, char *);\n" % i for i in range(PROJECT_FILES))
    for i in range(PROJECT_FILES):
        with open(d + "/src/f%d.c" % i, "w") as f:
            f.write('#include "all.h"\n')
            for k in range(20):
                f.write("static int g%d(int a)\n{\n\treturn a * %d + %d;\n}\n" % (k, k + 3, i))
            f.write("int f%d(int a, char *b)\n{\n\tsnprintf(b, 20, \"%%d\", a);\n\treturn %s;\n}\n"
                    % (i, " + ".join("g%d(a)" % k for k in range(20))))
    with open(d + "/src/main.c", "w") as f:
        f.write('#include "all.h"\nint main(void)\n{\n\tchar b[20];\n\treturn %s;\n}\n'
                % " + ".join("f%d(1, b)" % i for i in range(PROJECT_FILES)))
    with open(d + "/src/Makefile", "w") as f:
        f.write("O = main.o %s\nall: prog\nprog: $(O)\n\tgcc -o $@ $(O)\n%%.o: %%.c all.h\n"
                "\tgcc -O0 -c -o $@ $<\n" % " ".join("f%d.o" % i for i in range(PROJECT_FILES)))
    command(["tar", "-cf", c.path("img/source.tar"), "-C", d, "src"], 30)
    for i in range(10 if c.quick else 60):
        shutil.copytree(d + "/src", d + "/all/lib%d" % i)
    command(["tar", "-cf", c.path("img/all.tar"), "-C", d, "all"], 30)


def untar(c, s, clients):
    where = own_dir(s, "untar")
    got = timed(s, ["tar", "-xf", c.path("img/all.tar"), "-C", where], seconds=60)
    count = int(command(["sh", "-c", "ls %s/all/lib1 | wc -l" % where], 20))
    quiet(["rm", "-rf", where])
    if count != PROJECT_FILES + 3:
        raise Failed("%d files of %d are there" % (count, PROJECT_FILES + 3))
    return got


def make(c, s, clients):
    where = own_dir(s, "make")
    command(["tar", "-xf", c.path("img/source.tar"), "-C", where], 30)
    try:
        return timed(s, ["make", "-s", "-j2"], where + "/src", seconds=60)
    finally:
        quiet(["rm", "-rf", where])


def dbench(c, s, clients):
    """Processor time is that of a megabyte: all that was used, by all that was done."""
    where = own_dir(s, "dbench")
    pids = s.pids()
    served, start, before = cpu_ns(pids), time.monotonic(), os.times()
    out = command(["dbench", "-t", "2", "-D", where, str(clients)], 40)
    took, after, served = time.monotonic() - start, os.times(), cpu_ns(pids) - served
    quiet(["rm", "-rf", where])
    found = [line.split() for line in out.splitlines() if line.startswith("Throughput")]
    if not found or float(found[0][1]) == 0:
        raise Failed("dbench did nothing")
    rate = float(found[0][1])
    used = after.children_user + after.children_system - before.children_user \
        - before.children_system
    return {"rate": rate, "client_us": used * 1e6 / took / rate,
            "daemon_us": served / 1e3 / took / rate}


def apps():
    return [
        Work("untar", "apps", "untar of a source tree", "runs/s", untar, (1,), app_sides,
             prepare_source, True, 70, 1.5),
        Work("make", "apps", "make -j2 of a C project", "runs/s", make, (1,), app_sides,
             prepare_source, limit=70, cost=2.5),
        Work("dbench", "apps", "dbench", "MB/s", dbench, (1, 4), dbench_sides, limit=50, cost=3.2),
    ]


def metas():
    return [
        meta("stat", "stat, name exists, cached", quick=True),
        meta("missing", "stat, name missing, cached", quick=True),
        meta("openread", "open + read 4 KiB + close, cached", quick=True),
        meta("create", "create + write 4 KiB + close + unlink", quick=True),
        meta("rename", "rename", quick=True),
        meta("mkdir", "mkdir + rmdir", quick=True),
        meta("write", "write 4 KiB to an open file, buffered", (1,), sides=main_directories),
        meta("read", "read 4 KiB of an open file, cached", (1,), sides=main_directories),
        meta("stat-cold", "stat, name exists, first time", (1,), sides=main_directories),
        meta("missing-cold", "stat, name missing, first time", (1,), sides=main_directories),
        meta("openread-cold", "open + read 4 KiB + close, first time", (1,),
             sides=main_directories),
    ]


def rows_of(w):
    """(work, title, unit, clients) of each row that a work gives."""
    if w.jobs:
        return [(j.name.rstrip("2"), j.title, j.unit, j.clients) for j in w.jobs]
    return [(w.name, w.title, w.unit, n) for n in w.clients]


def all_works():
    return metas() + datas() + trees() + apps() + windows()
