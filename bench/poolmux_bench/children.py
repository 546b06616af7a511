# SPDX-License-Identifier: BSD-3-Clause
"""Programs that are started die when this one does, however that comes about."""
import ctypes
import os
import signal
import subprocess
from typing import Any, Callable, List

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)

inherited: List[int] = []  # descriptors that tell whoever is at the other end that they live


def _tie_to(parent: int) -> Callable[[], None]:
    def tie() -> None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return tie


def start(command: List[str], **more: Any) -> "subprocess.Popen[str]":
    """In a session of its own: what is typed at the terminal is for us alone."""
    return subprocess.Popen(
        command,
        stdin=more.pop("stdin", subprocess.DEVNULL),
        text=True,
        errors="replace",
        start_new_session=True,
        pass_fds=inherited,
        preexec_fn=_tie_to(os.getpid()),
        **more,
    )


def end(process: "subprocess.Popen[str]", patience: float) -> None:
    """Asked politely first."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe:
            pipe.close()
