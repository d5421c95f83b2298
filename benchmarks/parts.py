"""Seconds of the parts of a program: functions are wrapped, and each part counts its own time only."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

OTHER = "the rest"


class Parts:
    """Counts seconds by part. Time inside another part counts for that part alone.

    Args:
        clock: Returns seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self.seconds: dict[str, float] = {}
        self._open: list[str] = []
        self._since = 0.0

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Counts the time of a block for a part."""
        self._turn()
        self._open.append(name)
        try:
            yield
        finally:
            self._turn()
            self._open.pop()

    def _turn(self) -> None:
        """Adds the time since the last change of part to the part that is open."""
        now = self._clock()
        if self._open:
            name = self._open[-1]
            self.seconds[name] = self.seconds.get(name, 0.0) + now - self._since
        self._since = now

    def wrapped(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, whose time counts for a part."""

        @functools.wraps(function)
        def call(*words: Any, **flags: Any) -> Any:
            with self.part(name):
                return function(*words, **flags)

        return call

    @contextmanager
    def counting(self, functions: Mapping[str, Sequence[tuple[Any, str]]]) -> Iterator[None]:
        """Wraps functions for the time of a block.

        Args:
            functions: Part -> owners (modules or classes) and the names of their functions.
        """
        kept = []
        try:
            for name, places in functions.items():
                for owner, attribute in places:
                    original = getattr(owner, attribute)
                    kept.append((owner, attribute, original))
                    setattr(owner, attribute, self.wrapped(name, original))
            with self.part(OTHER):
                yield
        finally:
            for owner, attribute, original in reversed(kept):
                setattr(owner, attribute, original)
