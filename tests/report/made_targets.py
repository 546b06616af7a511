#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A run of targets that was never made: two cases, and of each kind of verdict one. For the tests;
not a program."""

from made import cell, contestant, results

from poolmux_bench import bundle, judge
from poolmux_bench.targets import Spot, Suite, Target


def case(name, *cells, missing=None, warnings=()):
    made = results(list(cells), peers=("hiredis-threads", "floor-wakes"))
    made["workload"]["name"] = name
    if missing:
        made["contestants"].append(contestant("boost-redis-shared", "peer", missing))
    made["noise"] = {"spread": 0.1, "foreign_cpu": 0.2, "noisy": bool(warnings)}
    made["noise"]["warnings"] = list(warnings)
    return made


def target(name, spot, measure, at_least, mark, against=None, note=None, kind="all"):
    says = "this is what %s says" % name
    return Target(name, says, spot, measure, kind, at_least, mark, against, note)


def run(odd=""):
    """odd: is added to each text."""
    one, other, gone = "threads" + odd, "quiet" + odd, "boost-redis-shared"
    cases = {
        one: case(
            one,
            cell("mux", 8, 20000.0, 400.0),
            cell("hiredis-threads", 8, 10000.0, 1000.0),
            cell("mux", 64, 30000.0, 900.0),
            cell("hiredis-threads", 64, 24000.0, 3000.0),
            cell("floor-wakes", 64, 40000.0, 800.0, failed=2, errors=["a failure" + odd]),
            missing="it was not found" + odd,
            warnings=["it was loud" + odd, "it was said of both"],
        ),
        other: case(other, cell("mux", 8, 1000.0, 200.0), warnings=["it was said of both"]),
    }
    mux8, mux64 = Spot(one, ("mux",), "tcp", 8), Spot(one, ("mux",), "tcp", 64)
    best = ("hiredis-threads", gone)
    targets = [
        target("met", mux8, "rate", True, 1.6, mux8._replace(contestants=("hiredis-threads",))),
        target(
            *("missed", mux64, "rate", True, 1.4, mux64._replace(contestants=best)),
            note="what was tried" + odd,
        ),
        target("elsewhere", mux8, "p99", False, 1.2, Spot(other, ("mux",), "tcp", 8)),
        target("number", mux8, "client_cpu", False, 10.0),
        target("unknown", mux8, "rate", True, 1.0, mux8._replace(contestants=(gone,))),
    ]
    targets = [one._replace(name=one.name + odd, says=one.says + odd) for one in targets]
    suite = Suite("there/shop.targets" + odd, [], targets, None)
    return bundle.of(cases, judge.judged(suite, cases))
