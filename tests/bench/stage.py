# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of poolmux-bench share: a home with fake workers, runs of the driver in it, and
servers that are not the driver's own."""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from typing import Any, Callable, Dict, List, Optional

SRC = os.environ["POOLMUX_SRC"]
BUILD = os.environ["POOLMUX_BUILD"]
DRIVER = os.path.join(BUILD, "bench", "poolmux-bench")
LIMIT_S = 60
OURS = {"pool": {}, "mux": {"calls": [2000]}, "hybrid": {"calls": [2100]}}


def until(what: str, condition: Callable[[], Any], limit: float = LIMIT_S) -> Any:
    """Its first value that is true."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"did not come about: {what}")


def is_alive(pid: int) -> bool:
    """A zombie has ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in ("Z", "X")
    except OSError:
        return False


def hears_interrupts() -> None:
    """As at a terminal: what runs in the background ignores them."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Stage(unittest.TestCase):
    """Each test has a home of its own: fake workers, and the temporary files of the driver."""

    def setUp(self) -> None:
        self.home = tempfile.mkdtemp(prefix="check-bench-")
        self.addCleanup(shutil.rmtree, self.home, ignore_errors=True)
        self.tmp = os.path.join(self.home, "tmp")
        self.libexec = os.path.join(self.home, "libexec")
        os.mkdir(self.tmp)
        os.mkdir(self.libexec)
        self.fake({"poolmux": OURS})

    def fake(self, libraries: Dict[str, Any], missing: str = "") -> None:
        with open(os.path.join(self.libexec, "fake.json"), "w", encoding="utf-8") as file:
            json.dump(libraries, file)
        worker = os.path.join(SRC, "tests", "bench", "fake_worker.py")
        for library in libraries:
            path = os.path.join(self.libexec, f"poolmux-bench-{library}")
            with open(path, "w", encoding="utf-8") as file:
                words = [sys.executable, "-B", worker, self.libexec, library]
                file.write("#!/bin/sh\nexec " + " ".join(f"'{w}'" for w in words) + ' "$@"\n')
            os.chmod(path, 0o755)
        if missing:
            with open(os.path.join(self.libexec, "peers.txt"), "w", encoding="utf-8") as file:
                file.write(missing)

    def environment(self) -> Dict[str, str]:
        mine = {
            "POOLMUX_BENCH_LIBEXEC": self.libexec,
            "TMPDIR": self.tmp,
            "PYTHONPATH": os.path.join(SRC, "bench"),
            "LC_ALL": "C.UTF-8",
            "COLUMNS": "99",
        }
        theirs = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        return {**theirs, **mine}

    def command(self, *words: str) -> List[str]:
        return [sys.executable, "-W", "error", DRIVER, *words]

    def start(self, *words: str, **more: Any) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            self.command(*words),
            env=self.environment(),
            text=True,
            stdin=subprocess.DEVNULL,
            preexec_fn=more.pop("preexec_fn", hears_interrupts),
            stdout=more.pop("stdout", subprocess.PIPE),
            stderr=more.pop("stderr", subprocess.PIPE),
            **more,
        )
        self.addCleanup(self.gone, process)
        return process

    @staticmethod
    def gone(process: "subprocess.Popen[str]") -> None:
        process.kill()
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe:
                pipe.close()

    def ended(self, process: "subprocess.Popen[str]", status: int) -> None:
        """Its output becomes self.out and self.err. Nothing may be left behind."""
        self.out, self.err = process.communicate(timeout=LIMIT_S)
        self.assertEqual(process.returncode, status, f"{self.out}\n{self.err}")
        self.assertEqual(os.listdir(self.tmp), [])
        self.assertNotIn("Traceback", self.err or "")

    def run_bench(self, *words: str, status: int = 0) -> str:
        self.ended(self.start(*words), status)
        return self.out

    def quick(self, *words: str, status: int = 0) -> str:
        return self.run_bench("--seconds", "0.05", "--warmup", "0", *words, status=status)

    def json_of(self, *words: str, status: int = 0) -> Dict[str, Any]:
        path = os.path.join(self.home, "results.json")
        self.quick("--json", path, *words, status=status)
        return self.read_json(path)

    def read_json(self, path: str) -> Dict[str, Any]:
        with open(path, encoding="utf-8") as file:
            results: Dict[str, Any] = json.load(file)
        return results

    def noted(self) -> List[Dict[str, Any]]:
        try:
            with open(os.path.join(self.libexec, "laps.log"), encoding="utf-8") as file:
                return [json.loads(line) for line in file if line.endswith("\n")]
        except FileNotFoundError:
            return []

    def laps(self) -> List[Dict[str, Any]]:
        return [lap for lap in self.noted() if "way" in lap]

    def refused(self, *words: str, says: List[str]) -> None:
        """Status 2, one line that has these words, and nothing measured."""
        self.run_bench(*words, status=2)
        self.assertEqual(self.out, "")
        self.assertEqual(len(self.err.splitlines()), 1, self.err)
        for text in says:
            self.assertIn(text, self.err)
        self.assertEqual(self.laps(), [])


class Somebody:
    """A server that is somebody's: the one that check-bench was started with."""

    def __init__(self, password: Optional[str] = None) -> None:
        sys.path.insert(0, os.path.join(SRC, "bench"))
        from poolmux_bench.resp import Connection
        from poolmux_bench.url import Url

        self.url = os.environ["POOLMUX_URL"]
        self._connection = Connection(Url(self.url, password))

    def call(self, *words: str) -> Any:
        return self._connection.call(*words)

    def keys(self) -> List[str]:
        return sorted(key.decode() for key in self.call("KEYS", "*"))

    def connections(self) -> int:
        """How many have ever been made."""
        lines = self.call("INFO", "stats").decode().split("\r\n")
        return int(
            [x for x in lines if x.startswith("total_connections_received:")][0].split(":")[1]
        )

    def close(self) -> None:
        self.call("FLUSHALL")
        self._connection.close()


def send(process: "subprocess.Popen[str]", number: "signal.Signals") -> None:
    os.kill(process.pid, number)
