#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Reads a report as a strict browser would: elements that are closed in order, what they carry,
tables as rows of texts. For the tests; not a program."""

import html.parser
import re
import xml.etree.ElementTree as tree

from poolmux_bench import report

VOID = {"meta", "link", "br", "hr"}
SVG = {
    "svg",
    "g",
    "defs",
    "path",
    "text",
    "tspan",
    "use",
    "circle",
    "rect",
    "line",
    "polygon",
    "polyline",
    "title",
    "desc",
}
HTML = {
    "html",
    "head",
    "title",
    "style",
    "body",
    "header",
    "nav",
    "main",
    "section",
    "article",
    "aside",
    "footer",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "p",
    "ul",
    "li",
    "dl",
    "dt",
    "dd",
    "div",
    "span",
    "a",
    "em",
    "strong",
    "small",
    "code",
    "pre",
    "figure",
    "figcaption",
    "details",
    "summary",
    "table",
    "caption",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
} | VOID
NUMBER = re.compile(r"-?[0-9][0-9,]*(?:\.[0-9]+)?(?:e-?[0-9]+)?")
UNITS = {"µs": 1.0, "ms": 1e3, "s": 1e6}


class Page(html.parser.HTMLParser):
    def __init__(self, markup):
        super().__init__(convert_charrefs=True)
        self.markup = markup
        self.open = []
        self.wrong = []
        self.elements = []  # (name, attributes, what it is in)
        self.texts = []  # (where, text)
        self.tables = {}  # caption -> [(heads, rows)]
        self.feed(markup)
        self.close()
        if self.open:
            self.wrong.append("not closed: %s" % self.open)

    def handle_starttag(self, tag, attrs):
        if len(dict(attrs)) != len(attrs):
            self.wrong.append("an attribute twice in %s" % tag)
        if tag not in HTML | SVG:
            self.wrong.append("<%s>" % tag)
        self.elements.append((tag, {name: value or "" for name, value in attrs}, tuple(self.open)))
        if tag == "table":
            self.rows, self.caption = [], ""
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("th", "td"):
            self.rows[-1].append("")
        elif tag == "small" and self.open[-1] == "td":
            self.rows[-1][-1] += "|"
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open[-1] != tag:
            self.wrong.append("</%s> in %s" % (tag, self.open))
            return
        self.open.pop()
        if tag == "table":
            self.tables.setdefault(self.caption, []).append((self.rows[0], self.rows[1:]))

    def handle_data(self, data):
        self.texts.append((tuple(self.open), data))
        if "caption" in self.open:
            self.caption += data
        elif "th" in self.open or "td" in self.open:
            self.rows[-1][-1] += data

    def text(self):
        """What one reads, with ordinary spaces."""
        return " ".join(data for where, data in self.texts if "style" not in where).replace(
            "\N{NO-BREAK SPACE}", " "
        )

    def ids(self):
        return [attributes["id"] for _, attributes, _ in self.elements if "id" in attributes]

    def drawings(self):
        return [
            tree.fromstring(found) for found in re.findall(r"<svg.*?</svg>", self.markup, re.DOTALL)
        ]

    def row(self, caption, *begin, table=0):
        """Of the table the row that begins so, by the heads of the columns."""
        heads, rows = self.tables[caption][table]
        found = [row for row in rows if row[: len(begin)] == list(begin)]
        if len(found) != 1:
            raise AssertionError("%d rows %s in %s" % (len(found), begin, caption))
        return dict(zip(heads, found[0]))


def rendered(made):
    return Page(report.render(made))


def value(text):
    """A cell's median, lower and upper quarter as numbers, times in microseconds."""
    middle, _, quarters = text.replace("\N{NO-BREAK SPACE}", " ").partition("|")
    low, _, high = quarters.partition("\N{EN DASH}")
    return tuple(number(one, high) if one else number(middle) for one in (middle, low, high))


def number(text, with_unit=""):
    match = NUMBER.match(text)
    if not match:
        raise AssertionError("no number: %r" % text)
    unit = text[match.end() :].strip() or NUMBER.sub("", with_unit).strip()
    return float(match.group().replace(",", "")) * UNITS.get(unit, 1.0)
