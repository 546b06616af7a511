# SPDX-License-Identifier: BSD-3-Clause
"""What the results say, in sentences: which strategy for how many callers, what the workload
has that matters to strategies, and what forbids to believe the figures. Pure functions from
results to plain text. What is within noise is said to be so, and nothing is claimed that was
not measured."""

from typing import Any, Dict, List, Optional, Tuple

from . import words
from .measured import Cell, Measured, Spread, quartiles

Path = Tuple[str, ...]

P99: Path = ("latency_us", "all", "p99")
DEFAULT = "hybrid"
KINDS = {"threads": "threads", "callbacks": "callbacks on one thread", "futures": "futures"}
WORTH = 1.05  # a strategy is preferred for that much throughput,
SECOND = 1.1  # and among equals for that much less of something else
BULK = 64 * 1024  # hybrid.bulk_request and hybrid.bulk_reply, unless set


class Choice:
    """What to take for a number of callers, and the sentences that say why."""

    def __init__(self, transport: str, callers: int, take: Optional[str], told: List[str]) -> None:
        self.transport = transport
        self.callers = callers
        self.take = take
        self.sentences = told


def choices(measured: Measured) -> List[Choice]:
    """For each transport and number of callers, in order."""
    return [
        choice(measured, transport, callers)
        for transport in measured.transports
        for callers in measured.callers
    ]


def choice(measured: Measured, transport: str, callers: int) -> Choice:
    ours = measured.of("poolmux", transport, callers)
    who = words.plural(callers, "caller")
    take: Optional[Cell] = None
    told: List[Optional[str]]
    if not ours:
        told = [
            "no strategy of poolmux was measured with %s" % who,
            peers_alone(measured, transport, callers),
        ]
    elif len(ours) == 1:
        take = ours[0]
        told = [alone(measured, take, who), peers(measured, take)]
    else:
        take, by = pick(measured, ours)
        others = [cell for cell in ours if cell is not take]
        told = [
            compared(measured, take, others, who),
            decided(measured, take, others, by),
            instead(measured, take, others),
            costs(take, others),
            peers(measured, take),
        ]
    return Choice(transport, callers, take.contestant if take else None, measured.sentences(told))


def verdict(chosen: List[Choice]) -> str:
    """In one sentence, for a transport's choices: which strategy for which numbers of callers."""
    groups: Dict[str, List[int]] = {}
    for one in chosen:
        if one.take:
            groups.setdefault(one.take, []).append(one.callers)
    if not groups:
        return "Nothing was measured that could be advised."
    if len(groups) == 1 and len(next(iter(groups.values()))) == len(chosen):
        return "Take %s%s." % (
            next(iter(groups)),
            "" if len(chosen) == 1 else ", with every number of callers that was tried",
        )
    order = sorted(groups, key=lambda name: -len(groups[name]))
    return "Take %s." % words.several(
        "%s with %s" % (name, words.callers(groups[name])) for name in order
    )


# ---- which one ----


def main(measured: Measured) -> Tuple[Path, bool]:
    """What decides first, and whether more of it is better. At a fixed rate all have the same
    throughput, and answers decide."""
    return (P99, False) if measured.workload.is_open else (("rate",), True)


def beats(
    measured: Measured, one: Cell, other: Cell, path: Path, more: bool, by: float = 1.0
) -> bool:
    ratio, sure = measured.ratio(one, other, *path)
    return sure and (ratio if more else 1 / ratio) >= by


def pick(measured: Measured, cells: List[Cell]) -> Tuple[Cell, Optional[str]]:
    """The best, and what decided: "main"; "p99" or "cpu" among equals, where figures are not to be
    doubted; None when nothing does."""
    if measured.workload.is_open:
        cells = [cell for cell in cells if keeps_up(measured, cell)] or cells
    path, more = main(measured)
    equals = best_of(measured, cells, path, more, WORTH)
    if len(equals) == 1:
        return equals[0], "main"
    if not measured.doubtful:
        for by, left in (
            ("p99", best_of(measured, equals, P99, False, SECOND)),
            ("cpu", cheapest(measured, equals)),
        ):
            if len(left) == 1:
                return left[0], by
    return next((cell for cell in equals if cell.contestant == DEFAULT), equals[0]), None


def best_of(measured: Measured, cells: List[Cell], path: Path, more: bool, by: float) -> List[Cell]:
    """Those than which the one with the best median is not better, beyond noise and by so much."""
    known = [cell for cell in cells if cell.median(*path) is not None]
    if not known:
        return cells
    best = (max if more else min)(known, key=lambda cell: cell.number(*path))
    return [cell for cell in cells if not beats(measured, best, cell, path, more, by)]


def client_cpu(cell: Cell) -> Optional[Spread]:
    """Microseconds of the client's CPU per call, or None."""
    told = [lap.get("cpu_us_per_call") or {} for lap in cell.rounds]
    return quartiles(
        [one["user"] + one["system"] for one in told if "user" in one and "system" in one]
    )


def cheapest(measured: Measured, cells: List[Cell]) -> List[Cell]:
    known = [(cpu, cell) for cpu, cell in ((client_cpu(cell), cell) for cell in cells) if cpu]
    if len(known) < len(cells):
        return cells
    best = min(cpu for cpu, _ in known)
    return [
        cell
        for cpu, cell in known
        if not (measured.differ(cpu, best) and cpu[0] >= SECOND * best[0])
    ]


def keeps_up(measured: Measured, cell: Cell) -> bool:
    return (cell.median("rate") or 0) >= 0.98 * measured.workload.rate


# ---- sentences ----


def rate_words(cell: Cell) -> str:
    return "%s calls/s" % words.number(cell.median("rate"))


def p99_words(cell: Cell) -> str:
    return "a p99 of %s" % words.duration(cell.median(*P99))


def alone(measured: Measured, cell: Cell, who: str) -> str:
    return "with %s and %s only %s was measured: %s, %s. There is nothing to compare it with" % (
        who,
        measured.workload.value_words(),
        cell.contestant,
        rate_words(cell),
        p99_words(cell),
    )


def at_p99(measured: Measured, take: Cell, other: Cell) -> str:
    ratio, sure = measured.ratio(take, other, *P99)
    if not ratio:
        return ""
    return " at %s" % (words.share_of(ratio, "the p99") if sure else "about the same p99")


def compared(measured: Measured, take: Cell, others: List[Cell], who: str) -> str:
    """The headline: with 64 callers and 64-byte values hybrid gives 2.1 × the throughput of
    pool at a quarter of the p99."""
    begin = "with %s and %s" % (who, measured.workload.value_words())
    if measured.workload.is_open:
        return compared_open(measured, take, others, begin)
    better: List[str] = []
    equal: List[Cell] = []
    for other in others:
        ratio, sure = measured.ratio(take, other, "rate")
        if sure:
            better.append(
                "%s %s of %s%s"
                % (
                    words.times(ratio),
                    "that" if better else "the throughput",
                    other.contestant,
                    at_p99(measured, take, other),
                )
            )
        else:
            equal.append(other)
    same = words.several(cell.contestant for cell in [take] + equal)
    if not better:
        return "%s %s are within noise of each other in throughput (%s calls/s)" % (
            begin,
            same,
            words.several(words.number(cell.median("rate")) for cell in [take] + equal),
        )
    told = "%s %s gives %s" % (begin, take.contestant, words.several(better))
    if equal:
        told += "; %s %s within noise of it (%s against %s calls/s)" % (
            words.several(cell.contestant for cell in equal),
            "is" if len(equal) == 1 else "are",
            words.several(words.number(cell.median("rate")) for cell in equal),
            words.number(take.median("rate")),
        )
    return told


def compared_open(measured: Measured, take: Cell, others: List[Cell], begin: str) -> str:
    offered = words.number(measured.workload.rate)
    told = "%s, at %s calls/s, %s answers 99 %% of the calls within %s" % (
        begin,
        offered,
        take.contestant,
        words.duration(take.median(*P99)),
    )
    parts: List[str] = []
    equal: List[str] = []
    for other in others:
        ratio, sure = measured.ratio(take, other, *P99)
        if sure:
            parts.append("%s of %s" % (words.share_of(ratio, "the p99"), other.contestant))
        elif ratio:
            equal.append(other.contestant)
    if equal:
        parts.append("within noise of %s" % words.several(equal))
    if parts:
        told += ", %s" % words.several(parts)
    behind = [cell for cell in [take] + others if not keeps_up(measured, cell)]
    if behind:
        told += ". Not up to that rate: %s" % words.several(
            "%s (%s)" % (cell.contestant, rate_words(cell)) for cell in behind
        )
    return told


def decided(measured: Measured, take: Cell, others: List[Cell], by: Optional[str]) -> Optional[str]:
    """What made the choice among equals."""
    path, more = main(measured)
    equal = [cell for cell in others if not beats(measured, take, cell, path, more, WORTH)]
    if by == "main" or not equal:
        return None
    if by == "p99":
        return "between them the p99 decides: %s with %s, against %s with %s" % (
            words.duration(take.median(*P99)),
            take.contestant,
            words.several(words.duration(cell.median(*P99)) for cell in equal),
            words.several(cell.contestant for cell in equal),
        )
    if by == "cpu":
        return "between them CPU decides: %s costs the client less" % take.contestant
    if any(beats(measured, cell, take, path, more) for cell in equal):
        return "a difference of less than 5 %% is no reason to leave %s, the default" % DEFAULT
    if take.contestant == DEFAULT:
        return "nothing here speaks against %s, the default" % DEFAULT
    return "nothing here decides between them"


def instead(measured: Measured, take: Cell, others: List[Cell]) -> Optional[str]:
    """Whether another one has much better slowest calls."""
    calm = [cell for cell in others if beats(measured, cell, take, P99, False, 1.25)]
    if not calm or measured.workload.is_open or not take.median("rate"):
        return None
    best = min(calm, key=lambda cell: cell.number(*P99))
    return "if the slowest calls matter more than their number: %s has %s, not %s, at %s" % (
        best.contestant,
        p99_words(best),
        words.duration(take.median(*P99)),
        words.share_of(best.number("rate") / take.number("rate"), "the throughput"),
    )


def costs(take: Cell, others: List[Cell]) -> Optional[str]:
    """Where the difference comes from: CPU, and commands that travel together."""
    other = next((cell for cell in others if cell.contestant == "pool"), others[0])
    told: List[List[str]] = []
    for cell in (take, other):
        client, server = client_cpu(cell), cell.median("cpu_us_per_call", "server")
        if not client:
            return None
        told.append([words.brief(client[0]), words.brief(server) if server is not None else ""])
    text = "a call costs %s %s of the client's CPU" % (take.contestant, told[0][0])
    both = told[0][1] and told[1][1]
    if both:
        text += " and %s of the server's" % told[0][1]
    text += ", %s %s" % (other.contestant, told[1][0])
    if both:
        text += " and %s" % told[1][1]
    writes = [cell.number("commands_per_write") for cell in (take, other)]
    if min(writes) > 0 and max(writes) / min(writes) >= 1.25:
        text += "; %s with each write, %s with %s" % (
            words.count(writes[0], "command leaves", "commands leave"),
            words.number(writes[1]),
            other.contestant,
        )
    return text


# ---- peers ----


def peers(measured: Measured, take: Cell) -> Optional[str]:
    """What others give, by what the strategy gives that was chosen; and apart from them those whose
    callers are something else, since a thread that waits costs more than a callback."""
    path, _ = main(measured)
    cells = [
        cell
        for cell in measured.of("peer", take.transport, take.callers)
        if measured.ratio(cell, take, *path)[0]
    ]
    same = [cell for cell in cells if cell.callers_as == take.callers_as]
    groups = [("peers, against %s" % take.contestant, same)]
    for kind in sorted({cell.callers_as for cell in cells if cell not in same}):
        others = [cell for cell in cells if cell.callers_as == kind]
        groups.append(("with %s for callers" % KINDS.get(kind, kind), others))
    told = ["%s: %s" % (begin, ratios(measured, take, some)) for begin, some in groups if some]
    return words.sentence(". ".join(words.sentence(one)[:-1] for one in told)) if told else None


def ratios(measured: Measured, take: Cell, cells: List[Cell]) -> str:
    path, more = main(measured)
    parts: List[str] = []
    equal: List[str] = []
    for cell in sorted(cells, key=lambda cell: measured.ratio(cell, take, *path)[0], reverse=more):
        ratio, sure = measured.ratio(cell, take, *path)
        what = "" if parts else " the throughput" if more else " the p99"
        if sure:
            parts.append("%s %s%s" % (cell.contestant, words.times(ratio), what))
        else:
            equal.append(cell.contestant)
    within = "%s %s within noise of it" % (words.several(equal), "is" if len(equal) == 1 else "are")
    return "; ".join([words.several(parts)] * bool(parts) + [within] * bool(equal))


def peers_alone(measured: Measured, transport: str, callers: int) -> str:
    cells = measured.of("peer", transport, callers)
    return words.several("%s gives %s" % (cell.contestant, rate_words(cell)) for cell in cells)


class Advice:
    """All of it."""

    def __init__(self, measured: Measured) -> None:
        from . import caveats, remarks  # they need this module

        self.choices = choices(measured)
        self.remarks = remarks.remarks(measured)
        self.warnings = caveats.caveats(measured)
        self.absent = caveats.absent(measured)


def sentences(results: Dict[str, Any]) -> List[str]:
    """The same as a list of lines, for a terminal."""
    measured = Measured(results)
    advice = Advice(measured)
    told = list(advice.warnings)
    for one in advice.choices:
        over = " over %s" % words.TRANSPORTS.get(one.transport, one.transport)
        head = "%s%s: %s." % (
            words.plural(one.callers, "caller"),
            over if len(measured.transports) > 1 else "",
            "take %s" % one.take if one.take else "no advice",
        )
        told.append(" ".join([head] + one.sentences))
    return told + advice.remarks + advice.absent
