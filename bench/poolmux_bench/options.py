# SPDX-License-Identifier: BSD-3-Clause
"""The command line; poolmux-bench(1) describes it."""
import argparse
from typing import Callable, List, NoReturn, Optional

from .problem import Misuse
from .url import TRANSPORTS

EPILOG = """\
Without options: --preset mixed, within half a minute. See poolmux-bench(1).
Environment: POOLMUX_SERVER names the server program, POOLMUX_PASSWORD is the password for --url.
Exit status: 0 all was measured, 1 something failed, 2 wrong use, 3 a target is missed, 128 + signal
when interrupted.
"""
MAX_CALLERS = 4096


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Misuse(f"{message}; --help tells more")


def _bad(text: str, valid: str) -> argparse.ArgumentTypeError:
    return argparse.ArgumentTypeError(f'"{text}" is not valid: {valid}')


def _words(text: str) -> List[str]:
    words = [word.strip() for word in text.split(",")]
    if not all(words):
        raise _bad(text, "words with commas between them")
    return list(dict.fromkeys(words))


def transports(text: str) -> List[str]:
    words = _words(text)
    if not set(words) <= set(TRANSPORTS.values()):
        raise _bad(text, "tcp, unix and tls, with commas between them")
    return words


def _whole(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isdecimal() or not low <= int(text) <= high:
            raise _bad(text, f"a whole number from {low} to {high}")
        return int(text)

    return read


def callers(text: str) -> List[int]:
    read = _whole(1, MAX_CALLERS)
    try:
        return [read(word) for word in _words(text)]
    except argparse.ArgumentTypeError as error:
        raise _bad(text, f"whole numbers from 1 to {MAX_CALLERS}, with commas between") from error


def _duration(low: float, high: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = -1
        if not low <= value <= high:
            raise _bad(text, f"seconds, from {low:g} to {high:g}")
        return value

    return read


ROUNDS, SECONDS, WARMUP = _whole(1, 1000), _duration(0.05, 600), _duration(0, 600)


def _peers(text: str) -> List[str]:
    words = _words(text)
    if len(words) > 1 and set(words) & {"all", "none"}:
        raise _bad(text, "all, none, or names with commas between them")
    return words


def parser(version: str) -> argparse.ArgumentParser:
    p = _Parser(
        prog="poolmux-bench",
        description="Measures which way of using connections a workload wants.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    what = p.add_argument_group("what is measured")
    one = what.add_mutually_exclusive_group()
    one.add_argument("--preset", metavar="NAME", help="a workload that comes along (mixed)")
    one.add_argument("--workload", metavar="FILE", help="a workload of your own")
    one.add_argument("--targets", metavar="FILE", help="workloads, and what is to be reached there")
    add = what.add_argument
    add(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        dest="sets",
        help="changes the workload; may be repeated",
    )
    add(
        "--strategies",
        type=_words,
        metavar="LIST",
        help="of poolmux (pool,mux,hybrid)",
    )
    add(
        "--peers",
        type=_peers,
        metavar="LIST",
        help="other libraries: all, none, or names (all)",
    )
    add("--transports", type=transports, metavar="LIST", help="of tcp, unix, tls (tcp)")
    add(
        "--callers",
        type=callers,
        metavar="LIST",
        help="how many call at a time (1,64)",
    )
    how = p.add_argument_group("how long").add_argument
    how("--rounds", type=ROUNDS, metavar="N", help="(5)")
    how(
        "--seconds",
        type=SECONDS,
        metavar="S",
        help="of each lap (so that all take half a minute, but 0.1 to 2)",
    )
    how("--warmup", type=WARMUP, metavar="S", help="before each lap (a fifth of it)")
    how("--seed", type=_whole(0, 2**62), metavar="N", default=1, help="of the dice (1)")
    where = p.add_argument_group("where").add_argument
    where("--url", metavar="URL", help="a server that runs, instead of a private one")
    where("--allow-writes", action="store_true", help="what --url needs: keys are written there")
    out = p.add_argument_group("what comes out").add_argument
    out("--json", metavar="FILE", help="all figures, of each round")
    out("--html", metavar="FILE", help="a report with curves")
    out("--quiet", action="store_true", help="no table, no progress")
    out("--list", action="store_true", help="presets, contestants and keys, and what is missing")
    out("--version", action="version", version=f"poolmux-bench {version}")
    return p


DEFAULTS = {
    "preset": "mixed",
    "strategies": ["pool", "mux", "hybrid"],
    "peers": ["all"],
    "callers": [1, 64],
}


def _fill_in(options: argparse.Namespace) -> None:
    """What a file of targets says is not said again."""
    if options.targets is None:
        for name, value in DEFAULTS.items():
            if getattr(options, name) is None:
                setattr(options, name, value)
        return
    for name in ("strategies", "peers", "transports", "callers"):
        if getattr(options, name) is not None:
            raise Misuse(f"--{name}: says nothing with --targets, whose file says it")
    if options.sets:
        raise Misuse("--set: says nothing with --targets, whose file says it")


def read(version: str, arguments: Optional[List[str]]) -> argparse.Namespace:
    options = parser(version).parse_args(arguments)
    _fill_in(options)
    if options.allow_writes and not options.url:
        raise Misuse("--allow-writes: says nothing without --url")
    outputs = options.json or options.html or options.list or options.targets
    if options.quiet and not outputs:
        raise Misuse("--quiet: nothing would come out without --json or --html")
    return options
