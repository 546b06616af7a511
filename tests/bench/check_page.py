# SPDX-License-Identifier: BSD-3-Clause
"""The manual page says what there is: options, keys, presets, members of the JSON."""
import os
import re
import subprocess
import sys
from typing import Any, Dict, Iterator, List, Set

from stage import BUILD, SRC, Stage

BY_NAME = ("versions", "settings", "calls_by_class", "failed_by_class", "latency_us", "stats")
WORKER = os.path.join(BUILD, "bench", "poolmux-bench-poolmux")


def page() -> str:
    with open(os.path.join(SRC, "man", "poolmux-bench.1"), encoding="utf-8") as file:
        return file.read().replace("\\-", "-").replace("\\&", "")


def section(name: str) -> str:
    return page().split(f".Sh {name}\n", 1)[1].split("\n.Sh ", 1)[0]


def members(value: Any) -> Iterator[str]:
    """The names of all members, but those that are data."""
    if isinstance(value, list):
        for part in value:
            yield from members(part)
    elif isinstance(value, dict):
        for name, part in value.items():
            yield name
            if name in BY_NAME and isinstance(part, dict):
                for inner in part.values():
                    yield from members(inner)
            else:
                yield from members(part)


def named(text: str) -> Set[str]:
    """Words that stand as .Li or .It Li, with commas between them."""
    lines = re.findall(r"^\.(?:It )?Li (.*)$", text, re.M)
    words = " ".join(line.split(" No ")[0] for line in lines).split()
    return {word for word in words if word[0].isalpha()} - {"null"}


class Page(Stage):
    def test_options_are_those_of_the_help(self) -> None:
        self.run_bench("--help")
        helped = set(re.findall(r"^  (?:-h, )?(--[a-z-]+)", self.out, re.M))
        paged = set(re.findall(r"^\.It Fl (-[a-z-]+)", section("DESCRIPTION"), re.M))
        self.assertEqual({f"-{option}" for option in paged}, helped)
        self.assertGreater(len(helped), 15)

    def test_presets_are_those_that_come_along(self) -> None:
        names = sorted(re.findall(r"^\.It Cm ([a-z-]+)$", section("PRESETS"), re.M))
        files = sorted(os.listdir(os.path.join(SRC, "bench", "presets")))
        self.assertEqual([f"{name}.workload" for name in names], files)

    def test_members_of_the_json_are_those_that_are_written(self) -> None:
        kinds = (
            "get set big-get big-set batch transaction push pop publish message big-read".split()
        )
        more = ["schedule 1 1 0 0", *(f"calls {kind} 1" for kind in kinds[7:])]
        self.fake({"poolmux": {"pool": {"lines": more}}})
        results = self.json_of("--strategies", "pool", "--callers", "8", "--rounds", "1")
        written = set(members(results)) | {"all"} | self.of_targets()
        self.assertEqual(named(section("JSON FORMAT")) - set(kinds), written)
        self.assertLessEqual(set(kinds), named(section("JSON FORMAT")))

    def test_keys_and_measures_of_targets_are_those_there_are(self) -> None:
        sys.path.insert(0, os.path.join(SRC, "bench"))
        from poolmux_bench import measures, targets

        lines = re.findall(r"^\.(?:It )?Cm (.*)$", section("TARGETS"), re.M)
        told = {word for line in lines for word in re.split(r"[ ,;.]+", line)}
        keys = {*targets.RUN_KEYS, *targets.CASE_KEYS, *targets.TARGET_KEYS}
        self.assertEqual((keys | set(measures.MEASURES)) - told, set())

    def of_targets(self) -> Set[str]:
        path = os.path.join(self.home, "file")
        target = "contestant = pool\nmeasure = rate\nat_least = 1\n"
        with open(path, "w", encoding="utf-8") as file:
            file.write("[case c]\ncallers = 8\ncontestants = pool, mux, x-y\n")
            file.write(f"[target t]\nsays = s\n{target}against = best of mux, x-y\n")
        missing = "x\tmissing\tits reason\n"
        self.fake({"poolmux": {"pool": {}, "mux": {}}}, missing)
        return set(members(self.json_of("--targets", path, "--rounds", "1")))

    def test_the_environment_and_statuses_are_those_of_the_help(self) -> None:
        self.run_bench("--help")
        for name in ("POOLMUX_SERVER", "POOLMUX_PASSWORD"):
            self.assertIn(f".It Ev {name}", section("ENVIRONMENT"))
            self.assertIn(name, self.out)
        for status in ("0", "1", "2", "3", "128 + n"):
            self.assertIn(f".It {status}\n", section("EXIT STATUS"))


class Keys(Stage):
    def table(self) -> Dict[str, List[str]]:
        done = subprocess.run([WORKER, "--keys"], capture_output=True, text=True, check=True)
        rows = [line.split("\t") for line in done.stdout.splitlines()]
        return {row[0]: row[1:] for row in rows}

    def test_keys_are_those_of_the_workers_with_their_defaults(self) -> None:
        parts = section("WORKLOADS").split("\n.It Cm ")[1:]
        told = {part.split("\n")[0]: " ".join(part.split("\n")[1:]) for part in parts}
        table = self.table()
        self.assertEqual(list(told), list(table))
        for key, row in table.items():
            with self.subTest(key=key):
                self.assertRegex(told[key], rf"(^|[ ;]){re.escape(row[0])}[ .]")


class Examples(Stage):
    """What the page shows comes out, with other numbers; each lap is made short."""

    def commands(self) -> List[List[str]]:
        """Each command with the lines below it."""
        found: List[List[str]] = []
        for block in re.findall(r"^\.Bd -literal\n(.*?)^\.Ed", section("EXAMPLES"), re.M | re.S):
            for line in block.splitlines():
                if line.startswith("$ "):
                    found.append([line[2:]])
                else:
                    found[-1].append(line)
        return found

    def shapes(self, lines: List[str]) -> List[str]:
        """Without what another machine says in other words."""
        odd = r"^(machine|server|versions|  |warning)|of the calls began|does not reach"
        kept = [line for line in lines if line and not re.search(odd, line)]
        numbers = [re.sub(r"\d[\d.,]*", "#", line) for line in kept]
        return [" ".join(re.sub(r"# (us|ms|s)\b", "# T", line).split()) for line in numbers]

    def shown_by(self, command: str) -> List[str]:
        """A file that is shown is made; the driver is run."""
        words = command.split()
        self.assertEqual(words[0], "poolmux-bench", command)
        short = [] if "--url" in words else ["--seconds", "0.05"]
        self.libexec = os.path.join(BUILD, "bench")
        self.ended(self.start(*words[1:], *short, cwd=self.home), 2 if "--url" in words else 0)
        return (self.out + self.err).splitlines()

    def test_they_print_what_the_page_shows(self) -> None:
        commands = self.commands()
        self.assertGreaterEqual(len(commands), 4)
        for command, *lines in commands:
            with self.subTest(command=command):
                if command.startswith("cat "):
                    path = os.path.join(self.home, command[4:])
                    with open(path, "w", encoding="utf-8") as file:
                        file.write("\n".join(lines) + "\n")
                    continue
                have = self.shapes(self.shown_by(command))
                self.assertTrue(lines)
                for line in self.shapes(lines):
                    self.assertIn(line, have)
