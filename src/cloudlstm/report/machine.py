"""Where a report was made: machine and versions, so that figures can be compared fairly."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from cloudlstm import __version__

PACKAGES = ("numpy", "pyarrow", "pyspark", "tensorflow", "keras", "scipy")


def versions() -> dict[str, str]:
    """Installed versions of the packages that figures may depend on."""
    found = {"cloudlstm": __version__}  # a cloud's machine has it as an archive, which was never installed
    for name in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def python() -> str:
    """The version of this Python."""
    return platform.python_version()


def machine() -> dict[str, Any]:
    """Processor, cores, memory and platform of this machine."""
    with suppress(AttributeError, ValueError, OSError):
        memory_gib = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
        return _described(memory_gib)
    return _described(None)


def _described(memory_gib: float | None) -> dict[str, Any]:
    return {
        "platform": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),  # of the machine: a worker may be pinned to some of them
        "memory_gib": memory_gib,
    }


def _processor() -> str | None:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or None
