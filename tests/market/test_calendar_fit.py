"""Which calendar fits the dates of bars, and how far apart the bars are."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from bar_factory import bars_of, walk
from cloudlstm.market import bars
from cloudlstm.market.calendar import sessions
from cloudlstm.market.calendar_fit import bars_apart, code_of, describe_bars, describe_fit, likely_codes, repeats

pytest.importorskip("exchange_calendars")

FIRST, LAST = dt.date(2021, 1, 4), dt.date(2023, 12, 28)


def days_of(code: str) -> np.ndarray:
    return sessions(code, FIRST, LAST)


@pytest.mark.parametrize("code", ["XNYS", "XTAI", "XTKS", "XBOM", "XHKG", "XLON", "24/7", "24/5"])
def test_dates_that_fit_are_no_problem(code):
    assert describe_fit(days_of(code), 1.0, ["AAA"], code) is None


@pytest.mark.parametrize(
    ("ticker", "found"),
    [("2330.TW", "XTAI"), ("7203.T", "XTKS"), ("RELIANCE.NS", "XBOM"), ("BTC-USD", "24/7"), ("", "XTAI"), ("", "XTKS"),
     ("", "24/7"), ("", "XLON")],
)  # fmt: skip
@pytest.mark.parametrize("configured", ["XNYS", "24/7", "XNSE"])
def test_the_calendar_that_fits_is_named(ticker, found, configured):
    problem = describe_fit(days_of(found), 1.0, [ticker] if ticker else [], configured)
    if configured == found:
        assert problem is None
        return
    assert problem is not None
    assert problem.hint == f"market.calendar={found}"
    assert f"fit the calendar {found}" in problem.message
    assert f"not {configured}" in problem.message


def test_missing_bars_are_not_a_matter_of_the_calendar():
    days = days_of("XNYS")
    some = np.delete(days, np.random.default_rng(0).choice(np.arange(1, len(days) - 1), len(days) // 5, replace=False))
    assert describe_fit(some, 1.0, ["AAA"], "XNYS") is None


@pytest.mark.parametrize("configured", ["XTKS", "XNYS"])
def test_dates_of_tokyo_in_utc_are_one_day_early(configured):
    problem = describe_fit(days_of("XTKS") - np.int32(1), 1.0, ["7203.T"], configured)
    assert problem is not None
    assert "one day early" in problem.message
    assert "market.calendar=XTKS" in problem.hint
    assert "Asia/Tokyo" in problem.hint


def test_dates_can_be_one_day_late():
    problem = describe_fit(days_of("XNYS") + np.int32(1), 1.0, [], "XNYS")
    assert problem is not None
    assert "one day late" in problem.message


@pytest.mark.parametrize(
    ("step", "rows", "apart"),
    [(7, 1, "a week apart"), (30, 1, "a month apart"), (91, 1, "a quarter apart"), (365, 1, "a year apart"),
     (1, 390, "less than a day apart (390 rows a date)"), (1, 7, "less than a day apart (7 rows a date)"), (1, 1, ""),
     (1, 2, ""), (3, 1, "")],
)  # fmt: skip
def test_the_interval_of_bars(step, rows, apart):
    days = np.arange(18_000, 18_000 + step * 30, step, dtype=np.int32)
    assert bars_apart(days, rows) == apart
    if apart:
        problem = describe_fit(days, rows, ["AAA"], "XNYS")
        assert problem is not None
        assert apart in problem.message


def test_few_dates_show_nothing():
    assert describe_fit(days_of("XTAI")[:19], 1.0, [], "24/7") is None


def test_a_suffix_tells_the_exchange():
    assert [code_of(name) for name in ("2330.TW", "sap.de", "BTC-USD", "EURUSD=X", "BRK.B", "AAPL")] == [
        "XTAI", "XETR", "24/7", "24/5", "", ""
    ]  # fmt: skip
    assert likely_codes(days_of("XNYS"), ["M&M.NS"])[:2] == ["XBOM", "XNYS"]


def test_repeats_are_rows_with_the_four_prices_of_the_row_before():
    prices = np.array([1.0, 1.0, 2.0, 2.0, np.nan, np.nan])
    assert repeats(prices, prices, prices, prices).tolist() == [False, True, False, True, False, False]
    assert not repeats(prices, prices, prices, np.arange(6.0)).any()


def table(days: np.ndarray, ticker: str = "AAA") -> pa.Table:
    return bars_of(ticker, days, walk(len(days)))


def test_bars_without_prices_and_carried_rows_are_no_dates():
    sessions_of = days_of("XNYS")
    every = np.arange(sessions_of[0], sessions_of[-1] + 1, dtype=np.int32)
    place = np.searchsorted(sessions_of, every, side="right") - 1
    carried = bars.conform(
        table(sessions_of).take(pa.array(place)).set_column(1, "date", date_column(every)), bars.BARS
    )
    assert describe_bars(carried, "XNYS") is None
    empty = np.where(np.isin(every, sessions_of), walk(len(every)), np.nan)
    assert describe_bars(bars_of("AAA", every, empty), "XNYS") is None
    assert describe_bars(table(every), "XNYS") is not None  # its own prices on all days


def test_only_the_latest_years_decide():
    recent = days_of("XNYS")
    before = np.arange(recent[0] - 750, recent[0], dtype=np.int32)  # all days
    assert len(recent) >= 750
    assert describe_fit(np.append(before, recent), 1.0, [], "XNYS") is None


def test_a_ticker_that_rarely_trades_is_daily():
    days = days_of("XNYS")
    flat = np.repeat(walk(len(days) // 5 + 1), 5)[: len(days)]  # a new price every fifth session
    assert describe_bars(bars_of("AAA", days, flat), "XNYS") is None
    some = np.sort(np.random.default_rng(1).choice(days, len(days) // 5, replace=False))
    assert describe_bars(table(some), "XNYS") is None


def test_rows_that_were_delivered_several_times_are_daily():
    days = np.repeat(days_of("XNYS"), 4)
    close = np.repeat(walk(len(days) // 4), 4)
    assert describe_bars(bars_of("AAA", days, close), "XNYS") is None


def test_the_ticker_of_bars_tells_the_exchange():
    found = describe_bars(table(days_of("XTAI"), "2330.TW"), "XNYS")
    assert found is not None
    assert found.hint == "market.calendar=XTAI"


def test_many_bars_a_date_are_not_daily():
    minutes = np.repeat(days_of("XNYS")[:5], 390)
    found = describe_bars(table(minutes), "XNYS")
    assert found is not None
    assert "less than a day apart (390 rows a date)" in found.message


def test_no_bars_show_nothing():
    assert describe_bars(bars.empty(), "XNYS") is None


def date_column(days: np.ndarray) -> pa.Array:
    return pa.array(days).view(pa.date32())
