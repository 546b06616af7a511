# SPDX-License-Identifier: BSD-3-Clause
"""Targets with the workers that were built, the project's own among them."""
import os
import re
import shutil

from stage import BUILD, SRC
from stage_targets import Targets, target

OURS = os.path.join(SRC, "bench", "targets")


def smaller(path: str) -> str:
    """Nothing is measured here: hundreds of threads and megabytes would only take time, most of
    all under a sanitizer. Powers of 2 stay different from each other."""
    with open(path, encoding="utf-8") as file:
        text = file.read()

    def fewer(line: "re.Match[str]") -> str:
        return re.sub(r"\d+", lambda number: str(int(number[0]).bit_length()), line[0])

    few = re.sub(r"^(against_)?(callers|blocked) = .*", fewer, text, flags=re.M)
    return few.replace("MiB", "KiB")


class Real(Targets):
    """With the workers that were built."""

    def setUp(self) -> None:
        super().setUp()
        self.libexec = os.path.join(BUILD, "bench")

    def needs_tls(self) -> None:
        if not os.environ.get("POOLMUX_TLS_URL") or not shutil.which("openssl"):
            self.skipTest("there is no TLS in the server, or no openssl")

    def test_a_small_run(self) -> None:
        self.write(
            "[case c]\ncallers = 4\nkeys = 100\n"
            "contestants = hybrid, hybrid-learn, hiredis-threads\n"
            "big_readers = 1\nbig_value = 64KiB\n"
            + target("rate", "contestant = hybrid", "measure = rate", "at_least = 1")
            + target(
                "none",
                "contestant = hybrid",
                "measure = p99",
                "at_most = 1e-9",
                "against = hiredis-threads",
            )
            + target(
                "read",
                "contestant = hybrid-learn",
                "measure = p50",
                "kind = big-read",
                "at_least = 1",
            )
        )
        told = self.judged("--rounds", "2", status=3)
        self.assertEqual([told[n]["result"] for n in told], ["met", "missed", "met"])
        for result in self.results["cases"][0]["results"]:
            self.assertEqual([figures["failed"] for figures in result["rounds"]], [0, 0])
            for figures in result["rounds"]:
                ours = figures["calls_by_class"]["get"] + figures["calls_by_class"]["set"]
                self.assertEqual(figures["calls"], ours)

    def test_those_of_the_project_can_be_judged(self) -> None:
        """The file is right, and all that it asks for is there, but for what is not installed."""
        self.needs_tls()
        self.write(smaller(OURS))
        path = os.path.join(self.home, "results.json")
        process = self.start(
            *("--targets", self.path, "--rounds", "1", "--seconds", "0.05"),
            *("--warmup", "0.02", "--json", path),
        )
        self.out, self.err = process.communicate(timeout=120)
        self.assertIn(process.returncode, (0, 3), self.err)
        for one in self.read_json(path)["targets"]["judged"]:
            if one["result"] == "not measured":
                self.assertRegex(one["why"], "missing: ", one["name"])

    def test_connections_are_what_they_say(self) -> None:
        self.needs_tls()
        self.write(
            "[case tls]\ntransports = tls\ncallers = 2\ncontestants = connect\nkeys = 10\n"
            + target(
                "t",
                "contestant = connect-tls-resumed",
                "measure = cpu",
                "at_most = 1",
                "against = connect-tls-full",
            )
        )
        told = self.judged("--rounds", "1", "--seconds", "0.2")
        self.assertLess(told["t"]["value"]["median"], 1)
        cells = {r["contestant"]: r for r in self.results["cases"][0]["results"]}
        self.assertEqual(cells["connect-plain"]["skipped"], "no TLS")
        for name in ("connect-tls-full", "connect-tls-resumed"):
            self.assertEqual(
                (cells[name]["rounds"][0]["failed"], cells[name]["rounds"][0]["errors"]), (0, [])
            )
