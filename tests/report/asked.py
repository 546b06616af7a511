#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Asks the advice about results, for the tests; not a program."""

from made import results
from poolmux_bench import advice
from poolmux_bench.measured import Measured


def advised(made):
    return advice.Advice(Measured(made))


def told(*cells, **more):
    """The sentences for the first number of callers, and what to take."""
    one = advised(results(list(cells), **more)).choices[0]
    return one.take, one.sentences


def remarks(*cells, **more):
    return advised(results(list(cells), **more)).remarks


def warnings(*cells, **more):
    return advised(results(list(cells), **more)).warnings


def absent(*cells, **more):
    return advised(results(list(cells), **more)).absent
