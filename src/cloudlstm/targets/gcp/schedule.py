"""The schedule on Google Cloud: a job of Cloud Scheduler, which resizes the launchers' group."""

from __future__ import annotations

import datetime as dt

from cloudlstm.targets.document import TargetConfig
from cloudlstm.targets.gcp import rest
from cloudlstm.targets.schedule import Timetable
from cloudlstm.targets.schedule_config import Schedule


class SchedulerJob:
    """The job of a target.

    Args:
        target: The target document; an emulator has its URL in `endpoints` as "scheduler".
        schedule: Its schedule.
    """

    def __init__(self, target: TargetConfig, schedule: Schedule) -> None:
        self._target, self._schedule = target, schedule

    def look(self) -> Timetable:
        """Reads the job.

        Raises:
            TargetError: There is no such job, no right to read it, or no credentials.
            TargetUnavailableError: Cloud Scheduler does not answer.
        """
        target, name = self._target, self._schedule.job
        job = rest.call(
            target, "scheduler", f"/v1/projects/{target.account}/locations/{target.region}/jobs/{name}",
            scope="cloud-platform", doing=f"read the job {name} of Cloud Scheduler", hints={404: "terraform apply"},
        )  # fmt: skip
        when = str(job.get("scheduleTime") or "")
        state = str(job.get("state", ""))
        return Timetable(
            str(job.get("schedule", "")),
            str(job.get("timeZone", "")),
            dt.datetime.fromisoformat(when).astimezone(dt.UTC) if when else None,
            "" if state == "ENABLED" else f"the job {name} is {state}",
        )
