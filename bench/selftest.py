#!/usr/bin/env python3
"""The frame's arithmetic, without a mount: rows of what is given and what must come of it.  The
last line is "N passed, N failed, N skipped"."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import report  # noqa: E402
import show  # noqa: E402
import single  # noqa: E402
import sides  # noqa: E402
import stats  # noqa: E402
import works  # noqa: E402

passed = failed = 0


def same(what, got, expected):
    global passed, failed
    if got == expected:
        passed += 1
    else:
        failed += 1
        print("FAIL %s: %r, expected %r" % (what, got, expected))


def a_result(work, samples, suite="meta", clients=1):
    return {"title": work, "unit": "operations/s", "work": work, "clients": clients,
            "suite": suite, "samples": samples, "client_us": {}, "daemon_us": {}, "failed": {}}


def statistics():
    for values, expected in (([3], 3), ([1, 3], 2), ([9, 1, 5], 5), ([4, 1, 3, 2], 2.5),
                             ([None, 2, 4], 3), ([], None), ([None], None)):
        same("median of %s" % values, stats.median(values), expected)
    for q, expected in ((0, 1), (0.25, 2), (0.5, 3), (1, 5)):
        same("quantile %g" % q, stats.quantile([5, 4, 3, 2, 1], q), expected)
    # The ratio is that of the medians, the spread that of the rounds; a round that one of
    # them has not is left out.
    x = stats.ratio([10, 30, 20], [5, 10, 20])
    same("ratio", (x.of, x.low, x.high, x.n), (2, 1.5, 2.5, 3))
    same("a round is missing", stats.ratio([10, None, 20], [5, 10, None]).n, 1)
    same("nothing in common", stats.ratio([None, 1], [1, None]), None)
    same("the best", stats.best({"a": [1, 9], "b": [6, 6], "c": [None]}), "b")
    same("none is best", stats.best({}), None)
    names = list("abcdefg")
    same("each round asks all", [sorted(stats.order(names, k)) for k in range(9)], [names] * 9)
    same("nobody is always first", len({stats.order(names, k)[0] for k in range(7)}) > 3, True)
    for x, expected in ((None, "–"), (0, "0"), (1234567, "1.23 M"), (45678, "45.7 k"),
                        (1234, "1234"), (0.0512, "0.051"), (0.5, "0.50")):
        same("show %s" % x, stats.show(x), expected)


def verdicts():
    made = {s.name: s for s in sides.tree_sides() + sides.window_sides()}
    results = {
        "stat/1": a_result("stat", {"tmpfs": [10, 10], "hp-new": [9, 9], "mem": [8, 8],
                                    "key": [7, 7]}),
        "create/1": a_result("create", {"tmpfs": [100, 100], "hp-new": [10, 10],
                                        "hp-new-uring": [20, 20], "mem": [15, 15],
                                        "mem-uring": [29, 29]}),
        "seq-read/1": a_result("seq-read", {"tmpfs": [100], "hp-new": [99], "hp-new-no": [10],
                                            "key-no": [16]}, "data"),
        "window-rand-read/1": a_result("window-rand-read", {
            "loop": [10], "nbdfuse": [4], "window": [6], "window-uring": [5]}, "windows"),
    }
    results["rand-write/1"] = a_result("rand-write", {
        "tmpfs": [100], "mem": [10], "mem-wb": [60], "key": [10], "hp-new": [4],
        "hp-new-uring": [8]}, "data")
    results["stat/1"]["failed"]["mem-uring"] = "does not end"
    got = {(v.r["work"], v.side, v.target.factor): (v.reference, v.met)
           for v in show.judge(results, made)}
    for key, expected in (
            (("stat", "mem", 0.8), ("tmpfs", True)),
            (("stat", "key", 0.8), ("tmpfs", False)),
            (("stat", "mem-uring", 0.8), ("tmpfs", None)),
            (("create", "mem", 1.5), ("hp-new", True)),
            (("create", "mem-uring", 1.5), ("hp-new-uring", False)),
            (("seq-read", "key-no", 1.5), ("hp-new-no", True)),
            (("window-rand-read", "window", 1.5), ("nbdfuse", True)),
            # No peer has io_uring: the best of any counts.
            (("window-rand-read", "window-uring", 1.5), ("nbdfuse", False)),
            (("window-rand-read", "window-uring", 0.5), ("loop", True))):
        same("verdict of %s" % (key,), got.get(key), expected)
    verdicts_ = show.judge(results, made, lambda work, n: "no time left")
    text = "\n".join(report.summary(verdicts_, []) + report.targets_table(verdicts_, made))
    same("the table names what is missed", "mem-uring, 1 client: 1.45 instead of 1.5" in text,
         True)
    same("and what was not measured, and why", "mem-uring, 1 client not measured: does not end"
         in text, True)
    same("also what had no time", "mem, 2 clients not measured: no time left" in text, True)
    same("no target is left out", {(v.target.work, v.target.ours, v.transport)
                                   for v in verdicts_}, {
        (t.work, t.ours, x) for t in show.all_targets()
        for x in (sides.DEVICE, sides.URING)})
    v = next(v for v in verdicts_ if v.r["work"] == "rand-write" and v.target.ours == "mem"
             and v.r["clients"] == 1)
    same("the best variant is judged, the default told", (v.side, v.met, v.default),
         ("mem-wb", True, "mem: 0.10"))
    v = next(v for v in verdicts_ if v.side == "key" and v.r["work"] == "rand-write"
             and v.r["clients"] == 1)
    same("by the best peer of any transport", (v.reference, v.met), ("hp-new-uring", False))
    same("missing singles are told", "start with 100000 keys | 0 of 1 | not measured: late" in
         "\n".join(report.summary([], [s.as_dict() for s in
                                        single.not_measured("start", "late")])), True)
    same("the detail has a row for each", len([s for s in report.detail(
        results["create/1"], made) if s.startswith("|")]), 7)


def names():
    """Every target is about a work and a side that there are."""
    known = set()
    for w in works.all_works():
        known |= {j.name.rstrip("2") for j in w.jobs} if w.jobs else {w.name}
    made = {s.name for s in sides.tree_sides() + sides.window_sides()}
    for t in show.all_targets():
        same("work %s" % t.work, t.work in known, True)
        for v in t.variants:
            same("side %s" % v, {v, v + "-uring"} <= made, True)


statistics()
verdicts()
names()
print("%d passed, %d failed, 0 skipped" % (passed, failed))
sys.exit(failed > 0)
