"""Arithmetic of the benchmark. Plain lists in, plain numbers out."""

import math
from collections import namedtuple

Spread = namedtuple("Spread", "median low high n")


def percentile(values, p):
    """Nearest rank: the smallest value that at least p percent of all do not exceed. No value is made up between two."""
    if not values:
        raise ValueError("a percentile of nothing")
    if not 0 < p <= 100:
        raise ValueError(f"{p} is no percentile")
    ordered = sorted(values)
    return ordered[math.ceil(len(ordered) * p / 100 - 1e-9) - 1]


def median(values):
    if not values:
        raise ValueError("a median of nothing")
    ordered, half = sorted(values), len(values) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def spread(values):
    return Spread(median(values), min(values), max(values), len(values))


def ratios(ours, theirs):
    """Ours by theirs, round by round: what disturbed one round disturbed both of its runs."""
    if len(ours) != len(theirs):
        raise ValueError(f"{len(ours)} rounds against {len(theirs)}")
    if any(b <= 0 for b in theirs):
        raise ValueError("a ratio to nothing")
    return [a / b for a, b in zip(ours, theirs)]
