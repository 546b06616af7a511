# SPDX-License-Identifier: BSD-3-Clause
"""What was measured on."""
import os
import platform
from typing import Any, Dict, Optional


def _cpu() -> Optional[str]:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            lines = [line.partition(":") for line in file]
    except OSError:
        lines = []
    named = [value.strip() for key, _, value in lines if key.strip() in ("model name", "Model")]
    return named[0] if named else platform.processor() or None


def described() -> Dict[str, Any]:
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "kernel": f"{platform.system()} {platform.release()}",
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
    }
