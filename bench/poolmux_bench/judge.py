# SPDX-License-Identifier: BSD-3-Clause
"""Whether targets are met, from the results of their cases. What is compared was measured in the
same round, so that noise hits both alike; what counts is the median of the rounds. Figures are of
right answers only: whose calls fail has missed, and is nobody to compare with."""
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from . import spread
from .measures import MEASURES
from .targets import Spot, Suite, Target

Results = Dict[str, Any]
Values = Dict[int, float]
MET, MISSED, NOT_MEASURED = "met", "missed", "not measured"


class Found(NamedTuple):
    """What a contestant has, round by round, or why it has nothing; and how many calls failed."""

    name: str
    values: Values
    why: Optional[str] = None
    failed: int = 0

    def middle(self) -> float:
        return spread.point(list(self.values.values()), 0.5)


def _missing(results: Results, name: str) -> Optional[str]:
    for one in results["contestants"]:
        whole = one["name"] == one["library"] and name.startswith(one["library"] + "-")
        if one["missing"] and (one["name"] == name or whole):
            return f"missing: {one['missing']}"
    return None


def _cell(results: Results, name: str, spot: Spot) -> Optional[Results]:
    place = (name, spot.transport, spot.callers)
    for cell in results["results"]:
        if (cell["contestant"], cell["transport"], cell["callers"]) == place:
            found: Results = cell
            return found
    return None


def _why_nothing(results: Results, name: str, cell: Optional[Results], target: Target) -> str:
    if cell is None:
        return _missing(results, name) or "not measured"
    for word in ("skipped", "failed"):
        if cell[word] is not None:
            return f"{word}: {cell[word]}"
    if not cell["rounds"]:
        return "the run ended before"
    of = f" of {target.kind}" if MEASURES[target.measure].is_of_a_kind else ""
    return f"there is no {target.measure}{of}"


def _find(cases: Dict[str, Results], spot: Spot, name: str, target: Target) -> Found:
    results = cases[spot.case]
    cell = _cell(results, name, spot)
    measure, values, failed = MEASURES[target.measure], {}, 0
    if cell is not None and cell["failed"] is None:
        for figures in cell["rounds"]:
            failed += figures["failed"]
            value = measure.of(figures, target.kind)
            if value is not None:
                values[figures["round"]] = value
    if values:
        return Found(name, values, None, failed)
    return Found(name, {}, _why_nothing(results, name, cell, target))


def _calls_failed(found: Found) -> str:
    return f"{found.failed} call{'' if found.failed == 1 else 's'} failed"


def _best(
    cases: Dict[str, Results], spot: Spot, target: Target
) -> Tuple[Optional[Found], List[Found]]:
    """By the median; and those of whom there is nothing, or nothing that is right."""
    every = [_find(cases, spot, name, target) for name in spot.contestants]
    every = [
        found._replace(values={}, why=_calls_failed(found)) if found.failed else found
        for found in every
    ]
    there = [found for found in every if found.values]
    choose = max if MEASURES[target.measure].more_is_better else min
    best = choose(there, key=Found.middle) if there else None
    return best, [found for found in every if not found.values]


def _is_met(target: Target, value: float) -> bool:
    return value >= target.mark if target.at_least else value <= target.mark


def _verdict(target: Target, values: List[float]) -> Results:
    """met, or missed by a share of the mark; close: a quarter of the rounds says otherwise."""
    have = spread.three(values)
    assert have is not None
    middle = spread.point(values, 0.5)
    met = _is_met(target, middle)
    others = sum(_is_met(target, value) != met for value in values)
    by = abs(middle / target.mark - 1)
    return {
        "result": MET if met else MISSED,
        "missed_by": None if met else round(by, 4),
        "close": 4 * others >= len(values),
        "value": have,
        "values": [round(value, 4) for value in values],
    }


def _nothing(why: str) -> Results:
    nothing: Results = {"missed_by": None, "close": False, "value": None, "values": []}
    return {"result": NOT_MEASURED, "why": why, **nothing}


def _unless_failed(own: Found, verdict: Results) -> Results:
    """Calls that failed are in no figure, and may be those that would have taken long."""
    if not own.failed:
        return {"why": None, **verdict}
    missed = {"result": MISSED, "missed_by": None, "close": False}
    return {"why": _calls_failed(own), **verdict, **missed}


def _compared(target: Target, own: Found, best: Optional[Found], left: List[Found]) -> Results:
    if not own.values:
        return _nothing(f"{own.name}: {own.why}")
    if target.against is None:
        return _unless_failed(own, _verdict(target, list(own.values.values())))
    if best is None:
        return _nothing("; ".join(f"{found.name}: {found.why}" for found in left))
    both = [n for n in own.values if n in best.values]
    if not both:
        return _nothing(f"{own.name} and {best.name} have no round in common")
    if not all(best.values[n] for n in both):
        return _nothing(f"{best.name} has 0, and nothing can be a multiple of that")
    return _unless_failed(own, _verdict(target, [own.values[n] / best.values[n] for n in both]))


def _place(spot: Spot) -> Results:
    return {"case": spot.case, "transport": spot.transport, "callers": spot.callers}


def _against(spot: Optional[Spot], best: Optional[Found], left: List[Found]) -> Optional[Results]:
    if spot is None:
        return None
    return {
        **_place(spot),
        "contestants": list(spot.contestants),
        "best": best.name if best else None,
        "median": round(best.middle(), 4) if best else None,
        "left_out": [{"name": found.name, "why": found.why} for found in left],
    }


def _judged(target: Target, cases: Dict[str, Results]) -> Results:
    own = _find(cases, target.spot, target.spot.contestants[0], target)
    best: Optional[Found] = None
    left: List[Found] = []
    if target.against is not None:
        best, left = _best(cases, target.against, target)
    return {
        "name": target.name,
        "says": target.says,
        "contestant": own.name,
        **_place(target.spot),
        "measure": target.measure,
        "kind": target.kind if MEASURES[target.measure].is_of_a_kind else None,
        "relation": "at least" if target.at_least else "at most",
        "mark": target.mark,
        "median": round(own.middle(), 4) if own.values else None,
        "against": _against(target.against, best, left),
        "note": target.note,
        **_compared(target, own, best, left),
    }


def judged(suite: Suite, cases: Dict[str, Results]) -> Results:
    """cases: the results of each, as an ordinary run has them."""
    told = [_judged(target, cases) for target in suite.targets]
    counts = {
        word: sum(one["result"] == word for one in told) for word in (MET, MISSED, NOT_MEASURED)
    }
    return {
        "source": suite.path,
        "met": counts[MET],
        "missed": counts[MISSED],
        "not_measured": counts[NOT_MEASURED],
        "judged": told,
    }
