"""The resource of hashicorp/time: instead of waiting it moves the clock of the fake cloud."""

from __future__ import annotations

import re
from typing import Any

from infra.google_cloud.provider import Refused
from infra.google_cloud.world import World

State = dict[str, Any]


class Sleeps:
    """The resource of hashicorp/time: instead of waiting it moves the clock of the world."""

    def __init__(self, world: World) -> None:
        self._world = world

    def configure(self, settings: State) -> None:
        del settings

    def changeable(self, kind: str) -> frozenset[str]:
        del kind
        return frozenset({"create_duration", "destroy_duration"})

    def changing(self, kind: str) -> frozenset[str]:
        del kind
        return frozenset()

    def create(self, kind: str, wanted: State) -> State:
        del kind
        self._world.advance(_seconds(wanted.get("create_duration")))
        return wanted | {"id": f"slept-until-{self._world.clock}"}

    def update(self, kind: str, before: State, wanted: State) -> State:
        del kind
        return before | wanted

    def delete(self, kind: str, before: State) -> None:
        del kind
        self._world.advance(_seconds(before.get("destroy_duration")))

    def read(self, kind: str, before: State) -> State:
        del kind
        return before

    def find(self, kind: str, name: str) -> State:
        raise Refused(f"{kind} {name} cannot be imported")

    def look_up(self, kind: str, wanted: State) -> State:
        raise Refused(f"there is no data source {kind}: {wanted}")


def _seconds(duration: str | None) -> float:
    """A duration such as "90s" or "1m30s" in seconds."""
    units = {"h": 3600.0, "m": 60.0, "s": 1.0}
    return sum(float(count) * units[unit] for count, unit in re.findall(r"([\d.]+)([hms])", duration or ""))
