"""Release lags: known releases are never later than the rules say, and FRED's files are read by them."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cloudlstm.exogenous.columns import KINDS
from cloudlstm.exogenous.sources.business_days import CLOSED, holidays_of, next_working_day
from cloudlstm.exogenous.sources.release_lags import RULES, VINTAGE, ZONE, rows_of_rules
from cloudlstm.market.calendar import to_date, to_days
from exogenous.sources.news_inputs import macro, reasons, write
from real_data import real_data

NEW_YORK = zoneinfo.ZoneInfo(ZONE)


def known(series: str, period: dt.date) -> dt.datetime:
    """When a value was known by its rule, in New York's time."""
    (microseconds,) = RULES[series].available(np.array([to_days(period)], np.int32))
    return dt.datetime.fromtimestamp(int(microseconds) / 1e6, NEW_YORK)


@pytest.mark.parametrize(
    ("series", "period", "released"),
    [
        ("CPIAUCSL", "2015-01-01", "2015-02-26 08:30"),
        ("CPIAUCSL", "2015-02-01", "2015-03-24 08:30"),
        ("CPIAUCSL", "2014-01-01", "2014-02-20 08:30"),
        ("CPIAUCSL", "2013-09-01", "2013-10-30 08:30"),  # a shutdown
        ("CPIAUCSL", "2025-09-01", "2025-10-24 08:30"),  # a shutdown
        ("CPIAUCSL", "2025-11-01", "2025-12-18 08:30"),
        ("UNRATE", "2013-09-01", "2013-10-22 08:30"),
        ("PAYEMS", "2025-09-01", "2025-11-20 08:30"),
        ("PAYEMS", "2025-10-01", "2025-12-16 08:30"),
        ("INDPRO", "2025-09-01", "2025-12-03 09:15"),
        ("INDPRO", "2025-10-01", "2025-12-23 09:15"),
        ("PCEPI", "2025-09-01", "2025-12-05 08:30"),
        ("GDP", "2025-07-01", "2025-12-23 08:30"),
        ("DGS10", "2024-10-11", "2024-10-15 16:15"),  # Monday was Columbus Day
        ("DTWEXBGS", "2019-02-15", "2019-02-19 16:15"),  # Monday was Presidents' Day
        ("DTWEXBGS", "2019-03-11", "2019-03-18 16:15"),
    ],
)
def test_a_value_is_not_known_before_its_release(series: str, period: str, released: str) -> None:
    assert known(series, dt.date.fromisoformat(period)) >= dt.datetime.fromisoformat(released).replace(tzinfo=NEW_YORK)


@pytest.mark.parametrize(
    ("series", "period", "at"),
    [
        ("VIXCLS", "2024-07-03", "2024-07-03 16:15"),
        ("DGS10", "2024-07-03", "2024-07-05 16:15"),
        ("DGS2", "2024-07-05", "2024-07-08 16:15"),
        ("DFF", "2024-07-06", "2024-07-08 16:15"),  # a Saturday
        ("FEDFUNDS", "2024-08-01", "2024-09-03 16:15"),  # Labor Day
        ("CPIAUCSL", "2024-06-01", "2024-07-29 08:30"),
        ("UNRATE", "2024-06-01", "2024-07-12 08:30"),
        ("GDP", "2024-01-01", "2024-05-06 08:30"),
    ],
)
def test_the_rules_as_the_page_says_them(series: str, period: str, at: str) -> None:
    assert known(series, dt.date.fromisoformat(period)) == dt.datetime.fromisoformat(at).replace(tzinfo=NEW_YORK)


def test_every_series_whose_kind_is_known_has_a_rule() -> None:
    assert sorted(set(KINDS) - {"SYNTHETIC"} - set(RULES)) == []


def test_every_rule_is_in_the_rows_of_the_page_once() -> None:
    rows = rows_of_rules()
    assert sorted(name for series, _, _ in rows for name in series.split(", ")) == sorted(RULES)
    assert all(text and source for _, text, source in rows)


@given(st.dates(dt.date(1960, 1, 1), dt.date(2035, 12, 31)), st.sampled_from(sorted(RULES)))
def test_nothing_is_known_before_its_day_ends_in_new_york_or_markets_close(period: dt.date, series: str) -> None:
    at = known(series, period)
    assert at.date() > period or (series == "VIXCLS" and at.timetz().hour >= 16)


def is_off(day: dt.date) -> bool:
    """True for a weekend or a holiday; the one of 1 January may fall on 31 December."""
    holidays = {*holidays_of(day.year), *holidays_of(day.year + 1), *CLOSED}
    return day.weekday() >= 5 or day in holidays


@example(dt.date(1999, 12, 28), 3)
@given(st.dates(dt.date(1990, 1, 1), dt.date(2035, 12, 31)), st.integers(0, 3))
def test_a_working_day_is_no_weekend_and_no_holiday(date: dt.date, ahead: int) -> None:
    found = to_date(int(next_working_day(np.array([to_days(date)]), ahead)[0]))
    assert not is_off(found)
    between = [date + dt.timedelta(days=n) for n in range(ahead > 0, (found - date).days)]
    assert sum(not is_off(day) for day in between) == max(ahead - 1, 0)


def test_wide_and_long_files(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "DATE,VIXCLS\n2024-03-28,13.01\n2024-03-29,.\n")
    write(tmp_path / "b.csv.gz", "observation_date,DGS10,DGS2\n2024-03-28,4.20,4.59\n2024-03-29,,\n")
    write(tmp_path / "c.csv", "date,series,value\n2024-03-01,FEDFUNDS,5.33\n2024-03-01,OTHER,1\n")
    found = macro(tmp_path, "VIXCLS,DGS10,DGS2,FEDFUNDS", "fred")
    assert {(row["series"], row["value"]) for row in found.rows.to_pylist()} == {
        ("VIXCLS", 13.01), ("DGS10", 4.2), ("DGS2", 4.59), ("FEDFUNDS", 5.33),
    }  # fmt: skip
    assert set(found.rows.column("vintage").to_pylist()) == {VINTAGE}
    assert (found.refused.num_rows, found.missing) == (0, [])
    assert any("VIXCLS has no value on 1 date" in note for note in found.notes)


def test_refused_rows(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.csv",
        "DATE,VIXCLS,FOO\n2024-03-27,12.78,1\n2024-03-28,many,1\nsoon,13,1\n2024-04-01,13,1\n2024-04-01,14,1\n"
        "2024-03-27,12.78,1\n2025-06-03,15,1\n",
    )
    found = macro(path, "VIXCLS,FOO,DGS1", "fred", kinds={"FOO": "rate"})
    assert {reason: len(raw) for reason, raw in reasons(found.refused).items()} == {
        "no_number": 1, "no_date": 1, "two_values": 2, "in_the_future": 1, "no_release_rule": 1,
    }  # fmt: skip
    assert found.rows.num_rows == 1
    assert found.missing == ["FOO", "DGS1"]
    assert any("no rule says when FOO is released" in note and "alfred" in note for note in found.notes)


def test_real_series() -> None:
    names = "VIXCLS,DGS10,DGS2,DFF,FEDFUNDS,CPIAUCSL"
    found = macro(real_data("macro_fred_2010_2024.csv.gz"), names, "fred")
    assert (found.missing, found.refused.num_rows) == ([], 0)
    rows = found.rows.to_pylist()
    assert len(rows) == len({(row["series"], row["period"]) for row in rows}) > 15_000
