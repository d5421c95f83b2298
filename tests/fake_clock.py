"""A clock for tests of what takes minutes: pauses pass at once, and others do their work meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable


class FakeClock:
    """Stands for the module `time` where a test puts it.

    Attributes:
        now: What `monotonic` says.
        wall_step_s: How far the clock on the wall was set forward.
    """

    def __init__(self) -> None:
        self.began = self.now = 1000.0
        self.wall_step_s = 0.0
        self._due: list[tuple[float, float, Callable[[], object]]] = []

    @property
    def passed_s(self) -> float:
        return self.now - self.began

    def every(self, seconds: float, work: Callable[[], object]) -> None:
        """Has `work` done again and again while time passes."""
        self._due.append((self.now + seconds, seconds, work))

    def at(self, seconds: float, work: Callable[[], object]) -> None:
        """Has `work` done once."""
        self._due.append((self.now + seconds, 0.0, work))

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return time.time() + self.wall_step_s

    def sleep(self, seconds: float) -> None:
        end = self.now + seconds
        while self._due and (due := min(self._due, key=lambda each: each[0]))[0] <= end:
            self._due.remove(due)
            self.now, again_s, work = due
            work()
            if again_s:
                self._due.append((self.now + again_s, again_s, work))
        self.now = end
