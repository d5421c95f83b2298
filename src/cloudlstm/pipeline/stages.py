"""What each step does with one shard, and a chain of steps on one shard.

A stage takes the rows of a shard, writes what its step keeps, and returns the rows for the next stage. So one task can
carry a shard through several steps and read it once. Stages are picklable; they run in worker processes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cloudlstm import storage
from cloudlstm.config import CleanConfig, DatasetConfig
from cloudlstm.dataset import sequences, window_export
from cloudlstm.dataset.splits import SPLITS
from cloudlstm.exogenous.columns import Column
from cloudlstm.exogenous.join import join
from cloudlstm.features import FeatureSet
from cloudlstm.market import bars
from cloudlstm.market.cleaning.clean import clean
from cloudlstm.market.grid import Grid
from cloudlstm.market.interval import Interval, iso
from cloudlstm.market.members import Members
from cloudlstm.pipeline.exogenous_io import read_entities
from cloudlstm.pipeline.shard_io import TaskResult, write_shard
from cloudlstm.runs.context import StepData
from cloudlstm.runs.manifest import ManifestRow, write_object

_WRITERS = 4
"""Objects of a shard that are written at the same time."""

Write = Callable[[str, bytes], object]
"""Writes an object; may return before it is written."""


class Stage(Protocol):
    """The work of one step on one shard."""

    @property
    def data(self) -> StepData:
        """Where the step writes."""
        ...

    def __call__(self, number: int, table: pa.Table, write: Write) -> tuple[TaskResult, pa.Table]:
        """Returns what it wrote, and the rows for the next stage.

        Args:
            number: The shard's number.
            table: The shard's rows.
            write: Writes an object.
        """
        ...


@dataclass(frozen=True, slots=True)
class Chain:
    """A task: reads one shard and carries it through stages.

    Threads write the objects while the next stage computes, because a disk or a bucket takes as long as the stages do.

    Attributes:
        read: Returns the rows of an item.
        stages: In their order.
    """

    read: Callable[[Any], pa.Table]
    stages: Sequence[Stage]

    def __call__(self, numbered: tuple[int, Any]) -> list[TaskResult]:
        """The result of each stage, with the seconds that it took; the first one's include reading.

        Args:
            numbered: The shard's number, and the item to read.
        """
        number, item = numbered
        results = []
        with ThreadPoolExecutor(_WRITERS) as writers:
            written: list[Future[None]] = []

            def write(uri: str, data: bytes) -> None:
                written.append(writers.submit(storage.write, uri, data))

            began = time.perf_counter()
            table = self.read(item)
            for stage in self.stages:
                result, table = stage(number, table, write)
                ended = time.perf_counter()
                results.append(replace(result, seconds=ended - began))
                began = ended
            for each in written:
                each.result()
        return _with_share(results, time.perf_counter() - began)


def _with_share(results: Sequence[TaskResult], seconds: float) -> list[TaskResult]:
    """Adds to each stage its share of the time in which the task only waited for objects, by their size."""
    sizes = [sum(row.size_bytes for row in result.objects) for result in results]
    whole = max(sum(sizes), 1)
    return [
        replace(result, seconds=result.seconds + seconds * size / whole)
        for result, size in zip(results, sizes, strict=True)
    ]


def rows_of_first(results: Sequence[TaskResult]) -> int:
    """The rows that the first stage of a chain processed."""
    return results[0].rows


@dataclass(frozen=True, slots=True)
class Ingested:
    """The step "ingest" for bars of whole tickers: sorts them and writes them."""

    data: StepData

    def __call__(self, number: int, table: pa.Table, write: Write) -> tuple[TaskResult, pa.Table]:
        table = bars.sort(bars.conform(table, bars.BARS))
        return write_shard(self.data, "bars", number, table, write), table


@dataclass(frozen=True, slots=True)
class Cleaned:
    """The step "clean": writes clean bars and the quarantine, and counts rows for the quality gate.

    Attributes:
        data: Where to write.
        config: The limits of the rules.
        sessions: All sessions up to the last bar of the data set, as days since 1970-01-01, sorted; for bars within a
            day the starts of all bars.
        grid: The trading hours, for bars within a day.
    """

    data: StepData
    config: CleanConfig
    sessions: NDArray[np.int32]
    grid: Grid | None = None

    def __call__(self, number: int, table: pa.Table, write: Write) -> tuple[TaskResult, pa.Table]:
        cleaned = clean(table, self.config, self.sessions, self.grid)
        objects = [*write_shard(self.data, "bars", number, cleaned.bars, write).objects]
        if cleaned.quarantine.num_rows:
            objects += write_shard(self.data, "quarantine", number, cleaned.quarantine, write).objects
        facts = {name: getattr(cleaned, name) for name in ("counts", "sketches", "examples")}
        return TaskResult(objects, table.num_rows, facts), cleaned.bars


@dataclass(frozen=True, slots=True)
class Exogenous:
    """What a task needs for the exogenous columns of a shard.

    Attributes:
        objects: The exogenous rows, from the manifest of their step.
        columns: The columns.
        calendar: The exchange, for the close of each session.
        embargo_minutes: What became known less than so many minutes before the end of a bar is not used for it.
        interval: The interval of the bars.
    """

    objects: tuple[ManifestRow, ...]
    columns: tuple[Column, ...]
    calendar: str
    embargo_minutes: int
    interval: Interval

    def join(self, features: pa.Table) -> pa.Table:
        """The features with the exogenous columns, as they were known at the end of each bar."""
        rows = read_entities(self.objects, features.column("ticker"))
        return join(features, rows, self.columns, self.calendar, self.embargo_minutes, self.interval)


@dataclass(frozen=True, slots=True)
class Featured:
    """The step "features": computes the features of every bar, and joins exogenous columns.

    Attributes:
        data: Where to write.
        features: The features.
        exogenous: For the exogenous columns; None without any.
    """

    data: StepData
    features: FeatureSet
    exogenous: Exogenous | None = None

    def __call__(self, number: int, table: pa.Table, write: Write) -> tuple[TaskResult, pa.Table]:
        features = self.features.compute(table)
        if self.exogenous:
            features = self.exogenous.join(features)
        return write_shard(self.data, "features", number, features, write), features


@dataclass(frozen=True, slots=True)
class Sequenced:
    """The step "sequences": TFRecord by split, and single windows as well if dataset.layout is "windows".

    Attributes:
        data: Where to write.
        config: Window, horizon and split dates.
        features: The columns that become values.
        members: The members of the universe; None if every ticker is one at all dates. Tasks read no file of it.
        grid: The trading hours, for bars within a day.
    """

    data: StepData
    config: DatasetConfig
    features: FeatureSet
    members: Members | None = None
    grid: Grid | None = None

    def __call__(self, number: int, table: pa.Table, write: Write) -> tuple[TaskResult, pa.Table]:
        built = sequences.build(table, self.config, self.members, self.features, self.grid)
        if self.config.layout == "windows":
            exported = window_export.export(table, self.config, self.members, self.features, self.grid)
            built |= {f"{split}-windows": shard for split, shard in exported.items()}
        objects = []
        for kind, shard in built.items():
            if shard.windows:
                uri = self.data.uri(f"{kind}-{number:05d}.tfrecord")
                extra = {"sequences": shard.sequences, "bars": shard.bars}
                objects.append(write_object(uri, shard.data, kind=kind, rows=shard.windows, extra=extra, write=write))
        facts: dict[str, Any] = {"longest": sequences.longest_segment(table), "dates": _range(table)}
        if self.members is not None:
            facts |= {"left_out": {split: built[split].left_out for split in SPLITS}}
            facts |= {"last_bars": self.members.last_bars(table, self.grid)}
        return TaskResult(objects, table.num_rows, facts), table


def _range(table: pa.Table) -> list[str]:
    """The first and the last date of a table, ISO; nothing if it has no rows."""
    first_last = pc.min_max(table.column("date")).as_py()
    return [iso(date) for date in first_last.values() if date]
