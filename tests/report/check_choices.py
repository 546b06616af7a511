#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Which strategy the advice chooses and how it says so, word for word, from results that were
made up."""

import unittest

from asked import advised, told
from made import cell, not_measured, results, usual
from poolmux_bench import advice


class Choices(unittest.TestCase):
    maxDiff = None

    def test_the_headline_gives_throughput_and_p99_against_each_other_strategy(self):
        take, lines = told(
            cell("pool", 64, 50000, 4000),
            cell("mux", 64, 90000, 1500),
            cell("hybrid", 64, 105000, 1000),
        )
        self.assertEqual("hybrid", take)
        self.assertEqual(
            "With 64 callers and 64-byte values hybrid gives 2.1 × the throughput of pool "
            "at a quarter of the p99 and 1.17 × that of mux at two thirds of the p99.",
            lines[0],
        )

    def test_a_p99_within_noise_is_said_to_be_about_the_same(self):
        _, lines = told(cell("pool", 64, 50000, 1010), cell("hybrid", 64, 105000, 1000))
        self.assertEqual(
            "With 64 callers and 64-byte values hybrid gives 2.1 × the throughput of pool "
            "at about the same p99.",
            lines[0],
        )

    def test_what_is_within_noise_is_said_to_be_so_and_the_default_is_kept(self):
        take, lines = told(
            cell("pool", 1, 10000, wide=0.1),
            cell("mux", 1, 9900, wide=0.1),
            cell("hybrid", 1, 9800, wide=0.1),
        )
        self.assertEqual("hybrid", take)
        self.assertEqual(
            [
                "With 1 caller and 64-byte values hybrid, pool and mux are within noise of "
                "each other in throughput (9,800, 10,000 and 9,900 calls/s).",
                "Nothing here speaks against hybrid, the default.",
            ],
            lines[:2],
        )

    def test_one_that_is_behind_within_noise_is_told_apart_from_those_that_are_slower(self):
        _, lines = told(
            cell("pool", 8, 5000),
            cell("mux", 8, 10000, wide=0.1),
            cell("hybrid", 8, 10100, wide=0.1),
        )
        self.assertEqual(
            "With 8 callers and 64-byte values hybrid gives 2 × the throughput of pool at "
            "about the same p99; mux is within noise of it (10,000 against 10,100 "
            "calls/s).",
            lines[0],
        )

    def test_a_difference_that_is_sure_but_small_does_not_turn_one_from_the_default(self):
        take, lines = told(cell("pool", 1, 10400, wide=0.001), cell("hybrid", 1, 10000, wide=0.001))
        self.assertEqual("hybrid", take)
        self.assertEqual(
            [
                "With 1 caller and 64-byte values hybrid gives 0.96 × the throughput of pool "
                "at about the same p99.",
                "A difference of less than 5 % is no reason to leave hybrid, the default.",
            ],
            lines[:2],
        )

    def test_among_equals_the_p99_decides(self):
        take, lines = told(cell("pool", 8, 10000, 500), cell("hybrid", 8, 10010, 1000))
        self.assertEqual("pool", take)
        self.assertEqual(
            "Between them the p99 decides: 500 µs with pool, against 1 ms with hybrid.", lines[1]
        )

    def test_then_cpu_decides(self):
        take, lines = told(
            cell("pool", 8, cpu=(2.0, 3.0, 5.0)), cell("hybrid", 8, cpu=(6.0, 7.0, 5.0))
        )
        self.assertEqual("pool", take)
        self.assertEqual("Between them CPU decides: pool costs the client less.", lines[1])
        self.assertIn(
            "A call costs pool 5 µs of the client's CPU and 5 µs of the server's, hybrid 13 µs "
            "and 5 µs.",
            lines,
        )

    def test_what_is_doubtful_does_not_decide_among_equals(self):
        for changes in ({"noise": {"noisy": True}}, {"rounds_done": 4}):
            take, lines = told(
                cell("pool", 8, 10000, 500, cpu=(1.0, 1.0, 1.0)),
                cell("hybrid", 8, 10010, 1000),
                **changes,
            )
            self.assertEqual("hybrid", take)
            self.assertEqual("Nothing here speaks against hybrid, the default.", lines[1])

    def test_one_with_calmer_slowest_calls_is_named_with_its_price(self):
        _, lines = told(cell("pool", 64, 50000, 1000), cell("mux", 64, 100000, 3000))
        self.assertEqual(
            "With 64 callers and 64-byte values mux gives 2 × the throughput of pool at 3 × "
            "the p99.",
            lines[0],
        )
        self.assertEqual(
            "If the slowest calls matter more than their number: pool has a p99 of 1 ms, "
            "not 3 ms, at half the throughput.",
            lines[1],
        )

    def test_cpu_and_commands_that_travel_together_are_told(self):
        _, lines = told(
            cell("pool", 64, 50000, cpu=(9.0, 12.0, 17.2)),
            cell("hybrid", 64, 105000, cpu=(4.4, 3.0, 7.8), writes=31.2),
        )
        self.assertIn(
            "A call costs hybrid 7.4 µs of the client's CPU and 7.8 µs of the server's, pool "
            "21 µs and 17 µs; 31.2 commands leave with each write, 1 with pool.",
            lines,
        )

    def test_peers_are_told_also_when_they_are_ahead(self):
        names = ("hiredis-threads", "hiredis-pipeline", "libvalkey", "other")
        _, lines = told(
            cell("pool", 64, 50000),
            cell("hybrid", 64, 100000),
            cell("hiredis-threads", 64, 48000),
            cell("hiredis-pipeline", 64, 190000),
            cell("libvalkey", 64, 100500),
            cell("other", 64, 99500),
            peers=names,
        )
        self.assertEqual(
            "Peers, against hybrid: hiredis-pipeline 1.9 × the throughput and hiredis-threads "
            "0.48 ×; libvalkey and other are within noise of it.",
            lines[-1],
        )

    def test_peers_with_other_callers_are_told_apart(self):
        _, lines = told(
            cell("pool", 64, 50000),
            cell("hybrid", 64, 100000),
            cell("hiredis-threads", 64, 100500),
            cell("hiredis-pipeline", 64, 190000, callers_as="callbacks"),
            peers=("hiredis-threads", "hiredis-pipeline"),
        )
        self.assertEqual(
            "Peers, against hybrid: hiredis-threads is within noise of it. With callbacks on one "
            "thread for callers: hiredis-pipeline 1.9 × the throughput.",
            lines[-1],
        )

    def test_one_strategy_alone_is_not_compared(self):
        take, lines = told(cell("hybrid", 64, 105000, 1000))
        self.assertEqual(
            (
                "hybrid",
                [
                    "With 64 callers and 64-byte values only hybrid was measured: "
                    "105,000 calls/s, a p99 of 1 ms. There is nothing to compare it "
                    "with."
                ],
            ),
            (take, lines),
        )

    def test_without_any_strategy_there_is_no_advice(self):
        take, lines = told(
            cell("hiredis-threads", 8, 40000),
            not_measured("mux", 8, failed="no"),
            peers=("hiredis-threads",),
        )
        self.assertEqual(
            (
                None,
                [
                    "No strategy of poolmux was measured with 8 callers.",
                    "hiredis-threads gives 40,000 calls/s.",
                ],
            ),
            (take, lines),
        )

    def test_at_a_fixed_rate_the_p99_decides_among_those_that_keep_up(self):
        take, lines = told(
            cell("pool", 64, 41000, 200),
            cell("mux", 64, 50000, 900),
            cell("hybrid", 64, 50000, 600),
            settings={"rate": "50000"},
        )
        self.assertEqual("hybrid", take)
        self.assertEqual(
            "With 64 callers and 64-byte values, at 50,000 calls/s, hybrid answers 99 % of "
            "the calls within 600 µs, 3 × the p99 of pool and two thirds of the p99 of mux. "
            "Not up to that rate: pool (41,000 calls/s).",
            lines[0],
        )

    def test_at_a_fixed_rate_equals_are_told_together(self):
        _, lines = told(
            cell("pool", 64, 50000, 900, wide=0.2),
            cell("mux", 64, 50000, 905, wide=0.2),
            cell("hybrid", 64, 50000, 910, wide=0.2),
            settings={"rate": "50000"},
        )
        self.assertEqual(
            "With 64 callers and 64-byte values, at 50,000 calls/s, hybrid answers 99 % of the "
            "calls within 910 µs, within noise of pool and mux.",
            lines[0],
        )

    def test_the_verdict_says_which_for_which_callers(self):
        chosen = advised(
            results(
                [
                    cell("pool", 1, 20000),
                    cell("hybrid", 1, 10000),
                    cell("pool", 8, 1000),
                    cell("hybrid", 8, 10000),
                    cell("pool", 64, 1000),
                    cell("hybrid", 64, 10000),
                ]
            )
        ).choices
        self.assertEqual(
            "Take hybrid with 8 and 64 callers and pool with 1 caller.", advice.verdict(chosen)
        )
        self.assertEqual(
            "Take hybrid, with every number of callers that was tried.", advice.verdict(chosen[1:])
        )
        self.assertEqual("Take pool.", advice.verdict(chosen[:1]))
        self.assertEqual("Nothing was measured that could be advised.", advice.verdict([]))

    def test_values_are_told_as_they_are(self):
        for value, words_of_it in (
            ("1KiB", "1-KiB values"),
            ("16-1024", "values of 16 bytes to 1 KiB"),
            ("64:90,1KiB:9,256KiB:1", "values of 64 bytes to 256 KiB"),
        ):
            _, lines = told(cell("hybrid", 2, 10000), settings={"value": value})
            self.assertTrue(
                lines[0].startswith("With 2 callers and %s only" % words_of_it), lines[0]
            )

    def test_sentences_for_a_terminal_have_all_of_it(self):
        lines = advice.sentences(usual())
        self.assertEqual(8, sum(line.endswith("×.") and "take hybrid" in line for line in lines))
        self.assertTrue(lines[0].startswith("1 caller over TCP: take hybrid. With 1 caller"))
        self.assertEqual("valkey is missing: libvalkey was not found.", lines[-1])


if __name__ == "__main__":
    unittest.main()
