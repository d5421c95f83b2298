"""The protocols that a cloud implements: a Spark service, a trainer group, an account, and a store of metrics.

Each cloud implements them in its own package. The logic that all clouds share (what to wait for, in which order,
timeouts) is built on them in spark_job.py and trainer_job.py.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from cloudlstm.errors import TargetError
from cloudlstm.targets.base import JobState, Request

if TYPE_CHECKING:
    from cloudlstm.runs.paths import RunPaths
    from cloudlstm.targets.document import TargetConfig

METRICS = "cloudlstm"
"""What all metrics of all targets begin with, or lie in."""


@dataclass(frozen=True, slots=True)
class Application:
    """A Spark application as its service describes it.

    Attributes:
        id: Id given by the service.
        name: Name given by cloudlstm: run, job and attempt.
        arguments: Command-line arguments that it was submitted with.
        state: State of the job.
        details: The service's own name of the state, with its reason if any.
    """

    id: str
    name: str
    arguments: tuple[str, ...]
    state: JobState
    details: str


class ClusterStage(enum.Enum):
    """What a job can expect of a Spark cluster."""

    READY = enum.auto()
    """It takes jobs."""
    CHANGING = enum.auto()
    """It will be ready, or gone, in some minutes."""
    ENDED = enum.auto()
    """It does not exist, or not any more."""
    BROKEN = enum.auto()
    """It takes no jobs until a person has done something."""


@dataclass(frozen=True, slots=True)
class ClusterStatus:
    """State of a Spark cluster.

    Attributes:
        id: Its id.
        state: The service's own name of the state.
        reason: The service's reason for the state, if any.
        release: Release of its nodes; empty if it is unknown.
        stage: What a job can expect of it.
        remedy: What a person can do about it.
    """

    id: str
    state: str
    reason: str
    release: str
    stage: ClusterStage
    remedy: str


@dataclass(frozen=True, slots=True)
class SparkWork:
    """What is submitted to a Spark cluster.

    Attributes:
        job: The job's name, which is that of its script.
        paths: The folder of its run or stream.
        driver_memory_mib: Heap of the driver's Java process.
        python_files: Archives on the path of the driver and the executors.
        dependencies: The archives of packages, each with the folder into which it is unpacked after `#`.
        words: Words for the script before the URI of the folder, which is the last one.
        jars: Archives of Java classes that the image or the user has.
    """

    job: str
    paths: RunPaths
    driver_memory_mib: int
    python_files: tuple[str, ...]
    dependencies: tuple[str, ...]
    words: tuple[str, ...] = ()
    jars: tuple[str, ...] = ()


class SparkService(Protocol):
    """Runs Spark applications on the target's cluster. Every method may raise TargetError."""

    def cluster(self) -> ClusterStatus:
        """Returns the cluster's state."""
        ...

    def start(self) -> None:
        """Requests another cluster by the target's definition, after the last one has ended."""
        ...

    def request(self, work: SparkWork) -> Request:
        """Returns the exact request that submits a job."""
        ...

    def name_and_arguments(self, request: Request) -> tuple[str, tuple[str, ...]]:
        """Returns the name and the arguments that identify the application of a request."""
        ...

    def submit(self, request: Request) -> str:
        """Submits a request and returns the application's id."""
        ...

    def find(self, run: str | None) -> Sequence[Application]:
        """Returns the applications of a run (by URI) or of all runs, newest first; old ones may be missing."""
        ...

    def look(self, application: str) -> Application:
        """Returns the current state of an application."""
        ...

    def cancel(self, application: str) -> None:
        """Requests the end of an application; does nothing if it has ended."""
        ...

    def log_tail(self, application: str) -> list[str]:
        """Returns the last available lines of its log, and where the full log is."""
        ...


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine of a group.

    Attributes:
        id: Id given by the service.
        zone: Its zone.
        kind: Its machine type.
        ready: Whether the service reports it as running.
    """

    id: str
    zone: str
    kind: str
    ready: bool


@dataclass(frozen=True, slots=True)
class GroupStatus:
    """State of a trainer group.

    Attributes:
        size: Requested number of machines.
        most: Largest allowed number of machines.
        machines: Current machines, in any state.
    """

    size: int
    most: int
    machines: tuple[Machine, ...]


class TrainerGroup(Protocol):
    """A group of machines with an adjustable size. Every method may raise TargetError."""

    def size_request(self, size: int) -> Request:
        """Returns the exact request that sets the group's size."""
        ...

    def deadline_request(self, when: str) -> Request | None:
        """Returns the exact request that makes the service scale the group to 0 at a time (ISO 8601, UTC).

        None if the service has no such feature: then each machine enforces the deadline of its assignment itself.
        """
        ...

    def send(self, request: Request) -> None:
        """Sends one of these requests."""
        ...

    def forget_deadline(self) -> None:
        """Removes the deadline that such a request has set."""
        ...

    def look(self) -> GroupStatus:
        """Returns the group's state."""
        ...

    def launch_error(self, since: float) -> str:
        """Returns the last error about machines that did not start since a time (epoch seconds); empty if none."""
        ...


@dataclass(frozen=True, slots=True)
class Resource:
    """Something that a target has in its cloud.

    Attributes:
        text: Its kind, its name, and its state if it has one.
        bill: Whether it costs money while it exists; "kept" also means that a destroy of the main root leaves it.
    """

    text: str
    bill: Literal["costs", "free", "kept"]


class Account(Protocol):
    """The cloud account of a target. Checks return what they found, or raise a CloudLSTMError with a fix as hint."""

    def credentials(self) -> str:
        """Checks that the credentials are for the target's account or project; returns whose they are."""
        ...

    def quota(self, workers: int) -> str:
        """Checks that the account's quota allows this many trainers."""
        ...

    def tagged(self) -> Sequence[Resource]:
        """Returns all resources with the target's tag or label that the cloud can list, without buckets."""
        ...


class MetricStore(Protocol):
    """The cloud's service for metrics, of which alarms are made."""

    def put(self, model: str, figures: Mapping[str, float], at: float) -> None:
        """Sends one point of each figure of a model.

        Args:
            model: The model; target and model name the series of a figure.
            figures: Name -> value.
            at: Time of the points in seconds since the epoch.

        Raises:
            TargetError: the service rejected them, or did not answer.
        """
        ...


def require_endpoint(target: TargetConfig, service: str) -> None:
    """Raises TargetError if a target has endpoints of its own, as an emulator has, but none for a service.

    A call would reach the real cloud.
    """
    if target.endpoints and service not in target.endpoints:
        raise TargetError(f"the target {target.name} names endpoints, and none of them is of {service}")
