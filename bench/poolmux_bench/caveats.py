# SPDX-License-Identifier: BSD-3-Clause
"""What a reader must know before believing the figures, in sentences: a run that was cut short,
a machine that was noisy, calls that failed, contestants that are missing or could not do the
workload. Pure functions from results to plain text."""

from typing import Dict, Iterator, List, Optional, Tuple

from . import words
from .measured import ENOUGH_ROUNDS, Cell, Measured


def caveats(measured: Measured) -> List[str]:
    """What makes figures doubtful."""
    return measured.sentences(
        [incomplete(measured), *noisy(measured), foreign_server(measured), *failed_calls(measured)]
    )


def absent(measured: Measured) -> List[str]:
    """What is not among the figures, and why."""
    return measured.sentences(not_measured(measured) + missing(measured))


def incomplete(measured: Measured) -> Optional[str]:
    if not measured.results.get("incomplete"):
        return None
    wanted = measured.results.get("rounds")
    done = measured.results.get("rounds_done")
    counted = ""
    if wanted and done is not None:
        counted = ": %s of %s were made" % (done, words.plural(wanted, "round"))
    return "the run was ended before it was complete%s. What follows is of what there is" % counted


def noisy(measured: Measured) -> List[str]:
    """What the tool itself says of noise, and what the advice makes of it."""
    told = [str(line) for line in measured.noise.get("warnings") or []]
    if measured.rounds_done == 0:
        return told + ["nothing was measured"]
    if measured.rounds_done < ENOUGH_ROUNDS:
        told.append(
            "the advice therefore takes differences of less than %s for noise"
            % words.percent(100 * measured.believed())
        )
    elif measured.noise.get("noisy"):
        told.append(
            "the advice therefore takes more for noise than on a quiet machine: a difference "
            "counts when it is greater than what is between the quarters of both values"
        )
    return told


def foreign_server(measured: Measured) -> Optional[str]:
    server = measured.results.get("server") or {}
    if server.get("own", True):
        return None
    return (
        "the server is not a private one: what others do with it at the same time is in these "
        "figures"
    )


def grouped(measured: Measured, items: List[Tuple[Cell, str]]) -> Iterator[Tuple[str, str, str]]:
    """(contestant, reason) -> "with 8 and 64 callers over tcp", for (cell, reason)."""
    groups: Dict[Tuple[str, str], List[Cell]] = {}
    for cell, reason in items:
        groups.setdefault((cell.contestant, str(reason)), []).append(cell)
    for (name, reason), cells in groups.items():
        yield name, reason, where(measured, cells)


def where(measured: Measured, cells: List[Cell]) -> str:
    """Nothing when that is everywhere."""
    everywhere = len(measured.transports) * len(measured.callers)
    if len(cells) == everywhere:
        return ""
    told = []
    for transport in measured.transports:
        callers = [cell.callers for cell in cells if cell.transport == transport]
        if not callers:
            continue
        over = (
            " over %s" % words.TRANSPORTS.get(transport, transport)
            if len(measured.transports) > 1
            else ""
        )
        told.append("with %s%s" % (words.callers(callers), over))
    return " " + words.several(told)


def failed_calls(measured: Measured) -> List[str]:
    items = [
        (cell, "; ".join(cell.errors()) or "no reason was told")
        for cell in measured.cells.values()
        if cell.measured and cell.calls_failed()
    ]
    counts: Dict[Tuple[str, str], int] = {}
    for cell, reason in items:
        key = cell.contestant, reason
        counts[key] = counts.get(key, 0) + cell.calls_failed()
    return [
        "%s of %s failed%s: %s" % (words.plural(counts[name, reason], "call"), name, at, reason)
        for name, reason, at in grouped(measured, items)
    ]


def not_measured(measured: Measured) -> List[str]:
    items = []
    for cell in measured.cells.values():
        if cell.result.get("failed"):
            items.append((cell, "it failed: %s" % cell.result["failed"]))
        elif cell.result.get("skipped"):
            items.append((cell, cell.result["skipped"]))
    told = []
    for name, reason, at in grouped(measured, items):
        cells = [cell for cell, _ in items if cell.contestant == name]
        partly = any(cell.measured for cell in cells)
        told.append(
            "%s was %s%s: %s"
            % (name, "measured in part only" if partly else "left out", at, reason)
        )
    return told


def missing(measured: Measured) -> List[str]:
    return ["%s is missing: %s" % (name, reason) for name, reason in measured.missing()]
