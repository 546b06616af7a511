# SPDX-License-Identifier: BSD-3-Clause
"""How the figures of a report came about: workload, rounds, machine, versions, and the command
that repeats the run. No password gets into it."""
import re
import shlex
from typing import Any, Dict, List, Tuple

from . import tables, words
from .markup import bullets, details, element, paragraph, text
from .measured import Measured

SECRET = re.compile(r"(://[^/\s@:]*:)\S*@|(?<=password=)[^&\s]*", re.IGNORECASE)


def section(measured: Measured) -> str:
    results = measured.results
    return element(
        "section",
        element("h2", "How it was measured"),
        element("h3", "The workload"),
        bullets(measured.workload.sentences()),
        details(
            "Its settings",
            tables.pairs("As in a file of --workload", sorted(measured.workload.settings.items())),
        ),
        element("h3", "The rounds"),
        bullets(rounds_words(measured)),
        element("h3", "The machine"),
        tables.pairs("Machine and versions", machine_lines(results)),
        element("h3", "Once more"),
        paragraph("The same again, on another machine or after a change:"),
        element("pre", element("code", text(command(results)))),
        id=measured.mark + "method",
    )


def rounds_words(measured: Measured) -> List[str]:
    results, told = measured.results, []
    told.append(
        "%s of each contestant, over each transport, with each number of callers. In every round "
        "all have a lap, one after the other, so that what slows the machine for a while slows "
        "all of them." % words.plural(measured.rounds_done, "round").capitalize()
    )
    if results.get("seconds"):
        told.append(
            "A lap is a new process that measures for %s after a warm-up of %s."
            % (
                words.duration(1e6 * results["seconds"]),
                words.duration(1e6 * (results.get("warmup") or 0)),
            )
        )
    server = results.get("server") or {}
    if server.get("own", True):
        told.append(
            "The server is a private one on the same machine, started for this, which shares "
            "the processors with the callers."
        )
    else:
        told.append("The server: %s." % hidden(server.get("url") or "one that was there"))
    told.append(
        "What is given against the reference is of the same round. Two values differ when the "
        "quarters of one are apart from those of the other, and the medians by more than is "
        "between the quarters of either, and by %s or more; everything else is called noise."
        % words.percent(100 * measured.believed())
    )
    noise = measured.noise
    if noise.get("spread") is not None and noise.get("foreign_cpu") is not None:
        told.append(
            "Noise: the quarters of the reference, %s, are %s apart; other programs used %s of "
            "the CPU."
            % (
                measured.reference,
                words.percent(100 * noise["spread"]),
                words.percent(100 * noise["foreign_cpu"]),
            )
        )
    return told


def machine_lines(results: Dict[str, Any]) -> List[Tuple[str, Any]]:
    machine, server = results.get("machine") or {}, results.get("server") or {}
    names = {"cpu": "processor", "cores": "cores", "kernel": "kernel", "memory_bytes": "memory"}
    lines = [
        (names.get(key, key), words.size(told) if key == "memory_bytes" and told else told)
        for key, told in machine.items()
    ]
    if server:
        lines.append(("server", "%s %s" % (server.get("name", ""), server.get("version", ""))))
    lines += sorted((results.get("versions") or {}).items())
    lines.append(("poolmux-bench", results.get("tool_version")))
    return [(name, told) for name, told in lines if told not in (None, "")]


def hidden(told: object) -> str:
    """Without a password."""
    return SECRET.sub(
        lambda match: "%s\N{HORIZONTAL ELLIPSIS}%s"
        % ((match.group(1), "@") if match.group(1) else ("", "")),
        str(told),
    )


def command(results: Dict[str, Any]) -> str:
    """What repeats the run, its seed included."""
    arguments = [hidden(one) for one in results.get("arguments") or []]
    if results.get("seed") is not None and not any(
        one == "--seed" or one.startswith("--seed=") for one in arguments
    ):
        arguments += ["--seed", str(results["seed"])]
    return shlex.join(["poolmux-bench"] + arguments)
