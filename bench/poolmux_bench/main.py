# SPDX-License-Identifier: BSD-3-Clause
"""From the command line to what comes out."""
import argparse
import io
import os
import signal
import sys
from typing import Any, Dict, List, Optional, TextIO

from . import bundle, contestants, judge, lap, listing, options, results, rounds, run, table
from .keeper import Keeper
from .places import Places
from .problem import Interrupted, Misuse, Problem
from .progress import Progress
from .rounds import Outcome, Plan
from .run import Task
from .server import Foreign, Private, Server
from .signals import Signals
from .url import Url

FILL_S = 600  # for the keys of a workload
MISSED = 3  # a target


def _measure(
    task: Task, places: Places, arguments: List[str], server: Server, signals: Signals
) -> int:
    task = task.with_prefix(server.prefix if isinstance(server, Foreign) else task.prefix)
    plans = task.plans
    progress = Progress(sum(plan.laps for plan in plans), plans[0].rounds, task.options.quiet)
    try:
        progress.say("writing the keys")
        for plan in plans:
            _fill(plan, places, server, signals)
        outcomes = rounds.run(plans, server, signals, progress.show)
    finally:
        progress.clear()
    found = _results(task, places, arguments, server, outcomes)
    _tell(task.options, found)
    return _status(outcomes, found)


def _results(
    task: Task, places: Places, arguments: List[str], server: Server, outcomes: List[Outcome]
) -> Dict[str, Any]:
    runs = [
        results.of(outcome, server, part.workload, part.chosen, places.version, arguments)
        for part, outcome in zip(task.parts, outcomes)
    ]
    if task.suite is None:
        return runs[0]
    by_name = {part.workload.name: found for part, found in zip(task.parts, runs)}
    return bundle.of(by_name, judge.judged(task.suite, by_name))


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


def _status(outcomes: List[Outcome], found: Dict[str, Any]) -> int:
    if outcomes[0].stopped_by is not None:
        return 128 + outcomes[0].stopped_by
    if any(cell.failed is not None for outcome in outcomes for cell in outcome.cells.values()):
        return 1
    return MISSED if bundle.is_one(found) and found["targets"]["missed"] else 0


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


def _with_server(task: Task, places: Places, arguments: List[str], url: Optional[Url]) -> int:
    keeper, signals = Keeper(), Signals()
    signals.catch()
    try:
        server: Server
        if url:
            server = Foreign(url, task.prefix, keeper)
        else:
            server = Private(task.transports, keeper, signals)
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


def _shown(arguments: List[str], url: Optional[Url]) -> List[str]:
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
    url = run.server_url(opts)
    if opts.targets is not None:
        task = run.of_targets(opts, places, url)
    else:
        task = run.of_options(opts, places, found, url)
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
