"""The index of a root: a small object for each run, by which verbs find it without listing all objects of all runs.

It says when the run was submitted last. Older releases wrote it without that. Each submit writes it anew, so the time
at which the object was written counts then.
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
"""Markers that are read at the same time."""
_CLOCK_S = 1.0
"""Some stores know the time of a write only to the second."""


def run_ids(root: str) -> list[str]:
    """The ids of all runs below a root; objects of other names are not ours."""
    return [_id(item) for item in _listed(root)]


def newest_first(root: str) -> Iterator[str]:
    """The ids of all runs below a root, the one that was submitted last first.

    Only as many markers are read as the caller takes runs, and some more at the same time: no marker was written before
    the submit that it tells of, so those that were written before that one need no look.
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
    """Notes that the run was submitted now.

    Raises:
        UsageError: The place of its marker is taken by somebody else's object.
    """
    require_free(root, run_id)
    storage.write_json(index(root, run_id), {"run": run_id, "submitted": time.time()})


def require_free(root: str, run_id: str) -> None:
    """Raises UsageError where something other than the run's marker lies in its place."""
    if has_marker(root, run_id) is False:
        raise UsageError(
            f"{index(root, run_id)} is somebody's own file, and the marker of run {run_id} belongs there",
            hint="another --run, or another --root",
        )


def has_marker(root: str, run_id: str) -> bool | None:
    """Whether the object in the place of the run's marker is one; None where there is no object."""
    try:
        return _is_marker(storage.read_json(index(root, run_id)), run_id)
    except ObjectNotFoundError:
        return None
    except CorruptObjectError:
        return False


def forget(root: str, run_id: str) -> None:
    """Removes the run's marker, if there is one."""
    if has_marker(root, run_id):
        storage.delete(index(root, run_id), within=index(root))


def _listed(root: str) -> list[ObjectInfo]:
    return [item for item in storage.list_objects(index(root)) if is_run_id(item.uri.removeprefix(index(root)))]


def _id(item: ObjectInfo) -> str:
    return item.uri.rsplit("/", 1)[1]


def _submitted(item: ObjectInfo) -> float | None:
    """When the run of a marker was submitted last; None where the object is no marker, or gone."""
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
