#!/usr/bin/env python3
"""./dev bench: ours beside what one would take instead, and beside the kernel, in one run.

    run.py [--quick] [--only PATTERN] [--name NAME] [SUITE…]

Runs as two processes.  The outer one turns on what the kernel offers (FUSE over io_uring), puts
it back, and removes what is left; the inner one has namespaces of its own for mounts and
processes, so that all that it mounts and starts ends with it, however it ends.

Environment: RUMPFUSE, BENCH_OPS (the built ops.c), BENCH_LIBFUSE_SYSTEM and BENCH_LIBFUSE_NEW
(directories with libfuse's examples); ./dev bench sets them.
"""

import argparse
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import report  # noqa: E402
import show  # noqa: E402
import sides  # noqa: E402
import stats  # noqa: E402
import works  # noqa: E402
import single  # noqa: E402

ENABLE_URING = "/sys/module/fuse/parameters/enable_uring"
SUITES = ("meta", "data", "trees", "apps", "windows", "start", "memory", "images", "ext",
          "squashfs", "archive")
FEW = 2  # rounds of what is nobody's measure
ENOUGH = 3  # rounds that a target has before time is saved, and that any other work has
# Seconds that pass besides the rounds: start, memory, images; the trees' making.
ASIDE = {"start": 25, "memory": 80, "images": 90, "trees": 75, "mounts": 10}


def arguments():
    p = argparse.ArgumentParser(prog="./dev bench", description="speed, side by side")
    p.add_argument("--quick", action="store_true", help="three rounds of the main rows")
    p.add_argument("--only", metavar="PATTERN", help="works whose name matches")
    p.add_argument("--sides", metavar="PATTERN", help="sides whose name matches, and tmpfs")
    p.add_argument("--rounds", type=int, help="7, or 3 with --quick")
    p.add_argument("--minutes", type=float,
                   help="how long it may take (38): there are fewer rounds, but 3 for each target")
    p.add_argument("--name", help="results are written to bench/results/NAME.*")
    p.add_argument("--inside", metavar="DIR", help=argparse.SUPPRESS)
    p.add_argument("suite", nargs="*", help=" ".join(SUITES))
    a = p.parse_args()
    for s in a.suite:
        if s not in SUITES:
            p.error("%s is no suite, expected %s" % (s, ", ".join(SUITES)))
    a.rounds = a.rounds or (3 if a.quick else 7)
    a.minutes = a.minutes or (2.8 if a.quick else 38)
    a.name = a.name or ("quick" if a.quick else "full")
    return a


def read(path):
    try:
        with open(path) as f:
            return f.read().strip()
    except OSError:
        return None


# The outer process.


def outer(a):
    if os.getuid() != 0:
        sys.exit("bench: mounting what is measured takes root")
    work = tempfile.mkdtemp(prefix="rfbench.")
    child = back = None

    def stop(number, frame):
        sys.exit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    try:
        back = turn_on()
        child = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", "-m", "-p", "-f", "--mount-proc",
             "--kill-child", "--propagation", "private", sys.executable, os.path.abspath(__file__), "--inside", work]
            + sys.argv[1:], stdin=subprocess.DEVNULL)
        return child.wait()
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        if back:
            back.stdin.close()
            back.wait()
        if child and child.poll() is None:
            child.kill()
            child.wait()
        free_loops(work)
        shutil.rmtree(work, ignore_errors=True)


def turn_on():
    """FUSE over io_uring, if it is off.  What waits for the end of this process, by whatever
    signal, puts it back."""
    if read(ENABLE_URING) != "N":
        return None
    back = subprocess.Popen(
        ["sh", "-c", "trap '' INT TERM HUP QUIT; cat >/dev/null; echo N >" + ENABLE_URING],
        stdin=subprocess.PIPE, start_new_session=True)
    with open(ENABLE_URING, "w") as f:
        f.write("Y")
    return back


def free_loops(work):
    """Loop devices that no mount frees; their files are gone with the namespace."""
    out = subprocess.run(["losetup", "-ln", "-O", "NAME,BACK-FILE"], capture_output=True,
                         text=True).stdout
    for line in out.splitlines():
        if work + "/" in line:
            sides.quiet(["losetup", "-d", line.split()[0]])


# The inner one.


class Progress:
    """One line on a terminal that is written over; else a line now and then."""

    def __init__(self):
        self.start = self.last = time.monotonic()
        self.tty = sys.stderr.isatty()

    def tell(self, text, always=False):
        t = time.monotonic()
        if not self.tty and not always and t - self.last < 15:
            return
        self.last = t
        line = "[%2d:%02d] %s" % (*divmod(int(t - self.start), 60), text)
        if self.tty:
            sys.stderr.write("\r\033[K" + line[:110] + ("\n" if always else ""))
        else:
            sys.stderr.write(line + "\n")
        sys.stderr.flush()


class Watchdog(threading.Thread):
    """Lets go what waits for a daemon that does not answer, this process too: signals do not
    end such a wait, the end of the connection does."""

    def __init__(self, abort):
        super().__init__(daemon=True)
        self.lock = threading.Lock()
        self.side, self.deadline, self.barked, self.abort = None, 0, False, abort
        self.start()

    def watch(self, side, seconds):
        with self.lock:
            self.side, self.deadline, self.barked = side, time.monotonic() + seconds, False

    def done(self):
        """Whether it took too long."""
        with self.lock:
            self.side = None
            return self.barked

    def run(self):
        while True:
            time.sleep(0.5)
            with self.lock:
                if self.side and not self.barked and time.monotonic() > self.deadline:
                    self.barked = True
                    self.abort(self.side)


class Bench:
    def __init__(self, a):
        self.a = a
        self.progress = Progress()
        sides.run(["mount", "-t", "tmpfs", "-o", "size=85%,mode=755", "tmpfs", a.inside])
        if not os.path.ismount("/sys/fs/fuse/connections"):
            sides.quiet(["mount", "-t", "fusectl", "none", "/sys/fs/fuse/connections"])
        self.c = sides.Context(a.inside, os.environ["BENCH_TOP"], a.quick)
        self.c.big = (64 if a.quick else 192) << 20
        self.c.window = sides.WINDOW
        self.c.many = 20000 if a.quick else 100000
        self.c.tree_dirs = 70 if a.quick else 693
        self.watchdog = Watchdog(self.c.abort)
        self.results = {}  # "work/clients" → {title, unit, samples, extra, failed}
        self.sides = {}
        self.singles = []
        self.images = []
        self.skipped = {}  # (work, clients) → why it has no result
        # What is yet to be done: seconds, and works with what a full set of rounds would take.
        self.aside = dict(ASIDE) if not a.quick and not a.only else {}
        self.planned = {}

    def why(self, work, clients):
        a = self.a
        if (work, clients) in self.skipped:
            return self.skipped[work, clients]
        if a.only or a.suite:
            return show.NOT_ASKED
        return "not part of --quick" if a.quick else "not asked"

    def most(self, w):
        """How many rounds."""
        return self.a.rounds if show.is_target(w) else min(self.a.rounds, ENOUGH)

    def plan(self, works_, sides_):
        """Tells what is to come, before any of it."""
        chosen, there = self.wanted(works_, sides_)
        for w in chosen:
            for clients in (w.clients if not self.a.quick else w.clients[:1]):
                wants = w.wants if clients == 1 else w.fewer
                n = len([s for s in there if w.wants(s) and wants(s)])
                self.planned[w.suite, w.name, clients] = n * w.cost * self.most(w)

    def share(self, w, clients):
        """Seconds for a work: its part of what is left."""
        left = self.a.minutes * 60 - (time.monotonic() - self.progress.start) \
            - sum(self.aside.values())
        all_ = sum(self.planned.values())
        mine = self.planned.pop((w.suite, w.name, clients), 0)
        return max(left, 0) * mine / all_ if all_ else 0

    def wanted(self, works_, sides_):
        a = self.a


        def named(x):
            return (not a.only or re.search(a.only, x.name)) and \
                (not a.quick or x.quick or a.only)

        for w in works_:
            w.chosen = [j for j in w.jobs if named(j)] if w.jobs else None
        chosen = [w for w in works_ if (not a.suite or w.suite in a.suite)
                  and (w.chosen if w.jobs else named(w))]
        names = [s for s in sides_ if (not a.quick or s.quick or a.sides)
                 and (not a.sides or re.search(a.sides, s.name) or s.cls == "limit"
                      and s.quick)]
        return chosen, [s for s in names if any(w.wants(s) for w in chosen)]

    def up(self, s):
        """Mounts; once more if that fails, for a machine that was busy."""
        for last in (False, True):
            self.watchdog.watch(s, 60)
            try:
                s.up(self.c, s)
                s.missing = None
                return True
            except (sides.NotAvailable, OSError, IndexError, subprocess.SubprocessError) as e:
                s.missing = str(e)[-200:]
            finally:
                self.watchdog.done()
            if not last:
                self.c.abort(s)
            self.c.unmount(s)
        self.progress.tell("%s is not available: %s" % (s.name, s.missing), True)
        return False

    def late(self):
        return time.monotonic() - self.progress.start > self.a.minutes * 60

    def group(self, works_, sides_):
        """Mounts these sides, asks all of them, unmounts."""
        chosen, there = self.wanted(works_, sides_)
        for s in sides_:
            self.sides[s.name] = s
        if not chosen:
            return
        for s in there:
            self.progress.tell("mounting " + s.name)
            self.up(s)
        self.aside.pop("mounts", None)
        # What has targets first: details have the time that is left.
        for k, w in enumerate(sorted(chosen, key=lambda w: not show.is_target(w))):
            for clients in (w.clients if not self.a.quick else w.clients[:1]):
                if self.late():
                    for work, _, _, n in works.rows_of(w):
                        self.skipped.setdefault((work, n), "no time left")
                    self.progress.tell("no time left for " + w.title, True)
                    continue
                wants = w.wants if clients == 1 else w.fewer
                self.ask(w, clients, [s for s in there if w.wants(s) and wants(s)],
                         "%s %d/%d" % (w.suite, k + 1, len(chosen)))
        for s in there:
            if not s.missing:
                self.c.unmount(s)

    def ask(self, w, clients, asked, where):
        """All rounds of one work."""
        rs, failed = {}, {}
        for name, title, unit, n in [(w.name, w.title, w.unit, clients)] if not w.jobs else \
                [(j.name, j.title, j.unit, j.clients) for j in w.chosen]:
            r = {"title": title, "unit": unit, "work": name.rstrip("2"), "clients": n,
                 "suite": w.suite, "samples": {}, "client_us": {}, "daemon_us": {},
                 "requests": {}, "failed": failed}
            rs[name] = self.results["%s/%d" % (r["work"], n)] = r
        by_name = {s.name: s for s in asked}
        for s in asked:
            if s.missing:
                failed[s.name] = "not available: " + s.missing
            elif w.prepare:
                self.progress.tell("%s %s: preparing %s" % (where, w.title, s.name))
                self.attempt(w, s, failed, lambda: w.prepare(self.c, s), 200)
        if w.suite == "trees" and w.prepare:
            self.aside.pop("trees", None)
        end = time.monotonic() + self.share(w, clients)
        for number in range(self.most(w)):
            if number >= ENOUGH and time.monotonic() > end:
                break
            names = [n for n in by_name if n not in failed
                     and any(self.goes_on(r, by_name[n], number) for r in rs.values())]
            for name in stats.order(names, number):
                s = by_name[name]
                self.progress.tell("%s %s, %d client%s, round %d: %s" % (
                    where, w.title, clients, "s"[:clients > 1], number + 1, name))
                # How many requests an operation costs: where the names are there already.
                count = s.cls == "ours" and not w.jobs and number == min(1, self.a.rounds - 1)
                before = works.requests(self.c, s) if count else None
                got = self.attempt(w, s, failed, lambda: w.run(self.c, s, clients),
                                   w.limit + 10) or {}
                if before and got.get("ops"):
                    after = works.requests(self.c, s) or {}
                    rs[w.name]["requests"][name] = {
                        k: round((n - before.get(k, 0)) / got["ops"], 3)
                        for k, n in after.items() if n - before.get(k, 0) >= got["ops"] / 100}
                for part, r in rs.items():
                    keep(r, name, number, got.get(part, {}) if w.jobs else got)
        for r in rs.values():
            even(r)
            self.progress.tell("%s %s, %d client%s: %s" % (
                where, r["title"], r["clients"], "s"[:r["clients"] > 1],
                report.line(r, self.sides)), True)

    def goes_on(self, r, s, number):
        """Who is nobody's measure is asked no further after two rounds: peers that are far
        behind another one of their kind, limits and variants that no target is about."""
        if number < FEW:
            return True
        if s.cls == "limit":
            return s.name == show.limit_of(r)
        if s.cls == "ours":
            return r["suite"] in ("data", "windows") or works.main_directories(s)
        mine = stats.median(r["samples"].get(s.name, []))
        others = [stats.median(v) or 0 for n, v in r["samples"].items()
                  if self.sides[n].cls == "peer" and self.sides[n].transport == s.transport
                  and bool(self.sides[n].passthrough) == bool(s.passthrough)]
        return mine is None or mine > (0.5 if number < ENOUGH else 0.7) * max(others)

    def attempt(self, w, s, failed, what, seconds):
        """One sample; what cannot be done is a row with the reason, and a daemon that hangs or
        has died is replaced."""
        self.watchdog.watch(s, seconds)
        got, why, slow = None, None, False
        try:
            got = what()
        except subprocess.TimeoutExpired:
            slow = True
        except (works.Failed, OSError, ValueError, KeyError, sides.NotAvailable,
                subprocess.SubprocessError, shutil.Error) as e:
            why = str(e)[-160:] or type(e).__name__
        slow = self.watchdog.done() or slow
        if why or slow:
            failed[s.name] = "does not end" if slow else why
            self.progress.tell("%s: %s fails: %s" % (w.title, s.name, failed[s.name]), True)
            if slow:
                self.c.abort(s)
            # A peer that has run out of something has it again.
            if slow or s.cls == "peer" or (s.main and s.main.poll() is not None):
                self.c.unmount(s)
                self.up(s)
        return got


KEPT = (("rate", "samples"), ("client_us", "client_us"), ("daemon_us", "daemon_us"))


def keep(r, name, number, got):
    """A sample in its round's place; None where there is none."""
    for key, kept in KEPT:
        r[kept].setdefault(name, [None] * number).append(got.get(key))


def even(r):
    """Those that were not asked in the last rounds have as many as the others."""
    for _, kept in KEPT:
        longest = max([len(v) for v in r[kept].values()] or [0])
        for v in r[kept].values():
            v += [None] * (longest - len(v))


def inside(a):
    # As systemd gives them: peers that hold a descriptor for each file need them.
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 524288))
    except (ValueError, OSError):
        pass  # a container may not; who runs out of them is shown as failed
    b = Bench(a)
    below = works.metas() + works.apps() + works.datas() + works.trees()
    b.plan(works.windows(), sides.window_sides())
    b.plan(below, sides.tree_sides())
    for name in ("start", "memory", "images"):
        if a.suite and name not in a.suite:
            b.aside.pop(name, None)
    b.group(works.windows(), sides.window_sides())
    for name, rows in (("start", single.start), ("memory", single.memory)):
        if a.only or a.suite and name not in a.suite:
            b.singles += single.not_measured(name, show.NOT_ASKED)
        elif b.late():
            b.singles += single.not_measured(name, "no time left")
        else:
            b.singles += rows(b.c, b.progress)
        b.aside.pop(name, None)
    b.group(below, sides.tree_sides())
    b.aside.pop("images", None)
    asked = {"images", "ext", "squashfs", "archive"} & set(a.suite)
    if not a.only and (asked or not a.suite and not a.quick and not b.late()):
        left = max(20, a.minutes * 60 - (time.monotonic() - b.progress.start))
        b.images = single.images(b.c, a, b.progress, os.environ["BENCH_TOP"], left)
    took = time.monotonic() - b.progress.start
    report.write(b, took)
    return 0


if __name__ == "__main__":
    args = arguments()
    sys.exit(inside(args) if args.inside else outer(args))
