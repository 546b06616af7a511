# SPDX-License-Identifier: BSD-3-Clause
"""Sparse histograms of durations: upper bound in nanoseconds -> how many."""
import math
from typing import Dict, Iterable

Histogram = Dict[int, int]
QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999}


def parsed(words: Iterable[str]) -> Histogram:
    pairs = (word.split(":") for word in words)
    return {int(bound): int(count) for bound, count in pairs}


def merged(histograms: Iterable[Histogram]) -> Histogram:
    total: Histogram = {}
    for histogram in histograms:
        for bound, count in histogram.items():
            total[bound] = total.get(bound, 0) + count
    return total


def _quantile(histogram: Histogram, q: float) -> int:
    rank = max(1, math.ceil(sum(histogram.values()) * q - 1e-9))
    seen = 0
    for bound in sorted(histogram):
        seen += histogram[bound]
        if seen >= rank:
            return bound
    return 0


def summary_us(histogram: Histogram) -> Dict[str, float]:
    if not sum(histogram.values()):
        return {}
    figures: Dict[str, float] = {"count": sum(histogram.values())}
    for name, q in QUANTILES.items():
        figures[name] = _quantile(histogram, q) / 1000
    figures["max"] = max(bound for bound, count in histogram.items() if count) / 1000
    return figures
