# SPDX-License-Identifier: BSD-3-Clause
"""Ranges and ticks of axes. Knows figures, and nothing of gnuplot but how a list of ticks looks."""

import math
from typing import List

from .figures import Figure

LETTER = 6.9  # pixels of one, more or less


def log_ticks(low: float, high: float) -> List[float]:
    """Powers of ten, and 2 and 5 times them where there is room."""
    steps = (1, 2, 5) if high / low < 300 else (1,)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    return [
        step * 10**power
        for power in range(first, last + 1)
        for step in steps
        if low * 0.999 <= step * 10.0**power <= high * 1.001
    ]


def linear_ticks(high: float) -> List[float]:
    step = 10 ** math.floor(math.log10(high / 3))
    step *= next(factor for factor in (1, 2, 5, 10) if high / (step * factor) <= 5.5)
    count = math.floor(high / step * 1.0001)
    return [step * index for index in range(count + 1)]


class Axis:
    """A range, the ticks in it, and where a value is: 0 to 1."""

    def __init__(self, values: List[float], log: bool) -> None:
        low, high = min(values), max(values)
        self.log = log and low > 0
        if self.log:
            # At least a factor of four: else noise looks like news.
            middle = math.sqrt(low * high)
            low, high = min(low / 1.12, middle / 2), max(high * 1.12, middle * 2)
            self.low, self.high = low, high
            self.ticks = log_ticks(low, high)
        else:
            self.low, self.high = 0, (high or 1) * 1.06
            self.ticks = linear_ticks(self.high)

    def place(self, value: float) -> float:
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def short(figure: Figure, value: float) -> str:
    """A tick's words."""
    if figure.kind == "number" and abs(value) >= 1e3:
        return "%g M" % (value / 1e6) if value >= 1e6 else "%g k" % (value / 1e3)
    return figure.write(value) if value or figure.kind != "us" else "0"


def with_room(ticks: List[float], places: List[float], names: List[str]) -> List[int]:
    """Which of the ticks, by number, have room for their names, from the right; `places` in
    pixels."""
    chosen: List[int] = []
    for number in reversed(range(len(ticks))):
        half = LETTER * len(names[number]) / 2 + 4
        last = chosen[-1] if chosen else None
        if (
            last is None
            or places[last] - places[number] >= half + LETTER * len(names[last]) / 2 + 4
        ):
            chosen.append(number)
    return chosen


def tick_list(names: List[str], values: List[float]) -> str:
    """As gnuplot wants it; the names are quoted already."""
    return "(%s)" % ", ".join("%s %.9g" % pair for pair in zip(names, values))
