#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The report as a file: well-formed, complete in itself, and with nothing in it that a name
could put there."""

import functools
import re
import unittest

from made import usual
from odd import HOSTILE, odd
from page import rendered
from poolmux_bench import report

COLOURS = {"none", "currentColor"}


def on_each_page(test):
    @functools.wraps(test)
    def run(self):
        for name, page in self.pages.items():
            with self.subTest(name):
                test(self, page)

    return run


class Form(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.pages = {name: rendered(made) for name, made in odd().items()}

    @on_each_page
    def test_elements_are_known_and_closed_in_order(self, page):
        self.assertEqual([], page.wrong)
        self.assertEqual('<!DOCTYPE html>\n<html lang="en"><head>', page.markup[:38])

    @on_each_page
    def test_identifiers_are_unique_and_references_lead_to_one(self, page):
        ids = page.ids()
        self.assertEqual(sorted(set(ids)), sorted(ids))
        ids = set(ids)
        for _, attributes, _ in page.elements:
            for name in ("href", "aria-labelledby"):
                for to in attributes.get(name, "").split():
                    if to != "data:,":
                        self.assertIn(to.lstrip("#"), ids)

    @on_each_page
    def test_nothing_runs(self, page):
        names = {name for name, _, _ in page.elements}
        self.assertFalse(
            names & {"script", "iframe", "object", "embed", "form", "base", "foreignobject"}
        )
        for _, attributes, _ in page.elements:
            self.assertFalse([name for name in attributes if name.lower().startswith("on")])
            self.assertNotIn("style", attributes)

    @on_each_page
    def test_nothing_is_loaded(self, page):
        style = "".join(text for where, text in page.texts if where[-1:] == ("style",))
        self.assertFalse(re.search(r"url\(|@import|https?:", style))
        for name, attributes, _ in page.elements:
            self.assertFalse(
                set(attributes) & {"src", "srcset", "data", "action", "background", "poster"}
            )
            for key, told in attributes.items():
                self.assertFalse(
                    re.search(r"https?:|//|javascript:|url\(", told) and key not in ("aria-label",),
                    (name, key, told),
                )
                if key == "href":
                    self.assertTrue(
                        told.startswith("#") or (name, told) == ("link", "data:,"), told
                    )

    @on_each_page
    def test_the_browser_is_forbidden_to_load_and_run(self, page):
        told = [
            attributes["content"]
            for name, attributes, where in page.elements
            if name == "meta"
            and attributes.get("http-equiv") == "Content-Security-Policy"
            and where == ("html", "head")
        ]
        self.assertEqual(["default-src 'none'; style-src 'unsafe-inline'; img-src data:"], told)

    @on_each_page
    def test_drawings_are_xml_with_title_and_description_and_the_colours_of_the_page(self, page):
        for svg in page.drawings():
            if svg.get("aria-hidden") != "true":
                self.assertEqual("img", svg.get("role"))
                self.assertEqual(["title", "desc"], [child.tag for child in svg][:2])
                self.assertEqual(
                    [child.get("id") for child in svg][:2], svg.get("aria-labelledby").split()
                )
                self.assertTrue(all(child.text for child in svg[:2]))
            for part in svg.iter():
                for key in ("fill", "stroke", "color"):
                    self.assertIn(part.get(key, "none"), COLOURS)

    @on_each_page
    def test_headings_are_in_order(self, page):
        levels = [int(name[1]) for name, _, _ in page.elements if re.fullmatch("h[1-6]", name)]
        self.assertEqual(1, levels.count(1))
        self.assertEqual(1, levels[0])
        self.assertTrue(
            all(after - before <= 1 for before, after in zip(levels, levels[1:])), levels
        )

    @on_each_page
    def test_tables_have_captions_heads_and_full_rows(self, page):
        for caption, found in page.tables.items():
            self.assertTrue(caption)
            for heads, rows in found:
                self.assertTrue(rows)
                self.assertTrue(all(len(row) == len(heads) for row in rows), caption)

    def test_what_names_carry_is_only_text(self):
        page = self.pages["hostile"]
        for never in ("<script", "<img", "\x00", "\x1b"):
            self.assertFalse(never in page.markup, never)
        shown = HOSTILE.replace("\x00", "\N{REPLACEMENT CHARACTER}").replace(
            "\x1b", "\N{REPLACEMENT CHARACTER}"
        )
        for caption in ("Latency by kind of calls", "Calls per second: all callers together"):
            self.assertEqual(
                "hybrid" + shown,
                page.row(caption, "hybrid" + shown, *(["8", "get"] if "kind" in caption else []))[
                    "contestant" if "kind" in caption else "callers"
                ],
            )
        titles = [text for where, text in page.texts if where == ("html", "head", "title")]
        self.assertTrue(titles[0].startswith(shown + ": "))

    def test_the_same_results_give_the_same_page(self):
        self.assertTrue(self.pages["usual"].markup == report.render(usual()))


if __name__ == "__main__":
    unittest.main()
