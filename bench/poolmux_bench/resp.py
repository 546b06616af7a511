# SPDX-License-Identifier: BSD-3-Clause
"""A connection to ask a server who it is, and to clean up with; nothing that is measured."""
import os
import socket
import ssl
from typing import Any, List, Optional, Tuple

from .problem import Problem
from .url import Url

TIMEOUT_S = 10
CHUNK = 65536


def plain(raw: bytes) -> str:
    """Does nothing to a terminal, whatever a server says."""
    return "".join(c if c.isprintable() else "?" for c in raw.decode(errors="replace"))


class Connection:
    def __init__(self, url: Url) -> None:
        self._url = url
        self._buffer = b""
        try:
            self._socket = self._dial()
        except (OSError, ValueError) as error:
            raise Problem(f"cannot connect to {url.shown}: {error}") from error
        try:
            self._log_in()
        except Problem:
            self.close()
            raise

    def _dial(self) -> socket.socket:
        url = self._url
        if url.transport == "unix":
            plain = socket.socket(socket.AF_UNIX)
            plain.settimeout(TIMEOUT_S)
            plain.connect(url.path)
            return plain
        tcp = socket.create_connection((url.host, url.port), TIMEOUT_S)
        if url.transport == "tcp":
            return tcp
        return _context(url).wrap_socket(
            tcp, server_hostname=url.option("tls.server_name", url.host)
        )

    def _log_in(self) -> None:
        url = self._url
        if url.password is not None:
            self.call(*(["AUTH"] + ([url.user] if url.user else []) + [url.password]))
        if url.db:
            self.call("SELECT", str(url.db))

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_what: object) -> None:
        self.close()

    def call(self, *words: "str | bytes") -> Any:
        """The reply; an error of the server is a Problem."""
        name = words[0]
        try:
            self._socket.sendall(_encoded(words))
            return self._reply()
        except OSError as error:
            raise Problem(f"{self._url.shown}: {name!s}: {error}") from error

    def _line(self) -> bytes:
        while b"\r\n" not in self._buffer:
            self._more()
        line, self._buffer = self._buffer.split(b"\r\n", 1)
        return line

    def _more(self) -> None:
        chunk = self._socket.recv(CHUNK)
        if not chunk:
            raise Problem(f"{self._url.shown} has closed the connection")
        self._buffer += chunk

    def _bytes(self, n: int) -> bytes:
        while len(self._buffer) < n + 2:
            self._more()
        body, self._buffer = self._buffer[:n], self._buffer[n + 2 :]
        return body

    def _reply(self) -> Any:
        try:
            return self._parsed()
        except ValueError as error:
            raise Problem(f"{self._url.shown} is no Redis or Valkey server") from error

    def _parsed(self) -> Any:
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind == b"-":
            raise Problem(f"{self._url.shown}: {plain(rest)}")
        if kind == b"+":
            return rest
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self._bytes(int(rest))
        if kind == b"*":
            return [self._reply() for _ in range(max(int(rest), 0))]
        raise Problem(f"{self._url.shown} is no Redis or Valkey server")


def _encoded(words: "Tuple[str | bytes, ...]") -> bytes:
    parts: List[bytes] = [b"*%d\r\n" % len(words)]
    for word in words:
        raw = word if isinstance(word, bytes) else word.encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(raw), raw))
    return b"".join(parts)


def _trust_all(context: ssl.SSLContext, directory: str) -> None:
    """Files that hold something else are none of our business."""
    for name in os.listdir(directory):
        try:
            context.load_verify_locations(os.path.join(directory, name))
        except (ssl.SSLError, IsADirectoryError):
            pass


def _context(url: Url) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    file, directory = url.option("tls.ca_file"), url.option("tls.ca_dir")
    if file:
        context.load_verify_locations(file)
    if directory:
        _trust_all(context, directory)
    if not file and not directory:
        context.load_default_certs()
    certificate = url.option("tls.cert_file")
    if certificate:
        context.load_cert_chain(
            certificate, url.option("tls.key_file"), url.option("tls.key_passphrase")
        )
    return context


def info(connection: Connection) -> "dict[str, str]":
    """INFO server as a table; empty where it is refused."""
    try:
        text = connection.call("INFO", "server")
    except Problem:
        return {}
    return facts_of(text)


def facts_of(text: Any) -> "dict[str, str]":
    """INFO's reply as a table."""
    lines = [plain(line) for line in text.splitlines()] if isinstance(text, bytes) else []
    return dict(line.split(":", 1) for line in lines if ":" in line)


def name_and_version(facts: "dict[str, str]") -> Tuple[Optional[str], Optional[str]]:
    if "valkey_version" in facts:
        return "valkey", facts["valkey_version"]
    return ("redis", facts["redis_version"]) if "redis_version" in facts else (None, None)
