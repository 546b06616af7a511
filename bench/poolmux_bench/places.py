# SPDX-License-Identifier: BSD-3-Clause
"""Where presets and workers are, and what is said of those that are missing. The environment
overrides what was installed."""
import os


class Places:
    def __init__(self, data: str, libexec: str, version: str) -> None:
        other = os.environ.get("POOLMUX_BENCH_LIBEXEC")
        self.presets = os.path.join(data, "presets")
        self.libexec = other or libexec
        self.version = version
        beside = os.path.join(self.libexec, "peers.txt")  # of workers that were not installed
        there = other or os.path.exists(beside)
        self.peers = beside if there else os.path.join(data, "peers.txt")
