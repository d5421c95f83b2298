"""Compares the times of bars within a day with `market.interval` and with the hours of the exchange."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cloudlstm.config import MarketConfig
from cloudlstm.errors import CloudLSTMError
from cloudlstm.market import columns
from cloudlstm.market.calendar import time_zone
from cloudlstm.market.calendar_fit import ONE_A_DAY, Problem, interval_in_words
from cloudlstm.market.grid import around
from cloudlstm.market.interval import INTERVALS, MINUTES_A_DAY, Interval

_FEWEST = 20
_COMMON = 0.05
"""A distance that is so common among neighbours is that of the bars: a ticker that rarely trades has longer ones."""
_IN_HOURS, _OUT_OF_HOURS = 0.9, 0.8
_FEW_IN_HOURS = 0.3
"""With trading before the open and after the close still four tenths of the times are between them."""
_MOST_OFF = 0.5
_LATEST = 20_000


def name_of(step_s: float) -> str:
    """The value of `market.interval` for bars so many seconds apart; "" if there is none."""
    return next((name for name, minutes in INTERVALS.items() if minutes * 60 == step_s and name != "1d"), "")


def daily_wanted(step_s: float) -> str:
    """Words to type where bars within a day are given to a run of daily bars."""
    name = name_of(step_s)
    return f"market.interval={name}, or {ONE_A_DAY}" if name else ONE_A_DAY


def describe_times(bars: pa.Table, market: MarketConfig) -> Problem | None:
    """Returns why the times of one ticker's bars do not fit the interval or the hours of the exchange.

    Args:
        bars: BARS of one ticker, with moments, in any order.
        market: Interval and calendar.

    Returns:
        None if they fit, or if no reason is known.
    """
    times = columns.days(bars.filter(pc.is_finite(bars.column("close"))).column("date"))
    times = np.unique(times[times != columns.NO_DATE])[-_LATEST:]
    if len(times) < _FEWEST:
        return None
    return _other_interval(times, Interval(market.interval)) or _other_hours(times, market)


def _other_interval(times: NDArray[np.int32], wanted: Interval) -> Problem | None:
    steps, counts = np.unique(np.diff(times), return_counts=True)
    common = steps[counts >= _COMMON * counts.sum()]
    step = int(common.min()) if len(common) else int(steps[np.argmax(counts)])
    if step == wanted.minutes:
        return None
    if step >= MINUTES_A_DAY:
        name, words = "1d", "a day or more"
    else:
        name, words = name_of(60.0 * step), interval_in_words(60.0 * step)
    hint = f"market.interval={name}" if name else f"bars of {', '.join(INTERVALS)}"
    return Problem(f"the bars are {words} apart, and market.interval is {wanted.name}", hint, is_interval=True)


def _other_hours(times: NDArray[np.int32], market: MarketConfig) -> Problem | None:
    try:
        grid, zone = around(market, times), time_zone(market.calendar)
    except CloudLSTMError:
        return None
    inside = grid.in_hours(times)
    share = float(inside.mean())
    if share < _OUT_OF_HOURS:
        for moved, right in ((_as_clock(times, zone), zone), (_as_moment(times, zone), "UTC")):
            if float(around(market, moved).in_hours(moved).mean()) > _IN_HOURS:
                return Problem(
                    f"only {share:.0%} of the times are in the hours of {market.calendar}; as times of {right} almost "
                    "all are",
                    f"market.time_zone={right}, or another market.calendar",
                )
    if share < _FEW_IN_HOURS:
        return Problem(
            f"only {share:.0%} of the times are in the hours of {market.calendar}",
            "market.calendar=… of the exchange, or market.time_zone=… of the times",
        )
    hours = grid.hours
    touched = np.isin(hours.days, grid.session_of(times[inside]))
    at_close, at_open = (float(np.isin(each[touched], times).mean()) for each in (hours.closes, hours.opens))
    are_ends = float(np.isin(times, grid.ends(grid.starts)).mean()) > _IN_HOURS
    if market.bar_time == "start" and are_ends and at_close > _MOST_OFF and at_open < 1 - _IN_HOURS:
        return Problem(
            f"on {at_close:.0%} of the days a bar has the time of the close of {market.calendar}, and on {at_open:.0%} "
            "one has that of the open: the times are the ends of bars",
            "market.bar_time=end",
        )
    off = inside & ~np.isin(times, grid.starts)
    if off.sum() > _MOST_OFF * inside.sum():
        start = grid.starts[np.searchsorted(grid.starts, times[off][0]) - 1]
        return Problem(
            f"the bars start at minute {times[off][0] % 60}, and those of {market.calendar} at minute {start % 60} of "
            f"an hour, every {market.interval} from the open",
            "bars that begin at the open (pandas: resample with origin='start_day' and the offset of the open)",
        )
    return None


def _as_clock(times: NDArray[np.int32], zone: str) -> NDArray[np.int32]:
    """The moments of times that were read as UTC and are those of a clock in a zone."""
    clock = pa.array(times.astype(np.int64) * 60).cast(pa.timestamp("s"))
    moments = pc.assume_timezone(clock, zone, ambiguous="earliest", nonexistent="earliest")
    return (moments.view(pa.int64()).to_numpy() // 60).astype(np.int32)  # type: ignore[no-any-return]


def _as_moment(times: NDArray[np.int32], zone: str) -> NDArray[np.int32]:
    """The moments of times that were read as those of a clock in a zone and are in UTC."""
    moments = pa.array(times.astype(np.int64) * 60).cast(pa.timestamp("s", tz=zone))
    return (pc.local_timestamp(moments).view(pa.int64()).to_numpy() // 60).astype(np.int32)  # type: ignore[no-any-return]
