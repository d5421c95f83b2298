"""Trainers on Compute Engine: a regional managed instance group.

The service sets no size at a time to come, so the deadline is the machines' own, and none is without one from its first
second on, whatever becomes of the launcher after its request to grow:

- the template's run duration ends every machine after the target's `max_hours`, even one whose script never ran;
- before it needs any network, a machine's script sets a timer to the same time, and leaves the group with decrement
  when it rings, so that nothing takes its place;
- the assignment is written before the group grows, and whoever reads it sets the timer to its deadline. A machine that
  comes after that, in place of one that was lost, finds none or one that is over, and leaves half an hour later.
"""

from __future__ import annotations

import datetime as dt
import time
from typing import Any

from cloudlstm.errors import TargetError, TargetUnavailableError
from cloudlstm.targets.base import Request
from cloudlstm.targets.document import TargetConfig
from cloudlstm.targets.gcp.client import GcpApi, status_of
from cloudlstm.targets.services import GroupStatus, Machine

_OPERATION_S = 60.0
"""How long a request to the group may take to be carried out; it is not how long machines take to come."""

_OPERATION_LOOK_S = 0.5
_EARLIER_S = 60.0
"""How far our clock may be ahead of the service's."""


class ManagedTrainers:
    """The target's managed instance group."""

    def __init__(self, target: TargetConfig) -> None:
        self._target = target
        self._managers = GcpApi("compute", "RegionInstanceGroupManagers", target)
        self._operations = GcpApi("compute", "RegionOperations", target)
        self._place = {"project": target.account, "region": target.region}
        self._group = self._place | {"instance_group_manager": target.trainer_group}

    def size_request(self, size: int) -> Request:
        arguments = {**self._group, "size": size}
        return {"service": "compute", "call": "regionInstanceGroupManagers.resize", "arguments": arguments}

    def deadline_request(self, when: str) -> Request | None:  # noqa: ARG002 - the protocol's
        """None: the machines keep the deadline, as this module's docstring says."""
        return None

    def send(self, request: Request) -> None:
        """Returns when the group's size is what was asked for, which `look` shows from then on."""
        operation = self._managers.call("resize_unary", **request["arguments"])
        give_up = time.monotonic() + _OPERATION_S
        while operation["status"] != "DONE":
            if time.monotonic() > give_up:
                raise TargetUnavailableError(
                    f"{self._target.trainer_group} did not take its new size", hint="try again"
                )
            time.sleep(_OPERATION_LOOK_S)
            operation = self._operations.call("get", **self._place, operation=operation["name"])
        if errors := (operation.get("error") or {}).get("errors"):
            raise TargetError(f"cannot resize {self._target.trainer_group}: {_told(errors[0])}")

    def forget_deadline(self) -> None:
        """There is none to take back."""

    def look(self) -> GroupStatus:
        try:
            found = self._managers.call("get", **self._group)
            instances = self._managers.each("list_managed_instances", **self._group)
        except TargetError as error:
            if status_of(error) == 404:
                error.hint = "terraform apply"
            raise
        return GroupStatus(
            int(found.get("target_size", 0)), self._target.trainer_max, tuple(map(self._machine, instances))
        )

    def _machine(self, instance: dict[str, Any]) -> Machine:
        chosen = (instance.get("properties_from_flexibility_policy") or {}).get("machine_type")
        return Machine(
            str(instance.get("id") or _name(instance["instance"])),
            _zone(instance["instance"]),
            chosen or self._target.trainer_machines[0],
            instance.get("instance_status") == "RUNNING" and instance.get("current_action") in ("NONE", "VERIFYING"),
        )

    def launch_error(self, since: float) -> str:
        """The last error of the group, with its zone and the machine types that were asked for."""
        earliest = dt.datetime.fromtimestamp(since - _EARLIER_S, dt.UTC)
        errors = self._managers.each("list_errors", **self._group)
        found = {dt.datetime.fromisoformat(each["timestamp"]): each for each in errors}
        if not found or max(found) < earliest:
            return ""
        last = found[max(found)]
        where = _zone((last.get("instance_action_details") or {}).get("instance", "")) or self._target.region
        return f"{_told(last['error'])} ({where}, {', '.join(self._target.trainer_machines)})"


def _told(error: dict[str, Any]) -> str:
    return f"{' '.join(error.get('message', '').split())} ({error.get('code', 'no code')})"


def _name(url: str) -> str:
    return url.rsplit("/", 1)[-1]


def _zone(url: str) -> str:
    """The zone of a machine, by its URL."""
    parts = url.split("/")
    return parts[parts.index("zones") + 1] if "zones" in parts[:-1] else ""
