# SPDX-License-Identifier: BSD-3-Clause
"""What is measured is judged by medians of ratios of the same round; whoever is missing, was
skipped or has failed is told, and the status says what became of the targets."""
from stage_targets import CASE, TARGET, Targets, target

MISSING = "absent\tmissing\tits library was not found\n"
# Of a round of the fake worker.
MEASURED = {
    "rate": 2000.0,
    "p50": 200.0,
    "p90": 400.0,
    "p99": 400.0,
    "p999": 4000.0,
    "max": 4000.0,
    "client_cpu": 15.0,
    "server_cpu": 2.0,
    "cpu": 17.0,
    "sleeps": 0.5,
    "commands_per_write": 4.0,
    "commands_per_read": 2.0,
}
CLOSE = [("met", True), ("met", False)]


class Judged(Targets):
    def test_the_median_of_the_ratios_of_each_round_counts(self) -> None:
        """Of the medians it would be 1: 1100 of 1100."""
        self.fake(
            {
                "poolmux": {
                    "pool": {"calls": [1000, 1100, 1200]},
                    "mux": {"calls": [1500, 1100, 1000]},
                }
            }
        )
        lines = ("contestant = mux", "measure = rate", "against = pool")
        self.write(
            CASE
            + target("under", *lines, "at_least = 0.95")
            + target("over", *lines, "at_least = 1.05")
            + target("most", *lines, "at_most = 0.5")
        )
        told = self.judged("--rounds", "3", status=3)
        values = [round(r, 4) for r in (1500 / 1000, 1, 1000 / 1200)]
        self.assertEqual(told["under"]["values"], values)
        self.assertEqual(told["under"]["value"]["median"], 1)
        self.assertEqual([told[n]["result"] for n in told], ["met", "missed", "missed"])
        self.assertEqual(told["over"]["missed_by"], round(1 - 1 / 1.05, 4))
        self.assertEqual(told["most"]["missed_by"], 1)
        self.assertEqual([told[n]["close"] for n in told], [True, True, False])
        counts = self.results["targets"]
        self.assertEqual([counts[n] for n in ("met", "missed", "not_measured")], [1, 2, 0])
        self.assertIn("targets  " + self.path + ": 1 of 3 targets met, 2 missed\n", self.out)
        self.assertRegex(self.out, r"\nmet +>= 0\.95 x +1\.00 x +0\.92-1\.25 x  under\n")
        self.assertRegex(self.out, r"\nMISSED +>= 1\.05 x .*  over\n  the sentence of over\n")
        self.assertIn("    missed by 5%, but not in all rounds\n", self.out)
        self.assertIn("    missed by 100%\n", self.out)

    def test_the_best_of_those_who_are_there_is_compared_with(self) -> None:
        self.fake(
            {
                "poolmux": {"pool": {}, "mux": {"calls": [2000]}},
                "hiredis": {"a": {"calls": [1000]}, "b": {"calls": [1600], "p50_ns": 50000}},
            },
            MISSING,
        )
        best = "against = best of hiredis-a, absent-way, hiredis-b"
        self.write(
            "[case c]\ncallers = 8\ncontestants = pool, mux, hiredis, absent-way\n"
            + target(
                "rate", "contestant = mux", "measure = rate", "at_least = 1.5", best, "note = why"
            )
            + target("p99", "contestant = mux", "measure = p99", "at_most = 1.5", best)
            + target(
                "none", "contestant = mux", "measure = rate", "at_least = 1", "against = absent-way"
            )
        )
        told = self.judged("--rounds", "1", status=3)
        self.assertEqual(
            [told[n]["against"]["best"] for n in told], ["hiredis-b", "hiredis-b", None]
        )
        self.assertEqual(told["rate"]["value"]["median"], 1.25)
        left = {"name": "absent-way", "why": "missing: its library was not found"}
        self.assertEqual(told["rate"]["against"]["left_out"], [left])
        self.assertEqual(told["none"]["result"], "not measured")
        self.assertEqual(told["none"]["why"], "absent-way: missing: its library was not found")
        self.told("the best, hiredis-b: 1,600 calls/s")
        self.assertIn("    without absent-way: missing: its library was not found\n", self.out)
        self.assertIn("    why\n", self.out)

    def test_it_is_close_when_a_quarter_of_the_rounds_says_otherwise(self) -> None:
        """Not by where the quarters are: all may be at the mark, or one of four just below it."""
        self.fake(
            {
                "poolmux": {"pool": {}, "mux": {"calls": [900, 1100, 1200, 1300, 1400]}},
                "hiredis": {"a": {"calls": [1000]}},
            }
        )
        rate = ("measure = rate", "at_least = 1", "against = pool")
        self.write(
            CASE.replace("mux", "mux, hiredis-a")
            + target("one", "contestant = mux", *rate)
            + target("all", "contestant = hiredis-a", *rate)
        )
        told = self.judged("--rounds", "4")
        self.assertEqual([(told[n]["result"], told[n]["close"]) for n in told], CLOSE)
        self.told("met, but not in all rounds rate of mux")
        told = self.judged("--rounds", "5")
        self.assertEqual(told["one"]["values"], [0.9, 1.1, 1.2, 1.3, 1.4])
        self.assertFalse(told["one"]["close"])  # one of five is less than a quarter

    def test_whose_calls_fail_has_missed_and_is_nobody_to_compare_with(self) -> None:
        late = {"if": {"2": {"failed": 1, "errors": ["odd"]}}}  # the seed of the second round
        self.fake(
            {
                "poolmux": {"pool": {}, "mux": late},
                "hiredis": {"a": {"calls": [5000], "failed": 1}},
            }
        )
        rate = ("measure = rate", "at_least = 0.5")
        self.write(
            CASE.replace("mux", "mux, hiredis")
            + target("own", "contestant = mux", *rate, "note = why")
            + target("than", "contestant = mux", *rate, "against = pool")
            + target("best", "contestant = pool", *rate, "against = best of mux, hiredis-a")
            + target("left", "contestant = pool", *rate, "against_callers = 8", "against = mux")
        )
        told = self.judged("--rounds", "2", status=3)
        results = [told[n]["result"] for n in told]
        self.assertEqual(results, ["missed", "missed", "not measured", "not measured"])
        self.assertEqual([told[n]["why"] for n in told][:2], ["1 call failed"] * 2)
        self.assertIsNone(told["own"]["missed_by"])
        self.assertEqual(told["best"]["why"], "mux: 1 call failed; hiredis-a: 2 calls failed")
        self.told("missed: 1 call failed rate of mux")

    def test_of_several_whose_calls_fail_is_left_out(self) -> None:
        self.fake({"poolmux": {"pool": {}, "mux": {"calls": [9000], "failed": 2}, "a": {}}})
        best = "against = best of mux, a"
        self.write(
            CASE.replace("mux", "mux, a")
            + target("t", "contestant = pool", "measure = rate", "at_least = 1", best)
        )
        told = self.judged("--rounds", "1")
        self.assertEqual(told["t"]["against"]["best"], "a")
        self.told("without mux: 2 calls failed")

    def test_nothing_is_a_multiple_of_0(self) -> None:
        """Nor is a round passed over in which there is that."""
        once = {"if": {"2": {"lines": ["sleeps 0"]}}}
        self.fake({"poolmux": {"pool": once, "mux": {}}})
        self.write(
            CASE
            + target("t", "contestant = mux", "measure = sleeps", "at_most = 2", "against = pool")
            + target("own", "contestant = pool", "measure = sleeps", "at_most = 2", "against = mux")
        )
        told = self.judged("--rounds", "3")
        self.assertEqual(told["t"]["result"], "not measured")
        self.assertRegex(told["t"]["why"], "^pool has 0, ")
        self.assertEqual(told["own"]["values"], [1, 0, 1])

    def test_ways_of_a_library_that_is_missing_are_missing(self) -> None:
        rate = ("contestant = mux", "measure = rate", "at_least = 1")
        text = (
            CASE.replace("pool", "absent")
            + target("t", *rate, "against = absent-way")
            + target("b", *rate, "against = best of absent-way, absent-other")
        )
        self.fake({"poolmux": {"mux": {}}}, MISSING)
        self.write(text)
        why = "absent-way: missing: its library was not found"
        told = self.judged("--rounds", "1")
        self.assertEqual([told[n]["result"] for n in told], ["not measured"] * 2)
        self.assertEqual(told["t"]["why"], why)
        self.assertEqual(told["b"]["why"], why + "; " + why.replace("-way", "-other"))
        self.write(CASE.replace("pool", "absent-way") + target("t", *rate, "against = absent-z"))
        self.run_bench("--targets", self.path, status=2)
        self.assertIn('"absent-z" is not a contestant of case c', self.err)

    def test_cases_and_transports_are_compared(self) -> None:
        beside = {
            "if": {
                "blocked=3": {"p50_ns": 150000},
                "unix": {"p50_ns": 50000},
                "16": {"p50_ns": 125000},
            }
        }
        self.fake({"poolmux": {"pool": {}, "mux": beside}})
        p99 = ("contestant = mux", "measure = p99", "at_most = 1.6")
        self.write(
            CASE.replace("c]", "alone]").replace("8", "8, 16")
            + CASE.replace("c]", "beside]")
            + "transports = tcp, unix\nblocked = 3\n"
            + target("c", *p99, "case = beside", "transport = tcp", "against_case = alone")
            + target("t", *p99, "case = beside", "transport = unix", "against_transport = tcp")
            + target("k", *p99, "case = alone", "callers = 8", "kind = get", "against = pool")
            + target("n", *p99, "case = alone", "callers = 16", "against_callers = 8")
        )
        told = self.judged("--rounds", "2")
        self.assertEqual([told[n]["value"]["median"] for n in told], [1.5, 0.3333, 1.0, 1.25])
        self.assertEqual([told[n]["median"] for n in told], [600, 200, 200, 500])
        self.assertEqual([told[n]["against"]["callers"] for n in told], [8] * 4)
        self.told(
            "p99 of mux with 16 callers over tcp in case alone: 500 us; mux with 8 callers: 400 us"
        )
        self.told(
            "p99 of mux with 8 callers over tcp in case beside: 600 us; mux in case alone: 400 us"
        )
        self.told(
            "p99 of mux with 8 callers over unix in case beside: 200 us; mux over tcp: 600 us"
        )
        self.assertIn("p99 of get of mux", self.out)

    def test_a_number_is_enough_to_compare_with(self) -> None:
        self.write(
            CASE
            + target("cpu", "contestant = mux", "measure = client_cpu", "at_most = 15.1")
            + target("all", "contestant = mux", "measure = cpu", "at_most = 16.9")
            + target("rate", "contestant = pool", "measure = rate", "at_least = 1000")
        )
        told = self.judged("--rounds", "1", status=3)
        self.assertEqual([told[n]["value"]["median"] for n in told], [15, 17, 1000])
        self.assertEqual([told[n]["result"] for n in told], ["met", "missed", "met"])
        self.assertIsNone(told["cpu"]["against"])
        self.assertRegex(self.out, r"\nmet +<= 15\.10 us +15\.00 us")

    def test_each_measure_is_the_figure_of_that_name(self) -> None:
        self.write(
            CASE
            + "".join(
                target(n, "contestant = mux", f"measure = {n}", "at_most = 1e9") for n in MEASURED
            )
        )
        told = self.judged("--rounds", "1")
        self.assertEqual({n: told[n]["value"]["median"] for n in told}, MEASURED)
        from poolmux_bench import measures

        self.assertEqual(set(MEASURED), set(measures.MEASURES))

    def test_columns_are_as_wide_as_what_is_in_them(self) -> None:
        self.fake({"poolmux": {"pool": {}, "mux": {"calls": [1234567, 1334567, 1434567]}}})
        rate = ("contestant = mux", "measure = rate")
        self.write(
            CASE
            + target("number", *rate, "at_least = 1000000")
            + target("ratio", *rate, "at_least = 2", "against = pool")
            + target("none", *rate, "at_least = 2", "against = pool")
        )
        self.judged("--rounds", "3")
        head, *rows = [
            line
            for line in self.out.partition("\ntargets  ")[2].splitlines()[1:]
            if not line.startswith(" " * 2) or "wanted" in line
        ]
        self.assertEqual(len({line.rindex("  ") for line in rows}), 1, rows)
        self.assertEqual(len(head), rows[0].rindex("  "))
        self.assertIn(">= 1,000,000 calls/s 1,334,567 calls/s", rows[0])

    def test_what_was_not_measured_is_said_and_does_not_fail(self) -> None:
        self.fake({"poolmux": {"pool": {"exit": 77, "says": "cannot do it"}, "mux": {}}})
        rate = ("measure = rate", "at_least = 1")
        self.write(
            CASE
            + target("own", "contestant = pool", *rate)
            + target("other", "contestant = mux", *rate, "against = pool")
            + target("kind", "contestant = mux", "measure = p99", "kind = pop", "at_most = 1")
        )
        told = self.judged("--rounds", "1")
        self.assertEqual([told[n]["result"] for n in told], ["not measured"] * 3)
        self.assertEqual([told[n]["why"] for n in told][:2], ["pool: skipped: cannot do it"] * 2)
        self.assertEqual(told["kind"]["why"], "mux: there is no p99 of pop")
        self.assertIn("0 of 3 targets met, 3 not measured\n", self.out)
        self.assertIn("    not measured: pool: skipped: cannot do it\n", self.out)

    def test_a_contestant_that_fails_is_worse_than_a_target_that_is_missed(self) -> None:
        self.fake({"poolmux": {"pool": {"exit": 1, "says": "broken"}, "mux": {}}})
        rate = ("contestant = mux", "measure = rate")
        self.write(
            CASE
            + target("a", *rate, "at_least = 1e9")
            + target("b", *rate, "at_most = 1", "against = pool")
        )
        told = self.judged("--rounds", "1", status=1)
        self.assertEqual([told[n]["result"] for n in told], ["missed", "not measured"])
        self.assertEqual(told["b"]["why"], "pool: failed: broken")

    def test_a_contestant_that_fails_on_the_way_is_not_judged_by_what_was_before(self) -> None:
        late = {"if": {"2": {"exit": 1, "says": "broken"}}}  # the seed of the second round
        self.fake({"poolmux": {"pool": {}, "mux": late}})
        self.write(CASE + TARGET)
        told = self.judged("--rounds", "2", status=1)
        self.assertEqual(told["t"]["why"], "mux: failed: broken")

    def test_a_contestant_that_is_not_there_is_missing(self) -> None:
        self.fake({"poolmux": {"pool": {}}}, MISSING)
        self.write(
            "[case c]\ncallers = 8\ncontestants = absent, connect-plain, pool\n"
            + target("t", "contestant = connect-plain", "measure = rate", "at_least = 1")
        )
        told = self.judged("--rounds", "1")
        self.assertRegex(told["t"]["why"], "connect-plain: missing: .* not installed")
        self.assertIn("missing: absent: its library was not found\n", self.out)
