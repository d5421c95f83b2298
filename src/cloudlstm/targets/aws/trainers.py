"""Trainers on EC2: an Auto Scaling group whose deadline is a scheduled action."""

from __future__ import annotations

import datetime as dt

from cloudlstm.errors import TargetError
from cloudlstm.targets.aws.client import AwsApi
from cloudlstm.targets.base import Request
from cloudlstm.targets.document import TargetConfig
from cloudlstm.targets.services import GroupStatus, Machine

_DEADLINE = "cloudlstm-deadline"
"""One name for all runs, so that a new deadline replaces the old one."""


class AutoScalingTrainers:
    """The target's Auto Scaling group."""

    def __init__(self, target: TargetConfig) -> None:
        self._name = target.trainer_group
        self._scaling = AwsApi("autoscaling", target)

    def size_request(self, size: int) -> Request:
        arguments = {"AutoScalingGroupName": self._name, "DesiredCapacity": size, "HonorCooldown": False}
        return {"service": "autoscaling", "call": "SetDesiredCapacity", "arguments": arguments}

    def deadline_request(self, when: str) -> Request:
        arguments = {
            "AutoScalingGroupName": self._name,
            "ScheduledActionName": _DEADLINE,
            "StartTime": when,
            "DesiredCapacity": 0,
        }
        return {"service": "autoscaling", "call": "PutScheduledUpdateGroupAction", "arguments": arguments}

    def send(self, request: Request) -> None:
        self._scaling.call(request["call"], **request["arguments"])

    def forget_deadline(self) -> None:
        self._scaling.call("DeleteScheduledAction", AutoScalingGroupName=self._name, ScheduledActionName=_DEADLINE)

    def look(self) -> GroupStatus:
        answer = self._scaling.call("DescribeAutoScalingGroups", AutoScalingGroupNames=[self._name])
        if not answer["AutoScalingGroups"]:
            raise TargetError(f"there is no Auto Scaling group {self._name}", hint="terraform apply")
        (group,) = answer["AutoScalingGroups"]
        machines = tuple(
            Machine(
                each["InstanceId"],
                each.get("AvailabilityZone", ""),
                each.get("InstanceType", ""),
                each.get("LifecycleState") == "InService",
            )
            for each in group.get("Instances", ())
        )
        return GroupStatus(group["DesiredCapacity"], group["MaxSize"], machines)

    def launch_error(self, since: float) -> str:
        answer = self._scaling.call("DescribeScalingActivities", AutoScalingGroupName=self._name, MaxRecords=50)
        earliest = dt.datetime.fromtimestamp(since - 60, dt.UTC)
        for activity in answer.get("Activities", ()):
            if activity.get("StatusCode") == "Failed" and activity["StartTime"] >= earliest:
                return str(activity.get("StatusMessage") or activity.get("Description", ""))
        return ""
