"""Files to shards: with and without a shuffle, in the same bytes."""

from __future__ import annotations

import datetime as dt
import pickle
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from bar_factory import bars_of, walk, weekdays
from cloudlstm.config import MarketConfig
from cloudlstm.errors import UnknownTickerError
from cloudlstm.market import bars
from cloudlstm.market.sources.base import Source
from cloudlstm.market.sources.files.reader import Reader, ShardReader
from cloudlstm.market.sources.files.source import FilesSource
from cloudlstm.pipeline import unordered
from cloudlstm.pipeline.shard_io import write_shard
from cloudlstm.pipeline.unordered import Surveyed
from cloudlstm.runs.context import StepData
from cloudlstm.runs.paths import RunPaths

NAMES = tuple(f"T{number:02d}" for number in range(10))
DAYS = weekdays(30)
PER_SHARD = 3


class Here:
    """An engine that runs everything at once."""

    cores = 1

    def map(self, function: Callable[[Any], Any], items: Sequence[Any], **_: object) -> list[Any]:
        return [function(item) for item in pickle.loads(pickle.dumps(items))]

    def shuffle(
        self,
        split: Callable[[Any], Iterable[tuple[int, bytes]]],
        items: Sequence[Any],
        join: Callable[[int, list[bytes]], Any],
        *,
        n_shards: int,
        **_: object,
    ) -> list[Any]:
        pieces: list[list[bytes]] = [[] for _ in range(n_shards)]
        for item in items:
            for number, piece in pickle.loads(pickle.dumps(split))(item):
                pieces[number].append(piece)
        return [join(number, own) for number, own in enumerate(pieces)]


def market(names: Sequence[str] = NAMES) -> pa.Table:
    """Bars of tickers, sorted by ticker and date."""
    table = pa.concat_tables([bars_of(name, DAYS, walk(len(DAYS), seed)) for seed, name in enumerate(names)])
    columns = ["date", "ticker", "open", "high", "low", "close", "volume"]
    return table.select(columns).set_column(1, "ticker", table["ticker"].cast(pa.string()))


def source_of(path: Path, **settings: object) -> FilesSource:
    return FilesSource.open(
        MarketConfig.model_validate(
            {"source": "files", "path": str(path), "start": "1970-01-02", "tickers_per_shard": PER_SHARD} | settings
        ),
        None,
    )


def surveyed(source: FilesSource, requested: tuple[str, ...] | None = None) -> Surveyed:
    return unordered.survey(Here(), source, requested, (), lambda _: None)  # type: ignore[arg-type]


def data() -> StepData:
    return StepData(RunPaths("memory://unordered/run"), "ingest", "made")


def written(whole: Source) -> list[Any]:
    """The shards that are written without a shuffle."""
    whole = pickle.loads(pickle.dumps(whole)), whole.partitions()
    reader, partitions = whole
    return [
        write_shard(data(), "bars", number, bars.sort(bars.conform(reader.read(partition), bars.BARS)))
        for number, partition in enumerate(partitions)
    ]


def shuffled(source: FilesSource, found: Surveyed) -> list[Any]:
    nothing = lambda _: None  # noqa: E731
    return unordered.shuffle(Here(), source.reader, found, PER_SHARD, data(), nothing, nothing)  # type: ignore[arg-type]


def parquet_parts(folder: Path) -> None:
    """Files of four, four and two tickers: the borders of shards lie inside of files."""
    for number, start in enumerate(range(0, len(NAMES), 4)):
        pq.write_table(market(NAMES[start : start + 4]), folder / f"{number}.parquet")


def one_sorted_parquet(folder: Path) -> None:
    pq.write_table(market(), folder / "bars.parquet", row_group_size=50)


def parquet_of_texts(folder: Path) -> None:
    """Dates as text: their form depends on all of them."""
    table = market()
    texts = pa.array([day.strftime("%d/%m/%Y") for day in table["date"].to_pylist()])
    pq.write_table(table.set_column(0, "date", texts), folder / "bars.parquet", row_group_size=100)


def one_file_a_ticker(folder: Path) -> None:
    for name in NAMES:
        pa.csv.write_csv(market((name,)).drop_columns("ticker"), folder / f"{name}.csv")


def later_versions(folder: Path) -> None:
    """Every ticker has bars in three files, some twice; the last one counts."""
    table = market()
    for number, rows in enumerate((slice(0, 20), slice(10, 30), slice(0, 5))):
        for name in ("T00", "T05", "T09"):
            own = market((name,)).slice(rows.start, rows.stop - rows.start)
            own = own.set_column(6, "volume", pa.array([number] * own.num_rows))
            pq.write_table(own, folder / f"{name}-{number}.parquet")
    pq.write_table(table.slice(30, 90), folder / "others.parquet")


def rows_without_a_ticker(folder: Path) -> None:
    table = market()
    names = [None if number % 40 == 7 else name for number, name in enumerate(table["ticker"].to_pylist())]
    pq.write_table(table.set_column(1, "ticker", pa.array(names)), folder / "bars.parquet", row_group_size=60)


WHOLE = (
    parquet_parts, one_sorted_parquet, parquet_of_texts, one_file_a_ticker, later_versions, rows_without_a_ticker
)  # fmt: skip


@pytest.mark.parametrize("write", WHOLE)
def test_shards_are_the_same_with_and_without_a_shuffle(
    write: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cloudlstm.market.sources.files.parquet_file.GROUP_ROWS", 60)
    monkeypatch.setattr("cloudlstm.market.sources.files.pieces.MOST_READS", 10.0)
    write(tmp_path)
    source = source_of(tmp_path)
    found = surveyed(source)
    tickers, whole = found.tickers, found.whole
    assert whole is not None
    assert [row for each in written(whole) for row in each.objects] == [
        row for each in shuffled(source, found) for row in each.objects
    ]
    assert [partition.items for partition in whole.partitions()] == [
        tickers[start : start + PER_SHARD] for start in range(0, len(tickers), PER_SHARD)
    ]


def test_files_in_any_order_are_shuffled(tmp_path: Path) -> None:
    table = market()
    pq.write_table(table.take(pa.array(np.random.default_rng(0).permutation(len(table)))), tmp_path / "a.parquet")
    for day in range(5):
        pq.write_table(table.take(pa.array(range(day, len(table), len(DAYS)))), tmp_path / f"{day}.parquet")
    found = surveyed(source_of(tmp_path))
    assert (found.tickers, found.whole) == (NAMES, None)


def test_row_groups_of_other_tickers_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloudlstm.market.sources.files.parquet_file.GROUP_ROWS", 60)
    one_sorted_parquet(tmp_path)
    whole = surveyed(source_of(tmp_path), ("T06", "T09")).whole
    assert whole is not None
    read: list[tuple[int, ...]] = []
    parse = Reader.read
    monkeypatch.setattr(Reader, "read", lambda self, piece: read.append(piece.groups) or parse(self, piece))
    (shard,) = written(whole)
    assert shard.rows == 2 * len(DAYS)
    assert read == [(3,), (4,), (5,)], "six row groups of 50 rows; T06 has the rows 180 to 209, T09 270 to 299"


def test_a_piece_that_two_shards_need_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet_parts(tmp_path)
    whole = surveyed(source_of(tmp_path)).whole
    assert whole is not None
    read: list[str] = []
    parse = Reader.read
    monkeypatch.setattr(Reader, "read", lambda self, piece: read.append(piece.item[-9:]) or parse(self, piece))
    assert sum(each.rows for each in written(whole)) == len(NAMES) * len(DAYS)
    assert read == ["0.parquet", "1.parquet", "2.parquet"]


def test_a_process_keeps_one_piece_whatever_shards_it_makes(tmp_path: Path) -> None:
    parquet_parts(tmp_path)
    whole = surveyed(source_of(tmp_path)).whole
    assert isinstance(whole, ShardReader)
    first, second, third, _ = whole.partitions()
    for partition in (first, third, second, first):
        whole.read(partition)
        assert len(whole.kept) == 1


def test_a_task_gets_its_own_shard_only(tmp_path: Path) -> None:
    parquet_parts(tmp_path)
    whole = surveyed(source_of(tmp_path)).whole
    assert isinstance(whole, ShardReader)
    assert pickle.loads(pickle.dumps(whole)).shards == ()


def bars_until(folder: Path, day: int, *names: str) -> None:
    """A file with the bars of tickers, sorted by ticker, until a number of days."""
    table = market(names)
    rows = [row for row in range(len(table)) if row % len(DAYS) < day]
    pq.write_table(table.take(pa.array(rows)), folder / f"{'-'.join(names)}.parquet")


@pytest.mark.parametrize(
    ("excluded", "last"), [((), 29), (("T05",), 20), (("T05", "T03"), 20), (("T05", "T02"), None), (("T04",), 29)]
)
def test_the_last_date_is_one_of_the_universe(excluded: tuple[str, ...], last: int | None, tmp_path: Path) -> None:
    """Ingest makes the later steps for the sessions until then; without it they wait for its end."""
    bars_until(tmp_path, 10, "T03", "T04")
    bars_until(tmp_path, 20, "T01", "T02")
    bars_until(tmp_path, 29, "T05")
    found = unordered.survey(Here(), source_of(tmp_path), None, excluded, lambda _: None)  # type: ignore[arg-type]
    assert found.whole is not None
    assert found.whole.last_date() == (
        None if last is None else dt.date(1970, 1, 1) + dt.timedelta(int(DAYS[last - 1]))
    )


def test_an_unknown_ticker_is_told_before_anything_is_read(tmp_path: Path) -> None:
    parquet_parts(tmp_path)
    with pytest.raises(UnknownTickerError, match="no ZZZ"):
        surveyed(source_of(tmp_path), ("T01", "ZZZ"))
