"""A fake clock: pauses end at once, and scheduled functions run in between."""

from __future__ import annotations

import time
from collections.abc import Callable


class FakeClock:
    """Replaces the module `time` in a test.

    Attributes:
        now: The value of `monotonic`.
        wall_step_s: Seconds that the wall clock was set forward.
    """

    def __init__(self) -> None:
        self.began = self.now = 1000.0
        self.wall_step_s = 0.0
        self._due: list[tuple[float, float, Callable[[], object]]] = []

    @property
    def passed_s(self) -> float:
        return self.now - self.began

    def every(self, seconds: float, work: Callable[[], object]) -> None:
        """Calls `work` every so many seconds."""
        self._due.append((self.now + seconds, seconds, work))

    def at(self, seconds: float, work: Callable[[], object]) -> None:
        """Calls `work` once, after so many seconds."""
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
