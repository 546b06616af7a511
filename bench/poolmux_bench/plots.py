# SPDX-License-Identifier: BSD-3-Clause
"""Figures as commands for gnuplot, which runs where its files are to be. It gets numbers only: where a
text belongs it is told @0@, @1@ and so on, and svg.py puts the texts in afterwards, where they cannot
be misread."""

import math
import os
from typing import Dict, List, Optional, Tuple, Union

from . import svg, words
from .axes import LETTER, Axis, linear_ticks, short, tick_list, with_room
from .figures import Figure

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 420, 302, 58, 46, 12
FONT = 13
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


def style(slot: int) -> Tuple[int, int, float, str]:
    mark, dash, width = STYLES[slot % len(STYLES)]
    return mark, dash, width, svg.colour(slot)


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


class Drawing:
    """What all have: a size, margins in pixels, and texts, which stand as @0@, @1@ and so on."""

    def __init__(self, figure: Figure, path: str) -> None:
        self.figure = figure
        self.path = path
        self.texts: List[str] = []
        self.names = [clipped(row.name) for row in figure.rows]
        self.longest = LETTER * max(len(name) for name in self.names)

    def text(self, told: str) -> str:
        self.texts.append(told)
        return '"@%d@"' % (len(self.texts) - 1)

    def about(self) -> Optional[Tuple[str, str]]:
        return "%s: %s" % (self.figure.title, self.figure.note), self.figure.description()

    def head(self, left: float, right: float, height: float, grid: str) -> List[str]:
        return [
            "reset",
            'set terminal svg size %d,%d noenhanced font ",%d"' % (WIDTH, height, FONT),
            'set output "%s"' % os.path.basename(self.path),
            "set encoding utf8",
            DASHES,
            "set lmargin at screen %f" % (left / WIDTH),
            "set rmargin at screen %f" % (1 - right / WIDTH),
            "set bmargin at screen %f" % (BOTTOM / height),
            "set tmargin at screen %f" % (1 - TOP / height),
            "unset key",
            'set border 1 lw 1 lc rgb "%s"' % svg.QUIET,
            'set grid %s back lt 1 lw 1 lc rgb "%s"' % (grid, svg.GRID),
        ]

    def bottom(self, name: str, ticks: List[float], names: List[str]) -> List[str]:
        return [
            'set xlabel %s offset 0,0.8 tc rgb "%s"' % (self.text(name), svg.QUIET),
            'set xtics nomirror out scale 0.5 offset 0,0.2 tc rgb "%s" %s'
            % (svg.QUIET, tick_list([self.text(name) for name in names], ticks)),
        ]


class Lines(Drawing):
    """A line for each contestant, with its name at the end."""

    def __init__(self, figure: Figure, path: str) -> None:
        super().__init__(figure, path)
        self.height = max(HEIGHT, BOTTOM + TOP + LINE * (len(figure.rows) + 2))
        self.right = int(30 + self.longest)
        self.width = WIDTH - LEFT - self.right

    def commands(self) -> str:
        figure = self.figure
        values = [point[1] for row in figure.rows for point in row.points]
        if figure.x_log:  # over time without quarters
            values += [value for row in figure.rows for point in row.points for value in point[2:]]
        y = Axis(values, figure.log)
        told = self.head(LEFT, self.right, self.height, "ytics")
        told += self.callers() if figure.x_log else self.time()
        told += self.vertical(y) + self.labels(y) + self.lines()
        return "\n".join(told) + "\n"

    def time(self) -> List[str]:
        high = self.figure.xs()[-1] * 1.02 or 1
        ticks = linear_ticks(high)
        return ["set xrange [%g:%g]" % (-high / 25, high)] + self.bottom(
            self.figure.x_name, ticks, ["%g" % x for x in ticks]
        )

    def callers(self) -> List[str]:
        xs = self.figure.xs()
        # Some room at the left, where marks would stand on the ticks; and a little at the right:
        # a tick at the very end is lost to rounding.
        low, high = xs[0] * (xs[0] / xs[-1]) ** 0.04, xs[-1] * 1.0001
        names = [format(x, ",") for x in xs]
        places = [math.log(x / low) / math.log(high / low) * self.width for x in xs]
        chosen = with_room(xs, places, names)
        return ["set logscale x 2", "set xrange [%.9g:%.9g]" % (low, high)] + self.bottom(
            self.figure.x_name, [xs[one] for one in chosen], [names[one] for one in chosen]
        )

    def vertical(self, y: Axis) -> List[str]:
        told = ["set yrange [%g:%g]" % (y.low, y.high)]
        if y.log:
            told.append("set logscale y")
        names = [self.text(short(self.figure, value)) for value in y.ticks]
        told.append(
            'set ytics nomirror scale 0 offset 0.4,0 tc rgb "%s" %s'
            % (svg.QUIET, tick_list(names, y.ticks))
        )
        return told

    def labels(self, y: Axis) -> List[str]:
        """Each line's name at its end, with its mark."""
        ends = {}
        for row in self.figure.rows:
            ends[row.name] = y.place(row.points[-1][1])
        ends = spaced(ends, LINE / (self.height - BOTTOM - TOP))
        beside = 1 + 14 / self.width
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


class Dots(Drawing):
    """A mark for each contestant, one below the other: where there is one number of callers
    only."""

    def commands(self) -> str:
        rows = self.figure.rows
        left, right = int(12 + self.longest), 22
        points = [row.points[0] for row in rows]
        x = Axis([value for point in points for value in point[1:]], self.figure.log)
        names = [short(self.figure, value) for value in x.ticks]
        places = [x.place(value) * (WIDTH - left - right) for value in x.ticks]
        chosen = with_room(x.ticks, places, names)
        told = self.head(left, right, BOTTOM + TOP + 24 * len(rows), "xtics")
        told += ["set logscale x"] if x.log else []
        told.append("set xrange [%.9g:%.9g]" % (x.low, x.high))
        told += self.bottom(
            "with %s" % words.plural(int(points[0][0]), "caller"),
            [x.ticks[one] for one in chosen],
            [names[one] for one in chosen],
        )
        heights = [float(len(rows) - number) for number in range(len(rows))]
        told.append("set yrange [0.4:%g]" % (len(rows) + 0.6))
        told.append(
            "set ytics nomirror scale 0 offset 0.4,0 %s"
            % tick_list([self.text(name) for name in self.names], heights)
        )
        return "\n".join(told + self.marks(heights)) + "\n"

    def marks(self, heights: List[float]) -> List[str]:
        told, plots = [], []
        for number, row in enumerate(self.figure.rows):
            mark, _, _, colour = style(row.slot)
            _, middle, low, high = row.points[0]
            data = (middle, heights[number], low, high)
            told.append("$d%d << EOD\n%.9g %.9g %.9g %.9g\nEOD" % (number, *data))
            plots.append(
                '$d%d using 3:2:($4-$3):(0) with vectors nohead lw 1.5 dt 1 lc rgb "%s"'
                % (number, colour)
            )
            plots.append(
                '$d%d using 1:2 with points pt %d ps 0.9 lc rgb "%s"' % (number, mark, colour)
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
                    'set output "%s"' % os.path.basename(self.path),
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


def drawing(figure: Figure, path: str) -> Union[Lines, Dots]:
    return Dots(figure, path) if figure.x_log and len(figure.xs()) == 1 else Lines(figure, path)
