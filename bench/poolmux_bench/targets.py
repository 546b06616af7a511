# SPDX-License-Identifier: BSD-3-Clause
"""Files of --targets: cases, each a workload with those who make its calls, and targets, each a
sentence that a comparison of figures proves or not. All is checked before anything is run."""
import argparse
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from . import contestants, options, workload
from .contestants import Contestant
from .measures import KINDS, MEASURES
from .places import Places
from .problem import Misuse
from .sections import Section, parse
from .workload import Keys, Workload

SECTIONS = ("run", "case NAME", "target NAME")
RUN_KEYS = ("rounds", "seconds", "warmup")
CASE_KEYS = ("contestants", "callers", "transports", "preset", "seconds", "warmup")
TARGET_KEYS = (
    *("says", "case", "contestant", "callers", "transport", "measure", "kind"),
    *("at_least", "at_most", "against", "against_case", "against_callers", "against_transport"),
    "note",
)
BEST_OF = "best of "


class Case(NamedTuple):
    section: Section
    workload: Workload
    chosen: List[Contestant]
    callers: List[int]
    transports: List[str]
    seconds: Optional[float]
    warmup: Optional[float]

    @property
    def name(self) -> str:
        return self.section.name


class Spot(NamedTuple):
    """Where contestants are measured; of several the best one counts."""

    case: str
    contestants: Tuple[str, ...]
    transport: str
    callers: int


class Target(NamedTuple):
    name: str
    says: str
    spot: Spot
    measure: str
    kind: str
    at_least: bool
    mark: float
    against: Optional[Spot]
    note: Optional[str]


class Suite(NamedTuple):
    path: str
    cases: List[Case]
    targets: List[Target]
    rounds: Optional[int]


def _only(section: Section, keys: Sequence[str]) -> None:
    for key in section.lines:
        if key not in keys:
            section.wrong(
                f'there is no key "{key}" in {section.head}; there are {", ".join(keys)}', key
            )
        if not section.get(key):
            section.wrong(f'"{key}" has no value in {section.head}', key)


def _needs(section: Section, key: str) -> str:
    value = section.get(key)
    if value is None:
        section.wrong(f'{section.head} has no "{key}"')
    return value


def _as(section: Section, key: str, read: Callable[[str], Any]) -> Any:
    """As the option of the command line has it; None: not there."""
    value = section.get(key)
    try:
        return None if value is None else read(value)
    except argparse.ArgumentTypeError as error:
        section.bad(key, str(error).rpartition("not valid: ")[2])


# ---- cases ----


class _Reader:
    def __init__(self, path: str, places: Places) -> None:
        self.path, self.places = path, places
        self.keys: Keys = contestants.keys(places.libexec)
        self.found = contestants.find(places.libexec, places.peers, instruments=True)

    def _workload(self, section: Section) -> Workload:
        own = {key: line.value for key, line in section.lines.items() if key not in CASE_KEYS}
        base = Workload(section.name, "", {})
        preset = section.get("preset")
        if preset is not None:
            names = workload.presets(self.places.presets)
            if preset not in names:
                section.bad("preset", ", ".join(names))
            base = workload.from_preset(self.keys, self.places.presets, preset)
        sets = [f"{key}={value}" for key, value in own.items()]
        load = workload.changed(self.keys, base, sets)
        try:
            contestants.check_values(self.places.libexec, load.arguments())
        except Misuse as misuse:
            section.wrong(f"{section.head}: {misuse}", str(misuse).partition("=")[0])
        return load._replace(name=section.name, source=f"case {section.name} of {self.path}")

    def _chosen(self, section: Section) -> List[Contestant]:
        chosen: List[Contestant] = []
        for name in _words(_needs(section, "contestants")):
            named = contestants.known(self.found, name)
            if not named:
                section.wrong(
                    f'contestants: there is no "{name}"; there are '
                    + ", ".join(c.name for c in self.found),
                    "contestants",
                )
            chosen += [c for c in named if c not in chosen]
        return chosen

    def case(self, section: Section) -> Case:
        own = [key for key in self.keys if key != "prefix"]
        _only(section, (*CASE_KEYS, *own))
        _needs(section, "callers")
        return Case(
            section,
            self._workload(section),
            self._chosen(section),
            _as(section, "callers", options.callers),
            _as(section, "transports", options.transports) or ["tcp"],
            _as(section, "seconds", options.SECONDS),
            _as(section, "warmup", options.WARMUP),
        )


def _words(text: str) -> List[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


# ---- targets ----


def _one_of(section: Section, key: str, default: Optional[str], valid: Sequence[str]) -> str:
    """What is not said is the default, or, without one, the only one there is."""
    value = section.get(key)
    if value is None:
        usual = valid[0] if default is None and len(valid) == 1 else default
        value = usual if usual in valid else None
    if value is None:
        section.wrong(f'{section.head} has no "{key}"; valid: {", ".join(valid)}')
    if value not in valid:
        section.bad(key, ", ".join(valid))
    return value


def _spot(section: Section, cases: Dict[str, Case], where: str, like: Optional[Spot]) -> Spot:
    """where: "" or "against_", before the names of the keys; like: what is not said is as there, and
    must be said where that is not to be had, lest what differs goes unseen."""
    case = cases[_one_of(section, where + "case", like and like.case, list(cases))]
    callers = [str(n) for n in case.callers]
    return Spot(
        case.name,
        like.contestants if like else (),
        _one_of(section, where + "transport", like and like.transport, case.transports),
        int(_one_of(section, where + "callers", like and str(like.callers), callers)),
    )


def _named(section: Section, key: str, names: List[str], case: Case) -> Tuple[str, ...]:
    """All ways of a library may be meant that is missing, and has none here."""
    valid = [c.name for c in case.chosen]
    absent = tuple(c.name + "-" for c in case.chosen if c.missing and c.name == c.library)
    for name in names:
        if name not in valid and not name.startswith(absent):
            section.wrong(
                f'{key} = {section.get(key)}: "{name}" is not a contestant of case {case.name}; '
                f'there are {", ".join(valid)}',
                key,
            )
    return tuple(names)


def _against(section: Section, cases: Dict[str, Case], spot: Spot) -> Optional[Spot]:
    """Something must differ from what is compared with it."""
    value = section.get("against")
    if value is None and not any(key.startswith("against_") for key in section.lines):
        return None
    other = _spot(section, cases, "against_", spot)
    if value is not None:
        best = value.startswith(BEST_OF)
        names = _words(value[len(BEST_OF) :]) if best else [value]
        names = names or [""]
        other = other._replace(contestants=_named(section, "against", names, cases[other.case]))
    else:
        _named(section, "contestant", list(other.contestants), cases[other.case])
    if spot.contestants[0] in other.contestants and other[2:] == spot[2:] and other[0] == spot[0]:
        section.wrong(f"{section.head} compares {spot.contestants[0]} with itself")
    return other


def _mark(section: Section) -> Tuple[bool, float]:
    given = [key for key in ("at_least", "at_most") if key in section.lines]
    if len(given) != 1:
        section.wrong(f"{section.head} must have one of at_least and at_most")
    key = given[0]
    try:
        mark = float(_needs(section, key))
    except ValueError:
        mark = 0
    if not 0 < mark < float("inf"):
        section.bad(key, "a number above 0")
    return key == "at_least", mark


def _target(section: Section, cases: Dict[str, Case]) -> Target:
    _only(section, TARGET_KEYS)
    says, name = _needs(section, "says"), _needs(section, "contestant")
    spot = _spot(section, cases, "", None)
    spot = spot._replace(contestants=_named(section, "contestant", [name], cases[spot.case]))
    _needs(section, "measure")
    measure = _one_of(section, "measure", None, list(MEASURES))
    kind = _one_of(section, "kind", "all", KINDS)
    if "kind" in section.lines and not MEASURES[measure].is_of_a_kind:
        section.wrong(f"kind = {kind}: {measure} is of all calls together", "kind")
    at_least, mark = _mark(section)
    against = _against(section, cases, spot)
    note = section.get("note")
    return Target(section.name, says, spot, measure, kind, at_least, mark, against, note)


# ---- the file ----


def read(path: str, places: Places) -> Suite:
    sections = parse(path, workload.lines_of(path), SECTIONS)
    reader = _Reader(path, places)
    run = next((s for s in sections if s.kind == "run"), Section(path, 1, "run", ""))
    _only(run, RUN_KEYS)
    cases = {s.name: reader.case(s) for s in sections if s.kind == "case"}
    wanted = [s for s in sections if s.kind == "target"]
    for what, have in (("case", cases), ("target", wanted)):
        if not have:
            raise Misuse(f"{path}: there is no [{what} NAME] in it")
    seconds, warmup = _as(run, "seconds", options.SECONDS), _as(run, "warmup", options.WARMUP)
    filled = [
        case._replace(
            seconds=seconds if case.seconds is None else case.seconds,
            warmup=warmup if case.warmup is None else case.warmup,
        )
        for case in cases.values()
    ]
    rounds = _as(run, "rounds", options.ROUNDS)
    return Suite(path, filled, [_target(s, cases) for s in wanted], rounds)
