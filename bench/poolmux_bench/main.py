# SPDX-License-Identifier: BSD-3-Clause
"""From the command line to what comes out."""
import argparse
import io
import os
import signal
import sys
from typing import Any, Dict, List, NamedTuple, TextIO

from . import contestants, lap, listing, options, results, rounds, table, workload
from .contestants import Contestant
from .keeper import Keeper
from .places import Places
from .problem import Interrupted, Misuse, Problem
from .progress import Progress
from .rounds import Outcome, Plan
from .server import Foreign, Private, Server
from .signals import Signals
from .url import Url
from .workload import Workload

BUDGET_S, BESIDES_S = 20.0, 0.06  # of a run; of a lap beside what it measures
SHORTEST_S, LONGEST_S = 0.1, 2.0
WARMUP_SHARE = 5
FILL_S = 600  # for the keys of a workload


class Task(NamedTuple):
    options: argparse.Namespace
    workload: Workload
    chosen: List[Contestant]
    plan: Plan


def _workload(opts: argparse.Namespace, places: Places) -> Workload:
    keys = contestants.keys(places.libexec)
    if opts.workload:
        base = workload.from_file(keys, opts.workload)
    else:
        base = workload.from_preset(keys, places.presets, opts.preset or "mixed")
    load = workload.changed(keys, base, opts.sets)
    contestants.check_values(places.libexec, load.arguments())
    return load


def _url(opts: argparse.Namespace, prefix: str) -> Url:
    url = Url(opts.url, os.environ.get("POOLMUX_PASSWORD"))
    if opts.transports and opts.transports != [url.transport]:
        raise Misuse(
            f"--transports: {url.shown} is {url.transport}, and nothing else can be measured"
        )
    if not opts.allow_writes:
        raise Misuse(
            f"--url: {url.shown} is not a server of our own: it would be loaded, and keys that "
            f'begin with "{prefix}" written and removed again; --allow-writes says that they may'
        )
    return url


def _plan(opts: argparse.Namespace, taking_part: List[Contestant], transports: List[str]) -> Plan:
    plan = Plan(taking_part, transports, opts.callers, opts.rounds, 0, 0, opts.seed, [])
    share = BUDGET_S / max(plan.laps, 1) - BESIDES_S
    guess = min(max(share / (1 + 1 / WARMUP_SHARE), SHORTEST_S), LONGEST_S)
    seconds = round(guess, 2) if opts.seconds is None else opts.seconds
    warmup = round(seconds / WARMUP_SHARE, 3) if opts.warmup is None else opts.warmup
    return plan._replace(seconds=seconds, warmup=warmup)


def _measure(
    task: Task, places: Places, arguments: List[str], server: Server, signals: Signals
) -> int:
    if isinstance(server, Foreign):
        task = task._replace(workload=task.workload.with_prefix(server.prefix))
    plan = task.plan._replace(settings=task.workload.arguments())
    progress = Progress(plan.laps, plan.rounds, task.options.quiet)
    try:
        progress.say("writing the keys")
        _fill(plan, places, server, signals)
        outcome = rounds.run(plan, server, signals, progress.show)
    finally:
        progress.clear()
    found = results.of(outcome, server, task.workload, task.chosen, places.version, arguments)
    _tell(task.options, found)
    return _status(outcome)


def _silence(stream: TextIO) -> None:
    """What it still has would make trouble in the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _fill(plan: Plan, places: Places, server: Server, signals: Signals) -> None:
    words = ["--fill", "--seed", str(plan.seed), *plan.settings]
    if not server.secret:
        words += ["--url", server.control]
    environment = lap.environment(server.control, server.secret)
    with signals.waiting():
        contestants.ask(contestants.ours(places.libexec), words, FILL_S, env=environment)


def _status(outcome: Outcome) -> int:
    if outcome.stopped_by is not None:
        return 128 + outcome.stopped_by
    return 1 if any(cell.failed is not None for cell in outcome.cells.values()) else 0


def _tell(opts: argparse.Namespace, found: Dict[str, Any]) -> None:
    unread = None
    try:
        if not opts.quiet:
            print("\n".join(table.lines(found)), flush=True)
    except OSError as error:  # nobody reads it, or the disk is full: the files come nevertheless
        unread = error
        _silence(sys.stdout)
    if opts.json:
        results.write(found, opts.json)
    if opts.html:
        from . import report

        report.write(found, opts.html)
    if unread and not found["incomplete"]:
        raise unread


def _with_server(task: Task, places: Places, arguments: List[str], url: "Url | None") -> int:
    keeper, signals = Keeper(), Signals()
    signals.catch()
    try:
        server: Server
        if url:
            server = Foreign(url, task.workload.settings["prefix"], keeper)
        else:
            server = Private(task.plan.transports, keeper, signals)
        try:
            return _measure(task, places, arguments, server, signals)
        finally:
            server.close()
    finally:
        keeper.close()


def _check_outputs(opts: argparse.Namespace) -> None:
    """What cannot be written is told before half a minute is spent."""
    for option, path in (("--json", opts.json), ("--html", opts.html)):
        where = os.path.dirname(path) or "." if path else None
        if where and not os.path.isdir(where):
            raise Misuse(f"{option}: {path}: there is no directory {where}")
        if where and not os.access(path if os.path.exists(path) else where, os.W_OK):
            raise Misuse(f"{option}: {path}: may not be written")
        if path and os.path.isdir(path):
            raise Misuse(f"{option}: {path}: is a directory")
    if opts.html:
        from .charts import needed

        needed()


def _shown(arguments: List[str], url: "Url | None") -> List[str]:
    """Without what may be secret."""
    if url is None:
        return arguments
    return [a.replace(url.text, url.shown) for a in arguments]


def _run(places: Places, arguments: List[str]) -> int:
    opts = options.read(places.version, arguments)
    found = contestants.find(places.libexec, places.peers)
    if opts.list:
        keys = contestants.keys(places.libexec)
        print("\n".join(listing.lines(places.presets, found, keys)))
        return 0
    _check_outputs(opts)
    load = _workload(opts, places)
    url = _url(opts, load.settings["prefix"]) if opts.url else None
    chosen = contestants.choose(found, opts.strategies, opts.peers)
    taking_part = [c for c in chosen if c.missing is None]
    transports = [url.transport] if url else opts.transports or ["tcp"]
    task = Task(opts, load, chosen, _plan(opts, taking_part, transports))
    return _with_server(task, places, _shown(arguments, url), url)


def main(places: Places, arguments: List[str]) -> int:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        return _run(places, arguments)
    except Problem as problem:
        print(f"poolmux-bench: {problem}", file=sys.stderr)
        return problem.status
    except (Interrupted, KeyboardInterrupt) as interrupted:
        print("poolmux-bench: interrupted before anything was measured", file=sys.stderr)
        return 128 + getattr(interrupted, "number", signal.SIGINT)
    except BrokenPipeError:
        _silence(sys.stdout)
        return 128 + signal.SIGPIPE
    except OSError as error:
        _silence(sys.stdout)
        print(f"poolmux-bench: {error}", file=sys.stderr)
        return 1
