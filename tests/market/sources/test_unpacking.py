"""Small files that unpack to very large ones are rejected early; real bars are not."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cloudlstm.errors import UnreadableSourceError
from cloudlstm.market.sources import dates, tabular, unpacking

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


@pytest.mark.parametrize("read", [tabular.parse, tabular.tickers])
def test_unpacking_a_gzip_bomb_stops_at_the_limit(
    few: int, read: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = gzip_bomb(4_000_000)  # 95 MiB
    seen: list[int] = []
    require = unpacking.require_size
    monkeypatch.setattr(unpacking, "require_size", lambda *args: seen.append(args[1]) or require(*args))
    with pytest.raises(UnreadableSourceError, match=r"x\.csv\.gz unpacks to more than 4 MiB and to more than 100 "):
        read(data, "file:///x.csv.gz", {})
    assert few < max(seen) <= few + (9 << 20)  # one block


def test_checking_a_gzip_file_unpacks_its_beginning_only(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    monkeypatch.setattr(unpacking, "require_size", lambda _packed, size, _uri: seen.append(size))
    assert tabular.check(gzip_bomb(4_000_000), "file:///x.csv.gz", {})
    assert max(seen) <= 2 << 20


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
    assert tabular.parse(gzip.compress(HEADER + lines, 9), "file:///x.csv.gz", {}).num_rows == 120_000


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("read", [tabular.parse, tabular.check])
def test_a_parquet_bomb_is_rejected_before_its_rows_are_read(
    read: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = parquet_bomb(400_000)
    monkeypatch.setattr(pq.ParquetFile, "read", None)
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", None)
    with pytest.raises(UnreadableSourceError, match="unpacks to more than 4 MiB"):
        read(data, "file:///x.parquet", {})


def test_checking_a_parquet_file_reads_its_first_rows_only(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[int] = []
    parse = dates.parse
    monkeypatch.setattr(dates, "parse", lambda column, form: looked_at.append(len(column)) or parse(column, form))
    assert tabular.check(parquet_bomb(100_000), "file:///x.parquet", {})
    assert looked_at
    assert max(looked_at) <= 1 << 14


def test_a_long_repeated_text_in_parquet_is_stored_once() -> None:
    """Stored as separate texts, the column would need 100 GB."""
    rows = 100_000
    ticker = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), ["A" * 1_000_000])
    data = parquet_bomb(rows, ticker=ticker)
    assert tabular.tickers(data, "file:///x.parquet", {}) == {"A" * 1_000_000}


@pytest.mark.parametrize("read", [tabular.parse, tabular.check])
def test_a_column_of_lists_is_an_error(read: Callable[..., object]) -> None:
    data = parquet_bomb(2, open=pa.array([[1.0] * 1000] * 2))
    with pytest.raises(UnreadableSourceError, match="column 'open' holds list<element: double>, not one value per row"):
        read(data, "file:///x.parquet", {})


def test_text_numbers_in_parquet_are_parsed() -> None:
    text = pa.array(["1.5", None, "x", "1.5"])
    table = tabular.parse(parquet_bomb(4, open=text, high=text.cast(pa.large_string())), "file:///x.parquet", {})
    assert table["open"].to_pylist() == table["high"].to_pylist() == [1.5, None, None, 1.5]


def test_an_endless_header_line_is_an_error() -> None:
    with pytest.raises(UnreadableSourceError, match="no header line within its first 1 MiB"):
        tabular.check(gzip.compress(b"0" * (3 << 20)), "file:///x.csv.gz", {})
