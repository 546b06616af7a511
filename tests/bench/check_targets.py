# SPDX-License-Identifier: BSD-3-Clause
"""Targets: what is wrong with a file is told with its line, what is measured is judged by medians
of ratios of the same round, and the status says what became of them."""
import os
import signal

from stage import Somebody, send, until
from stage_targets import CASE, TARGET, Targets, target

MISSING = "absent\tmissing\tits library was not found\n"
# The file, and what is said of it; line 1 is the first.
FILES = [
    ("callers = 8\n", ['f:1: "callers = 8" is in no section']),
    ("[cas c]\n", ['f:1: "[cas c]" is no section', "[run], [case NAME], [target NAME]"]),
    ("[case]\n", ['f:1: "[case]" has no name']),
    ("[run x]\n", ['f:1: "[run x]" takes no name']),
    (CASE + "[case c]\n", ["f:4: [case c] is there twice"]),
    (CASE + "calers = 8\n" + TARGET, ['f:4: there is no key "calers" in [case c]', "callers, "]),
    (CASE + "prefix = x\n" + TARGET, ['f:4: there is no key "prefix" in [case c]']),
    (CASE + "callers = 9\n", ['f:4: "callers" is set twice in [case c]']),
    (CASE + "keys\n", ['f:4: "keys" has no "="']),
    (CASE + "keys =\n" + TARGET, ['f:4: "keys" has no value in [case c]']),
    (CASE + "\nkeys = -1\n" + TARGET, ['f:1: [case c]: keys "-1": valid for keys']),
    (CASE + "preset = x\n" + TARGET, ["f:4: preset = x: not valid in [case c]", "mixed"]),
    (
        CASE + "transports = tcp, udp\n" + TARGET,
        ["f:4: transports = tcp, udp", "tcp, unix and tls"],
    ),
    (CASE + "seconds = 0\n" + TARGET, ["f:4: seconds = 0: not valid", "0.05 to 600"]),
    ("[run]\nrounds = x\n" + CASE + TARGET, ["f:2: rounds = x: not valid in [run]", "1 to 1000"]),
    ("[run]\nkeys = 1\n" + CASE + TARGET, ['f:2: there is no key "keys" in [run]', "rounds"]),
    ("[case c]\ncontestants = pool\n" + TARGET, ['f:1: [case c] has no "callers"']),
    ("[case c]\ncallers = 8\n" + TARGET, ['f:1: [case c] has no "contestants"']),
    ("[case c]\ncallers = 0\ncontestants = pool\n" + TARGET, ["f:2: callers = 0", "1 to 4096"]),
    ("[case c]\ncallers = 8\ncontestants = pol\n", ['f:3: contestants: there is no "pol"', "pool"]),
    (CASE, ["f: there is no [target NAME] in it"]),
    (TARGET, ["f: there is no [case NAME] in it"]),
    (CASE + TARGET + "case = d\n", ["f:9: case = d: not valid in [target t]; valid: c"]),
    (CASE + TARGET + "callers = 9\n", ["f:9: callers = 9: not valid in [target t]; valid: 8"]),
    (CASE + TARGET + "transport = tls\n", ["f:9: transport = tls", "valid: tcp"]),
    (CASE + TARGET + "at_most = 2\n", ["f:4: [target t] must have one of at_least and at_most"]),
    (CASE + TARGET + "kind = get\n", ["f:9: kind = get: rate is of all calls together"]),
    (CASE + TARGET + "against = hybrid\n", ['f:9: against = hybrid: "hybrid" is not', "pool, mux"]),
    (CASE + TARGET + "against = best of\n", ['f:9: against = best of: "best of" is not']),
    (CASE + TARGET + "against = mux\n", ["f:4: [target t] compares mux with itself"]),
    (CASE + TARGET + "against_case = c\n", ["f:4: [target t] compares mux with itself"]),
    (CASE + TARGET.replace("= 1", "= 0"), ["f:8: at_least = 0: not valid", "a number above 0"]),
    (CASE + TARGET.replace("= 1", "= inf"), ["f:8: at_least = inf: not valid"]),
    (CASE + TARGET.replace("rate", "speed"), ["f:7: measure = speed", "rate, p50", "client_cpu"]),
    (CASE + TARGET.replace("= mux", "= hybrid"), ["f:6: contestant = hybrid", "pool, mux"]),
    (CASE + TARGET.replace("says = it is so\n", ""), ['f:4: [target t] has no "says"']),
]


class Files(Targets):
    def test_what_is_wrong_is_told_with_the_line(self) -> None:
        for text, says in FILES:
            with self.subTest(text=text):
                self.write(text)
                self.refused("--targets", self.path, says=says)

    def test_what_the_file_says_is_not_said_again(self) -> None:
        self.write(CASE + TARGET)
        for words in (
            ("--callers", "1"),
            ("--transports", "tcp"),
            ("--strategies", "mux"),
            ("--peers", "none"),
            ("--set", "keys=1"),
        ):
            with self.subTest(words=words):
                self.refused("--targets", self.path, *words, says=[words[0], "--targets"])
        self.refused("--targets", self.path, "--preset", "mixed", says=["--preset", "--targets"])
        self.refused("--targets", self.path + "x", says=[self.path + "x", "No such file"])

    def test_a_value_may_go_on_and_a_case_may_change_a_preset(self) -> None:
        self.write(
            "[run] # how long\nrounds = 2\nseconds = 0.06\nwarmup = 0.01\n"
            "[case c]\npreset = cache\nkeys = 77 # few\ncallers = 8\ncontestants = pool,\n  mux\n"
            "[case d]\ncallers = 1\ncontestants = mux\nseconds = 0.07\n"
            + target("t", "case = c", "contestant = mux", "measure = rate", "at_least = 1")
        )
        path = os.path.join(self.home, "results.json")
        self.run_bench("--targets", self.path, "--json", path)
        cases = self.read_json(path)["cases"]
        settings = cases[0]["workload"]["settings"]
        self.assertEqual((settings["keys"], settings["reads"]), ("77", "90"))
        self.assertEqual([c["name"] for c in cases[0]["contestants"]], ["pool", "mux"])
        self.assertEqual([(c["seconds"], c["warmup"]) for c in cases], [(0.06, 0.01), (0.07, 0.01)])
        self.assertEqual(self.read_json(path)["rounds"], 2)
        self.judged("--rounds", "1")
        cases = self.results["cases"]
        self.assertEqual([(c["seconds"], c["warmup"]) for c in cases], [(0.05, 0)] * 2)
        self.assertEqual(self.results["rounds"], 1)


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

    def test_cases_and_transports_are_compared(self) -> None:
        beside = {"if": {"blocked=3": {"p50_ns": 150000}, "unix": {"p50_ns": 50000}}}
        self.fake({"poolmux": {"pool": {}, "mux": beside}})
        p99 = ("contestant = mux", "measure = p99", "at_most = 1.6")
        self.write(
            CASE.replace("c]", "alone]")
            + CASE.replace("c]", "beside]")
            + "transports = tcp, unix\nblocked = 3\n"
            + target("c", *p99, "case = beside", "transport = tcp", "against_case = alone")
            + target("t", *p99, "case = beside", "transport = unix", "against_transport = tcp")
            + target("k", *p99, "case = alone", "kind = get", "against = pool")
        )
        told = self.judged("--rounds", "2")
        self.assertEqual([told[n]["value"]["median"] for n in told], [1.5, 0.3333, 1.0])
        self.assertEqual([told[n]["median"] for n in told], [600, 200, 200])
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


class Schedule(Targets):
    def test_all_cases_are_in_each_round_and_each_begins_elsewhere(self) -> None:
        self.write(
            "[case c]\ncallers = 1, 2\ncontestants = pool, mux\nkeys = 11\n"
            "[case d]\ncallers = 8\ncontestants = mux\nkeys = 12\n"
            + target("t", "case = d", "contestant = mux", "measure = rate", "at_least = 1")
        )
        self.judged("--rounds", "2")
        laps = []
        for lap in self.laps():
            keys = next(w for w in lap["words"] if w.startswith("keys="))
            callers, seed = (
                lap["words"][lap["words"].index(o) + 1] for o in ("--callers", "--seed")
            )
            laps.append((keys[5:], callers, lap["way"], seed))
        c1 = [("11", n, way, "1") for n in "12" for way in ("pool", "mux")]
        c2 = [("11", n, way, "2") for n in "12" for way in ("mux", "pool")]
        d1, d2 = [("12", "8", "mux", "1")], [("12", "8", "mux", "2")]
        self.assertEqual(laps, c1 + d1 + d2 + c2)

    def test_each_case_has_keys_of_its_own(self) -> None:
        self.write(CASE + CASE.replace("c]", "d]") + TARGET + "case = c\n")
        self.judged("--rounds", "1")
        fills = [n["fill"] for n in self.noted() if "fill" in n]
        prefixes = [w for words in fills for w in words if w.startswith("prefix=")]
        self.assertEqual(prefixes, ["prefix=poolmux-bench:1:", "prefix=poolmux-bench:2:"])

    def test_somebodys_server_is_left_as_it_was(self) -> None:
        somebody = Somebody()
        self.addCleanup(somebody.close)
        somebody.call("SET", "poolmux-bench:1:mine", "x")
        self.fake({"poolmux": {"pool": {"write": 30}, "mux": {"write": 30}}})
        self.write(CASE + CASE.replace("c]", "d]") + "transports = unix\n" + TARGET + "case = d\n")
        where = ("--url", somebody.url)
        self.refused("--targets", self.path, *where, says=["--allow-writes"])
        told = self.judged("--rounds", "1", *where, "--allow-writes")
        self.assertEqual(somebody.keys(), ["poolmux-bench:1:mine"])
        self.assertRegex(told["t"]["why"], r"mux: skipped: redis://.* is tcp$")

    def test_figures_of_each_case_are_as_in_a_run_of_its_own(self) -> None:
        self.write(CASE + "keys = 5\n" + TARGET)
        self.judged("--rounds", "1")
        bundled = self.results
        alone = self.json_of(
            "--strategies", "pool,mux", "--callers", "8", "--rounds", "1", "--set", "keys=5"
        )
        whole = {**bundled, **bundled["cases"][0]}
        for own in ("targets", "cases"):
            del whole[own]
        self.assertEqual(set(whole), set(alone))
        self.assertEqual(whole["results"], alone["results"])
        self.assertEqual(whole["workload"]["name"], "c")

    def test_an_interrupted_run_is_judged_by_what_there_is(self) -> None:
        self.fake({"poolmux": {"pool": {}, "mux": {"sleep": 60}}})
        rate = ("measure = rate", "at_least = 1")
        self.write(
            CASE + target("a", "contestant = pool", *rate) + target("b", "contestant = mux", *rate)
        )
        process = self.start("--targets", self.path)
        until("the second lap", lambda: len(self.laps()) == 2)
        send(process, signal.SIGINT)
        self.ended(process, 130)
        self.told("1 of 2 targets met, 1 not measured")
        self.told("not measured: mux: the run ended before")
        self.told("INCOMPLETE: interrupted after 0 of 5 rounds")

    def test_the_status_is_enough(self) -> None:
        self.write(CASE + TARGET.replace("= 1", "= 1e9"))
        self.assertEqual(
            self.quick("--targets", self.path, "--quiet", "--rounds", "1", status=3), ""
        )
