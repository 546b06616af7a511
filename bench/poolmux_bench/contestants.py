# SPDX-License-Identifier: BSD-3-Clause
"""Who takes part: each worker program is asked which ways it has; of peers that were not built a
file says why."""
import os
import re
import subprocess
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

from . import children
from .problem import Misuse, Problem
from .workload import Keys, parsed_keys

PROGRAM = re.compile(r"^poolmux-bench-([a-z0-9+-]+)$")
OURS = "poolmux"
ORDER = (OURS, "hiredis", "libevent")
# Programs of make bench that speak as workers do: they measure what no library does.
INSTRUMENTS = ("connect", "floor")
NOT_INSTALLED = "it is not installed; make bench builds it in the source tree"
ASK_S = 30


class Contestant(NamedTuple):
    name: str
    library: str
    way: Optional[str] = None
    program: Optional[str] = None
    description: str = ""
    capabilities: Tuple[str, ...] = ()
    missing: Optional[str] = None

    @property
    def kind(self) -> str:
        if self.library in INSTRUMENTS:
            return "instrument"
        return "poolmux" if self.library == OURS else "peer"

    @property
    def strategy(self) -> Optional[str]:
        return self.way if self.library == OURS else None


def _rank(library: str) -> Tuple[int, str]:
    return (ORDER.index(library) if library in ORDER else len(ORDER), library)


def plain(text: str) -> str:
    """Does nothing to a terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)


def reason(process: "subprocess.Popen[str]", said: str) -> str:
    """The last line, without the names of program and way."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    if lines:
        return plain(re.sub(r"^(\S*/)?poolmux-[^\s:]+( [^\s:]+)?: ", "", lines[-1]))
    code = process.returncode
    return f"it was ended by signal {-code}" if code < 0 else f"it ended with status {code}"


def ask(program: str, words: Sequence[str], patience: float = ASK_S, **more: Any) -> str:
    """What it prints; else a Problem that says why not."""
    try:
        process = children.start(
            [program, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more
        )
    except OSError as error:
        raise Problem(str(error)) from error
    try:
        out, err = process.communicate(timeout=patience)
    except subprocess.TimeoutExpired as error:
        raise Problem(f"{program}: no answer after {patience:.0f} s") from error
    finally:
        children.end(process, 0)
    if process.returncode != 0:
        raise Problem(reason(process, err))
    return out


def _ways(program: str, library: str) -> List[Contestant]:
    try:
        lines = ask(program, ["--ways"]).splitlines()
    except Problem as problem:
        return [Contestant(library, library, missing=str(problem))]
    found = []
    for line in lines:
        way, description, capabilities = (line.split("\t") + ["", ""])[:3]
        name = way if library == OURS else f"{library}-{way}"
        able = tuple(capabilities.split())
        found.append(Contestant(name, library, way, program, description, able))
    return found


def _not_built(peers: str, built: Iterable[str]) -> List[Contestant]:
    """The file has lines NAME<TAB>found or missing<TAB>REASON."""
    try:
        with open(peers, encoding="utf-8") as file:
            rows = [line.rstrip("\n").split("\t") for line in file]
    except OSError:
        return []
    reasons = {
        name: why or "it was not built" for name, _, why in (row for row in rows if len(row) == 3)
    }
    return [
        Contestant(name, name, missing=why) for name, why in reasons.items() if name not in built
    ]


def _programs(directory: str) -> Dict[str, str]:
    try:
        entries = sorted(os.listdir(directory))
    except OSError as error:
        raise Problem(f"no workers: {error}") from error
    programs = {}
    for entry in entries:
        match, path = PROGRAM.match(entry), os.path.join(directory, entry)
        if match and os.path.isfile(path) and os.access(path, os.X_OK):
            programs[match.group(1)] = path
    if OURS not in programs:
        raise Problem(f"no worker poolmux-bench-{OURS} in {directory}")
    return programs


def ours(directory: str) -> str:
    return _programs(directory)[OURS]


def keys(directory: str) -> Keys:
    """Of workloads: all workers have the same."""
    return parsed_keys(ask(ours(directory), ["--keys"]))


def check_values(directory: str, settings: Sequence[str]) -> None:
    try:
        ask(ours(directory), ["--keys", *settings])
    except Problem as problem:
        raise Misuse(str(problem)) from problem


def _instruments(directory: str) -> List[Contestant]:
    found = []
    for name in INSTRUMENTS:
        path = os.path.join(directory, f"poolmux-{name}")
        if os.access(path, os.X_OK):
            found += _ways(path, name)
        else:
            found.append(Contestant(name, name, missing=NOT_INSTALLED))
    return found


def find(directory: str, peers: str, instruments: bool = False) -> List[Contestant]:
    programs = _programs(directory)
    found = []
    for library in sorted(programs, key=_rank):
        found += _ways(programs[library], library)
    found += _not_built(peers, programs)
    return found + _instruments(directory) if instruments else found


def known(found: Sequence[Contestant], name: str) -> List[Contestant]:
    """One, or all of a library; a way of a library that is missing is missing as well."""
    named = [c for c in found if name in (c.name, c.library)]
    if named:
        return named
    absent = [c for c in found if c.missing is not None and name.startswith(c.library + "-")]
    return [c._replace(name=name) for c in absent[:1]]


def _named(contestants: Sequence[Contestant], option: str, name: str) -> List[Contestant]:
    chosen = [c for c in contestants if name in (c.name, c.library)]
    if not chosen:
        names = ", ".join(c.name for c in contestants)
        raise Misuse(f'{option}: there is no "{name}"; there are {names}')
    return chosen


def choose(
    contestants: Sequence[Contestant], strategies: Sequence[str], peers: Sequence[str]
) -> List[Contestant]:
    """In the order in which they were named; the missing ones last."""
    own = [c for c in contestants if c.kind == "poolmux"]
    if all(c.missing for c in own):
        raise Problem(str(own[0].missing))
    others = [c for c in contestants if c.kind == "peer"]
    chosen: List[Contestant] = []
    for name in strategies:
        chosen += _named(own, "--strategies", name)
    if list(peers) == ["all"]:
        chosen += others
    elif list(peers) != ["none"]:
        for name in peers:
            chosen += _named(others, "--peers", name)
    once = list(dict.fromkeys(chosen))
    return sorted(once, key=lambda c: c.missing is not None)
