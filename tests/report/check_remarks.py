#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What else the advice says, and what it warns of, word for word, from results that were made
up."""

import unittest

from asked import absent, advised, remarks, told, warnings
from made import cell, contestant, not_measured, results
from poolmux_bench.measured import Measured


class Remarks(unittest.TestCase):
    maxDiff = None

    def test_big_values_are_told_with_what_they_cost_the_small_ones(self):
        lines = remarks(
            cell("pool", 64, 50000, classes={"get": 700.0, "big-get": 8000.0}),
            cell("mux", 64, 50000, classes={"get": 4060.0, "big-get": 9000.0}),
            cell("hybrid", 64, 50000, classes={"get": 705.0, "big-get": 8800.0}),
            settings={"big": "3"},
        )
        self.assertEqual(
            [
                "The 3 % of the calls with values of 256 KiB to 1 MiB carry almost all of the "
                "bytes.",
                "Beside them, with 64 callers, 99 % of the small GET calls end within 700 µs "
                "(pool), 4.06 ms "
                "(mux) and 705 µs (hybrid); a big GET itself takes 2 ms (pool), 2.25 ms (mux) "
                "and 2.2 ms "
                "(hybrid) at the median. What they cost the small calls that share a connection "
                "with them: a "
                "p99 of 5.8 × pool's with mux.",
                "hybrid gives commands of more than 64 KiB a connection of their own; large "
                "replies come on "
                "the connection that all share, unless hybrid.learn is on (poolmux-routing(7)).",
            ],
            lines,
        )

    def test_big_values_among_the_ordinary_ones_are_seen_too(self):
        lines = remarks(
            cell("pool", 8), cell("hybrid", 8), settings={"value": "64:99,1MiB:1", "reads": "0"}
        )
        self.assertEqual(
            ["The 1 % of the calls with values of 1 MiB carry about 99 % of the bytes."], lines
        )
        self.assertEqual([], remarks(cell("pool", 8), settings={"value": "64:1,64KiB:1"}))

    def test_what_mux_cannot_carry_is_told(self):
        lines = remarks(
            cell("pool", 8), cell("hybrid", 8), settings={"blocked": "16", "transactions": "2"}
        )
        self.assertEqual(
            [
                "mux cannot carry the 16 blocked consumers of this workload: a command that "
                "blocks would hold "
                "up all others, and is refused; hybrid and pool give each a connection to itself.",
                "mux cannot carry the transactions of this workload: WATCH needs a connection "
                "to itself, and "
                "is refused; hybrid and pool lend one.",
            ],
            lines,
        )

    def test_transports_are_compared_for_what_was_chosen(self):
        lines = remarks(
            cell("pool", 64, 50000),
            cell("hybrid", 64, 100000, 1000),
            cell("pool", 64, 50000, transport="unix"),
            cell("hybrid", 64, 137000, 740, transport="unix"),
            cell("hybrid", 64, 100100, 1001, transport="tls"),
        )
        self.assertEqual(
            [
                "Over a Unix socket hybrid gives 1.4 × the throughput that it gives over TCP, "
                "at three "
                "quarters of the p99, with 64 callers.",
                "Over TLS hybrid gives about the same throughput that it gives over TCP, at "
                "about the same "
                "p99, with 64 callers.",
            ],
            lines,
        )

    def test_long_pauses_are_told_with_their_place(self):
        calm = {"start_ms": 0, "calls": 9, "p50_us": 100, "p99_us": 400, "max_us": 3999}
        slow = dict(calm, start_ms=300, max_us=35000)
        self.assertEqual(
            [
                "Calls that stood out, at more than ten times the usual p99: 35 ms (pool, 64 "
                "callers, 0.3 s into round 1)."
            ],
            remarks(cell("pool", 64, rounds=1, slices=[calm, calm, slow])),
        )
        self.assertEqual([], remarks(cell("pool", 64, slices=[calm, dict(slow, max_us=9999)])))


class Warnings(unittest.TestCase):
    maxDiff = None

    def test_a_quiet_and_complete_run_has_none(self):
        self.assertEqual([], warnings(cell("pool", 8), cell("hybrid", 8)))
        self.assertEqual([], absent(cell("pool", 8), cell("hybrid", 8)))

    def test_a_noisy_machine_takes_the_belief_out_of_small_differences(self):
        noise = {
            "spread": 0.22,
            "foreign_cpu": 0.3,
            "noisy": True,
            "warnings": ["others were busy"],
        }
        self.assertEqual(
            [
                "Others were busy.",
                "The advice therefore takes more for noise than on a quiet machine: a difference "
                "counts when it is greater than what is between the quarters of both values.",
            ],
            warnings(cell("pool", 8), noise=noise),
        )

    def test_a_difference_counts_when_it_is_greater_than_what_is_between_the_quarters(self):
        def head(rate, wide):
            return told(cell("pool", 8, 10000, wide=wide), cell("hybrid", 8, rate))[1][0]

        self.assertIn("1.19 × the throughput", head(11900, 0.05))
        self.assertIn("1.19 × the throughput", head(11900, 0.18))
        # The quarters are apart, by less than the width of pool's.
        self.assertIn("within noise of each other", head(11900, 0.22))
        # They are not apart.
        self.assertIn("within noise of each other", head(10900, 0.25))
        # The medians are far from each other, the quarters are not.
        self.assertFalse(Measured({"rounds_done": 5}).differ((100, 99, 120), (122, 119, 123)))
        # They are, by too little.
        self.assertIn("within noise of each other", head(10250, 0.001))

    def test_of_few_rounds_only_great_differences_are_believed(self):
        cells = cell("pool", 8, 10000, rounds=1), cell("hybrid", 8, 11400, rounds=1)
        self.assertEqual(
            ["The advice therefore takes differences of less than 15 % for noise."],
            warnings(*cells),
        )
        self.assertIn("within noise of each other", told(*cells)[1][0])
        cells = cell("pool", 8, 10000, rounds=1), cell("hybrid", 8, 12000, rounds=1)
        self.assertIn("1.2 × the throughput", told(*cells)[1][0])

    def test_an_incomplete_run_is_said_to_be(self):
        lines = warnings(cell("pool", 8), incomplete=True, rounds=9)
        self.assertEqual(
            [
                "The run was ended before it was complete: 5 of 9 rounds were made. What "
                "follows is of what there is."
            ],
            lines,
        )
        self.assertEqual(["Nothing was measured."], warnings(not_measured("pool", 8)))

    def test_failed_calls_are_told_with_the_first_reasons(self):
        lines = warnings(
            cell("mux", 8, failed=3, errors=["LOST: gone"]),
            cell("mux", 64, failed=1, errors=["LOST: gone"]),
            cell("mux", 256),
        )
        self.assertEqual(["20 calls of mux failed with 8 and 64 callers: LOST: gone."], lines)

    def test_a_server_of_somebody_else_is_a_reason_to_doubt(self):
        lines = warnings(
            cell("pool", 8),
            server={"name": "valkey", "version": "8", "own": False, "url": "redis://db:6379"},
        )
        self.assertEqual(
            [
                "The server is not a private one: what others do with it at the same time is "
                "in these figures."
            ],
            lines,
        )

    def test_what_was_not_measured_is_listed_with_its_reason(self):
        made = results(
            [
                cell("pool", 8),
                cell("pool", 64),
                not_measured("mux", 8, skipped="mux refuses BLPOP"),
                not_measured("mux", 64, skipped="mux refuses BLPOP"),
                cell("hybrid", 8),
                not_measured("hybrid", 64, failed="ended by signal 11"),
            ]
        )
        made["contestants"].append(
            contestant("redis-plus-plus", "peer", "sw/redis++.h was not found")
        )
        self.assertEqual(
            [
                "mux was left out: mux refuses BLPOP.",
                "hybrid was left out with 64 callers: it failed: ended by signal 11.",
                "redis-plus-plus is missing: sw/redis++.h was not found.",
            ],
            advised(made).absent,
        )

    def test_a_contestant_that_failed_on_the_way_was_measured_in_part(self):
        broken = dict(cell("mux", 8, rounds=3), failed="a wrong answer")
        self.assertEqual(
            ["mux was measured in part only: it failed: a wrong answer."], absent(broken)
        )


if __name__ == "__main__":
    unittest.main()
