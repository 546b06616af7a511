# SPDX-License-Identifier: BSD-3-Clause
"""Whether a server that is somebody's lets us do what we owe it in the end. Each command is tried
before the first key is written, and none of them writes."""
from typing import Dict, List

from .problem import Problem
from .resp import Connection, facts_of

NEEDED = (
    ("INFO", "its counters cannot be read"),
    ("SCAN", "keys could not be found again"),
    ("UNLINK", "keys could not be removed again"),
)


def made(connection: Connection, shown: str, pattern: str, no_key: str) -> Dict[str, str]:
    """What INFO says; a Problem where that or cleaning up is refused."""
    words: Dict[str, List[str]] = {
        "INFO": [],
        "SCAN": ["0", "MATCH", pattern, "COUNT", "1"],
        "UNLINK": [no_key],  # also refused where nothing may be written, as on a replica
    }
    replies = {}
    for name, otherwise in NEEDED:
        try:
            replies[name] = connection.call(name, *words[name])
        except Problem as problem:
            raise Problem(
                f"--url: {name}: {problem}; without, {otherwise}: nothing was written"
            ) from problem
    facts = facts_of(replies["INFO"])
    if facts.get("cluster_enabled") == "1":
        raise Problem(
            f"--url: {shown} is a node of a cluster, which has only a part of the keys: "
            "nothing was written"
        )
    return facts
