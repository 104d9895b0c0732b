"""What comes of the samples: lines while it runs, Markdown, JSON, plots."""

import json
import os
import stats


def line(r, sides):
    """The best of each class, for who watches."""
    parts = []
    base = r["samples"].get("tmpfs") or r["samples"].get("loop")
    for cls in ("limit", "peer", "ours"):
        of = {n: v for n, v in r["samples"].items() if sides[n].cls == cls}
        name = stats.best(of)
        if name:
            x = stats.ratio(of[name], base) if base else None
            parts.append("%s %s%s" % (name, stats.show(stats.median(of[name])),
                                      " (%s)" % stats.digits(x.of) if x and cls != "limit" else ""))
    return ", ".join(parts) or "nothing"


def write(b, took):
    out = os.path.join(os.environ["BENCH_TOP"], "bench/results")
    os.makedirs(out, exist_ok=True)
    with open(os.path.join(out, b.a.name + ".json"), "w") as f:
        json.dump(b.results, f, indent=1)
