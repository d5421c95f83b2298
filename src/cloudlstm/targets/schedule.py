"""The launcher that comes by a target's schedule: its assignment, what it leaves in the bucket, and the timetable.

A launcher is a machine of a group of its own. It lives as trainers do (bootstrap/trainer.sh): it sets its deadline,
reads the assignment of its group, fetches what that names, runs jobs/launch.py and leaves its group. Its assignment has
no end, because it is for every day: `cloudlstm schedule` writes it once for each release of the code.

    <bucket>/trainers/<group>/assignment.json     what launchers run
    <bucket>/trainers/<group>/leases/             so that one launcher at a time works
    <bucket>/trainers/<group>/machines/<id>.log   log of a machine that failed
    <root>/schedule/<date>/<number>.json          what a launcher did, written once
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from cloudlstm import __version__, storage
from cloudlstm.errors import CorruptObjectError, ObjectNotFoundError, TargetError
from cloudlstm.runs import documents, numbered
from cloudlstm.runs.paths import join
from cloudlstm.targets.document import TargetConfig
from cloudlstm.targets.schedule_config import Schedule

NOW = "CLOUDLSTM_NOW"
"""Variable with the time at which a launcher acts as if it were then. The emulated clouds set it, and nothing else: on
a machine of a real cloud the agent's environment holds only what bootstrap/trainer.sh writes."""

STATUSES = {0: "done", 1: "failed", 2: "usage error", 3: "refused"}
"""Exit status of `cloudlstm daily` -> what it means. Any other one, or None, is "cut off"."""

_NO_END = 99_999_999_999
"""Epoch seconds after every machine's own deadline, in the digits that bootstrap/trainer.sh allows."""
_LINGER_S = 0
"""Seconds that a launcher waits for its removal after its work: nobody else will remove it."""


@dataclass(frozen=True, slots=True)
class Timetable:
    """The schedule as the cloud has it.

    Attributes:
        time: Five fields of cron.
        time_zone: Its time zone; empty means UTC.
        next: When the next launcher comes; None if the cloud does not tell.
        paused: Why none comes; empty if the schedule is on.
    """

    time: str
    time_zone: str
    next: dt.datetime | None
    paused: str


class ScheduleService(Protocol):
    """The cloud's own schedule of a target."""

    def look(self) -> Timetable:
        """Returns what the cloud has; raises TargetError if there is no such schedule."""
        ...


@dataclass(frozen=True, slots=True)
class ModelDay:
    """What a launcher did for one model.

    Attributes:
        model: Its name.
        status: Exit status of `cloudlstm daily`; None if it was ended, or never began, for lack of time.
        seconds: How long it took.
        log: The last lines that it wrote.
    """

    model: str
    status: int | None
    seconds: float
    log: str

    @property
    def word(self) -> str:
        """What its exit status means."""
        return "cut off" if self.status is None else STATUSES.get(self.status, "cut off")

    @property
    def cut_off(self) -> bool:
        """Whether it was ended, killed, or never began."""
        return self.status not in STATUSES


@dataclass(frozen=True, slots=True)
class Launch:
    """What a launcher did.

    Attributes:
        began: When it began to work, ISO 8601 in UTC.
        ended: When the last model was done.
        acted: The moment for which the days were done: `began`, or that of an emulated clock.
        version: The cloudlstm that it ran.
        address: Private address of the machine; empty if unknown.
        models: What it did for each model, in order.
    """

    began: str
    ended: str
    acted: str
    version: str
    address: str
    models: tuple[ModelDay, ...]


def schedule_of(config: TargetConfig) -> Schedule:
    """Returns the schedule of a target.

    Raises:
        TargetError: it has none.
    """
    if config.schedule is None:
        raise TargetError(
            f"the target {config.name} has no schedule",
            hint="set the variable `schedule` of its Terraform root, and apply it",
        )
    return config.schedule


def coordinates(config: TargetConfig) -> str:
    """Returns the URI of the launchers' assignment, leases and logs, without a slash at the end."""
    return join(config.bucket_uri, "trainers", schedule_of(config).group)


def assignment_uri(config: TargetConfig) -> str:
    """Returns the URI of the launchers' assignment."""
    return join(coordinates(config), "assignment.json")


def assignment(config: TargetConfig, parts: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """Returns the assignment of launchers; equal arguments give equal documents.

    Args:
        config: The target.
        parts: URI and sha256 of the parts `launcher` (the package with its assets), `launch` (the job script) and,
            unless the image has all packages, `wheelhouse`.
    """
    schedule = schedule_of(config)
    environment = {"trainer_python": schedule.python} if schedule.python else {"wheelhouse": parts["wheelhouse"]}
    return {
        "version": 1,
        "run": join(config.bucket_uri, "runs", "schedule"),
        "target": schedule.target,
        "code": __version__,
        "attempt": 1,
        "workers": 1,
        "python": config.spark_python,
        "port": config.trainer_port,
        "deadline": _NO_END,
        "linger": _LINGER_S,
        "within": schedule.max_hours * 3600,
        "imports": "pyarrow",
        "accelerator": "cpu",
        "package": parts["launcher"],
        "jobs": {"agent": parts["launch"], "train": parts["launch"]},
        **environment,
    }


def assigned(config: TargetConfig) -> dict[str, Any] | None:
    """Returns the assignment that launchers find now; None if there is none that can be read."""
    try:
        found = storage.read_json(assignment_uri(config))
    except (ObjectNotFoundError, CorruptObjectError):
        return None
    return found if isinstance(found, dict) else None


def record(root: str, date: str, launch: Launch) -> str:
    """Writes what a launcher did under the next free number of its date; returns the URI."""
    folder = f"{root}/schedule/{date}/"
    while True:
        number = numbered.newest(folder) + 1
        if numbered.create(f"{folder}{number:04d}.json", asdict(launch)):
            return f"{folder}{number:04d}.json"


def launches(root: str, limit: int) -> list[tuple[str, Launch]]:
    """Returns what the last launchers did, the newest first, each with its name `<date>/<number>`.

    Objects that cannot be read are left out.
    """
    folder = f"{root}/schedule/"
    names = sorted((item.uri.removeprefix(folder) for item in storage.list_objects(folder)), reverse=True)
    found: list[tuple[str, Launch]] = []
    for name in names:
        date, _, _ = name.partition("/")
        if len(found) == limit:
            break
        if numbered.number_in(f"{folder}{name}", f"{folder}{date}/") is None:
            continue
        try:
            found.append((name.removesuffix(".json"), documents.read(Launch, f"{folder}{name}")))
        except (CorruptObjectError, ObjectNotFoundError):
            continue
    return found


def open_schedule(config: TargetConfig) -> ScheduleService:
    """Returns the cloud's own schedule of a target."""
    if config.cloud == "aws":
        from cloudlstm.targets.aws.schedule import ScheduledAction

        return ScheduledAction(config, schedule_of(config))
    from cloudlstm.targets.gcp.schedule import SchedulerJob

    return SchedulerJob(config, schedule_of(config))
