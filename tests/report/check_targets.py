#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What a report says of targets: all in a table, those that are missed at length, and for each case
what a report of its own would have."""

import unittest

from made_targets import run
from odd import HOSTILE, SHOWN
from page import rendered
from poolmux_bench import bundle

CAPTION = "A ratio is of the same round; what counts is the median of the rounds"


class Targets(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.page = rendered(run())

    def rows(self, page=None):
        return [
            [cell.replace("\N{NO-BREAK SPACE}", " ") for cell in row]
            for row in (page or self.page).tables[CAPTION][0][1]
        ]

    def test_each_target_has_a_row(self):
        told = [row[1:] for row in self.rows()]
        self.assertEqual(["met", "≥ 1.60 ×", "2.00 ×", "2.00-2.00 ×"], told[0])
        self.assertEqual(["missed", "≥ 1.40 ×", "1.25 ×", "1.25-1.25 ×"], told[1])
        self.assertEqual(["missed", "≤ 1.20 ×", "2.00 ×", "2.00-2.00 ×"], told[2])
        self.assertEqual(["met", "≤ 10.00 µs", "10.00 µs", "10.00-10.00 µs"], told[3])
        self.assertEqual(["not measured", "≥ 1.00 ×", "-", "-"], told[4])
        self.assertEqual(5, len(told))

    def test_a_row_says_what_was_compared(self):
        first = [row[0] for row in self.rows()]
        self.assertIn("this is what met says", first[0])
        self.assertIn(
            "rate of mux with 8 callers over tcp in case threads: 20,000 calls/s", first[0]
        )
        self.assertIn("against hiredis-threads: 10,000 calls/s", first[0])
        self.assertIn("against the best, hiredis-threads: 24,000 calls/s", first[1])
        self.assertIn("against mux in case quiet: 200 µs", first[2])

    def test_a_row_of_what_is_met_says_what_is_to_be_said_against_it(self):
        made = run()
        one = made["targets"]["judged"][0]
        one["close"] = True
        one["against"]["left_out"] = [{"name": "gone", "why": "missing: nobody has it"}]
        told = self.rows(rendered(made))[0][0]
        self.assertIn("met, but not in all rounds", told)
        self.assertIn("without gone: missing: nobody has it", told)
        for row in self.rows():
            self.assertNotIn("but not in all rounds", row[0])

    def test_whose_calls_failed_has_missed(self):
        made = run()
        one = made["targets"]["judged"][1]
        one.update(why="2 calls failed", missed_by=None)
        self.assertIn("missed: 2 calls failed", rendered(made).text())

    def test_how_many_are_met_stands_above(self):
        verdicts = [
            text
            for where, text in self.page.texts
            if where == ("html", "body", "main", "section", "p")
        ]
        self.assertIn("2 of 5 targets met, 2 missed, 1 not measured.", verdicts)

    def test_what_is_missed_is_told_at_length(self):
        text = self.page.text()[:9000]  # a failure shows all of it
        for told in (
            "missed by 11 %",
            "missed by 67 %",
            "what was tried",
            "without boost-redis-shared: missing: it was not found",
            "This is what unknown says. Not measured: boost-redis-shared: missing: it was not found.",
        ):
            self.assertIn(told, text)
        cards = [a for name, a, _ in self.page.elements if name == "article"]
        self.assertEqual(2, sum(a.get("class") == "missed" for a in cards))

    def test_each_case_has_a_chapter_to_which_a_link_leads(self):
        ids = self.page.ids()
        for place in ("targets", "c0", "c1", "c0advice", "c1advice", "c0numbers", "c1method"):
            self.assertIn(place, ids)
        links = [
            a["href"] for name, a, where in self.page.elements if name == "a" and "nav" in where
        ]
        self.assertEqual(["#targets", "#c0", "#c1"], links)
        headings = [
            text
            for where, text in self.page.texts
            if where[-1:] == ("h2",) or where[-2:] == ("h2", "em")
        ]
        self.assertEqual(["Before you believe it", "Targets"], headings[:2])
        told = [text for text in headings if text != "Before you believe it"]
        self.assertEqual(["Case ", "threads", "Case ", "quiet"], told[-4:])

    def test_a_case_has_the_tables_of_a_run_of_its_own(self):
        alone = [rendered(case).tables for case in bundle.apart(run())]
        for caption in {*alone[0], *alone[1]}:
            self.assertEqual(
                [table for tables in alone for table in tables.get(caption, [])],
                self.page.tables[caption],
                caption,
            )

    def test_doubts_are_told_once_and_with_their_case(self):
        told = [text for where, text in self.page.texts if "aside" in where and where[-1] == "li"]
        self.assertIn("Case threads: it was loud.", told)
        self.assertEqual(1, told.count("It was said of both."))
        self.assertEqual(1, sum("a failure" in text for text in told))

    def test_an_interrupted_run_says_so(self):
        made = run()
        made.update(incomplete=True, rounds=9)
        told = [text for where, text in rendered(made).texts if "aside" in where]
        self.assertTrue([text for text in told if "ended before it was complete: 5 of 9" in text])

    def test_what_names_carry_is_only_text(self):
        page = rendered(run(HOSTILE))
        for never in ("<script", "<img", "\x00", "\x01", "\x1b"):
            self.assertFalse(never in page.markup, never)
        self.assertIn("this is what met says" + SHOWN, self.rows(page)[0][0])


if __name__ == "__main__":
    unittest.main()
