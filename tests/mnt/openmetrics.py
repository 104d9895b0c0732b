#!/usr/bin/env python3
"""Is this OpenMetrics text, and what a Prometheus textfile collector takes?

    openmetrics.py FILE     status 0, or 1 with the reasons

First by the grammar, as the specification has it; then by the two parsers of the Prometheus
client, if they are there.
"""
import math
import re
import sys

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\n"])*"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)?\}})? (\S+)")
META = re.compile(rf"# (TYPE|UNIT|HELP) ({NAME}) (.*)")
NUMBER = re.compile(r"[+-]?(\d+(\.\d+)?([eE][+-]?\d+)?|Inf)|NaN")
# The text format knows no others that OpenMetrics has too.
TYPES = {"counter": ["_total"], "gauge": [""], "histogram": ["_bucket", "_sum", "_count"]}
bad = []


def wrong(n, what):
    bad.append(f"line {n}: {what}")


def histogram(samples):
    """Buckets of one set of labels: cumulative, ending in +Inf, which is the count."""
    series = {}
    for n, name, labels, value in samples:
        le = re.search(r'(?:^|,)le="([^"]*)"', labels)
        rest = re.sub(r'(?:^|,)le="[^"]*"', "", labels)
        part = series.setdefault(rest, {"le": [], "sum": None, "count": None, "n": n})
        if name.endswith("_bucket"):
            if not le:
                wrong(n, "a bucket without le")
            else:
                part["le"].append((float(le[1]), value))
        else:
            part[name.rsplit("_", 1)[1]] = value
    for part in series.values():
        bounds = [b for b, _ in part["le"]]
        counts = [c for _, c in part["le"]]
        if bounds != sorted(set(bounds)) or not bounds or bounds[-1] != math.inf:
            wrong(part["n"], "bounds that do not ascend to +Inf")
        elif counts != sorted(counts) or counts[-1] != part["count"]:
            wrong(part["n"], "counts that do not ascend to the count")
        elif part["sum"] is None:
            wrong(part["n"], "no sum")


def family(name, meta, samples):
    kind = meta.get("TYPE")
    if kind not in TYPES:
        return wrong(meta["n"], f"{name}: type {kind}")
    if not meta.get("HELP"):
        wrong(meta["n"], f"{name}: no help")
    if "UNIT" in meta and not name.endswith("_" + meta["UNIT"]):
        wrong(meta["n"], f"{name} does not end with its unit {meta['UNIT']}")
    if not samples:
        wrong(meta["n"], f"{name}: no samples")
    seen = set()
    for n, sample, labels, value in samples:
        if sample[len(name):] not in TYPES[kind] or not sample.startswith(name):
            wrong(n, f"{sample} in the family {name}")
        if (sample, labels) in seen:
            wrong(n, f"{sample}{{{labels}}} twice")
        seen.add((sample, labels))
        if kind != "gauge" and value < 0:
            wrong(n, "less than nothing was counted")
    if kind == "histogram":
        histogram(samples)


def check(text):
    if not text.endswith("\n# EOF\n"):
        wrong(0, "no EOF at the end")
    done, name, meta, samples = set(), None, {}, []
    for n, line in enumerate(text.split("\n")[:-2], 1):
        m = META.fullmatch(line)
        if m:
            if m[2] != name:
                if name:
                    family(name, meta, samples)
                name, meta, samples = m[2], {"n": n}, []
                if name in done:
                    wrong(n, f"{name} comes again")
                done.add(name)
            elif samples:
                wrong(n, f"{name}: {m[1]} behind samples")
            if m[1] in meta:
                wrong(n, f"{name}: {m[1]} twice")
            meta[m[1]] = m[3]
            continue
        m = SAMPLE.fullmatch(line)
        if not m or not NUMBER.fullmatch(m[3]):
            wrong(n, f"no sample: {line}")
        elif not name:
            wrong(n, "a sample without a family")
        else:
            labels = re.findall(r'(?:^|,)([a-zA-Z_][a-zA-Z0-9_]*)="', m[2] or "")
            if len(labels) != len(set(labels)):
                wrong(n, "a label twice")
            samples.append((n, m[1], m[2] or "", float(m[3])))
    if name:
        family(name, meta, samples)
    return len(done)


with open(sys.argv[1], encoding="utf-8", newline="") as f:
    content = f.read()
families = check(content)
try:
    from prometheus_client import parser
    from prometheus_client.openmetrics import parser as openmetrics
    try:
        a = list(openmetrics.text_string_to_metric_families(content))
        b = list(parser.text_string_to_metric_families(content))
        if len(a) != families:
            wrong(0, f"{families} families, and the parser sees {len(a)}")
        if sum(len(m.samples) for m in a) != sum(len(m.samples) for m in b):
            wrong(0, "the two parsers see different numbers of samples")
    except ValueError as e:
        bad.append(f"the client's parser says: {e}")
except ImportError:
    print("SKIP there is no python3-prometheus-client")
print("\n".join(bad) or f"{families} families")
sys.exit(bool(bad))
