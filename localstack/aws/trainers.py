"""Auto Scaling's API: moto's, with activities, missing capacity, and the service's errors for invalid requests."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, cast

from moto.autoscaling import models, urls
from moto.autoscaling.exceptions import ValidationError
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.ec2.exceptions import EC2ClientError

from localstack.server.clock import Clock, Recurrence
from localstack.server.faults import Faults


def install(faults: Faults, clock: Clock) -> None:
    """Replaces moto's classes and methods."""
    Group.faults = faults
    ScheduledAction.clock = clock
    models.FakeAutoScalingGroup = Group  # type: ignore[misc]
    models.FakeScheduledAction = ScheduledAction  # type: ignore[misc]
    models.AutoScalingBackend.delete_scheduled_action = _delete_scheduled_action  # type: ignore[method-assign]
    urls.url_paths["{0}/$"] = Response.dispatch


def groups() -> Iterator[Group]:
    """Yields all groups."""
    for account in list(models.autoscaling_backends.values()):
        for backend in list(account.values()):
            yield from cast("list[Group]", list(backend.autoscaling_groups.values()))


def _delete_scheduled_action(self: Any, auto_scaling_group_name: str, scheduled_action_name: str) -> None:
    """Deletes an action; unlike in moto, actions of two groups may have the same name."""
    if self.scheduled_actions.pop((auto_scaling_group_name, scheduled_action_name), None) is None:
        raise ValidationError("Scheduled action name not found")


class Activity(models.Activity):
    """An activity of a group, successful or failed."""

    def __init__(self, group: Group, description: str, cause: str, *, failure: str = "") -> None:
        code = "Failed" if failure else "Successful"
        text = f"{description}.  Status Reason: {failure}" if failure else description
        super().__init__(text, f"At {utcnow():%Y-%m-%dT%H:%M:%SZ} {cause}", group, status_code=code)
        self.status_message = failure or None
        self.progress = 100


class ScheduledAction(models.FakeScheduledAction):
    """A scheduled change of a group's size, once or by a recurrence."""

    clock: Clock

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._once = _utc(self.start_time)
        self.times: Recurrence | None = None
        if self.recurrence:
            try:
                self.times = Recurrence(self.recurrence, self.time_zone or "UTC", self.clock)
            except ValueError as error:
                raise ValidationError(f"Given recurrence string is invalid: {error}") from None
            self._show_next()

    def take_due(self) -> bool:
        """True if a time of the action has come that was not taken yet."""
        if self.times is None:
            return self._once is not None and self._once <= utcnow()
        came = self.times.due() is not None
        self._show_next()
        return came

    def _show_next(self) -> None:
        """The service answers with the next time of an action that recurs."""
        assert self.times
        self.start_time = self.times.next.strftime("%Y-%m-%dT%H:%M:%SZ")


def _utc(when: Any) -> datetime | None:
    if isinstance(when, str):
        when = datetime.fromisoformat(when)
    if when is not None and when.tzinfo is not None:
        when = when.astimezone(UTC).replace(tzinfo=None)
    return cast("datetime | None", when)


class Group(models.FakeAutoScalingGroup):
    """A group that records activities, and that gets no machines while there is no capacity."""

    faults: Faults

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.activities: list[Activity] = []
        super().__init__(*args, **kwargs)

    @property
    def instance_type(self) -> str:
        """Returns the instance type; with several types, the first one."""
        overrides = self._overrides()
        return str(overrides[0]["InstanceType"]) if overrides else super().instance_type

    def set_desired_capacity(self, new_capacity: int | None) -> None:
        before = {state.instance.id for state in self.instance_states} if hasattr(self, "instance_states") else set()
        super().set_desired_capacity(new_capacity)
        for gone in sorted(before - {state.instance.id for state in self.instance_states}):
            cause = (
                "an instance was taken out of service in response to a difference between desired and actual capacity."
            )
            self.add_activity(f"Terminating EC2 instance: {gone}", cause)

    def replace_autoscaling_group_instances(self, count_needed: int, propagated_tags: dict[str, str]) -> None:
        actual = len(self.active_instances())
        cause = (
            "an instance was started in response to a difference between desired and actual capacity, "
            f"increasing the capacity from {actual} to {actual + count_needed}."
        )
        if self.faults.take("no-capacity", group=self.name):
            zones = ", ".join(self.availability_zones)
            failure = (
                f"We currently do not have sufficient {self.instance_type} capacity in the Availability Zone you "
                f"requested ({zones}). Our system will be working on provisioning additional capacity. "
                "Launching EC2 instance failed."
            )
            self.add_activity("Launching a new EC2 instance", cause, failure=failure)
            return
        for _ in range(count_needed):
            failure = self._launch(cause, propagated_tags)
            if failure:
                self.add_activity("Launching a new EC2 instance", cause, failure=failure)

    def _launch(self, cause: str, tags: dict[str, str]) -> str:
        """Starts one instance, in the first zone and of the first type that EC2 accepts; returns why it did not."""
        failure = ""
        spot = self._spot_is_next()
        template = self.ec2_launch_template
        for zone, subnet in self._places():
            for machine in self._machines():
                try:
                    reservation = self.autoscaling_backend.ec2_backend.run_instances(
                        self.image_id, 1, self.user_data, self.security_groups, instance_type=machine,
                        tags={"instance": tags | {models.ASG_NAME_TAG: self.name} | self.instance_tags},
                        placement=zone, subnet_id=subnet, launch_config=self.launch_config,
                        launch_template={"LaunchTemplateId": template.id} if template else None,
                        is_instance_type_default=False, associate_public_ip=None,
                        **({"instance_market_options": "spot"} if spot else {}),
                    )  # fmt: skip
                except EC2ClientError as error:
                    market = "Spot" if spot else "On-Demand"
                    mixed = f"Could not launch {market} Instances. {error.code} - " if self._overrides() else ""
                    failure = failure or f"{mixed}{str(error.message).rstrip('.')}. Launching EC2 instance failed."
                    continue
                (instance,) = reservation.instances
                instance.autoscaling_group = self  # type: ignore[attr-defined]
                protected = self.new_instances_protected_from_scale_in
                self.instance_states.append(models.InstanceState(instance, protected_from_scale_in=protected))
                self.add_activity(f"Launching a new EC2 instance: {instance.id}", cause)
                return ""
        return failure

    def _overrides(self) -> list[dict[str, Any]]:
        return ((self.mixed_instances_policy or {}).get("LaunchTemplate") or {}).get("Overrides") or []

    def _machines(self) -> list[str]:
        """Returns the instance types in their order of preference."""
        return [str(each["InstanceType"]) for each in self._overrides()] or [self.instance_type]

    def _places(self) -> list[tuple[str, str | None]]:
        """Returns zones with their subnets; those with the fewest instances first."""
        zones = [state.instance.placement.zone for state in self.active_instances()]
        if not self.vpc_zone_identifier:
            places: list[tuple[str, str | None]] = [(zone, None) for zone in self.availability_zones]
        else:
            subnets = [self.ec2_backend.get_subnet(each) for each in self.vpc_zone_identifier.split(",")]
            places = [(subnet.availability_zone, subnet.id) for subnet in subnets]
        return sorted(places, key=lambda place: zones.count(place[0]))

    def _spot_is_next(self) -> bool:
        """True if the next instance comes from the spot market."""
        distribution = (self.mixed_instances_policy or {}).get("InstancesDistribution") or {}
        base = int(distribution.get("OnDemandBaseCapacity") or 0)
        percent = int(distribution.get("OnDemandPercentageAboveBaseCapacity", 100))
        size = len(self.active_instances()) + 1
        on_demand = sum(state.instance.lifecycle != "spot" for state in self.active_instances())
        return on_demand >= min(size, base) + math.ceil(max(size - base, 0) * percent / 100)

    def suspends(self, process: str) -> bool:
        """True if this process of the group is suspended."""
        return process in {each["ProcessName"] for each in self.suspended_processes}

    def refill(self) -> None:
        """Starts missing machines."""
        if not self.suspends("Launch") and len(self.active_instances()) < (self.desired_capacity or 0):
            self.set_desired_capacity(self.desired_capacity)

    def add_activity(self, description: str, cause: str, *, failure: str = "") -> None:
        """Adds an activity; keeps the last hundred."""
        self.activities.insert(0, Activity(self, description, cause, failure=failure))
        del self.activities[100:]


class Response(AutoScalingResponse):
    """Auto Scaling's actions."""

    def _group(self) -> Group:
        name = self._get_param("AutoScalingGroupName")
        if name not in self.autoscaling_backend.autoscaling_groups:
            raise ValidationError(f"AutoScalingGroup name not found - AutoScalingGroup '{name}' not found")
        return cast("Group", self.autoscaling_backend.autoscaling_groups[name])

    def set_desired_capacity(self) -> ActionResult:
        group, wanted = self._group(), self._get_int_param("DesiredCapacity")
        for bound, side, limit in (("max", "above", group.max_size), ("min", "below", group.min_size)):
            if limit is not None and wanted is not None and (wanted - limit) * (1 if bound == "max" else -1) > 0:
                raise ValidationError(
                    f"New SetDesiredCapacity value {wanted} is {side} {bound} value {limit} for the AutoScalingGroup."
                )
        return super().set_desired_capacity()

    def describe_scaling_activities(self) -> ActionResult:
        name, wanted = self._get_param("AutoScalingGroupName"), self._get_param("ActivityIds", [])
        found = [activity for group in groups() if name in (None, group.name) for activity in group.activities]
        found = [activity for activity in found if not wanted or activity.activity_id in wanted]
        return ActionResult({"Activities": found[: self._get_int_param("MaxRecords") or 100]})

    def terminate_instance_in_auto_scaling_group(self) -> ActionResult:
        name = self._get_param("InstanceId")
        if not self.autoscaling_backend.describe_auto_scaling_instances([name]):
            raise ValidationError(f"Instance Id not found - No managed instance found for instance ID: {name}")
        for group in groups():
            if any(state.instance.id == name for state in group.instance_states):
                cause = f"instance {name} was taken out of service in response to a user request."
                group.add_activity(f"Terminating EC2 instance: {name}", cause)
        return super().terminate_instance_in_auto_scaling_group()

    def put_scheduled_update_group_action(self) -> ActionResult:
        group = self._group()
        start, name = self._get_param("StartTime"), self._get_param("ScheduledActionName")
        due = _utc(start)
        if due and due < utcnow():
            raise ValidationError("Given start time is in the past")
        answer = super().put_scheduled_update_group_action()
        actions: dict[Any, Any] = self.autoscaling_backend.scheduled_actions
        actions[group.name, name] = actions.pop(name)
        return answer
