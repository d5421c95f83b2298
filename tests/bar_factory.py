"""Small tables of bars for tests."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cloudlstm.market import bars

FIRST = dt.date(2020, 1, 1)


def weekdays(n: int, first: dt.date = FIRST) -> NDArray[np.int32]:
    """Returns `n` weekdays starting at `first`, as days since 1970-01-01."""
    days = np.arange(2 * n + 7) + (first - dt.date(1970, 1, 1)).days
    return days[(days + 3) % 7 < 5][:n].astype(np.int32)  # 1970-01-01 was a Thursday


def bars_of(ticker: str, days: NDArray[Any], close: NDArray[Any], **columns: Any) -> pa.Table:
    """Returns valid BARS of one ticker with these closes; keyword arguments replace columns."""
    values = {
        "ticker": [ticker] * len(close),
        "date": pa.array(np.asarray(days, np.int32)).view(pa.date32()),
        "open": close * 0.99,
        "high": close * 1.02,
        "low": close * 0.98,
        "close": close,
        "adj_close": close * 0.9,
        "volume": np.arange(1000, 1000 + len(close)),
        "source": ["test"] * len(close),
    }
    return bars.conform(pa.table(values | columns), bars.BARS)


def walk(n: int, seed: int = 0, sigma: float = 0.02, start: float = 100.0) -> NDArray[np.float64]:
    """Returns closes of a random walk."""
    returns = np.random.default_rng(seed).normal(0.0, sigma, n)
    return np.round(start * np.exp(np.cumsum(returns)), 4)


def with_values(table: pa.Table, name: str, row: int, value: Any) -> pa.Table:
    """Returns the table with one value changed."""
    column = table.column(name).to_pylist()
    column[row] = value
    field = pa.array(column, bars.BARS.field(name).type)
    changed = table.set_column(table.column_names.index(name), name, field)
    return bars.conform(changed, bars.BARS)


def bits(table: pa.Table) -> list[Any]:
    """Returns the content so that comparison is exact to the bit, and NaN equals NaN."""
    columns = []
    for name in table.column_names:
        column = table.column(name)
        if pa.types.is_floating(column.type):
            columns.append((column.is_null().to_pylist(), column.fill_null(0.0).to_numpy().tobytes()))
        else:
            columns.append(column.to_pylist())
    return columns
