"""Compares the bars of a source with the stored ones, ticker by ticker, to the bit.

All columns count but `source`: it names the file that a bar came from, and a file may be renamed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cloudlstm.market import bars, columns
from cloudlstm.market.store.changes import Correction
from cloudlstm.market.store.pieces import names_of

_VALUES = (*bars.PRICES, "adj_close", "volume")
_COMPARED = (*_VALUES, bars.UNREADABLE)
_ROUNDING = 1e-6
"""Largest relative difference of values that count as equal after a rescaling."""


@dataclass(frozen=True, slots=True)
class Factors:
    """By what a source has rescaled the bars of a ticker; new over old. Both are 1.0 if only rounding differs.

    Attributes:
        price: Of open, high, low and close.
        adjusted: Of `adj_close`; 1.0 if a value is missing.
        last: The last rescaled day, as days since 1970-01-01.
        whole: True if all days of the overlap are rescaled.
    """

    price: float
    adjusted: float
    last: int
    whole: bool


@dataclass(frozen=True, slots=True)
class Difference:
    """How the bars of a ticker differ from the stored ones.

    Attributes:
        ticker: The ticker.
        dates: Number of dates with a bar on either side.
        differing: Number of these whose bars differ.
        common: Number of dates with a bar on both sides.
        first: The first day that differs, as days since 1970-01-01; None if only bars without a date differ.
        factors: The rescaling, if there is one that explains all differences.
        corrections: Every value that differs.
    """

    ticker: str
    dates: int
    differing: int
    common: int
    first: int | None
    factors: Factors | None
    corrections: tuple[Correction, ...]


def differences(stored: pa.Table, delivered: pa.Table) -> dict[str, Difference]:
    """Returns how tickers differ; equal ones are left out.

    Args:
        stored: BARS, sorted.
        delivered: BARS of the same tickers and dates, sorted.
    """
    both = pa.concat_tables([stored, delivered]).unify_dictionaries()
    code, names = names_of(both)
    day = columns.days(both.column("date"))
    n_stored = stored.num_rows
    # A row is identified by its key (ticker, date) and its place among the rows of this key.
    keys, key = np.unique(columns.join_keys(code, day), return_inverse=True)
    places = np.concatenate([_places(key[:n_stored]), _places(key[n_stored:])])
    rows = key.astype(np.int64) * (int(places.max(initial=0)) + 1) + places
    old, new = np.arange(n_stored), np.arange(n_stored, len(rows))
    _, at_old, at_new = np.intersect1d(rows[old], rows[new], assume_unique=True, return_indices=True)
    pairs = np.stack([old[at_old], new[at_new]])
    differs = np.ones(len(rows), bool)
    differs[pairs] = ~_equal(both, pairs)
    key_differs = np.zeros(len(keys), bool)
    key_differs[key[differs]] = True
    if not key_differs.any():
        return {}
    sides = np.zeros((2, len(keys)), bool)
    sides[0, key[old]] = sides[1, key[new]] = True
    of_ticker = keys >> 32
    found = {}
    for number in np.unique(of_ticker[key_differs]).tolist():
        first, end = np.searchsorted(of_ticker, [number, number + 1])
        days = (keys[first:end] & 0xFFFFFFFF).astype(np.int64)
        dated = days != columns.NO_DATE
        wrong = key_differs[first:end][dated]
        mine = _Ticker(both, old[code[old] == number], new[code[new] == number], key, places, differs)
        dates = days[dated]
        changed = dates[wrong]
        found[names[number]] = Difference(
            ticker=names[number],
            dates=len(dates),
            differing=len(changed),
            common=int((sides[0, first:end] & sides[1, first:end])[dated].sum()),
            first=int(changed[0]) if len(changed) else None,
            factors=_factors(mine, dates, wrong),
            corrections=tuple(mine.corrections(names[number])),
        )
    return found


def _places(key: NDArray[np.intp]) -> NDArray[np.int64]:
    """Returns the place of each row among the rows of its key; keys are sorted."""
    starts = columns.group_starts(key)
    if not len(starts):
        return np.empty(0, np.int64)
    sizes = np.diff(np.append(starts, len(key)))
    return np.arange(len(key)) - np.repeat(starts, sizes)


def _equal(table: pa.Table, pairs: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Returns for each pair of rows whether all compared columns have the same bits; (2, pairs) -> (pairs,)."""
    equal = np.ones(pairs.shape[1], bool)
    for name in _COMPARED:
        array = columns.one_chunk(table.column(name))
        if pa.types.is_dictionary(array.type):
            bits: NDArray[Any] = columns.codes_of(array)
        else:
            bits = columns.filled(array, 0).view(np.int64)
            missing = array.is_null().to_numpy(zero_copy_only=False)
            equal &= missing[pairs[0]] == missing[pairs[1]]
        equal &= bits[pairs[0]] == bits[pairs[1]]
    return equal


@dataclass(frozen=True, slots=True)
class _Ticker:
    """The rows of one ticker on both sides."""

    table: pa.Table
    old: NDArray[np.intp]
    new: NDArray[np.intp]
    key: NDArray[np.intp]
    places: NDArray[np.int64]
    differs: NDArray[np.bool_]

    def pairs(self) -> Iterator[tuple[int | None, int | None]]:
        """Yields the rows that differ as (stored, delivered), in order; None where a side has no such row."""
        sides: list[dict[tuple[int, int], int]] = [
            {(int(self.key[row]), int(self.places[row])): int(row) for row in rows[self.differs[rows]]}
            for rows in (self.old, self.new)
        ]
        for place in sorted({*sides[0], *sides[1]}):
            yield sides[0].get(place), sides[1].get(place)

    def corrections(self, ticker: str) -> Iterator[Correction]:
        """Yields every value that differs."""
        names = ["date", *_COMPARED]
        for pair in self.pairs():
            rows = [self.table.select(names).slice(row, 1).to_pylist()[0] if row is not None else {} for row in pair]
            date = rows[0].get("date") or rows[1].get("date")
            for name in _COMPARED:
                old, new = (None if row.get(name) is None else repr(row[name]) for row in rows)
                if old != new:
                    yield Correction(ticker, date.isoformat() if date else "", name, old, new)


def _factors(mine: _Ticker, dates: NDArray[np.int64], wrong: NDArray[np.bool_]) -> Factors | None:
    """Returns the rescaling of all dates up to one that explains all differences; None if there is none."""
    if not wrong[: max(int(wrong.sum()), 1)].all():
        return None
    pairs = list(mine.pairs())
    if any(old is None or new is None for old, new in pairs):
        return None
    rows = np.array(pairs, np.intp).T
    days = columns.days(mine.table.column("date"))[rows[0]]
    values = {name: _floats(mine.table, name)[rows] for name in _VALUES}
    prices = np.concatenate([values[name] for name in bars.PRICES], axis=1)
    price = _factor(prices)
    if price is None or (days == columns.NO_DATE).any():
        return None
    adjusted = 1.0 if np.isnan(values["adj_close"]).all() else _factor(values["adj_close"])
    if adjusted is None:
        return None
    volume = values["volume"]
    if not (_same(volume[0], volume[1], 0.0) or _same(volume[0], volume[1] * price, max(price, 1.0))):
        return None
    return Factors(price, adjusted, int(dates[wrong].max()), bool(wrong.all()))


def _floats(table: pa.Table, name: str) -> NDArray[np.float64]:
    array = columns.one_chunk(table.column(name))
    return columns.filled(array.cast(pa.float64()), np.nan)


def _factor(values: NDArray[np.float64]) -> float | None:
    """Returns the one factor from the first to the second row of values, (2, n); None if there is none."""
    if not (np.isfinite(values).all() and (values > 0).all()):
        return None
    ratio = values[1] / values[0]
    middle = float(np.median(ratio))
    if np.abs(ratio / middle - 1.0).max() > _ROUNDING:
        return None
    return 1.0 if abs(middle - 1.0) <= _ROUNDING else middle


def _same(old: NDArray[np.float64], new: NDArray[np.float64], unit: float) -> bool:
    """True if values are equal but for rounding to `unit`, and missing on the same rows."""
    missing = np.isnan(old)
    if (missing != np.isnan(new)).any():
        return False
    return bool((np.abs(new - old)[~missing] <= unit + _ROUNDING * np.abs(old[~missing])).all())
