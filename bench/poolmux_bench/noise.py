# SPDX-License-Identifier: BSD-3-Clause
"""Was the machine quiet enough to believe what was measured?"""
from typing import Any, Dict, List, Optional

from . import spread
from .rounds import Cell, Outcome, many

SPREAD_LIMIT = 0.15
FOREIGN_LIMIT = 0.10
ENOUGH_ROUNDS = 5


def rate_spread(cell: Cell) -> Optional[float]:
    """Between the quarters, as a share of the median; of fewer than three rounds unknown."""
    rates = spread.three(list(cell.rates().values()))
    if rates is None or len(cell.rounds) < 3:
        return None
    return round((rates["high"] - rates["low"]) / rates["median"], 4)


def _worst(outcome: Outcome) -> Optional[Cell]:
    name = outcome.reference()
    known = [c for c in outcome.cells.values() if c.contestant.name == name and rate_spread(c)]
    return max(known, key=lambda c: rate_spread(c) or 0) if known else None


def _foreign(outcome: Outcome) -> Optional[float]:
    laps = [figures for cell in outcome.cells.values() for figures in cell.rounds]
    known = [f for f in laps if f["cpu_foreign"] is not None]
    if not known:
        return None
    seconds: float = sum(f["seconds"] for f in known)
    busy: float = sum(f["cpu_foreign"] * f["seconds"] for f in known)
    return round(busy / seconds, 4)


def judged(outcome: Outcome) -> Dict[str, Any]:
    warnings: List[str] = []
    worst, foreign = _worst(outcome), _foreign(outcome)
    width = rate_spread(worst) if worst else None
    if worst and width is not None and width > SPREAD_LIMIT:
        warnings.append(
            f"the calls per second of {worst.contestant.name} with "
            f"{many(worst.callers, 'caller')} over {worst.transport} differ by {width:.0%} "
            "between the quarters of the rounds"
        )
    if foreign is not None and foreign > FOREIGN_LIMIT:
        warnings.append(f"others kept {foreign:.0%} of the machine's processors busy")
    noisy = bool(warnings)
    if outcome.rounds_done < ENOUGH_ROUNDS:
        warnings.append(f"of fewer than {ENOUGH_ROUNDS} rounds little is known of the spread")
    return {"spread": width, "foreign_cpu": foreign, "noisy": noisy, "warnings": warnings}
