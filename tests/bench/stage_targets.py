# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of targets share: a file of them, and what became of each."""
import os
import re
from typing import Any, Dict

from stage import Stage

CASE = "[case c]\ncallers = 8\ncontestants = pool, mux\n"
TARGET = "[target t]\nsays = it is so\ncontestant = mux\nmeasure = rate\nat_least = 1\n"


def target(name: str, *lines: str) -> str:
    return "\n".join([f"[target {name}]", f"says = the sentence of {name}", *lines, ""])


class Targets(Stage):
    def setUp(self) -> None:
        super().setUp()
        self.path = os.path.join(self.home, "f")

    def write(self, text: str) -> None:
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(text)

    def told(self, text: str) -> None:
        """Lines may be broken anywhere."""
        self.assertIn(text, re.sub(r"\s+", " ", self.out))

    def judged(self, *words: str, status: int = 0) -> Dict[str, Dict[str, Any]]:
        self.results = self.json_of("--targets", self.path, *words, status=status)
        return {one["name"]: one for one in self.results["targets"]["judged"]}
