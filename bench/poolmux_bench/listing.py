# SPDX-License-Identifier: BSD-3-Clause
"""What --list prints."""
import shutil
import textwrap
from typing import Iterator, Sequence

from . import workload
from .contestants import Contestant
from .workload import Keys

NAME = 20


def _entry(name: str, text: str) -> Iterator[str]:
    width = min(max(shutil.get_terminal_size((99, 24)).columns, 60), 99)
    indent = " " * (NAME + 3)
    start = f"  {name:{NAME}} "
    yield from textwrap.wrap(start + text, width, initial_indent="", subsequent_indent=indent) or [
        start
    ]


def _contestants(found: Sequence[Contestant]) -> Iterator[str]:
    for c in found:
        if c.missing is None:
            able = f" ({', '.join(c.capabilities)})" if c.capabilities else ""
            yield from _entry(c.name, c.description + able)


def lines(directory: str, found: Sequence[Contestant], keys: Keys) -> Iterator[str]:
    yield "presets (--preset):"
    for preset in workload.presets(directory):
        yield from _entry(preset, workload.described(directory, preset))
    yield "contestants (--strategies, --peers):"
    yield from _contestants(found)
    missing = [c for c in found if c.missing is not None]
    if missing:
        yield "missing:"
    for c in missing:
        yield from _entry(c.name, str(c.missing))
    yield "keys of workloads, with their defaults (--set, --workload):"
    for name, key in keys.items():
        yield from _entry(f"{name} = {key.default}", f"{key.meaning}; valid: {key.valid}")
