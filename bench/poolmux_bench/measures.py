# SPDX-License-Identifier: BSD-3-Clause
"""What targets may be set for: how it is found in the figures of a round, whether more of it is
better, and how it is written."""
from typing import Any, Callable, Dict, NamedTuple, Optional, Sequence, Tuple

Path = Tuple[str, ...]
KINDS = (
    *("all", "get", "set", "big-get", "big-set", "batch", "transaction"),
    *("push", "pop", "publish", "message", "big-read"),
)


def duration(us: Optional[float]) -> str:
    if us is None:
        return "-"
    for unit, size in (("s", 1e6), ("ms", 1e3), ("us", 1.0)):
        if us >= size or unit == "us":
            break
    value = us / size
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f} {unit}"


def _per_second(value: float) -> str:
    return f"{value:,.0f} calls/s"


def _processor(value: float) -> str:
    return f"{value:.{2 if value < 100 else 0}f} us"


def _plain(value: float) -> str:
    return f"{value:.{2 if value < 100 else 0}f}"


class Measure(NamedTuple):
    meaning: str
    paths: Sequence[Path]  # what is added up; "KIND" stands for the kind of calls
    more_is_better: bool
    write: Callable[[float], str]

    @property
    def is_of_a_kind(self) -> bool:
        return any("KIND" in path for path in self.paths)

    def of(self, figures: Dict[str, Any], kind: str) -> Optional[float]:
        total = 0.0
        for path in self.paths:
            value: Any = figures
            for key in path:
                value = (value or {}).get(kind if key == "KIND" else key)
            if value is None:
                return None
            total += value
        return total


def _time(name: str, meaning: str) -> Measure:
    return Measure(meaning, [("latency_us", "KIND", name)], False, duration)


USER, SYSTEM, SERVER = (("cpu_us_per_call", name) for name in ("user", "system", "server"))
MEASURES = {
    "rate": Measure("calls per second", [("rate",)], True, _per_second),
    "p50": _time("p50", "microseconds within which half of the calls end"),
    "p90": _time("p90", "the same of 90 per cent"),
    "p99": _time("p99", "the same of 99 per cent"),
    "p999": _time("p999", "the same of 99.9 per cent"),
    "max": _time("max", "microseconds of the longest call"),
    "client_cpu": Measure("client's CPU per call", [USER, SYSTEM], False, _processor),
    "server_cpu": Measure("server's CPU per call", [SERVER], False, _processor),
    "cpu": Measure("CPU of both per call", [USER, SYSTEM, SERVER], False, _processor),
    "sleeps": Measure("sleeps per call", [("sleeps_per_call",)], False, _plain),
    "commands_per_write": Measure("commands per write", [("commands_per_write",)], True, _plain),
    "commands_per_read": Measure("commands per read", [("commands_per_read",)], True, _plain),
}
