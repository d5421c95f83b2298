"""The dates on which each ticker is a member of the universe, for arrays of bars."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cloudlstm.market import columns
from cloudlstm.market.calendar import to_date, to_days
from cloudlstm.market.columns import codes
from cloudlstm.market.grid import Grid
from cloudlstm.market.universe import Universe

_NO_END = int(np.iinfo(np.int32).max)
NEAR_END_SESSIONS = 5
"""A ticker has bars to the end of its membership if it has one on the last so many sessions of it: a company may stop
trading some days before its index replaces it."""


@dataclass(frozen=True, slots=True)
class Members:
    """The members of a universe.

    Attributes:
        periods: Ticker -> first and last date of each period, as days since 1970-01-01, in order of time. A ticker that
            is not in it is always a member.
        last: The last date of the data set, as days since 1970-01-01.
        without_periods: Requested tickers that are not in `periods`.
        excluded: Members that the settings leave out.
    """

    periods: Mapping[str, tuple[tuple[int, int], ...]]
    last: int
    without_periods: int = 0
    excluded: int = 0

    @classmethod
    def of(cls, universe: Universe, last: dt.date) -> Self | None:
        """The members by the table of a universe; None if it has no table.

        Args:
            universe: Tickers and periods.
            last: The last date of the data set.
        """
        if universe.periods is None:
            return None
        periods = {
            ticker: tuple((to_days(first), _NO_END if end is None else to_days(end)) for first, end in found)
            for ticker, found in universe.periods.items()
        }
        return cls(periods, to_days(last), len(universe.tickers or ()) - len(periods), universe.excluded)

    def identity(self) -> list[Any]:
        """What labels depend on, JSON-ready."""
        return [sorted(self.periods.items()), self.last]

    def on(self, ticker: str, dates: NDArray[np.int32]) -> NDArray[np.bool_]:
        """True for each date on which a ticker is a member, (dates,)."""
        periods = self.periods.get(ticker)
        if periods is None:
            return np.ones(len(dates), bool)
        starts, ends = np.array(periods, np.int32).T
        place = np.searchsorted(starts, dates, side="right") - 1
        inside: NDArray[np.bool_] = (place >= 0) & (dates <= ends[place])
        return inside

    def of_bars(
        self, tickers: pa.Array, begins_ticker: NDArray[np.bool_], dates: NDArray[np.int32]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Whether each bar's ticker is a member on the bar's date, and whether also on the last date, (bars,) each.

        Args:
            tickers: The ticker of each bar, sorted.
            begins_ticker: True for the first bar of each ticker.
            dates: The date of each bar, as days since 1970-01-01.
        """
        inside, to_last = np.ones(len(dates), bool), np.ones(len(dates), bool)
        starts = np.flatnonzero(begins_ticker)
        for start, stop in zip(starts, [*starts[1:], len(dates)], strict=False):
            found = self.on(tickers[int(start)].as_py(), np.append(dates[start:stop], np.int32(self.last)))
            inside[start:stop], to_last[start:stop] = found[:-1], found[:-1] & found[-1]
        return inside, to_last

    def has_member(self, dates: NDArray[np.int32]) -> bool:
        """True if any ticker is a member on one of these dates, sorted and in days since 1970-01-01."""
        if self.without_periods and len(dates):
            return True
        periods = [period for found in self.periods.values() for period in found]
        starts, ends = np.array(periods, np.int32).reshape(-1, 2).T
        return bool((np.searchsorted(dates, ends, side="right") > np.searchsorted(dates, starts, side="left")).any())

    @property
    def left(self) -> dict[str, int]:
        """Ticker -> last date of its membership, for those that left before the last date."""
        return {ticker: found[-1][1] for ticker, found in self.periods.items() if found[-1][1] < self.last}

    def last_bars(self, table: pa.Table, grid: Grid | None = None) -> dict[str, int]:
        """The last observed bar up to the end of the membership of each ticker that left, as days since 1970-01-01.

        Args:
            table: Bars with the columns ticker, date and filled, sorted by ticker and date.
            grid: The trading hours, for bars within a day.
        """
        left = self.left
        observed = table.filter(pc.invert(table["filled"]))
        dates = columns.days(observed["date"])
        dates = grid.session_of(dates) if grid else dates
        code, tickers = codes(observed["ticker"])
        starts = np.flatnonzero(np.diff(code, prepend=-1))
        found = {}
        for start, stop in zip(starts, [*starts[1:], len(code)], strict=False):
            ticker = tickers[code[start]]
            if ticker in left:
                place = start + int(np.searchsorted(dates[start:stop], left[ticker], side="right")) - 1
                if place >= start:
                    found[ticker] = int(dates[place])
        return found

    def facts(self, last_bars: Mapping[str, int], sessions: NDArray[np.int32]) -> dict[str, Any]:
        """Numbers of members for the report, JSON-ready.

        Args:
            last_bars: Of all shards.
            sessions: All sessions of the data set, as days since 1970-01-01, sorted.
        """
        left = self.left
        near = {
            ticker: sessions[max(int(np.searchsorted(sessions, end, side="right")) - NEAR_END_SESSIONS, 0)]
            for ticker, end in left.items()
            if ticker in last_bars
        }
        return {
            "tickers": len(self.periods),
            "left": len(left),
            "bars_to_end": sum(last_bars[ticker] >= int(date) for ticker, date in near.items()),
            "without_periods": self.without_periods,
            "excluded": self.excluded,
            "last_date": to_date(self.last).isoformat(),
        }
