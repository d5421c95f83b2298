"""A shard of bars as NumPy arrays, with the rule that rejected each row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cloudlstm.market import columns
from cloudlstm.market.bars import NO_BAR, UNREADABLE
from cloudlstm.market.cleaning.scale import DAILY, Scale
from cloudlstm.market.grid import Grid

NO_VOLUME = np.iinfo(np.int64).min
"""Stands for a missing volume."""

NO_SESSION = -1
"""The ordinal of a date that is not a session."""
OUT_OF_HOURS, BETWEEN_STARTS = -2, -3
"""Of bars within a day: the ordinal of a moment shortly before the open, after the close or in the break of a session,
and of a moment in the session at which no bar of the interval starts."""
_EXTENDED_HOURS_MINUTES = 480
"""Trading before the open and after the close is not longer than this."""


@dataclass(slots=True)
class Shard:
    """A sorted table of bars as arrays; every array has one entry per row.

    Attributes:
        names: The shard's tickers, sorted.
        rank: Index of the row's ticker in `names`; len(names) where the ticker is unreadable.
        day: Days since 1970-01-01, of bars within a day minutes; columns.NO_DATE where unreadable.
        key: Sorts as (ticker, date); rows with equal keys are versions of the same bar.
        session: Ordinal of the date among the calendar's sessions, of bars within a day among the starts of bars;
            NO_SESSION, OUT_OF_HOURS or BETWEEN_STARTS where no bar has this date.
        open, high, low, close, adj_close: Prices, NaN where missing.
        volume: Shares, NO_VOLUME where missing.
        unreadable: True where the source has a value that was not understood.
        text_line: True where the row is a line of text or a repeated header.
        verdict: 0 for a kept row, otherwise 1 + the index of the rule that rejected it.
        place: Of bars within a day: the place of the session of each row among all sessions; None for daily bars.
        scale: What the limits of cleaning mean for these bars.
    """

    names: list[str]
    rank: NDArray[np.int32]
    day: NDArray[np.int32]
    key: NDArray[np.int64]
    session: NDArray[np.int32]
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    adj_close: NDArray[np.float64]
    volume: NDArray[np.int64]
    unreadable: NDArray[np.bool_]
    text_line: NDArray[np.bool_]
    verdict: NDArray[np.uint8]
    place: NDArray[np.intp] | None = None
    scale: Scale = DAILY

    @classmethod
    def of(cls, bars: pa.Table, sessions: NDArray[np.int32], grid: Grid | None = None) -> Shard:
        """Converts a table that is sorted by (ticker, date).

        Args:
            bars: The table.
            sessions: All dates that can have a bar.
            grid: The trading hours, for bars within a day.
        """
        rank, names = columns.ranks(bars.column("ticker"))
        day = columns.days(bars.column("date"))
        open_, high, low, close, adj_close = (
            columns.floats(bars.column(name)) for name in ("open", "high", "low", "close", "adj_close")
        )
        volume = columns.filled(columns.one_chunk(bars.column("volume")), NO_VOLUME)
        session = session_ordinals(day, sessions)
        if grid:
            _explain(session, day, grid)
        return cls(
            names, rank, day, columns.join_keys(rank, day), session,
            open_, high, low, close, adj_close, volume, *_unreadable(bars.column(UNREADABLE)),
            np.zeros(len(day), np.uint8), grid.place_of(day) if grid else None,
            Scale.of(grid.interval) if grid else DAILY,
        )  # fmt: skip

    def kept(self) -> NDArray[np.intp] | slice:
        """Returns the rows that no rule has rejected so far; a slice (no copy) if these are all rows."""
        return np.flatnonzero(self.verdict == 0) if self.verdict.any() else slice(None)


def _unreadable(column: pa.ChunkedArray) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Returns which rows hold a value that was not understood, and which of them are lines of text."""
    code, texts = columns.codes(column)
    is_line = np.array([*((text or "").startswith(NO_BAR) for text in texts), False])
    return code >= 0, is_line[code]


def _explain(session: NDArray[np.int32], day: NDArray[np.int32], grid: Grid) -> None:
    """Replaces NO_SESSION in place where a moment lies in a session or near one."""
    rows = np.flatnonzero((session == NO_SESSION) & (day != columns.NO_DATE))
    if len(rows):
        near = grid.minutes_from_session(day[rows]) <= _EXTENDED_HOURS_MINUTES
        session[rows] = np.where(near, OUT_OF_HOURS, NO_SESSION)
        session[rows[grid.in_hours(day[rows])]] = BETWEEN_STARTS


def session_ordinals(day: NDArray[np.int32], sessions: NDArray[np.int32]) -> NDArray[np.int32]:
    """Returns the index of each day among the sorted sessions; NO_SESSION for a day that is not a session."""
    if not len(sessions):
        return np.full(len(day), NO_SESSION, np.int32)
    first, last = int(sessions[0]), int(sessions[-1])
    # A table with one entry per calendar day, and one for all other days: much faster than a binary search.
    ordinal = np.full(last - first + 2, NO_SESSION, np.int32)
    ordinal[sessions - first] = np.arange(len(sessions), dtype=np.int32)
    place = day.astype(np.int64)
    place -= first
    place[(place < 0) | (place > last - first)] = last - first + 1
    return ordinal[place]
