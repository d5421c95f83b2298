"""The faults of real vendors in a synthetic market.

Late listings, missing bars, decimal errors, zeros, crossed high and low, and duplicate bars.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cloudlstm.config import SyntheticConfig
from cloudlstm.market import bars, columns
from cloudlstm.market.sources.simulation import Array, random_stream

_FAULTS = 3  # purpose of a random stream


@dataclass(frozen=True, slots=True)
class Prices:
    """Split-adjusted prices and volumes, each (ticker, session)."""

    open: Array
    high: Array
    low: Array
    close: Array
    volume: NDArray[np.int64]


_N_KINDS = 5
_DECIMAL, _ZERO, _CROSSED, _TWICE, _REVISED = range(_N_KINDS)


def add_faults(
    config: SyntheticConfig,
    tickers: Sequence[str],
    sessions: NDArray[np.int32],
    listed: Sequence[int],
    prices: Prices,
    date_type: pa.DataType | None,
) -> pa.Table:
    """Returns the bars with the faults of a vendor.

    Args:
        config: Probabilities of the faults.
        tickers: Names.
        sessions: The dates of all bars.
        listed: The number of the first bar of each ticker.
        prices: Prices and volumes without a fault.
        date_type: The type of the column of dates; None for date32.
    """
    shape = prices.close.shape
    draws = np.empty((2, *shape), np.float32)
    for row, ticker in enumerate(tickers):
        draws[:, row] = random_stream(config.seed, ticker, _FAULTS).random((2, shape[1]), np.float32)
    absent = draws[0] < config.missing_days
    for row, first in enumerate(listed):
        absent[row, :first] = True
    bad = np.flatnonzero((draws[1] < config.bad_ticks) & ~absent)
    kind = (draws[1].ravel()[bad] / max(config.bad_ticks, 1e-9) * _N_KINDS).astype(np.intp).clip(0, _N_KINDS - 1)

    rank = np.repeat(np.arange(shape[0], dtype=np.int32), shape[1])
    day = np.tile(sessions, shape[0])
    open_, high, low, close = (values.ravel() for values in (prices.open, prices.high, prices.low, prices.close))
    volume = prices.volume.ravel()
    decimal, zero, crossed = bad[kind == _DECIMAL], bad[kind == _ZERO], bad[kind == _CROSSED]
    for values in (open_, high, low, close):
        values[decimal] *= 100.0
        values[zero] = 0.0
    high[crossed], low[crossed] = low[crossed] * 0.99, high[crossed]

    copies = (~absent).ravel().astype(np.int64)
    copies[bad[kind >= _TWICE]] += 1
    revised = (np.cumsum(copies) - copies)[bad[kind == _REVISED]]  # row of the first of two versions
    if (copies != 1).any():
        rows = np.repeat(np.arange(len(copies)), copies)
        rank, day, volume = rank[rows], day[rows], volume[rows]
        open_, high, low, close = open_[rows], high[rows], low[rows], close[rows]
    for values in (open_, high, low, close):
        values[revised] *= 1.01
    price_columns = [pa.array(values) for values in (open_, high, low, close)]
    source = columns.from_codes(np.zeros(len(day), np.int32), ["synthetic"])
    arrays = [
        columns.from_codes(rank, list(tickers)),
        columns.from_days(day, date_type),
        *price_columns,
        price_columns[-1],  # there are no dividends, so adj_close = close
        pa.array(volume),
        source,
    ]
    return bars.conform(pa.table(arrays, names=bars.VALUES.names), bars.BARS)
