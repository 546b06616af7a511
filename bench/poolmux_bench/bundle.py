# SPDX-License-Identifier: BSD-3-Clause
"""The results of several cases as one dictionary, and back: what is of the run stands once, what is
of a case stands in it."""
from typing import Any, Dict, List, Optional, Sequence, Tuple

Results = Dict[str, Any]
OF_RUN = (
    *("format", "tool_version", "date", "arguments", "machine", "server", "versions"),
    *("rounds", "rounds_done", "seed", "incomplete"),
)


def of(runs: Dict[str, Results], judged: Results) -> Results:
    """runs: of each case all that a run of its own would have."""
    every = list(runs.values())
    versions = {name: version for run in every for name, version in run["versions"].items()}
    return {
        **{key: every[0][key] for key in OF_RUN},
        "versions": versions,
        "targets": judged,
        "cases": [{k: v for k, v in run.items() if k not in OF_RUN} for run in every],
    }


def is_one(results: Results) -> bool:
    return "cases" in results


def apart(results: Results) -> List[Results]:
    """Of each case all that a run of its own would have; an ordinary run is its only case."""
    if not is_one(results):
        return [results]
    common = {key: results.get(key) for key in OF_RUN}
    return [{**common, **case} for case in results["cases"]]


def warnings(cases: Sequence[Results]) -> List[Tuple[Optional[str], str]]:
    """With the case; None: of all of them, and told once."""
    told: List[Tuple[Optional[str], str]] = []
    for case in cases:
        for warning in case["noise"]["warnings"]:
            every = all(warning in other["noise"]["warnings"] for other in cases)
            one = (None if every else case["workload"]["name"], warning)
            told += [one] if one not in told else []
    return told
