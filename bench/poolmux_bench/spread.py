# SPDX-License-Identifier: BSD-3-Clause
"""Medians and quarters of what rounds have measured, each number by itself."""
from typing import Any, Dict, List, Optional, Sequence

# Of one round only: they describe it, or are no numbers.
ROUND_ONLY = (
    "round",
    "seconds",
    "callers_as",
    "slices",
    "calls_by_class",
    "failed_by_class",
    "stats",
    "errors",
)
POINTS = {"median": 0.5, "low": 0.25, "high": 0.75}


def point(values: Sequence[float], share: float) -> float:
    """Between two values: in proportion."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def three(values: Sequence[float]) -> Optional[Dict[str, float]]:
    if not values:
        return None
    return {name: round(point(values, share), 4) for name, share in POINTS.items()}


def _folded(values: List[Any], share: float) -> Any:
    known = [value for value in values if value is not None]
    if not known:
        return None
    if isinstance(known[0], dict):
        names = dict.fromkeys(name for table in known for name in table)
        return {name: _folded([table.get(name) for table in known], share) for name in names}
    return round(point(known, share), 4)


def of_rounds(rounds: Sequence[Dict[str, Any]], name: str) -> Optional[Dict[str, Any]]:
    """The figures at one of POINTS, in the form of those of a round."""
    if not rounds:
        return None
    kept = [{k: v for k, v in figures.items() if k not in ROUND_ONLY} for figures in rounds]
    folded: Dict[str, Any] = _folded(kept, POINTS[name])
    return folded
