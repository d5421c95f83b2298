"""Landed files that are no bars: each is refused with a reason, and stops no other."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudlstm import storage
from cloudlstm.market.bars import to_parquet
from cloudlstm.stream.bars import refused_table
from cloudlstm.stream.sources import files
from cloudlstm.stream.sources.base import Taken
from cloudlstm.stream.sources.files import FilesSource

HEADER = b"ticker,minute,open,high,low,close,volume"
ROW = b"AAPL,1767364200,1,1,1,1,1"


def parquet(**columns: Any) -> bytes:
    """A file of one bar, with other columns."""
    values = {"ticker": ["AAPL"], "minute": [1767364200], **{each: [1.0] for each in ("open", "high", "low", "close")}}
    out = io.BytesIO()
    pq.write_table(pa.table({**values, "volume": [1.0], **columns}), out)
    return out.getvalue()


def landed(folder: Path, content: dict[str, bytes]) -> Taken:
    """What the files of these names give."""
    for name, data in content.items():
        storage.write(f"file://{folder}/{name}", data)
    found = FilesSource(f"file://{folder}", print).take({}, 100, 0.0)
    assert found is not None
    to_parquet(found.bars)
    to_parquet(refused_table(found.refused))
    return found


@pytest.mark.parametrize(
    ("ending", "data", "reason"),
    [
        ("csv", HEADER + b",volume\n" + ROW + b",1\n", "has more than one column volume"),
        ("csv", HEADER + b",\xff\n" + ROW + b",1\n", "the file cannot be read"),
        ("csv", HEADER + b"\nAAPL,soon,1,1,1,1,1\n", "its minute cannot be read: 'soon'"),
        ("csv", b"", "the file cannot be read"),
        ("csv", HEADER + b",sent\n" + ROW + b",1e305\n", "its sent is no number"),
        ("csv.gz", b"no archive", "the file cannot be read"),
        ("parquet", b"PAR1", "the file cannot be read"),
        ("parquet", parquet(sent=["soon"]), "its sent cannot be read: 'soon'"),
        ("parquet", parquet(ticker=[{"a": 1}]), "the file cannot be read"),
        ("parquet", parquet(minute=pa.array([2**63], pa.uint64())), "the file cannot be read"),
        ("parquet", parquet(ticker=pa.array([b"\xff"]).view(pa.string())), "the file cannot be read"),
        ("parquet", parquet(source=pa.array([b"\xff"]).view(pa.string())), "the file cannot be read"),
        ("parquet", parquet(open=[None]), "it lacks open"),
        ("csv", HEADER + b"\nAAPL,2026-01-02 14:45:00,1,1,1,1,1\n", "its minute is a time without a zone"),
        ("csv", HEADER + b"\nAAPL,2026-01-02,1,1,1,1,1\n", "the file cannot be read"),
        ("parquet", parquet(minute=pa.array([1767364200], pa.timestamp("s"))), "its minute is a time without a zone"),
    ],
)
def test_a_file_without_bars_is_refused_and_the_next_is_taken(
    tmp_path: Path, ending: str, data: bytes, reason: str
) -> None:
    found = landed(tmp_path, {f"a.{ending}": data, "b.csv": HEADER + b"\n" + ROW + b"\n"})
    assert found.bars["ticker"].to_pylist() == ["AAPL"]
    (refused,) = found.refused
    assert reason in refused.reason


@pytest.mark.parametrize(
    ("minute", "bad", "reason"),
    [
        (b"1767364200", b"AAPL,1767364260,1,abc,1,1,1", "its high cannot be read: 'abc'"),
        (b"2026-01-02T14:30:00Z", b"AAPL,soon,1,1,1,1,1", "its minute cannot be read: 'soon'"),
        (
            b"2026-01-02T14:30:00Z",
            b"AAPL,2026-01-02T14:31:00,1,1,1,1,1",
            "its minute cannot be read: '2026-01-02T14:31",
        ),
        (b"1767364200", b"AAPL,1767364260,1,,1,1,1", "it lacks high"),
    ],
)
def test_a_bad_cell_of_a_csv_file_refuses_its_row_only(
    tmp_path: Path, minute: bytes, bad: bytes, reason: str
) -> None:  # fmt: skip
    good = b"AAPL," + minute + b",1,1,1,1,1"
    found = landed(tmp_path, {"a.csv": b"\n".join([HEADER, good, bad, b""])})
    assert found.bars["minute"].to_pylist() == [1767364200]
    (refused,) = found.refused
    assert (refused.where, refused.ticker) == ("a.csv row 2", "AAPL")
    assert reason in refused.reason


@pytest.mark.parametrize(
    ("ending", "data"),
    [
        ("csv", HEADER + b"\nAAPL,2026-01-02T14:30:00Z,1,1,1,1,1\n"),
        ("csv", HEADER + b"\nAAPL,2026-01-02 09:30:00-0500,1,1,1,1,1\n"),
        ("parquet", parquet(minute=pa.array([1767364200000], pa.timestamp("ms", "America/New_York")))),
    ],
)
def test_a_time_with_a_zone_is_the_moment_that_it_names(tmp_path: Path, ending: str, data: bytes) -> None:
    found = landed(tmp_path, {f"a.{ending}": data})
    assert not found.refused
    assert found.bars["minute"].to_pylist() == [1767364200]


@pytest.mark.parametrize("name", ["0700", "7", "NA", "TRUE", "1E5", "NAN"])
def test_a_ticker_of_a_csv_file_stays_as_it_is_written(tmp_path: Path, name: str) -> None:
    row = ROW.replace(b"AAPL", name.encode())
    found = landed(tmp_path, {"a.csv": HEADER + b",source\n" + row + b",0042\n"})
    assert found.bars["ticker"].to_pylist() == [name]
    assert found.bars["source"].to_pylist() == ["0042"]


@settings(max_examples=50, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=60).map(lambda data: HEADER + b"\n" + data),
        st.binary(max_size=20).map(lambda data: HEADER + b"," + data + b"\n" + ROW + b",1\n"),
        st.tuples(st.integers(0, 900), st.binary(min_size=1, max_size=4)).map(
            lambda cut: (whole := parquet())[: cut[0]] + cut[1] + whole[cut[0] + len(cut[1]) :]
        ),
    ),
    st.sampled_from(["csv", "parquet", "jsonl", "csv.gz"]),
)
def test_no_content_of_a_file_stops_the_others(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, ending: str
) -> None:
    found = landed(tmp_path_factory.mktemp("landed"), {f"a.{ending}": data, "b.csv": HEADER + b"\n" + ROW + b"\n"})
    assert found.bars["ticker"].to_pylist()[-1] == "AAPL"


def one_bar(folder: Path, *names: str) -> None:
    for name in names:
        storage.write(f"file://{folder}/{name}.csv", HEADER + b"\n" + ROW + b"\n")


def test_a_file_that_lands_late_is_told_also_when_the_old_ones_were_removed(tmp_path: Path) -> None:
    told: list[str] = []
    one_bar(tmp_path, "a", "c", "d")
    source = FilesSource(f"file://{tmp_path}", told.append)
    first = source.take({}, 100, 0.0)
    assert first is not None
    for name in ("a", "c"):
        (tmp_path / f"{name}.csv").unlink()
    one_bar(tmp_path, "b")
    assert source.take(first.end, 100, 0.3) is None
    assert told == ["1 files have landed with a name before d.csv and are not taken; names must rise"]
    one_bar(tmp_path, "e")
    then = source.take(first.end, 100, 1.0)
    assert then is not None
    assert list(then.end["files"]) == ["e.csv"]
    assert len(told) == 1, "each is told once"


def test_late_files_are_told_at_the_start(tmp_path: Path) -> None:
    told: list[str] = []
    one_bar(tmp_path, "a", "b", "c")
    source = FilesSource(f"file://{tmp_path}", told.append)
    assert source.take({"after": "c.csv", "taken": 1}, 100, 0.3) is None
    assert told == ["2 files have landed with a name before c.csv and are not taken; names must rise"]


def test_a_file_that_is_removed_before_it_is_taken_stops_nothing(tmp_path: Path) -> None:
    told: list[str] = []
    one_bar(tmp_path, "a", "b", "c")
    source = FilesSource(f"file://{tmp_path}", told.append)
    for name in ("a", "c"):
        (tmp_path / f"{name}.csv").unlink()
    found = source.take({}, 100, 0.0)
    assert found is not None
    assert list(found.end["files"]) == ["b.csv"]
    assert source.ended(found.end), "a stream with --available-now must not wait for c.csv"
    assert len(told) == 2


def test_a_folder_in_a_bucket_is_listed_once_for_many_batches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A list of a bucket costs money: none for each batch of a backlog, and none each time that the stream is idle."""
    one_bar(tmp_path, "a", "b", "c")
    monkeypatch.setattr(files, "_LOOK_S", {})  # the folder counts as one of a bucket
    monkeypatch.setattr(files, "_LOOK_BUCKET_S", 60.0)
    looks: list[str] = []
    real = storage.list_objects
    monkeypatch.setattr(storage, "list_objects", lambda prefix: looks.append(prefix) or real(prefix))
    source, position, taken = FilesSource(f"file://{tmp_path}", print), {}, 0
    while found := source.take(position, 1, 0.0):
        position, taken = dict(found.end), taken + 1
    assert taken == 3
    assert source.take(position, 1, 0.0) is None
    assert len(looks) == 1
