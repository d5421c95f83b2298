"""How objects of a run are removed: only those with names of ours, and none behind a symbolic link in its folder."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from cloudlstm import storage
from cloudlstm.layout import RunLayout

_AT_ONCE = 16
"""Objects that are removed at the same time."""


def remove(layout: RunLayout, prefix: str, chosen: Callable[[str], bool] = lambda _: True) -> None:
    """Removes the objects of the run whose URIs begin with `prefix` and are `chosen`."""
    listed = storage.list_objects(prefix, within=layout.uri)
    found = [item.uri for item in listed if layout.is_ours(item.uri) and chosen(item.uri)]
    if not found:
        return
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(partial(storage.delete, within=layout.uri), found))
