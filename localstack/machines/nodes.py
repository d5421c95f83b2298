"""What a machine of the emulated cloud finds around it: a bare environment, and the way to the cloud's services."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

PATH = "/usr/local/bin:/usr/bin:/bin"
"""Where the system's programs lie; nothing of the environment that started the emulator is on it."""


@dataclass(frozen=True)
class Nodes:
    """How nodes and machines are set up.

    Attributes:
        folder: Where they keep everything: one folder for each step, machine and daemon.
        spark_python: The interpreter of the Spark nodes, with pyspark only.
        trainer_python: The interpreter of trainers, with TensorFlow.
        services: The environment by which SDKs find the cloud, as a node's own role and region give it.
        extra: More variables for every node, such as the address of a stand-in for a service outside the cloud.
    """

    folder: Path
    spark_python: Path
    trainer_python: Path
    services: Mapping[str, str]
    extra: Mapping[str, str] = field(default_factory=dict)

    def environment(self, home: Path) -> dict[str, str]:
        """All variables of a node whose home folder this is."""
        scratch = home / "tmp"
        scratch.mkdir(parents=True, exist_ok=True)
        return {
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "PATH": PATH,
            "PYTHONUNBUFFERED": "1",
            "TMPDIR": str(scratch),
            **self.services,
            **self.extra,
        }
