"""Reads the state of a target from the AWS APIs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from targets.fake_clouds import Step, Target

_STATES = {"PENDING": "waiting", "INTERRUPTED": "failed", "COMPLETED": "done"}


class AWSTarget(Target):
    """A target on the emulated AWS."""

    group_service = "autoscaling"
    troubles = (
        {"kind": "throttled", "service": "emr", "action": "DescribeStep", "times": 6},
        {"kind": "api-error", "service": "emr", "action": "AddJobFlowSteps", "times": 3},
        {"kind": "api-error", "service": "autoscaling", "times": 6},
    )
    failure = "FAILED: {}: {}"
    launch_error = "We currently do not have sufficient"

    @cache  # noqa: B019 - there is one target, and a client takes longer to make than to ask
    def client(self, service: str) -> Any:
        """A boto3 client, connected to the emulator by the environment."""
        import boto3

        return boto3.session.Session().client(service, region_name=self.document["region"])

    def written(self, prefix: str) -> dict[str, Any]:
        name = self.bucket.removeprefix("s3://")
        listed = self.client("s3").list_objects_v2(Bucket=name, Prefix=prefix).get("Contents", [])
        return {item["Key"]: item["LastModified"] for item in listed}

    def steps(self, run: str) -> Sequence[Step]:
        listed = self.client("emr").list_steps(ClusterId=self.document["spark_cluster"])["Steps"]
        return [
            Step(step["Id"], step["Name"], _STATES.get(state := step["Status"]["State"], state.lower()))
            for step in reversed(listed)
            if step["Config"]["Args"][-1] == run
        ]

    def event_logs(self, step: Step) -> Iterator[Path]:
        folder = self.cloud.folder / "aws" / "clusters" / self.document["spark_cluster"] / step.id / "events"
        return (path for path in folder.iterdir() if path.is_file())

    @property
    def group_size(self) -> int:
        groups = self.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[self._group])
        return int(groups["AutoScalingGroups"][0]["DesiredCapacity"])

    def resize(self, size: int) -> None:
        self.client("autoscaling").set_desired_capacity(AutoScalingGroupName=self._group, DesiredCapacity=size)

    @property
    def deadlines(self) -> Sequence[str]:
        return [action["StartTime"].isoformat() for action in self._scheduled]

    def let_deadline_pass(self) -> None:
        (action,) = self._scheduled
        what = {key: action[key] for key in ("MinSize", "MaxSize", "DesiredCapacity") if key in action}
        self.client("autoscaling").put_scheduled_update_group_action(
            AutoScalingGroupName=self._group,
            ScheduledActionName=action["ScheduledActionName"],
            StartTime=datetime.now(UTC) + timedelta(seconds=1),
            **what,
        )

    @property
    def _scheduled(self) -> Sequence[dict[str, Any]]:
        found = self.client("autoscaling").describe_scheduled_actions(AutoScalingGroupName=self._group)
        return list(found["ScheduledUpdateGroupActions"])

    @property
    def _group(self) -> str:
        return str(self.document["trainer_group"])
