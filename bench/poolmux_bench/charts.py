# SPDX-License-Identifier: BSD-3-Clause
"""Draws figures: plots.py says how, gnuplot does it, svg.py makes the result part of a page."""

import os
import shutil
import subprocess
import tempfile
from typing import Dict, Union

from . import plots, svg
from .figures import Figure
from .problem import Problem


class Missing(Problem):
    """gnuplot is not there, or cannot draw; the text says what to do."""


def needed() -> str:
    """Where gnuplot is."""
    program = shutil.which("gnuplot")
    if not program:
        raise Missing(
            "the HTML report needs gnuplot to draw its figures, which is not installed: "
            "install the package gnuplot-nox (Debian, Ubuntu) or gnuplot-minimal (Fedora)"
        )
    return program


def draw(figures: Dict[str, Figure], swatches: Dict[str, int]) -> Dict[str, str]:
    """{name: Figure} -> {name: SVG}; names are letters and digits, and begin the identifiers. So do
    those of the swatches of slots."""
    program = needed()
    with tempfile.TemporaryDirectory(prefix="poolmux-bench-") as folder:
        drawings: Dict[str, Union[plots.Lines, plots.Dots, plots.Swatch]] = {
            name: plots.drawing(figure, os.path.join(folder, name + ".svg"))
            for name, figure in figures.items()
        }
        for name, slot in swatches.items():
            drawings[name] = plots.Swatch(slot, os.path.join(folder, name + ".svg"))
        commands = "".join(plot.commands() for plot in drawings.values())
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
        for name, plot in drawings.items():
            try:
                with open(plot.path, encoding="utf-8") as file:
                    made[name] = svg.as_markup(file.read(), name, plot.texts, plot.about())
            except (OSError, svg.Broken) as error:
                told = done.stderr.decode(errors="replace").strip().splitlines()
                raise Missing(
                    "gnuplot could not draw: %s" % (told[-1] if told else error)
                ) from error
        return made
