# SPDX-License-Identifier: BSD-3-Clause
"""Draws figures with gnuplot. It gets numbers only: where a text belongs it is told @0@, @1@
and so on, and svg.py puts the texts in afterwards, where they cannot be misread."""

import math
import os
import shutil
import subprocess
import tempfile
from typing import Dict, Iterable, List, Optional, Tuple, Union

from . import svg
from .figures import Figure
from .problem import Problem

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 420, 302, 58, 46, 12
FONT = 13
LETTER = 6.9  # pixels, more or less
LINE = 15
LABEL = 18  # letters of a name beside its line
# Mark, dashes, width of a line: by slot. The first three are the strategies.
STYLES = (
    (7, 1, 2.6),
    (5, 1, 2.6),
    (9, 1, 2.6),
    (13, 2, 1.5),
    (11, 3, 1.5),
    (6, 4, 1.5),
    (4, 5, 1.5),
    (8, 2, 1.5),
    (12, 3, 1.5),
    (10, 4, 1.5),
    (1, 5, 1.5),
    (2, 2, 1.5),
    (3, 3, 1.5),
)
DASHES = (
    "set dashtype 2 (8,4)\nset dashtype 3 (2,3)\nset dashtype 4 (9,3,2,3)\nset dashtype 5 (5,3)\n"
)


class Missing(Problem):
    """gnuplot is not there, or cannot draw; the text says what to do."""


def style(slot: int) -> Tuple[int, int, float, str]:
    mark, dash, width = STYLES[slot % len(STYLES)]
    return mark, dash, width, svg.colour(slot)


# ---- axes ----


def log_ticks(low: float, high: float) -> List[float]:
    """Powers of ten, and 2 and 5 times them where there is room."""
    steps = (1, 2, 5) if high / low < 300 else (1,)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    return [
        step * 10**power
        for power in range(first, last + 1)
        for step in steps
        if low * 0.999 <= step * 10.0**power <= high * 1.001
    ]


def linear_ticks(high: float) -> List[float]:
    step = 10 ** math.floor(math.log10(high / 3))
    step *= next(factor for factor in (1, 2, 5, 10) if high / (step * factor) <= 5.5)
    count = math.floor(high / step * 1.0001)
    return [step * index for index in range(count + 1)]


class Axis:
    """A range, the ticks in it, and where a value is: 0 to 1."""

    def __init__(self, values: List[float], log: bool) -> None:
        low, high = min(values), max(values)
        self.log = log and low > 0
        if self.log:
            # At least a factor of four: else noise looks like news.
            middle = math.sqrt(low * high)
            low, high = min(low / 1.12, middle / 2), max(high * 1.12, middle * 2)
            self.low, self.high = low, high
            self.ticks = log_ticks(low, high)
        else:
            self.low, self.high = 0, (high or 1) * 1.06
            self.ticks = linear_ticks(self.high)

    def place(self, value: float) -> float:
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def short(figure: Figure, value: float) -> str:
    """A tick's words."""
    if figure.kind == "number" and abs(value) >= 1e4:
        return "%g M" % (value / 1e6) if value >= 1e6 else "%g k" % (value / 1e3)
    return figure.write(value) if value or figure.kind != "us" else "0"


def caller_ticks(xs: List[float], width: float) -> List[float]:
    """Those that have room, from the right, where lines are furthest apart."""
    low, high = math.log(xs[0]), math.log(xs[-1])
    chosen, last = [], None
    for x in reversed(xs):
        at = (math.log(x) - low) / (high - low or 1) * width
        room = LETTER * len("%d" % x) + 8
        if last is None or last - at >= room:
            chosen.append(x)
            last = at
    return chosen


# ---- what gnuplot is told ----


def clipped(name: str) -> str:
    return name if len(name) <= LABEL else name[: LABEL - 1] + "\N{HORIZONTAL ELLIPSIS}"


def spaced(places: Dict[str, float], gap: float) -> Dict[str, float]:
    """Moves labels apart: {name: place}, places from 0 to 1."""
    order = sorted(places, key=lambda name: places[name])
    at = [places[name] for name in order]
    for _ in range(200):
        moved = False
        for one in range(len(at) - 1):
            short_of = gap - (at[one + 1] - at[one])
            if short_of > 1e-6:
                at[one] -= short_of / 2
                at[one + 1] += short_of / 2
                moved = True
        low, high = -0.02, 1.02
        if at and at[0] < low:
            at[0], moved = low, True
        if at and at[-1] > high:
            at[-1], moved = high, True
        if not moved:
            break
    return dict(zip(order, at))


class Plot:
    """One figure as commands; texts that stand for ours are @0@, @1@ and so on."""

    def __init__(self, figure: Figure, path: str) -> None:
        self.figure = figure
        self.path = path
        self.texts: List[str] = []
        self.height = max(HEIGHT, BOTTOM + TOP + LINE * (len(figure.rows) + 2))
        longest = max(len(clipped(row.name)) for row in figure.rows)
        self.right = int(30 + LETTER * longest)

    def text(self, words: str) -> str:
        self.texts.append(words)
        return '"@%d@"' % (len(self.texts) - 1)

    def commands(self) -> str:
        figure = self.figure
        values = [point[1] for row in figure.rows for point in row.points]
        if figure.x_log:  # over time without quarters
            values += [value for row in figure.rows for point in row.points for value in point[2:]]
        y = Axis(values, figure.log)
        told = [
            "reset",
            'set terminal svg size %d,%d noenhanced font ",%d"' % (WIDTH, self.height, FONT),
            'set output "%s"' % self.path,
            "set encoding utf8",
            DASHES,
            "set lmargin at screen %f" % (LEFT / WIDTH),
            "set rmargin at screen %f" % (1 - self.right / WIDTH),
            "set bmargin at screen %f" % (BOTTOM / self.height),
            "set tmargin at screen %f" % (1 - TOP / self.height),
            "unset key",
            'set border 1 lw 1 lc rgb "%s"' % svg.QUIET,
            'set grid ytics back lt 1 lw 1 lc rgb "%s"' % svg.GRID,
        ]
        told += self.horizontal() + self.vertical(y) + self.labels(y) + self.lines()
        return "\n".join(told) + "\n"

    def about(self) -> Optional[Tuple[str, str]]:
        return "%s: %s" % (self.figure.title, self.figure.note), self.figure.description()

    def horizontal(self) -> List[str]:
        xs = self.figure.xs()
        told = [
            'set xlabel %s offset 0,0.8 tc rgb "%s"' % (self.text(self.figure.x_name), svg.QUIET)
        ]
        tics = 'set xtics nomirror out scale 0.5 offset 0,0.2 tc rgb "%s"' % svg.QUIET
        if not self.figure.x_log:
            high = xs[-1] * 1.02 or 1
            ticks = linear_ticks(high)
            told.append("set xrange [%g:%g]" % (-high / 25, high))
        else:
            # Some room at the left, where marks would stand on the ticks; and a little at the right:
            # a tick at the very end is lost to rounding.
            low, high = xs[0] * (xs[0] / xs[-1]) ** 0.04, xs[-1] * 1.0001
            if len(xs) == 1:
                low, high = xs[0] / 2, xs[0] * 2
            told += ["set logscale x 2", "set xrange [%.9g:%.9g]" % (low, high)]
            ticks = caller_ticks(xs, WIDTH - LEFT - self.right)
        told.append(
            "%s (%s)"
            % (
                tics,
                ", ".join(
                    "%s %g"
                    % (self.text("%s" % format(x, ",") if self.figure.x_log else "%g" % x), x)
                    for x in ticks
                ),
            )
        )
        return told

    def vertical(self, y: Axis) -> List[str]:
        told = ["set yrange [%g:%g]" % (y.low, y.high)]
        if y.log:
            told.append("set logscale y")
        told.append(
            'set ytics nomirror scale 0 offset 0.4,0 tc rgb "%s" (%s)'
            % (
                svg.QUIET,
                ", ".join(
                    "%s %g" % (self.text(short(self.figure, value)), value) for value in y.ticks
                ),
            )
        )
        return told

    def labels(self, y: Axis) -> List[str]:
        """Each line's name at its end, with its mark."""
        ends = {}
        for row in self.figure.rows:
            ends[row.name] = y.place(row.points[-1][1])
        ends = spaced(ends, LINE / (self.height - BOTTOM - TOP))
        beside = 1 + 14 / (WIDTH - LEFT - self.right)
        told = []
        for row in self.figure.rows:
            mark, _, _, colour = style(row.slot)
            told.append(
                'set label %s at graph %f, graph %f left point pt %d ps 0.75 lc rgb "%s" '
                "offset 0.5,-0.25"
                % (self.text(clipped(row.name)), beside, ends[row.name], mark, colour)
            )
        return told

    def lines(self) -> List[str]:
        told, plots = [], []
        for index, row in enumerate(self.figure.rows):
            mark, dash, width, colour = style(row.slot)
            told.append(
                "$d%d << EOD\n%s\nEOD"
                % (index, "\n".join("%.9g %.9g %.9g %.9g" % point for point in row.points))
            )
            every = 1 if self.figure.x_log else max(1, len(row.points) // 5)
            if self.figure.x_log:
                plots.append(
                    '$d%d using 1:3:(0):($4-$3) with vectors nohead lw 1 dt 1 lc rgb "%s"'
                    % (index, colour)
                )
            plots.append(
                '$d%d using 1:2 with linespoints lw %g dt %d lc rgb "%s" pt %d ps 0.75 pi %d'
                % (index, width, dash, colour, mark, every)
            )
        return told + ["plot " + ", \\\n  ".join(plots)]


class Swatch:
    """The line and the mark of a slot, for a list of contestants."""

    def __init__(self, slot: int, path: str) -> None:
        self.slot = slot
        self.path = path
        self.texts: List[str] = []

    def commands(self) -> str:
        mark, dash, width, colour = style(self.slot)
        return (
            "\n".join(
                (
                    "reset",
                    'set terminal svg size 46,16 noenhanced font ",%d"' % FONT,
                    'set output "%s"' % self.path,
                    DASHES,
                    "set lmargin at screen 0.02",
                    "set rmargin at screen 0.98",
                    "set bmargin at screen 0",
                    "set tmargin at screen 1",
                    "unset key",
                    "unset border",
                    "unset tics",
                    "set xrange [0:2]",
                    "set yrange [-1:1]",
                    "$d << EOD\n0 0\n2 0\nEOD",
                    "$m << EOD\n1 0\nEOD",
                    'plot $d with lines lw %g dt %d lc rgb "%s", \\' % (width, dash, colour),
                    '  $m with points pt %d ps 0.75 lc rgb "%s"' % (mark, colour),
                )
            )
            + "\n"
        )

    def about(self) -> Optional[Tuple[str, str]]:
        return None


def needed() -> str:
    """Where gnuplot is."""
    program = shutil.which("gnuplot")
    if not program:
        raise Missing(
            "the HTML report needs gnuplot to draw its figures, which is not installed: "
            "install the package gnuplot-nox (Debian, Ubuntu) or gnuplot-minimal (Fedora)"
        )
    return program


def draw(figures: Dict[str, Figure], swatches: Iterable[int] = ()) -> Dict[str, str]:
    """{name: Figure} -> {name: SVG}; names are letters and digits, and begin the identifiers. The
    swatch of a slot is called key and its number."""
    program = needed()
    with tempfile.TemporaryDirectory(prefix="poolmux-bench-") as folder:
        plots: Dict[str, Union[Plot, Swatch]] = {
            name: Plot(figure, os.path.join(folder, name + ".svg"))
            for name, figure in figures.items()
        }
        for slot in swatches:
            plots["key%d" % slot] = Swatch(slot, os.path.join(folder, "key%d.svg" % slot))
        commands = "".join(plot.commands() for plot in plots.values())
        environment = dict(os.environ, LC_ALL="C", GNUPLOT_LIB="", GNUTERM="svg")
        done = subprocess.run(
            [program, "-d"],
            input=commands.encode(),
            cwd=folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=False,
        )
        made = {}
        for name, plot in plots.items():
            try:
                with open(plot.path, encoding="utf-8") as file:
                    made[name] = svg.as_markup(file.read(), name, plot.texts, plot.about())
            except (OSError, svg.Broken) as error:
                told = done.stderr.decode(errors="replace").strip().splitlines()
                raise Missing(
                    "gnuplot could not draw: %s" % (told[-1] if told else error)
                ) from error
        return made
