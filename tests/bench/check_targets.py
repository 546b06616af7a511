# SPDX-License-Identifier: BSD-3-Clause
"""Targets: what is wrong with a file is told with its line, all cases are in each round, and an
interrupted run is judged as well."""
import os
import signal

from stage import Somebody, send, until
from stage_targets import CASE, TARGET, Targets, target

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
    (
        CASE
        + "[case d]\ncallers = 1\ncontestants = mux\n"
        + TARGET
        + "case = c\nagainst_case = d\n",
        ['f:7: [target t] has no "against_callers"; valid: 1'],
    ),
    (
        CASE
        + "[case d]\ntransports = unix\ncallers = 8\ncontestants = mux\n"
        + TARGET
        + "case = d\nagainst_case = c\n",
        ['f:8: [target t] has no "against_transport"; valid: tcp'],
    ),
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
