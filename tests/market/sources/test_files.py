from __future__ import annotations

import datetime as dt
import gzip
import pickle
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cloudlstm import storage
from cloudlstm.config import parse
from cloudlstm.errors import ConfigError, DataError, UnreadableSourceError
from cloudlstm.market import bars
from cloudlstm.market.sources import files
from cloudlstm.market.sources.base import Source, open_source
from real_data import real_data

HEADER = "date,ticker,open,high,low,close,adj_close,volume\n"
LINES = "2020-01-02,AAA,1.0,2.0,0.5,1.5,1.4,100\n2020-01-03,AAA,1.5,2.5,1.0,2.0,1.9,200\n2020-01-02,BBB,9,9,9,9,9,0\n"


def source_of(path: object, universe: tuple[str, ...] | None = None, **market: object) -> Source:
    config = parse(
        {
            "market": {"source": "files", "path": str(path), "start": "2020-01-01", "end": "2024-12-31"} | market,
            "dataset": {"train_end": "2021-12-31", "validation_end": "2022-12-31"},
        }
    )
    return pickle.loads(pickle.dumps(open_source(config, universe)))


def read(path: object, universe: tuple[str, ...] | None = None, **market: object) -> pa.Table:
    source = source_of(path, universe, **market)
    assert not source.whole_tickers
    table = pa.concat_tables([source.read(partition) for partition in source.partitions()])
    assert table.cast(bars.BARS).schema == bars.BARS
    return table


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def expected(name: str) -> list[dict[str, object]]:
    day = dt.date
    names = bars.BARS.names
    rows = [
        ("AAA", day(2020, 1, 2), 1.0, 2.0, 0.5, 1.5, 1.4, 100, name),
        ("AAA", day(2020, 1, 3), 1.5, 2.5, 1.0, 2.0, 1.9, 200, name),
        ("BBB", day(2020, 1, 2), 9.0, 9.0, 9.0, 9.0, 9.0, 0, name),
    ]
    return [dict(zip(names, row, strict=True)) for row in rows]


def test_csv(tmp_path):
    path = write(tmp_path / "bars.csv", HEADER + LINES)
    assert read(path).to_pylist() == expected("bars.csv")
    assert source_of(path).tickers(source_of(path).partitions()[0]) == ["AAA", "BBB"]


def test_gzipped_csv_of_several_members(tmp_path):
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


def test_a_timestamp_with_a_zone_is_dated_by_that_zone(tmp_path):
    moment = pa.array([dt.datetime(2020, 1, 3, 1, tzinfo=dt.UTC)], pa.timestamp("us", tz="America/New_York"))
    table = pa.table({"date": moment, "open": [1.0], "high": [1.0], "low": [1.0], "close": [1.0], "volume": [1]})
    pq.write_table(table, tmp_path / "aaa.parquet")
    row = read(tmp_path / "aaa.parquet").to_pylist()[0]
    assert (row["ticker"], row["date"]) == ("AAA", dt.date(2020, 1, 2))
    assert row["adj_close"] is None


@pytest.mark.parametrize(
    ("text", "value"),
    [("1.5", 1.5), ("-2", -2.0), ("1e3", 1000.0), (".5", 0.5), ("", None), ("abc", None), ("1,5", None), ("$3", None)],
)
def test_what_is_no_number_becomes_null_and_its_neighbours_do_not(tmp_path, text, value):
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


def test_a_ticker_that_reads_like_a_missing_value_is_a_ticker(tmp_path):
    text = "".join(f"2020-01-06,{ticker},1,1,1,1,1,1\n" for ticker in ("NA", "NULL", "nan", "TRUE", " brk-b ", ""))
    path = write(tmp_path / "bars.csv", HEADER + text)
    assert read(path)["ticker"].to_pylist() == ["NA", "NULL", "NAN", "TRUE", "BRK-B", None]


def test_a_header_in_the_middle_and_rows_of_the_wrong_width_are_kept_for_the_quarantine(tmp_path):
    path = write(tmp_path / "bars.csv", HEADER + LINES + HEADER + "2020-01-06,AAA,1\n" + "2020-01-06,AAA,1,1,1,1,1,1\n")
    table = read(path, ("AAA", "BBB"))
    assert table.num_rows == 6
    assert table.slice(0, 3).to_pylist() == expected("bars.csv")
    keys = list(zip(table["ticker"].to_pylist(), table["date"].to_pylist(), strict=True))
    assert keys[3:] == [(None, None), ("AAA", dt.date(2020, 1, 6)), (None, None)]
    source = source_of(path)
    assert source.tickers(source.partitions()[0]) == ["AAA", "BBB"]


def test_one_file_a_ticker(tmp_path):
    text = "Date,Open,High,Low,Close,Adj Close,Volume\n2020-01-02,1,2,0.5,1.5,1.4,100\n"
    for name in ("aapl.csv", "BRK-B.csv"):
        write(tmp_path / "daily" / name, text)
    for path in (tmp_path / "daily", tmp_path / "daily" / "*.csv"):
        table = read(path)
        assert sorted(table["ticker"].to_pylist()) == ["AAPL", "BRK-B"]
        source = source_of(path)
        assert [source.tickers(partition) for partition in source.partitions()] == [["AAPL", "BRK-B"]]


def test_columns_are_mapped_by_name(tmp_path):
    path = write(tmp_path / "x.csv", "day,stock,o,high,low,close,shares,open\n2020-01-02,AAA,1,2,0.5,1.5,7,99\n")
    columns = {"date": "day", "ticker": "stock", "open": "O", "volume": "shares"}
    row = read(path, columns=columns).to_pylist()[0]
    assert (row["ticker"], row["open"], row["volume"]) == ("AAA", 1.0, 7)


def test_dates_and_universe_are_narrowed_when_read(tmp_path):
    path = write(tmp_path / "bars.csv", HEADER + LINES + "2019-12-31,AAA,1,1,1,1,1,1\n2025-01-02,AAA,1,1,1,1,1,1\n")
    assert read(path).num_rows == 3
    assert read(path, ("AAA",))["ticker"].to_pylist() == ["AAA", "AAA"]
    assert read(path, ("ZZZ",)).num_rows == 0


def test_globs(tmp_path):
    for name in ("a/2020.csv", "a/2021.csv", "b/2020.csv", "b/c/2020.csv", "b/2020.txt"):
        write(tmp_path / name, HEADER + LINES)

    def found(pattern: str) -> list[str]:
        return [file.uri.removeprefix(f"file://{tmp_path}/") for file in files.matching(f"{tmp_path}/{pattern}")]

    assert found("*/2020.csv") == ["a/2020.csv", "b/2020.csv"]
    assert found("**/2020.csv") == ["a/2020.csv", "b/2020.csv", "b/c/2020.csv"]
    assert found("**") == ["a/2020.csv", "a/2021.csv", "b/2020.csv", "b/2020.txt", "b/c/2020.csv"]
    assert found("a/202?.csv") == ["a/2020.csv", "a/2021.csv"]
    assert found("a/202[!0].csv") == ["a/2021.csv"]
    assert found("a/202[0].csv") == ["a/2020.csv"]
    assert found("b") == ["b/2020.csv", "b/c/2020.csv"]
    assert found("a/2020.csv") == ["a/2020.csv"]


def test_a_relative_path_and_an_object_store(tmp_path, monkeypatch):
    write(tmp_path / "bars.csv", HEADER + LINES)
    monkeypatch.chdir(tmp_path)
    assert read("bars.csv").to_pylist() == expected("bars.csv")
    storage.write("memory://files-test/x/bars.csv", (HEADER + LINES).encode())
    assert read("memory://files-test/*/bars.csv").to_pylist() == expected("bars.csv")


def test_small_files_share_a_partition_and_keep_their_order(tmp_path, monkeypatch):
    for number in range(6):
        write(tmp_path / f"{number}.csv", HEADER + LINES)
    monkeypatch.setattr(files, "PARTITION_BYTES", 2 * len(HEADER + LINES))
    partitions = source_of(tmp_path).partitions()
    assert [[uri[-5:] for uri in partition.items] for partition in partitions] == [
        ["0.csv", "1.csv"],
        ["2.csv", "3.csv"],
        ["4.csv", "5.csv"],
    ]
    assert [partition.number for partition in partitions] == [0, 1, 2]
    assert read(tmp_path)["source"].to_pylist() == [f"{number}.csv" for number in range(6) for _ in range(3)]


def test_the_identity_changes_with_a_file_and_with_the_mapping(tmp_path):
    path = write(tmp_path / "bars.csv", HEADER + LINES)
    base = source_of(path).identity()
    assert source_of(path).identity() == base
    assert source_of(path, columns={"open": "close"}).identity() != base
    assert source_of(path, ("AAA",)).identity() != base
    write(path, HEADER + LINES + "2020-01-06,AAA,1,1,1,1,1,1\n")
    assert source_of(path).identity() != base


@pytest.mark.parametrize("content", ["", HEADER, "\n\n", HEADER + "\n\n"])
def test_a_file_without_bars_is_empty_and_no_error(tmp_path, content):
    write(tmp_path / "1.csv", HEADER + LINES)
    write(tmp_path / "2.csv", content)
    assert read(tmp_path).num_rows == 3
    source = source_of(tmp_path)
    assert source.tickers(source.partitions()[0]) == ["AAA", "BBB"]
    assert read(write(tmp_path / "only" / "x.csv", content)).num_rows == 0


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.csv", b"\x93\x00\xff\xfe\x01" * 50, "not readable"),
        ("x.csv.gz", gzip.compress((HEADER + LINES).encode())[:-12], "not readable"),
        ("x.csv.gz", b"\x1f\x8bnonsense", "not readable"),
        ("x.parquet", b"PAR1 and nothing more", "not readable"),
        (
            "x.csv",
            b"date,ticker,open,high,low,close\n2020-01-02,AAA,1,1,1,1\n",
            "no column volume; it has date,",
        ),
        ("x.csv", b"hello\nworld\n", "no column date, open, high, low, close, volume; it has hello"),
        ("x.csv", (HEADER + "01/02/2020,AAA,1,1,1,1,1,1\n").encode(), "'date' is a date, the first is '01/02/2020'"),
        ("x.csv", (HEADER.encode() + b"2020-01-02,A\xff\xfeA,1,1,1,1,1,1\n"), "not readable"),
    ],
)
def test_a_file_that_cannot_hold_bars_is_named_with_the_reason(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnreadableSourceError) as caught:
        read(tmp_path / name)
    assert f"file://{tmp_path}/{name}" in str(caught.value)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", ["nothing.csv", "*.csv", "folder", "nowhere/**/*.parquet"])
def test_no_file_is_an_error_that_names_the_path(tmp_path, path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match="no file") as caught:
        source_of(tmp_path / path)
    assert str(tmp_path / path) in str(caught.value)


def test_a_mapping_that_fits_nothing_is_named(tmp_path):
    path = write(tmp_path / "bars.csv", HEADER + LINES)
    with pytest.raises(ConfigError, match="names price"):
        source_of(path, columns={"price": "close"})
    with pytest.raises(UnreadableSourceError, match=r"'shares' \(for volume\)"):
        read(path, columns={"volume": "shares"})


def test_the_core_six():
    table = read(real_data("core6_daily_2010_2024.csv.gz"), start="2010-01-01")
    assert table.num_rows == 21_923
    assert all(column.null_count == 0 for column in table.columns)


@pytest.mark.parametrize(
    ("name", "n_rows"),
    [
        ("landing_pystock_2015", 169_483 - 12),  # lines less the headers of the twelve files that are not empty
        ("dirty_yahoo_repair_cases.csv.gz", 32_512),
        ("us_broad_google_2014_2017.parquet", 884_586),
    ],
)
def test_real_faulty_files_are_read_whole(name, n_rows):
    assert read(real_data(name), start="2000-01-01").num_rows == n_rows
