"""Deletes a run. A deletion that was interrupted can be repeated.

The attempts are removed last, because they show that the folder is a run folder. Until then the deletion holds an
attempt, so no other process works on the run.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from cloudlstm import storage
from cloudlstm.errors import RunBusyError, StorageError
from cloudlstm.runs import attempts, folder, index
from cloudlstm.runs.attempts import Attempt
from cloudlstm.runs.folder import remove
from cloudlstm.runs.orphans import has_orphans, may_have_orphans
from cloudlstm.runs.paths import RunPaths

NOTICE_S = 30.0
"""Seconds in which the jobs of a lost launcher notice a later attempt and end."""


@dataclass(frozen=True, slots=True)
class Contents:
    """The content of a run folder.

    Attributes:
        objects: Number of objects of the run.
        size_bytes: Their total size.
        others: URIs of files that do not belong to the run.
    """

    objects: int
    size_bytes: int
    others: tuple[str, ...]


def contents(paths: RunPaths) -> Contents:
    """Lists the content of a run folder; if the run was never submitted, all files are `others`."""
    listed = list(storage.list_objects(f"{paths.uri}/", within=paths.uri))
    is_run = any(paths.is_attempt(item.uri) for item in listed)
    ours = [item for item in listed if is_run and paths.is_ours(item.uri)]
    own = {item.uri for item in ours}
    others = tuple(item.uri for item in listed if item.uri not in own)
    return Contents(len(ours), sum(item.size_bytes for item in ours), others)


def require_idle(paths: RunPaths) -> None:
    """Raises RunBusyError if a launcher or a job works on the run."""
    number = attempts.latest_attempt(paths)
    if number and not attempts.is_alive(paths, number) and has_orphans(paths, number):
        raise RunBusyError(
            f"the launcher of run {paths.run_id} has died, and its jobs on a cloud are still running",
            hint=f"cloudlstm cancel {paths.uri} --target=…",
        )
    if number and attempts.is_alive(paths, number):
        with Attempt(paths):  # raises RunBusyError with the name of the holder
            pass


def delete(paths: RunPaths, tell: Callable[[str], None] = lambda _: None) -> list[str]:
    """Removes all objects of the run, its marker in the index, and empty folders.

    Args:
        paths: The run.
        tell: Called with one line for the user before a long wait.

    Returns:
        The URIs of files and links in the folder that do not belong to the run.

    Raises:
        RunBusyError: Another process works on the run.
    """
    if not folder.has_attempt(paths):
        index.forget(paths.root, paths.run_id)
        return list(contents(paths).others)
    may_work = may_have_orphans(paths, attempts.latest_attempt(paths))
    with Attempt(paths) as attempt:
        if may_work:
            tell(f"waiting {NOTICE_S:.0f} s, in which jobs of a launcher that was lost see that they have to end")
            time.sleep(NOTICE_S)
        with suppress(StorageError):
            storage.sweep(f"{paths.uri}/")
        remove(paths, paths.manifests)  # first, so that no manifest names a removed object
        _remove_all_but_attempts(paths)
        index.forget(paths.root, paths.run_id)
    _remove_all_but_attempts(paths)  # objects that a job has written before it noticed
    _remove_attempts(paths, attempt.number)
    kept = storage.remove_folders(paths.uri)
    return sorted({*kept, *contents(paths).others})


def _remove_all_but_attempts(paths: RunPaths) -> None:
    remove(paths, f"{paths.uri}/", lambda uri: not paths.attempt_of(uri))


def _remove_attempts(paths: RunPaths, newest: int) -> None:
    """Removes the attempts up to `newest`; a later attempt belongs to a new submit."""
    remove(paths, paths.attempts, lambda uri: paths.attempt_of(uri) <= newest and not paths.is_attempt(uri))
    remove(paths, paths.attempts, lambda uri: paths.attempt_of(uri) <= newest)
