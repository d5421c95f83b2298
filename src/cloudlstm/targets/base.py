"""The protocol of a target, and the plan that a verb returns."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from cloudlstm.config import RunConfig
    from cloudlstm.runs.paths import RunPaths

Request = Mapping[str, Any]
"""One exact request as JSON; `${…}` stands for what only the run will know, such as a free port."""


_OPEN = re.compile(r"\$\{([\w.]+)\}")


def fill_placeholders(value: Any, value_of: Callable[[str], str | None]) -> Any:
    """JSON with `${name}` in its texts replaced by what `value_of` knows of the name; what it does not know stays."""
    if isinstance(value, str):
        return _OPEN.sub(lambda found: value_of(found[1]) or found[0], value)
    if isinstance(value, Mapping):
        return {key: fill_placeholders(inner, value_of) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [fill_placeholders(inner, value_of) for inner in value]
    return value


@dataclass(frozen=True, slots=True)
class Plan:
    """What a verb is going to do, complete before anything is done.

    Attributes:
        verb: The verb.
        run: URI of the run it is about.
        requests: The requests in their order.
    """

    verb: str
    run: str
    requests: tuple[Request, ...]

    def to_json(self) -> str:
        """The plan as `--dry-run` prints it."""
        return json.dumps({"verb": self.verb, "run": self.run, "requests": list(self.requests)}, indent=2)


class JobState(StrEnum):
    """How a job fares; the last three are final."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Restart:
    """One time that all workers of a job had to start again.

    Attributes:
        time: Seconds since the epoch.
        cause: Which worker was lost, and how.
        told: The end of what the platform knows of it, for the log.
    """

    time: float
    cause: str
    told: str


class RunningJob(Protocol):
    """A job that a target has started."""

    @property
    def restarts(self) -> Sequence[Restart]:
        """The restarts so far; the workers at work are the generation of that number."""
        ...

    @property
    def phase(self) -> str:
        """What the job waits for before it tells of itself by its progress; empty when there is nothing to say."""
        ...

    def state(self) -> JobState:
        """How the job fares now."""
        ...

    def cancel(self) -> None:
        """Ends the job if it has not ended, waits for that, and frees what this object holds."""
        ...

    def abandon(self) -> None:
        """Lets go of a job that another launcher has now: what cannot be shared ends, what belongs to it goes on."""
        ...

    def explain(self) -> str:
        """The end of what the platform knows of a failed job, for the log."""
        ...


class Target(Protocol):
    """Something that can carry out jobs."""

    name: str
    root: str | None
    """Where runs lie unless the user says otherwise; None leaves it to the usual rules."""
    workers: int
    """How many workers train unless the user says otherwise."""

    def check(self, config: RunConfig, root: str) -> None:
        """Raises what stands in the way of a submit, before anything is started."""
        ...

    def at_work(self, request: Request) -> bool:
        """Whether the job that exactly this request starts, attempt and all, is at work here or has done its work."""
        ...

    def request(self, job: str, config: RunConfig, paths: RunPaths) -> Request:
        """The exact request that starts `job` of this run."""
        ...

    def start(self, request: Request) -> RunningJob:
        """Starts the job of a request."""
        ...
