# SPDX-License-Identifier: BSD-3-Clause
"""One lap: a worker program is run, and what it prints becomes figures."""
import os
import subprocess
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

from . import children, contestants, histogram
from .contestants import Contestant
from .signals import Signals

FIRST_LINE = "poolmux-bench-result 1"
SKIPPED = 77
PATIENCE_S = 75.0  # beyond what a lap was asked to take; workers give up after 60
STOP_S = 2.0
BESIDE = ("pop", "message", "big-read")  # of those beside the callers: no calls of these
SLICE_MS = 100


class Order(NamedTuple):
    """What a lap is asked for."""

    url: str
    control: str
    secret: bool  # the URLs
    callers: int
    seconds: float
    warmup: float
    seed: int
    settings: List[str]


class Lap(NamedTuple):
    """Figures, or the reason why there are none."""

    figures: Optional[Dict[str, Any]] = None
    versions: Dict[str, str] = {}
    skipped: Optional[str] = None
    failed: Optional[str] = None
    killed: bool = False


class _Words:
    """The worker's lines by their first words."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.counts: Dict[str, Dict[str, int]] = {"calls": {}, "failed": {}, "commands": {}}
        self.latency: Dict[str, histogram.Histogram] = {}
        self.cpu: Dict[str, float] = {}
        self.server: Dict[str, float] = {}
        self.stats: Dict[str, float] = {}
        self.sleeps: Optional[float] = None
        self.schedule: Optional[Dict[str, float]] = None
        self.callers_as: Optional[str] = None
        self.versions: Dict[str, str] = {}
        self.slices: List[Dict[str, float]] = []
        self.errors: List[str] = []

    def take(self, line: str) -> None:
        head, _, rest = line.partition(" ")
        words = rest.split()
        if head in self.counts:
            self.counts[head][words[0]] = int(words[1])
        elif head == "latency":
            self.latency[words[0]] = histogram.parsed(words[1:])
        elif head == "server" and words[0] in ("name", "version"):
            pass  # asked by ourselves
        elif head in ("cpu", "server", "stat"):
            table = {"cpu": self.cpu, "server": self.server, "stat": self.stats}[head]
            table[words[0]] = float(words[1])
        elif head == "slice":
            self.slices.append(_slice(words))
        elif head == "version":
            name, _, version = rest.partition(" ")
            self.versions[name] = version
        elif head == "error":
            self.errors.append(contestants.plain(rest))
        elif head == "seconds":
            self.seconds = float(words[0])
        elif head == "sleeps":
            self.sleeps = float(words[0])
        elif head == "schedule":
            self.schedule = _schedule(words)
        elif head == "callers":
            self.callers_as = words[0]


def _slice(words: Sequence[str]) -> Dict[str, float]:
    number, calls, p50, p99, longest = (int(word) for word in words[:5])
    return {
        "start_ms": number * SLICE_MS,
        "calls": calls,
        "p50_us": p50 / 1000,
        "p99_us": p99 / 1000,
        "max_us": longest / 1000,
    }


def _schedule(words: Sequence[str]) -> Dict[str, float]:
    due, begun, late, latest = (int(word) for word in words[:4])
    return {"due": due, "begun": begun, "late": late, "latest_us": latest / 1000}


def _of_callers(counts: Dict[str, int]) -> int:
    return sum(n for name, n in counts.items() if name not in BESIDE)


def _per(amount: Optional[float], calls: float, scale: float = 1.0) -> Optional[float]:
    return None if amount is None or not calls else round(amount * scale / calls, 4)


def _foreign_cpu(words: _Words, near: bool) -> Optional[float]:
    """The share of the machine that neither the worker nor the server had."""
    mine = ["user", "system"] + (["server"] if near else [])
    if "machine" not in words.cpu or any(name not in words.cpu for name in mine):
        return None
    others = words.cpu["machine"] - sum(words.cpu[name] for name in mine)
    return round(max(others, 0) / (words.seconds * (os.cpu_count() or 1)), 4)


def _latency(words: _Words) -> Dict[str, Dict[str, float]]:
    ours = [table for name, table in words.latency.items() if name not in BESIDE]
    tables = {"all": histogram.merged(ours), **words.latency}
    return {
        name: figures
        for name, figures in ((name, histogram.summary_us(table)) for name, table in tables.items())
        if figures
    }


def _figures(words: _Words, near: bool) -> Dict[str, Any]:
    calls = _of_callers(words.counts["calls"])
    commands = _of_callers({**words.counts["calls"], **words.counts["commands"]})
    served = words.server.get("commands")
    return {
        "seconds": words.seconds,
        "callers_as": words.callers_as,
        "calls": calls,
        "failed": sum(words.counts["failed"].values()),
        "commands": commands,
        "rate": round(calls / words.seconds, 2),
        "command_rate": round(commands / words.seconds, 2),
        "calls_by_class": words.counts["calls"],
        "failed_by_class": words.counts["failed"],
        "latency_us": _latency(words),
        "slices": words.slices,
        "schedule": words.schedule,
        "cpu_us_per_call": {
            name: _per(words.cpu.get(name), calls, 1e6) for name in ("user", "system", "server")
        },
        "cpu_foreign": _foreign_cpu(words, near),
        "commands_per_write": _per(served, words.server.get("reads", 0)),
        "commands_per_read": _per(served, words.server.get("writes", 0)),
        "sleeps_per_call": _per(words.sleeps, calls),
        "connections": words.server.get("connections"),
        "server_bytes_in_per_call": _per(words.server.get("bytes_in"), calls),
        "server_bytes_out_per_call": _per(words.server.get("bytes_out"), calls),
        "stats": words.stats,
        "errors": words.errors,
    }


def parse(text: str, near: bool) -> Lap:
    lines = text.splitlines()
    if not lines or lines[0] != FIRST_LINE:
        return Lap(failed=f'its output does not begin with "{FIRST_LINE}"')
    if lines[-1] != "end":
        return Lap(failed='its output does not end with "end"')
    words = _Words()
    for line in lines[1:-1]:
        try:
            words.take(line)
        except (ValueError, IndexError):
            return Lap(failed=f'its output has the line "{line[:80]}"')
    if words.seconds <= 0:
        return Lap(failed="it measured for no time")
    if not _of_callers(words.counts["calls"]):
        return Lap(failed="no call succeeded" + "".join(f": {e}" for e in words.errors[:1]))
    return Lap(_figures(words, near), words.versions)


def _command(contestant: Contestant, order: Order) -> List[str]:
    where = [] if order.secret else ["--url", order.url, "--control", order.control]
    return [
        *(str(contestant.program), "--way", str(contestant.way), *where),
        *("--callers", str(order.callers), "--seconds", f"{order.seconds:g}"),
        *("--warmup", f"{order.warmup:g}", "--seed", str(order.seed)),
        *order.settings,
    ]


def environment(url: str, secret: bool, control: Optional[str] = None) -> Dict[str, str]:
    """Arguments can be seen by everybody on the machine, the environment cannot."""
    names = ("POOLMUX_BENCH_URL", "POOLMUX_BENCH_CONTROL")
    others = {name: value for name, value in os.environ.items() if name not in names}
    return {**others, **dict(zip(names, (url, control or url)))} if secret else others


def run(contestant: Contestant, order: Order, near: bool, signals: Signals) -> Lap:
    try:
        process = children.start(
            _command(contestant, order),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(order.url, order.secret, order.control),
        )
    except OSError as error:
        return Lap(failed=f"it cannot be started: {error}")
    limit = order.seconds + order.warmup + PATIENCE_S
    try:
        with signals.waiting():
            out, err = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        return Lap(failed=f"it had not ended after {limit:.0f} s")
    finally:
        children.end(process, STOP_S)
    if process.returncode == 0:
        return parse(out, near)
    if process.returncode == SKIPPED:
        return Lap(skipped=contestants.reason(process, err))
    return Lap(failed=contestants.reason(process, err), killed=process.returncode < 0)
