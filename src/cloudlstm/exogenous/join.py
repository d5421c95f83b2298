"""Joins exogenous rows to bars: one column for each measure of a series, as it was known at the cut of each bar.

The value of a bar depends on rows that were available at its cut, and on nothing else: not on other bars, not on other
tickers, not on the order of the rows. A sum is taken over the rows of one session, so it has the same bits whatever
rows came before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cloudlstm.exogenous.asof import Cuts, Rows, by_cut, newest, session_cuts
from cloudlstm.exogenous.columns import Column
from cloudlstm.exogenous.table import EXOGENOUS
from cloudlstm.market import columns as text_columns

Values = NDArray[np.float64]

_MARKET = ""
_KEY = ("series", "entity", "available_at", "period", "vintage", "value", "source")


def join(
    features: pa.Table, rows: pa.Table, columns: Sequence[Column], calendar: str, embargo_minutes: int
) -> pa.Table:
    """Returns the features of daily bars with the exogenous columns, float64 without nulls; NaN is a missing value.

    Args:
        features: With "ticker" and "date", in any order.
        rows: EXOGENOUS rows of the whole market, and of the tickers or more. Bars of a ticker use its own rows from the
            first one on that was known, else those of the whole market.
        columns: The columns to add.
        calendar: The exchange.
        embargo_minutes: What became known less than so many minutes before the close is not used.
    """
    days = text_columns.days(features.column("date"))
    return join_at(features, rows, columns, session_cuts(calendar, days, embargo_minutes))


def join_at(features: pa.Table, rows: pa.Table, columns: Sequence[Column], cuts: Cuts) -> pa.Table:
    """As `join`, for any cuts of the bars."""
    code, names = text_columns.codes(features.column("ticker"))
    order = np.argsort(code, kind="stable")
    starts = text_columns.group_starts(code[order])
    tickers = [
        (names[code[bars[0]]] if code[bars[0]] >= 0 else None, bars)
        for bars in np.split(order, starts[1:])
        if len(bars)
    ]
    known = _Known(rows)
    added = {column.name: np.full(features.num_rows, np.nan) for column in columns}
    for series in dict.fromkeys(column.series for column in columns):
        own = [column for column in columns if column.series == series]
        for entity, bars in known.split(series, tickers, cuts):
            found = known.rows(series, entity)
            place = cuts.place[bars]
            for column, values in _measured(own, found, cuts, place):
                added[column.name][bars] = values
    for name, values in added.items():
        features = features.append_column(pa.field(name, pa.float64()), pa.array(values))
    return features


class _Known:
    """The rows by series and entity.

    Args:
        rows: EXOGENOUS rows; equal rows count once.
    """

    def __init__(self, rows: pa.Table) -> None:
        rows = rows.cast(EXOGENOUS)
        rows = rows.filter(pc.is_valid(rows["available_at"])).sort_by([(name, "ascending") for name in _KEY])
        keys = [text_columns.ranks(rows.column(name))[0] for name in ("series", "entity")]
        self._available_at = rows["available_at"].cast(pa.int64()).to_numpy()
        self._period = text_columns.days(rows.column("period"))
        self._value = text_columns.floats(rows.column("value"))
        numbers = (*keys, self._available_at, self._period, rows["vintage"].fill_null(-1).to_numpy(), self._value)
        again = np.ones(max(rows.num_rows - 1, 0), bool)
        for number in numbers:
            again &= number[1:] == number[:-1]
        self._first = np.concatenate([np.ones(min(rows.num_rows, 1), bool), ~again])
        both = text_columns.join_keys(*keys)
        begins = text_columns.group_starts(both)
        ends = [*begins[1:].tolist(), len(both)][: len(begins)]
        series, entity = (rows.column(name).take(pa.array(begins)).to_pylist() for name in ("series", "entity"))
        self._slices = {
            (str(one), other or _MARKET): slice(begin, end)
            for one, other, begin, end in zip(series, entity, begins.tolist(), ends, strict=True)
        }

    def rows(self, series: str, entity: str) -> Rows:
        """The rows of a series and an entity, without repeated ones."""
        part = self._slices.get((series, entity), slice(0, 0))
        first = self._first[part]
        return Rows(self._available_at[part][first], self._period[part][first], self._value[part][first])

    def split(
        self, series: str, tickers: Sequence[tuple[str | None, NDArray[np.intp]]], cuts: Cuts
    ) -> Iterator[tuple[str, NDArray[np.intp]]]:
        """The entities whose rows the bars use, with the bars: tickers with rows of their own, then the market.

        A ticker uses its own rows from the first one on that was known, and those of the market before: whether rows
        come later must not change what a bar sees.
        """
        others = []
        for ticker, bars in tickers:
            part = self._slices.get((series, ticker or _MARKET)) if ticker else None
            if part is None:
                others.append(bars)
                continue
            knows = cuts.place[bars] >= np.searchsorted(cuts.times, self._available_at[part.start])
            yield str(ticker), bars[knows]
            others.append(bars[~knows])
        if others:
            yield _MARKET, np.concatenate(others)


def _measured(
    columns: Sequence[Column], rows: Rows, cuts: Cuts, place: NDArray[np.intp]
) -> Iterator[tuple[Column, Values]]:
    """The values of each column for bars with these cuts.

    Args:
        columns: Columns of one series.
        rows: Its rows.
        cuts: All cuts.
        place: The number of the cut of each bar, (bars,); -1 before the first.
    """
    at_cut, age = newest(rows, cuts.times)
    summary = _summary(rows, cuts) if any(column.measure not in ("value", "age") for column in columns) else {}
    for column in columns:
        if column.measure in ("value", "age"):
            values = np.where(age <= column.max_age_days, at_cut if column.measure == "value" else age, np.nan)
        else:
            values = summary["mean" if column.measure == "novelty" else column.measure]
        yield (
            column,
            np.where(place >= 0, values[np.maximum(place, 0)], np.nan) if len(values) else np.full(len(place), np.nan),
        )


def _summary(rows: Rows, cuts: Cuts) -> dict[str, Values]:
    """The count, the mean and the strongest of the values of each session, (cuts,); without values 0, NaN and NaN."""
    known = np.isfinite(rows.value)
    own = Rows(rows.available_at[known], rows.period[known], rows.value[known])
    first, number = by_cut(own, cuts.times)
    ends = np.searchsorted(own.available_at, cuts.times[number], side="right")
    found = {"count": np.zeros(len(cuts.times)), "mean": np.full(len(cuts.times), np.nan)}
    found["strongest"] = found["mean"].copy()
    if len(first):
        values = own.value[: ends[-1]]
        count = (ends - first).astype(np.float64)
        highest, lowest = np.maximum.reduceat(values, first), np.minimum.reduceat(values, first)
        found["count"][number] = count
        found["mean"][number] = np.add.reduceat(values, first) / count
        found["strongest"][number] = np.where(highest >= -lowest, highest, lowest)
    return found
