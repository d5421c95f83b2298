"""Submits runs to an emulated cloud as a user does, and inspects the results through the cloud's own API."""

from __future__ import annotations

import json
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from localstack.cloud import Cloud

from cloudlstm import storage
from pipeline.cli_runner import cloudlstm, write_config

LONG_S = 900.0
"""Longest time of a run on a busy machine."""

on_one_cloud = pytest.mark.parametrize("target", ["aws"], indirect=True, scope="module")
"""One cloud for tests that do not depend on the cloud."""


@dataclass(frozen=True)
class Step:
    """A Spark application as its platform reports it.

    Attributes:
        id: The platform's id.
        name: Name given by cloudlstm: run, job and attempt.
        state: "waiting", "running", "done", "failed" or "cancelled".
    """

    id: str
    name: str
    state: str


class Target(ABC):
    """A target on an emulated cloud, and a folder from which runs are submitted to it.

    A subclass for each cloud reads the state from the cloud's own API.

    Args:
        cloud: The emulator.
        document: The target document.
        folder: Where the configuration and a copy of the document are written.
        place: Name of the target on the command line; by default the bucket with its document.

    Attributes:
        group_service: The service of the trainers' group, as the emulator's faults name it.
        troubles: Faults that a submit must survive; each occurs.
        failure: The platform's text for a failed step, with placeholders for reason and message.
        launch_error: The platform's error when it has no capacity.
    """

    group_service: str
    troubles: Sequence[Mapping[str, Any]]
    failure: str
    launch_error: str

    def __init__(self, cloud: Cloud, document: dict[str, Any], folder: Path, place: str | None = None) -> None:
        self.cloud, self.document = cloud, document
        self.place = place or self.uri
        self.config = write_config(folder)
        self.file = folder / "target.json"
        self.file.write_text(json.dumps(document))

    @property
    def bucket(self) -> str:
        return str(self.document["bucket_uri"])

    @property
    def uri(self) -> str:
        """Where the document is."""
        return str(self.document.get("target_uri", self.bucket))

    def run(self, verb: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Runs a command on this target, named by the URI of its document."""
        return cloudlstm(verb, f"--target={self.uri}", *words, timeout_s=LONG_S)

    def submit(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.run("submit", f"--config={self.config}", *words)

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Starts a submit without waiting for it."""
        command = ["-m", "cloudlstm", "submit", f"--target={self.uri}", f"--config={self.config}", *words]
        return subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    @abstractmethod
    def written(self, prefix: str) -> dict[str, Any]:
        """The time of the last write of each object below a prefix."""

    @abstractmethod
    def steps(self, run: str) -> Sequence[Step]:
        """The steps of a run, the oldest first."""

    @abstractmethod
    def event_logs(self, step: Step) -> Iterator[Path]:
        """The event logs that Spark wrote in a step."""

    @property
    @abstractmethod
    def group_size(self) -> int:
        """The target size of the trainer group."""

    @abstractmethod
    def resize(self, size: int) -> None:
        """Sets the size of the group from outside."""

    @property
    @abstractmethod
    def deadlines(self) -> Sequence[str]:
        """The times (ISO) at which the platform will empty the group."""

    @abstractmethod
    def let_deadline_pass(self) -> None:
        """Runs the action of the deadline of the group now."""


def documents(prefix: str) -> list[Any]:
    """The JSON objects below a prefix, in order of their names."""
    return [storage.read_json(item.uri) for item in storage.list_objects(prefix) if item.uri.endswith(".json")]
