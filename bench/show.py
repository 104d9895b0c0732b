"""The targets, and whether they are met.

A Target is a work and what is asked of a variant of ours there: at least FACTOR times AGAINST.
Against the limit (tmpfs; for windows the loop device), the best peer of the same transport, the
best peer of any, or the best that does without FUSE passthrough.  In-memory data is judged by
the best of the in-memory variants, which the row names beside the default's figure.
"""

import stats
import works
from sides import DEVICE, URING

LIMIT, PEER_SAME = "of the kernel", "× best peer, same transport"
PEER, PEER_NO = "× best peer", "× best peer without passthrough"
VARIANTS = ("mem", "mem-opens", "mem-beside", "mem-wb")
NOT_ASKED = "not asked for"


class Target:
    """variants: the sides, without their transport, of which the best counts; the first is the
    default."""

    def __init__(self, work, ours, factor, against, variants=None):
        self.work, self.ours, self.factor, self.against = work, ours, factor, against
        self.variants = variants or (ours,)


def all_targets():
    t = []

    def add(works_, ours, factor, against):
        for w in works_.split():
            for o in ours.split():
                best_of = VARIANTS if o == "mem" and w in DATA else None
                t.append(Target(w, o, factor, against, best_of))

    mem, key = "mem", "key"
    add("stat", "mem key", 0.8, LIMIT)
    add("missing", "mem key", 2, LIMIT)
    add("openread", mem, 0.4, LIMIT)
    add("openread", key, 1.2, PEER_SAME)
    add("create rename mkdir", mem, 1.5, PEER_SAME)
    add("create rename mkdir", key, 1.1, PEER_SAME)
    add("rand-write", mem, 0.5, LIMIT)
    add("rand-write", "key file", 2, PEER)
    add("seq-write", "mem key file", 0.95, LIMIT)
    add("seq-write", "key-no", 1.5, PEER_NO)
    add("seq-read rand-read mmap-read", "mem key file", 0.95, LIMIT)
    add("seq-read rand-read mmap-read", "key-no", 1.5, PEER_NO)
    # Cached, a file key is as a file below a directory key, and is not asked.
    add("seq-read-cached rand-read-cached", "mem key", 0.95, LIMIT)
    add("walk", "mem key", 0.7, LIMIT)
    add("git-status", "mem key", 0.95, LIMIT)
    add("readdir", "mem key", 3, LIMIT)
    add("dbench", mem, 2, PEER_SAME)
    add("untar make", mem, 1.3, PEER)
    small = "window-seq4k-read window-rand-read window-seq4k-write window-rand-write"
    add(small, "window", 1.5, PEER)
    add(small, "window", 0.5, LIMIT)
    add("window-seq-read-cached window-rand-read-cached", "window", 0.95, LIMIT)
    return t


DATA = {j.name for w in works.datas() for j in w.jobs}


def is_target(w):
    """Whether any row of a work has one."""
    about = {t.work for t in all_targets()}
    return any(row[0] in about for row in works.rows_of(w))


def limit_of(r):
    return "loop" if r["suite"] == "windows" else "tmpfs"


def peers(r, sides, transport=None, passthrough=None):
    """Samples of the peers, of one transport (any if None), or of those without passthrough."""
    return {n: v for n, v in r["samples"].items() if sides[n].cls == "peer"
            and transport in (None, sides[n].transport)
            and not (passthrough is False and sides[n].passthrough)}


def reference(t, r, sides, transport):
    """Whom a target is measured by; where no peer has the transport that is asked for, by the
    best of any."""
    if t.against == LIMIT:
        return limit_of(r)
    if t.against == PEER_SAME:
        return stats.best(peers(r, sides, transport)) or stats.best(peers(r, sides))
    return stats.best(peers(r, sides, None, False if t.against == PEER_NO else None))


class Verdict:
    """side: the variant that counts; default: what the default variant reaches, if that is
    another; why: the reason if ratio is None."""

    def __init__(self, target, r, transport, side, reference_, ratio, why="", default=""):
        self.target, self.r, self.transport = target, r, transport
        self.side, self.reference, self.ratio, self.why = side, reference_, ratio, why
        self.default = default

    @property
    def met(self):
        """True, False, or None: not measured."""
        return None if self.ratio is None else self.ratio.of >= self.target.factor


def verdict(t, r, sides, transport, tail):
    default = t.variants[0] + tail
    asked = {v + tail: r["samples"][v + tail] for v in t.variants if v + tail in r["samples"]}
    ref = reference(t, r, sides, transport)
    side = stats.best(asked)
    if side and ref in r["samples"]:
        x = stats.ratio(asked[side], r["samples"][ref])
        if x:
            other = ""
            if side != default:
                d = stats.ratio(asked.get(default, []), r["samples"][ref])
                other = "%s: %s" % (default, stats.digits(d.of) if d else "not measured")
            return Verdict(t, r, transport, side, ref, x, default=other)
    why = r["failed"].get(default) or r.get("why")
    if not why and side:
        why = "nothing to compare with"
        if ref:
            why += ": %s %s" % (ref, r["failed"].get(ref, "was not measured"))
    elif not why:
        s = sides.get(default)
        why = "not available: " + s.missing if s and s.missing else \
            "%s is not part of this run" % default
    return Verdict(t, r, transport, default, ref, None, why)


def judge(results, sides, why=None):
    """A verdict for each target, client count and transport; why(work, clients) is the reason
    for which there is no result, or None: then only what there is is judged."""
    rows = {}
    for w in works.all_works():
        for work, title, unit, n in works.rows_of(w):
            key = "%s/%d" % (work, n)
            if key in results:
                rows.setdefault(work, {})[key] = results[key]
            elif why:
                rows.setdefault(work, {})[key] = {
                    "title": title, "unit": unit, "work": work, "clients": n, "suite": w.suite,
                    "samples": {}, "failed": {}, "why": why(work, n)}
    return [verdict(t, r, sides, transport, tail) for t in all_targets()
            for r in rows.get(t.work, {}).values()
            for transport, tail in ((DEVICE, ""), (URING, "-uring"))]
