"""Facts about the machine and the state of the repository, for the results."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from cloudlstm import __version__


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def describe() -> dict[str, Any]:
    """Processor, cores, memory, system and Python."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0
    return {
        "processor": _processor(),
        "cores": cores(),
        "memory_gib": round(memory / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def load() -> float:
    """Processes that run or wait for a core, mean of the last minute."""
    return round(os.getloadavg()[0], 2)


def state() -> dict[str, str]:
    """The version of cloudlstm and the commit; a "+" means that files were changed since."""
    root = Path(__file__).resolve().parents[2]
    commit = _said("git", "-C", str(root), "rev-parse", "--short", "HEAD")
    changed = _said("git", "-C", str(root), "status", "--porcelain", "--", "src", "benchmarks/peers")
    return {"cloudlstm": __version__, "commit": commit + ("+" if changed else "")}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _said(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
