"""The phases of the step "train" and their durations, and its training windows over all networks."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from cloudlstm.config import RunConfig
from cloudlstm.dataset.folds import Fold, epochs_of
from cloudlstm.training.members import Member
from cloudlstm.training.sampling import Order


class Phases:
    """Measures how long each phase takes; a phase that comes again counts with its first time.

    Args:
        name: The first phase.
        began: When it began, seconds since the epoch.
    """

    def __init__(self, name: str, began: float) -> None:
        self._seconds = {name: 0.0}
        self._name, self._began = name, began

    def begin(self, name: str) -> None:
        """Ends the present phase and begins the next one."""
        self._end(time.time())
        self._name = name
        self._seconds.setdefault(name, 0.0)

    def _end(self, now: float) -> None:
        self._seconds[self._name] += now - self._began
        self._began = now

    def rows(self, ended: float) -> list[dict[str, Any]]:
        """Every phase with its seconds, in the order of their first begins; the present one ended at `ended`."""
        self._end(ended)
        return [{"phase": name, "seconds": round(seconds, 3)} for name, seconds in self._seconds.items()]


class WindowCount:
    """Counts training windows over all networks of a run.

    Args:
        config: The run's configuration.
        members: All networks.
        folds: Their windows.

    Attributes:
        before: Windows of the networks that are finished, as many as they have seen.
        total: Windows in all; less than planned where a training stopped early.
    """

    def __init__(self, config: RunConfig, members: Sequence[Member], folds: Sequence[Fold]) -> None:
        self._members = list(members)
        self._planned = {}
        for member in members:
            order = Order(len(folds[member.fold].splits["train"]), config.train.batch_windows, member.seed)
            steps = order.total_steps(epochs_of(config, member.fold), config.train.max_steps)
            self._planned[member] = order.windows_seen(steps)
        self.before, self.total = 0, sum(self._planned.values())

    def place(self, member: Member) -> str:
        """The place of a network among all, as in "2 of 5"."""
        return f"{self._members.index(member) + 1} of {len(self._members)}"

    def finish(self, member: Member, seen: int) -> None:
        """Counts a network that has seen so many windows."""
        self.before += seen
        self.total += seen - self._planned[member]

    def skip(self, member: Member) -> None:
        """Leaves out a network that an earlier job finished."""
        self.finish(member, 0)
