# SPDX-License-Identifier: BSD-3-Clause
"""Where the presets and the workers are. The environment overrides what was installed."""
import os


class Places:
    def __init__(self, data: str, libexec: str, version: str) -> None:
        self.presets = os.path.join(data, "presets")
        self.libexec = os.environ.get("POOLMUX_BENCH_LIBEXEC") or libexec
        self.version = version
