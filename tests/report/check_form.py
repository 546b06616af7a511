#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The report as a file: well-formed, complete in itself, and with nothing in it that a name
could put there."""

import functools
import re
import unittest

from made import usual
from odd import SHOWN, odd
from page import rendered
from poolmux_bench import report, svg

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
        for never in ("<script", "<img", "\x00", "\x01", "\x1b"):
            self.assertFalse(never in page.markup, never)
        for caption in ("Latency by kind of calls", "Calls per second: all callers together"):
            self.assertEqual(
                "hybrid" + SHOWN,
                page.row(caption, "hybrid" + SHOWN, *(["8", "get"] if "kind" in caption else []))[
                    "contestant" if "kind" in caption else "callers"
                ],
            )
        titles = [text for where, text in page.texts if where == ("html", "head", "title")]
        self.assertTrue(titles[0].startswith(SHOWN + ": "))

    def test_the_same_results_give_the_same_page(self):
        self.assertTrue(self.pages["usual"].markup == report.render(usual()))


class Drawings(unittest.TestCase):
    def test_only_what_is_known_to_draw_remains_of_a_drawing(self):
        source = """<svg viewBox="0 0 1 1" onload="run()" xmlns="http://www.w3.org/2000/svg"
            xmlns:xlink="http://www.w3.org/1999/xlink"><script>run()</script><style>*{}</style>
            <foreignObject><p xmlns="http://www.w3.org/1999/xhtml">x</p></foreignObject>
            <image xlink:href="http://example.org/x.png"/><a xlink:href="http://example.org">
            <text>in a link</text></a><defs><path id="p" d="M0,0"/><path id="q" d="M1,1"/></defs>
            <use xlink:href="http://example.org/#p"/><use xlink:href="#p" onclick="run()"/>
            <path d="M0,0 L1,1" style="fill:red" stroke="rgb(  0,   0,  17)" fill="url(#q)"/>
            <g><text>@0@</text></g></svg>"""
        self.assertEqual(
            '<svg viewBox="0 0 1 1" role="img" aria-labelledby="f-title f-desc">'
            '<title id="f-title">a &lt;b&gt;</title><desc id="f-desc">c</desc>'
            '<defs><path id="f-p" d="M0,0" /></defs><use /><use href="#f-p" />'
            '<path d="M0,0 L1,1" class="c1" stroke="currentColor" fill="currentColor" />'
            "<g><text>&lt;i&gt;</text></g></svg>",
            svg.as_markup(source, "f", ["<i>"], ("a <b>", "c")),
        )


if __name__ == "__main__":
    unittest.main()
