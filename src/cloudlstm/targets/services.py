"""What a target needs of a cloud: something that runs a Spark application, and a group of machines that grows.

Two small protocols; each cloud keeps them in a file of its own. All that is the same on every cloud (what to wait for,
whom to ask first, when to give up) is built on them: spark_job.py and trainer_job.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from cloudlstm.targets.base import JobState, Request

if TYPE_CHECKING:
    from cloudlstm.config import RunConfig
    from cloudlstm.runs.paths import RunPaths


@dataclass(frozen=True, slots=True)
class Application:
    """A Spark application as its service tells of it.

    Attributes:
        id: The service's.
        name: Ours: run, job and attempt.
        arguments: The words that it was submitted with.
        state: How it fares.
        told: The service's own word for that, with its reason where there is one.
    """

    id: str
    name: str
    arguments: tuple[str, ...]
    state: JobState
    told: str


@dataclass(frozen=True, slots=True)
class ClusterStatus:
    """A Spark cluster as its service tells of it.

    Attributes:
        state: The service's own word.
        reason: Why it is so, where the service says.
        release: The release that its nodes have.
        takes_work: Whether it runs what is submitted, now or after its start.
        remedy: What to do if it does not.
    """

    state: str
    reason: str
    release: str
    takes_work: bool
    remedy: str


class SparkService(Protocol):
    """Runs Spark applications on a cluster that is there. Every method may raise TargetError."""

    def cluster(self) -> ClusterStatus:
        """The cluster as it is now; a TargetError if there is none of this name."""
        ...

    def request(self, job: str, config: RunConfig, paths: RunPaths) -> Request:
        """The exact request that submits a job of this run."""
        ...

    def name_and_arguments(self, request: Request) -> tuple[str, tuple[str, ...]]:
        """What an application that comes of the request can be recognised by."""
        ...

    def submit(self, request: Request) -> str:
        """Submits; the application's id."""
        ...

    def find(self, run: str | None) -> Sequence[Application]:
        """The applications of a run, by its URI, or of all runs, the newest first; of old ones not all."""
        ...

    def look(self, application: str) -> Application:
        """The application of this id as it is now."""
        ...

    def cancel(self, application: str) -> None:
        """Asks for its end; nothing happens if it has ended."""
        ...

    def log_tail(self, application: str) -> list[str]:
        """The last lines of its log, as far as they have come, and where the whole of it is to be found."""
        ...


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine of a group.

    Attributes:
        id: The service's.
        zone: Where it is.
        kind: Its machine type.
        ready: Whether the service counts it as running.
    """

    id: str
    zone: str
    kind: str
    ready: bool


@dataclass(frozen=True, slots=True)
class GroupStatus:
    """A group of machines as its service tells of it.

    Attributes:
        size: How many machines it is to have.
        most: How many it may have.
        machines: Those that it has now, in whatever state.
    """

    size: int
    most: int
    machines: tuple[Machine, ...]


class TrainerGroup(Protocol):
    """Machines that come and go by a number. Every method may raise TargetError."""

    def size_request(self, size: int) -> Request:
        """The exact request that sets the group's size."""
        ...

    def deadline_request(self, when: str) -> Request | None:
        """The exact request by which the group empties itself at a time (ISO, UTC) without its launcher.

        None where the service offers no such thing: then its machines alone keep the deadline of their assignment.
        """
        ...

    def send(self, request: Request) -> None:
        """Sends one of these requests."""
        ...

    def forget_deadline(self) -> None:
        """Takes the deadline back that such a request has set."""
        ...

    def look(self) -> GroupStatus:
        """The group as it is now."""
        ...

    def launch_error(self, since: float) -> str:
        """What the service says of machines that it could not start since a time (epoch seconds); empty if nothing."""
        ...


class Account(Protocol):
    """Whose a target is. Checks say what is fine, or raise a CloudLSTMError with what mends it."""

    def credentials(self) -> str:
        """Whether there are credentials, and of whom: they must be those of the target's account or project."""
        ...

    def quota(self, workers: int) -> str:
        """Whether the account may run so many trainers."""
        ...

    def tagged(self) -> Sequence[str]:
        """Names of everything that carries the target's tag or label, as far as the cloud can list that."""
        ...
