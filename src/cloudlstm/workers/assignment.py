"""The assignment of a trainer group: the document by which a launcher tells the machines which run to train.

The launcher writes it before the group gets machines and deletes it when they have nothing to do. Machines of any
release read it, so unknown keys are ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cloudlstm.errors import CorruptObjectError, ObjectNotFoundError
from cloudlstm.runs import documents
from cloudlstm.runs.paths import RunPaths


@dataclass(frozen=True, slots=True)
class Assignment:
    """What the machines of a group train.

    Attributes:
        run: URI of the run.
        attempt: The attempt of the run.
        workers: Number of workers.
        port: The first port on which a worker may listen.
        deadline: When the machines shut down at the latest, in seconds since the epoch.
        lease: Token of the launcher's lease of the group.
        opened: When the attempt was opened; it differs if a run was deleted and submitted again under the same URI.
        stop: When the workers save a checkpoint and end (`at`, seconds since the epoch), and the error that they leave
            (`error`, a record of errors.to_record); empty for no such time.
        package: URI and SHA-256 of the package that the machines run.
        own: URI and SHA-256 of the archive of the user's packages; empty if the run names none.
        accelerator: What the workers compute on, "cpu" or "cuda"; empty if an earlier release wrote the assignment.
    """

    run: str
    attempt: int
    workers: int
    port: int
    deadline: float = 0.0
    lease: str = ""
    opened: str = ""
    stop: Mapping[str, Any] = field(default_factory=dict)
    package: Mapping[str, str] = field(default_factory=dict)
    own: Mapping[str, str] = field(default_factory=dict)
    accelerator: str = ""

    @property
    def paths(self) -> RunPaths:
        """The paths of the run."""
        return RunPaths(self.run)


def read(uri: str) -> Assignment:
    """Reads the assignment at `uri`.

    Raises:
        ObjectNotFoundError: There is no assignment.
        CorruptObjectError: The object is not an assignment.
    """
    return documents.read(Assignment, uri)


def find(uri: str) -> Assignment | None:
    """The assignment at `uri`; None if there is none that can be read."""
    try:
        return read(uri)
    except (ObjectNotFoundError, CorruptObjectError):
        return None
