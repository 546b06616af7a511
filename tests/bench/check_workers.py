# SPDX-License-Identifier: BSD-3-Clause
"""The driver with the real workers: each preset, and each transport, by everybody who can."""
import os
import shutil
from typing import Any, Dict, Set, Tuple

from stage import BUILD, SRC, Somebody, Stage

SHORT = ("--seconds", "0.05", "--warmup", "0.02", "--rounds", "1", "--callers", "4")
PRESETS = sorted(name.split(".")[0] for name in os.listdir(os.path.join(SRC, "bench", "presets")))
UNSHARED = {"queue": "no blocked consumers", "sessions": "no transactions"}


class Workers(Stage):
    def setUp(self) -> None:
        super().setUp()
        self.libexec = os.path.join(BUILD, "bench")
        self.path = os.path.join(self.home, "results.json")

    def results(self, *words: str) -> Dict[str, Any]:
        self.run_bench(*SHORT, "--json", self.path, *words)
        return self.read_json(self.path)

    def done(self, results: Dict[str, Any]) -> Set[Tuple[str, str]]:
        """Nobody has failed; contestants and transports that were measured."""
        for result in results["results"]:
            self.assertIsNone(result["failed"], result["contestant"])
        measured = [r for r in results["results"] if r["rounds"]]
        for result in measured:
            only = result["rounds"][0]
            self.assertEqual((only["failed"], only["errors"]), (0, []), result["contestant"])
            self.assertEqual(only["calls"], sum(s["calls"] for s in only["slices"]))
            self.assertGreater(only["rate"], 0)
            self.assertGreaterEqual(only["commands"], only["calls"])
        return {(r["contestant"], r["transport"]) for r in measured}

    def test_each_preset_is_done_by_everybody_who_can(self) -> None:
        for preset in PRESETS:
            with self.subTest(preset=preset):
                results = self.results("--preset", preset)
                done = {name for name, _ in self.done(results)}
                self.assertLessEqual({"pool", "hybrid"}, done)
                mux = [r for r in results["results"] if r["contestant"] == "mux"]
                self.assertEqual({r["skipped"] for r in mux}, {UNSHARED.get(preset)})

    def test_each_transport_is_measured(self) -> None:
        transports = ["tcp", "unix"] + (["tls"] if shutil.which("openssl") else [])
        results = self.results("--transports", ",".join(transports))
        for transport in transports:
            self.assertLessEqual(
                {(name, transport) for name in ("pool", "mux", "hybrid")}, self.done(results)
            )

    def test_its_files_may_be_anywhere(self) -> None:
        self.tmp = os.path.join(self.home, "a b'c\"d?e#f&g%h@i:j\\k")
        os.mkdir(self.tmp)
        transports = ["tcp", "unix"] + (["tls"] if shutil.which("openssl") else [])
        results = self.results("--transports", ",".join(transports), "--peers", "hiredis")
        self.assertEqual({transport for _, transport in self.done(results)}, set(transports))

    def test_a_fixed_rate_has_a_schedule(self) -> None:
        words = ("--set", "rate=2000", "--strategies", "hybrid", "--peers", "none")
        results = self.results(*words, "--seconds", "1")  # some calls begin, whatever else runs
        only = results["results"][0]["rounds"][0]
        schedule = only["schedule"]
        self.assertEqual(schedule["due"], 2000)
        self.assertLessEqual(schedule["begun"], only["calls"])  # a busy machine does not keep up
        self.assertLessEqual(only["calls"], schedule["due"])

    def test_values_that_are_not_valid_are_refused_before_anything_is_done(self) -> None:
        self.run_bench("--set", "keys=none", status=2)
        self.assertRegex(self.err, "^poolmux-bench: keys=none: .*1 to 10000000")

    def test_a_server_with_a_password_is_left_as_it_was(self) -> None:
        somebody = Somebody()
        self.addCleanup(somebody.close)
        self.addCleanup(somebody.call, "ACL", "DELUSER", "ada")
        somebody.call("ACL", "SETUSER", "ada", "on", ">can/ary", "~*", "&*", "+@all")
        somebody.call("SET", "poolmux-bench:mine", "x")
        os.environ["POOLMUX_PASSWORD"] = "can/ary"
        self.addCleanup(os.environ.pop, "POOLMUX_PASSWORD")
        url = somebody.url.replace("redis://", "redis://ada@")
        results = self.results("--url", url, "--allow-writes")
        self.assertIn(("hybrid", "tcp"), self.done(results))
        self.assertEqual(somebody.keys(), ["poolmux-bench:mine"])
