"""The heartbeat of the emulated AWS: what the service's own background work would do."""

from __future__ import annotations

import base64
import gzip
import time
import traceback
from typing import Any

from moto.autoscaling.models import autoscaling_backends
from moto.core.utils import utcnow

from localstack.aws.groups import Group, ScheduledAction, groups
from localstack.aws.steps import Steps
from localstack.aws.world import World
from localstack.faults import Fault
from localstack.machine import exports_of
from localstack.machines import Instance

TICK_S = 0.2
REFILL_S = 2.0
"""How often a group that is short tries again; the service takes longer."""


class Engine:
    """Runs steps, machines and scheduled actions, turn by turn."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._steps = Steps(world)
        self._refilled = 0.0

    def run(self) -> None:
        """Turns for ever. What fails inside a turn is noted among the world's problems."""
        while True:
            for part in (self._scheduled_actions, self._refill, self._machines, self._steps.tick):
                with self._world.lock:
                    try:
                        part()
                    except Exception:
                        self._world.problems.append(traceback.format_exc())
                        traceback.print_exc()
            time.sleep(TICK_S)

    def state(self) -> dict[str, Any]:
        """What is going on, as a JSON object."""
        with self._world.lock:
            return {
                "steps": self._steps.states(),
                "machines": self._world.machines.states(),
                "groups": {group.name: group.desired_capacity for group in groups()},
                "faults": self._world.faults.waiting(),
                "problems": self._world.problems,
            }

    def preempt(self, fault: Fault) -> None:
        """Takes a machine back as EC2 does with spot instances; the group replaces it."""
        with self._world.lock:
            self._machines()
            running = self._world.machines.in_group(fault.group)
            if fault.worker >= len(running):
                raise ValueError(f"there is no machine {fault.worker}: {len(running)} run in group {fault.group!r}")
            name = running[fault.worker]
            for group in groups():
                if any(state.instance.id == name for state in group.instance_states):
                    self._world.machines.preempt(name, fault.grace_s)
                    cause = (
                        "an instance was taken out of service in response to an EC2 health check indicating it has "
                        "been terminated or stopped."
                    )
                    group.note(f"Terminating EC2 instance: {name}", cause)
                    group.autoscaling_backend.terminate_instance(name, should_decrement=False)
                    return

    def _scheduled_actions(self) -> None:
        """Does what is due, once. Recurrence is stored and told of, not followed."""
        for account in list(autoscaling_backends.values()):
            for backend in list(account.values()):
                for name, action in list(backend.scheduled_actions.items()):
                    assert isinstance(action, ScheduledAction)
                    if action.due is None or action.due > utcnow() or action.recurrence:
                        continue
                    del backend.scheduled_actions[name]
                    group = backend.autoscaling_groups.get(action.auto_scaling_group_name)
                    if isinstance(group, Group) and not group.suspends("ScheduledActions"):
                        _resize(group, action)

    def _refill(self) -> None:
        """Groups that are short try again."""
        if time.monotonic() > self._refilled + REFILL_S:
            self._refilled = time.monotonic()
            for group in groups():
                group.refill()

    def _machines(self) -> None:
        """A process for each running instance whose user data makes it a trainer."""
        wanted = {}
        for group in groups():
            for state in group.instance_states:
                variables = _variables(state.instance)
                if state.instance.state == "running" and variables:
                    name = state.instance.id
                    wanted[name] = Instance(name, group.name, str(state.instance.private_ip), variables)
        self._world.machines.reconcile(wanted)


def _resize(group: Group, action: ScheduledAction) -> None:
    if action.min_size is not None:
        group.min_size = action.min_size
    if action.max_size is not None:
        group.max_size = action.max_size
    wanted = group.desired_capacity if action.desired_capacity is None else action.desired_capacity
    low, high = group.min_size or 0, group.max_size if group.max_size is not None else wanted or 0
    group.set_desired_capacity(min(max(wanted or 0, low), high))


def _variables(instance: Any) -> dict[str, str]:
    """What the instance's user data exports, plain or compressed."""
    if instance.user_data is None:
        return {}
    data = base64.b64decode(str(instance.user_data))
    text = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    return exports_of(text.decode(errors="replace"))
