"""The end of a process at a chosen one of its operations."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from cloudlstm import storage
from cloudlstm.storage import verbs


class KillPoint:
    """Kills this process at one of the operations that it counts, before or after it is done.

    Args:
        at: The number of the operation; 0 spares the process.
        after: Whether the operation is done before the end.
    """

    def __init__(self, at: int = 0, *, after: bool = False) -> None:
        self.at, self.after, self.count = at, after, 0

    @contextmanager
    def operation(self) -> Iterator[None]:
        self.count += 1
        mine = self.count == self.at
        if mine and not self.after:
            os.kill(os.getpid(), signal.SIGKILL)
        yield
        if mine:
            os.kill(os.getpid(), signal.SIGKILL)

    def over_storage(self, *names: str) -> None:
        """Makes these functions of storage operations, in this process and from now on."""
        for name in names:
            counted = self.over(getattr(verbs, name))
            setattr(storage, name, counted)
            setattr(verbs, name, counted)

    def over(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, as an operation."""

        def counted(*args: Any, **kwargs: Any) -> Any:
            with self.operation():
                return function(*args, **kwargs)

        return counted
