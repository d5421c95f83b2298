"""What machines take of an account's quotas: what is needed, what is free, and what to ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


class Place(Protocol):
    """What a client of a cloud needs to know, from a target document or from settings that are not yet applied."""

    @property
    def name(self) -> str:
        """The prefix of all names."""
        ...

    @property
    def region(self) -> str:
        """The region of everything."""
        ...

    @property
    def endpoints(self) -> Mapping[str, str]:
        """Service to URL, for emulators."""
        ...


@dataclass(frozen=True, slots=True)
class Machines:
    """Machines of one kind.

    Attributes:
        what: What they do: "Spark" or "trainers".
        kind: Their machine type.
        least: How many must start.
        most: How many may run at a time.
        spot: Whether they come from the spot market.
        gpu: Kind of their accelerator, or "none".
        disk_gib: GiB of SSD of each.
    """

    what: str
    kind: str
    least: int
    most: int
    spot: bool = False
    gpu: str = "none"
    disk_gib: int = 0


@dataclass(frozen=True, slots=True)
class Need:
    """What machines take of a quota: at least, and at most."""

    what: str
    least: int
    most: int


@dataclass(frozen=True, slots=True)
class Quota:
    """A quota with what is needed of it.

    Attributes:
        code: What its cloud calls it: "L-1216C47A", "SSD_TOTAL_GB".
        title: Its name in the cloud's console.
        unit: Its unit, such as "vCPUs".
        place: Where it counts: a region, or "all regions".
        limit: Its value.
        used: What is in use now.
        needs: What is needed besides.
        ask: How to raise it to a number: a text with "{}" in place of the number.
    """

    code: str
    title: str
    unit: str
    place: str
    limit: int
    used: int
    needs: tuple[Need, ...]
    ask: str

    @property
    def free(self) -> int:
        """Returns what is not in use."""
        return max(self.limit - self.used, 0)

    @property
    def least(self) -> int:
        """Returns what is needed at least."""
        return sum(need.least for need in self.needs)

    @property
    def most(self) -> int:
        """Returns what is needed at most."""
        return sum(need.most for need in self.needs)

    def __str__(self) -> str:
        parts = ", ".join(f"{need.what} {_range(need.least, need.most)}" for need in self.needs)
        in_use = f"{self.limit} are allowed in {self.place}" + (f", {self.used} in use" if self.used else "")
        title = "" if self.title == self.code else f"{self.title}: "
        return f"{title}{_range(self.least, self.most)} {self.unit} ({parts}); {in_use}"

    def remedy(self) -> str:
        """Returns what to ask for, so that all machines fit."""
        return self.ask.format(self.used + self.most)


def _range(least: int, most: int) -> str:
    return f"{most}" if least == most else f"{least} to {most}"
