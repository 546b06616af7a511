#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The report in a real browser: nothing is loaded, nothing is complained of, it fits on a
telephone and on a screen, and what is written and drawn can be seen, light and dark."""

import os
import tempfile
import unittest

import browser
from made import cell, results, usual
from made_targets import run
from odd import SHOWN, hostile
from poolmux_bench import report

WIDTHS = (360, 768, 1280)
SCHEMES = ("light", "dark")
TEXTS = (
    "p, li, a, h1, h1 em, h2, h2 em, h3, h4, h5, strong, span, td, th, small, summary, dd, dt, figcaption, "
    "caption, figure text"
)
LINES = "figure path[class^=c], figure use[class^=c], figure path.quiet"

# The contrast of each colour with what is behind it, as WCAG counts it.
CONTRAST = """
(() => {
  const parts = text => text.match(/[0-9.]+/g).map(Number);
  const linear = v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const bright = text => {
    const [r, g, b] = parts(text).map(v => linear(v / 255));
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const behind = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (parts(colour)[3] !== 0) return colour;
    }
  };
  const least = {};
  for (const element of document.querySelectorAll(WHICH)) {
    if (element.closest("details:not([open])")) continue;
    const pair = [bright(getComputedStyle(element).color), bright(behind(element))];
    pair.sort((a, b) => a - b);
    const name = element.localName + "." + element.getAttribute("class");
    least[name] = Math.min(least[name] || 99, (pair[1] + .05) / (pair[0] + .05));
  }
  return least;
})()
"""

# Texts of drawings that stick out of them, or stand on another text.
CROWDED = """
[...document.querySelectorAll('figure svg')].flatMap(svg => {
  const outer = svg.getBoundingClientRect();
  const boxes = [...svg.querySelectorAll('text')].map(
    text => [text.textContent, text.getBoundingClientRect()]);
  const outside = box => box.left < outer.left - 1 || box.right > outer.right + 1 ||
    box.top < outer.top - 1 || box.bottom > outer.bottom + 1;
  const touch = (one, other) => one.left < other.right - 1 && other.left < one.right - 1 &&
    one.top < other.bottom - 4.5 && other.top < one.bottom - 4.5;
  return boxes.flatMap(([text, box], index) =>
    (outside(box) ? [text + ' outside'] : []).concat(boxes.slice(index + 1).filter(
      ([, other]) => touch(box, other)).map(([other]) => text + ' on ' + other)));
})
"""


@unittest.skipUnless(browser.program(), "no Chromium")
class Browser(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.one = browser.Browser()
        cls.paths = {
            name: cls.write(name, made)
            for name, made in (
                ("usual", usual()),
                ("hostile", hostile()),
                ("targets", run()),
                ("one", results([cell("hybrid", 1, rounds=1)])),
                ("many", results([cell("peer-%d" % number, 8) for number in range(12)])),
            )
        }

    @classmethod
    def tearDownClass(cls):
        cls.one.__exit__()
        cls.folder.cleanup()

    @classmethod
    def write(cls, name, made):
        path = os.path.join(cls.folder.name, name + ".html")
        report.write(made, path)
        return path

    def test_nothing_is_requested_and_nothing_complained_of(self):
        for path in self.paths.values():
            for scheme in SCHEMES:
                self.one.open(path, 1280, 900, scheme)
                self.assertEqual(["file://" + path], self.one.requests())
                self.assertEqual([], self.one.complaints())

    def test_a_request_and_a_complaint_would_be_noticed(self):
        path = os.path.join(self.folder.name, "bad.html")
        with open(path, "w", encoding="utf-8") as file:
            file.write(
                "<!DOCTYPE html><title>x</title><img src='none.png'><script>console.log(1)</script>"
            )
        self.one.open(path)
        self.assertEqual(2, len(self.one.requests()))
        self.assertTrue(self.one.complaints())

    def test_names_do_not_run(self):
        self.one.open(self.paths["hostile"])
        self.assertEqual("undefined", self.one.value("typeof planted"))
        loaded = "document.querySelectorAll('script, img, iframe').length"
        self.assertEqual(0, self.one.value(loaded))
        self.assertEqual(SHOWN, self.one.value("document.querySelector('h1 em').textContent"))

    def test_it_fits_the_width(self):
        for name, path in self.paths.items():
            for width in WIDTHS:
                with self.subTest("%s, %d pixels" % (name, width)):
                    self.one.open(path, width, 900)
                    self.one.value(
                        "document.querySelectorAll('details').forEach(d => d.open = true)"
                    )
                    wide = self.one.value("document.documentElement.scrollWidth")
                    self.assertLessEqual(wide, width)

    def test_drawings_have_a_size_and_letters_that_can_be_read(self):
        for width in WIDTHS:
            self.one.open(self.paths["usual"], width)
            sizes = self.one.value(
                "[...document.querySelectorAll('figure svg')].map("
                "svg => svg.getBoundingClientRect().width / svg.viewBox.baseVal.width * 13)"
            )
            self.assertEqual(30, len(sizes))
            self.assertGreaterEqual(min(sizes), 9.5)
            self.assertLessEqual(max(sizes), 17)

    def test_no_text_of_a_drawing_is_outside_of_it_or_on_another(self):
        for name in ("usual", "one"):
            self.one.open(self.paths[name])
            self.assertEqual([], self.one.value(CROWDED))

    def test_light_and_dark_are_what_the_reader_wants(self):
        for scheme, dark in zip(SCHEMES, (False, True)):
            self.one.open(self.paths["usual"], 1280, 900, scheme)
            background = self.one.value("getComputedStyle(document.body).backgroundColor")
            brightness = sum(int(part) for part in background.strip("rgb()").split(","))
            self.assertEqual(dark, brightness < 150, background)

    def test_text_and_lines_stand_out(self):
        for scheme in SCHEMES:
            for name, which, least in (
                ("usual", TEXTS, 4.5),
                ("targets", TEXTS, 4.5),
                ("many", LINES, 3),
            ):
                self.one.open(self.paths[name], 1280, 900, scheme)
                found = self.one.value(CONTRAST.replace("WHICH", repr(which)))
                self.assertGreater(len(found), 10)
                for name, contrast in found.items():
                    self.assertGreaterEqual(contrast, least, (scheme, name))

    def test_on_paper_it_is_light_and_closed_tables_are_left_out(self):
        self.one.open(self.paths["usual"], 1280, 900, "dark")
        scheme = [{"name": "prefers-color-scheme", "value": "dark"}]
        self.one.ask("Emulation.setEmulatedMedia", {"media": "print", "features": scheme})
        background = self.one.value("getComputedStyle(document.body).backgroundColor")
        self.assertEqual("rgb(253, 253, 252)", background)
        shown = (
            "[...document.querySelectorAll('details:not([open])')]"
            ".filter(one => one.getBoundingClientRect().height).length"
        )
        self.assertEqual(0, self.one.value(shown))
        paper = os.path.join(self.folder.name, "report.pdf")
        self.one.paper(paper)
        with open(paper, "rb") as file:
            self.assertEqual(b"%PDF", file.read(4))


if __name__ == "__main__":
    unittest.main()
