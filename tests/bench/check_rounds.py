# SPDX-License-Identifier: BSD-3-Clause
"""Who is measured when, and what becomes of the laps of which it is known what they print."""
import pty
import os

from stage import Stage


MORE = [
    "way pool",
    "callers threads 8",
    "server name redis",
    "calls pop 9",
    "commands get 1000",
    "commands set 1500",
    "schedule 2100 2000 30 1500000",
]


def of(results: dict, contestant: str, callers: int = 8) -> dict:
    found = [
        r for r in results["results"] if (r["contestant"], r["callers"]) == (contestant, callers)
    ]
    assert len(found) == 1
    return found[0]


class Rounds(Stage):
    def test_each_round_begins_with_another_contestant(self) -> None:
        self.quick("--callers", "1,2", "--transports", "tcp,unix", "--rounds", "4")
        laps = [(lap["url"][:4], lap["callers"], lap["way"], lap["seed"]) for lap in self.laps()]
        order = [["pool", "mux", "hybrid"], ["mux", "hybrid", "pool"], ["hybrid", "pool", "mux"]]
        expected = [
            (transport, callers, way, number + 1)
            for number in range(4)
            for transport in ("redi", "unix")
            for callers in (1, 2)
            for way in order[number % 3]
        ]
        self.assertEqual(laps, expected)

    def test_each_lap_is_a_process_of_its_own(self) -> None:
        self.quick("--callers", "1", "--rounds", "2")
        self.assertEqual(len({lap["pid"] for lap in self.laps()}), 6)

    def test_the_table_has_medians_and_ratios_of_the_same_round(self) -> None:
        more = ["calls pop 7", "latency pop 7000000:7", "calls big-get 0"]
        self.fake(
            {
                "poolmux": {
                    "pool": {"calls": [1000, 1100, 1200, 1300, 1400], "lines": more},
                    "mux": {"calls": [2000, 2200, 2400, 2600, 2800]},
                },
                "hiredis": {
                    "async": {"exit": 1, "says": "the reason"},
                    "pipeline": {"exit": 77, "says": "no pushes in a pipeline"},
                },
            },
            "libx\tmissing\tno x.h\n",
        )
        out = self.quick("--strategies", "pool,mux", "--callers", "8", status=1)
        rows = out[out.index("tcp, 8") :].splitlines()
        self.assertEqual(
            rows[1].split(), "pool 1,200 8% 1.00 200 us 400 us 4.00 ms 15.00 2.00 4.00 0.50".split()
        )
        self.assertEqual(
            rows[2].split(), "mux 2,400 8% 2.00 200 us 400 us 4.00 ms 15.00 2.00 4.00 0.50".split()
        )
        self.assertEqual(rows[3], "hiredis-async      failed: the reason")
        self.assertEqual(rows[4], "hiredis-pipeline   skipped: no pushes in a pipeline")
        self.assertEqual(rows[5].split(), "p99 of get set pop".split())
        self.assertEqual(rows[6].split(), "pool 200 us 400 us 7.00 ms".split())
        self.assertEqual(rows[7].split(), "mux 200 us 400 us -".split())
        self.assertIn("\nmissing: libx: no x.h\n", out)
        self.assertLessEqual(max(len(line) for line in out.splitlines()), 99)

    def test_the_ratio_is_not_that_of_the_medians(self) -> None:
        self.fake(
            {
                "poolmux": {
                    "pool": {"calls": [1000, 2000, 4000]},
                    "mux": {"calls": [2000, 2000, 2000]},
                }
            }
        )
        results = self.json_of("--strategies", "pool,mux", "--callers", "8", "--rounds", "3")
        self.assertEqual(of(results, "mux")["ratio"], {"median": 1.0, "low": 0.75, "high": 1.5})
        self.assertEqual(of(results, "pool")["ratio"], {"median": 1.0, "low": 1.0, "high": 1.0})

    def test_a_round_in_json_is_what_the_worker_said(self) -> None:
        self.fake({"poolmux": {"pool": {"calls": [1000], "lines": MORE}}})
        results = self.json_of("--strategies", "pool", "--callers", "8", "--rounds", "1")
        only = of(results, "pool")
        self.maxDiff = None
        times = {
            "p50": 100.0,
            "p90": 200.0,
            "p99": 200.0,
            "p999": 200.0,
            "max": 200.0,
            "count": 1000,
        }
        slow = {
            "p50": 400.0,
            "p90": 400.0,
            "p99": 400.0,
            "p999": 4000.0,
            "max": 4000.0,
            "count": 1000,
        }
        both = {
            "p50": 200.0,
            "p90": 400.0,
            "p99": 400.0,
            "p999": 4000.0,
            "max": 4000.0,
            "count": 2000,
        }
        expected = {
            "round": 1,
            "seconds": 2.0,
            "callers_as": "threads",
            "calls": 2000,
            "failed": 0,
            "commands": 2500,
            "rate": 1000.0,
            "command_rate": 1250.0,
            "calls_by_class": {"get": 1000, "set": 1000, "pop": 9},
            "failed_by_class": {"get": 0},
            "latency_us": {"all": both, "get": times, "set": slow},
            "slices": [
                {"start_ms": 0, "calls": 1500, "p50_us": 100.0, "p99_us": 200.0, "max_us": 300.0},
                {"start_ms": 100, "calls": 500, "p50_us": 110.0, "p99_us": 210.0, "max_us": 310.0},
            ],
            "schedule": {"due": 2100, "begun": 2000, "late": 30, "latest_us": 1500.0},
            "cpu_us_per_call": {"user": 10.0, "system": 5.0, "server": 2.0},
            "cpu_foreign": 0.0,
            "commands_per_write": 4.0,
            "commands_per_read": 2.0,
            "sleeps_per_call": 0.5,
            "connections": 8.0,
            "server_bytes_in_per_call": 100.0,
            "server_bytes_out_per_call": 50.0,
            "stats": {"routed": 17.0},
            "errors": [],
        }
        self.assertEqual(only["rounds"], [expected])
        self.assertEqual(only["median"]["latency_us"]["all"], both)
        self.assertNotIn("slices", only["median"])
        self.assertEqual(results["versions"], {"poolmux": "0.1.0", "library": "1.2 (of today)"})
        self.assertEqual(results["format"], "poolmux-bench 1")
        self.assertEqual((results["reference"], results["incomplete"]), ("pool", False))

    def test_who_fails_is_out_and_the_others_go_on(self) -> None:
        cases = {
            "exit": ({"exit": 1, "says": "one\nwrong answer: key 7"}, "wrong answer: key 7"),
            "kill": ({"signal": "SIGKILL"}, "ended by signal 9"),
            "garbled": ({"lines": ["calls get many"]}, '"calls get many"'),
            "cut": ({"prints": "poolmux-bench-result 1\nseconds 1\n"}, '"end"'),
            "other": ({"prints": "poolmux-bench-result 2\nend\n"}, "poolmux-bench-result 1"),
            "idle": ({"calls": [0], "errors": ["refused"]}, "no call succeeded: refused"),
        }
        ways = {name: spec for name, (spec, _) in cases.items()}
        self.fake({"poolmux": {"pool": {}}, "peer": ways})
        results = self.json_of("--strategies", "pool", "--callers", "8", "--rounds", "2", status=1)
        for name, (_, says) in cases.items():
            result = of(results, f"peer-{name}")
            self.assertIn(says, result["failed"])
            self.assertEqual((result["rounds"], result["median"]), ([], None))
            self.assertEqual(len([lap for lap in self.laps() if lap["way"] == name]), 1)
        self.assertEqual(len(of(results, "pool")["rounds"]), 2)

    def test_who_cannot_do_the_workload_is_no_failure(self) -> None:
        self.fake({"poolmux": {"pool": {"exit": 77, "says": "no such thing"}, "mux": {}}})
        results = self.json_of("--strategies", "pool,mux", "--callers", "8", "--rounds", "1")
        self.assertEqual(of(results, "pool")["skipped"], "no such thing")
        self.assertEqual(results["reference"], "mux")
        self.assertEqual(of(results, "mux")["ratio"]["median"], 1.0)

    def test_failed_calls_are_told(self) -> None:
        self.fake({"poolmux": {"pool": {"failed": 3, "errors": ["timed\x1bout"]}}})
        out = self.quick("--strategies", "pool", "--callers", "8", "--rounds", "2")
        self.assertIn("\npool: 6 calls failed, for example: timed?out\n", out)

    def test_a_rate_that_is_not_reached_is_told(self) -> None:
        out = self.quick("--callers", "8", "--rounds", "1", "--set", "rate=2050")
        self.assertIn("\nmux: does not reach the 2,050 calls/s that were asked for\n", out)
        self.assertNotIn("\nhybrid: does not reach", out)

    def test_calls_that_begin_late_are_told(self) -> None:
        self.fake({"poolmux": {"pool": {"lines": ["schedule 1000 1000 110 2500000"]}}})
        out = self.quick("--strategies", "pool", "--callers", "8", "--rounds", "1")
        late = "pool: 11% of the calls began more than 1 ms after they were due, the latest 2.50 ms"
        self.assertIn(f"\n{late}\n", out)

    def test_peers_are_chosen_by_library_or_by_name(self) -> None:
        self.fake(
            {"poolmux": {"pool": {}}, "aaa": {"x": {}, "y": {}}, "hiredis": {"z": {}}},
            "libx\tmissing\tno x.h\n",
        )
        once = ("--strategies", "pool", "--callers", "1", "--rounds", "1")
        for peers, expected in (
            ("all", ["pool", "hiredis-z", "aaa-x", "aaa-y", "libx"]),
            ("none", ["pool"]),
            ("aaa", ["pool", "aaa-x", "aaa-y"]),
            ("libx,aaa-y,hiredis", ["pool", "aaa-y", "hiredis-z", "libx"]),
        ):
            results = self.json_of(*once, "--peers", peers)
            self.assertEqual([c["name"] for c in results["contestants"]], expected)

    def test_a_worker_that_says_no_ways_is_missing(self) -> None:
        path = os.path.join(self.libexec, "poolmux-bench-odd")
        with open(path, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\necho its library is gone >&2\nexit 127\n")
        os.chmod(path, 0o755)
        out = self.quick("--callers", "1", "--rounds", "1")
        self.assertRegex(out, r"\nmissing: odd: .*its library is gone\n")

    def test_a_noisy_machine_is_told(self) -> None:
        quiet = {"pool": {"calls": [1000, 1040, 1020, 1010, 1030]}}
        self.fake({"poolmux": quiet})
        results = self.json_of("--strategies", "pool", "--callers", "8")
        self.assertFalse(results["noise"]["noisy"], results["noise"])
        self.assertEqual(results["noise"]["warnings"], [])
        self.fake({"poolmux": {"pool": {"calls": [1000, 1200, 800, 1000, 1400]}}})
        out = self.quick("--strategies", "pool", "--callers", "8")
        self.assertIn("pool with 8 callers over tcp differ by 20% between the quarters", out)
        self.assertIn("too noisy", out)
        self.fake({"poolmux": {"pool": {"others": 0.25 * 2 * (os.cpu_count() or 1)}}})
        results = self.json_of("--strategies", "pool", "--callers", "8")
        self.assertEqual(results["noise"]["foreign_cpu"], 0.25)
        self.assertIn(
            "others kept 25% of the machine's processors busy", results["noise"]["warnings"]
        )
        self.assertIn("too noisy", self.out)

    def test_without_options_it_is_short(self) -> None:
        path = os.path.join(self.home, "results.json")
        self.run_bench("--json", path)
        results = self.read_json(path)
        self.assertEqual(results["workload"]["name"], "mixed")
        self.assertEqual((results["rounds"], results["callers"]), (5, [1, 64]))
        laps = len(self.laps())
        self.assertEqual(laps, 3 * 2 * 5)
        self.assertLess(laps * (results["seconds"] + results["warmup"]), 25)
        self.assertGreater(laps * (results["seconds"] + results["warmup"]), 15)

    def test_few_rounds_are_told(self) -> None:
        self.assertIn("fewer than 5 rounds", self.quick("--callers", "1", "--rounds", "4"))
        self.assertNotIn(
            "fewer than", self.quick("--callers", "1", "--rounds", "5", "--strategies", "pool")
        )

    def test_progress_is_shown_on_a_terminal_only(self) -> None:
        once = ("--callers", "1", "--rounds", "2", "--seconds", "0.05", "--warmup", "0")
        self.run_bench(*once)
        self.assertEqual(self.err, "")
        for more, shown in (((), True), (("--quiet", "--json", os.devnull), False)):
            ours, theirs = pty.openpty()
            process = self.start(*once, *more, stderr=theirs)
            self.ended(process, 0)
            os.close(theirs)
            try:
                text = os.read(ours, 65536).decode()
            except OSError:
                text = ""
            os.close(ours)
            self.assertEqual("round 2/2: tcp, 1 caller, hybrid" in text, shown, text)
            self.assertEqual(" s left" in text, shown)
            self.assertEqual(text.endswith("\r\x1b[K"), shown)
        self.assertEqual(self.out, "")
