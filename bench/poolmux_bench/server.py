# SPDX-License-Identifier: BSD-3-Clause
"""The server that is measured: a private one, which is thrown away, or the user's, from which our
keys are removed."""
import contextlib
import os
import random
import secrets
import shutil
import subprocess
import tempfile
import time
from typing import Dict, List, Optional, Sequence
from urllib.parse import quote

from . import certificates, children, trial
from .keeper import Keeper, pattern, remove_directory, remove_keys
from .problem import Problem
from .resp import Connection, info, name_and_version
from .signals import Signals
from .url import Url

PROGRAMS = ("valkey-server", "redis-server", "redis-check-rdb", "valkey-check-rdb")
PORTS = (20000, 32000)  # below those that the kernel hands out itself
TRIES = 20
READY = "eady to accept connections"
START_S, STOP_S, PAUSE_S = 15.0, 5.0, 0.01
MEMORY_SHARE = 4  # of the machine's


class Server:
    """What the rest needs of either kind."""

    urls: Dict[str, str]
    control: str
    secret = False
    own: bool
    near: bool
    shown: Optional[str] = None
    name: Optional[str] = None
    version: Optional[str] = None

    def ended(self, patience_s: float = 0) -> Optional[str]:
        """How it has; None: it is still there. One that is killed takes a moment to go."""
        del patience_s  # a foreign one is not ours to watch
        return None

    def close(self) -> None:
        raise NotImplementedError


def _program() -> str:
    wanted = os.environ.get("POOLMUX_SERVER")
    for name in [wanted] if wanted else PROGRAMS:
        path = shutil.which(name)
        if path:
            return path
    raise Problem(
        f"POOLMUX_SERVER: there is no program {wanted}"
        if wanted
        else "there is no Redis or Valkey server program (Debian: redis-tools; Fedora: valkey); "
        "POOLMUX_SERVER names another one, --url a server that runs"
    )


def _memory_limit() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // MEMORY_SHARE


class Private(Server):
    """On loopback and a Unix socket, without persistence, in a directory of its own. The password
    keeps other users of the machine out; it stands in no program's arguments."""

    own = True
    secret = True
    near = True

    def __init__(self, transports: Sequence[str], keeper: Keeper, signals: Signals) -> None:
        self._keeper = keeper
        self._process: Optional["subprocess.Popen[str]"] = None
        program = _program()
        try:
            self._directory = tempfile.mkdtemp(prefix="poolmux-bench-")
        except OSError as error:
            raise Problem(f"no directory for the private server: {error}") from error
        keeper.owe(directory=self._directory)
        try:
            self._prepare(program, "tls" in transports)
            self._start_somewhere(transports, signals)
            self.control = self._socket()
            with Connection(Url(self.control)) as connection:
                self.name, self.version = name_and_version(info(connection))
        except OSError as error:
            self.close()
            raise Problem(f"no files for the private server: {error}") from error
        except BaseException:
            self.close()
            raise

    def _path(self, name: str) -> str:
        return os.path.join(self._directory, name)

    def _socket(self) -> str:
        return f"unix://:{self._password}@" + quote(self._path("server.sock"))

    def _prepare(self, program: str, tls: bool) -> None:
        """Debian has the server's program under the name of another one, too: the name decides."""
        self._role = "valkey-server" if "valkey" in os.path.basename(program) else "redis-server"
        os.symlink(program, self._path(self._role))
        self._password = secrets.token_hex(20)
        if tls:
            certificates.make(self._path("tls"))

    def _command(self, port: int, transports: Sequence[str]) -> List[str]:
        words = [self._path(self._role), "-", "--bind", "127.0.0.1", "--daemonize", "no"]
        words += ["--port", str(port if "tcp" in transports else 0)]
        words += ["--unixsocket", self._path("server.sock"), "--unixsocketperm", "700"]
        words += ["--save", "", "--appendonly", "no", "--dir", self._directory]
        words += ["--maxmemory", str(_memory_limit()), "--maxmemory-policy", "noeviction"]
        words += ["--loglevel", "notice", "--logfile", self._path("log")]
        if "tls" in transports:
            words += ["--tls-port", str(port + 1), "--tls-auth-clients", "no"]
            words += ["--tls-cert-file", self._path("tls/server.crt")]
            words += ["--tls-key-file", self._path("tls/server.key")]
            words += ["--tls-ca-cert-file", self._path("tls/ca.crt")]
        return words

    def _start_somewhere(self, transports: Sequence[str], signals: Signals) -> None:
        for _ in range(TRIES):
            port = random.randrange(*PORTS)
            if self._start(port, transports, signals):
                self._name_urls(port, transports)
                return
            if "Bad directive" in self._said():
                break
        lines = self._said().strip().splitlines()[-3:]
        raise Problem("the private server does not start: " + " | ".join(lines))

    def _start(self, port: int, transports: Sequence[str], signals: Signals) -> bool:
        """False: it has ended, most likely because the port is taken."""
        open(self._path("log"), "w", encoding="utf-8").close()
        with open(self._path("out"), "w", encoding="utf-8") as out:
            self._process = children.start(
                self._command(port, transports),
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        self._tell_password(self._process)
        limit = time.monotonic() + START_S
        while READY not in self._said():
            if self._process.poll() is not None:
                return False
            if time.monotonic() > limit:
                raise Problem(f"the private server is not ready after {START_S:.0f} s")
            with signals.waiting():
                time.sleep(PAUSE_S)
        return True

    def _tell_password(self, process: "subprocess.Popen[str]") -> None:
        """As its configuration, which it reads from standard input: everybody sees arguments."""
        if process.stdin:
            with contextlib.suppress(BrokenPipeError), process.stdin:
                process.stdin.write(f"requirepass {self._password}\n")

    def _said(self) -> str:
        text = ""
        for name in ("out", "log"):
            with open(self._path(name), encoding="utf-8", errors="replace") as file:
                text += file.read()
        return text

    def _name_urls(self, port: int, transports: Sequence[str]) -> None:
        all_urls = {
            "tcp": f"redis://:{self._password}@127.0.0.1:{port}",
            "unix": self._socket(),
            "tls": f"rediss://:{self._password}@127.0.0.1:{port + 1}"
            f"?tls.ca_file={quote(self._path('tls/ca.crt'))}",
        }
        self.urls = {transport: all_urls[transport] for transport in transports}

    def ended(self, patience_s: float = 0) -> Optional[str]:
        try:
            code = self._process.wait(patience_s) if self._process else None
        except subprocess.TimeoutExpired:
            return None
        if code is None:
            return None
        last = self._said().strip().splitlines()[-1:]
        how = f"by signal {-code}" if code < 0 else f"with status {code}"
        return f"the private server has ended {how}: " + " ".join(last)

    def close(self) -> None:
        if self._process:
            children.end(self._process, STOP_S)
        remove_directory(self._directory)
        self._keeper.settled()


class Foreign(Server):
    """The user's. Keys get a prefix that nobody else has, so that all of them can be removed."""

    own = False

    def __init__(self, url: Url, prefix: str, keeper: Keeper) -> None:
        self._url, self._keeper = url, keeper
        self.prefix = f"{prefix}{random.getrandbits(32):08x}:"
        self.control, self.secret = url.whole, url.is_secret
        self.urls = {url.transport: self.control}
        self.near, self.shown = url.is_near, url.shown
        with Connection(url) as connection:
            facts = trial.made(connection, url.shown, pattern(self.prefix), self.prefix + "none")
        self.name, self.version = name_and_version(facts)
        keeper.owe(url=url.text, password=url.password, prefix=self.prefix)

    def close(self) -> None:
        try:
            remove_keys(self._url, self.prefix)
        except Problem as problem:
            raise Problem(
                f'{problem}; keys that begin with "{self.prefix}" may be left there'
            ) from problem
        self._keeper.settled()
