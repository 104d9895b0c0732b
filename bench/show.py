"""The targets, and whether they are met.

A Target is a work and what is asked of a variant of ours there: at least FACTOR times AGAINST.
Against the limit (tmpfs; for windows the loop device), the best peer of the same transport, or
the best peer that does without FUSE passthrough.
"""

import stats
from sides import DEVICE, URING

LIMIT, PEER, PEER_NO = "of the kernel", "× best peer", "× best peer without passthrough"


class Target:
    def __init__(self, work, ours, factor, against):
        self.work, self.ours, self.factor, self.against = work, ours, factor, against


def all_targets():
    t = []

    def add(works_, ours, factor, against):
        for w in works_.split():
            for o in ours.split():
                t.append(Target(w, o, factor, against))

    mem, key = "mem", "key"
    add("stat", "mem key", 0.8, LIMIT)
    add("missing", "mem key", 2, LIMIT)
    add("openread", mem, 0.4, LIMIT)
    add("openread", "key", 1.2, PEER)
    add("create rename mkdir", mem, 1.5, PEER)
    add("create rename mkdir", key, 1.1, PEER)
    add("rand-write", mem, 0.5, LIMIT)
    add("rand-write", "key file", 2, PEER)
    add("seq-write", "mem key file", 0.95, LIMIT)
    add("seq-write", "key-no", 1.5, PEER_NO)
    add("seq-read rand-read mmap-read", "mem key file", 0.95, LIMIT)
    add("seq-read rand-read mmap-read", "key-no", 1.5, PEER_NO)
    add("seq-read-cached rand-read-cached", "mem key file", 0.95, LIMIT)
    add("walk", "mem key", 0.7, LIMIT)
    add("git-status", "mem key", 0.95, LIMIT)
    add("readdir", "mem key", 3, LIMIT)
    add("dbench", mem, 2, PEER)
    add("untar make", mem, 1.3, PEER)
    add("window-seq4k-read window-rand-read window-seq4k-write window-rand-write", "window",
        1.5, PEER)
    add("window-seq4k-read window-rand-read window-seq4k-write window-rand-write", "window",
        0.5, LIMIT)
    add("window-seq-read-cached window-rand-read-cached", "window", 0.95, LIMIT)
    return t


def limit_of(r):
    return "loop" if r["suite"] == "windows" else "tmpfs"


def peers(r, sides, transport=None, passthrough=None):
    """Samples of the peers, of one transport (any if None), or of those without passthrough."""
    return {n: v for n, v in r["samples"].items() if sides[n].cls == "peer"
            and transport in (None, sides[n].transport)
            and not (passthrough is False and sides[n].passthrough)}


def reference(t, r, sides, transport):
    """Whom a target is measured by; where no peer has the transport, by the best of any."""
    if t.against == LIMIT:
        return limit_of(r)
    no = False if t.against == PEER_NO else None
    return stats.best(peers(r, sides, transport, no)) or stats.best(peers(r, sides, None, no))


class Verdict:
    def __init__(self, target, r, transport, side, reference_, ratio, why=""):
        self.target, self.r, self.transport = target, r, transport
        self.side, self.reference, self.ratio, self.why = side, reference_, ratio, why

    @property
    def met(self):
        """True, False, or None: not measured."""
        return None if self.ratio is None else self.ratio.of >= self.target.factor


def judge(results, sides):
    out = []
    for t in all_targets():
        for r in results.values():
            if r["work"] != t.work:
                continue
            for transport, tail in ((DEVICE, ""), (URING, "-uring")):
                name = t.ours + tail
                if name not in sides:
                    continue
                ref = reference(t, r, sides, transport)
                both = name in r["samples"] and ref in r["samples"]
                x = stats.ratio(r["samples"][name], r["samples"][ref]) if both else None
                if x or name in r["failed"]:
                    out.append(Verdict(t, r, transport, name, ref, x, r["failed"].get(name, "")))
    return out
