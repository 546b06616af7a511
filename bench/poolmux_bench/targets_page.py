# SPDX-License-Identifier: BSD-3-Clause
"""The part of a report that says which targets are met: all of them in a table, and those that are
not at length."""
import re
from typing import Any, Dict, List

from . import verdicts, words
from .markup import bullets, element, paragraph, table, text

Judged = Dict[str, Any]
PERCENT = re.compile(r"(?<=[0-9])%")
CLASSES = {"met": "met", "missed": "missed", "not measured": "unknown"}
TYPED = ((" x", " " + words.TIMES), (" us", " µs"), (">=", "≥"), ("<=", "≤"))


def typeset(told: str) -> str:
    """As a page has it, and not a terminal."""
    told = PERCENT.sub(" %", told)
    for plain, better in TYPED:
        told = told.replace(plain, better) if plain in (">=", "<=") else _units(told, plain, better)
    return told


def _units(told: str, plain: str, better: str) -> str:
    """Only behind a number, and as a word of its own."""
    parts = told.split(plain)
    made = parts[0]
    for part in parts[1:]:
        is_unit = made[-1:].isdigit() and not part[:1].isalnum()
        made += (better if is_unit else plain) + part
    return made


def _row(one: Judged) -> List[str]:
    have = verdicts.amount(one["value"]["median"] if one["value"] else None, one)
    result = element("span", text(one["result"]), class_=CLASSES[one["result"]])
    sentence = text(one["says"]) + element("small", text(typeset(verdicts.what(one))))
    compared = verdicts.than(one)
    if compared:
        sentence += element("small", text(typeset("against " + compared)))
    if one["result"] == "met":  # the others are told at length
        close = [verdicts.by(one)] if one["close"] else []
        for told in (*close, *verdicts.left_out(one)):
            sentence += element("small", text(typeset(told)))
    numbers = (verdicts.mark(one), have, verdicts.quarters(one))
    return [sentence, result, *(text(typeset(told)) for told in numbers)]


def _card(one: Judged) -> str:
    head = element("h3", text(one["name"]), " ", element("strong", text(typeset(verdicts.by(one)))))
    told = [one["says"], *verdicts.more(one)[1:]]
    return element("article", head, *(paragraph(typeset(line)) for line in told), class_="missed")


def section(targets: Judged) -> str:
    judged = targets["judged"]
    heads = ["what is to be reached", "result", "wanted", "reached", "quarters"]
    rows = [_row(one) for one in judged]
    parts = [
        element("h2", "Targets"),
        paragraph(words.sentence(verdicts.count(targets)), class_="verdict"),
        table(
            "A ratio is of the same round; what counts is the median of the rounds",
            [text(head) for head in heads],
            rows,
            class_="targets",
        ),
    ]
    missed = [one for one in judged if one["result"] == "missed"]
    unknown = [one for one in judged if one["result"] == "not measured"]
    if missed:
        parts += [
            element("h3", "Missed"),
            element("div", *(_card(one) for one in missed), class_="cards wide"),
        ]
    if unknown:
        told = [
            " ".join(words.sentence(line) for line in (one["says"], *verdicts.more(one)))
            for one in unknown
        ]
        parts += [element("h3", "Not measured"), bullets(typeset(line) for line in told)]
    return element("section", *parts, id="targets")
