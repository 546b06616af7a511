# SPDX-License-Identifier: BSD-3-Clause
"""What ends the program early, with a line for the user and an exit status."""


class Problem(Exception):
    status = 1


class Misuse(Problem):
    """The command line or the workload is wrong."""

    status = 2


class Interrupted(Exception):
    """A signal came while there was something to wait for."""

    def __init__(self, number: int) -> None:
        super().__init__(f"signal {number}")
        self.number = number
