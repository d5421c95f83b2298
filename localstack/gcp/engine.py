"""The services of the emulated Google Cloud and their background work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from localstack.gcp.alerts import Alerts
from localstack.gcp.api import Api
from localstack.gcp.compute import LINK, Compute
from localstack.gcp.jobs import Jobs
from localstack.gcp.monitoring import Monitoring
from localstack.gcp.provider import PROJECT
from localstack.gcp.scheduler import Scheduler
from localstack.gcp.spark import Dataproc
from localstack.gcp.trainers import Groups
from localstack.machines.commands import INSTANCE_URL
from localstack.machines.machine import GROUP_URL, exports_of
from localstack.machines.machines import Instance
from localstack.server.engine import Engine, Services
from localstack.server.world import World

_SCRIPTS = ("startup-script", "user-data")
"""Metadata keys of scripts that a machine runs at its start, by Google's agent or by cloud-init."""


def services(world: World) -> Services:
    """The services of the emulated Google Cloud but Cloud Storage."""
    compute = Compute(world.faults)
    groups = Groups(compute, world.faults)
    jobs = Jobs(world)
    monitoring, scheduler = Monitoring(PROJECT, world.clock.now), Scheduler(world.clock, groups)
    alerts = Alerts(monitoring, world.clock.now)
    api = Api(world, [Dataproc(compute, jobs), compute, groups, scheduler, monitoring, alerts])
    return Services(api, GcpEngine(world, compute, groups, jobs, scheduler, alerts))


class GcpEngine(Engine):
    """Runs jobs and machines in turns."""

    def __init__(
        self, world: World, compute: Compute, groups: Groups, jobs: Jobs, scheduler: Scheduler, alerts: Alerts
    ) -> None:
        super().__init__(world)
        self._scheduler, self._alerts = scheduler, alerts
        self._compute, self._groups, self._jobs = compute, groups, jobs

    def parts(self) -> Sequence[Callable[[], None]]:
        return (
            self.schedules, self._shut_down, self._groups.tick, self.machines, self._jobs.tick, self._alerts.evaluate,
        )  # fmt: skip

    def schedules(self) -> None:
        self._scheduler.tick()

    def state(self) -> dict[str, Any]:
        """The state of the cloud, with the mails of alerts."""
        return super().state() | {"mails": list(self._alerts.mails)}

    def steps(self) -> list[dict[str, object]]:
        return self._jobs.states()

    def sizes(self) -> dict[str, int | None]:
        return {group.name: group.size for group in self._groups.all.values()}

    def machines(self) -> None:
        """Runs one process for each running instance whose metadata makes it a trainer."""
        wanted = {}
        for group in self._groups.all.values():
            for machine in group.machines:
                instance = machine.instance
                if instance is None or instance["status"] != "RUNNING":
                    continue
                items = {each["key"]: each["value"] for each in instance["metadata"].get("items", [])}
                script = "\n".join(items[name] for name in _SCRIPTS if name in items)
                variables = exports_of(script)
                if variables:
                    variables |= {
                        GROUP_URL: group.link.replace(LINK, f"{self.world.url}/compute/v1"),
                        INSTANCE_URL: machine.link,
                    }
                    address = instance["networkInterfaces"][0]["networkIP"]
                    name = instance["id"]
                    wanted[name] = Instance(name, group.name, address, variables, machine.name, script)
        self.world.machines.reconcile(wanted)

    def _shut_down(self) -> None:
        """Stops instances whose process has ended: they shut down without leaving their group, which repairs them."""
        for machine in self.world.machines.states():
            if not machine["running"]:
                self.take_back(machine["id"], 0)

    def take_back(self, machine: str, grace_s: float) -> None:
        """Preempts an instance as Compute Engine does with spot instances; the group makes a new one with its name."""
        for group in self._groups.all.values():
            for each in group.machines:
                if each.instance and each.instance["id"] == machine:
                    self.world.machines.preempt(machine, grace_s)
                    each.instance["status"] = "STOPPING"
                    return
