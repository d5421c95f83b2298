"""The source "files": paths and globs, partitions, column names, identity."""

from __future__ import annotations

import pytest

from cloudlstm import storage
from cloudlstm.errors import ConfigError, DataError, UnreadableSourceError
from cloudlstm.market.sources.files import source as files
from cloudlstm.market.sources.files.listing import list_files
from market.sources.file_sources import HEADER, LINES, expected, read, source_of, write
from real_data import real_data


def test_one_file_per_ticker(tmp_path):
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


def test_reading_is_limited_to_dates_and_universe(tmp_path):
    path = write(tmp_path / "bars.csv", HEADER + LINES + "2019-12-31,AAA,1,1,1,1,1,1\n2025-01-02,AAA,1,1,1,1,1,1\n")
    assert read(path).num_rows == 3
    assert read(path, ("AAA",))["ticker"].to_pylist() == ["AAA", "AAA"]
    assert read(path, ("ZZZ",)).num_rows == 0


def test_globs(tmp_path):
    for name in ("a/2020.csv", "a/2021.csv", "b/2020.csv", "b/c/2020.csv", "b/2020.txt"):
        write(tmp_path / name, HEADER + LINES)

    def found(pattern: str) -> list[str]:
        return [file.item.removeprefix(f"file://{tmp_path}/") for file in list_files(f"{tmp_path}/{pattern}").files]

    assert found("*/2020.csv") == ["a/2020.csv", "b/2020.csv"]
    assert found("**/2020.csv") == ["a/2020.csv", "b/2020.csv", "b/c/2020.csv"]
    assert found("**") == ["a/2020.csv", "a/2021.csv", "b/2020.csv", "b/2020.txt", "b/c/2020.csv"]
    assert found("a/202?.csv") == ["a/2020.csv", "a/2021.csv"]
    assert found("a/202[!0].csv") == ["a/2021.csv"]
    assert found("a/202[0].csv") == ["a/2020.csv"]
    assert found("b") == ["b/2020.csv", "b/2020.txt", "b/c/2020.csv"]
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
    monkeypatch.setattr(files, "BLOCK_BYTES", 2 * len(HEADER + LINES))
    partitions = source_of(tmp_path).partitions()
    assert [[uri[-5:] for uri in partition.items] for partition in partitions] == [
        ["0.csv", "1.csv"],
        ["2.csv", "3.csv"],
        ["4.csv", "5.csv"],
    ]
    assert [partition.number for partition in partitions] == [0, 1, 2]
    assert read(tmp_path)["source"].to_pylist() == [f"{number}.csv" for number in range(6) for _ in range(3)]


def test_the_identity_depends_on_files_and_mapping(tmp_path):
    path = write(tmp_path / "bars.csv", HEADER + LINES)
    base = source_of(path).identity()
    assert source_of(path).identity() == base
    assert source_of(path, columns={"open": "close"}).identity() != base
    assert source_of(path, ("AAA",)).identity() != base
    write(path, HEADER + LINES + "2020-01-06,AAA,1,1,1,1,1,1\n")
    assert source_of(path).identity() != base


@pytest.mark.parametrize("path", ["nothing.csv", "*.csv", "folder", "nowhere/**/*.parquet"])
def test_a_path_without_files_is_named(tmp_path, path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match="no file") as caught:
        source_of(tmp_path / path)
    assert str(tmp_path / path) in str(caught.value)


def test_a_mapping_of_unknown_columns_is_named(tmp_path):
    path = write(tmp_path / "bars.csv", HEADER + LINES)
    with pytest.raises(ConfigError, match="names price"):
        source_of(path, columns={"price": "close"})
    with pytest.raises(UnreadableSourceError, match=r"'shares' \(for volume\)"):
        read(path, columns={"volume": "shares"})


def test_the_core_six():
    table = read(real_data("core6_daily_2010_2024.csv.gz"), start="2010-01-01")
    assert table.num_rows == 21_923
    assert table["unreadable"].null_count == table.num_rows
    assert all(column.null_count == 0 for column in table.drop_columns("unreadable").columns)


@pytest.mark.parametrize(
    ("name", "n_rows"),
    [
        ("landing_pystock_2015", 169_483 - 12),  # all lines except the headers of twelve files
        ("dirty_yahoo_repair_cases.csv.gz", 32_512),
        ("us_broad_google_2014_2017.parquet", 884_586),
    ],
)
def test_real_faulty_files_are_read_completely(name, n_rows):
    assert read(real_data(name), start="2000-01-01").num_rows == n_rows
