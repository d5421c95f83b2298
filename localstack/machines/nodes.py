"""The environment of every node and machine: few variables, and the URLs of the cloud's services."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

PATH = "/usr/local/bin:/usr/bin:/bin"
"""The folders of the system's programs, without those of the environment that started the emulator."""


@dataclass(frozen=True)
class Nodes:
    """How nodes and machines are set up.

    Attributes:
        folder: The parent of the folders of each step, machine and daemon.
        spark_python: The interpreter of the Spark nodes, with pyspark only.
        trainer_python: The interpreter of trainers, with TensorFlow.
        services: The variables by which SDKs find the cloud.
        extra: More variables for every node, such as the URL of the emulated Yahoo.
    """

    folder: Path
    spark_python: Path
    trainer_python: Path
    services: Mapping[str, str]
    extra: Mapping[str, str] = field(default_factory=dict)

    def environment(self, home: Path) -> dict[str, str]:
        """Returns all variables of a node with this home folder."""
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
