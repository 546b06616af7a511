# SPDX-License-Identifier: BSD-3-Clause
"""Cleans up after a program that was killed. It is forked off, and waits at a pipe for the end of
the program and of all that it had started, which have that pipe as well; what is then still owed,
it does: a directory removed, keys removed from a server."""
import json
import os
import shutil
import signal
import time
from typing import Any, Dict, List, NoReturn

from . import children
from .problem import Problem
from .resp import Connection
from .signals import ENDING
from .url import Url

PASSES = 20
PAUSE_S = 0.05


def pattern(prefix: str) -> str:
    """The prefix and whatever comes behind it, as SCAN wants it."""
    return "".join("\\" + c if c in "*?[]\\" else c for c in prefix) + "*"


def _sweep(connection: Connection, wanted: str) -> int:
    cursor, removed = b"0", 0
    while True:
        cursor, keys = connection.call("SCAN", cursor, "MATCH", wanted, "COUNT", "1000")
        if keys:
            removed += connection.call("UNLINK", *keys)
        if cursor == b"0":
            return removed


def remove_keys(url: Url, prefix: str) -> None:
    """Until none is found twice: commands of programs that have ended may still be on their way."""
    empty = 0
    with Connection(url) as connection:
        for _ in range(PASSES):
            empty = empty + 1 if _sweep(connection, pattern(prefix)) == 0 else 0
            if empty == 2:
                return
            time.sleep(PAUSE_S)
    raise Problem(f'{url.shown}: keys that begin with "{prefix}" keep coming back')


def remove_directory(path: str) -> None:
    """A server that is dying may still write into it."""
    for _ in range(PASSES):
        shutil.rmtree(path, ignore_errors=True)
        if not os.path.exists(path):
            return
        time.sleep(PAUSE_S)


def _settle(owed: Dict[str, Any]) -> None:
    if "directory" in owed:
        remove_directory(owed["directory"])
    if "url" in owed:
        remove_keys(Url(owed["url"], owed["password"]), owed["prefix"])


def _keep(pipe: int) -> NoReturn:
    os.setsid()
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):
        os.dup2(nowhere, fd)
    debts: List[Dict[str, Any]] = []
    with open(pipe, encoding="utf-8") as lines:
        for line in lines:
            debts = json.loads(line)
    for owed in debts:
        try:
            _settle(owed)
        except Problem:
            pass  # nobody is left who could be told
    os._exit(0)


class Keeper:
    def __init__(self) -> None:
        reading, self._writing = os.pipe()
        self._debts: List[Dict[str, Any]] = []
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._writing)
            try:
                _keep(reading)
            finally:
                os._exit(1)
        os.close(reading)
        children.inherited.append(self._writing)

    def _tell(self) -> None:
        os.write(self._writing, (json.dumps(self._debts) + "\n").encode())

    def owe(self, **debt: Any) -> None:
        self._debts.append(debt)
        self._tell()

    def settled(self) -> None:
        """All that was owed is done."""
        self._debts = []
        self._tell()

    def close(self) -> None:
        children.inherited.remove(self._writing)
        os.close(self._writing)
        os.waitpid(self._pid, 0)
