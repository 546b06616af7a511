# SPDX-License-Identifier: BSD-3-Clause
"""Pieces of HTML: text that is escaped, elements, tables. Everything that comes from outside
passes text() or an attribute of element()."""

import html
import re
from typing import Iterable, Optional, Sequence

NUMBER_AND_UNIT = re.compile(r"(?<=[0-9]) (?=(?:%|×|µs|ms|s|k|M|bytes|KiB|MiB|GiB)(?:[^\w]|$))")
HEADING = re.compile(r"(</?h)([1-5])(?=[ >])")  # text has no "<" any more
# Not allowed in a page, though a text may have them.
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def clean(words: object) -> str:
    return CONTROL.sub("\N{REPLACEMENT CHARACTER}", str(words))


def text(words: object) -> str:
    """Escaped; a number stays with its unit."""
    return html.escape(NUMBER_AND_UNIT.sub("\N{NO-BREAK SPACE}", clean(words)), quote=True)


def element(name: str, *content: str, **attributes: Optional[str]) -> str:
    """Content is markup already. class_ is class; aria_label is aria-label."""
    told = "".join(
        ' %s="%s"' % (key.rstrip("_").replace("_", "-"), html.escape(clean(value)))
        for key, value in attributes.items()
        if value is not None
    )
    return "<%s%s>%s</%s>" % (name, told, "".join(content), name)


def lowered(markup: str) -> str:
    """What was a page becomes a part of one: its headings go down by a level."""
    return HEADING.sub(lambda match: match[1] + str(int(match[2]) + 1), markup)


def paragraph(words: object, **attributes: Optional[str]) -> str:
    return element("p", text(words), **attributes)


def bullets(lines: Iterable[str], **attributes: Optional[str]) -> str:
    return element("ul", *(element("li", text(line)) for line in lines), **attributes)


def value(middle: str, low: Optional[str] = None, high: Optional[str] = None) -> str:
    """A cell's number, and the quarters under it."""
    told = text(middle)
    if low is not None and low != high:
        told += element("small", text("%s\N{EN DASH}%s" % (low, high)))
    return told


def table(
    caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]], **attributes: Optional[str]
) -> str:
    """Of rows of markup; the first cell of each is its head. It scrolls where it is too wide."""
    top = element("tr", *(element("th", head, scope="col") for head in heads))
    body = (
        element(
            "tr", element("th", row[0], scope="row"), *(element("td", cell) for cell in row[1:])
        )
        for row in rows
    )
    inner = element(
        "table",
        element("caption", text(caption)),
        element("thead", top),
        element("tbody", *body),
        **attributes
    )
    return element("div", inner, class_="scroll", tabindex="0", role="region", aria_label=caption)


def details(summary: str, *content: str, opened: bool = False) -> str:
    begin = "<details open>" if opened else "<details>"
    return begin + element("summary", text(summary)) + "".join(content) + "</details>"
