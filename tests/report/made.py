#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Results of poolmux-bench that were never measured, for the tests of what is told of results:
numbers that are chosen, in the form that the tool writes.

usage: made.py FILE   a report of them, to look at"""

import sys

from poolmux_bench import spread

OFFSETS = (-1, -0.5, 0, 0.5, 1)  # of the rounds, in units of `wide`
DESCRIPTIONS = {
    "pool": "a pool of connections",
    "mux": "few shared connections",
    "hybrid": "shared connections and a pool beside them",
}
SETTINGS = {
    "keys": "10000",
    "skew": "0",
    "value": "64",
    "reads": "50",
    "callers_as": "threads",
    "rate": "0",
    "big": "0",
    "big_value": "256KiB-1MiB",
    "transactions": "0",
    "batch": "0",
    "batch_size": "100",
    "blocked": "0",
    "pushes": "0",
    "subscribers": "0",
    "publishes": "0",
    "big_readers": "0",
    "prefix": "poolmux-bench:",
}


def latency(p99, calls=1000):
    return {
        "count": calls,
        "p50": p99 / 4,
        "p90": p99 / 2,
        "p99": p99,
        "p999": p99 * 3,
        "max": p99 * 5,
    }


def lap(number, rate, p99, one):
    """A round's figures; `one` are the settings of cell()."""
    classes = {name: latency(told) for name, told in (one.get("classes") or {}).items()}
    client_user, client_system, server = one.get("cpu", (5.0, 5.0, 5.0))
    return {
        "round": number,
        "seconds": 1.0,
        "callers_as": one.get("callers_as", "threads"),
        "schedule": one.get("schedule"),
        "calls": int(rate),
        "failed": one.get("failed", 0),
        "commands": int(rate),
        "rate": rate,
        "command_rate": rate * 2,
        "calls_by_class": {"get": int(rate)},
        "failed_by_class": {},
        "latency_us": dict({"all": latency(p99)}, **classes),
        "slices": one.get(
            "slices",
            [
                {
                    "start_ms": 100 * index,
                    "calls": 100,
                    "p50_us": p99 / 4,
                    "p99_us": p99,
                    "max_us": p99 * 2,
                }
                for index in range(5)
            ],
        ),
        "cpu_us_per_call": {"user": client_user, "system": client_system, "server": server},
        "cpu_foreign": 0.01,
        "commands_per_write": one.get("writes", 1.0),
        "commands_per_read": one.get("reads", 1.5),
        "sleeps_per_call": one.get("sleeps", 1.0),
        "connections": 7,
        "server_bytes_in_per_call": 81.5,
        "server_bytes_out_per_call": 93.5,
        "stats": one.get("stats", {}),
        "errors": list(one.get("errors", ())),
    }


def cell(name, callers, rate=10000.0, p99=1000.0, transport="tcp", wide=0.01, rounds=5, **one):
    """A contestant's rounds, whose rates and p99s are spread by the part `wide` to each side."""
    laps = [
        lap(number + 1, rate * (1 + wide * offset), p99 * (1 + wide * offset), one)
        for number, offset in enumerate(OFFSETS[:rounds] if rounds > 1 else (0,))
    ]
    made = {
        "contestant": name,
        "transport": transport,
        "callers": callers,
        "skipped": None,
        "failed": None,
        "rounds": laps,
        "ratio": None,
    }
    for which in spread.POINTS:
        made[which] = spread.of_rounds(laps, which)
    return made


def not_measured(name, callers, transport="tcp", skipped=None, failed=None):
    return {
        "contestant": name,
        "transport": transport,
        "callers": callers,
        "skipped": skipped,
        "failed": failed,
        "rounds": [],
        "ratio": None,
        "median": None,
        "low": None,
        "high": None,
    }


def contestant(name, kind="poolmux", missing=None, **more):
    ours = kind == "poolmux"
    library = "poolmux" if ours else name.split("-")[0]
    return dict(
        {
            "name": name,
            "strategy": name if ours else None,
            "kind": kind,
            "library": library,
            "way": name,
            "description": DESCRIPTIONS.get(name, "a peer"),
            "capabilities": ["threads"],
            "missing": missing,
        },
        **more
    )


def ratios(cells, reference):
    for one in cells:
        base = {
            lap["round"]: lap["rate"]
            for other in cells
            for lap in other["rounds"]
            if other["contestant"] == reference
            and other["callers"] == one["callers"]
            and other["transport"] == one["transport"]
        }
        values = [
            lap["rate"] / base[lap["round"]] for lap in one["rounds"] if base.get(lap["round"])
        ]
        one["ratio"] = spread.three(values)


def results(cells, settings=None, peers=(), **changes):
    """All that a file of --json has, around the cells."""
    names = list(dict.fromkeys(one["contestant"] for one in cells))
    rounds = max([len(one["rounds"]) for one in cells] or [0])
    reference = names[0] if names else None
    ratios(cells, reference)
    made = {
        "format": "poolmux-bench 1",
        "tool_version": "0.1.0",
        "date": "2026-11-29T18:40:00Z",
        "arguments": ["--preset", "made"],
        "machine": {
            "cpu": "A processor",
            "cores": 2,
            "kernel": "Linux 6.1",
            "memory_bytes": 4 << 30,
        },
        "server": {"name": "redis", "version": "7.0.15", "own": True, "url": None},
        "versions": {"poolmux": "0.1.0", "hiredis": "0.14.1"},
        "workload": {
            "name": "made",
            "source": "preset made",
            "settings": dict(SETTINGS, **settings or {}),
        },
        "transports": list(dict.fromkeys(one["transport"] for one in cells)),
        "callers": sorted({one["callers"] for one in cells}),
        "rounds": rounds,
        "rounds_done": rounds,
        "seconds": 1.0,
        "warmup": 0.2,
        "seed": 7,
        "reference": reference,
        "contestants": [contestant(name, "peer" if name in peers else "poolmux") for name in names],
        "results": cells,
        "noise": {"spread": 0.01, "foreign_cpu": 0.01, "noisy": False, "warnings": []},
        "incomplete": False,
    }
    made.update(changes)
    return made


def usual():
    """Three strategies and two peers, over two transports, with four numbers of callers."""
    cells = []
    for transport, fast in (("tcp", 1.0), ("unix", 1.3)):
        for callers, speed in ((1, 1), (8, 4), (64, 9), (256, 10)):
            for name, factor, together in (
                ("pool", 0.5, 1),
                ("mux", 0.9, callers / 2 + 1),
                ("hybrid", 1, callers / 2 + 1),
                ("hiredis-threads", 0.55, 1),
                ("hiredis-pipeline", 1.4, callers),
            ):
                rate = 20000.0 * fast * (speed * factor if callers > 1 else 0.9 + factor / 10)
                cells.append(
                    cell(
                        name,
                        callers,
                        rate,
                        callers * 2e6 / rate,
                        transport,
                        wide=0.02 if name == "pool" else 0.03,
                        writes=together,
                        reads=together * 0.9,
                        sleeps=1 / together,
                        cpu=(4 + 3 / together, 2 + 9 / together, 9),
                        classes={"get": callers * 1.9e6 / rate, "set": callers * 2.1e6 / rate},
                        stats={"routed_lane": 1234567} if name == "hybrid" else {},
                    )
                )
    made = results(cells, peers=("hiredis-threads", "hiredis-pipeline"))
    made["contestants"].append(contestant("valkey", "peer", "libvalkey was not found"))
    return made


if __name__ == "__main__":
    from poolmux_bench import report

    if len(sys.argv) != 2:
        sys.exit(__doc__.rsplit("\n", 1)[-1])
    report.write(usual(), sys.argv[1])
