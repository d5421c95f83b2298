"""Tails: the last bars of every ticker of a version, kept so that a new day does not read the history.

    tails/<as_of>-<bars>-<SHA-256 of the object>.parquet

A tail is derived from pieces and may be deleted at any time. A later version's tail is this one and the pieces since.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
import re
from collections.abc import Callable
from contextlib import suppress

import pyarrow as pa

from cloudlstm import storage
from cloudlstm.errors import CorruptObjectError, ObjectExistsError, ObjectNotFoundError
from cloudlstm.market.store import pieces, sessions
from cloudlstm.market.store.manifest import Manifest
from cloudlstm.market.store.pieces import Piece, PieceInfo
from cloudlstm.runs.paths import join

_LOG = logging.getLogger(__name__)

RENEWED_AFTER_DAYS = 21
"""A tail that is so old is replaced by a new one, so that few pieces lie behind it."""

MOST_RECENT = 63
"""Pieces of single updates that a manifest names, so that a tail can be continued after a compaction."""

_NAME = re.compile(r"(?P<day>\d{4}-\d\d-\d\d)-(?P<bars>\d+)-[0-9a-f]{64}\.parquet")


def tail(folder: str, manifest: Manifest, bars: int, whole: Callable[[], pa.Table]) -> pa.Table:
    """Returns the last bars of all tickers of a version: BARS, sorted.

    Args:
        folder: URI of the store.
        manifest: The version.
        bars: Number of sessions.
        whole: Returns all bars of the version; called if there is no tail that can be continued.
    """
    first = sessions.first_of_last(manifest.calendar, manifest.day, bars)
    for as_of, uri in sorted(_stored(folder, bars), reverse=True):
        since = _since(manifest, as_of)
        known = None if since is None else _read(uri, folder)
        if since is None or known is None:
            continue
        table = pieces.fold([known, *(pieces.read(folder, info) for info in since)], first)
        if (manifest.day - as_of).days >= RENEWED_AFTER_DAYS:
            _write(folder, manifest.day, bars, table)
        return table
    table = pieces.fold([Piece(whole(), {})], first)
    _write(folder, manifest.day, bars, table)
    return table


def _since(manifest: Manifest, as_of: dt.date) -> list[PieceInfo] | None:
    """Returns the pieces that updates after `as_of` have written; None if they are not known."""
    day = as_of.isoformat()
    if day > manifest.as_of or (len(manifest.recent) == MOST_RECENT and manifest.recent[0].as_of > day):
        return None
    return [info for info in manifest.recent if info.as_of > day]


def _stored(folder: str, bars: int) -> list[tuple[dt.date, str]]:
    """Returns the stored tails of that many sessions: day and URI."""
    found = []
    for item in storage.list_objects(join(folder, "tails") + "/"):
        parts = _NAME.fullmatch(item.uri.rsplit("/", 1)[1])
        if parts and int(parts["bars"]) == bars:
            with suppress(ValueError):
                found.append((dt.date.fromisoformat(parts["day"]), item.uri))
    return found


def _read(uri: str, folder: str) -> Piece | None:
    """Returns a stored tail; None if it is not there, or if it is damaged and so was removed."""
    try:
        data = storage.read(uri)
        if f"-{hashlib.sha256(data).hexdigest()}.parquet" not in uri:
            raise CorruptObjectError(f"{uri} does not have the checksum in its name", uri=uri)
        return pieces.decode(data, uri)
    except ObjectNotFoundError:
        return None
    except CorruptObjectError as error:
        _LOG.warning("%s; it is made anew", error.message)
        storage.delete(uri, within=folder)
        return None


def _write(folder: str, as_of: dt.date, bars: int, table: pa.Table) -> None:
    data = pieces.encode(Piece(table, {}))
    name = f"{as_of.isoformat()}-{bars}-{hashlib.sha256(data).hexdigest()}.parquet"
    with suppress(ObjectExistsError):
        storage.write(join(folder, "tails", name), data, if_absent=True)
