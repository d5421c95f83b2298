"""Hardware and package versions of this machine, so that timings of reports can be compared."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from cloudlstm import __version__
from cloudlstm.report.run_models import Machine

PACKAGES = ("numpy", "pyarrow", "pyspark", "tensorflow", "keras", "scipy")


def versions() -> dict[str, str]:
    """Installed versions of the packages that results may depend on."""
    found = {"cloudlstm": __version__}  # cloud machines have it as an archive that is not installed
    for name in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def machine() -> Machine:
    """Processor, cores, memory and platform of this machine."""
    return Machine(
        platform=f"{platform.system()} {platform.machine()}",
        processor=_processor(),
        cores=os.cpu_count(),  # of the machine; a worker may use fewer
        memory_gib=_memory_gib(),
    )


def _memory_gib() -> float | None:
    with suppress(AttributeError, ValueError, OSError):
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    return None


def _processor() -> str | None:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or None
