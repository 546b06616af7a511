# SPDX-License-Identifier: BSD-3-Clause
"""Where presets and workers are, and what is said of those that are missing. The environment
overrides what was installed."""
import os


class Places:
    def __init__(self, data: str, libexec: str, version: str) -> None:
        self.presets = os.path.join(data, "presets")
        self.libexec = os.environ.get("POOLMUX_BENCH_LIBEXEC") or libexec
        self.version = version
        known = [os.path.join(place, "peers.txt") for place in (self.libexec, data)]
        self.peers = known[0] if os.path.exists(known[0]) else known[1]  # built, installed
