# SPDX-License-Identifier: BSD-3-Clause
"""What was measured, for those that tell of it: look-ups in the results of poolmux-bench,
quartiles, and the one rule for what is within noise. Knows the layout of the results and
nothing of texts."""

from typing import Any, Dict, Iterable, List, Optional, Sequence, Tuple

from . import spread, wording, words

Spread = Tuple[float, float, float]  # median, lower and upper quarter

SLICE_MS = 100
STRATEGIES = ["pool", "mux", "hybrid"]
# The least difference that is believed, by how many rounds there are: of few rounds the quarters
# say little, of one nothing.
ENOUGH_ROUNDS = 5
BELIEVED = ((ENOUGH_ROUNDS, 0.03), (3, 0.05), (0, 0.15))


def quartiles(values: Sequence[float]) -> Optional[Spread]:
    """Median, lower and upper quarter."""
    told = spread.three(values)
    return (told["median"], told["low"], told["high"]) if told else None


def look(tree: Any, path: Sequence[str]) -> Optional[float]:
    """The number at `path` in nested dictionaries, or None."""
    for key in path:
        if not isinstance(tree, dict):
            return None
        tree = tree.get(key)
    return tree if isinstance(tree, (int, float)) and not isinstance(tree, bool) else None


class Cell:
    """One contestant over one transport with one number of callers."""

    def __init__(self, result: Dict[str, Any]) -> None:
        self.result = result
        self.contestant = str(result.get("contestant"))
        self.transport = str(result.get("transport"))
        self.callers = int(result.get("callers") or 0)
        self.rounds = result.get("rounds") or []
        kinds = [str(lap["callers_as"]) for lap in self.rounds if lap.get("callers_as")]
        self.callers_as = kinds[0] if kinds else "callers"
        self.measured = bool(result.get("median"))
        self.why_not = (
            result.get("skipped")
            or result.get("failed")
            or (None if self.measured else "not measured")
        )

    def median(self, *path: str) -> Optional[float]:
        return look(self.result.get("median"), path)

    def number(self, *path: str) -> float:
        """The same, or 0."""
        return self.median(*path) or 0.0

    def spread(self, *path: str) -> Optional[Spread]:
        """(median, low, high), or None."""
        middle = self.median(*path)
        if middle is None:
            return None
        low = look(self.result.get("low"), path)
        high = look(self.result.get("high"), path)
        return middle, middle if low is None else low, middle if high is None else high

    def ratio(self) -> Optional[Spread]:
        """Of the rate to that of the reference in the same rounds: (median, low, high), or
        None. What slows the machine for a while slows both."""
        told = self.result.get("ratio") or {}
        middle = look(told, ("median",))
        return (
            None if middle is None else (middle, told.get("low", middle), told.get("high", middle))
        )

    def errors(self) -> List[str]:
        """The first error that each round tells of, each once."""
        found: List[str] = []
        for lap in self.rounds:
            for text in lap.get("errors") or []:
                if str(text) not in found:
                    found.append(str(text))
        return found

    def calls_failed(self) -> int:
        return sum(lap.get("failed") or 0 for lap in self.rounds)

    def latency_classes(self) -> List[str]:
        return [name for name in (self.result.get("median") or {}).get("latency_us") or {}]


class Measured:
    """The whole of the results."""

    def __init__(self, results: Dict[str, Any], mark: str = "") -> None:
        """mark begins the identifiers of this part of a page."""
        self.results = results
        self.mark = mark
        self.workload = wording.Wording(results.get("workload"))
        self.contestants = results.get("contestants") or []
        self.transports = list(results.get("transports") or [])
        self.callers = sorted(results.get("callers") or [])
        self.noise = results.get("noise") or {}
        self.rounds_done = results.get("rounds_done") or max(
            [len(result.get("rounds") or []) for result in results.get("results") or []] or [0]
        )
        self.cells: Dict[Tuple[str, str, int], Cell] = {}
        for result in results.get("results") or []:
            cell = Cell(result)
            self.cells[cell.contestant, cell.transport, cell.callers] = cell

    def names(self, kind: Optional[str] = None) -> List[str]:
        return [
            str(one.get("name"))
            for one in self.contestants
            if kind is None or one.get("kind") == kind
        ]

    def present(self) -> List[Dict[str, Any]]:
        """Contestants with anything measured."""
        have = {cell.contestant for cell in self.cells.values() if cell.measured}
        return [one for one in self.contestants if str(one.get("name")) in have]

    def missing(self) -> List[Tuple[str, str]]:
        return [
            (str(one.get("name")), str(one.get("missing")))
            for one in self.contestants
            if one.get("missing")
        ]

    def sentences(self, told: Iterable[Optional[str]]) -> List[str]:
        """Of texts, some of which may be None."""
        return [words.sentence(text, self.names() + STRATEGIES) for text in told if text]

    def cell(self, name: str, transport: str, callers: int) -> Optional[Cell]:
        """What was measured, or None."""
        cell = self.cells.get((name, transport, callers))
        return cell if cell and cell.measured else None

    def of(self, kind: Optional[str], transport: str, callers: int) -> List[Cell]:
        """Cells that were measured, in the order of the contestants."""
        cells = (self.cell(name, transport, callers) for name in self.names(kind))
        return [cell for cell in cells if cell]

    @property
    def reference(self) -> str:
        return str(self.results.get("reference"))

    def believed(self) -> float:
        """The least difference that is believed even of values that hardly vary: a part of 1."""
        return next(part for rounds, part in BELIEVED if self.rounds_done >= rounds)

    @property
    def doubtful(self) -> bool:
        return bool(self.noise.get("noisy")) or self.rounds_done < ENOUGH_ROUNDS

    def differ(self, one: Spread, other: Spread) -> bool:
        """By enough, with their quarters apart, and by more than is between the quarters of
        either."""
        if min(one[0], other[0]) <= 0 or not (one[1] > other[2] or one[2] < other[1]):
            return False
        width = max((high - low) / middle for middle, low, high in (one, other))
        ratio = one[0] / other[0]
        return max(ratio, 1 / ratio) - 1 >= max(self.believed(), width)

    def ratio(self, one: Cell, other: Cell, *path: str) -> Tuple[float, bool]:
        """one / other, or 0 when that is not known; and whether they differ."""
        a, b = one.spread(*path), other.spread(*path)
        if not a or not b or a[0] <= 0 or b[0] <= 0:
            return 0.0, False
        return a[0] / b[0], self.differ(a, b)

    def slices(self, cell: Cell, key: str) -> List[Tuple[float, float, float, float]]:
        """Of each slice of time its start and (median, low, high) over the rounds; but of the last
        one, when it was cut short, since it has the few calls that were under way."""
        by_start: Dict[float, List[float]] = {}
        for lap in cell.rounds:
            end = 1000 * (lap.get("seconds") or 1e9) - SLICE_MS / 2
            for part in lap.get("slices") or []:
                start = part.get("start_ms") or 0
                if part.get(key) is not None and part.get("calls", 1) and start <= end:
                    by_start.setdefault(start, []).append(part[key])
        told: List[Tuple[float, float, float, float]] = []
        for start in sorted(by_start):
            quarters = quartiles(by_start[start])
            if quarters:
                told.append((start, *quarters))
        return told
