# SPDX-License-Identifier: BSD-3-Clause
"""Signals that end the run. The first one is kept until a place where waiting may be given up; the
second one ends the program at once, and keeper.py does the rest."""
import os
import signal
from contextlib import contextmanager
from typing import Iterator, Optional

from .problem import Interrupted

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signals:
    def __init__(self) -> None:
        self.seen: Optional[int] = None
        self._waiting = False

    def catch(self) -> None:
        for number in ENDING:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._handle)

    def _handle(self, number: int, _frame: object) -> None:
        if self.seen is not None:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        self.seen = number
        if self._waiting:
            raise Interrupted(number)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Within, a signal raises Interrupted; so does one that came before."""
        self._waiting = True
        try:
            if self.seen is not None:
                raise Interrupted(self.seen)
            yield
        finally:
            self._waiting = False
