"""The index of a root: a small object (marker) per run, so that runs are found without listing all their objects.

A marker holds the time of the last submit. Markers of older releases do not; then the time of the object counts, since
each submit rewrites the marker.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from cloudlstm import storage
from cloudlstm.errors import CorruptObjectError, ObjectNotFoundError, UsageError
from cloudlstm.runs.paths import index, is_run_id
from cloudlstm.storage import ObjectInfo

_AT_ONCE = 8
"""Number of markers that are read at the same time."""
_CLOCK_S = 1.0
"""Some stores keep the time of a write only to the second."""


def run_ids(root: str) -> list[str]:
    """The ids of all runs in a root; objects with other names are ignored."""
    return [_id(item) for item in _listed(root)]


def newest_first(root: str) -> Iterator[str]:
    """Yields the ids of all runs in a root, the last submitted run first.

    Reads few more markers than the caller takes runs: a marker is written after its submit, so markers that were
    written before the newest known submit need not be read yet.
    """
    waiting = sorted(_listed(root), key=lambda item: item.modified)
    known: list[tuple[float, str]] = []
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        while waiting or known:
            while waiting and (not known or max(known)[0] < waiting[-1].modified + _CLOCK_S):
                batch = [waiting.pop() for _ in range(min(_AT_ONCE, len(waiting)))]
                times = pool.map(_submitted, batch)
                known += [(when, _id(item)) for item, when in zip(batch, times, strict=True) if when is not None]
            if known:
                known.remove(newest := max(known))
                yield newest[1]


def mark(root: str, run_id: str) -> None:
    """Writes the marker of a run that is submitted now.

    Raises:
        UsageError: Another file has the name of the marker.
    """
    require_free(root, run_id)
    storage.write_json(index(root, run_id), {"run": run_id, "submitted": time.time()})


def require_free(root: str, run_id: str) -> None:
    """Raises UsageError if another file has the name of the run's marker."""
    if has_marker(root, run_id) is False:
        raise UsageError(
            f"{index(root, run_id)} is not a marker, but has the name of the marker of run {run_id}",
            hint="another --run, or another --root",
        )


def has_marker(root: str, run_id: str) -> bool | None:
    """True if the run has a marker, False if another file has its name, None if there is no object."""
    try:
        return _is_marker(storage.read_json(index(root, run_id)), run_id)
    except ObjectNotFoundError:
        return None
    except CorruptObjectError:
        return False


def forget(root: str, run_id: str) -> None:
    """Removes the marker of a run, if it exists."""
    if has_marker(root, run_id):
        storage.delete(index(root, run_id), within=index(root))


def _listed(root: str) -> list[ObjectInfo]:
    return [item for item in storage.list_objects(index(root)) if is_run_id(item.uri.removeprefix(index(root)))]


def _id(item: ObjectInfo) -> str:
    return item.uri.rsplit("/", 1)[1]


def _submitted(item: ObjectInfo) -> float | None:
    """When the run was submitted last, in seconds since the epoch; None if the object is not a marker."""
    try:
        found = storage.read_json(item.uri)
    except (ObjectNotFoundError, CorruptObjectError):
        return None
    if not _is_marker(found, _id(item)):
        return None
    when = found.get("submitted")
    return float(when) if isinstance(when, int | float) else item.modified


def _is_marker(found: Any, run_id: str) -> bool:
    return isinstance(found, dict) and found.get("run") == run_id
