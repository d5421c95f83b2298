"""Tables of series with the time at which each value was known."""

from __future__ import annotations

import datetime as dt
import math
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from exogenous.sources.news_inputs import macro, reasons, utc, write

HEAD = "series,period,available_at,value\n"


def test_rows_with_vintages_by_time(tmp_path: Path) -> None:
    path = write(
        tmp_path / "cpi.csv",
        HEAD + "CPI,2024-02-01,2024-04-10 12:30Z,310.5\n"
        "cpi,2024-02-01,2024-03-12T08:30:00-04:00,310.3\n"
        "CPI,2024-03-01,2024-04-10 12:30Z,311.1\n"
        "CPI,2024-04-01,2024-05-15 12:30Z,\n",
    )
    found = macro(path, "CPI", kinds={"CPI": "index"})
    rows = [tuple(row.values()) for row in found.rows.to_pylist()]
    assert [row[:4] for row in rows] == [
        ("CPI", "", dt.date(2024, 2, 1), utc("2024-03-12 12:30")),
        ("CPI", "", dt.date(2024, 2, 1), utc("2024-04-10 12:30")),
        ("CPI", "", dt.date(2024, 3, 1), utc("2024-04-10 12:30")),
        ("CPI", "", dt.date(2024, 4, 1), utc("2024-05-15 12:30")),
    ]
    assert [row[4] for row in rows[:3]] == [310.3, 310.5, 311.1]
    assert math.isnan(rows[3][4])  # published as missing
    assert [row[5] for row in rows] == [0, 1, 0, 0]
    assert (found.refused.num_rows, found.missing) == (0, [])


def test_every_reason(tmp_path: Path) -> None:
    path = write(
        tmp_path / "x.csv",
        "series,ticker,period,available_at,value,vintage\n"
        "X,,2024-02-01,2024-03-12 12:30Z,1,0\n"
        "X,,2024-02-02,2024-03-12,1,0\n"
        "X,,2024-02-03,2024-03-12 12:30,1,0\n"
        "X,,2024-02-04,2024-03-12 00:00,1,0\n"
        "X,,2024-02-05,soon,1,0\n"
        "X,,someday,2024-03-12 12:30Z,1,0\n"
        "X,,2024-02-06,2024-03-12 12:30Z,many,0\n"
        "X,,2024-02-07,2024-03-12 12:30Z,1,first\n"
        "X,a? b!,2024-02-08,2024-03-12 12:30Z,1,0\n"
        ",,2024-02-09,2024-03-12 12:30Z,1,0\n"
        "X,,2024-02-10,2025-06-02 12:01Z,1,0\n"
        "X,,2024-02-11,2024-02-10 09:59Z,1,0\n"
        "X,,2024-02-12,2024-03-12 12:30Z,1,0\n"
        "X,,2024-02-12,2024-03-12 12:30Z,2,0\n"
        "X,,2024-02-01,2024-03-12 12:30Z,1,0\n",
    )
    found = macro(path, "X", kinds={"X": "score"})
    assert found.rows.num_rows == 1  # the last row is the first one again
    assert {reason: len(raw) for reason, raw in reasons(found.refused).items()} == {
        "no_time": 2, "no_time_zone": 1, "no_date": 2, "no_number": 1, "bad_vintage": 1, "no_ticker": 1,
        "no_series": 1, "in_the_future": 1, "before_its_period": 1, "two_values": 2,
    }  # fmt: skip


def test_a_value_of_a_day_in_the_east_may_be_known_before_that_day_in_utc(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", HEAD + "X,2024-02-11,2024-02-11 08:00+09:00,1\n")
    assert macro(path, "X", kinds={"X": "score"}).rows.num_rows == 1


def test_a_file_without_available_at_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "sentiment.csv", "date,ticker,sentiment\n2024-02-01,AAPL,3.5\n")
    found = macro(path, "X", kinds={"X": "score"})
    assert list(reasons(found.refused)) == ["no_column"]
    assert found.missing == ["X"]
    assert any("available_at" in note for note in found.notes)


def test_numbers_with_a_comma_and_values_of_tickers(tmp_path: Path) -> None:
    path = write(
        tmp_path / "x.csv",
        "name;symbol;date;released_at;value\nX;aapl;2024-02-01;2024-02-02 10:00Z;1,5\n",
    )
    (row,) = macro(path, "X", kinds={"X": "score"}).rows.to_pylist()
    assert (row["entity"], row["value"]) == ("AAPL", 1.5)


def test_parquet_and_only_the_series_of_the_settings(tmp_path: Path) -> None:
    when = dt.datetime(2024, 2, 2, 10, tzinfo=dt.UTC)
    table = pa.table(
        {
            "series": ["X", "Y"],
            "period": pa.array([dt.date(2024, 2, 1)] * 2),
            "available_at": pa.array([when] * 2, pa.timestamp("us", "America/New_York")),
            "value": pa.array([1.25, 2.0], pa.float32()),
        }
    )
    pq.write_table(table, tmp_path / "x.parquet")
    found = macro(tmp_path / "x.parquet", "X,Z", kinds={"X": "score", "Z": "score"})
    assert [(row["series"], row["available_at"], row["value"]) for row in found.rows.to_pylist()] == [("X", when, 1.25)]
    assert found.missing == ["Z"]
    assert found.refused.num_rows == 0


def test_a_midnight_is_a_date_without_a_time(tmp_path: Path) -> None:
    """pandas writes a release date so; taken literally, it would be known in the evening before."""
    path = write(
        tmp_path / "s.csv",
        "series,period,available_at,value\n"
        "S,2024-02-01,2024-02-13 00:00:00+00:00,1\n"
        "S,2024-02-01,2024-02-13 13:30Z,2\n",
    )
    found = macro(path, "S", kinds={"S": "rate"})
    assert found.rows["value"].to_pylist() == [2.0]
    assert list(reasons(found.refused)) == ["no_time"]
