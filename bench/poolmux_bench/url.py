# SPDX-License-Identifier: BSD-3-Clause
"""The URL of a server, as far as we connect ourselves; see poolmux-options(7)."""
from typing import Dict, Optional
from urllib.parse import SplitResult, quote, unquote, urlsplit

from .problem import Misuse

TRANSPORTS = {
    "redis": "tcp",
    "valkey": "tcp",
    "rediss": "tls",
    "valkeys": "tls",
    "unix": "unix",
}
COMPARED = {
    "strategy",
    "io",
    "hybrid.learn",
    "pool.max_size",
    "pool.max_waiters",
    "pool.wait_timeout",
    "mux.lanes",
    "mux.max_inflight",
    "mux.spin",
    "mux.yield",
}
HONOURED = {  # by what connects here, and by the workers' control connections
    "tls.ca_file",
    "tls.ca_dir",
    "tls.cert_file",
    "tls.key_file",
    "tls.key_passphrase",
    "tls.server_name",
    "tls.retire",  # says nothing of who is talked to
}
ELSEWHERE = {"host", "port", "socket", "tls", "address_family"}
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def _options(query: str) -> Dict[str, str]:
    pairs = (part.partition("=") for part in query.split("&") if part)
    return {name: unquote(value) for name, _, value in pairs}


class Url:
    def __init__(self, text: str, password: Optional[str] = None) -> None:
        """Without a password in the text it is the one given. No message repeats the text."""
        try:
            parts = urlsplit(text)
            self.port = parts.port or 6379
        except ValueError as error:
            raise Misuse("--url: the port is no number from 1 to 65535") from error
        if parts.scheme not in TRANSPORTS:
            raise Misuse(f"--url: begins with none of {', '.join(s + '://' for s in TRANSPORTS)}")
        self.text = text
        self.transport = TRANSPORTS[parts.scheme]
        self.path = unquote(parts.path)
        self.host = unquote(parts.hostname or "127.0.0.1")
        self._query = _options(parts.query)
        self.user = unquote(parts.username or "") or self._query.get("user")
        self.has_password = bool(parts.password or self._query.get("password"))
        self.password = unquote(parts.password or "") or self._query.get("password") or password
        self.db = self._database(parts.path)
        for name in COMPARED.intersection(self._query):
            raise Misuse(f"--url: {name} is what each contestant sets itself; leave it out")
        for name in self._query:
            if name in ELSEWHERE or (name.startswith("tls.") and name not in HONOURED):
                raise Misuse(
                    f"--url: {name} says who is talked to, or how it is known, and only poolmux has "
                    "it, not what fills, looks and cleans up here; leave it out"
                )
        if self.user and not self.password:
            raise Misuse("--url: has a user, but no password; POOLMUX_PASSWORD can have it")
        self.is_secret = self.password is not None or "tls.key_passphrase" in self._query
        self.whole = self._with_password(parts)
        self.shown = f"{parts.scheme}://{self._where(parts.path)}"

    def _with_password(self, parts: SplitResult) -> str:
        if self.has_password or self.password is None:
            return self.text
        login, _, where = parts.netloc.rpartition("@")
        login = f"{login.partition(':')[0]}:{quote(self.password, safe='')}"
        asked = parts.query.split("&")
        query = "&".join(part for part in asked if part.partition("=")[0] != "password")  # empty
        return parts._replace(netloc=f"{login}@{where}", query=query).geturl()

    def _where(self, path: str) -> str:
        if self.transport == "unix":
            return path
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}" + (f"/{self.db}" if self.db else "")

    def _database(self, path: str) -> int:
        text = "" if self.transport == "unix" else path.strip("/")
        text = text or self._query.get("db", "0")
        if not text.isdigit():
            raise Misuse("--url: the database is no whole number")
        return int(text)

    def option(self, name: str, default: Optional[str] = None) -> Optional[str]:
        return self._query.get(name, default)

    @property
    def is_near(self) -> bool:
        """On this machine, whose processors it uses."""
        return self.transport == "unix" or self.host in LOOPBACK
