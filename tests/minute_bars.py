"""Bars within a day for tests."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bar_factory import walk
from cloudlstm.config import MarketConfig
from cloudlstm.market import bars, columns
from cloudlstm.market.columns import MOMENT
from cloudlstm.market.grid import Grid

# Thanksgiving week: 25, 26 and 27 November, a holiday, the half day of the 29th, and 2 and 3 December 2024.
START, END = dt.date(2024, 11, 25), dt.date(2024, 12, 3)


def market(interval: str = "1m", calendar: str = "XNYS", **settings: Any) -> MarketConfig:
    dates = {"start": START, "end": END}
    return MarketConfig.model_validate(
        {"source": "synthetic", "interval": interval, "calendar": calendar, **dates, **settings}
    )


def grid(interval: str = "1m", calendar: str = "XNYS", **settings: Any) -> Grid:
    return Grid.of(market(interval, calendar, **settings))


def minutes_of(*texts: str) -> NDArray[np.int32]:
    """Moments in UTC as minutes since 1970."""
    return np.array(texts, "datetime64[m]").astype(np.int32)


def texts(dates: NDArray[np.int32]) -> list[str]:
    return [str(each) for each in dates.astype("datetime64[m]")]


def minute_bars(ticker: str, dates: NDArray[np.int32], close: NDArray[Any] | None = None, **given: Any) -> pa.Table:
    """Valid BARS within a day; keyword arguments replace columns."""
    close = walk(len(dates), sigma=0.0007) if close is None else close
    values = {
        "ticker": [ticker] * len(dates),
        "date": columns.from_days(np.asarray(dates, np.int32), MOMENT),
        "open": close * 0.9999,
        "high": close * 1.0003,
        "low": close * 0.9997,
        "close": close,
        "adj_close": pa.nulls(len(dates), pa.float64()),
        "volume": np.arange(1000, 1000 + len(dates)),
        "source": ["test"] * len(dates),
    }
    return bars.conform(pa.table(values | given), bars.BARS)
