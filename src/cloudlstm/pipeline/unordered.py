"""From files of any layout to shards of whole tickers.

A survey finds the tickers of all files. If files hold whole tickers, or are sorted by ticker, each shard then reads its
parts of the files. Otherwise every bar is sent to the shard of its ticker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from cloudlstm.market import universe
from cloudlstm.market.sources.base import Partition, Reader, Source, UnorderedSource
from cloudlstm.pipeline import shard_io
from cloudlstm.pipeline.engine import Engine
from cloudlstm.pipeline.shard_io import TaskResult, rows_of, write_shard
from cloudlstm.runs.context import StepData

_SURVEYS_PER_CORE = 8
"""Enough to balance cores; each survey names all the tickers that it has found, so there should not be many."""


@dataclass(frozen=True, slots=True)
class Surveyed:
    """What a survey of a source has found.

    Attributes:
        tickers: The universe, sorted.
        whole: The source by shards, if that needs no shuffle.
        partitions: The partitions for a shuffle.
    """

    tickers: tuple[str, ...]
    whole: Source | None
    partitions: list[Partition]


def survey(
    engine: Engine,
    source: UnorderedSource,
    requested: Sequence[str] | None,
    exclude: Sequence[str],
    report: Callable[[int], None],
    may_lack: float = 0.0,
) -> Surveyed:
    """Finds the tickers of a source, and how its bars get to their shards.

    Args:
        engine: What runs the tasks.
        source: The source.
        requested: The requested tickers; None means all.
        exclude: Tickers that are left out.
        report: Receives the number of partitions that have been read.
        may_lack: Largest share of the requested tickers that the source may lack.
    """
    partitions = source.partitions()
    size = -(-len(partitions) // (_SURVEYS_PER_CORE * engine.cores))
    groups = [partitions[start : start + size] for start in range(0, len(partitions), size)]
    surveys = engine.map(source.reader.survey, groups, report=lambda done: report(min(done * size, len(partitions))))
    known: set[str] = set()
    for each in surveys:
        known.update(each.tickers)
    tickers = universe.resolve_universe(requested, known, source.name, exclude, may_lack)
    return Surveyed(tickers, source.shards(surveys, tickers), source.surveyed(surveys))


def shuffle(
    engine: Engine,
    reader: Reader,
    surveyed: Surveyed,
    tickers_per_shard: int,
    data: StepData,
    report: Callable[[int], None],
    report_reading: Callable[[int], None],
) -> list[TaskResult]:
    """Sends every bar to the shard of its ticker, and writes the shards.

    Args:
        engine: What runs the tasks.
        reader: Reads the partitions.
        surveyed: The universe and the partitions.
        tickers_per_shard: Tickers in a shard.
        data: The step that writes them.
        report: Receives the number of rows that have been written.
        report_reading: Receives the number of partitions that have been read.
    """
    return engine.shuffle(
        _Split(reader, surveyed.tickers, tickers_per_shard), surveyed.partitions, _Join(data),
        n_shards=shard_io.count(surveyed.tickers, tickers_per_shard), units=rows_of,
        report=report, report_split=report_reading,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Split:
    """Reads a partition and yields its pieces by shard."""

    reader: Reader
    tickers: Sequence[str]
    tickers_per_shard: int

    def __call__(self, partition: Partition) -> Iterator[tuple[int, bytes]]:
        for table in self.reader.tables(partition):
            yield from shard_io.split(table, self.tickers, self.tickers_per_shard)


@dataclass(frozen=True, slots=True)
class _Join:
    """Writes a shard from its pieces."""

    data: StepData

    def __call__(self, number: int, pieces: list[bytes]) -> TaskResult:
        return write_shard(self.data, "bars", number, shard_io.join(pieces))
