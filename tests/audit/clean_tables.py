"""Feature tables without leakage, of many shapes. The generator knows nothing of the checks and their limits."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Grid = NDArray[np.float64]
"""(dates, entities)"""


def sessions(n: int, first: dt.date = dt.date(2005, 1, 3)) -> NDArray[np.int64]:
    """Weekdays without about nine holidays a year, as days since 1970-01-01."""
    start = (first - dt.date(1970, 1, 1)).days
    days = np.arange(start, start + 2 * n + 40)
    days = days[((days + 3) % 7 < 5) & (days % 29 != 0)]
    return days[:n]


def market(rng: np.random.Generator, dates: int, entities: int, *, tails: float, common: float) -> Grid:
    """Daily returns: GARCH-like volatility, a common factor, Student's t."""
    volatility = np.empty((dates, entities + 1))
    shocks = rng.standard_t(tails, (dates, entities + 1)) / np.sqrt(tails / (tails - 2))
    variance = np.ones(entities + 1)
    for t in range(dates):
        volatility[t] = np.sqrt(variance)
        variance = 0.04 + 0.08 * variance * np.minimum(shocks[t] ** 2, 25) + 0.88 * variance
    moves = shocks * volatility
    sizes = rng.uniform(0.008, 0.03, entities)
    drift = rng.normal(0.0003, 0.0002, entities)
    return drift + sizes * (np.sqrt(common) * moves[:, :1] + np.sqrt(1 - common) * moves[:, 1:])


def rolling(values: Grid, window: int, how: Any = np.nanmean) -> Grid:
    """A statistic of each value and those before it; NaN in the first rows."""
    out = np.full(values.shape, np.nan)
    if len(values) >= window:
        view = np.lib.stride_tricks.sliding_window_view(values, window, axis=0)
        out[window - 1 :] = how(view, axis=-1)
    return out


def expanding(values: Grid) -> Grid:
    return np.cumsum(values, axis=0) / np.arange(1, len(values) + 1)[:, None]


def lagged(values: Grid, rows: int) -> Grid:
    out = np.full(values.shape, np.nan)
    out[rows:] = values[:-rows]
    return out


def exponential(values: Grid, span: int) -> Grid:
    weight, out = 2 / (span + 1), np.empty(values.shape)
    state = values[0]
    for t, row in enumerate(values):
        state = weight * row + (1 - weight) * state
        out[t] = state
    return out


def macro(rng: np.random.Generator, days: NDArray[np.int64]) -> NDArray[np.float64]:
    """A monthly figure from the day on which it is published, 10 to 40 days after the end of its month."""
    month = days.astype("datetime64[D]").astype("datetime64[M]")
    months = np.arange(month[0] - 4, month[-1] + 1)
    value = np.cumsum(rng.normal(0, 1, len(months))) + 100
    lag = int(rng.integers(10, 40))
    published = (months + 1).astype("datetime64[D]").astype(np.int64) + lag + rng.integers(-2, 3, len(months))
    at = np.searchsorted(published, days, side="right") - 1
    return np.where(at >= 0, np.round(value[np.maximum(at, 0)], 1), np.nan)


def fundamentals(rng: np.random.Generator, days: NDArray[np.int64], entities: int) -> Grid:
    """A quarterly figure of each entity from its day of publication, 20 to 60 days after the end of the quarter."""
    month = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    quarters = np.arange(month[0] // 3 - 3, month[-1] // 3 + 1)
    ends = ((quarters + 1) * 3).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    out = np.empty((len(days), entities))
    for entity in range(entities):
        published = np.maximum.accumulate(ends + rng.integers(20, 60, len(ends)))
        value = np.exp(np.cumsum(rng.normal(0.02, 0.1, len(quarters))))
        out[:, entity] = value[np.searchsorted(published, days, side="right") - 1]
    return out


def held_by_month(days: NDArray[np.int64], values: Grid) -> Grid:
    """The value of the last session of the month before, as a portfolio that changes once a month holds it."""
    month = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    first = np.maximum.accumulate(np.where(np.diff(month, prepend=month[0]) != 0, np.arange(len(days)), 0))
    return np.where(first[:, None] > 0, values[np.maximum(first - 1, 0)], np.nan)


def features(rng: np.random.Generator, days: NDArray[np.int64], returns: Grid) -> dict[str, Grid]:
    """Columns that are known at their row."""
    dates, entities = returns.shape
    price = 50 * np.exp(np.cumsum(returns, axis=0)) * rng.uniform(0.2, 4, entities)
    volume = np.exp(12 + np.abs(returns) * 20 + exponential(rng.normal(0, 1, returns.shape), 10))
    ma, deviation = rolling(price, 20), rolling(price, 20, np.nanstd)
    low, high = rolling(price, 14, np.min), rolling(price, 14, np.max)
    gains, losses = exponential(np.maximum(returns, 0), 14), exponential(np.maximum(-returns, 0), 14)
    momentum = rolling(returns, 21, np.sum)
    found = {
        "close": price,
        "ret_1": returns,
        "ret_5": rolling(returns, 5, np.sum),
        "ma_5": rolling(price, 5),
        "ma_20": ma,
        "ma_gap": price / ma - 1,
        "z_20": (price - ma) / deviation,
        "z_60": (volume - rolling(volume, 60)) / rolling(volume, 60, np.nanstd),
        "vol_20": rolling(returns, 20, np.nanstd),
        "mom_20_skip": lagged(momentum, 1),
        "stochastic": (price - low) / (high - low),
        "rsi": 100 * gains / (gains + losses + 1e-12),
        "macd": exponential(price, 12) - exponential(price, 26),
        "highest_60": rolling(price, 60, np.max),
        "volume": np.round(volume),
        "up": (returns > 0).astype(float),
        "drawdown": price / np.maximum.accumulate(price, axis=0) - 1,
        "rank_mom": ranks(momentum),
        "cpi": np.repeat(macro(rng, days)[:, None], entities, axis=1),
        "rate": np.repeat(np.round(macro(rng, days) / 25, 2)[:, None], entities, axis=1),
        "vix": np.repeat(exponential(np.abs(returns).mean(axis=1, keepdims=True), 10) * 1000, entities, axis=1),
        "weekday": np.repeat(((days + 3) % 7).astype(float)[:, None], entities, axis=1),
        "month": np.repeat(((days // 30.44) % 12 // 1)[:, None], entities, axis=1),
        "sector": np.repeat(rng.integers(0, 8, entities)[None].astype(float), dates, axis=0),
        "sentiment": np.where(
            rng.random(returns.shape) < 0.3, np.tanh(30 * returns + rng.normal(0, 1, returns.shape)), 0
        ),
        "noise": rng.normal(0, 1, returns.shape),
        "eps": (eps := fundamentals(rng, days, entities)),
        "pe": price / eps,
        "month_mom": held_by_month(days, momentum),
        "expanding_z": (returns - expanding(returns)) / (np.sqrt(expanding(returns**2)) + 1e-12),
        "market": np.repeat(np.cumsum(returns.mean(1))[:, None], entities, axis=1),
        "peer": np.roll(price, 1, axis=1),
        "walk": np.cumsum(rng.normal(0, 1, returns.shape), axis=0),
    }
    if entities >= 5:
        found["cs_z"] = (momentum - momentum.mean(1, keepdims=True)) / momentum.std(1, keepdims=True)
    return found


def ranks(values: Grid) -> Grid:
    order = np.argsort(np.argsort(values, axis=1), axis=1) / max(values.shape[1] - 1, 1)
    return np.where(np.isfinite(values), order, np.nan)


def clean_table(seed: int, *, small: bool = True) -> tuple[pa.Table, dict[str, Any]]:
    """A clean table, and the settings that a user would give."""
    rng = np.random.default_rng(seed)
    dates = int(np.exp(rng.uniform(np.log(100), np.log(900 if small else 3000))))
    entities = int(rng.choice([1, 1, 2, 3, 5, 8, 12, 20, 50]))
    if small and dates * entities > 12_000:
        entities = max(12_000 // dates, 1)
    days = sessions(dates + 80)
    returns = market(rng, len(days), entities, tails=rng.uniform(3, 12), common=rng.uniform(0, 0.6))
    known = features(rng, days, returns)
    skill = float(rng.choice([0.0, 0.001, 0.002, 0.003]))
    size = returns.std(0)
    signal = np.sqrt(skill) * returns[1:] / size + np.sqrt(1 - skill) * rng.normal(0, 1, returns[1:].shape)
    known["signal"] = np.concatenate([signal, rng.normal(0, 1, (1, entities))])
    horizon = int(rng.choice([1, 1, 1, 5, 10]))
    logs = np.log(known["close"])
    target = np.full(logs.shape, np.nan)
    target[:-horizon] = np.expm1(logs[horizon:] - logs[:-horizon])
    settings: dict[str, Any] = {}
    kind = rng.choice(["return", "return", "class", "noisy", "noisy", "level", "volatility", "rank"])
    if kind == "class":
        target = np.where(np.isnan(target), np.nan, (target > 0).astype(float))
    elif kind == "noisy":  # of a price that the table does not have
        target = target + np.where(np.isnan(target), np.nan, rng.normal(0, 0.001, target.shape))
        settings["horizon"] = horizon
    elif kind == "level":
        target = lagged(known["close"][::-1], horizon)[::-1]
    elif kind == "volatility":
        horizon = 5
        target = lagged(rolling(returns, 5, np.nanstd)[::-1], 5)[::-1]
    elif kind == "rank" and entities >= 5:
        target = ranks(target)
    if kind == "noisy" and rng.random() < 0.5:
        known.pop("close")
    keep = set(rng.choice(sorted(known), size=int(rng.integers(3, min(len(known), 14))), replace=False)) | {"signal"}
    if "close" in known and rng.random() < 0.7:
        keep.add("close")
        settings["price"] = "close"
    first = int(rng.integers(0, 60)) if rng.random() < 0.7 else 79
    rows = np.zeros(returns.shape, bool)
    rows[first:] = True
    if rng.random() < 0.5:  # entities that begin later or end sooner
        for entity in range(entities):
            if rng.random() < 0.3 and dates > 200:
                rows[: int(rng.integers(0, dates // 3)), entity] = False
            if rng.random() < 0.2 and dates > 200:
                rows[-int(rng.integers(1, dates // 3)) :, entity] = False
    if rng.random() < 0.3:
        rows &= rng.random(rows.shape) > 0.01
    columns: dict[str, Grid] = {name: known[name] for name in known if name in keep}
    if rng.random() < 0.5:
        share = rng.uniform(0.001, 0.1)
        for name in list(columns):
            if name != "close" and rng.random() < 0.5:
                columns[name] = np.where(rng.random(rows.shape) < share, np.nan, columns[name])
    if rng.random() < 0.3:  # gaps filled with the last value
        for name in list(columns):
            if name not in ("close", "cpi", "rate", "signal") and rng.random() < 0.4:
                columns[name] = forward_filled(np.where(rng.random(rows.shape) < 0.05, np.nan, columns[name]))
    if rng.random() < 0.2:
        columns = {name: column if name == "close" else np.nan_to_num(column) for name, column in columns.items()}
    if rng.random() < 0.3:  # the last rows have no target, and are left out
        rows &= np.isfinite(target)
    entity, date = _places(rows, by_entity=bool(rng.random() < 0.5))
    table: dict[str, Any] = {"date": pa.array(days[date].astype(np.int32)).view(pa.date32())}
    if entities > 1 or rng.random() < 0.5:
        table = {"ticker": [f"T{i:02d}" for i in entity], **table}
    for name, column in columns.items():
        table[name] = column[date, entity]
    table["target"] = target[date, entity]
    if rng.random() < 0.4:
        cut = days[first + (len(days) - first) * 2 // 3]
        gap = days[min(first + (len(days) - first) * 2 // 3 + horizon, len(days) - 1)]
        table["split"] = np.where(days[date] < cut, "train", np.where(days[date] >= gap, "test", "none"))
        pa_table = pa.table(table)
        mask = pa.array(table["split"] != "none")
        return pa_table.filter(mask), settings
    return pa.table(table), settings


def _places(rows: NDArray[np.bool_], *, by_entity: bool) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    if by_entity:
        entity, date = np.nonzero(rows.T)
    else:
        date, entity = np.nonzero(rows)
    return entity, date


def forward_filled(values: Grid) -> Grid:
    at = np.where(np.isfinite(values), np.arange(len(values))[:, None], 0)
    return np.take_along_axis(values, np.maximum.accumulate(at, axis=0), axis=0)
