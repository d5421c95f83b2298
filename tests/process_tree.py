"""Finds the children and descendants of a process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def children(pid: int) -> Iterator[int]:
    """Yields the children of a process."""
    return (child for child, parent in _parents().items() if parent == pid)


def descendants(pid: int) -> set[int]:
    """Returns the descendants of a process, without itself."""
    parents = _parents()
    found, before = {pid}, set()
    while found != before:
        before = set(found)
        found |= {child for child, parent in parents.items() if parent in found}
    return found - {pid}


def _parents() -> dict[int, int]:
    """Returns the parent of every process."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, IndexError, ValueError):
            found[int(entry.parent.name)] = int(entry.read_text().rsplit(")", 1)[1].split()[1])
    return found
