# SPDX-License-Identifier: BSD-3-Clause
"""The results as text, from the same dictionary that is written as JSON; at most 99 columns."""
import textwrap
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

from . import bundle, verdicts
from .measures import duration
from .rounds import many

WIDTH = 99
NAME = 18
CLASS_COLUMN, CLASSES_AT_ONCE = 9, 7
LATE_LIMIT = 0.01
REACHED = 0.98
LEGEND = """\
calls/s   medians of the rounds, as all figures are; +-: half of what is between their quarters
ratio     of the calls per second to those of the first line in the same round
client    CPU time in microseconds per call, of the program that calls; server: of the server
cmds/wr   commands for each time the server reads, which is about one write of the client
sleeps    voluntary context switches of the program per call"""


def count(n: Optional[float]) -> str:
    return "-" if n is None else f"{n:,.0f}"


def _number(n: Optional[float]) -> str:
    return "-" if n is None else f"{n:.2f}" if n < 100 else f"{n:.0f}"


def _sum(*parts: Optional[float]) -> Optional[float]:
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None


def _half_width(result: Dict[str, Any]) -> str:
    if len(result["rounds"]) < 3:
        return "-"
    high, low, median = (result[name]["rate"] for name in ("high", "low", "median"))
    return f"{(high - low) / 2 / median:.0%}"


Row = Tuple[str, str]  # a name, or a title, and what stands beside it


def _heading(title: str) -> Row:
    return title, (
        f"{'calls/s':>9} {'+-':>4} {'ratio':>5} {'p50':>7} {'p99':>7} {'p99.9':>7} "
        f"{'client':>6} {'server':>6} {'cmds/wr':>7} {'sleeps':>6}"
    )


def _measured(result: Dict[str, Any]) -> str:
    figures = result["median"]
    times, cpu = figures["latency_us"].get("all") or {}, figures["cpu_us_per_call"]
    ratio = _number(result["ratio"]["median"]) if result["ratio"] else "-"
    times_text = " ".join(f"{duration(times.get(p)):>7}" for p in ("p50", "p99", "p999"))
    return (
        f"{count(figures['rate']):>9} {_half_width(result):>4} {ratio:>5} {times_text} "
        f"{_number(_sum(cpu['user'], cpu['system'])):>6} {_number(cpu['server']):>6} "
        f"{_number(figures['commands_per_write']):>7} {_number(figures['sleeps_per_call']):>6}"
    )


def _row(result: Dict[str, Any]) -> Iterator[Row]:
    name = result["contestant"]
    for word in ("skipped", "failed"):
        if result[word] is not None:
            yield name, f"{word}: {result[word]}"
    if result["failed"] is None and result["median"] is not None:
        yield name, _measured(result)
    elif result["failed"] is None and result["skipped"] is None:
        yield name, "not measured"


def _classes(results: Sequence[Dict[str, Any]]) -> List[str]:
    named = (r["median"]["latency_us"] for r in results if r["median"])
    return [name for name in dict.fromkeys(n for table in named for n in table) if name != "all"]


def _by_class(results: Sequence[Dict[str, Any]]) -> Iterator[Row]:
    """What calls of different kinds get; of GET and SET alone the figures above tell enough."""
    classes = _classes(results)
    if not set(classes) - {"get", "set"}:
        return
    for first in range(0, len(classes), CLASSES_AT_ONCE):
        some = classes[first : first + CLASSES_AT_ONCE]
        yield "p99 of", " ".join(f"{_short(n):>{CLASS_COLUMN}}" for n in some)
        for result in results:
            if result["median"]:
                table = result["median"]["latency_us"]
                cells = (duration((table.get(n) or {}).get("p99")) for n in some)
                yield result["contestant"], " ".join(f"{text:>{CLASS_COLUMN}}" for text in cells)


def _short(name: str) -> str:
    return name if len(name) <= CLASS_COLUMN else name[: CLASS_COLUMN - 1] + "."


def _failures(results: Sequence[Dict[str, Any]]) -> Iterator[str]:
    for result in results:
        failed = sum(figures["failed"] for figures in result["rounds"])
        if failed:
            errors = [error for figures in result["rounds"] for error in figures["errors"]]
            why = f", for example: {errors[0]}" if errors else ""
            yield f"{result['contestant']}: {count(failed)} calls failed{why}"


def _late(results: Sequence[Dict[str, Any]], rate: float) -> Iterator[str]:
    for result in results:
        figures, name = result["median"], result["contestant"]
        if figures and figures["rate"] < REACHED * rate:
            yield f"{name}: does not reach the {rate:,.0f} calls/s that were asked for"
        schedule = figures and figures["schedule"]
        if schedule and schedule["late"] > LATE_LIMIT * schedule["due"]:
            share, most = schedule["late"] / schedule["due"], duration(schedule["latest_us"])
            yield (
                f"{name}: {share:.0%} of the calls began more than 1 ms after they were due, "
                f"the latest {most}"
            )


def _rate_wanted(results: Dict[str, Any]) -> float:
    try:
        return float(results["workload"]["settings"].get("rate", "0"))
    except ValueError:
        return 0.0


def _cell(results: Dict[str, Any], transport: str, callers: int) -> Iterator[str]:
    place = (transport, callers)
    here = [r for r in results["results"] if (r["transport"], r["callers"]) == place]
    rows = [_heading(f"{transport}, {many(callers, 'caller')}")]
    for result in here:
        rows += _row(result)
    rows += _by_class(here)
    width = max(NAME, *(len(name) for name, _ in rows))
    yield ""
    for name, text in rows:
        yield f"{name:{width}} {text}"
    yield from _failures(here)
    yield from _late(here, _rate_wanted(results))


def _laps(results: Dict[str, Any]) -> str:
    rounds = many(results["rounds"], "round")
    return f"{rounds} of {results['seconds']:g} s after {results['warmup']:g} s of warm-up"


def _workload(results: Dict[str, Any]) -> str:
    workload = results["workload"]
    return f"workload {workload['name']} ({workload['source']}), {_laps(results)}"


def _head(results: Dict[str, Any]) -> Iterator[str]:
    machine, server = results["machine"], results["server"]
    memory = machine["memory_bytes"] / 2**30
    yield (
        f"machine  {machine['cpu'] or 'unknown'}, {machine['cores']} processors, "
        f"{memory:.0f} GiB, {machine['kernel']}"
    )
    whose = "private" if server["own"] else server["url"]
    yield f"server   {server['name'] or 'unknown'} {server['version'] or ''}, {whose}"
    yield "versions " + ", ".join(f"{name} {of}" for name, of in results["versions"].items())


def _folded(text: str) -> List[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent="  ", break_long_words=False)


def lines(results: Dict[str, Any]) -> Iterator[str]:
    """Sentences are folded, rows fit."""
    for line in _all(results):
        yield from [line] if len(line) <= WIDTH else _folded(line)


def _cells(results: Dict[str, Any]) -> Iterator[str]:
    for transport in results["transports"]:
        for callers in results["callers"]:
            yield from _cell(results, transport, callers)


def _figures(results: Dict[str, Any], cases: Sequence[Dict[str, Any]]) -> Iterator[str]:
    if not bundle.is_one(results):
        yield _workload(results)
    yield from _head(results)
    for case in cases:
        if bundle.is_one(results):
            yield ""
            yield _workload(case)
        yield from _cells(case)
    yield ""
    yield from LEGEND.splitlines()


def _doubts(results: Dict[str, Any], cases: Sequence[Dict[str, Any]]) -> Iterator[str]:
    """Each once, though cases have the same ones."""
    for case in cases:
        for contestant in case["contestants"]:
            if contestant["missing"] is not None:
                yield f"missing: {contestant['name']}: {contestant['missing']}"
    for name, warning in bundle.warnings(cases):
        yield f"warning: case {name}: {warning}" if name else f"warning: {warning}"
    if any(case["noise"]["noisy"] for case in cases):
        yield "warning: the machine was too noisy to believe small differences"


def _all(results: Dict[str, Any]) -> Iterator[str]:
    cases = bundle.apart(results)
    yield from _figures(results, cases)
    yield from dict.fromkeys(_doubts(results, cases))
    if bundle.is_one(results):
        yield ""
        yield from verdicts.lines(results["targets"], WIDTH)
    if results["incomplete"]:
        done = f"{results['rounds_done']} of {results['rounds']}"
        yield f"INCOMPLETE: interrupted after {done} rounds"
