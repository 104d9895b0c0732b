"""What is measured once per mount and not per operation: start-up time, memory per node."""

import os
import subprocess
import time

import stats
import works
from sides import Side, mounted, quiet, up_ours, up_peer, DEVICE


class Row:
    """title; value and how it is shown; the target (a limit, less is better) or None; note."""

    def __init__(self, suite, title, unit, values, target=None, note=""):
        self.suite, self.title, self.unit = suite, title, unit
        self.values = values
        self.value = stats.median(values)
        self.target, self.note = target, note
        self.judged = title in JUDGED.get(suite, ())  # has a target, if it is known

    def as_dict(self):
        return dict(vars(self), met=None if self.target is None or self.value is None
                    else self.value <= self.target)


# The rows that have a target.
JUDGED = {
    "start": ("start with 100000 keys",),
    "memory": ("memory per file in memory, mem", "memory per known host file, key"),
}


def not_measured(suite, why):
    return [Row(suite, title, "", [None], None, why) for title in JUDGED[suite]]


def start(c, progress):
    """From the command until it returns, which it does when the mount answers."""
    rows = []
    for count in (10, 10000, 100000):
        progress.tell("start with %d keys" % count)
        host = c.path("img/keys")
        os.makedirs(host, exist_ok=True)
        works.command([c.ops, "fill", host, str(count), "1"], 60)
        conf = c.write("conf/start.conf", "".join(
            "[etfs /k/d%d/f%d]\nhost = %s/f%d\naccess = ro\n" % (i // 1000, i, host, i)
            for i in range(count)))
        m, took = c.path("m/start"), []
        os.makedirs(m, exist_ok=True)
        for _ in range(2 if c.quick else 5):
            t = time.monotonic()
            try:
                works.command([c.rumpfuse, conf, m], 60)
            except (works.Failed, subprocess.TimeoutExpired) as e:
                rows.append(Row("start", "start with %d keys" % count, "s", [None], None, str(e)))
                break
            took.append(time.monotonic() - t)
            while mounted(m) and quiet(["umount", m]):
                time.sleep(0.05)
        if took:
            rows.append(Row("start", "start with %d keys" % count, "s", took,
                            2.0 if count == 100000 else None))
    quiet(["rm", "-rf", c.path("img/keys")])
    return rows


def resident(pid):
    """Bytes of memory that a process has to itself."""
    with open("/proc/%d/smaps_rollup" % pid) as f:
        return sum(int(line.split()[1]) for line in f if line.startswith("Private_")) * 1024


def settled(pid):
    """After threads have done what they do when a burst is over."""
    last = -1
    for _ in range(20):
        now = resident(pid)
        if abs(now - last) < 65536:
            break
        last = now
        time.sleep(0.1)
    return now


def per_node(c, side, fill):
    """Growth of the daemon, in bytes for a node, and descriptors that it holds besides."""
    side.up(c, side)
    try:
        pid = side.main.pid
        works.command(["stat", side.root], 10)
        before = settled(pid)
        count = fill(side)
        grown = (settled(pid) - before) / count
        return grown, len(os.listdir("/proc/%d/fd" % pid))
    finally:
        c.unmount(side)


def memory(c, progress):
    count = 20000 if c.quick else 100000

    def empty_files(side):
        os.makedirs(side.root + "/n")
        works.command([c.ops, "fill", side.root + "/n", str(count), "0"], 120)
        return count

    def walked(side):
        return int(works.loop(c, side, "walk", 1, side.root + "/tree", 1)["rate"] and
                   works.command(["sh", "-c", "find %s/tree | wc -l" % side.root], 60))

    for place in (c.path("b/ours"), c.path("b/theirs")):
        if not os.path.exists(place + "/tree"):
            works.make_tree(c, place)
    made = [
        ("file in memory", Side("mem", "ours", "mem", DEVICE), up_ours, empty_files, 400),
        ("file in memory", Side("memfs-new", "peer", "mem", DEVICE), up_peer, empty_files, None),
        ("known host file", Side("key", "ours", "dir", DEVICE, True), up_ours, walked, 0),
        ("known host file", Side("hp-new", "peer", "dir", DEVICE, True), up_peer, walked, None),
        ("known host file", Side("ll-new", "peer", "dir", DEVICE), up_peer, walked, None),
        ("known host file", Side("bindfs", "peer", "dir", DEVICE), up_peer, walked, None),
    ]
    rows = []
    for what, side, up, fill, target in made:
        title = "memory per %s, %s" % (what, side.name)
        progress.tell(title)
        side.up = up
        try:
            grown, fds = per_node(c, side, fill)
            rows.append(Row("memory", title, "bytes", [grown], target or None,
                            "%d descriptors" % fds))
        except Exception as e:  # whatever it is, the row says it
            rows.append(Row("memory", title, "bytes", [None], None, str(e)[-120:]))
    hp = next((r.value for r in rows if r.title.endswith("file, hp-new")), None)
    for r in rows:
        if r.title.endswith("host file, key") and hp:
            r.target = 0.7 * hp
    return rows


def images(c, a, progress, top, seconds):
    """The older scripts: two sides, ours and theirs, in times."""
    rows, end = [], time.monotonic() + seconds
    for name in ("ext", "squashfs", "archive"):
        if not (name in a.suite or "images" in a.suite or not a.suite):
            continue
        progress.tell("images: " + name, True)
        env = dict(os.environ, BENCH_ROUNDS=str(a.rounds if name in a.suite else 3),
                   BENCH_BASE=c.path("img"))
        p = subprocess.Popen(["bash", os.path.join(top, "bench", name + ".sh")], env=env,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             stdin=subprocess.DEVNULL)
        try:
            out, said = p.communicate(timeout=max(1, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            p.terminate()
            out, said = p.communicate()
            said = "no time left"
        for line in out.splitlines():
            part = line.split("\t")
            if len(part) == 4:
                rows.append({"suite": name, "title": part[0], "ours": float(part[1]),
                             "theirs": float(part[2]), "ratio": float(part[3])})
        if p.returncode:
            rows.append({"suite": name, "title": "not all of it: " + said.strip()[-160:],
                         "ours": None, "theirs": None, "ratio": None})
    return rows
