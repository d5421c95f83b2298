"""Trainers on Compute Engine: a regional managed instance group.

The service cannot schedule a resize, so each machine enforces the deadline itself. Every machine has one from its
start, even if the launcher dies right after its request to scale out:

- the template's run duration ends every machine after the target's `max_hours`, even if its script never ran;
- before any network access, the machine's script sets a timer to the same time; when the timer fires, the machine
  leaves the group and decrements its size, so that no other machine replaces it;
- the assignment is written before the group scales out, and a machine that reads it sets the timer to its deadline. A
  later replacement machine finds no assignment or an expired one, and leaves after half an hour.
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
"""How long a resize operation may take; machines may start later than that."""

_OPERATION_LOOK_S = 0.5
_EARLIER_S = 60.0
"""How far this machine's clock may be ahead of the service's."""


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

    def deadline_request(self, when: str) -> Request | None:  # noqa: ARG002
        """Returns None: the machines enforce the deadline (see the module's docstring)."""
        return None

    def send(self, request: Request) -> None:
        """Sends a resize and returns when the group has accepted its new size."""
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
            raise TargetError(f"cannot resize {self._target.trainer_group}: {_error_text(errors[0])}")

    def forget_deadline(self) -> None:
        """Does nothing: there is no scheduled action."""

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
        """Returns the group's last error with its zone and the requested machine types."""
        earliest = dt.datetime.fromtimestamp(since - _EARLIER_S, dt.UTC)
        errors = self._managers.each("list_errors", **self._group)
        found = {dt.datetime.fromisoformat(each["timestamp"]): each for each in errors}
        if not found or max(found) < earliest:
            return ""
        last = found[max(found)]
        where = _zone((last.get("instance_action_details") or {}).get("instance", "")) or self._target.region
        return f"{_error_text(last['error'])} ({where}, {', '.join(self._target.trainer_machines)})"


def _error_text(error: dict[str, Any]) -> str:
    return f"{' '.join(error.get('message', '').split())} ({error.get('code', 'no code')})"


def _name(url: str) -> str:
    return url.rsplit("/", 1)[-1]


def _zone(url: str) -> str:
    """Returns the zone in a machine's URL; empty if it has none."""
    parts = url.split("/")
    return parts[parts.index("zones") + 1] if "zones" in parts[:-1] else ""
