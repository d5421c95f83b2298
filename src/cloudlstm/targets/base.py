"""The protocols of a target and of a running job, and the plan that a command returns."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from cloudlstm.config import RunConfig
    from cloudlstm.runs.paths import RunPaths

Request = Mapping[str, Any]
"""One exact request as JSON; `${…}` is a placeholder for a value known only at start, such as a free port."""


_OPEN = re.compile(r"\$\{([\w.-]+)\}")


def fill_placeholders(value: Any, value_of: Callable[[str], str | None]) -> Any:
    """Returns the JSON value with each `${name}` in its strings replaced by `value_of(name)`; unknown names stay."""
    if isinstance(value, str):
        return _OPEN.sub(lambda found: value_of(found[1]) or found[0], value)
    if isinstance(value, Mapping):
        return {key: fill_placeholders(inner, value_of) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [fill_placeholders(inner, value_of) for inner in value]
    return value


def own_packages(config: RunConfig) -> Request:
    """The part of a request that names the user's packages, by path; empty if the configuration names none.

    Raises:
        UserCodeError: a package is not there.
    """
    from cloudlstm.runs.own_packages import packages_of

    packages = [str(path) for path in packages_of(config)]
    return {"packages": packages} if packages else {}


@dataclass(frozen=True, slots=True)
class Plan:
    """What a command is going to do, complete before anything starts.

    Attributes:
        verb: The command's name.
        run: URI of the run.
        requests: The requests, in order.
    """

    verb: str
    run: str
    requests: tuple[Request, ...]

    def to_json(self) -> str:
        """The plan as `--dry-run` prints it."""
        return json.dumps({"verb": self.verb, "run": self.run, "requests": list(self.requests)}, indent=2)


class JobState(StrEnum):
    """State of a job; the last three are final."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Restart:
    """One restart of all workers of a job.

    Attributes:
        time: Seconds since the epoch.
        cause: Which worker was lost, and why.
        details: Last lines of the platform's log, for the run's log.
    """

    time: float
    cause: str
    details: str


@dataclass(frozen=True, slots=True)
class StreamWork:
    """What a target starts for a stream.

    Attributes:
        paths: The stream's folder, which plays the part of a run's folder.
        words: Words of jobs/stream.py before the URI of the folder.
        driver_memory_mib: Heap of the driver's Java process.
        hours: How long the job may take; None for no limit.
        connector: What reads Kafka: "python", our source, or "kafka", the connector of Spark.
        jars: The connector's archives of Java classes, beside those that the image has.
        own: The part of the request that names the user's packages, from `own_packages`.
    """

    paths: RunPaths
    words: tuple[str, ...]
    driver_memory_mib: int
    hours: float | None
    connector: Literal["python", "kafka"] = "python"
    jars: tuple[str, ...] = ()
    own: Request = field(default_factory=dict)


class RunningJob(Protocol):
    """A job that a target has started."""

    @property
    def restarts(self) -> Sequence[Restart]:
        """The restarts so far; their number is the number of the current generation."""
        ...

    @property
    def phase(self) -> str:
        """What the job waits for until it reports progress itself; empty if there is nothing to show."""
        ...

    @property
    def working_since(self) -> float | None:
        """When machines paid by the hour were requested, seconds since the epoch; None while there are none."""
        ...

    def state(self) -> JobState:
        """Returns the current state."""
        ...

    def wait(self, seconds: float) -> None:
        """Waits for `seconds`; less if it costs nothing to see that the state has changed."""
        time.sleep(seconds)

    def cancel(self) -> None:
        """Cancels the job unless it has ended, waits for its end, and frees the resources of this object."""
        ...

    def abandon(self) -> None:
        """Stops watching a job that another launcher has taken over. Jobs in a cloud continue; local processes end."""
        ...

    def explain(self) -> str:
        """Returns the last lines of a failed job's platform log."""
        ...


class Target(Protocol):
    """A place where jobs run."""

    name: str
    root: str | None
    """Default root of runs; None for the general default."""
    workers: int
    """Default number of training workers."""

    def check(self, config: RunConfig, root: str) -> None:
        """Raises a CloudLSTMError if a submit of this configuration cannot succeed; starts nothing."""
        ...

    def at_work(self, request: Request) -> bool:
        """True if the job of exactly this request, attempt included, is running or has succeeded."""
        ...

    def request(self, job: str, config: RunConfig, paths: RunPaths) -> Request:
        """Returns the exact request that starts `job` of this run."""
        ...

    def stream_request(self, work: StreamWork) -> Request:
        """Returns the exact request that starts the job "stream"."""
        ...

    def standby(self, requests: Sequence[Request]) -> AbstractContextManager[None]:  # noqa: ARG002
        """Inside the block, the jobs of `requests` are started in turn; a later one may get ready before its turn."""
        return nullcontext()

    def start(self, request: Request) -> RunningJob:
        """Starts the job of a request and returns it."""
        ...

    def send_figures(self, model: str, figures: Mapping[str, float], at: float) -> None:  # noqa: ARG002
        """Sends figures of a model to the target's service for metrics; does nothing where there is none.

        Args:
            model: The model.
            figures: Name -> value.
            at: Their time in seconds since the epoch.

        Raises:
            TargetError: the service did not take them.
        """
        return
