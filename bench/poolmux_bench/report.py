# SPDX-License-Identifier: BSD-3-Clause
"""The HTML report: one file that loads nothing and runs nothing. write() puts it together from the
advice, the figures and the tables; how it looks is in look.py."""

import contextlib
import os
import re
from typing import Any, Dict, List, Tuple

from . import advice, bundle, caveats, charts, figures, look, method, tables, targets_page, words
from .markup import bullets, clean, details, element, lowered, paragraph, text
from .measured import Measured
from .problem import Problem

# A page that may load nothing: the browser is told so too.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


Sections = Dict[str, List[figures.Group]]


def write(results: Dict[str, Any], path: str) -> None:
    """The report of `results` becomes the file `path`, at once and complete or not at all."""
    page = render(results)
    try:
        if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
            with open(path, "w", encoding="utf-8") as device:
                device.write(page)
            return
        replace(page, path)
    except OSError as error:
        raise Problem("--html: %s: %s" % (path, error.strerror)) from error


def replace(page: str, path: str) -> None:
    beside = "%s.%d" % (path, os.getpid())
    try:
        with open(beside, "x", encoding="utf-8", newline="\n") as file:
            file.write(page)
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside)
        raise


def render(results: Dict[str, Any]) -> str:
    """The page as text; charts.Missing when there is no gnuplot."""
    if bundle.is_one(results):
        return of_cases(results)
    measured = Measured(results)
    title = "%s: %s" % (measured.workload.name, measured.workload.title())
    name = element("em", text(measured.workload.name))
    return page(
        title,
        top(results, element("h1", "Which strategy for ", name, "?"), measured.workload.title()),
        contents(links(measured)),
        element("main", *parts(measured)),
        bottom(results),
    )


def of_cases(results: Dict[str, Any]) -> str:
    """The targets, and then for each case what a report of its own would have."""
    targets, cases = results["targets"], bundle.apart(results)
    name = os.path.basename(str(targets["source"]))
    chapters = [Measured(case, "c%d" % number) for number, case in enumerate(cases)]
    places = [("targets", "Targets")]
    places += [(one.mark, "Case %s" % one.workload.name) for one in chapters]
    head = element("h1", "Are the targets ", element("em", "met"), "?")
    count = "%s in %s, of the file %s" % (
        words.plural(len(targets["judged"]), "target"),
        words.plural(len(cases), "case"),
        clean(name),
    )
    return page(
        "Targets of %s" % name,
        top(results, head, count),
        contents(places),
        element(
            "main",
            warnings(doubts_of(chapters)),
            targets_page.section(targets),
            *(chapter(one) for one in chapters),
        ),
        bottom(results),
    )


def doubts_of(chapters: List[Measured]) -> List[str]:
    """Of the run, and of its cases; what is of all of them once."""
    first = chapters[0]
    noise = bundle.warnings([one.results for one in chapters])
    told = [caveats.incomplete(first), caveats.foreign_server(first)]
    told += ["case %s: %s" % line if line[0] else line[1] for line in noise]
    return first.sentences(told)


def chapter(measured: Measured) -> str:
    name = element("em", text(measured.workload.name))
    return element(
        "section",
        element("h2", "Case ", name),
        paragraph(words.sentence(measured.workload.title()), class_="about"),
        warnings(measured.sentences(caveats.failed_calls(measured))),
        lowered("".join(parts(measured))),
        id=measured.mark,
        class_="chapter",
    )


def parts(measured: Measured) -> List[str]:
    told = advice.Advice(measured)
    sections = {transport: figures.groups(measured, transport) for transport in measured.transports}
    drawn = draw(measured, sections)
    return [
        warnings(told.warnings) if not measured.mark else "",
        advised(measured, told),
        compared(measured, told.absent, drawn),
        *(
            transport_section(measured, transport, sections[transport], drawn)
            for transport in measured.transports
        ),
        numbers(measured),
        method.section(measured),
    ]


def page(title: str, *body: str) -> str:
    head = element(
        "head",
        '<meta charset="utf-8">',
        '<meta http-equiv="Content-Security-Policy" content="%s">' % POLICY,
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        '<link rel="icon" href="data:,">',
        element("title", text(title + " \N{EN DASH} poolmux-bench")),
        element("style", look.STYLE),
    )
    return "<!DOCTYPE html>\n%s\n" % element(
        "html",
        head,
        element("body", *body),
        lang="en",
    )


def draw(measured: Measured, sections: Sections) -> Dict[str, str]:
    """By names that are unique in the page, which the figures get."""
    every = [figure for groups in sections.values() for group in groups for figure in group.figures]
    for number, figure in enumerate(every):
        figure.name = "%sf%d" % (measured.mark, number)
    wanted = {figure.name: figure for figure in every}
    return charts.draw(
        wanted, {swatch(measured, slot): slot for slot in figures.slots(measured).values()}
    )


def swatch(measured: Measured, slot: int) -> str:
    return "%skey%d" % (measured.mark, slot)


# ---- top and bottom ----


def top(results: Dict[str, Any], head: str, about: str) -> str:
    machine, server = results.get("machine") or {}, results.get("server") or {}
    facts = [
        date_words(results.get("date")),
        machine.get("cpu"),
        words.plural(machine["cores"], "core") if machine.get("cores") else None,
        "%s %s" % (server.get("name", ""), server.get("version", "")) if server else None,
    ]
    return element(
        "header",
        element("p", "poolmux-bench", class_="tool"),
        head,
        paragraph(words.sentence(about), class_="about"),
        element("p", *(element("span", text(fact)) for fact in facts if fact), class_="facts"),
    )


def date_words(date: Any) -> Any:
    """2026-11-29T18:40:00Z -> 2026-11-29, 18:40 UTC"""
    match = re.fullmatch(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d):\d\d(?:\.\d+)?Z", str(date or ""))
    return "%s, %s UTC" % match.groups() if match else date


def links(measured: Measured) -> List[Tuple[str, str]]:
    many = len(measured.transports) > 1
    return [
        ("advice", "Advice"),
        ("compared", "What was compared"),
        *(
            (anchor(measured, transport), "Over %s" % over(transport) if many else "Figures")
            for transport in measured.transports
        ),
        ("numbers", "All numbers"),
        ("method", "How it was measured"),
    ]


def contents(places: List[Tuple[str, str]]) -> str:
    return element(
        "nav",
        element(
            "ul",
            *(element("li", element("a", text(name), href="#" + place)) for place, name in places),
        ),
        aria_label="Contents",
    )


def anchor(measured: Measured, transport: str) -> str:
    return "%sfigures-%d" % (measured.mark, measured.transports.index(transport))


def over(transport: str) -> str:
    return words.TRANSPORTS.get(transport, clean(transport))


def bottom(results: Dict[str, Any]) -> str:
    return element(
        "footer",
        paragraph(
            "poolmux-bench %s. This page is complete: it loads nothing, and runs nothing."
            % results.get("tool_version", "")
        ),
    )


# ---- advice ----


def warnings(lines: List[str]) -> str:
    if not lines:
        return ""
    return element(
        "aside",
        element("h2", "Before you believe it"),
        bullets(lines),
        class_="warnings",
        aria_label="Warnings",
    )


def advised(measured: Measured, told: advice.Advice) -> str:
    parts = [element("h2", "Advice")]
    for transport in measured.transports:
        chosen = [one for one in told.choices if one.transport == transport]
        level = "h3"
        if len(measured.transports) > 1:
            parts.append(element("h3", text("Over %s" % over(transport))))
            level = "h4"
        parts.append(paragraph(advice.verdict(chosen), class_="verdict"))
        parts.append(element("div", *(card(one, level) for one in chosen), class_="cards"))
    if told.remarks:
        parts += [element("h3", "What else stands out"), bullets(told.remarks)]
    return element("section", *parts, id=measured.mark + "advice")


def card(choice: advice.Choice, level: str) -> str:
    head = element(
        level,
        text(words.plural(choice.callers, "caller")),
        " ",
        element("strong", text(choice.take or "no advice")),
    )
    return element("article", head, *(paragraph(line) for line in choice.sentences))


def compared(measured: Measured, absent: List[str], drawn: Dict[str, str]) -> str:
    """The contestants, with their lines and marks; and who is not among them."""
    versions = measured.results.get("versions") or {}
    slots = figures.slots(measured)
    rows = []
    for one in measured.present():
        name, library = str(one.get("name")), str(one.get("library") or "")
        version = str(versions.get(library) or "").partition(" ")[0]
        about = (
            "%s (%s\N{NO-BREAK SPACE}%s)" % (one["description"], library, version)
            if (version and one.get("description"))
            else one.get("description") or library
        )
        rows.append(
            element(
                "div",
                element("dt", drawn[swatch(measured, slots[name])], text(name)),
                element("dd", text(about)),
            )
        )
    parts = [element("h2", "What was compared"), element("dl", *rows, class_="key")]
    if absent:
        parts += [element("h3", "Not among the figures"), bullets(absent)]
    return element("section", *parts, id=measured.mark + "compared")


# ---- figures ----


def transport_section(
    measured: Measured, transport: str, groups: List[figures.Group], drawn: Dict[str, str]
) -> str:
    many = len(measured.transports) > 1
    head = "Over %s" % over(transport) if many else "Figures"
    parts = [element("h2", text(head))]
    if not groups:
        parts.append(paragraph("Nothing was measured."))
    for group in groups:
        parts.append(group_section(measured, group, drawn))
    return element("section", *parts, id=anchor(measured, transport))


def group_section(measured: Measured, group: figures.Group, drawn: Dict[str, str]) -> str:
    shown = [
        element(
            "figure",
            element("figcaption", element("strong", text(figure.title)), " ", text(figure.note)),
            drawn[figure.name],
        )
        for figure in group.figures
    ]
    note = [paragraph(group.note)] if group.note else []
    told = details(
        "The numbers: median of %s, and below it lower and upper quarter"
        % words.plural(measured.rounds_done, "round"),
        element("div", *(tables.of_figure(figure) for figure in group.figures), class_="beside"),
        opened=group.title == "Throughput",
    )
    return element(
        "section",
        element("h3", text(group.title)),
        *note,
        element("div", *shown, class_="figures"),
        told,
        class_="group",
    )


# ---- numbers ----


def numbers(measured: Measured) -> str:
    parts = [
        element("h2", "All numbers"),
        paragraph(
            "What the figures leave out. Of each number the median of the rounds, and below "
            "it lower and upper quarter. Tables that are open get on paper too."
        ),
    ]
    for transport in measured.transports:
        made = [
            (title, make(measured, transport))
            for title, make in (
                ("Latency by kind of calls", tables.of_classes),
                ("Other measures", tables.of_others),
                ("Counters of the libraries", tables.of_counters),
                ("Round by round", tables.of_rounds),
            )
        ]
        if len(measured.transports) > 1:
            parts.append(element("h3", text("Over %s" % over(transport))))
        parts += [details(title, table) for title, table in made if table]
    return element("section", *parts, id=measured.mark + "numbers")
