"""What the machines of a run have cost: the launcher records their time for each job, the report adds it up.

A launcher records while it watches a job. Machines that work on after their launcher has died are counted until the
last record, or until the report if they made it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from cloudlstm import storage
from cloudlstm.errors import CorruptObjectError, ObjectNotFoundError, StorageError
from cloudlstm.runs import attempts, documents
from cloudlstm.runs.paths import RunPaths
from cloudlstm.runs.steps import JOBS

_EVERY_S = 30.0
_HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Rate:
    """Price of the machines of one job.

    Attributes:
        machine: Their type.
        machines: Their number.
        usd_per_hour: List price of all of them an hour with fees and disks; None if the type is not in the table.
        spot: Whether they come from the spot market; then the price is the usual one.
        prices: Region and date of the list prices.
    """

    machine: str
    machines: int
    usd_per_hour: float | None
    spot: bool
    prices: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Time of the machines of one job in one attempt.

    Attributes:
        attempt: The attempt.
        job: The job.
        rate: Their price.
        began: When they were requested, seconds since the epoch.
        ended: When they ended, or were last seen at work.
    """

    attempt: int
    job: str
    rate: Rate
    began: float
    ended: float

    @property
    def hours(self) -> float:
        """Hours between begin and end."""
        return max(self.ended - self.began, 0.0) / _HOUR_S

    @property
    def usd(self) -> float | None:
        """Cost by list prices; None if no price is known."""
        return None if self.rate.usd_per_hour is None else self.hours * self.rate.usd_per_hour


class Meter:
    """Records the time of a job's machines every half minute and at the end.

    Args:
        paths: The run.
        attempt: The attempt.
        job: The job.
        rate: Their price as JSON; None where a job uses no machines that are paid by the hour.
    """

    def __init__(self, paths: RunPaths, attempt: int, job: str, rate: Mapping[str, Any] | None) -> None:
        self._uri, self._attempt, self._job, self._rate = paths.usage(attempt, job), attempt, job, rate
        self._began = 0.0
        self._written = 0.0

    def record(self, since: float | None, *, at_once: bool = False) -> None:
        """Records that the machines work; a failed write is repeated at the next turn.

        Args:
            since: When they were requested, seconds since the epoch; None while there are none.
            at_once: Whether to write even if the last record is new.
        """
        now = time.time()
        if self._rate is None or since is None or (now - self._written < _EVERY_S and not at_once):
            return
        with suppress(StorageError):
            if not self._began:
                self._began = self._earlier() or since
            record = {"attempt": self._attempt, "job": self._job, "rate": dict(self._rate)}
            storage.write_json(self._uri, record | {"began": self._began, "ended": now})
            self._written = now

    def _earlier(self) -> float:
        """Returns the begin that an earlier launcher of this attempt has recorded; 0.0 if there is none."""
        found = _read(self._uri)
        return found.began if found else 0.0


def read_usage(paths: RunPaths) -> list[Usage]:
    """Returns the records of all attempts of a run, the oldest first."""
    numbers = range(1, attempts.latest_attempt(paths) + 1)
    found = [_read(paths.usage(number, job)) for number in numbers for job in JOBS]
    return [each for each in found if each]


def cost(usage: list[Usage]) -> float:
    """Returns the sum of the known costs in USD."""
    return sum(each.usd or 0.0 for each in usage)


def machine_hours(usage: list[Usage], job: str) -> float:
    """Returns the hours of the single machines of a job, together."""
    return sum(each.hours * each.rate.machines for each in usage if each.job == job)


def as_json(rate: Rate) -> dict[str, Any]:
    """Returns a rate as it stands in a request."""
    return asdict(rate)


def _read(uri: str) -> Usage | None:
    try:
        return documents.read(Usage, uri)
    except (ObjectNotFoundError, CorruptObjectError):
        return None
