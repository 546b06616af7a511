# SPDX-License-Identifier: BSD-3-Clause
"""What is to be run: one workload of the command line, or the cases of a file of targets."""
import argparse
import os
from typing import List, NamedTuple, Optional

from . import contestants, targets, workload
from .contestants import Contestant
from .places import Places
from .problem import Misuse
from .rounds import Plan
from .targets import Case, Suite
from .url import Url
from .workload import Workload

BUDGET_S, BESIDES_S = 20.0, 0.06  # of a run; of a lap beside what it measures
SHORTEST_S, LONGEST_S = 0.1, 2.0
WARMUP_SHARE = 5
CASE_S, ROUNDS = 1.0, 5


class Part(NamedTuple):
    """One workload, and who makes its calls."""

    workload: Workload
    chosen: List[Contestant]
    plan: Plan

    def with_prefix(self, prefix: str) -> "Part":
        load = self.workload.with_prefix(prefix)
        return self._replace(workload=load, plan=self.plan._replace(settings=load.arguments()))


class Task(NamedTuple):
    options: argparse.Namespace
    parts: List[Part]
    suite: Optional[Suite]

    @property
    def plans(self) -> List[Plan]:
        return [part.plan for part in self.parts]

    @property
    def transports(self) -> List[str]:
        return list(dict.fromkeys(t for plan in self.plans for t in plan.transports))

    @property
    def prefix(self) -> str:
        return self.parts[0].workload.settings["prefix"]

    def with_prefix(self, prefix: str) -> "Task":
        """Each case has keys of its own: they differ in how large their values are."""
        if self.suite is None:
            return self._replace(parts=[self.parts[0].with_prefix(prefix)])
        parts = [part.with_prefix(f"{prefix}{n}:") for n, part in enumerate(self.parts, 1)]
        return self._replace(parts=parts)


def _warmup(opts: argparse.Namespace, seconds: float, of_case: Optional[float] = None) -> float:
    for said in (opts.warmup, of_case):
        if said is not None:
            return float(said)
    return round(seconds / WARMUP_SHARE, 3)


# ---- the command line's ----


def _workload(opts: argparse.Namespace, places: Places) -> Workload:
    keys = contestants.keys(places.libexec)
    if opts.workload:
        base = workload.from_file(keys, opts.workload)
    else:
        base = workload.from_preset(keys, places.presets, opts.preset)
    load = workload.changed(keys, base, opts.sets)
    contestants.check_values(places.libexec, load.arguments())
    return load


def _plan(opts: argparse.Namespace, taking_part: List[Contestant], transports: List[str]) -> Plan:
    rounds = ROUNDS if opts.rounds is None else opts.rounds
    plan = Plan(taking_part, transports, opts.callers, rounds, 0, 0, opts.seed, [])
    share = BUDGET_S / max(plan.laps, 1) - BESIDES_S
    guess = min(max(share / (1 + 1 / WARMUP_SHARE), SHORTEST_S), LONGEST_S)
    seconds = round(guess, 2) if opts.seconds is None else opts.seconds
    return plan._replace(seconds=seconds, warmup=_warmup(opts, seconds))


def of_options(
    opts: argparse.Namespace, places: Places, found: List[Contestant], url: Optional[Url]
) -> Task:
    load = _workload(opts, places)
    check_writes(opts, url, load.settings["prefix"])
    chosen = contestants.choose(found, opts.strategies, opts.peers)
    taking_part = [c for c in chosen if c.missing is None]
    transports = [url.transport] if url else opts.transports or ["tcp"]
    plan = _plan(opts, taking_part, transports)
    return Task(opts, [Part(load, chosen, plan)], None)


# ---- a file's ----


def _part(opts: argparse.Namespace, case: Case, rounds: int) -> Part:
    taking_part = [c for c in case.chosen if c.missing is None]
    said = case.seconds if opts.seconds is None else opts.seconds
    seconds = CASE_S if said is None else said
    plan = Plan(
        taking_part,
        case.transports,
        case.callers,
        rounds,
        seconds,
        _warmup(opts, seconds, case.warmup),
        opts.seed,
        [],
        case.name,
    )
    return Part(case.workload, case.chosen, plan)


def of_targets(opts: argparse.Namespace, places: Places, url: Optional[Url]) -> Task:
    suite = targets.read(opts.targets, places)
    rounds = next(n for n in (opts.rounds, suite.rounds, ROUNDS) if n is not None)
    task = Task(opts, [_part(opts, case, rounds) for case in suite.cases], suite)
    check_writes(opts, url, task.prefix)
    return task


# ---- where ----


def server_url(opts: argparse.Namespace) -> Optional[Url]:
    if not opts.url:
        return None
    url = Url(opts.url, os.environ.get("POOLMUX_PASSWORD"))
    if opts.transports and opts.transports != [url.transport]:
        raise Misuse(
            f"--transports: {url.shown} is {url.transport}, and nothing else can be measured"
        )
    return url


def check_writes(opts: argparse.Namespace, url: Optional[Url], prefix: str) -> None:
    if url and not opts.allow_writes:
        raise Misuse(
            f"--url: {url.shown} is not a server of our own: it would be loaded, and keys that "
            f'begin with "{prefix}" written and removed again; --allow-writes says that they may'
        )
