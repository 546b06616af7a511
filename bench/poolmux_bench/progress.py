# SPDX-License-Identifier: BSD-3-Clause
"""A line on standard error that says how far we are; only where that is a terminal."""
import shutil
import sys
import time

from .rounds import Cell, many

ERASE = "\r\033[K"


class Progress:
    def __init__(self, laps: int, rounds: int, quiet: bool) -> None:
        self._laps, self._rounds = laps, rounds
        self._on = not quiet and sys.stderr.isatty()
        self._started = time.monotonic()

    def _left(self, done: int) -> str:
        if not done:
            return ""
        seconds = (time.monotonic() - self._started) / done * (self._laps - done)
        return f", {seconds:.0f} s left" if seconds < 120 else f", {seconds / 60:.0f} min left"

    def say(self, text: str) -> None:
        if self._on:
            width = shutil.get_terminal_size().columns - 1
            self._print(ERASE + text[:width])

    def show(self, done: int, number: int, case: str, cell: Cell) -> None:
        what = f"{case}, " if case else ""
        what += f"{cell.transport}, {many(cell.callers, 'caller')}, {cell.contestant.name}"
        text = f"{done * 100 // self._laps:3d} %  round {number}/{self._rounds}: {what}"
        self.say(text + self._left(done))

    def clear(self) -> None:
        if self._on:
            self._print(ERASE)

    def _print(self, text: str) -> None:
        try:
            print(text, end="", file=sys.stderr, flush=True)
        except OSError:  # a terminal that was closed
            self._on = False
