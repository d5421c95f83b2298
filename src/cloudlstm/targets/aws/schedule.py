"""The schedule on AWS: a scheduled action of the launchers' Auto Scaling group, with a recurrence and a time zone."""

from __future__ import annotations

import datetime as dt

from cloudlstm.errors import TargetError
from cloudlstm.targets.aws.client import AwsApi
from cloudlstm.targets.document import TargetConfig
from cloudlstm.targets.schedule import Timetable
from cloudlstm.targets.schedule_config import Schedule

_PROCESSES = {"ScheduledActions", "Launch"}
"""Processes of a group without which no launcher comes."""


class ScheduledAction:
    """The scheduled action of a target.

    Args:
        target: The target document.
        schedule: Its schedule.
    """

    def __init__(self, target: TargetConfig, schedule: Schedule) -> None:
        self._group, self._name = schedule.group, schedule.job
        self._scaling = AwsApi("autoscaling", target)

    def look(self) -> Timetable:
        answer = self._scaling.call(
            "DescribeScheduledActions", AutoScalingGroupName=self._group, ScheduledActionNames=[self._name]
        )
        found = answer["ScheduledUpdateGroupActions"]
        if not found:
            raise TargetError(f"the group {self._group} has no scheduled action {self._name}", hint="terraform apply")
        action = found[0]
        # The service answers with the next time of an action that recurs.
        start: dt.datetime | None = action.get("StartTime")
        groups = self._scaling.call("DescribeAutoScalingGroups", AutoScalingGroupNames=[self._group])
        suspended = {
            each["ProcessName"] for group in groups["AutoScalingGroups"] for each in group["SuspendedProcesses"]
        }
        stopped = sorted(suspended & _PROCESSES)
        return Timetable(
            str(action.get("Recurrence", "")),
            str(action.get("TimeZone") or ""),
            start.astimezone(dt.UTC) if start else None,
            f"the group {self._group} has suspended {', '.join(stopped)}" if stopped else "",
        )
