"""Reading one file of bars: dialects of CSV, Parquet types, dates, numbers and unreadable files."""

from __future__ import annotations

import datetime as dt
import gzip

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cloudlstm.errors import UnreadableSourceError
from cloudlstm.market import bars
from market.sources.file_sources import HEADER, LINES, expected, read, source_of, write


def test_csv(tmp_path):
    path = write(tmp_path / "bars.csv", HEADER + LINES)
    assert read(path).to_pylist() == expected("bars.csv")
    assert source_of(path).tickers(source_of(path).partitions()[0]) == ["AAA", "BBB"]


def test_gzipped_csv_with_several_members(tmp_path):
    path = tmp_path / "bars.csv.gz"
    path.write_bytes(gzip.compress((HEADER + LINES[:30]).encode()) + gzip.compress(LINES[30:].encode()))
    assert read(path).to_pylist() == expected("bars.csv.gz")


@pytest.mark.parametrize("encode", [lambda text: "\ufeff" + text, lambda text: text.replace("\n", "\r\n"),
                                    lambda text: "\n" + text, lambda text: text.replace(",", ";"),
                                    lambda text: text.replace(",", "\t"), lambda text: text[:-1]],
                         ids=["BOM", "CRLF", "blank line", "semicolons", "tabs", "no last newline"])  # fmt: skip
def test_dialects_of_csv(tmp_path, encode):
    path = tmp_path / "bars.csv"
    path.write_bytes(encode(HEADER + LINES).encode())
    assert read(path).to_pylist() == expected("bars.csv")


def test_parquet_with_other_types(tmp_path):
    rows = expected("bars.parquet")
    table = pa.table(
        {
            "Symbol": pa.array([row["ticker"] for row in rows]).dictionary_encode(),
            "Date": pa.array([row["date"] for row in rows]).cast(pa.timestamp("ns")),
            **{name.title(): pa.array([row[name] for row in rows], pa.float32()) for name in bars.PRICES},
            "Adj Close": pa.array([row["adj_close"] for row in rows]),
            "Volume": pa.array([float(row["volume"]) for row in rows]),
            "sector": ["x", "y", "z"],
        }
    )
    pq.write_table(table, tmp_path / "bars.parquet")
    assert read(tmp_path / "bars.parquet").to_pylist() == rows


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("2020-01-02", dt.date(2020, 1, 2)),
        ("2020-01-02 00:00:00", dt.date(2020, 1, 2)),
        ("2020-01-02T23:30:00-05:00", dt.date(2020, 1, 2)),
        ("2020-01-02 00:00:00+08:00", dt.date(2020, 1, 2)),
        (" 2020-01-02 ", dt.date(2020, 1, 2)),
        ("20200102", dt.date(2020, 1, 2)),
        ("2020-02-30", None),
        ("2020-01-02x", None),
        ("02/01/2020", None),
        ("", None),
    ],
)
def test_dates(tmp_path, text, date):
    path = write(tmp_path / "bars.csv", HEADER + LINES + f"{text},CCC,1,1,1,1,1,1\n")
    assert read(path).to_pylist()[3]["date"] == date


def test_a_timestamp_with_a_time_zone_has_its_local_date(tmp_path):
    moment = pa.array([dt.datetime(2020, 1, 3, 1, tzinfo=dt.UTC)], pa.timestamp("us", tz="America/New_York"))
    table = pa.table({"date": moment, "open": [1.0], "high": [1.0], "low": [1.0], "close": [1.0], "volume": [1]})
    pq.write_table(table, tmp_path / "aaa.parquet")
    row = read(tmp_path / "aaa.parquet").to_pylist()[0]
    assert (row["ticker"], row["date"]) == ("AAA", dt.date(2020, 1, 2))
    assert row["adj_close"] is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.5", 1.5),
        ("-2", -2.0),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("", None),
        ("abc", None),
        ("1,5", None),
        ("$3", 3.0),
        ("1,234.5", 1234.5),
    ],
)
def test_text_that_is_not_a_number_becomes_null(tmp_path, text, value):
    path = write(tmp_path / "bars.csv", HEADER + LINES + f'2020-01-06,AAA,1,1,1,"{text}",1,1\n')
    table = read(path)
    assert table["close"].to_pylist()[3] == value
    assert table.slice(0, 3).to_pylist() == expected("bars.csv")


@pytest.mark.parametrize(
    ("text", "volume"), [("123.0", 123), ("1e6", 10**6), ("inf", None), ("nan", None), ("1e30", None)]
)
def test_volumes(tmp_path, text, volume):
    path = write(tmp_path / "bars.csv", HEADER + f"2020-01-06,AAA,1,1,1,1,1,{text}\n")
    assert read(path)["volume"].to_pylist() == [volume]


def test_a_ticker_such_as_na_is_not_a_missing_value(tmp_path):
    text = "".join(f"2020-01-06,{ticker},1,1,1,1,1,1\n" for ticker in ("NA", "NULL", "nan", "TRUE", " brk-b ", ""))
    path = write(tmp_path / "bars.csv", HEADER + text)
    assert read(path)["ticker"].to_pylist() == ["NA", "NULL", "NAN", "TRUE", "BRK-B", None]


def test_repeated_headers_and_rows_of_wrong_width_become_null_rows(tmp_path):
    path = write(tmp_path / "bars.csv", HEADER + LINES + HEADER + "2020-01-06,AAA,1\n" + "2020-01-06,AAA,1,1,1,1,1,1\n")
    table = read(path, ("AAA", "BBB"))
    assert table.num_rows == 6
    assert table.slice(0, 3).to_pylist() == expected("bars.csv")
    keys = list(zip(table["ticker"].to_pylist(), table["date"].to_pylist(), strict=True))
    assert keys[3:] == [(None, None), ("AAA", dt.date(2020, 1, 6)), (None, None)]
    source = source_of(path)
    assert source.tickers(source.partitions()[0]) == ["AAA", "BBB"]


@pytest.mark.parametrize("content", ["", HEADER, "\n\n", HEADER + "\n\n"])
def test_a_file_without_bars_is_not_an_error(tmp_path, content):
    write(tmp_path / "1.csv", HEADER + LINES)
    write(tmp_path / "2.csv", content)
    assert read(tmp_path).num_rows == 3
    source = source_of(tmp_path)
    assert source.tickers(source.partitions()[0]) == ["AAA", "BBB"]
    assert read(write(tmp_path / "only" / "x.csv", content)).num_rows == 0


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.csv", b"\x93\x00\xff\xfe\x01" * 50, "is not in UTF-8, and its columns are not understood"),
        ("x.csv.gz", gzip.compress((HEADER + LINES).encode())[:-12], "not readable"),
        ("x.csv.gz", b"\x1f\x8bnonsense", "not readable"),
        ("x.parquet", b"PAR1 and nothing more", "not readable"),
        (
            "x.csv",
            b"date,ticker,open,high,low,close\n2020-01-02,AAA,1,1,1,1\n",
            "no column volume; it has date,",
        ),
        ("x.csv", b"hello\nworld\n", "no column date, open, high, low, close, volume; it has hello"),
        ("x.csv", (HEADER + "soon,AAA,1,1,1,1,1,1\n").encode(), "'date' is a date, the first is 'soon'"),
        ("x.csv", (HEADER.encode() + b"2020-01-02,A\xff\xfeA,1,1,1,1,1,1\n"), "not readable"),
    ],
)
def test_an_unreadable_file_is_named_with_the_reason(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnreadableSourceError) as caught:
        read(tmp_path / name)
    assert f"file://{tmp_path}/{name}" in str(caught.value)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_columns_of_one_name_in_parquet(tmp_path):
    values = [pa.array(["2020-01-02"]), pa.array(["AAA"]), *[pa.array([1.0])] * 6]
    names = ["date", "ticker", "open", "high", "low", "close", "volume"]
    pq.write_table(pa.Table.from_arrays(values, names=[*names, "close"]), tmp_path / "bars.parquet")
    with pytest.raises(UnreadableSourceError, match="2 columns can be close: 'close' and 'close'"):
        read(tmp_path / "bars.parquet")
    other = pa.Table.from_arrays([*values[:7], pa.array(["x"]), pa.array(["y"])], names=[*names, "sector", "sector"])
    pq.write_table(other, tmp_path / "bars.parquet")
    assert read(tmp_path / "bars.parquet")["close"].to_pylist() == [1.0]


def test_the_tickers_of_a_column_are_found_without_reading_dates(tmp_path, monkeypatch):
    source = source_of(write(tmp_path / "bars.csv", HEADER + LINES))
    monkeypatch.setattr("cloudlstm.market.sources.dates.find_form", None)
    assert source.tickers(source.partitions()[0]) == ["AAA", "BBB"]
