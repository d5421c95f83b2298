"""Kills the current process at a chosen operation."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from cloudlstm import storage
from cloudlstm.storage import verbs


class KillPoint:
    """Counts operations and kills this process before or after one of them.

    Args:
        at: Number of the operation; 0 never kills.
        after: Kill after the operation instead of before it.
    """

    def __init__(self, at: int = 0, *, after: bool = False) -> None:
        self.at, self.after, self.count = at, after, 0

    @contextmanager
    def operation(self) -> Iterator[None]:
        self.count += 1
        mine = self.count == self.at
        if mine and not self.after:
            self.kill()
        yield
        if mine:
            self.kill()

    def kill(self) -> None:
        """Kills this process."""
        os.kill(os.getpid(), signal.SIGKILL)

    def over_storage(self, *names: str) -> None:
        """Counts calls of these storage functions as operations, in this process from now on."""
        for name in names:
            counted = self.over(getattr(verbs, name))
            setattr(storage, name, counted)
            setattr(verbs, name, counted)

    def over(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wraps a function so that each call counts as an operation."""

        def counted(*args: Any, **kwargs: Any) -> Any:
            with self.operation():
                return function(*args, **kwargs)

        return counted
