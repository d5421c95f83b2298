"""The memory of a process tree: its proportional set size (PSS), which counts memory that processes share once.

It is read from /proc, so only Linux has it; elsewhere it is 0. Reading it five times a second costs a tenth of a core.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path


def descendants(pid: int) -> list[int]:
    """The process and all its descendants."""
    found = [pid]
    for process in found:
        for task in Path(f"/proc/{process}/task").glob("*/children"):
            try:
                found += [int(child) for child in task.read_text().split()]
            except OSError:
                continue
    return found


def pss_bytes(pid: int) -> int:
    """The proportional set size of the process tree."""
    total = 0
    for process in descendants(pid):
        try:
            for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
        except OSError:
            continue
    return total


class PeakMemory:
    """The largest PSS of a process tree inside the block, in `bytes`.

    Args:
        pid: The first process of the tree; by default this one.
    """

    def __init__(self, pid: int | None = None) -> None:
        self._pid = pid or os.getpid()

    def __enter__(self) -> PeakMemory:
        self.bytes = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.2):
            self.bytes = max(self.bytes, pss_bytes(self._pid))
