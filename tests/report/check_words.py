#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Numbers, sizes and workloads in words."""

import unittest

from poolmux_bench import wording, words


class Words(unittest.TestCase):
    def test_numbers_have_three_digits_that_count(self):
        for value, text in (
            (None, "–"),
            (0, "0"),
            (0.00012, "0.0001"),
            (0.0123, "0.0123"),
            (1.0, "1"),
            (9.996, "10"),
            (12.34, "12.3"),
            (99.96, "100"),
            (999.6, "1,000"),
            (17508.1, "17,500"),
            (1234567, "1,230,000"),
            (-5.5, "-5.5"),
        ):
            self.assertEqual(text, words.number(value))

    def test_ratios_below_one_are_said_as_one_would(self):
        for ratio, text in (
            (0.05, "less than a tenth of it"),
            (0.1, "a tenth of it"),
            (0.24, "about a quarter of it"),
            (0.25, "a quarter of it"),
            (0.5, "half it"),
            (0.3, "0.30 × it"),
            (0.97, "0.97 × it"),
            (1.0, "1.00 × it"),
            (1.04, "1.04 × it"),
            (2.14, "2.1 × it"),
            (3.0, "3 × it"),
            (12.3, "12 × it"),
        ):
            self.assertEqual(text, words.share_of(ratio, "it"))

    def test_times_and_sizes_have_units_that_fit(self):
        for us, text in (
            (3, "3 µs"),
            (49.24, "49.2 µs"),
            (1656.3, "1.66 ms"),
            (999600, "1 s"),
            (None, "–"),
        ):
            self.assertEqual(text, words.duration(us))
        for size, text in (
            (1, "1 byte"),
            (1000, "1,000 bytes"),
            (1536, "1.5 KiB"),
            (65536, "64 KiB"),
            (300000, "293 KiB"),
            (1 << 20, "1 MiB"),
            (3 << 30, "3 GiB"),
        ):
            self.assertEqual(text, words.size(size))

    def test_a_workload_is_told_in_words(self):
        settings = {
            "rate": "5000",
            "callers_as": "futures",
            "reads": "90",
            "keys": "500",
            "skew": "1.2",
            "value": "64:90,1KiB-2KiB:10",
            "big": "2",
            "big_value": "300KiB",
            "transactions": "1",
            "batch": "3",
            "batch_size": "50",
            "blocked": "1",
            "pushes": "4",
            "subscribers": "2",
            "publishes": "5",
            "connections": "8",
        }
        self.assertEqual(
            [
                "Open loop: 5,000 calls a second of all callers together, each begun when it "
                "is due, or late if no caller is free; its latency counts from when it was "
                "due. Callers are futures, where a contestant has the choice.",
                "90 % of the ordinary calls are GET, the others SET, of 500 keys, some far "
                "more often than others (Zipf, exponent 1.2).",
                "A value has 64 bytes (90 %) and 1 KiB to 2 KiB (10 %).",
                "2 % of the calls carry values of 300 KiB.",
                "1 % are transactions: WATCH, GET, MULTI, SET, EXEC on a key of the caller's own.",
                "3 % are batches of 50 commands.",
                "Beside the callers, 1 consumer waits for elements of lists; 4 % of the calls "
                "push one.",
                "2 subscribers listen, and 5 % of the calls publish.",
                "Those who have a pool have 8 connections for the callers.",
                "Every answer is compared with what was written.",
            ],
            wording.Wording({"settings": settings}).sentences(),
        )
        self.assertEqual(
            "Closed loop: each caller makes its next call when the last one was answered. "
            "Callers are threads that wait for each answer, where a contestant has the choice.",
            wording.Wording(None).sentences()[0],
        )

    def test_what_cannot_be_read_counts_as_the_default(self):
        odd = {"value": "big", "reads": "many", "big_value": "1TiB", "rate": ""}
        usual = wording.Wording(None)
        self.assertEqual(usual.sentences(), wording.Wording({"settings": odd}).sentences())


if __name__ == "__main__":
    unittest.main()
