"""Tables for tests of the as-of join: bars, rows near the cuts of sessions, and a slow join to compare with."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st
from numpy.typing import NDArray

from cloudlstm.exogenous.columns import NEWS, NOVELTY, Column
from cloudlstm.exogenous.table import EXOGENOUS

EMBARGO = 15
COLUMNS = (
    Column("macro_cpi", "macro", "index", "index points", "CPI", "value", 4),
    Column("macro_cpi_age_days", "macro", "age", "days", "CPI", "age", 4),
    Column("news_count", "news", "count", "number", NEWS, "count", 2),
    Column("news_mean", "news", "score", "score", NEWS, "mean", 2),
    Column("news_strongest", "news", "score", "score", NEWS, "strongest", 2),
    Column("news_novelty", "news", "score", "score", NOVELTY, "novelty", 2),
    Column("news_age_days", "news", "age", "days", NEWS, "age", 2),
)
Join = Callable[[pa.Table, pa.Table, Sequence[Column], str, int], pa.Table]

WEEKS = {
    "XNYS": [dt.date(2023, 3, 9), dt.date(2023, 6, 30), dt.date(2023, 11, 22), dt.date(2024, 12, 20)],
    "XLON": [dt.date(2023, 3, 24), dt.date(2023, 12, 20)],
    "XTKS": [dt.date(2023, 4, 28)],
    "24/7": [dt.date(2023, 3, 10)],
}
"""First days of eight days with a change of the clock, a half day, a holiday, or all days open."""


class Row(NamedTuple):
    """A row of EXOGENOUS in the order of its columns."""

    series: str
    entity: str
    period: dt.date
    available_at: dt.datetime
    value: float
    vintage: int = 0
    source: str = "test"


def rows_table(rows: Iterable[Row]) -> pa.Table:
    rows = list(rows)
    return pa.table([pa.array([row[i] for row in rows], field.type) for i, field in enumerate(EXOGENOUS)],
                    schema=EXOGENOUS)  # fmt: skip


def bars_table(bars: Iterable[tuple[str, dt.date]]) -> pa.Table:
    bars = list(bars)
    return pa.table({
        "ticker": pa.array([ticker for ticker, _ in bars], pa.string()),
        "date": pa.array([day for _, day in bars], pa.date32()),
        "close": pa.array(np.arange(len(bars), dtype=float)),
    })  # fmt: skip


def bits(table: pa.Table, column: Column) -> NDArray[np.int64]:
    """The bits of a column, with one NaN."""
    values = table.column(column.name).to_numpy()
    return np.where(np.isnan(values), np.nan, values).view(np.int64)


@cache
def _exchange(code: str) -> Any:
    import exchange_calendars

    return exchange_calendars.get_calendar(code, start="2022-01-01", end="2025-06-30")


def cut_of(code: str, day: dt.date, before: int = 0, embargo: int = EMBARGO) -> dt.datetime:
    """The cut of the last session at or before a day, or of a session before it, from exchange_calendars itself."""
    closes = _exchange(code).closes
    place = int(closes.index.searchsorted(np.datetime64(day), side="right")) - 1 - before
    return closes.iloc[place].to_pydatetime() - dt.timedelta(minutes=embargo)  # type: ignore[no-any-return]


class Case(NamedTuple):
    """A calendar, bars in any order, and rows."""

    calendar: str
    bars: list[tuple[str, dt.date]]
    rows: list[Row]


_OFFSETS = st.one_of(
    st.sampled_from([dt.timedelta(0), dt.timedelta(microseconds=1), dt.timedelta(microseconds=-1)]),
    st.integers(-2 * 24 * 60, 2 * 24 * 60).map(lambda minutes: dt.timedelta(minutes=minutes)),
)


def rows_near(code: str, first: dt.date) -> st.SearchStrategy[Row]:
    """Rows that become available near the cuts of sessions, also versions of older periods that come late."""
    return st.builds(
        lambda series, entity, period, day, offset, value, vintage: Row(
            series, entity, first + dt.timedelta(period), cut_of(code, first + dt.timedelta(day)) + offset, value,
            vintage
        ),
        st.sampled_from(["CPI", NEWS, NOVELTY]), st.sampled_from(["", "A", "B", "UNKNOWN"]), st.integers(-40, 8),
        st.integers(-3, 10), _OFFSETS, st.sampled_from([0.1, 0.2, 0.3, -0.3, 0.7, 0.0, 3.25, float("nan")]),
        st.integers(-1, 2),
    )  # fmt: skip


@st.composite
def cases(draw: st.DrawFn) -> Case:
    code = draw(st.sampled_from(sorted(WEEKS)))
    first = draw(st.sampled_from(WEEKS[code]))
    days = st.integers(0, 7).map(lambda day: first + dt.timedelta(day))
    bars = draw(st.lists(st.tuples(st.sampled_from(["A", "B", "C"]), days), min_size=1, max_size=12, unique=True))
    return Case(code, bars, draw(st.lists(rows_near(code, first), max_size=14)))


def slow_join(bars: pa.Table, rows: pa.Table, columns: Sequence[Column], calendar: str, embargo: int) -> pa.Table:
    """The join as a loop over bars, each of which looks at all rows; written apart from the real one."""
    entries = {
        Row(*row.values()) for row in rows.to_pylist() if row["value"] is not None and row["value"] == row["value"]
    }
    for column in columns:
        values = [
            _slow_value(column, [row for row in entries if row.series == column.series], ticker, day, calendar, embargo)
            for ticker, day in zip(bars.column("ticker").to_pylist(), bars.column("date").to_pylist(), strict=True)
        ]
        bars = bars.append_column(column.name, pa.array(values, pa.float64()))
    return bars


def _slow_value(column: Column, rows: list[Row], ticker: str, day: dt.date, code: str, embargo: int) -> float:
    cut, previous = cut_of(code, day, 0, embargo), cut_of(code, day, 1, embargo)
    known = [row for row in rows if row.available_at <= cut]
    known = [row for row in known if row.entity == ticker] or [row for row in known if row.entity == ""]
    if column.measure in ("value", "age"):
        if column.group == "macro":
            known.sort(key=lambda row: (row.period, row.available_at, row.vintage, row.value))
        else:
            known.sort(key=lambda row: (row.available_at, row.period, row.vintage, row.value))
        if not known:
            return math.nan
        age = (cut - known[-1].available_at) / dt.timedelta(days=1)
        if age > column.max_age_days:
            return math.nan
        return age if column.measure == "age" else known[-1].value
    known.sort(key=lambda row: (row.available_at, row.period, row.vintage, row.value))
    values = [row.value for row in known if row.available_at > previous]
    if column.measure == "count":
        return float(len(values))
    if not values:
        return math.nan
    if column.measure == "strongest":
        return max(enumerate(values), key=lambda each: (abs(each[1]), each[0]))[1]
    total = 0.0
    for value in values:
        total += value
    return total / len(values)


def join_on_the_date(
    bars: pa.Table, rows: pa.Table, columns: Sequence[Column], calendar: str, embargo: int
) -> pa.Table:
    """The naive join: each bar gets what is about its date, or the newest period up to it, whenever that was known."""
    naive = [
        row._replace(available_at=_midnight(row.period)) for row in (Row(*each.values()) for each in rows.to_pylist())
    ]
    return slow_join(bars, rows_table(naive), columns, calendar, embargo)


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), dt.UTC)
