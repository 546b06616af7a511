# SPDX-License-Identifier: BSD-3-Clause
"""What is wrong with a command line or a workload is told with the value and what is valid."""
import os

from fake_worker import DEFAULTS
from stage import SRC, Stage

REFUSED = [
    (["--preset", "nope"], ["--preset", '"nope"', "mixed"]),
    (["--set", "kays=3"], ["--set", '"kays"', "keys, skew, value, reads"]),
    (["--set", "keys"], ["--set", '"keys"', '"="']),
    (["--set", "keys="], ["--set", '"keys"', "valid for keys"]),
    (["--strategies", "pool,moox"], ["--strategies", '"moox"', "pool, mux, hybrid"]),
    (["--peers", "hiredis"], ["--peers", '"hiredis"', "there are"]),
    (["--peers", "all,hiredis"], ["--peers", '"all,hiredis"', "none"]),
    (["--transports", "tcp,udp"], ["--transports", '"tcp,udp"', "unix"]),
    (["--callers", "1,x"], ["--callers", '"1,x"', "1 to 4096"]),
    (["--callers", "0"], ["--callers", '"0"', "1 to 4096"]),
    (["--callers", "4097"], ["--callers", '"4097"', "1 to 4096"]),
    (["--callers", ""], ["--callers", '""']),
    (["--rounds", "0"], ["--rounds", '"0"', "1 to 1000"]),
    (["--rounds", "2.5"], ["--rounds", '"2.5"', "whole"]),
    (["--seconds", "fast"], ["--seconds", '"fast"', "0.05 to 600"]),
    (["--seconds", "nan"], ["--seconds", '"nan"', "0.05 to 600"]),
    (["--warmup", "-1"], ["--warmup", '"-1"', "0 to 600"]),
    (["--seed", "-5"], ["--seed", '"-5"', "whole"]),
    (["--workload", "/nonexistent"], ["/nonexistent", "No such file"]),
    (["--preset", "mixed", "--workload", "x"], ["--workload", "--preset"]),
    (["--json", "/nonexistent/x"], ["--json", "/nonexistent/x", "no directory /nonexistent"]),
    (["--html", "/tmp"], ["--html", "/tmp", "is a directory"]),
    (["--allow-writes"], ["--allow-writes", "--url"]),
    (["--quiet"], ["--quiet", "--json"]),
    (["--url", "http://h"], ["--url", "redis://"]),
    (["--url", "redis://h:x"], ["--url", "port"]),
    (["--url", "redis://h/x"], ["--url", "database"]),
    (["--url", "redis://h", "--transports", "unix"], ["--transports", "redis://h:6379", "tcp"]),
    (["--roonds", "3"], ["--roonds", "--help"]),
    (["more"], ["more", "--help"]),
]
FILES = [
    ("keys = 5\nkeys = 6\n", ['w.workload:2: "keys"', "twice"]),
    ("# a comment\n\nvelue = 64\n", ['w.workload:3: there is no key "velue"', "prefix"]),
    ("keys 5\n", ['w.workload:1: "keys 5"', '"="']),
    ("keys = # none\n", ['w.workload:1: "keys"', "valid for keys"]),
]


class Options(Stage):
    def test_what_is_wrong_is_named_with_what_is_valid(self) -> None:
        for words, says in REFUSED:
            with self.subTest(words=words):
                self.refused(*words, says=says)

    def test_lines_of_a_workload_are_named(self) -> None:
        path = os.path.join(self.home, "w.workload")
        for text, says in FILES:
            with self.subTest(text=text):
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
                self.refused("--workload", path, says=says)

    def test_a_value_that_the_worker_refuses_is_refused(self) -> None:
        self.refused("--set", "keys=-1", says=['poolmux-bench: keys "-1": valid for keys\n'])

    def test_a_password_is_never_repeated(self) -> None:
        for url in (
            "redis://u:canary@h",
            "redis://u:canary@h:x",
            "http://u:canary@h",
            "redis://:canary@h/x",
        ):
            self.refused("--url", url, says=["--url"])
            self.assertNotIn("canary", self.err)

    def test_a_workload_is_its_file_and_then_what_is_set(self) -> None:
        path = os.path.join(self.home, "mine.workload")
        with open(path, "w", encoding="utf-8") as file:
            file.write("# mine\nkeys = 5 # few\nreads=20\n")
        results = self.json_of(
            *("--workload", path, "--set", "reads=30", "--set", "reads = 40"),
            *("--strategies", "mux", "--callers", "3", "--rounds", "1", "--seed", "9"),
        )
        self.assertEqual(results["workload"]["name"], "mine")
        settings = {**DEFAULTS, "keys": "5", "reads": "40"}
        self.assertEqual(results["workload"]["settings"], settings)
        lap = self.laps()[0]
        words = lap["words"]
        self.assertRegex(lap["url"], r"^redis://:[0-9a-f]+@127\.0\.0\.1:\d+$")
        self.assertRegex(lap["control"], r"^unix://:[0-9a-f]+@/.*/server\.sock$")
        expected = "--way mux --callers 3 --seconds 0.05 --warmup 0 --seed 9"
        sets = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        self.assertEqual(words, expected.split() + sets)
        filled = self.noted()[0]["fill"]
        self.assertEqual(filled, ["--fill", "--seed", "9", *sets])

    def test_the_list_has_presets_contestants_keys_and_what_is_missing(self) -> None:
        self.fake(
            {"poolmux": {"pool": {}}, "hiredis": {"threads": {}}},
            "libx\tmissing\tno x.h\nliby\tfound\t\nhiredis\tfound\t\n",
        )
        self.run_bench("--list")
        for text in (
            "pool                 the way pool of poolmux (threads, tcp, unix, tls)",
            "hiredis-threads      the way threads of hiredis",
            "libx                 no x.h",
            "liby                 it was not built",
            "keys = 10000         the meaning of keys; valid: valid for keys",
        ):
            self.assertIn("  " + text, self.out)
        for name in os.listdir(os.path.join(SRC, "bench", "presets")):
            preset = name.split(".")[0]
            self.assertRegex(self.out, rf"(?m)^  {preset} +(?!{preset})\w")

    def test_without_workers_it_says_so(self) -> None:
        os.unlink(os.path.join(self.libexec, "poolmux-bench-poolmux"))
        self.run_bench(status=1)
        self.assertIn(f"no worker poolmux-bench-poolmux in {self.libexec}", self.err)

    def test_a_worker_that_cannot_be_asked_says_why(self) -> None:
        path = os.path.join(self.libexec, "poolmux-bench-poolmux")
        with open(path, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\necho a library is gone >&2\nexit 127\n")
        self.run_bench(status=1)
        self.assertEqual(self.err, "poolmux-bench: a library is gone\n")

    def test_without_a_server_program_it_says_so(self) -> None:
        os.environ["POOLMUX_SERVER"] = "no-such-server"
        self.addCleanup(os.environ.pop, "POOLMUX_SERVER")
        self.run_bench(status=1)
        self.assertIn("POOLMUX_SERVER: there is no program no-such-server", self.err)

    def test_nothing_is_compiled_into_the_source_tree(self) -> None:
        self.run_bench("--version")
        self.assertRegex(self.out, r"^poolmux-bench \d+\.\d+\.\d+\n$")
        found = [d for d, _, _ in os.walk(os.path.join(SRC, "bench")) if d.endswith("__pycache__")]
        self.assertEqual(found, [])
