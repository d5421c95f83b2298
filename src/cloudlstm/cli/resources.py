"""What a target has in its cloud, by what it costs: `doctor` shows it, and `down` after it has stopped all work."""

from __future__ import annotations

from typing import NamedTuple

from cloudlstm.cli import terminal
from cloudlstm.targets import launchers
from cloudlstm.targets.cloud import CloudTarget


class Resources(NamedTuple):
    """The resources of a target, in words.

    Attributes:
        costs: What costs money while it exists.
        free: What is there and costs nothing by itself.
        kept: The bucket of runs, which costs money for what it holds.
    """

    costs: tuple[str, ...]
    free: tuple[str, ...]
    kept: tuple[str, ...]


def existing(target: CloudTarget) -> Resources:
    """Asks the cloud for the resources of a target, its launchers among them.

    Raises:
        TargetError: The cloud refuses to list them.
    """
    found = [*target.list_resources(), *launchers.resources(target.config)]
    costs, free, kept = (tuple(each.text for each in found if each.bill == bill) for bill in ("costs", "free", "kept"))
    return Resources(costs, free, kept)


def show(found: Resources) -> None:
    """Prints the resources, one a line below what they cost; nothing for a kind that does not exist."""
    for title, lines in (
        ("costs money while it exists:", found.costs),
        ("is there and costs nothing by itself:", found.free),
        ("costs money for what it holds:", found.kept),
    ):
        if lines:
            terminal.write(f"{title}\n" + "".join(f"  {line}\n" for line in lines))
