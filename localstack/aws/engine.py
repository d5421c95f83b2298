"""The services of the emulated AWS and their background work."""

from __future__ import annotations

import base64
import gzip
import time
from collections.abc import Callable, Sequence
from typing import Any

from moto.autoscaling.models import autoscaling_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app

from localstack.aws import alarms, dependencies, images, launches, moto_patches, quotas, spark, trainers
from localstack.aws.jobs import Steps
from localstack.aws.middleware import FaultMiddleware
from localstack.aws.roles import Roles
from localstack.aws.trainers import Group, ScheduledAction, groups
from localstack.machines.machine import exports_of
from localstack.machines.machines import Instance
from localstack.server.engine import REFILL_S, Engine, Services
from localstack.server.world import World


def services(world: World) -> Services:
    """The services of the emulated AWS but S3: moto with patches, behind checks and faults."""
    roles = Roles(world.faults)
    moto_patches.install()
    images.install()
    dependencies.install()
    quotas.install(world.faults)
    alarms.install(world.clock.now)
    launches.install(world.faults, roles)
    spark.install(roles)
    trainers.install(world.faults, world.clock)
    application = FaultMiddleware(DomainDispatcherApplication(create_backend_app), world)
    return Services(application, AwsEngine(world), MotoRequestHandler)


class AwsEngine(Engine):
    """Runs steps, machines and scheduled actions in turns."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._steps = Steps(world)
        self._alarms = alarms.Alarms(world.clock.now)
        self._refilled = 0.0

    def parts(self) -> Sequence[Callable[[], None]]:
        return (
            self.schedules, self._shut_down, self._refill, self.machines, self._steps.tick, self._alarms.evaluate,
        )  # fmt: skip

    def steps(self) -> list[dict[str, object]]:
        return self._steps.states()

    def state(self) -> dict[str, Any]:
        """The state of the cloud, with the mails of alarms."""
        return super().state() | {"mails": list(self._alarms.mails)}

    def sizes(self) -> dict[str, int | None]:
        return {group.name: group.desired_capacity for group in groups()}

    def machines(self) -> None:
        """Runs one process for each running instance whose user data makes it a trainer."""
        wanted = {}
        for group in groups():
            for state in group.instance_states:
                script = _user_data(state.instance)
                variables = exports_of(script)
                if state.instance.state == "running" and variables:
                    name = state.instance.id
                    wanted[name] = Instance(name, group.name, str(state.instance.private_ip), variables, script=script)
        self.world.machines.reconcile(wanted)

    def take_back(self, machine: str, grace_s: float) -> None:
        """Ends an instance as EC2 does with spot instances; the group replaces it."""
        for group in groups():
            if any(state.instance.id == machine for state in group.instance_states):
                self.world.machines.preempt(machine, grace_s)
                cause = (
                    "an instance was taken out of service in response to an EC2 health check indicating it has "
                    "been terminated or stopped."
                )
                group.add_activity(f"Terminating EC2 instance: {machine}", cause)
                group.autoscaling_backend.terminate_instance(machine, should_decrement=False)
                return

    def _shut_down(self) -> None:
        """Replaces instances whose process has ended: they have shut down without leaving their group."""
        for machine in self.world.machines.states():
            if not machine["running"]:
                self.take_back(machine["id"], 0)

    def schedules(self) -> None:
        """Carries out the actions that are due: those that recur by the clock of schedules, the others by real time."""
        for account in list(autoscaling_backends.values()):
            for backend in list(account.values()):
                for name, action in list(backend.scheduled_actions.items()):
                    assert isinstance(action, ScheduledAction)
                    recurs = action.times is not None
                    if recurs and not self.world.clock.follows(action.auto_scaling_group_name):
                        continue
                    if not action.take_due():
                        continue
                    if action.times is None:
                        del backend.scheduled_actions[name]
                    group = backend.autoscaling_groups.get(action.auto_scaling_group_name)
                    if isinstance(group, Group) and not group.suspends("ScheduledActions"):
                        _resize(group, action)

    def _refill(self) -> None:
        """Lets groups start missing machines again."""
        if time.monotonic() > self._refilled + REFILL_S:
            self._refilled = time.monotonic()
            for group in groups():
                group.refill()


def _resize(group: Group, action: ScheduledAction) -> None:
    if action.min_size is not None:
        group.min_size = action.min_size
    if action.max_size is not None:
        group.max_size = action.max_size
    wanted = group.desired_capacity if action.desired_capacity is None else action.desired_capacity
    low, high = group.min_size or 0, group.max_size if group.max_size is not None else wanted or 0
    group.set_desired_capacity(min(max(wanted or 0, low), high))


def _user_data(instance: Any) -> str:
    """Returns the instance's user data as text; the data may be compressed."""
    if instance.user_data is None:
        return ""
    data = base64.b64decode(str(instance.user_data))
    text = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    return text.decode(errors="replace")
