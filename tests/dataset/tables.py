"""Feature tables for tests."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from cloudlstm.features import FEATURE_NAMES


def features_table(
    tickers: int = 3,
    bars: int = 400,
    *,
    seed: int = 0,
    start: str = "2021-01-04",
    signal: float | np.ndarray = 0.0,
    volatility: float = 0.02,
) -> pa.Table:
    """Random walks with the features of record. `signal` is how much of a return the next one repeats, at each bar."""
    rng = np.random.default_rng(seed)
    dates = np.busday_offset(start, np.arange(bars)).astype("datetime64[D]")
    repeated = np.broadcast_to(signal, bars)
    parts = []
    for number in range(tickers):
        shocks = rng.standard_normal(bars) * volatility
        returns = shocks.copy()
        for bar in range(1, bars):
            returns[bar] += repeated[bar] * returns[bar - 1]
        close = 50 * np.exp(np.cumsum(returns))
        columns = {
            "open": close * np.exp(rng.standard_normal(bars) * volatility / 4),
            "high": close * 1.01,
            "low": close * 0.99,
            "close": close,
            "volume": rng.integers(1e5, 1e7, bars).astype(float),
            "ma7": moving_average(close, 7),
            "ma21": moving_average(close, 21),
            "daily_return": np.concatenate([[np.nan], close[1:] / close[:-1] - 1]),
        }
        parts.append(
            pa.table(
                {
                    "ticker": [f"T{number:03d}"] * bars,
                    "date": pa.array(dates),
                    "segment": pa.array(np.zeros(bars, np.int32)),
                    "filled": np.zeros(bars, bool),
                    "withdrawn": np.zeros(bars, bool),
                    **{name: columns[name] for name in FEATURE_NAMES},
                }
            )
        )
    return pa.concat_tables(parts)


def moving_average(values: np.ndarray, length: int) -> np.ndarray:
    out = np.full(len(values), np.nan)
    for end in range(length, len(values) + 1):
        out[end - 1] = values[end - length : end].mean()
    return out


def replaced(table: pa.Table, **columns: np.ndarray) -> pa.Table:
    """The table with some columns replaced."""
    for name, values in columns.items():
        place = table.schema.get_field_index(name)
        table = table.set_column(place, table.schema.field(place), pa.array(values, table.schema.field(place).type))
    return table
