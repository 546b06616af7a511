# SPDX-License-Identifier: BSD-3-Clause
"""What became of targets, in words: for the terminal and for the report alike."""
import textwrap
from typing import Any, Dict, Iterator, List, Optional, Sequence

from .measures import MEASURES

Judged = Dict[str, Any]
HEADS, WIDTHS = ("", "wanted", "have", "quarters"), (12, 12, 9, 17)  # at least


def amount(value: Optional[float], one: Judged) -> str:
    """Of a ratio, or of what is measured itself."""
    if value is None:
        return "-"
    if one["against"] is None:
        return MEASURES[one["measure"]].write(value)
    return f"{value:.{2 if value < 100 else 0}f} x"


def mark(one: Judged) -> str:
    """>= 1.60 x"""
    return f"{'>=' if one['relation'] == 'at least' else '<='} {amount(one['mark'], one)}"


def quarters(one: Judged) -> str:
    if one["value"] is None or len(one["values"]) < 3:
        return "-"
    low, high = (amount(one["value"][name], one) for name in ("low", "high"))
    number, _, unit = low.partition(" ")
    return f"{number}-{high}" if unit and high.endswith(f" {unit}") else f"{low}-{high}"


def count(targets: Judged) -> str:
    n = len(targets["judged"])
    told = [
        f"{targets['met']} of {n} targets met" if n != 1 else f"{targets['met']} of 1 target met"
    ]
    told += [f"{targets['missed']} missed"] if targets["missed"] else []
    told += [f"{targets['not_measured']} not measured"] if targets["not_measured"] else []
    return ", ".join(told)


def _where(one: Judged, than: Optional[Judged] = None) -> str:
    """What of a place differs from the other one's."""
    words = []
    if than is None or one["callers"] != than["callers"]:
        words.append(f"with {one['callers']} caller{'' if one['callers'] == 1 else 's'}")
    if than is None or one["transport"] != than["transport"]:
        words.append(f"over {one['transport']}")
    if than is None or one["case"] != than["case"]:
        words.append(f"in case {one['case']}")
    return " ".join(words)


def what(one: Judged) -> str:
    """p99 of get of mux with 64 callers over tcp in case threads: 1.2 ms"""
    kind = f" of {one['kind']}" if one["kind"] not in (None, "all") else ""
    told = f"{one['measure']}{kind} of {one['contestant']} {_where(one)}"
    return told if one["median"] is None else told + f": {_written(one, one['median'])}"


def than(one: Judged) -> Optional[str]:
    """of the best, hiredis-threads: 2.4 ms"""
    other = one["against"]
    if other is None or other["best"] is None:
        return None
    best = "the best, " if len(other["contestants"]) > 1 else ""
    where = _where(other, one)
    return f"{best}{other['best']}{' ' if where else ''}{where}: {_written(one, other['median'])}"


def _written(one: Judged, value: float) -> str:
    return MEASURES[one["measure"]].write(value)


def by(one: Judged) -> str:
    """How it ended, in some words."""
    if one["result"] == "missed":
        if one["why"]:
            return f"missed: {one['why']}"
        close = ", but not in all rounds" if one["close"] else ""
        return (
            f"missed by {one['missed_by']:.0%}{close}"
            if one["missed_by"] >= 0.005
            else (f"missed by less than 1 %{close}")
        )
    if one["result"] == "met":
        return "met, but not in all rounds" if one["close"] else "met"
    return f"not measured: {one['why']}"


def left_out(one: Judged) -> List[str]:
    if one["against"] is None or one["against"]["best"] is None:
        return []
    return [f"without {left['name']}: {left['why']}" for left in one["against"]["left_out"]]


def more(one: Judged) -> List[str]:
    """What there is to say below the sentence."""
    told = [by(one)] if one["result"] != "met" or one["close"] else []
    if one["result"] != "not measured":
        compared = than(one)
        told.append(what(one) + (f"; {compared}" if compared else ""))
    told += left_out(one)
    return told + ([one["note"]] if one["note"] and one["result"] != "met" else [])


def _row(one: Judged) -> Sequence[str]:
    word = one["result"].upper() if one["result"] == "missed" else one["result"]
    have = amount(one["value"]["median"] if one["value"] else None, one)
    return (word, mark(one), have, quarters(one))


def lines(targets: Judged, width: int) -> Iterator[str]:
    """A table, and under each sentence what there is to say of it."""
    yield f"targets  {targets['source']}: {count(targets)}"
    rows = [HEADS, *(_row(one) for one in targets["judged"])]
    widths = [max(least, *map(len, cells)) for least, cells in zip(WIDTHS, zip(*rows))]
    names = ["", *("  " + one["name"] for one in targets["judged"])]
    told = [
        f"{row[0]:{widths[0]}} "
        + " ".join(f"{cell:>{n}}" for cell, n in zip(row[1:], widths[1:]))
        + name
        for row, name in zip(rows, names)
    ]
    yield told[0]
    for one, line in zip(targets["judged"], told[1:]):
        yield line
        for text, first in [(one["says"], "  "), *((text, "    ") for text in more(one))]:
            yield from textwrap.wrap(
                text, width, initial_indent=first, subsequent_indent=first + "  "
            )
