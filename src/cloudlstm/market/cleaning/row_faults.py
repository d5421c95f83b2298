"""The rules of cleaning that look at one row, or at a row and the one before it. Each returns the rows with its fault.

The arguments are a sorted shard and the limits of cleaning; most of these rules have no limit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cloudlstm.config import CleanConfig
from cloudlstm.market import columns
from cloudlstm.market.calendar_fit import repeats
from cloudlstm.market.cleaning.shard import BETWEEN_STARTS, NO_SESSION, NO_VOLUME, OUT_OF_HOURS, Shard

Rows = NDArray[np.intp]

MOST_RANGE = 5.0
"""The most that the high of a bar may be, as a multiple of its low."""
MOST_OUTSIDE = 1.25
"""How far open and close may be outside the range from low to high, as a factor."""
_NOTHING: Rows = np.empty(0, np.intp)


def text_line(shard: Shard, _: CleanConfig) -> Rows:
    """Returns lines of text and repeated headers between bars."""
    return np.flatnonzero(shard.text_line)


def unreadable_key(shard: Shard, _: CleanConfig) -> Rows:
    """Returns rows without a ticker or a date."""
    # In the sorted table, missing tickers are at the end, and missing dates at the end of their ticker.
    return np.flatnonzero((shard.rank == len(shard.names)) | (shard.day == columns.NO_DATE))


def empty_row(shard: Shard, _: CleanConfig) -> Rows:
    """Returns rows without any value: no price, and no volume or a volume of 0."""
    rows: Rows = np.flatnonzero(np.isnan(shard.close))
    prices = (shard.open, shard.high, shard.low, shard.adj_close)
    no_value = ~shard.unreadable[rows] & np.isin(shard.volume[rows], (NO_VOLUME, 0))
    empty: Rows = rows[no_value & np.logical_and.reduce([np.isnan(price[rows]) for price in prices])]
    return empty


def carried_row(shard: Shard, _: CleanConfig) -> Rows:
    """Returns rows on dates without a session that repeat the row before: its prices, and its volume or none."""
    rows: Rows = np.flatnonzero(shard.session == NO_SESSION)
    rows = rows[rows > 0]
    if not len(rows):
        return rows
    before = rows - 1
    same = repeats(shard.open, shard.high, shard.low, shard.close)[rows] & (shard.rank[rows] == shard.rank[before])
    volume = shard.volume[rows]
    carried: Rows = rows[same & ((volume == shard.volume[before]) | np.isin(volume, (NO_VOLUME, 0)))]
    return carried


def off_calendar(shard: Shard, _: CleanConfig) -> Rows:
    """Returns rows on a date without a session."""
    return np.flatnonzero(shard.session == NO_SESSION)


def outside_session(shard: Shard, _: CleanConfig) -> Rows:
    """Returns bars within a day shortly before the open, after the close or in the break of a session."""
    return np.flatnonzero(shard.session == OUT_OF_HOURS)


def between_starts(shard: Shard, _: CleanConfig) -> Rows:
    """Returns bars within a day at moments in a session at which no bar of the interval starts."""
    return np.flatnonzero(shard.session == BETWEEN_STARTS)


def unreadable_value(shard: Shard, _: CleanConfig) -> Rows:
    """Returns rows where a price or the volume is text that was not understood."""
    rows: Rows = np.flatnonzero(shard.unreadable)
    # Text in adj_close alone rejects no bar: no rule needs a valid adj_close.
    prices = shard.open[rows] + shard.high[rows] + shard.low[rows] + shard.close[rows]
    needed: Rows = rows[np.isnan(prices) | (shard.volume[rows] == NO_VOLUME)]
    return needed


def missing_price(shard: Shard, _: CleanConfig) -> Rows:
    """Returns rows without one of the four prices."""
    prices = (shard.open, shard.high, shard.low, shard.close)
    # NaN spreads through min and max, and comparisons with NaN are false: four quick passes check a valid shard.
    if all(len(price) == 0 or (price.max() < np.inf and price.min() > -np.inf) for price in prices):
        return _NOTHING
    return np.flatnonzero(~np.logical_and.reduce([np.isfinite(price) for price in prices]))


def no_trade(shard: Shard, _: CleanConfig) -> Rows:
    """Returns rows whose open, high, low and volume are 0."""
    rows: Rows = np.flatnonzero(shard.high == 0.0)
    empty: Rows = rows[(shard.open[rows] == 0.0) & (shard.low[rows] == 0.0) & (shard.volume[rows] == 0)]
    return empty


def missing_open(shard: Shard, _: CleanConfig) -> Rows:
    """Returns rows whose open is 0 while the other prices are not."""
    rows: Rows = np.flatnonzero(shard.open == 0.0)
    alone: Rows = rows[(shard.high[rows] > 0.0) & (shard.low[rows] > 0.0) & (shard.close[rows] > 0.0)]
    return alone


def non_positive_price(shard: Shard, _: CleanConfig) -> Rows:
    """Returns rows with a price of zero or less."""
    lowest = np.minimum(np.minimum(shard.open, shard.high), np.minimum(shard.low, shard.close))
    return np.flatnonzero(lowest <= 0.0)


def high_below_low(shard: Shard, _: CleanConfig) -> Rows:
    """Returns rows whose high is below their low."""
    return np.flatnonzero(shard.high < shard.low)


def price_outside_range(shard: Shard, _: CleanConfig) -> Rows:
    """Returns rows whose open or close is far outside the range from low to high."""
    outside = np.maximum(shard.open, shard.close) > shard.high * MOST_OUTSIDE
    outside |= np.minimum(shard.open, shard.close) * MOST_OUTSIDE < shard.low
    return np.flatnonzero(outside)


def wild_range(shard: Shard, _: CleanConfig) -> Rows:
    """Returns rows whose high is many times their low."""
    return np.flatnonzero(shard.high > shard.low * MOST_RANGE)


def missing_volume(shard: Shard, _: CleanConfig) -> Rows:
    """Returns rows without a volume."""
    return np.flatnonzero(shard.volume == NO_VOLUME)


def negative_volume(shard: Shard, _: CleanConfig) -> Rows:
    """Returns rows whose volume is below zero."""
    return np.flatnonzero((shard.volume < 0) & (shard.volume != NO_VOLUME))
