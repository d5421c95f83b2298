"""Peak memory of the child processes of this process, and of itself if asked for, by their proportional set size.

PSS counts memory that processes share once. Reading it takes a few milliseconds a process, so the pause between two
samples grows with it, and sampling takes less than 3 % of a core.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

_LEAST_PAUSE_S = 0.2
_PAUSE_BY_COST = 40.0


class PeakMemory:
    """Watches all descendants of this process while the block runs.

    Args:
        itself: Whether this process counts, too.

    Attributes:
        bytes: The largest sum of their PSS; None if there were none, or the system does not tell.
    """

    def __init__(self, *, itself: bool = False) -> None:
        self._itself = itself
        self.bytes: int | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="peak-memory", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        pause_s = _LEAST_PAUSE_S
        while not self._stop.wait(pause_s):
            began = time.thread_time()
            processes = [*([os.getpid()] if self._itself else []), *_descendants(os.getpid())]
            if found := sum(map(_pss_bytes, processes)):
                self.bytes = max(self.bytes or 0, found)
            pause_s = max(_LEAST_PAUSE_S, _PAUSE_BY_COST * (time.thread_time() - began))


def _descendants(pid: int) -> list[int]:
    """All descendants of a process; none where there is no /proc."""
    found = _children(pid)
    for process in found:  # grows while it is read
        found += _children(process)
    return found


def _children(pid: int) -> list[int]:
    children: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children += map(int, task.read_text().split())
        except OSError:  # the process has ended
            continue
    return children


def _pss_bytes(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:  # the process has ended, or belongs to another user
        return 0
    return 0


def begin_peak() -> None:
    """Begins a new measurement of this process's peak memory; without effect where the system does not allow it."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_bytes() -> int | None:
    """The most resident memory of this process since `begin_peak`; None where there is no /proc."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    sizes = [int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")]
    return sizes[0] if sizes else None
