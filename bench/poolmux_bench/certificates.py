# SPDX-License-Identifier: BSD-3-Clause
"""A CA and a server's certificate for the private server, made as poolmux-tls(7) tells."""
import os
import subprocess
from typing import List

from .problem import Problem

NEW = "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes".split()


def _run(directory: str, command: List[str]) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise Problem("TLS: there is no openssl program to make certificates with") from error
    if done.returncode != 0:
        raise Problem(f"TLS: openssl cannot make certificates: {done.stderr.strip()[-200:]}")


def make(directory: str) -> None:
    """ca.crt, server.crt and server.key, in the directory, which is made."""
    os.mkdir(directory, 0o700)
    with open(os.path.join(directory, "server.ext"), "w", encoding="ascii") as file:
        file.write("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    _run(
        directory,
        NEW
        + ["-x509", "-days", "2", "-subj", "/CN=poolmux-bench CA"]
        + ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
        + ["-keyout", "ca.key", "-out", "ca.crt"],
    )
    _run(directory, NEW + ["-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr"])
    _run(
        directory,
        "openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 "
        "-extfile server.ext -out server.crt".split(),
    )
