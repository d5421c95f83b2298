"""Small files that unpack to very large ones are rejected early; real bars are not."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cloudlstm import storage
from cloudlstm.errors import UnreadableSourceError
from cloudlstm.market.sources.files import parquet_file, survey, tabular, unpacking
from cloudlstm.market.sources.files.tabular import Content
from market.sources.file_sources import files_config, parsed

HEADER = b"date,ticker,open,high,low,close,volume\n"
LINE = b"2020-01-02,AAA,1,1,1,1,1\n"
NUMBERS = ("open", "high", "low", "close", "volume")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> int:
    """Sets FREE_BYTES to a value that is small enough for a test."""
    monkeypatch.setattr(unpacking, "FREE_BYTES", 4 << 20)
    return unpacking.FREE_BYTES


def gzip_bomb(lines: int) -> bytes:
    """A gzip file with many members; each unpacks from 4 KB to 1 MiB of equal lines."""
    per_member = (1 << 20) // len(LINE)
    return gzip.compress(HEADER) + gzip.compress(LINE * per_member) * (lines // per_member)


def parquet(table: pa.Table) -> bytes:
    file = io.BytesIO()
    pq.write_table(table, file, store_schema=False)  # as other programs than Arrow write it
    return file.getvalue()


def parquet_bomb(rows: int, **others: object) -> bytes:
    columns = {"date": pa.array(["2020-01-02"] * rows), "ticker": pa.array(["AAA"] * rows)}
    return parquet(pa.table(columns | {name: pa.array([1.0] * rows) for name in NUMBERS} | others))


def tickers_of(data: bytes, uri: str) -> set[str]:
    return survey.tickers(Content(data, uri), files_config())[0]


def beginning(data: bytes, uri: str) -> int:
    """Reads the beginning of an object; returns its rows."""
    storage.write(uri, data)
    return tabular.parse_beginning(uri, len(data), "", files_config(), 1 << 16).bars.num_rows


@pytest.mark.parametrize("read", [parsed, tickers_of])
def test_unpacking_a_gzip_bomb_stops_at_the_limit(
    few: int, read: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = gzip_bomb(4_000_000)  # 95 MiB
    seen: list[int] = []
    require = unpacking.require_size
    monkeypatch.setattr(unpacking, "require_size", lambda *args: seen.append(args[1]) or require(*args))
    with pytest.raises(UnreadableSourceError, match=r"x\.csv\.gz unpacks to more than 4 MiB and to more than 100 "):
        read(data, "file:///x.csv.gz")
    assert few < max(seen) <= few + (9 << 20)  # one block


def test_a_look_at_a_gzip_file_unpacks_its_beginning_only(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    monkeypatch.setattr(unpacking, "require_size", lambda _packed, size, _uri: seen.append(size))
    assert 1000 < beginning(gzip_bomb(4_000_000), "memory://unpacking/x.csv.gz") < 100_000
    assert max(seen) <= 3 << 20


def test_a_look_at_a_gzip_file_of_real_numbers_reads_its_beginning() -> None:
    """64 KiB of it unpack to less than the megabyte in which a header is searched."""
    random = np.random.default_rng(0)
    lines = b"".join(b"2020-01-02,AAA,%.6f,%.6f,%.6f,%.6f,1\n" % tuple(row) for row in random.random((20_000, 4)))
    assert 500 < beginning(gzip.compress(HEADER + lines, 1), "memory://unpacking/numbers.csv.gz") < 10_000


def test_the_error_for_a_too_large_file_suggests_splitting_it(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "MOST_BYTES", 2 << 30)
    unpacking.require_size(2 << 30, 2 << 30, "x")
    with pytest.raises(UnreadableSourceError, match=r"more than 2 GiB.*split it into several files"):
        unpacking.require_size(2 << 30, (2 << 30) + 1, "x")


def test_a_large_file_of_real_bars_is_within_the_limits() -> None:
    """2 GB of gzipped CSV unpack to 12 GB at the best compression ratio of real bars."""
    unpacking.require_size(2 * 10**9, 12 * 10**9, "x")
    unpacking.require_size(1, unpacking.FREE_BYTES, "x")


@pytest.mark.usefixtures("few")
def test_well_compressed_bars_of_any_size_are_read() -> None:
    lines = b"".join(
        b"%d-01-02,TICKER%05d,100.0,100.0,100.0,100.0,0\n" % (1990 + n % 30, n // 30) for n in range(120_000)
    )
    assert len(lines) > unpacking.FREE_BYTES
    assert parsed(gzip.compress(HEADER + lines, 9), "file:///x.csv.gz").bars.num_rows == 120_000


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("read", [parsed, beginning])
def test_a_parquet_bomb_is_rejected_before_its_rows_are_read(
    read: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = parquet_bomb(400_000)
    monkeypatch.setattr(pq.ParquetFile, "read", None)
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", None)
    with pytest.raises(UnreadableSourceError, match="unpacks to more than 4 MiB"):
        read(data, "memory://unpacking/x.parquet")


def test_a_look_at_a_parquet_file_reads_its_first_rows_only() -> None:
    assert beginning(parquet_bomb(100_000), "memory://unpacking/x.parquet") == parquet_file.BEGINNING_ROWS


def test_a_look_at_a_large_parquet_file_reads_a_small_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    closes = pa.array([float(n % 977) * 1.37 for n in range(200_000)])
    table = pa.table({"date": ["2020-01-02"] * 200_000, "ticker": ["AAA"] * 200_000} | dict.fromkeys(NUMBERS, closes))
    file = io.BytesIO()
    pq.write_table(table, file, row_group_size=20_000, use_dictionary=False, compression="none")
    data = file.getvalue()
    storage.write("memory://unpacking/large.parquet", data)
    asked: list[int] = []
    read = storage.read_range
    monkeypatch.setattr(storage, "read_range", lambda uri, at, size: asked.append(size) or read(uri, at, size))
    monkeypatch.setattr(storage, "read", None)
    found = tabular.parse_beginning("memory://unpacking/large.parquet", len(data), "", files_config(), 1 << 16)
    assert found.bars.num_rows == parquet_file.BEGINNING_ROWS
    assert sum(asked) < len(data) / 2


def test_a_long_repeated_text_in_parquet_is_stored_once() -> None:
    """Stored as separate texts, the column would need 100 GB."""
    rows = 100_000
    ticker = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), ["A" * 1_000_000])
    data = parquet_bomb(rows, ticker=ticker)
    assert tickers_of(data, "file:///x.parquet") == set()  # it is no ticker, and it is read


@pytest.mark.parametrize("read", [parsed, beginning])
def test_a_column_of_lists_is_an_error(read: Callable[..., object]) -> None:
    data = parquet_bomb(2, open=pa.array([[1.0] * 1000] * 2))
    with pytest.raises(UnreadableSourceError, match="column 'open' holds list<element: double>, not one value per row"):
        read(data, "memory://unpacking/lists.parquet")


def test_text_numbers_in_parquet_are_parsed() -> None:
    text = pa.array(["1.5", None, "x", "1.5"])
    table = parsed(parquet_bomb(4, open=text, high=text.cast(pa.large_string())), "file:///x.parquet").bars
    assert table["open"].to_pylist() == table["high"].to_pylist() == [1.5, None, None, 1.5]
    assert table["unreadable"].to_pylist() == [None, None, "open='x', high='x'", None]


def test_an_endless_header_line_is_an_error() -> None:
    with pytest.raises(UnreadableSourceError, match="no header line within its first 1,024 KiB"):
        parsed(gzip.compress(b"0" * (3 << 20)), "file:///x.csv.gz")
