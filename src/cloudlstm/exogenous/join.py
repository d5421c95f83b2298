"""Joins exogenous rows to the feature table: each bar sees what was available at its cut."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cloudlstm.errors import UsageError
from cloudlstm.exogenous.asof import Bars, newest
from cloudlstm.exogenous.columns import Column
from cloudlstm.exogenous.cuts import cuts_of
from cloudlstm.exogenous.rows import Rows, rows_of
from cloudlstm.exogenous.summaries import summarise
from cloudlstm.market import columns as arrow
from cloudlstm.market.interval import DAILY, Interval


def join(
    features: pa.Table, rows: pa.Table, columns: Sequence[Column], calendar: str, embargo_minutes: int,
    interval: Interval = DAILY,
) -> pa.Table:  # fmt: skip
    """Returns the feature table with one more column for each exogenous column.

    No value of a bar depends on a row with available_at after the bar's cut, on another bar, or on the order of
    rows, bit for bit.

    Args:
        features: Bars with `ticker` and `date`, in any order.
        rows: The table EXOGENOUS, with rows of the whole market (entity "") and of any tickers.
        columns: What to add, in this order.
        calendar: The exchange whose closes count, for example XNYS.
        embargo_minutes: The cut of a daily bar is the close of its session minus so many minutes, that of a bar within
            a day its end minus them.
        interval: The interval of the bars.

    Returns:
        The table with its rows in the same order, and float64 columns without nulls. Values and ages are NaN where
        nothing was known or for longer than the column's `max_age_days`. Counts are 0 where nothing became available
        for the session up to the cut, and means, strongest scores and novelty NaN.

    Raises:
        UsageError: the table has a column of such a name already, or the calendar does not cover the dates.
        MissingExtraError: the package exchange-calendars is missing.
        ValueError: a row has no time at which it was known.
    """
    for column in columns:
        if column.name in features.column_names:
            raise UsageError(
                f"an exogenous column and a feature have the same name, {column.name}", hint="rename the feature"
            )
    code, names = arrow.codes(features.column("ticker"))
    dates = arrow.days(features.column("date"))
    cuts = cuts_of(calendar, dates, embargo_minutes, interval)
    bars = Bars(code.astype(np.int64) + 1, cuts.places_of(dates), cuts)
    tickers = [name or "" for name in names]
    found: dict[Column, NDArray[np.float64]] = {}
    for series in dict.fromkeys(column.series for column in columns):
        wanted = [column for column in columns if column.series == series]
        found |= _of_series(rows_of(rows, series, tickers), bars, wanted)
    for column in columns:
        features = features.append_column(column.name, pa.array(found[column]))
    return features


def _of_series(rows: Rows, bars: Bars, wanted: list[Column]) -> dict[Column, NDArray[np.float64]]:
    """The columns of one series, each (bars,)."""
    found: dict[Column, NDArray[np.float64]] = {}
    summary = summarise(rows, bars) if any(column.measure not in ("value", "age") for column in wanted) else None
    for max_age_days, by_period in {_rule(column) for column in wanted if column.measure in ("value", "age")}:
        known = newest(rows, bars, max_age_days, by_period=by_period)
        for column in wanted:
            if column.measure in ("value", "age") and _rule(column) == (max_age_days, by_period):
                found[column] = known.value if column.measure == "value" else known.age_days
    for column in wanted:
        if summary is not None and column.measure not in ("value", "age"):
            name = {"count": "count", "strongest": "strongest"}.get(column.measure, "mean")  # novelty is a mean
            found[column] = getattr(summary, name)
    return found


def _rule(column: Column) -> tuple[int, bool]:
    """How the newest row is chosen: the largest age, and by period, or by time for headlines."""
    return column.max_age_days, column.group == "macro"
