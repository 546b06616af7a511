# SPDX-License-Identifier: BSD-3-Clause
"""The numbers of a report as tables: those of each figure, and all that no figure shows. Knows
results and markup, and nothing of how a page is put together."""

from typing import Any, Callable, Dict, Iterable, Iterator, List, Sequence, Tuple

from . import words
from .figures import Figure, Row
from .markup import element, table, text, value
from .measured import Cell, Measured, quartiles

Path = Tuple[str, ...]

NOTHING = "\N{EN DASH}"
CLASS_COLUMNS = (
    ("p50", "p50"),
    ("p90", "p90"),
    ("p99", "p99"),
    ("p999", "p99.9"),
    ("max", "longest"),
)
# Of the numbers of a result those that a figure shows, or another table.
DRAWN = {
    "rate",
    "latency_us",
    "cpu_us_per_call",
    "commands_per_write",
    "commands_per_read",
    "sleeps_per_call",
    "slices",
    "stats",
    "errors",
    "round",
    "calls_by_class",
    "failed_by_class",
}
NAMES = {
    "command_rate": "commands/s",
    "cpu_foreign": "CPU used by others, part of 1",
    "server_bytes_in_per_call": "bytes to the server per call",
    "server_bytes_out_per_call": "bytes from the server per call",
    "failed": "calls that failed",
    "seconds": "seconds measured",
}


def spread(write: Callable[[float], str], point: Sequence[float]) -> str:
    """The unit stands once in the quarters."""
    if not point:
        return NOTHING
    middle, low, high = (write(number) for number in point)
    unit = low.rpartition(" ")[2]
    if " " in low and high.endswith(" " + unit):
        return value(middle, low[: -len(unit) - 1], high) if low != high else value(middle)
    return value(middle, low, high)


def point_of(figure: Figure, row: Row, x: float) -> str:
    return spread(figure.write, (row.at(x) or ())[1:])


def of_figure(figure: Figure) -> str:
    """Contestants by number of callers; or, over time, times by contestant."""
    xs = figure.xs()
    caption = "%s: %s" % (figure.title, figure.note)
    if figure.x_log:
        heads = [text("callers")] + [text(words.number(x)) for x in xs]
        rows = [[text(row.name)] + [point_of(figure, row, x) for x in xs] for row in figure.rows]
    else:
        heads = [text("seconds")] + [text(row.name) for row in figure.rows]
        rows = [[text("%g" % x)] + [point_of(figure, row, x) for row in figure.rows] for x in xs]
    return table(caption, heads, rows)


def cells(measured: Measured, transport: str) -> Iterator[Cell]:
    """Those of a transport that were measured, in the order of callers and contestants."""
    for callers in measured.callers:
        for name in measured.names():
            cell = measured.cell(name, transport, callers)
            if cell:
                yield cell


def of_classes(measured: Measured, transport: str) -> str:
    """Latency of each kind of calls."""
    rows = []
    for cell in cells(measured, transport):
        for name in cell.latency_classes():
            path = ("latency_us", name)
            count = cell.median(*path, "count")
            row = [
                text(cell.contestant),
                text(words.number(cell.callers)),
                text(name),
                text(words.number(count)),
            ]
            for key, _ in CLASS_COLUMNS:
                point = cell.spread(*path, key)
                row.append(spread(words.duration, point or ()))
            rows.append(row)
    heads = ["contestant", "callers", "calls", "per lap"] + [head for _, head in CLASS_COLUMNS]
    if not rows:
        return ""
    return table("Latency by kind of calls", [text(head) for head in heads], rows)


def leaves(tree: Any, path: Path = ()) -> Iterator[Path]:
    """Where the numbers are that no figure shows."""
    if isinstance(tree, dict):
        for key, told in tree.items():
            if path or key not in DRAWN:
                yield from leaves(told, (*path, str(key)))
    elif isinstance(tree, (int, float)):
        yield path


def of_others(measured: Measured, transport: str) -> str:
    """Every number of a result that no figure has."""
    found = list(cells(measured, transport))
    paths = list(dict.fromkeys(path for cell in found for path in leaves(cell.result["median"])))
    rows = [
        [text(cell.contestant), text(words.number(cell.callers))]
        + [spread(words.number, cell.spread(*path) or ()) for path in paths]
        for cell in found
    ]
    heads = ["contestant", "callers"] + [
        NAMES.get(path[0], ": ".join(path).replace("_", " ")) for path in paths
    ]
    if not rows or not paths:
        return ""
    return table("What no figure shows, per lap", [text(head) for head in heads], rows)


def of_counters(measured: Measured, transport: str) -> str:
    """The library's own counters: the middle of the rounds."""
    rows = []
    for cell in cells(measured, transport):
        found: Dict[str, List[float]] = {}
        for lap in cell.rounds:
            for name, number in (lap.get("stats") or {}).items():
                if isinstance(number, (int, float)):
                    found.setdefault(str(name), []).append(number)
        for name in sorted(found):
            rows.append(
                [
                    text(cell.contestant),
                    text(words.number(cell.callers)),
                    element("code", text(name)),
                    spread(words.number, quartiles(found[name]) or ()),
                ]
            )
    heads = ["contestant", "callers", "counter", "per lap"]
    if not rows:
        return ""
    return table("Counters of the libraries", [text(head) for head in heads], rows)


def of_rounds(measured: Measured, transport: str) -> str:
    """Calls per second of each round, in the order in which they were made."""
    most = max([len(cell.rounds) for cell in cells(measured, transport)] or [0])
    rows = []
    for cell in cells(measured, transport):
        rates = [text(words.number(lap.get("rate"))) for lap in cell.rounds]
        rows.append(
            [text(cell.contestant), text(words.number(cell.callers))]
            + rates
            + [NOTHING] * (most - len(rates))
        )
    heads = ["contestant", "callers"] + ["round %d" % (index + 1) for index in range(most)]
    if not rows:
        return ""
    return table("Calls per second, round by round", [text(head) for head in heads], rows)


def pairs(caption: str, lines: Iterable[Tuple[str, Any]]) -> str:
    """Two columns: what, and what it is."""
    rows = [[text(name), text(told)] for name, told in lines]
    return table(caption, [text("what"), text("value")], rows, class_="pairs") if rows else ""
