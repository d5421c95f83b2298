"""Checks that a folder belongs to a run, and removes objects of the run only."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from cloudlstm import storage
from cloudlstm.errors import CorruptObjectError, ObjectNotFoundError, UsageError
from cloudlstm.runs import attempts
from cloudlstm.runs.paths import RunPaths
from cloudlstm.runs.settings import require_same

_AT_ONCE = 16
"""Number of objects that are removed at the same time."""


def remove(paths: RunPaths, prefix: str, chosen: Callable[[str], bool] = lambda _: True) -> None:
    """Removes objects of the run; other files stay.

    Args:
        paths: The run.
        prefix: Beginning of their URIs.
        chosen: True for a URI to remove; by default all.
    """
    listed = storage.list_objects(prefix, within=paths.uri)
    found = [item.uri for item in listed if paths.is_ours(item.uri) and chosen(item.uri)]
    if not found:
        return
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(partial(storage.delete, within=paths.uri), found))


def has_attempt(paths: RunPaths) -> bool:
    """True if the run has been submitted."""
    return attempts.latest_attempt(paths) > 0


def require_own(paths: RunPaths, settings: dict[str, Any]) -> None:
    """Raises UsageError if the folder holds files of others, or a run with other settings than `settings`."""
    if not has_attempt(paths):
        for item in storage.list_objects(f"{paths.uri}/"):
            raise UsageError(
                f"{paths.uri} is not the folder of a run and holds other files, such as {_below(paths, item.uri)}",
                hint="another --run, or another --root",
            )
        return
    try:
        found = storage.read_json(paths.config)
    except ObjectNotFoundError:
        return  # the launcher was killed before it wrote the settings
    except CorruptObjectError as error:
        raise UsageError(error.message, hint="another --run") from None
    require_same(paths, paths.config, found, settings)


def _below(paths: RunPaths, uri: str) -> str:
    return uri.removeprefix(f"{paths.uri}/")
