# SPDX-License-Identifier: BSD-3-Clause
"""The dictionary that the table is printed from, that --json writes, and that report.py draws.
poolmux-bench(1) documents it."""
import contextlib
import json
import os
from datetime import datetime, timezone
from typing import Any, Dict, List, Sequence

from . import machine, noise, spread
from .contestants import Contestant
from .problem import Problem
from .rounds import Cell, Outcome
from .server import Server
from .workload import Workload

FORMAT = "poolmux-bench 1"


def _contestant(contestant: Contestant) -> Dict[str, Any]:
    return {
        "name": contestant.name,
        "strategy": contestant.strategy,
        "kind": contestant.kind,
        "library": contestant.library,
        "way": contestant.way,
        "description": contestant.description,
        "capabilities": list(contestant.capabilities),
        "missing": contestant.missing,
    }


def _cell(outcome: Outcome, cell: Cell) -> Dict[str, Any]:
    return {
        "contestant": cell.contestant.name,
        "transport": cell.transport,
        "callers": cell.callers,
        "skipped": cell.skipped,
        "failed": cell.failed,
        "rounds": cell.rounds,
        "ratio": outcome.ratio(cell),
        **{name: spread.of_rounds(cell.rounds, name) for name in spread.POINTS},
    }


def of(
    outcome: Outcome,
    server: Server,
    workload: Workload,
    chosen: Sequence[Contestant],
    version: str,
    arguments: List[str],
) -> Dict[str, Any]:
    plan = outcome.plan
    return {
        "format": FORMAT,
        "tool_version": version,
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "arguments": arguments,
        "machine": machine.described(),
        "server": {
            "name": server.name,
            "version": server.version,
            "own": server.own,
            "url": server.shown,
        },
        "versions": outcome.versions,
        "workload": workload._asdict(),
        "transports": list(plan.transports),
        "callers": list(plan.callers),
        "rounds": plan.rounds,
        "rounds_done": outcome.rounds_done,
        "seconds": plan.seconds,
        "warmup": plan.warmup,
        "seed": plan.seed,
        "reference": outcome.reference(),
        "contestants": [_contestant(c) for c in chosen],
        "results": [_cell(outcome, cell) for cell in outcome.cells.values()],
        "noise": noise.judged(outcome),
        "incomplete": outcome.stopped_by is not None,
    }


def write(results: Dict[str, Any], path: str) -> None:
    """Whole or not at all; what was begun beside it is removed."""
    text = json.dumps(results, indent=1, ensure_ascii=False) + "\n"
    beside = f"{path}.{os.getpid()}"
    try:
        if not os.path.isfile(path) and os.path.exists(path):  # /dev/stdout
            beside = path
        try:
            # Nobody else has put a link to another file there.
            with open(beside, "w" if beside == path else "x", encoding="utf-8") as file:
                file.write(text)
            if beside != path:
                os.replace(beside, path)
        except BaseException:
            if beside != path:
                with contextlib.suppress(OSError):
                    os.unlink(beside)
            raise
    except OSError as error:
        raise Problem(f"--json: {path}: {error.strerror}") from error
