"""Brings a store to the bars that its source has on one day.

An update reads a few sessions that are stored already, the overlap, and compares them to the bit. The overlap decides
for each ticker whether new bars are appended, bars are corrected, the history is fetched anew, or the ticker is put
into quarantine. Pieces are written first and the manifest last, all of them create-only, so a killed update leaves
nothing that a reader sees, and its repetition writes the same bytes.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import replace

from cloudlstm import storage
from cloudlstm.config import RunConfig
from cloudlstm.errors import DataError, UsageError
from cloudlstm.market.calendar import sessions, to_days
from cloudlstm.market.store import manifest as manifests
from cloudlstm.market.store import pieces
from cloudlstm.market.store.changes import Changes
from cloudlstm.market.store.decide import Decisions, decide, refusals
from cloudlstm.market.store.fetch import FETCHED, Fetch
from cloudlstm.market.store.manifest import Manifest
from cloudlstm.market.store.pieces import NAMELESS, Piece, PieceInfo
from cloudlstm.market.store.sessions import count_between
from cloudlstm.market.store.tails import MOST_RECENT
from cloudlstm.market.store.version import Store, Version
from cloudlstm.runs.paths import join

COMPACTED_AFTER = 42
"""The update after so many pieces of single days moves all bars into new base pieces."""


def update(
    store: Store, config: RunConfig, as_of: dt.date, *, accept: Collection[str] = (), need_bars: bool = False
) -> Changes:
    """Brings a store to the bars of all sessions up to a day, and returns what has changed.

    A repeated update of the same day returns what is stored and reads no source.

    Args:
        store: The store of the configuration's source, `Store.of(root, config)`.
        config: The settings. `market.end` does not limit the bars, except those of the synthetic source.
        as_of: The last date, inclusive.
        accept: Tickers whose history is fetched anew whatever the overlap says, to end a quarantine.
        need_bars: Whether to refuse a day of which the source has no bar yet; nothing is stored then.

    Raises:
        UsageError: if `as_of` is before the newest version or `market.start`, or its session has not closed yet.
        FetchError: if a remote source answers for no ticker.
        DataError: if the source has no bars, or lacks tickers of the universe; with `need_bars` also without bars of
            `as_of`.
        CorruptObjectError: if a piece does not have the checksum in its name.
    """
    days = store.days()
    if as_of in days:
        return store.version(as_of).changes
    if days and as_of < days[-1]:
        raise UsageError(
            f"the newest version of {store.folder} is of {days[-1]}, and an update cannot go back to {as_of}",
            hint=f"a day after {days[-1]}; the bars as known on {as_of} are the newest version of that day or before",
        )
    if as_of < config.market.start:
        raise UsageError(
            f"the day {as_of} is before market.start {config.market.start}", hint="an earlier market.start"
        )
    fetch = Fetch(config, as_of, store.folder)
    made = _next(store.version(days[-1]), fetch, accept) if days else _first(store, fetch)
    if need_bars and not any(info.last == as_of.isoformat() for info in made.pieces):
        raise DataError(
            f"the source has no bar of {as_of} yet", hint="the same command again when it has, or look at the source"
        )
    saved = manifests.save(store.folder, made)
    _remove_answers(store.folder, as_of)
    return saved.changes


def _first(store: Store, fetch: Fetch) -> Manifest:
    """Writes all bars as base pieces."""
    config, as_of = fetch.config, fetch.as_of
    start = to_days(config.market.start)
    base: list[PieceInfo] = []
    tickers: list[str] = []
    changes = Changes(as_of.isoformat(), None, len(sessions(config.market.calendar, config.market.start, as_of)))
    for chunk in fetch.histories(fetch.requested(), config.clean.max_missing_fraction):
        names = chunk.tickers if base else chunk.tickers | {NAMELESS}
        base.append(pieces.write(store.folder, Piece(chunk.bars, dict.fromkeys(names, start)), as_of))
        tickers += sorted(chunk.tickers)
        changes = replace(
            changes,
            rows_read=changes.rows_read + chunk.rows_read,
            rows_written=changes.rows_written + chunk.bars.num_rows,
            requests=changes.requests + chunk.requests,
            failed=changes.failed + refusals(chunk.failed),
        )
    changes = replace(changes, new=tuple(tickers))
    return Manifest(
        as_of=as_of.isoformat(), previous=None, calendar=config.market.calendar, start=config.market.start.isoformat(),
        tickers=tuple(tickers), behind={}, pieces=tuple(base), base=len(base), recent=(), changes=changes,
    )  # fmt: skip


def _next(previous: Version, fetch: Fetch, accept: Collection[str]) -> Manifest:
    """Writes one piece with what has changed since the version before."""
    known, folder = previous.manifest, previous.folder
    made: Decisions = decide(previous, fetch, accept)
    day = () if made.piece is None else (pieces.write(folder, made.piece, fetch.as_of),)
    tickers = tuple(sorted({*known.tickers, *made.changes.new}))
    compact = len(known.pieces) - known.base >= COMPACTED_AFTER
    now, base = (*known.pieces, *day), known.base
    if compact:
        now = _compacted(folder, now, base, tickers, fetch)
        base = len(now)
    changes = replace(
        made.changes,
        sessions=count_between(known.calendar, previous.as_of, fetch.as_of),
        rows_written=sum(info.rows for info in day),
        compacted=compact,
    )
    return Manifest(
        as_of=fetch.as_of.isoformat(), previous=known.as_of, calendar=known.calendar, start=known.start,
        tickers=tickers, behind=made.behind, pieces=now, base=base, recent=(*known.recent, *day)[-MOST_RECENT:],
        changes=changes,
    )  # fmt: skip


def _compacted(
    folder: str, infos: tuple[PieceInfo, ...], base: int, tickers: tuple[str, ...], fetch: Fetch
) -> tuple[PieceInfo, ...]:
    """Writes all bars as new base pieces, a few tickers at a time."""
    later = [pieces.read(folder, info) for info in infos[base:]]
    start, size = to_days(fetch.config.market.start), fetch.config.market.tickers_per_shard
    made = []
    for at in range(0, len(tickers), size):
        names = {*tickers[at : at + size]} if at else {*tickers[:size], NAMELESS}
        needed = [info for info in infos[:base] if any(info.lowest <= name <= info.highest for name in names)]
        table = pieces.fold([*(pieces.read(folder, info) for info in needed), *later], tickers=names)
        made.append(pieces.write(folder, Piece(table, dict.fromkeys(names, start)), fetch.as_of))
    return tuple(made)


def _remove_answers(folder: str, as_of: dt.date) -> None:
    """Deletes the answers of a remote source to updates that are stored now."""
    place = join(folder, FETCHED) + "/"
    for item in list(storage.list_objects(place)):
        if item.uri.removeprefix(place).split("/")[0] <= as_of.isoformat():
            storage.delete(item.uri, within=folder)
