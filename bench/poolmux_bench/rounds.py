# SPDX-License-Identifier: BSD-3-Clause
"""Rounds: in each all contestants make one lap at every transport and number of callers, of every
case, in turn, and each round begins with another one. What the machine does meanwhile hits all of
them alike."""
from typing import (
    Any,
    Callable,
    Dict,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    TypeVar,
)

from . import lap, spread
from .contestants import Contestant
from .lap import Lap, Order
from .problem import Interrupted
from .server import Server
from .signals import Signals

A_MOMENT_S = 0.5


def many(n: int, word: str) -> str:
    return f"{n} {word}" if n == 1 else f"{n} {word}s"


class Plan(NamedTuple):
    """Of a case, or of a run that has no others."""

    contestants: Sequence[Contestant]
    transports: Sequence[str]
    callers: Sequence[int]
    rounds: int
    seconds: float
    warmup: float
    seed: int
    settings: List[str]
    case: str = ""

    @property
    def laps(self) -> int:
        return len(self.contestants) * len(self.transports) * len(self.callers) * self.rounds


class Cell:
    """What one contestant has done at one transport and number of callers."""

    def __init__(self, contestant: Contestant, transport: str, callers: int) -> None:
        self.contestant, self.transport, self.callers = contestant, transport, callers
        self.rounds: List[Dict[str, Any]] = []
        self.skipped: Optional[str] = None
        self.failed: Optional[str] = None

    @property
    def is_out(self) -> bool:
        return self.skipped is not None or self.failed is not None

    def take(self, number: int, done: Lap) -> None:
        self.skipped, self.failed = done.skipped, done.failed
        if done.figures is not None:
            self.rounds.append({"round": number, **done.figures})

    def rates(self) -> Dict[int, float]:
        return {figures["round"]: figures["rate"] for figures in self.rounds}


class Outcome:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.cells = {
            (c.name, transport, callers): Cell(c, transport, callers)
            for transport in plan.transports
            for callers in plan.callers
            for c in plan.contestants
        }
        self.versions: Dict[str, str] = {}
        self.rounds_done = 0
        self.stopped_by: Optional[int] = None

    def leave_out(self, urls: Dict[str, str], where: str) -> None:
        """What the server does not speak."""
        for cell in self.cells.values():
            if cell.transport not in urls:
                cell.skipped = f"{where} is {', '.join(urls)}"

    def at(self, transport: str, callers: int) -> List[Cell]:
        return [c for c in self.cells.values() if (c.transport, c.callers) == (transport, callers)]

    def reference(self) -> Optional[str]:
        """The first contestant that was measured anywhere."""
        for contestant in self.plan.contestants:
            if any(c.rounds for c in self.cells.values() if c.contestant is contestant):
                return contestant.name
        return None

    def ratio(self, cell: Cell) -> Optional[Dict[str, float]]:
        """Of the rate to that of the reference in the same round."""
        reference = self.cells.get((self.reference() or "", cell.transport, cell.callers))
        base = reference.rates() if reference else {}
        return spread.three([rate / base[n] for n, rate in cell.rates().items() if n in base])


Step = Tuple[int, Outcome, Cell]
Show = Callable[[int, int, str, Cell], None]
Some = TypeVar("Some")


def _turned(things: Sequence[Some], number: int) -> List[Some]:
    """Each round begins with another one."""
    first = (number - 1) % len(things) if things else 0
    return [*things[first:], *things[:first]]


def steps(outcomes: Sequence[Outcome]) -> Iterator[Step]:
    """All have as many rounds."""
    for number in range(1, outcomes[0].plan.rounds + 1):
        for outcome in _turned(outcomes, number):
            for transport in outcome.plan.transports:
                for callers in outcome.plan.callers:
                    for cell in _turned(outcome.at(transport, callers), number):
                        yield number, outcome, cell


def _each(outcomes: Sequence[Outcome], name: str, value: Optional[int]) -> None:
    for outcome in outcomes:
        setattr(outcome, name, value)


def run(plans: Sequence[Plan], server: Server, signals: Signals, show: Show) -> List[Outcome]:
    """Of each plan. Ends early when a signal comes; what there is by then is kept."""
    outcomes = [Outcome(plan) for plan in plans]
    for outcome in outcomes:
        outcome.leave_out(server.urls, server.shown or "the server")
    try:
        for done, (number, outcome, cell) in enumerate(steps(outcomes)):
            _each(outcomes, "rounds_done", number - 1)
            show(done, number, outcome.plan.case, cell)
            if not cell.is_out:
                _lap(outcome, cell, number, server, signals)
        _each(outcomes, "rounds_done", plans[0].rounds)
    except Interrupted as interrupted:
        _each(outcomes, "stopped_by", interrupted.number)
    return outcomes


def _lap(outcome: Outcome, cell: Cell, number: int, server: Server, signals: Signals) -> None:
    plan = outcome.plan
    ended = server.ended()
    if ended:  # what was measured before is told nevertheless
        cell.failed = ended
        return
    order = Order(
        server.urls[cell.transport],
        server.control,
        server.secret,
        cell.callers,
        plan.seconds,
        plan.warmup,
        plan.seed + number - 1,
        plan.settings,
    )
    done = lap.run(cell.contestant, order, server.near, signals)
    if done.failed and not done.killed:  # the server may be why, and not have gone before
        done = done._replace(failed=server.ended(A_MOMENT_S) or done.failed)
    outcome.versions.update(done.versions)
    cell.take(number, done)
