"""What the columns of the as-of join hold."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import itertools
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from cloudlstm.errors import UsageError
from cloudlstm.exogenous.columns import NEWS, Column
from cloudlstm.exogenous.cuts import cuts
from cloudlstm.exogenous.join import join
from cloudlstm.exogenous.table import EXOGENOUS
from cloudlstm.market.calendar import sessions, to_days
from exogenous.asof_tables import COLUMNS, EMBARGO, Row, bars_table, rows_table
from real_data import real_data

UTC = dt.UTC
NAN = float("nan")


def day(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=UTC)


def joined(bars: Sequence[tuple[str, str]], rows: Sequence[Row], name: str, calendar: str = "XNYS") -> list[float]:
    """One column for some bars."""
    table = join(bars_table((ticker, day(text)) for ticker, text in bars), rows_table(rows), COLUMNS, calendar, EMBARGO)
    return table.column(name).to_pylist()  # type: ignore[no-any-return]


def cpi(period: str, available: str, value: float, vintage: int = 0, entity: str = "") -> Row:
    return Row("CPI", entity, day(period), at(available), value, vintage)


def news(available: str, value: float, entity: str = "A", vintage: int = 0) -> Row:
    return Row(NEWS, entity, day(available[:10]), at(available), value, vintage)


def test_a_value_is_seen_from_its_publication_on_with_its_age() -> None:
    rows = [cpi("2024-01-01", "2024-02-13T13:30", 308.4)]
    bars = [("A", "2024-02-12"), ("A", "2024-02-13"), ("A", "2024-02-14"), ("A", "2024-02-20")]
    assert joined(bars, rows, "macro_cpi") == pytest.approx([NAN, 308.4, 308.4, NAN], nan_ok=True)
    hours = 20.75 - 13.5
    expected = [NAN, hours / 24, 1 + hours / 24, NAN]  # the column's largest age is 4 days
    assert joined(bars, rows, "macro_cpi_age_days") == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(("available", "seen"), [("2024-02-13T20:45", True), ("2024-02-13T20:45:00.000001", False)])
def test_the_embargo_ends_at_the_microsecond(available: str, seen: bool) -> None:
    value = joined([("A", "2024-02-13")], [cpi("2024-01-01", available, 5.0)], "macro_cpi")[0]
    assert (value == 5.0) == seen


def test_what_is_published_after_the_close_of_a_half_day_waits_for_the_next_session() -> None:
    rows = [cpi("2024-11-29", "2024-11-29T18:30", 2.0)]
    assert joined([("A", "2024-11-29"), ("A", "2024-12-02")], rows, "macro_cpi") == pytest.approx(
        [NAN, 2.0], nan_ok=True
    )


def test_an_old_day_sees_the_old_version_of_a_value() -> None:
    rows = [
        cpi("2024-01-01", "2024-02-13T13:30", 100.0, 0),
        cpi("2024-01-01", "2024-02-15T13:30", 101.0, 1),
        cpi("2024-01-01", "2024-02-15T13:30", 102.0, 2),
    ]
    bars = [("A", f"2024-02-{d}") for d in (13, 14, 15, 16)]
    assert joined(bars, rows, "macro_cpi") == [100.0, 100.0, 102.0, 102.0]
    assert joined(bars[:2], rows[:1], "macro_cpi") == [100.0, 100.0]


def test_a_late_correction_of_an_old_period_does_not_hide_a_newer_one() -> None:
    rows = [
        cpi("2023-12-01", "2024-01-11T13:30", 99.0),
        cpi("2024-01-01", "2024-02-13T13:30", 100.0),
        cpi("2023-12-01", "2024-02-14T13:30", 98.0, 1),
    ]
    assert joined([("A", "2024-02-13"), ("A", "2024-02-14")], rows, "macro_cpi") == [100.0, 100.0]


def test_a_value_published_as_missing_leaves_the_one_before() -> None:
    rows = [cpi("2024-02-12", "2024-02-12T14:00", 4.0), cpi("2024-02-13", "2024-02-13T14:00", NAN)]
    assert joined([("A", "2024-02-13")], rows, "macro_cpi") == [4.0]


def test_a_ticker_uses_its_own_rows_from_the_first_one_on() -> None:
    rows = [cpi("2024-02-12", "2024-02-12T14:00", 1.0), cpi("2024-02-01", "2024-02-14T14:00", 9.0, 0, "A")]
    bars = [("A", "2024-02-13"), ("A", "2024-02-14"), ("B", "2024-02-14")]
    assert joined(bars, rows, "macro_cpi") == [1.0, 9.0, 1.0]


def test_news_counts_for_the_session_in_which_it_became_available() -> None:
    rows = [
        news("2024-02-12T20:45", 0.9),  # at the cut of Monday: Monday
        news("2024-02-12T20:46", 0.5),  # in Monday's embargo: Tuesday
        news("2024-02-13T15:00", -0.8),
        news("2024-02-13T21:30", 0.1),  # after Tuesday's close: Wednesday
        news("2024-02-13T15:00", 0.3, "B"),
    ]
    bars = [("A", "2024-02-12"), ("A", "2024-02-13"), ("A", "2024-02-14"), ("A", "2024-02-15")]
    assert joined(bars, rows, "news_count") == [1, 2, 1, 0]
    assert joined(bars, rows, "news_mean") == pytest.approx([0.9, (0.5 - 0.8) / 2, 0.1, NAN], nan_ok=True)
    assert joined(bars, rows, "news_strongest") == pytest.approx([0.9, -0.8, 0.1, NAN], nan_ok=True)


def test_news_of_a_weekend_counts_on_monday_once() -> None:
    rows = [news("2024-02-10T12:00", 0.2), news("2024-02-11T12:00", 0.4)]
    bars = [("A", "2024-02-09"), ("A", "2024-02-12"), ("A", "2024-02-13")]
    assert joined(bars, rows, "news_count") == [0, 2, 0]
    assert joined([("A", "2024-02-10"), ("A", "2024-02-11")], rows, "news_count", "24/7") == [1, 1]


def test_a_missing_bar_does_not_move_its_news_to_the_next_bar() -> None:
    rows = [news("2024-02-13T15:00", 0.2)]
    assert joined([("A", "2024-02-12"), ("A", "2024-02-14")], rows, "news_count") == [0, 0]


def test_doubled_rows_count_once_and_headlines_of_one_moment_are_told_apart_by_vintage() -> None:
    row = news("2024-02-13T15:00", 0.2)
    assert joined([("A", "2024-02-13")], [row, row], "news_count") == [1]
    assert joined([("A", "2024-02-13")], [row, row._replace(vintage=1)], "news_count") == [2]


def test_the_order_of_rows_of_one_moment_changes_no_bit() -> None:
    """0.1 + 0.2 + 0.3 is not 0.3 + 0.2 + 0.1; of two values for one period and time, one always wins."""
    values = (0.1, 0.2, 0.3, 0.7)
    for name, rows in (
        ("news_mean", [news("2024-02-13T15:00", value) for value in values]),
        ("macro_cpi", [cpi("2024-02-12", "2024-02-13T15:00", value) for value in values]),
    ):
        orders = itertools.permutations(rows)
        assert len({joined([("A", "2024-02-13")], order, name)[0] for order in orders}) == 1


def test_without_rows_there_are_counts_of_zero_and_nothing_else() -> None:
    table = join(bars_table([("A", day("2024-02-13"))]), EXOGENOUS.empty_table(), COLUMNS, "XNYS", EMBARGO)
    for column in COLUMNS:
        assert table.schema.field(column.name).type == pa.float64()
        assert table.column(column.name).null_count == 0
        assert np.isnan(table.column(column.name).to_numpy()[0]) == (column.measure != "count")
    assert join(bars_table([]), EXOGENOUS.empty_table(), COLUMNS, "XNYS", EMBARGO).num_columns == 3 + len(COLUMNS)


def test_the_table_keeps_its_rows_and_columns() -> None:
    bars = bars_table([("B", day("2024-02-14")), ("A", day("2024-02-13")), ("B", day("2024-02-13"))])
    encoded = bars.set_column(0, "ticker", bars.column("ticker").dictionary_encode())
    chunks = pa.concat_tables([encoded.slice(0, 1), encoded.slice(1)])
    rows = rows_table([news("2024-02-13T15:00", 0.2, "B"), news("2024-02-14T15:00", 0.3, "B")])
    for table in (bars, encoded, chunks):
        found = join(table, rows, COLUMNS[2:4], "XNYS", EMBARGO)
        assert found.select(table.column_names) == table
        assert found.column("news_count").to_pylist() == [1, 0, 1]


def test_a_name_that_a_feature_has_is_refused() -> None:
    close = Column("close", "macro", "rate", "percent", "CPI", "value", 4)
    with pytest.raises(UsageError, match="the same name, close"):
        join(bars_table([]), EXOGENOUS.empty_table(), [close], "XNYS", EMBARGO)


def test_a_row_without_a_time_is_refused() -> None:
    rows = rows_table([cpi("2024-01-01", "2024-02-13T13:30", 1.0)])
    bare = rows.set_column(3, EXOGENOUS.field(3), pa.nulls(1, EXOGENOUS.field(3).type))
    with pytest.raises(ValueError, match="no time at which it was known"):
        join(bars_table([("A", day("2024-02-13"))]), bare, COLUMNS, "XNYS", EMBARGO)


@pytest.mark.parametrize(("series", "least"), [("CPIAUCSL", 3_774), ("VIXCLS", 3_700), ("DGS10", 3_400)])
def test_a_join_on_the_date_shows_unpublished_values_of_real_series(series: str, least: int) -> None:
    """Lags are near those of the publishers: 10 days after the month (CPI), 21:15 UTC (VIX; rates a day later)."""
    with gzip.open(real_data("macro_fred_2010_2024.csv.gz"), "rt") as file:
        values = {day(row["date"]): float(row["value"]) for row in csv.DictReader(file)
                  if row["series"] == series and row["value"] not in ("", ".")}  # fmt: skip
    lag = {"CPIAUCSL": dt.timedelta(days=31 + 10, hours=14), "VIXCLS": dt.timedelta(hours=21, minutes=15),
           "DGS10": dt.timedelta(days=1, hours=21, minutes=15)}[series]  # fmt: skip
    midnight = {period: dt.datetime.combine(period, dt.time(), UTC) for period in values}
    rows = rows_table(Row(series, "", period, midnight[period] + lag, value) for period, value in values.items())
    column = Column("x", "macro", "index", "index points", series, "value", 90)
    days = sessions("XNYS", day("2010-01-01"), day("2024-12-31"))
    bars = pa.table({"ticker": ["A"] * len(days), "date": pa.array(days).view(pa.date32())})
    known = join(bars, rows, [column], "XNYS", 15).column("x").to_numpy()
    periods = np.array(sorted(to_days(period) for period in values))
    newest = periods[np.searchsorted(periods, days, side="right") - 1]  # what a join on the date shows
    published = {to_days(period): (midnight[period] + lag).timestamp() for period in values}
    closes = _closes(days)
    unpublished = sum(published[int(period)] > close for period, close in zip(newest, closes, strict=True))
    assert unpublished >= least
    naive = np.array([values[dt.date(1970, 1, 1) + dt.timedelta(int(period))] for period in newest])
    assert (naive != known).mean() > 0.8  # and the values really differ
    assert np.isfinite(known[30:]).all()  # the file begins in December 2009


def _closes(days: NDArray[np.int32]) -> list[float]:
    return [float(each) for each in cuts("XNYS", days, 0) / 1e6]
