"""A clean table of bars and features, and faults that are planted in it one at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from audit.clean_tables import Grid, exponential, forward_filled, macro, market, ranks, rolling, sessions

DATES, ENTITIES = 500, 12
Table = dict[str, Any]


class Base(NamedTuple):
    """A market: everything as grids of (dates, entities)."""

    days: NDArray[np.int64]
    returns: Grid
    close: Grid
    rng: np.random.Generator

    def table(self, **columns: Any) -> Table:
        """Columns by date, then entity; without names the usual features."""
        dates, entities = self.close.shape
        next_return = np.full(self.close.shape, np.nan)
        next_return[:-1] = self.close[1:] / self.close[:-1] - 1
        grids = {
            "close": self.close,
            "ret_5": rolling(self.returns, 5, np.sum),
            "ma_gap": self.close / rolling(self.close, 20) - 1,
            "vol_20": rolling(self.returns, 20, np.nanstd),
            "target": next_return,
        } | columns
        date = np.repeat(self.days, entities).astype(np.int32)
        keys = {
            "ticker": np.array([f"T{i:02d}" for i in range(entities)] * dates),
            "date": pa.array(date).view(pa.date32()),
        }
        return keys | {name: np.asarray(grid).ravel() for name, grid in grids.items()}


def base(seed: int = 1, dates: int = DATES, entities: int = ENTITIES) -> Base:
    rng = np.random.default_rng(seed)
    days = sessions(dates)
    returns = market(rng, dates, entities, tails=5, common=0.3)
    return Base(days, returns, 50 * np.exp(np.cumsum(returns, axis=0)), rng)


def later(values: Grid, rows: int) -> Grid:
    out = np.full(values.shape, np.nan)
    out[:-rows] = values[rows:]
    return out


def duplicated(b: Base) -> Table:
    table = b.table()
    rows = np.sort(np.concatenate([np.arange(len(table["ticker"])), [100, 200, 201]]))
    return {name: column.take(pa.array(rows)) if isinstance(column, pa.Array) else column[rows]
            for name, column in table.items()}  # fmt: skip


def mixed_zones(b: Base) -> Table:
    table = b.table()
    texts = [f"{day}T21:00:00" + ("Z" if i % 3 else "") for i, day in enumerate(table["date"].to_pylist())]
    return table | {"date": texts}


def two_forms_of_dates(b: Base) -> Table:
    table = b.table()
    days = table["date"].to_pylist()
    return table | {"date": [f"{d:%d/%m/%Y}" if d.year % 2 else f"{d:%m/%d/%Y}" for d in days]}


def affine_copy(b: Base) -> Table:
    table = b.table()
    return table | {"score": 3.0 - 250.0 * table["target"]}


def monotone_copy(b: Base) -> Table:
    table = b.table()
    return table | {"score": np.tanh(20 * table["target"])}


def class_copy(b: Base) -> Table:
    table = b.table()
    up = np.where(np.isnan(table["target"]), np.nan, table["target"] > 0)
    return table | {"target": up, "score": table["target"] + 0.01}


def noisy_future(b: Base) -> Table:
    table = b.table()
    noise = b.rng.normal(0, 1, len(table["target"])) * 2.0 * np.nanstd(table["target"])
    return table | {"score": table["target"] + noise}


def shifted_wrongly(b: Base) -> Table:
    """A feature with the return of the day after the target."""
    return b.table(flow=later(b.returns, 2) + b.rng.normal(0, 0.01, b.returns.shape))


def centred_mean(b: Base) -> Table:
    total = np.full(b.close.shape, np.nan)
    total[3:-3] = rolling(b.close, 7)[6:]
    return b.table(smooth=total)


def centred_smoothing_of_returns(b: Base) -> Table:
    weights = np.exp(-0.5 * (np.arange(-4, 5) / 2.0) ** 2)
    smooth = np.stack([np.convolve(column, weights / weights.sum(), "same") for column in b.returns.T], axis=1)
    return b.table(trend=smooth)


def future_high(b: Base) -> Table:
    return b.table(room=later(rolling(b.close, 5, np.max), 5) / b.close)


def scaled_over_all(b: Base) -> Table:
    table = b.table(volume=np.exp(exponential(b.rng.normal(0, 1, b.close.shape), 10)))
    volume = table["volume"]
    return table | {"volume": (volume - volume.mean()) / volume.std()}


def scaled_over_all_with_split(b: Base) -> Table:
    table = scaled_over_all(b)
    rows = len(table["ticker"])
    return table | {"split": np.where(np.arange(rows) < 0.7 * rows, "train", "test")}


def min_max_over_all(b: Base) -> Table:
    table = b.table()
    vol = table["vol_20"]
    return table | {"vol_20": (vol - np.nanmin(vol)) / (np.nanmax(vol) - np.nanmin(vol))}


def scaled_by_entity(b: Base) -> Table:
    volume = np.exp(exponential(b.rng.normal(0, 1, b.close.shape), 10)) * np.arange(1, b.close.shape[1] + 1)
    return b.table(volume=(volume - volume.mean(0)) / volume.std(0, ddof=1))


def ranked_over_all(b: Base) -> Table:
    table = b.table(noise=exponential(b.rng.normal(0, 1, b.close.shape), 5))
    return table | {"noise": np.argsort(np.argsort(table["noise"])) / len(table["noise"])}


def back_filled_start(b: Base) -> Table:
    ma = rolling(b.close, 50)
    ma[:49] = ma[49]
    return b.table(ma_50=ma)


def back_filled_gaps(b: Base) -> Table:
    rate = np.cumsum(b.rng.normal(0, 1, b.close.shape), axis=0)
    gaps = np.zeros(rate.shape, bool)
    for _ in range(400):
        row, entity = b.rng.integers(5, len(rate) - 10), b.rng.integers(rate.shape[1])
        gaps[row : row + b.rng.integers(2, 6), entity] = True
    rate = np.where(gaps, np.nan, rate)
    return b.table(rate=forward_filled(rate[::-1])[::-1])


def random_split(b: Base) -> Table:
    table = b.table()
    return table | {"split": b.rng.choice(["train", "test"], len(table["ticker"]), p=[0.7, 0.3])}


def overlapping_split(b: Base) -> Table:
    date = np.repeat(np.arange(DATES), ENTITIES)
    return b.table() | {"split": np.where((date < 360) | (date > 480), "train", "test")}


def key_in_two_splits(b: Base) -> Table:
    table = b.table()
    date = np.repeat(np.arange(DATES), ENTITIES)
    split = np.where(date < 350, "train", "test")
    rows = np.concatenate([np.arange(len(date)), np.flatnonzero(date == 349)])
    table = {name: column.take(pa.array(rows)) if isinstance(column, pa.Array) else column[rows]
             for name, column in table.items()}  # fmt: skip
    return table | {"split": np.concatenate([split, np.repeat("test", ENTITIES)])}


def unpurged(b: Base) -> Table:
    target = np.full(b.close.shape, np.nan)
    target[:-10] = b.close[10:] / b.close[:-10] - 1
    date = np.repeat(np.arange(DATES), ENTITIES)
    return b.table(target=target) | {"split": np.where(date < 350, "train", "test")}


def target_already_known(b: Base) -> Table:
    past = np.full(b.close.shape, np.nan)
    past[1:] = b.close[1:] / b.close[:-1] - 1
    return b.table(target=past)


def shuffled_times(b: Base) -> Table:
    return b.table(close=np.stack([b.rng.permutation(column) for column in b.close.T], axis=1), target=b.returns)


def too_much_skill(b: Base) -> Table:
    """Ten columns that each know a little of the target."""
    target = later(b.returns, 1)
    some = {f"f{i}": 0.12 * target / b.returns.std() + b.rng.normal(0, 1, target.shape) for i in range(10)}
    return b.table(**some)


def gaps_before_falls(b: Base) -> Table:
    """The value is missing if the price falls on the next day, mostly."""
    falls = later(b.returns, 1) < -0.5 * b.returns.std()
    absent = falls & (b.rng.random(falls.shape) < 0.6)
    return b.table(rating=np.where(absent, np.nan, b.rng.normal(0, 1, falls.shape)))


def needs_later_rows(b: Base) -> Table:
    """A window of 11 rows, centred, of a series that the table does not have."""
    raw = np.cumsum(b.rng.normal(0, 1, b.close.shape), axis=0)
    smooth = np.full(raw.shape, np.nan)
    smooth[5:-5] = rolling(raw, 11)[10:]
    return b.table(interest=smooth)


def joined_by_month(b: Base) -> Table:
    month = b.days.astype("datetime64[D]").astype("datetime64[M]").astype(int)
    value = np.cumsum(b.rng.normal(0, 1, month.max() + 1))
    return b.table(cpi=np.repeat(value[month][:, None], ENTITIES, axis=1))


def later_volatility(b: Base) -> Table:
    return b.table(risk=later(rolling(b.returns, 5, np.std), 5))


def later_volume(b: Base) -> Table:
    volume = np.exp(exponential(b.rng.normal(0, 1, b.close.shape), 10))
    return b.table(volume=volume, turnover=later(volume, 1))


def target_of_the_entity(b: Base) -> Table:
    means = np.nanmean(b.table()["target"].reshape(b.close.shape), axis=0)
    return b.table(code=np.repeat(means[None], len(b.close), axis=0))


def filled_with_the_mean(b: Base) -> Table:
    noise = np.where(b.rng.random(b.close.shape) < 0.1, np.nan, exponential(b.rng.normal(0, 1, b.close.shape), 5))
    return b.table(noise=np.where(np.isnan(noise), np.nanmean(noise), noise))


def filled_with_the_median(b: Base) -> Table:
    noise = np.where(b.rng.random(b.close.shape) < 0.1, np.nan, exponential(b.rng.normal(0, 1, b.close.shape), 5))
    return b.table(noise=np.where(np.isnan(noise), np.nanmedian(noise), noise))


def ranked_by_entity(b: Base) -> Table:
    noise = exponential(b.rng.normal(0, 1, b.close.shape), 5)
    return b.table(noise=np.argsort(np.argsort(noise, axis=0), axis=0) / len(noise))


class Fault(NamedTuple):
    """A fault: how it is planted, the check that has to find it and its column."""

    plant: Callable[[Base], Table]
    check: str
    column: str


FAULTS = [
    Fault(duplicated, "duplicates", "date"),
    Fault(mixed_zones, "times", "date"),
    Fault(two_forms_of_dates, "times", "date"),
    Fault(affine_copy, "target-copy", "score"),
    Fault(monotone_copy, "target-copy", "score"),
    Fault(class_copy, "target-copy", "score"),
    Fault(noisy_future, "future", "score"),
    Fault(shifted_wrongly, "look-ahead", "flow"),
    Fault(centred_mean, "look-ahead", "smooth"),
    Fault(centred_smoothing_of_returns, "look-ahead", "trend"),
    Fault(future_high, "look-ahead", "room"),
    Fault(scaled_over_all, "scaling", "volume"),
    Fault(scaled_over_all_with_split, "scaling", "volume"),
    Fault(min_max_over_all, "scaling", "vol_20"),
    Fault(scaled_by_entity, "scaling", "volume"),
    Fault(ranked_over_all, "scaling", "noise"),
    Fault(back_filled_start, "back-fill", "ma_50"),
    Fault(back_filled_gaps, "back-fill", "rate"),
    Fault(random_split, "split", "split"),
    Fault(overlapping_split, "split", "split"),
    Fault(key_in_two_splits, "split", "split"),
    Fault(unpurged, "split", "split"),
    Fault(target_already_known, "target-known", "target"),
    Fault(shuffled_times, "time-order", "close"),
    Fault(too_much_skill, "skill", ""),
    Fault(gaps_before_falls, "gaps", "rating"),
    Fault(needs_later_rows, "gaps", "interest"),
    Fault(later_volatility, "look-ahead", "risk"),
    Fault(later_volume, "look-ahead", "turnover"),
    Fault(target_of_the_entity, "target-copy", "code"),
    Fault(filled_with_the_mean, "scaling", "noise"),
    Fault(filled_with_the_median, "scaling", "noise"),
    Fault(ranked_by_entity, "scaling", "noise"),
    Fault(joined_by_month, "period-join", "cpi"),
]

__all__ = ["FAULTS", "Fault", "base", "macro", "ranks"]
