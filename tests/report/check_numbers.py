#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Each number of the results stands in a table of the report, and in the right place."""

import unittest

from made import cell, results, usual
from page import rendered, value

METRICS = (
    ("Calls per second: all callers together", ("rate",)),
    ("p50: half of the calls end within", ("latency_us", "all", "p50")),
    ("p99: 99 of 100 calls end within", ("latency_us", "all", "p99")),
    ("p99.9: 999 of 1,000 calls end within", ("latency_us", "all", "p999")),
    ("Client, in the program: user time per call", ("cpu_us_per_call", "user")),
    ("Client, in the kernel: system time per call", ("cpu_us_per_call", "system")),
    ("Server: user and system time per call", ("cpu_us_per_call", "server")),
    ("Commands per write: of the client to its sockets", ("commands_per_write",)),
    ("Commands per read: of the client from its sockets", ("commands_per_read",)),
    ("Sleeps per call: times that a thread gave up its processor to wait", ("sleeps_per_call",)),
)
OTHERS = {
    ("calls",): "calls",
    ("commands",): "commands",
    ("failed",): "calls that failed",
    ("command_rate",): "commands/s",
    ("cpu_foreign",): "CPU used by others, part of 1",
    ("connections",): "connections",
    ("server_bytes_in_per_call",): "bytes to the server per call",
    ("server_bytes_out_per_call",): "bytes from the server per call",
    ("new_figure",): "new figure",
    ("schedule", "due"): "schedule: due",
    ("schedule", "latest_us"): "schedule: latest us",
}


class Numbers(unittest.TestCase):
    """Each number of the results stands in a table, right to three digits."""

    @classmethod
    def setUpClass(cls):
        cls.made = usual()
        for one in cls.made["results"]:
            for which, number in (("median", 42.5), ("low", 41.5), ("high", 43.25)):
                one[which]["new_figure"] = number
                one[which]["schedule"] = {"due": number * 100, "latest_us": number / 100}
        cls.page = rendered(cls.made)

    def same(self, wanted, cell_text, about):
        for right, have in zip(wanted, value(cell_text)):
            self.assertAlmostEqual(
                right, have, delta=abs(right) * 0.0051 + 1e-9, msg=(about, cell_text)
            )

    def each(self):
        for one in self.made["results"]:
            yield one, self.made["transports"].index(one["transport"]), "%d" % one["callers"]

    def three(self, one, *path):
        found = []
        for which in ("median", "low", "high"):
            told = one[which]
            for key in path:
                told = told[key]
            found.append(told)
        return found

    def test_what_is_drawn(self):
        for one, table, callers in self.each():
            for caption, path in METRICS:
                row = self.page.row(caption, one["contestant"], table=table)
                self.same(
                    self.three(one, *path), row[callers], (caption, one["contestant"], callers)
                )

    def test_the_ratio_to_the_reference(self):
        caption = "Against pool: calls per second, those of pool being 1"
        for one, table, callers in self.each():
            row = self.page.row(caption, one["contestant"], table=table)
            self.same(
                [one["ratio"][which] for which in ("median", "low", "high")], row[callers], caption
            )

    def test_latency_over_time(self):
        for one, table, callers in self.each():
            caption = "%s caller%s: p99 of each slice of a lap" % (
                callers,
                "" if callers == "1" else "s",
            )
            for index in range(5):
                values = sorted(lap["slices"][index]["p99_us"] for lap in one["rounds"])
                row = self.page.row(caption, "%g" % (index / 10), table=table)
                self.same([values[2], values[1], values[3]], row[one["contestant"]], caption)

    def test_a_last_slice_that_was_cut_short_is_left_out(self):
        slices = [
            {"start_ms": start, "calls": 9, "p50_us": 1.0, "p99_us": 2.0, "max_us": 3.0}
            for start in (0, 900, 1000)
        ]
        page = rendered(results([cell("pool", 8, slices=slices)]))  # of a lap of a second
        rows = page.tables["8 callers: p99 of each slice of a lap"][0][1]
        self.assertEqual(["0", "0.9"], [row[0] for row in rows])

    def test_latency_of_each_kind_of_calls(self):
        for one, table, callers in self.each():
            for kind in ("all", "get", "set"):
                row = self.page.row(
                    "Latency by kind of calls", one["contestant"], callers, kind, table=table
                )
                for key, head in (
                    ("p50", "p50"),
                    ("p90", "p90"),
                    ("p99", "p99"),
                    ("p999", "p99.9"),
                    ("max", "longest"),
                ):
                    self.same(self.three(one, "latency_us", kind, key), row[head], (kind, key))

    def test_what_no_figure_shows_even_what_is_not_known_yet(self):
        drawn = {path[0] for _, path in METRICS}
        others = {path[0] for path in OTHERS}
        self.assertEqual(others | drawn, set(self.made["results"][0]["median"]))
        for one, table, callers in self.each():
            row = self.page.row(
                "What no figure shows, per lap", one["contestant"], callers, table=table
            )
            for path, head in OTHERS.items():
                self.same(self.three(one, *path), row[head], path)

    def test_counters_and_rounds(self):
        for one, table, callers in self.each():
            row = self.page.row(
                "Calls per second, round by round", one["contestant"], callers, table=table
            )
            for lap in one["rounds"]:
                self.same([lap["rate"]] * 3, row["round %d" % lap["round"]], "rounds")
            if one["contestant"] == "hybrid":
                row = self.page.row(
                    "Counters of the libraries", "hybrid", callers, "routed_lane", table=table
                )
                self.same([1234567] * 3, row["per lap"], "counters")

    def test_drawings_name_lines_and_axes(self):
        names = ("pool", "mux", "hybrid", "hiredis-threads", "hiredis-pipeline")
        for svg in self.page.drawings():
            texts = [part.text for part in svg.iter("text")]
            if texts:
                wanted = names + ("number of callers", "1", "8", "64", "256")
                if "number of callers" not in texts:
                    wanted = names + ("seconds since the start of a lap", "0", "0.2", "0.4")
                self.assertEqual([], [text for text in wanted if text not in texts])
                classes = {part.get("class") for part in svg.iter("path")}
                self.assertLess({"c0", "c1", "c2", "c3", "c4", "grid", "quiet"}, classes | {None})
        self.assertEqual(2 * (2 + 3 + 4 + 3 + 3) + 5, len(self.page.drawings()))

    def test_an_axis_is_logarithmic_where_a_plain_one_hides_the_smaller_ones(self):
        for fast, zero in ((90000, True), (110000, False)):
            page = rendered(results([cell("pool", 8, 10000), cell("hybrid", 8, fast)]))
            texts = [part.text for part in page.drawings()[2].iter("text")]
            self.assertEqual(zero, "0" in texts, texts)

    def test_of_one_number_of_callers_contestants_stand_below_each_other(self):
        page = rendered(results([cell("pool", 8, 10000), cell("hybrid", 8, 20000)]))
        drawn = page.drawings()[2]
        texts = [part.text for part in drawn.iter("text")]
        wanted = ["pool", "hybrid", "with 8 callers", "0", "5 k", "10 k", "15 k", "20 k"]
        self.assertEqual(sorted(wanted), sorted(texts))
        self.assertIn("A mark for each of pool and hybrid.", drawn.find("desc").text)

    def test_how_it_was_measured(self):
        text = self.page.text()
        for told in (
            "2026-11-29, 18:40 UTC",
            "A processor",
            "2 cores",
            "4 GiB",
            "Linux 6.1",
            "redis 7.0.15",
            "0.14.1",
            "poolmux-bench --preset made --seed 7",
            "5 rounds of each contestant",
            "measures for 1 s after a warm-up of 200 ms",
            "prefix",
            "poolmux-bench:",
        ):
            self.assertIn(told, text)


if __name__ == "__main__":
    unittest.main()
