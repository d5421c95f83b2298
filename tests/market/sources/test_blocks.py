"""Large text files are read in blocks of lines, and give the bars of the whole file."""

from __future__ import annotations

import gzip
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from bar_factory import bits
from cloudlstm import storage
from cloudlstm.config import MarketConfig
from cloudlstm.market import bars
from cloudlstm.market.sources.files import blocks, contents, pieces, source, tabular, text_file, unpacking
from cloudlstm.market.sources.files.source import FilesSource

HEADER = "date,ticker,name,open,high,low,close,volume"
ROWS = [
    f"2020-{month:02d}-{day:02d},T{ticker},Company {ticker},{day}.5,{day + 2},{day}.25,{day + 1},{100 * month + day}"
    for ticker in range(5)
    for month in range(1, 5)
    for day in range(1, 29)
]
"""Sorted by ticker; a row has about 50 bytes."""


def plain() -> bytes:
    return "\n".join([HEADER, *ROWS]).encode()


def with_line_breaks_in_quotes() -> bytes:
    broken = '"2, the\nsecond\n2020-01-01,X"'
    rows = [row.replace("Company 2", broken) if number % 3 else row for number, row in enumerate(ROWS)]
    return "\n".join([HEADER, *rows, ""]).encode()


def as_windows_writes_it() -> bytes:
    rows = [row.replace("Company", "Société").replace(",", ";").replace(".", ",") for row in ROWS]
    return "\r\n".join(["Kurse", HEADER.replace(",", ";"), *rows, ""]).encode("cp1252")


def with_faults() -> bytes:
    """Damaged values and rows, lines of text, a repeated header and bars without a ticker."""
    rows = list(ROWS)
    for place in range(10, len(rows), 50):
        rows[place] = rows[place].replace(".5,", ".x,")
        rows[place + 3] = rows[place + 3].rpartition(",")[0]
        rows[place + 7] = "Source: an example"
        rows[place + 11] = rows[place + 11].replace(",T", ",", 1)
    return "\n".join([HEADER, *rows[:200], HEADER, *rows[200:]]).encode()


def side_by_side() -> bytes:
    names = [f"{field}_{ticker}" for ticker in ("AAA", "BBB") for field in ("open", "high", "low", "close", "volume")]
    rows = [f"2020-{month:02d}-{day:02d},1,3,1,2.5,7,2,4,2,3,{day}" for month in range(1, 12) for day in range(1, 29)]
    return "\n".join([",".join(["date", *names]), *rows]).encode()


def of_one_ticker() -> bytes:
    rows = [",".join([f"{year}{row[4:10]}", *row.split(",")[3:]]) for year in range(2015, 2020) for row in ROWS[:112]]
    return "\n".join(["date,open,high,low,close,volume", *rows]).encode()


def with_carriage_returns() -> bytes:
    """Each second row has one inside."""
    return "\n".join([HEADER, *(row.replace(" ", "\r", number % 2) for number, row in enumerate(ROWS))]).encode()


CONTENTS = (
    plain, with_line_breaks_in_quotes, as_windows_writes_it, with_faults, with_carriage_returns, side_by_side,
    of_one_ticker,
)  # fmt: skip


def whole_numbers_first() -> bytes:
    """The first file with a decimal comma stands late."""
    rows = [row.replace(",", ";") for row in ROWS]
    rows = [re.sub(r"\.[25]+", "" if number < 300 else ",5", row) for number, row in enumerate(rows)]
    return "\n".join([HEADER.replace(",", ";"), *rows]).encode()


def quoted_commas_late() -> bytes:
    rows = [re.sub(r"(\d+)\.[25]+", r"\1" if number < 300 else r'"\1,5"', row) for number, row in enumerate(ROWS)]
    return "\n".join([HEADER, *rows]).encode()


def equal_days_and_months_first() -> bytes:
    """Both readings of 01/01, 02/02 and so on are equal."""
    rows = [f"T{n // 12},{1 + n % 12:02d}/{1 + n % 12:02d}/2020,1,3,1,2.5,7" for n in range(240)]
    rows += [f"U,{day}/09/2020,1,3,1,2.5,7" for day in range(1, 29)]
    return "\n".join(["ticker,date,open,high,low,close,volume", *rows]).encode()


def days_and_months_first() -> bytes:
    """Day and month of the first dates can be exchanged."""
    rows = [f"{1 + n % 12:02d}/{1 + n // 12:02d}/2020,AAA,1,3,1,2.5,7" for n in range(90)]
    rows += [f"{day}/12/2020,AAA,1,3,1,2.5,7" for day in range(13, 29)]
    return "\n".join(["date,ticker,open,high,low,close,volume", *rows]).encode()


UNDECIDED = (whole_numbers_first, quoted_commas_late, equal_days_and_months_first, days_and_months_first)


def opened(path: Path, **settings: object) -> FilesSource:
    values = {"source": "files", "path": str(path), "start": "1970-01-02"} | settings
    return FilesSource.open(MarketConfig.model_validate(values), None)


def in_blocks_of(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (pieces, blocks, source):
        monkeypatch.setattr(module, "BLOCK_BYTES", size, raising=False)
        monkeypatch.setattr(module, "LARGE_BYTES", 2 * size, raising=False)
    monkeypatch.setattr(text_file, "BEGINNING_BYTES", 2000)
    monkeypatch.setattr(unpacking, "FREE_BYTES", 0)
    blocks._form_of_object.cache_clear()


def whole(path: Path) -> pa.Table:
    config = opened(path).config
    return tabular.parse(tabular.Content(path.read_bytes(), f"file://{path}", f"file://{path.parent}/"), config).bars


def of_all(found: FilesSource) -> pa.Table:
    tables = [table for partition in found.partitions() for table in found.reader.tables(partition)]
    return pa.concat_tables(tables).unify_dictionaries()


def rows_of(table: pa.Table) -> list[str]:
    """The rows by ticker and date, and all damaged rows, which have neither, by their text."""
    rows = bars.sort(table).to_pylist()
    keyed = [str(row) for row in rows if row["ticker"]]
    return keyed + sorted(str(row) for row in rows if not row["ticker"])


@pytest.mark.parametrize("size", [731, 4000])
@pytest.mark.parametrize("content", CONTENTS)
def test_blocks_give_the_bars_of_the_whole_file(
    content: Callable[[], bytes], size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "TSLA.csv"
    path.write_bytes(content())
    expected = whole(path)
    in_blocks_of(size, monkeypatch)
    monkeypatch.setattr(contents, "read", None)
    found = opened(path)
    assert len(found.partitions()) == -(-len(content()) // size)
    assert rows_of(of_all(found)) == rows_of(expected)
    survey = found.reader.survey(found.partitions())
    assert survey.tickers == sorted(name for name in expected["ticker"].unique().to_pylist() if name)
    assert any(each.nameless for each in survey.extents) == bool(expected["ticker"].null_count)


@pytest.mark.parametrize("content", [with_line_breaks_in_quotes, as_windows_writes_it])
@pytest.mark.parametrize("packed", ["TSLA.csv.gz", "TSLA.zip"])
def test_a_compressed_file_is_a_stream_of_blocks(
    packed: str, content: Callable[[], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, plain_path = tmp_path / "packed" / packed, tmp_path / "TSLA.csv"
    path.parent.mkdir()
    plain_path.write_bytes(content())
    if packed.endswith(".gz"):
        path.write_bytes(gzip.compress(content()))
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("TSLA.csv", content())
    in_blocks_of(3000, monkeypatch)
    monkeypatch.setattr(contents, "read", None)
    found = opened(path)
    (partition,) = found.partitions()
    tables = list(found.reader.read(partition.pieces[0]))  # type: ignore[attr-defined]
    assert len(tables) > 5
    values = pa.concat_tables(tables).unify_dictionaries().drop_columns("source")
    assert bits(bars.sort(values)) == bits(bars.sort(whole(plain_path).drop_columns("source")))
    assert found.reader.survey([partition]).extents[0].rows == len(values)


@pytest.mark.parametrize("content", UNDECIDED)
def test_a_file_whose_beginning_does_not_decide_is_read_whole_and_once(
    content: Callable[[], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bars.csv"
    path.write_bytes(content())
    expected = whole(path)
    assert expected["close"].null_count == expected["date"].null_count == 0
    in_blocks_of(1000, monkeypatch)
    found = opened(path)
    first, *others = (bool(list(found.reader.tables(each))) for each in found.partitions())
    assert first
    assert not any(others)
    assert bits(of_all(found)) == bits(expected)
    assert sum(each.rows for each in found.reader.survey(found.partitions()).extents) == len(expected)


def test_a_setting_decides_what_the_beginning_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bars.csv"
    path.write_bytes(whole_numbers_first())
    expected = whole(path)
    in_blocks_of(1000, monkeypatch)
    monkeypatch.setattr(contents, "read", None)
    assert rows_of(of_all(opened(path, decimal=","))) == rows_of(expected)


def test_lines_may_be_longer_than_where_a_line_is_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bars.csv"
    path.write_bytes(plain())
    expected = whole(path)
    in_blocks_of(1000, monkeypatch)
    monkeypatch.setattr(contents, "read", None)
    monkeypatch.setattr(blocks, "_LINE_BYTES", 8)
    assert rows_of(of_all(opened(path))) == rows_of(expected)


def test_the_end_of_a_block_is_searched_in_its_last_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream whose rows are not known as bars would else search all its lines again for each part that it reads."""
    form = blocks.form_of(
        plain()[:2000],
        "bars.csv",
        "",
        MarketConfig.model_validate({"source": "files", "path": "bars.csv", "start": "1970-01-02"}),
    )
    assert form is not None
    asked: list[bytes] = []
    monkeypatch.setattr(blocks, "_is_bar", lambda line, _: bool(asked.append(line)))
    assert blocks._last_line(plain() * 100, form) == 0
    assert sum(len(line) + 1 for line in asked) < 2 * blocks._LINE_BYTES


def test_a_task_reads_its_block_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bars.csv"
    path.write_bytes(plain())
    in_blocks_of(5000, monkeypatch)
    monkeypatch.setattr(blocks, "_LINE_BYTES", 200)
    found = opened(path)
    asked: list[int] = []
    read = storage.read_range
    monkeypatch.setattr(storage, "read_range", lambda uri, at, size: asked.append(size) or read(uri, at, size))
    assert found.reader.survey(found.partitions()[2:3]).extents[0].rows > 50
    assert sum(asked) < 2000 + 5000 + 3 * 200
