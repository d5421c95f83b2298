"""The parts of target documents that both emulated clouds share."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_SCRIPT = Path(__file__).parents[1] / "bootstrap" / "trainer.sh"
LAUNCHER = "-launcher"
"""How the names of groups of launchers end."""

_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


def target_document(cloud: str, name: str, bucket_uri: str, particular: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a target document.

    Args:
        cloud: The name of the cloud.
        name: The name of the target and its parts.
        bucket_uri: The URI of its bucket.
        particular: The keys whose values differ between clouds.
    """
    return {
        "contract_version": 2,
        "cloud": cloud,
        "name": name,
        "bucket_uri": bucket_uri,
        "spark_python": _PYTHON,
        "spark_python_path": f"/usr/bin/python{_PYTHON}",
        "spark_architecture": {"arm64": "aarch64", "AMD64": "x86_64"}.get(platform.machine(), platform.machine()),
        "trainer_group": f"{name}-trainers",
        "spark_min_nodes": 2,
        "spark_max_nodes": 4,
        "spark_spot": False,
        "spark_idle_minutes": 60,
        "trainer_gpu": "none",
        "trainer_spot": False,
        "trainer_disk_gib": 50,
        "trainer_max": 4,
        "trainer_port": 8470,
        "max_hours": 2,
        "egress": "nat",
        **particular,
    }


def schedule_of(schedule: Mapping[str, Any], name: str, python: str, machine: str, target_uri: str) -> dict[str, Any]:
    """Returns the key `schedule` of a target document.

    Args:
        schedule: Its time, time zone and models; other keys replace the usual ones.
        name: The name of the target.
        python: The interpreter with all packages on the launcher's image; empty if there is none.
        machine: The machine type of the launcher.
        target_uri: The URI of the document.
    """
    group = f"{name}{LAUNCHER}"
    fixed = {"group": group, "job": group, "machine": machine, "max_hours": 1, "python": python, "target": target_uri}
    return {"max_usd": None, **fixed, **schedule}


def user_data(target: Mapping[str, Any], *, launcher: bool = False) -> str:
    """Returns the start script of machines: bootstrap/trainer.sh behind the variables that identify group and cloud.

    Args:
        target: The target document.
        launcher: Whether the machines are launchers; otherwise they are trainers.
    """
    variables = {
        "CLOUD": target["cloud"],
        "BUCKET_URI": target["bucket_uri"],
        "GROUP": target["schedule"]["group"] if launcher else target["trainer_group"],
        "REGION": target["region"],
        "MAX_HOURS": target["schedule"]["max_hours"] if launcher else target["max_hours"],
        "GPU": "none" if launcher else target["trainer_gpu"],
    }
    exports = "".join(f'export CLOUDLSTM_{key}="{value}"\n' for key, value in variables.items())
    return f"#!/usr/bin/env bash\n{exports}{_SCRIPT.read_text()}"
