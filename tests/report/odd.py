#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Results that are well-formed and unusual, for the tests; not a program."""

from made import cell, not_measured, results, usual
from made_targets import run

HOSTILE = "\x01<script>planted=1</script>\"'&amp;<img src=x onerror=planted=1>]]>\x00\x1b[2J@0@ \\\\ %s `id`"

# The same as a page may have it.
SHOWN = HOSTILE
for control in "\x00\x01\x1b":
    SHOWN = SHOWN.replace(control, "\N{REPLACEMENT CHARACTER}")


def hostile():
    """Every text of the results is an attack."""
    made = usual()
    old = {one["name"]: one["name"] + HOSTILE for one in made["contestants"]}
    for one in made["contestants"]:
        one.update(
            name=old[one["name"]],
            description=HOSTILE,
            library=HOSTILE,
            way=HOSTILE,
            missing=one["missing"] and HOSTILE,
        )
    for one in made["results"]:
        one["contestant"] = old[one["contestant"]]
        one["transport"] += HOSTILE
        for lap in one["rounds"]:
            lap.update(errors=[HOSTILE], stats={HOSTILE: 3}, failed=1)
        for which in ("median", "low", "high"):
            one[which][HOSTILE] = 7.0
            one[which]["latency_us"][HOSTILE] = one[which]["latency_us"]["get"]
    made["results"].append(not_measured(old["mux"], 512, "tcp" + HOSTILE, failed=HOSTILE))
    made["callers"].append(512)
    made["transports"] = ["tcp" + HOSTILE, "unix" + HOSTILE]
    made["reference"] = old["pool"]
    made["workload"] = {
        "name": HOSTILE,
        "source": HOSTILE,
        "settings": {
            HOSTILE: HOSTILE,
            "prefix": HOSTILE,
            "value": HOSTILE,
            "callers_as": HOSTILE,
            "big": "2",
        },
    }
    made["machine"] = dict(made["machine"], cpu=HOSTILE, **{HOSTILE: HOSTILE})
    made["server"] = {"name": HOSTILE, "version": HOSTILE, "own": False, "url": HOSTILE}
    made["versions"] = {HOSTILE: HOSTILE}
    made["noise"]["warnings"] = [HOSTILE]
    made.update(arguments=[HOSTILE], date=HOSTILE, tool_version=HOSTILE)
    return made


def odd():
    """Results that are well-formed and unusual, with a name each."""
    incomplete = usual()
    incomplete.update(incomplete=True, rounds=9)
    for one in incomplete["results"][1::3]:
        one.update(
            rounds=[], median=None, low=None, high=None, ratio=None, skipped="it was not its turn"
        )
    bare = results([cell("pool", 8)])
    for one in bare["results"]:
        for part in one["rounds"] + [one["median"], one["low"], one["high"]]:
            for key in (
                "latency_us",
                "cpu_us_per_call",
                "slices",
                "stats",
                "commands_per_write",
                "sleeps_per_call",
            ):
                part.pop(key, None)
    zero = results([cell("pool", 8, 0.0, 0.0), cell("hybrid", 8, 0.0, 0.0)])
    return {
        "usual": usual(),
        "hostile": hostile(),
        "targets": run(),
        "hostile targets": run(HOSTILE),
        "incomplete": incomplete,
        "bare": bare,
        "zero": zero,
        "one round of one": results([cell("hybrid", 1, rounds=1)]),
        "nothing at all": {},
        "nothing measured": results([not_measured("mux", 8, failed="no server")]),
        "many": results(
            [
                cell("peer-number-%d" % number, callers, 1000.0 * (number + 1))
                for number in range(16)
                for callers in (1, 2, 64, 65, 1024)
            ]
        ),
        "fast": results([cell("pool", 8, 3.2e6, 1.5), cell("hybrid", 8, 4.1e6, 1.1)]),
        "slow": results([cell("pool", 8, 0.4, 5e6), cell("hybrid", 8, 0.2, 9e7)]),
    }
