# SPDX-License-Identifier: BSD-3-Clause
"""Makes gnuplot's SVG part of a page: colours become classes, so that they follow the page's
light or dark, texts are put in, identifiers are unique in the page, and only elements and
attributes remain that are known to draw. Knows nothing of figures."""

import xml.etree.ElementTree as tree
from typing import List, Optional, Tuple

from .markup import clean

SVG = "{http://www.w3.org/2000/svg}"
XLINK = "{http://www.w3.org/1999/xlink}href"
COLOURS = 10  # of the page, as classes c0 to c9
# What gnuplot is told, and the class it becomes.
QUIET, GRID = "#010101", "#010102"
CLASSES = {QUIET: "quiet", GRID: "grid"}
CLASSES.update(("#0000%02x" % (0x10 + number), "c%d" % number) for number in range(COLOURS))
KEPT = {
    "path",
    "g",
    "text",
    "tspan",
    "use",
    "circle",
    "rect",
    "polygon",
    "polyline",
    "line",
    "svg",
    "defs",
}
ATTRIBUTES = {
    "d",
    "fill",
    "stroke",
    "stroke-width",
    "stroke-linecap",
    "stroke-linejoin",
    "stroke-dasharray",
    "stroke-miterlimit",
    "stroke-opacity",
    "fill-opacity",
    "transform",
    "text-anchor",
    "font-size",
    "x",
    "y",
    "width",
    "height",
    "r",
    "cx",
    "cy",
    "points",
    "id",
    "viewBox",
    "color",
    "x1",
    "x2",
    "y1",
    "y2",
}

Broken = tree.ParseError


def colour(slot: int) -> str:
    return "#0000%02x" % (0x10 + slot % COLOURS)


def painted(value: str) -> Optional[str]:
    """The class for a colour of gnuplot's: rgb(  0,   0,  16)."""
    digits = value.replace("rgb(", "").replace(")", "").split(",")
    if not value.startswith("rgb(") or len(digits) != 3:
        return None
    return CLASSES.get("#%02x%02x%02x" % tuple(int(digit) for digit in digits))


def cleaned(element: tree.Element, prefix: str, texts: List[str]) -> Optional[tree.Element]:
    """A copy with what a page may have, or None."""
    name = element.tag.replace(SVG, "")
    if name not in KEPT:
        return None
    copy = tree.Element(name)
    for key, value in element.attrib.items():
        if key == XLINK and value.startswith("#"):
            copy.set("href", "#%s-%s" % (prefix, value[1:]))
        elif key == "id":
            if element.tag != SVG + "g":
                copy.set("id", "%s-%s" % (prefix, value))
        elif key in ("fill", "stroke", "color"):
            paint(copy, key, value)
        elif key in ATTRIBUTES:
            copy.set(key, value)
    if name == "text" or name == "tspan":
        copy.text = (element.text or "").strip()
        if copy.text.startswith("@") and copy.text.endswith("@"):
            copy.text = clean(texts[int(copy.text[1:-1])])
    for child in element:
        kept = cleaned(child, prefix, texts)
        if kept is not None:
            copy.append(kept)
    empty = name == "g" or name == "path" and "d" not in copy.attrib
    return None if empty and not len(copy) else copy


def paint(copy: tree.Element, key: str, value: str) -> None:
    if value == "none":
        copy.set(key, value)
        return
    known = painted(value)
    if known:
        copy.set("class", known)
    if key != "color":
        copy.set(key, "currentColor")


def without_unused(drawing: tree.Element) -> None:
    """Removes the marks that no line has, and those that were there for these only."""
    while True:
        used = {part.get("href", "")[1:] for part in drawing.iter("use")}
        unused = [
            (parent, child)
            for parent in drawing.iter("defs")
            for child in parent
            if child.get("id") not in used
        ]
        if not unused:
            return
        for parent, child in unused:
            parent.remove(child)


def as_markup(source: str, prefix: str, texts: List[str], about: Optional[Tuple[str, str]]) -> str:
    """gnuplot's file as an element of a page."""
    drawing = cleaned(tree.fromstring(source), prefix, texts)
    if drawing is None:
        raise Broken("an empty drawing")
    without_unused(drawing)
    if not about:
        drawing.set("aria-hidden", "true")
        return str(tree.tostring(drawing, encoding="unicode"))
    drawing.set("role", "img")
    drawing.set("aria-labelledby", "%s-title %s-desc" % (prefix, prefix))
    for place, (name, text) in enumerate(zip(("title", "desc"), about)):
        told = tree.Element(name, {"id": "%s-%s" % (prefix, name)})
        told.text = clean(text)
        drawing.insert(place, told)
    return str(tree.tostring(drawing, encoding="unicode"))
