# SPDX-License-Identifier: BSD-3-Clause
"""Which figures a report has, and the numbers of each: what is drawn and what stands in the
table under it are these same rows. Knows neither gnuplot nor HTML."""

from typing import Callable, Dict, List, Optional, Tuple

from . import words
from .measured import Cell, Measured, Spread

Point = Tuple[float, float, float, float]
FAR = 10

Metric = Tuple[str, str, Tuple[str, ...], str, bool]


class Row:
    """One contestant's line: points are (x, median, low, high)."""

    def __init__(self, name: str, slot: int, points: List[Point]) -> None:
        self.name = name
        self.slot = slot
        self.points = points

    def at(self, x: float) -> Optional[Point]:
        return next((point for point in self.points if point[0] == x), None)


class Figure:
    """One diagram. `kind` says how its numbers are written. The vertical axis is logarithmic when
    `log`, and where a plain one would press together what is not the greatest."""

    def __init__(
        self,
        title: str,
        note: str,
        kind: str,
        rows: List[Row],
        x_name: str,
        log: bool = False,
        x_log: bool = True,
    ) -> None:
        self.name = ""  # in a page
        self.title = title
        self.note = note
        self.kind = kind  # "number", "us", "ratio"
        self.rows = [row for row in rows if row.points]
        self.x_name = x_name
        self.log = log or self.reaches() > FAR
        self.x_log = x_log

    def reaches(self) -> float:
        """The greatest median by the least."""
        medians = [point[1] for row in self.rows for point in row.points]
        return max(medians) / min(medians) if medians and min(medians) > 0 else 0.0

    def xs(self) -> List[float]:
        return sorted({point[0] for row in self.rows for point in row.points})

    def write(self, value: float) -> str:
        if self.kind == "us":
            return words.duration(value)
        return words.number(value) + (" " + words.TIMES if self.kind == "ratio" else "")

    def description(self) -> str:
        """What one sees, for those who do not."""
        xs = self.xs()
        names = words.several(row.name for row in self.rows)
        if len(xs) == 1:
            told = ["A mark for each of %s." % names]
        else:
            where = words.several(words.number(x) for x in xs)
            if len(xs) > 8:
                where = "%s to %s" % (words.number(xs[0]), words.number(xs[-1]))
            told = ["A line for each of %s, by %s: %s." % (names, self.x_name, where)]
        last = [
            (point[1], row.name) for row in self.rows for point in row.points if point[0] == xs[-1]
        ]
        if last:
            told.append(
                "At %s the most is %s (%s), the least %s (%s)."
                % (
                    words.number(xs[-1]),
                    self.write(max(last)[0]),
                    max(last)[1],
                    self.write(min(last)[0]),
                    min(last)[1],
                )
            )
        told.append("The numbers are in the table that follows.")
        return " ".join(told)


class Group:
    """Figures that belong together, under one heading with a sentence or two."""

    def __init__(self, title: str, note: str, figures: List[Figure]) -> None:
        self.title = title
        self.note = note
        self.figures = [figure for figure in figures if figure.rows]


# (title, note, path, how it is written, logarithmic)
LATENCY = (
    ("p50", "half of the calls end within", ("latency_us", "all", "p50"), "us", True),
    ("p99", "99 of 100 calls end within", ("latency_us", "all", "p99"), "us", True),
    ("p99.9", "999 of 1,000 calls end within", ("latency_us", "all", "p999"), "us", True),
)
CPU = (
    ("Client, in the program", "user time per call", ("cpu_us_per_call", "user"), "us", False),
    ("Client, in the kernel", "system time per call", ("cpu_us_per_call", "system"), "us", False),
    ("Server", "user and system time per call", ("cpu_us_per_call", "server"), "us", False),
)
SYSTEM = (
    ("Commands per write", "of the client to its sockets", ("commands_per_write",), "number", True),
    ("Commands per read", "of the client from its sockets", ("commands_per_read",), "number", True),
    (
        "Sleeps per call",
        "times that a thread gave up its processor to wait",
        ("sleeps_per_call",),
        "number",
        False,
    ),
)
RATE = ("Calls per second", "all callers together", ("rate",), "number", False)


def slots(measured: Measured) -> Dict[str, int]:
    """Of each contestant the number of its colour, line and mark: the three strategies have the
    same ones in every report."""
    fixed = {"pool": 0, "mux": 1, "hybrid": 2}
    taken, free = {}, 3
    for one in measured.present():
        name = str(one.get("name"))
        if name in fixed and one.get("kind") == "poolmux":
            taken[name] = fixed[name]
        else:
            taken[name] = free
            free += 1
    return taken


def by_callers(
    measured: Measured,
    transport: str,
    metric: Metric,
    value: Optional[Callable[[Cell], Optional[Spread]]] = None,
) -> Figure:
    title, note, path, kind, log = metric
    rows = []
    for name, slot in slots(measured).items():
        points: List[Point] = []
        for callers in measured.callers:
            cell = measured.cell(name, transport, callers)
            spread = cell and (value(cell) if value else cell.spread(*path))
            if spread:
                points.append((callers, *spread))
        rows.append(Row(name, slot, points))
    return Figure(title, note, kind, rows, "number of callers", log)


def over_time(measured: Measured, transport: str, callers: int) -> Figure:
    rows = []
    for name, slot in slots(measured).items():
        cell = measured.cell(name, transport, callers)
        points = (
            [
                (start / 1000, middle, low, high)
                for start, middle, low, high in measured.slices(cell, "p99_us")
            ]
            if cell
            else []
        )
        rows.append(Row(name, slot, points))
    return Figure(
        words.plural(callers, "caller"),
        "p99 of each slice of a lap",
        "us",
        rows,
        "seconds since the start of a lap",
        True,
        False,
    )


LATENCY_NOTE = "From the call to its answer%s; of all kinds of calls together."
TIME_NOTE = (
    "What a lap was like from its start to its end: 99 of 100 calls that ended in a slice of "
    "it took no longer. A line that climbs has not settled; one that jumps was interrupted. A "
    "last slice that was cut short is left out."
)
CPU_NOTE = (
    "Processor time, not time of the clock: what is spent here is not there for the application."
)
SYSTEM_NOTE = (
    "Many commands in one write save both sides work. A sleep means that somebody has to be woken, "
    "which on many machines costs more than the command itself."
)


def throughput(measured: Measured, transport: str) -> List[Figure]:
    told = [by_callers(measured, transport, RATE)]
    if measured.reference in slots(measured) and len(slots(measured)) > 1:
        note = "calls per second, those of %s being 1" % measured.reference
        relative = ("Against %s" % measured.reference, note, (), "ratio", False)
        told.append(by_callers(measured, transport, relative, Cell.ratio))
    return told


def groups(measured: Measured, transport: str) -> List[Group]:
    """All figures of one transport."""

    def each(metrics: Tuple[Metric, ...]) -> List[Figure]:
        return [by_callers(measured, transport, metric) for metric in metrics]

    begin = ", from when the call was due" if measured.workload.is_open else ""
    over = [over_time(measured, transport, callers) for callers in measured.callers]
    made = [
        Group("Throughput", "", throughput(measured, transport)),
        Group("Latency", LATENCY_NOTE % begin, each(LATENCY)),
        Group("Latency over time", TIME_NOTE, over),
        Group("CPU per call", CPU_NOTE, each(CPU)),
        Group("Commands that travel together, and wake-ups", SYSTEM_NOTE, each(SYSTEM)),
    ]
    return [group for group in made if group.figures]
