"""The background work of an emulated cloud's services."""

from __future__ import annotations

import json
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from localstack.server.faults import Fault
from localstack.server.world import World

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
"""A WSGI application."""

TICK_S = 0.2
REFILL_S = 2.0
"""Seconds between attempts to start missing machines; real services wait longer."""


class Engine(ABC):
    """Does the background work of a cloud's services in turns."""

    def __init__(self, world: World) -> None:
        self.world = world

    @abstractmethod
    def parts(self) -> Sequence[Callable[[], None]]:
        """Returns the functions of each turn. They are called in order, with the world's lock held."""

    @abstractmethod
    def steps(self) -> list[dict[str, object]]:
        """Returns the steps or jobs of Spark clusters as JSON objects."""

    @abstractmethod
    def sizes(self) -> dict[str, int | None]:
        """Returns the wanted number of machines of each group."""

    @abstractmethod
    def machines(self) -> None:
        """Starts and ends processes so that there is one for each trainer instance."""

    @abstractmethod
    def take_back(self, machine: str, grace_s: float) -> None:
        """Preempts a machine of a group, as the platform does with spot machines."""

    @abstractmethod
    def schedules(self) -> None:
        """Carries out the schedules whose time has come."""

    def clock(self, text: str | None, group: str = "*") -> datetime:
        """Moves the clock of schedules to a time, if there is one, and carries out what is due; returns its time.

        `group` is a pattern of the groups whose schedules follow.

        Raises:
            ValueError: if it cannot be moved there.
        """
        with self.world.lock:
            if text is not None:
                self.world.clock.move(text, group)
                self.schedules()
            return self.world.clock.now()

    def run(self) -> None:
        """Repeats the turns until the process ends. Errors are added to the world's problems."""
        parts = self.parts()
        while True:
            for part in parts:
                with self.world.lock:
                    try:
                        part()
                    except Exception:
                        self.world.problems.append(traceback.format_exc())
                        traceback.print_exc()
            time.sleep(TICK_S)

    def state(self) -> dict[str, Any]:
        """Returns the state of the cloud as a JSON object."""
        with self.world.lock:
            return {
                "spark": self.world.spark.url,
                "steps": self.steps(),
                "machines": self.world.machines.states(),
                "groups": self.sizes(),
                "faults": self.world.faults.waiting(),
                "problems": self.world.problems,
                "exposed": self.world.network.exposed,
                "traffic": self._traffic(),
            }

    def _traffic(self) -> dict[str, Any]:
        """Returns the bytes that relays have passed on: name of the way -> network of the client -> sent, received.

        Ways of clients in the network `cloud`, the machines', lead out of it: "services" and "other".
        """
        found: dict[str, Any] = {}
        for path in self.world.counts:
            with suppress(FileNotFoundError):  # without a namespace there are no relays
                found |= json.loads(path.read_text())
        return found

    def preempt(self, fault: Fault) -> None:
        """Preempts the machine that the fault names.

        Raises:
            ValueError: if there is no such machine.
        """
        with self.world.lock:
            self.machines()
            running = self.world.machines.in_group(fault.group)
            if fault.worker >= len(running):
                raise ValueError(f"there is no machine {fault.worker}: {len(running)} run in group {fault.group!r}")
            self.take_back(running[fault.worker], fault.grace_s)


@dataclass(frozen=True)
class Services:
    """The services of a cloud but storage, as the server process runs them.

    Attributes:
        application: Answers the requests.
        engine: Does the services' background work.
        handler: The class that reads requests; None for werkzeug's own.
    """

    application: Application
    engine: Engine
    handler: Any = None
