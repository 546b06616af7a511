# SPDX-License-Identifier: BSD-3-Clause
"""What a workload has that matters to strategies, in sentences, each with what was measured of
it: big values, what mux cannot carry, transports, pauses. Pure functions from results to plain
text."""

from typing import List, Optional, Sequence, Tuple

from . import words
from .advice import BULK, P99, pick
from .measured import Cell, Measured
from .wording import Wording

SMALL = ("get", "set")
BIG = ("big-get", "big-set")
PAUSE = 10  # times the usual p99 of a slice, and
PAUSE_US = 10000.0


def remarks(measured: Measured) -> List[str]:
    told = [bytes_of_big(measured), cost_of_big(measured), big_replies(measured)]
    told += refused(measured) + transports(measured) + [pauses(measured)]
    return measured.sentences(told)


# ---- big values ----


def shares(workload: Wording) -> words.Sizes:
    """(least, most, share of the calls) of all values."""
    big = min(workload.big, 100) / 100
    parts = [(low, high, share * (1 - big)) for low, high, share in workload.values]
    return parts + [(low, high, share * big) for low, high, share in workload.big_values if big]


def bytes_of_big(measured: Measured) -> Optional[str]:
    parts = shares(measured.workload)
    big = [part for part in parts if part[0] > BULK]
    if not big or len(big) == len(parts):
        return None
    calls = sum(share for _, _, share in big)
    part = 100 * words.mean_size(big) / words.mean_size(parts)
    return "the %s of the calls with values of %s carry %s of the bytes" % (
        words.percent(100 * calls),
        words.span(min(one[0] for one in big), max(one[1] for one in big)),
        "almost all" if part >= 99.5 else "about " + words.percent(round(part)),
    )


def class_of(cells: List[Cell], names: Sequence[str]) -> Optional[str]:
    """The first of the classes that all cells have."""
    for name in names:
        if cells and all(cell.median("latency_us", name, "p99") is not None for cell in cells):
            return name
    return None


def crowded(measured: Measured) -> Tuple[int, List[Cell]]:
    """Ours with the most callers that any was measured with, over the first transport."""
    for transport in measured.transports:
        for callers in reversed(measured.callers):
            cells = measured.of("poolmux", transport, callers)
            if cells:
                return callers, cells
    return 0, []


def cost_of_big(measured: Measured) -> Optional[str]:
    """What big values cost those beside them, as seen in the small calls' p99."""
    callers, cells = crowded(measured)
    small, big = class_of(cells, SMALL), class_of(cells, BIG)
    if not small or not big:
        return None
    path = ("latency_us", small, "p99")
    told = "beside them, with %s, 99 %% of the small %s calls end within %s" % (
        words.plural(callers, "caller"),
        small.upper(),
        words.several(
            "%s (%s)" % (words.duration(cell.median(*path)), cell.contestant) for cell in cells
        ),
    )
    told += "; a big %s itself takes %s at the median" % (
        big[4:].upper(),
        words.several(
            "%s (%s)" % (words.duration(cell.median("latency_us", big, "p50")), cell.contestant)
            for cell in cells
        ),
    )
    quiet = next((cell for cell in cells if cell.contestant == "pool"), None)
    worse = []
    for cell in cells:
        if quiet and cell is not quiet:
            ratio, sure = measured.ratio(cell, quiet, *path)
            if sure and ratio > 1:
                worse.append("%s pool's with %s" % (words.times(ratio), cell.contestant))
    if worse:
        told += (
            ". What they cost the small calls that share a connection with them: a p99 of %s"
            % (words.several(worse))
        )
    return told


def big_replies(measured: Measured) -> Optional[str]:
    """Hybrid moves what is large to send, by itself; what is large to receive only when told
    so."""
    workload = measured.workload
    lengths = [high for _, high, share in shares(workload) if share]
    if not any(cell.contestant == "hybrid" for cell in crowded(measured)[1]):
        return None
    if max(lengths) <= BULK or not workload.figure("reads", 50):
        return None
    return (
        "hybrid gives commands of more than 64 KiB a connection of their own; large replies "
        "come on the connection that all share, unless hybrid.learn is on (poolmux-routing(7))"
    )


# ---- what mux refuses ----


def refused(measured: Measured) -> List[str]:
    workload = measured.workload
    told = []
    if workload.figure("blocked", 0):
        told.append(
            "mux cannot carry the %s of this workload: a command that blocks would hold up all "
            "others, and is refused; hybrid and pool give each a connection to itself"
            % words.plural(int(workload.figure("blocked", 0)), "blocked consumer")
        )
    if workload.figure("transactions", 0):
        told.append(
            "mux cannot carry the transactions of this workload: WATCH needs a connection to "
            "itself, and is refused; hybrid and pool lend one"
        )
    return told


# ---- transports ----


def transports(measured: Measured) -> List[str]:
    """Each by the first one, with what was chosen there, with the most callers."""
    if len(measured.transports) < 2:
        return []
    first, told = measured.transports[0], []
    callers = max(
        [callers for callers in measured.callers if measured.of("poolmux", first, callers)] or [0]
    )
    cells = measured.of("poolmux", first, callers)
    if not cells:
        return []
    take = pick(measured, cells)[0]
    for transport in measured.transports[1:]:
        cell = measured.cell(take.contestant, transport, callers)
        if not cell:
            continue
        ratio, sure = measured.ratio(cell, take, "rate")
        if not ratio:
            continue
        p99, p99_sure = measured.ratio(cell, take, *P99)
        told.append(
            "over %s %s gives %s that it gives over %s%s, with %s"
            % (
                words.TRANSPORTS.get(transport, transport),
                take.contestant,
                "%s the throughput" % words.times(ratio) if sure else "about the same throughput",
                words.TRANSPORTS.get(first, first),
                ""
                if not p99
                else ", at %s"
                % (words.share_of(p99, "the p99") if p99_sure else "about the same p99"),
                words.plural(callers, "caller"),
            )
        )
    return told


# ---- pauses ----


def pauses(measured: Measured) -> Optional[str]:
    """The longest calls that stand out of their own lap: (µs, contestant, callers, transport,
    round, s)."""
    found: List[Tuple[float, Cell, int, float]] = []
    for cell in measured.cells.values():
        slices = sorted(one[1] for one in measured.slices(cell, "p99_us"))
        if not slices:
            continue
        usual = slices[len(slices) // 2]
        us, lap, start = max(
            (
                float(part.get("max_us") or 0),
                int(lap.get("round") or 0),
                float(part.get("start_ms") or 0),
            )
            for lap in cell.rounds
            for part in lap.get("slices") or []
        )
        if us >= max(PAUSE * usual, PAUSE_US):
            found.append((us, cell, lap, start))
    if not found:
        return None
    found.sort(key=lambda one: -one[0])
    many = len(measured.transports) > 1
    told = [
        "%s (%s, %s%s, %s s into round %s)"
        % (
            words.duration(us),
            cell.contestant,
            words.plural(cell.callers, "caller"),
            " over %s" % words.TRANSPORTS.get(cell.transport, cell.transport) if many else "",
            words.number(start / 1000),
            lap,
        )
        for us, cell, lap, start in found[:3]
    ]
    return "calls that stood out, at more than ten times the usual p99: %s%s" % (
        words.several(told),
        ", and %s" % words.count(len(found) - 3, "more set-up") if len(found) > 3 else "",
    )
