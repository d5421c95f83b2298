"""The heartbeat of an emulated cloud: what its services' own background work would do."""

from __future__ import annotations

import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from localstack.server.faults import Fault
from localstack.server.world import World

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
"""A WSGI application."""

TICK_S = 0.2
REFILL_S = 2.0
"""How often a group that is short tries again; the services take longer."""


class Engine(ABC):
    """Runs the parts of a cloud, turn by turn."""

    def __init__(self, world: World) -> None:
        self.world = world

    @abstractmethod
    def parts(self) -> Sequence[Callable[[], None]]:
        """What is done in each turn, one after the other, each with the world's lock held."""

    @abstractmethod
    def steps(self) -> list[dict[str, object]]:
        """Steps or jobs of Spark clusters, as JSON objects."""

    @abstractmethod
    def sizes(self) -> dict[str, int | None]:
        """How many machines each group is to have."""

    @abstractmethod
    def machines(self) -> None:
        """Makes the running processes those of the instances that the groups have."""

    @abstractmethod
    def take_back(self, machine: str, grace_s: float) -> None:
        """The platform takes back a machine of a group, as it does with those of its spot market."""

    def run(self) -> None:
        """Turns for ever. What fails inside a turn is noted among the world's problems."""
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
        """What is going on, as a JSON object."""
        with self.world.lock:
            return {
                "spark": self.world.spark.url,
                "steps": self.steps(),
                "machines": self.world.machines.states(),
                "groups": self.sizes(),
                "faults": self.world.faults.waiting(),
                "problems": self.world.problems,
                "exposed": self.world.network.exposed,
            }

    def preempt(self, fault: Fault) -> None:
        """Takes back the machine that the fault names.

        Raises:
            ValueError: when there is none.
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
