"""The as-of join: which row a bar sees, its age, and the summary of a session's news."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest

from cloudlstm.exogenous.asof import session_cuts
from cloudlstm.exogenous.join import join
from cloudlstm.market.calendar import to_date
from exogenous.rows import COLUMNS, MACRO, NEWS_COLUMNS, Row, bars, days, table

WEEK = days("2024-03-04", "2024-03-08")
"""Monday to Friday; New York closes at 21:00 UTC, and summer time begins on the Sunday after."""


def joined(rows: list[Row], columns: tuple = COLUMNS, tickers: tuple[str, ...] = ("A",), embargo: int = 15) -> dict:  # type: ignore[type-arg]
    made = join(bars(tickers, WEEK), table(rows), columns, "XNYS", embargo)
    return made.to_pydict()  # type: ignore[no-any-return]


def same(found: list[float], expected: list[float]) -> None:
    np.testing.assert_array_equal(found, expected)


NAN = math.nan


def test_a_value_counts_from_the_first_close_after_it_was_known() -> None:
    found = joined([("RATE", "", "2024-03-04", "2024-03-05T20:45", 1.5, 0)])
    same(found["macro_rate"], [NAN, 1.5, 1.5, 1.5, 1.5])
    same(found["macro_rate_age_days"], [NAN, 0.0, 1.0, 2.0, 3.0])


def test_what_is_known_within_the_embargo_counts_a_session_later() -> None:
    late = [("RATE", "", "2024-03-04", "2024-03-05T20:45:00.000001", 1.5, 0)]
    same(joined(late)["macro_rate"], [NAN, NAN, 1.5, 1.5, 1.5])
    same(joined(late, embargo=0)["macro_rate"], [NAN, 1.5, 1.5, 1.5, 1.5])


def test_the_newest_period_counts_in_its_newest_version() -> None:
    found = joined(
        [
            ("RATE", "", "2024-01-01", "2024-03-04T12:00", 1.0, 0),
            ("RATE", "", "2024-02-01", "2024-03-05T12:00", 2.0, 0),
            ("RATE", "", "2024-01-01", "2024-03-06T12:00", 1.1, 1),  # a late correction of the older period
            ("RATE", "", "2024-02-01", "2024-03-07T12:00", 2.1, 1),
        ]
    )
    same(found["macro_rate"], [1.0, 2.0, 2.0, 2.1, 2.1])


def test_of_versions_at_the_same_time_the_newest_counts() -> None:
    found = joined(
        [("RATE", "", "2024-02-01", "2024-03-04T12:00", value, vintage) for vintage, value in ((1, 7.0), (0, 9.0))]
    )
    same(found["macro_rate"], [7.0] * 5)


def test_a_value_that_was_published_as_missing_leaves_the_one_before() -> None:
    found = joined(
        [("RATE", "", "2024-03-01", "2024-03-04T12:00", 1.0, 0), ("RATE", "", "2024-03-04", "2024-03-05T12:00", NAN, 0)]
    )
    same(found["macro_rate"], [1.0] * 5)
    assert found["macro_rate_age_days"][1] == pytest.approx(1 + 8.75 / 24)


def test_a_value_is_missing_beyond_its_age() -> None:
    one = bars(("A",), days("2024-01-02", "2024-03-08"))
    made = join(one, table([("RATE", "", "2023-12-29", "2024-01-02T12:00", 1.0, 0)]), MACRO, "XNYS", 15)
    value, age = made["macro_rate"].to_numpy(), made["macro_rate_age_days"].to_numpy()
    assert age[np.isfinite(age)].max() <= 30
    np.testing.assert_array_equal(np.isfinite(value), np.isfinite(age))
    assert 0 < np.isfinite(value).sum() < len(value)


def test_a_ticker_uses_its_own_rows_from_the_first_that_was_known_and_else_those_of_the_market() -> None:
    rows: list[Row] = [
        ("RATE", "", "2024-03-01", "2024-03-04T12:00", 1.0, 0), ("RATE", "B", "2024-03-01", "2024-03-05T12:00", 5.0, 0)
    ]  # fmt: skip
    found = joined(rows, tickers=("A", "B"))
    same(found["macro_rate"], [1.0] * 5 + [1.0, 5.0, 5.0, 5.0, 5.0])


def test_the_news_of_a_session_are_those_since_the_close_before() -> None:
    rows: list[Row] = [
        ("news.score", "A", "2024-03-04", "2024-03-04T20:46", 0.5, 0),  # after the cut of Monday
        ("news.score", "A", "2024-03-05", "2024-03-05T14:00", -0.75, 0),
        ("news.score", "A", "2024-03-05", "2024-03-05T20:45", 0.25, 0),
        ("news.novelty", "A", "2024-03-05", "2024-03-05T20:45", 0.125, 0),
    ]
    found = joined(rows, NEWS_COLUMNS)
    same(found["news_count"], [0, 3, 0, 0, 0])
    same(found["news_mean"], [NAN, 0.0, NAN, NAN, NAN])
    same(found["news_strongest"], [NAN, -0.75, NAN, NAN, NAN])
    same(found["news_novelty"], [NAN, 0.125, NAN, NAN, NAN])
    same(found["news_age_days"], [NAN, 0.0, 1.0, 2.0, 3.0])


def test_news_of_a_session_without_a_bar_do_not_go_to_the_next_bar() -> None:
    some = pa.table({"ticker": ["A", "A"], "date": pa.array([WEEK[0], WEEK[2]], pa.int32()).cast(pa.date32())})
    rows = table([("news.score", "A", "2024-03-05", "2024-03-05T14:00", 0.5, 0)])
    same(join(some, rows, NEWS_COLUMNS, "XNYS", 15)["news_count"].to_pylist(), [0, 0])


def test_equal_rows_count_once() -> None:
    one: Row = ("news.score", "A", "2024-03-05", "2024-03-05T14:00", 0.5, 0)
    other: Row = ("news.score", "A", "2024-03-05", "2024-03-05T14:00", 0.5, 1)
    assert joined([one, one, other], NEWS_COLUMNS)["news_count"][1] == 2


def test_without_rows_everything_is_missing() -> None:
    found = joined([])
    for column in COLUMNS:
        same(found[column.name], [0.0 if column.measure == "count" else NAN] * 5)


@pytest.mark.parametrize(
    ("calendar", "session", "cut"),
    [
        ("XNYS", "2024-03-08", "2024-03-08T20:45"),
        ("XNYS", "2024-03-11", "2024-03-11T19:45"),  # the first session in summer time
        ("XNYS", "2024-11-29", "2024-11-29T17:45"),  # a half day
        ("XTKS", "2024-03-08", "2024-03-08T05:45"),
        ("24/7", "2024-03-09", "2024-03-09T23:45"),
    ],
)  # fmt: skip
def test_the_cut_is_the_close_of_the_exchange_less_the_embargo(calendar: str, session: str, cut: str) -> None:
    day = days(session, session, calendar)
    found = session_cuts(calendar, day, 15).of_bars.astype("datetime64[us]")
    assert str(found[0])[:16] == cut


def test_a_bar_on_a_date_without_session_gets_the_cut_before() -> None:
    saturday = WEEK[-1:] + 1
    assert str(to_date(int(saturday[0]))) == "2024-03-09"
    found = session_cuts("XNYS", np.concatenate([WEEK[-1:], saturday]).astype(np.int32), 15).of_bars
    assert found[0] == found[1]
