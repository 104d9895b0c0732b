"""What comes of the samples: lines while it runs, Markdown, JSON, plots."""

import json
import os
import platform
import resource
import subprocess
import time

import show
import stats
from sides import DEVICE, URING


def line(r, sides):
    """The best of each class, for who watches."""
    parts = []
    base = r["samples"].get(show.limit_of(r))
    for cls in ("limit", "peer", "ours"):
        of = {n: v for n, v in r["samples"].items() if sides[n].cls == cls}
        name = show.limit_of(r) if cls == "limit" and base else stats.best(of)
        if name:
            x = stats.ratio(of[name], base) if base else None
            parts.append("%s %s%s" % (name, stats.show(stats.median(of[name])),
                                      " (%s)" % stats.digits(x.of) if x and cls != "limit"
                                      else ""))
    return ", ".join(parts) or "nothing"


# The machine.


def said(argv):
    try:
        p = subprocess.run(argv, capture_output=True, text=True, timeout=20,
                           stdin=subprocess.DEVNULL)
        return (p.stdout.strip() or p.stderr.strip()).splitlines()[0]
    except (OSError, IndexError, subprocess.TimeoutExpired):
        return None


def package(name):
    return said(["dpkg-query", "-W", "-f", "${Version}", name]) or "not installed"


def linked():
    """The version of the libfuse that the daemon loads, from its file's name."""
    p = subprocess.run(["ldd", os.environ["RUMPFUSE"]], capture_output=True, text=True)
    paths = [w for line in p.stdout.splitlines() for w in line.split() if "/libfuse3" in w]
    return os.path.realpath(paths[0]).rsplit(".so.", 1)[-1] if paths else None


def machine():
    with open("/proc/cpuinfo") as f:
        models = [s.split(":", 1)[1].strip() for s in f if s.startswith("model name")]
    with open("/proc/meminfo") as f:
        memory = int(f.readline().split()[1]) // 1024
    system = "/".join(os.path.dirname(os.environ.get("BENCH_LIBFUSE_SYSTEM", "")).split("/")[-1:])
    names = ["bindfs", "mergerfs", "fuse-overlayfs", "unionfs-fuse", "fuse2fs", "squashfuse",
             "archivemount", "xmount", "nbdkit", "libnbd-bin", "dbench", "fio", "git", "gcc"]
    return {
        "kernel": "%s %s" % (platform.system(), platform.release()),
        "processor": "%d × %s" % (len(models), models[0] if models else platform.machine()),
        "memory, MiB": memory,
        "descriptors of a process": resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        "libfuse (system)": package("libfuse3-3"),
        "libfuse (new)": os.environ.get("BENCH_LIBFUSE_NEW_VERSION") or "not available",
        "rumpfuse": said(["git", "-C", os.environ["BENCH_TOP"], "describe", "--always",
                          "--dirty"]) or "?",
        "rumpfuse is linked with libfuse": linked() or "?",
        "packages": {n: package(n) for n in names},
    } | ({} if system else {"libfuse's examples (system)": "not available"})


# Markdown.


def spread(x):
    if x is None:
        return "–"
    return "%s [%s–%s]" % (stats.digits(x.of), stats.digits(x.low), stats.digits(x.high))


def name_of(s):
    tail = [t for t in (s.transport, "no passthrough" if s.passthrough is False else "") if t]
    return s.title + (" (%s)" % ", ".join(tail) if tail else "")


def table(head, rows):
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)] + \
        ["| " + " | ".join(str(c) for c in row) + " |" for row in rows] + [""]


VERDICT = {True: "met", False: "**missed**", None: "not measured"}


def not_asked(verdicts):
    """A line that names the targets that were left out on purpose."""
    left = sorted({v.r["work"] for v in verdicts if v.why == show.NOT_ASKED})
    return ["Not measured, since not asked for: " + ", ".join(left) + ".", ""] if left else []


def targets_table(verdicts, sides):
    rows = []
    for v in verdicts:
        if v.why == show.NOT_ASKED:
            continue
        r = v.r
        base = r["samples"].get(show.limit_of(r))

        def of_limit(transport, no=None):
            n = stats.best(show.peers(r, sides, transport, no))
            if not n or not base:
                return "–"
            x = stats.ratio(r["samples"][n], base)
            return "%s %s" % (stats.digits(x.of) if x else "–", n)

        no = False if v.target.against == show.PEER_NO else None
        ours = stats.ratio(r["samples"].get(v.side, []), base) if base else None
        rows.append([
            r["title"], r["clients"],
            "%s: %s" % (v.side, name_of(sides[v.side])) if v.side in sides else v.side,
            "≥ %g %s" % (v.target.factor, v.target.against),
            (spread(v.ratio) if v.ratio else v.why) + (
                "<br>" + v.default if v.default else ""),
            stats.digits(ours.of) if ours else "–", of_limit(v.transport, no), of_limit(None, no),
            "%s %s" % (stats.show(stats.median(base)), r["unit"]) if base else "–",
            VERDICT[v.met]])
    return table(["work", "clients", "ours", "target", "reached [quartiles]", "of the kernel",
                  "best peer, same transport", "best peer, any", "the kernel's own", "verdict"],
                 rows)


def summary(verdicts, singles):
    """One line for each work: how many of its targets are met."""
    by = {}
    for v in verdicts:
        if v.why == show.NOT_ASKED:
            continue
        by.setdefault(v.r["title"], []).append(v)
    rows = []
    for title, all_ in by.items():
        missed, absent = [], set()
        for v in all_:
            if v.met is None:
                absent.add("%s, %d client%s not measured: %s" % (
                    v.side, v.r["clients"], "s"[:v.r["clients"] > 1], v.why))
            elif not v.met:
                missed.append("%s, %d client%s: %s instead of %g %s" % (
                    v.side, v.r["clients"], "s"[:v.r["clients"] > 1], stats.digits(v.ratio.of),
                    v.target.factor, v.target.against))
        met = sum(bool(v.met) for v in all_)
        missed += sorted(absent)
        rows.append([title, "%d of %d" % (met, len(all_)),
                     "<br>".join(missed) or "–"])
    for s in singles:
        if s["judged"] and s["met"] is None and s["note"] != show.NOT_ASKED:
            rows.append([s["title"], "0 of 1", "not measured: " + (s["note"] or "no reference")])
        elif s["met"] is not None:
            rows.append([s["title"], "%d of 1" % s["met"], "–" if s["met"] else "%s %s instead of %s"
                         % (stats.digits(s["value"]), s["unit"], stats.digits(s["target"]))])
    return table(["work", "targets met", "missed"], rows)


def detail(r, sides):
    base = r["samples"].get(show.limit_of(r))
    best = stats.best(show.peers(r, sides))
    rows = []
    for n, v in sorted(r["samples"].items(), key=lambda k: -(stats.median(k[1]) or 0)):
        if stats.median(v) is None:
            continue
        mine = name_of(sides[n])
        cpu = [stats.median(r[k].get(n, [])) for k in ("client_us", "daemon_us")]
        rows.append([
            "**%s**" % mine if sides[n].cls == "ours" else mine, stats.show(stats.median(v)),
            spread(stats.ratio(v, base)) if base else "–",
            spread(stats.ratio(v, r["samples"][best])) if best else "–",
            stats.show(cpu[0]), stats.show(cpu[1]) if sides[n].transport else "–",
            ", ".join("%s %s" % (stats.digits(k), q) for q, k in
                      r.get("requests", {}).get(n, {}).items()),
            sum(x is not None for x in v)])
    out = ["### %s, %d client%s" % (r["title"], r["clients"], "s"[:r["clients"] > 1]), ""]
    out += table(["", r["unit"], "of " + show.limit_of(r), "× " + (best or "best peer"),
                  "client, µs", "daemon, µs", "requests of one operation", "rounds"], rows)
    for n, why in r["failed"].items():
        out.append("- %s: %s" % (name_of(sides[n]),
                                 why if why.startswith("not available") else "failed: " + why))
    return out + ([""] if r["failed"] else [])


def markdown(b, head, took):
    singles = [s.as_dict() for s in b.singles]
    verdicts = show.judge(b.results, b.sides, b.why)
    out = ["# Speed, side by side", "",
           "`./dev bench%s`, %d rounds at most, %d:%02d minutes, %s." % (
               " --quick" if b.a.quick else "", b.a.rounds, took // 60, took % 60,
               time.strftime("%Y-%m-%d")), "",
           "All sides are mounted at once and asked in turns (A B C A B C …, another one first in "
           "each round). A figure is the median of the rounds, a ratio that of two medians; in "
           "brackets the quartiles of the rounds' own ratios. Absolute figures are this "
           "machine's and this hour's; ratios are what to read. More is better. "
           "Processor time is that of one operation, of the client and of the daemon. Peers that "
           "reach less than 0.5 of another peer of their kind in two rounds, or 0.7 in three, are "
           "asked no further, nor are limits and variants that no target is about; works without a target "
           "have three rounds, and so may others have when time is short.", "",
           "Caching. Peers run as they do by default, but for mergerfs (cache.files=auto-full) "
           "and passthrough_ll (cache=always); so passthrough_ll and passthrough_hp believe "
           "names and attributes for a day, without looking whether the host has changed, "
           "bindfs, mergerfs and unionfs-fuse for 1 s, memfs_ll not at all. Directory and file "
           "keys believe the host for 1 s (attr-timeout), and directories that are watched until "
           "they change (watch = auto); what is in memory changes through the mount alone and is "
           "believed without limit.", "",
           "Ours by default is *in memory* (mem) without keys and *directory key* (key) or *file "
           "keys* (file) with them: passthrough, no-open and transport are auto. That is "
           "io_uring where the kernel's switch is on, else /dev/fuse, so each is in the tables "
           "with both. The others are variants that a configuration can choose.", "",
           "Peers and directory keys show a directory of a tmpfs: *of tmpfs* is what is left of "
           "the kernel's own speed there.", ""]
    out += table(["", ""], [[k, v] for k, v in head.items() if k != "packages"])
    out.append("Packages: " + ", ".join("%s %s" % p for p in head["packages"].items()) + ".")
    out += ["", "## Targets", ""] + summary(verdicts, singles) + not_asked(verdicts)
    out += ["## Targets, each", ""] + targets_table(verdicts, b.sides)
    if singles:
        out += ["## Starting, and memory", ""] + table(
            ["", "value", "unit", "target", "verdict", ""],
            [[s["title"], stats.show(s["value"]), s["unit"],
              "≤ " + stats.digits(s["target"]) if s["target"] else "–",
              VERDICT[s["met"]] if s["judged"] else "–", s["note"]] for s in singles])
    if b.images:
        out += ["## Images, against fuse2fs, squashfuse_ll and archivemount", ""] + table(
            ["", "", "ours, s", "theirs, s", "theirs/ours"],
            [[r["suite"], r["title"]] + ["–" if r[k] is None else "%.4g" % r[k]
                                         for k in ("ours", "theirs", "ratio")]
             for r in b.images])
    absent = sorted((name_of(s), s.missing) for s in b.sides.values() if s.missing)
    if absent:
        out += ["## Not available", ""] + ["- %s: %s" % x for x in absent] + [""]
    out += ["## Everything", ""]
    for r in b.results.values():
        if r["samples"] or r["failed"]:
            out += detail(r, b.sides)
    return "\n".join(out).rstrip() + "\n"


# Plots.


PLOTS = [
    ("metadata", "meta", 1, "operations on names, 1 client"),
    ("metadata-2", "meta", 2, "operations on names, 2 clients"),
    ("data", "data", 1, "data, 1 client"),
    ("trees", "trees", 1, "trees and directories"),
    ("programs", "apps", 1, "programs"),
    ("windows", "windows", 1, "a window of an image"),
]


def plot(b, out, name, suite, clients, title):
    rs = [r for r in b.results.values() if r["suite"] == suite and r["clients"] == clients]
    rs = [r for r in rs if r["samples"].get(show.limit_of(r))]
    if not rs:
        return
    ours = ["window", "window-uring"] if suite == "windows" else \
        ["mem", "mem-uring", "key", "key-uring"] + (["mem-wb"] if suite == "data" else [])
    head = ["best peer, device", "best peer, io-uring"] + ours
    rows = []
    for r in rs:
        base = r["samples"][show.limit_of(r)]
        cells = []
        for n in [stats.best(show.peers(r, b.sides, t)) for t in (DEVICE, URING)] + ours:
            x = stats.ratio(r["samples"].get(n, []), base) if n else None
            cells.append("%.4f" % x.of if x else "NaN")
        rows.append('"%s"\t' % r["work"] + "\t".join(cells))
    data = b.c.write("conf/plot.dat", "\t".join(['"work"'] + ['"%s"' % h for h in head]) + "\n"
                     + "\n".join(rows) + "\n")
    script = """set terminal svg size %d,420 font 'sans,11' background 'white'
set output '%s'
set title '%s: rate as a part of the kernel''s own'
set style data histogram
set style histogram clustered gap 1
set style fill solid 0.85 border -1
set logscale y
set yrange [0.005:10]
set grid ytics
set xtics rotate by -30
set key outside bottom horizontal
set datafile missing 'NaN'
plot 1 with lines lc 'black' notitle, for [i=2:%d] '%s' using i:xtic(1) title columnheader(i)
""" % (max(500, 110 * len(rows)), os.path.join(out, "%s-%s.svg" % (b.a.name, name)), title,
       len(head) + 1, data)
    p = subprocess.run(["gnuplot", "-"], input=script, text=True, capture_output=True)
    if p.returncode:
        b.progress.tell("no plot: " + p.stderr.strip()[-160:], True)


def digits4(x):
    """Samples are not known better."""
    return float("%.4g" % x) if isinstance(x, float) else x


def small(r):
    """A result as it is kept: samples, and medians of processor time."""
    kept = dict(r, samples={n: [digits4(x) for x in v] for n, v in r["samples"].items()})
    for k in ("client_us", "daemon_us"):
        kept[k] = {n: digits4(stats.median(v)) for n, v in r[k].items()}
    return kept


def lines(x, depth):
    """JSON with a line for each member down to a depth."""
    if depth == 0 or not isinstance(x, dict) or not x:
        return json.dumps(x, default=str, ensure_ascii=False)
    return "{\n" + ",\n".join("%s: %s" % (json.dumps(str(k)), lines(v, depth - 1))
                              for k, v in x.items()) + "\n}"


def write(b, took):
    out = os.environ.get("BENCH_RESULTS") or os.path.join(os.environ["BENCH_TOP"],
                                                          "bench/results")
    os.makedirs(out, exist_ok=True)
    head = machine()
    with open(os.path.join(out, b.a.name + ".md"), "w") as f:
        f.write(markdown(b, head, took))
    with open(os.path.join(out, b.a.name + ".json"), "w") as f:
        f.write(lines({"machine": head, "rounds": b.a.rounds, "seconds": round(took),
                   "sides": {n: {"class": s.cls, "kind": s.kind, "transport": s.transport,
                                 "passthrough": s.passthrough, "title": name_of(s),
                                 "not available": s.missing} for n, s in b.sides.items()},
                   "works": {k: small(r) for k, r in b.results.items()}, "single": [s.as_dict() for s in b.singles],
                   "images": b.images}, 3) + "\n")
    try:
        for p in PLOTS:
            plot(b, out, *p)
    except FileNotFoundError:
        b.progress.tell("no plots: gnuplot is not installed", True)
    b.progress.tell("%s/%s.md, .json and .svg" % (os.path.relpath(out), b.a.name), True)
