"""Runs the machines of all groups: one process for each instance that the platform has."""

from __future__ import annotations

import itertools
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloudlstm.runs.environment import CORES
from cloudlstm.targets.schedule import NOW
from localstack.machines.commands import ADDRESS, ID
from localstack.machines.machine import PYTHON, START_SCRIPT
from localstack.machines.nodes import Nodes
from localstack.network.namespace import Network
from localstack.processes import Process
from localstack.server.clock import Clock


@dataclass(frozen=True)
class Instance:
    """An instance of a group.

    Attributes:
        id: The platform's id.
        group: Its group.
        address: Its private address, one of this machine's loopback addresses.
        variables: The variables that its user data exports.
        name: Its name, if that is not its id.
        script: Its user data, which a machine runs that installs from the bucket.
    """

    id: str
    group: str
    address: str
    variables: Mapping[str, str]
    name: str = ""
    script: str = ""


class Machines:
    """Starts and ends processes so that there is one for each instance.

    Args:
        nodes: How machines are set up.
        network: The network in which they run.
        clock: The clock of schedules; once a test has moved it, a machine acts as if its time were that.
    """

    def __init__(self, nodes: Nodes, network: Network, clock: Clock) -> None:
        self._nodes, self._network, self._clock = nodes, network, clock
        self._running: dict[str, tuple[Instance, Process]] = {}
        self._cores = itertools.cycle(sorted(os.sched_getaffinity(0)))
        self._leaving: list[tuple[float, Process]] = []

    def reconcile(self, wanted: Mapping[str, Instance]) -> None:
        """Starts the processes of the wanted instances that do not run, and kills all others with their descendants."""
        for gone in self._running.keys() - wanted.keys():
            self._running.pop(gone)[1].kill()
        for each in wanted.values():
            if each.id not in self._running:
                self._running[each.id] = (each, self._boot(each))
        now = time.monotonic()
        for when, process in self._leaving:
            if now >= when or process.poll() is not None:
                process.kill()
        self._leaving = [(when, process) for when, process in self._leaving if process.poll() is None]

    def preempt(self, machine: str, grace_s: float) -> None:
        """Sends SIGTERM to a machine's processes and kills them after the grace period."""
        _, process = self._running.pop(machine)
        if grace_s <= 0:
            process.kill()
            return
        process.terminate()
        self._leaving.append((time.monotonic() + grace_s, process))

    def in_group(self, pattern: str) -> list[str]:
        """Returns the ids of a group's running machines in their order of start; `*` is all groups."""
        return [name for name, (instance, _) in self._running.items() if pattern in ("*", instance.group)]

    def stop(self) -> None:
        """Ends all machines."""
        self.reconcile({})
        for _, process in self._leaving:
            process.kill()

    def states(self) -> list[dict[str, Any]]:
        """Returns the running machines as JSON objects."""
        return [
            {
                "id": instance.id,
                "name": instance.name or instance.id,
                "group": instance.group,
                "address": instance.address,
                "pid": process.pid,
                "running": process.poll() is None,
                "log": str(self._folder(instance) / "log.txt"),
            }
            for instance, process in self._running.values()
        ]

    def _folder(self, instance: Instance) -> Path:
        return self._nodes.folder / "machines" / instance.id

    def _boot(self, instance: Instance) -> Process:
        folder = self._folder(instance)
        folder.mkdir(parents=True)
        (folder / START_SCRIPT).write_text(instance.script)
        environment = self._nodes.environment(folder) | {
            **instance.variables,
            ADDRESS: instance.address,
            ID: instance.name or instance.id,
            PYTHON: str(self._nodes.trainer_python),
            CORES: str(next(self._cores)),  # all machines share this one's cores
            "PYTHONPATH": ":".join(filter(None, sys.path)),
        }
        if self._clock.moved:
            environment[NOW] = self._clock.now().isoformat()
        return Process(
            [*self._network.enter, sys.executable, "-m", "localstack.machines.machine"],
            folder=folder,
            stdout=folder / "log.txt",
            environment=environment,
        )
