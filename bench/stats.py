"""The arithmetic of the benchmark: medians, quartiles, ratios of interleaved rounds.

A sample is a rate (more is better) or None where the round failed.  Rounds are interleaved, so
the samples of one round of two sides were taken within seconds of each other; the ratio of two
sides is the ratio of their medians, and its spread the quartiles of the ratios of the rounds.
"""


def quantile(values, q):
    """By linear interpolation between the closest ranks."""
    v = sorted(values)
    if not v:
        return None
    at = (len(v) - 1) * q
    low = int(at)
    high = min(low + 1, len(v) - 1)
    return v[low] + (v[high] - v[low]) * (at - low)


def median(values):
    v = [x for x in values if x is not None]
    return quantile(v, 0.5)


class Ratio:
    """of: the ratio of the medians; low, high: quartiles of the rounds' ratios; n: how many
    rounds have both."""

    def __init__(self, of, low, high, n):
        self.of, self.low, self.high, self.n = of, low, high, n


def ratio(ours, theirs):
    """None if there is no round that has both."""
    each = [a / b for a, b in zip(ours, theirs) if a is not None and b]
    if not each:
        return None
    return Ratio(median(ours) / median(theirs), quantile(each, 0.25), quantile(each, 0.75), len(each))


def best(samples):
    """samples: name → samples.  The name with the highest median, or None."""
    known = {k: median(v) for k, v in samples.items()}
    known = {k: v for k, v in known.items() if v is not None}
    return max(known, key=known.get) if known else None


def order(names, round_number):
    """Who goes when: each round another one is first, and every second round goes backwards,
    so that nobody always follows the same one."""
    names = list(names)
    if not names:
        return names
    k = (round_number // 2 * 3) % len(names)
    turned = names[k:] + names[:k]
    return turned[::-1] if round_number % 2 else turned


def show(x):
    """Three digits of a number, no more than can be believed."""
    if x is None:
        return "–"
    if x == 0:
        return "0"
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(x) >= limit:
            x = x / (1e3 if unit == "k" else limit)
            return digits(x) + " " + unit
    return digits(x)


def digits(x):
    if abs(x) >= 100:
        return "%.0f" % x
    if abs(x) >= 10:
        return "%.1f" % x
    return "%.2f" % x if abs(x) >= 0.095 else "%.3f" % x
