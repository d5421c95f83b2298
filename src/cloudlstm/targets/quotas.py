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
        what: What they are: "Spark nodes" or "trainers".
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
    """What things take of a quota.

    Attributes:
        what: What they are, in the plural.
        fewest: How many must be there.
        highest: How many there may be.
        size: What each of them takes.
    """

    what: str
    fewest: int
    highest: int
    size: int = 1

    def __str__(self) -> str:
        what = self.what.removesuffix("s") if self.highest == 1 else self.what
        size = f" x {self.size}" if self.size > 1 else ""
        return f"{_range(self.fewest, self.highest)} {what}{size}"


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
        ask: How to raise it: a text with "{0}" in place of the number, and "{1}" in place of a remark on it.
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
        return sum(need.fewest * need.size for need in self.needs)

    @property
    def most(self) -> int:
        """Returns what is needed at most."""
        return sum(need.highest * need.size for need in self.needs)

    def __str__(self) -> str:
        parts = ", ".join(map(str, self.needs))
        unit = self.unit
        if self.most == 1:
            unit = unit.removesuffix("es") if unit.endswith("sses") else unit.removesuffix("s")
        needed = f"{_range(self.least, self.most)} {unit}" + (f" ({parts})" if parts != f"1 {unit}" else "")
        in_use = f", {self.used} in use" if self.used else ""
        title = "" if self.title == self.code else f"{self.title}: "
        return f"{title}{needed}; {self.limit} allowed in {self.place}{in_use}"

    def remedy(self) -> str:
        """Returns what to ask for so that all machines fit, and what is enough to start."""
        enough = self.used + self.least
        short = self.free < self.least < self.most
        return self.ask.format(self.used + self.most, f" ({enough} is enough to start)" if short else "")


def _range(least: int, most: int) -> str:
    return f"{most}" if least == most else f"{least} to {most}"
