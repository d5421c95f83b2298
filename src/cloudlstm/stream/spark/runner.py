"""The runner on Spark: each micro-batch does the work that a batch of one process does.

Spark's checkpoint has the offsets of each micro-batch, and the journal has those of each finished batch. A micro-batch
that Spark repeats is left out if the journal has it, and done again with the same bars if it was begun.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from cloudlstm.errors import CloudLSTMError, OffsetGoneError, UsageError, from_mark
from cloudlstm.stream import messages
from cloudlstm.stream.batch import BatchWork
from cloudlstm.stream.documents import BatchDocument, StreamSettings, TakenDocument
from cloudlstm.stream.journal import Journal
from cloudlstm.stream.kafka_client import SCHEME, Topic
from cloudlstm.stream.sources.base import Taken
from cloudlstm.stream.spark.gaps import has_messages

PYTHON, JVM = "python", "kafka"
"""What reads Kafka: our source, or the connector of the cluster's image."""


_LOOK_S = 0.2
"""Seconds between two looks whether the query has ended."""


@dataclass(frozen=True, slots=True)
class SparkOptions:
    """How the query runs.

    Attributes:
        checkpoint: Folder of Spark's checkpoint.
        every_s: Seconds between two micro-batches; None to end when all is read that was there at the start.
        connector: PYTHON or JVM.
        most_bars: About the most bars of a micro-batch.
        kafka: Settings of the connection; secret.
    """

    checkpoint: str
    every_s: float | None = 10.0
    connector: str = PYTHON
    most_bars: int = 100_000
    kafka: Mapping[str, str] = field(default_factory=dict, repr=False)


class MicroBatches:
    """The work on micro-batches.

    Args:
        topic: The topic that they come from.
        work: The work on a batch.
        journal: What was done before.
        watch: Called after each batch.
        has_messages: Whether a partition has, or has had, messages from an offset to before another one.
    """

    def __init__(
        self, topic: Topic, work: BatchWork, journal: Journal, watch: Callable[[BatchDocument], None],
        has_messages: Callable[[int, int, int], bool] = lambda *_: False,
    ) -> None:  # fmt: skip
        self._topic, self._work, self._journal, self._watch = topic, work, journal, watch
        self._has_messages, self._followed = has_messages, set[int]()
        self._state = journal.state()

    def handle(self, rows: pa.Table) -> None:
        """Does the work of a micro-batch.

        It has more messages than a batch that was begun if another process, or a query with other limits, began that
        one; then the others are the next batch.

        Args:
            rows: Columns `key`, `value`, `partition`, `offset`, in any order.

        Raises:
            UsageError: A batch was begun, and the micro-batch does not have all of it.
            OffsetGoneError: The query begins after messages that the stream has not taken.
        """
        rows = rows.sort_by([("partition", "ascending"), ("offset", "ascending")])
        if (last := self._journal.last()) and (hole := self._hole(rows, last.end)):
            partition, begin, first = hole
            raise OffsetGoneError(
                f"the query begins at offset {first} of partition {partition} of {self._topic.name}, and the stream "
                f"has not taken those from {begin}",
                hint="leave --checkpoint out, or name a new folder",
            )
        while rows.num_rows:
            start: dict[str, Any] = dict(last.end) if (last := self._journal.last()) else {}
            if start:  # a query that is older than the journal repeats messages
                rows = rows.filter(pc.greater_equal(rows["offset"], _bounds(rows, start)))
            if rows.num_rows:
                rows = self._first_batch(rows, start)

    def _first_batch(self, rows: pa.Table, start: dict[str, Any]) -> pa.Table:
        """Does the work of the batch that was begun, or else of all rows; returns the rows after it."""
        begun, after = self._journal.unfinished(), rows.slice(rows.num_rows)
        if begun and (not self._covers(rows, begun) or self._hole(rows, begun.start)):
            paths = self._journal.paths
            raise UsageError(
                f"a batch of stream {paths.name} was begun by another runner",
                hint=f"cloudlstm stream {paths.name} --root={paths.root} --available-now, then the job again",
            )
        if begun:
            inside = pc.less(rows["offset"], _bounds(rows, begun.end))
            rows, after = rows.filter(inside), rows.filter(pc.invert(inside))
        found = self._taken(rows, start)
        if begun is None:
            self._work.expect(found.bars)
        taken = begun or self._work.begin(self._journal.newest + 1, found.start, found.end)
        done = self._work.finish(taken, found, self._state, again=begun is not None)
        self._state = done.state
        self._watch(done.document)
        return after

    def _hole(self, rows: pa.Table, start: Mapping[str, Any]) -> tuple[int, int, int] | None:
        """The first partition whose rows come after messages that follow `start`; None if there is none.

        It is with the first offset of these messages, and that of its first row.

        Spark's ranges follow each other, so this looks at the first rows of each partition only. A partition that is
        not in `start` begins where the settings say.
        """
        firsts: dict[int, int] = {}
        for partition, offset in zip(rows["partition"].to_pylist(), rows["offset"].to_pylist(), strict=True):
            firsts.setdefault(partition, offset)
        for partition in sorted(firsts.keys() - self._followed):
            first = firsts[partition]
            begin = int(start.get(str(partition), first))
            if first > begin and self._has_messages(partition, begin, first):
                return partition, begin, first
            self._followed.add(partition)
        return None

    def _covers(self, rows: pa.Table, begun: TakenDocument) -> bool:
        """Whether the rows reach to the end of a batch that was begun."""
        ends: dict[str, int] = {}
        for partition, offset in zip(rows["partition"].to_pylist(), rows["offset"].to_pylist(), strict=True):
            ends[str(partition)] = max(ends.get(str(partition), 0), offset + 1)
        return all(int(end) <= max(ends.get(name, 0), int(begun.start.get(name, 0))) for name, end in begun.end.items())

    def _taken(self, rows: pa.Table, start: Mapping[str, Any]) -> Taken:
        partitions, offsets = rows["partition"].to_pylist(), rows["offset"].to_pylist()
        begin, end = dict(start), dict(start)
        for partition, offset in zip(partitions, offsets, strict=True):
            begin.setdefault(str(partition), offset)
            end[str(partition)] = offset + 1
        decoded = messages.decode(
            rows["value"].to_pylist(), rows["key"].to_pylist(),
            lambda number: f"{self._topic.name} partition {partitions[number]} offset {offsets[number]}",
        )  # fmt: skip
        return Taken(decoded.bars, decoded.refused, begin, end)


def run(
    spark: Any, settings: StreamSettings, work: BatchWork, journal: Journal, options: SparkOptions,
    watch: Callable[[BatchDocument], None],
) -> None:  # fmt: skip
    """Runs the query until it ends, or an error.

    Args:
        spark: The Spark session.
        settings: The stream's settings; its source is a topic.
        work: The work on a batch.
        journal: What was done before.
        options: How the query runs.
        watch: Called after each batch.

    Raises:
        UsageError: This Spark or this source cannot do it.
        CloudLSTMError: The source or a sink failed; the same job goes on from the last finished batch.
    """
    if not settings.source.startswith(SCHEME):
        raise UsageError(
            "a stream on Spark reads a topic, and this one reads files", hint="cloudlstm stream, which needs no Spark"
        )
    topic = Topic.parse(settings.source)
    query = spark.readStream.format(_format(spark, options.connector))
    found = reader_options(topic, settings, journal, options)
    if options.every_s is None and not _limits_available_now(options.connector):
        del found["maxOffsetsPerTrigger"]  # the query has one batch, which must have everything
    for name, value in found.items():
        query = query.option(name, value)
    seen = partial(has_messages, topic, options.kafka) if options.connector == PYTHON else _nothing_known
    batches = MicroBatches(topic, work, journal, watch, seen)

    failed: list[Exception] = []

    def handle(frame: Any, number: int) -> None:
        del number
        try:
            batches.handle(_collected(frame.select("key", "value", "partition", "offset")))
        except Exception as error:  # Spark passes on its text only
            failed.append(error)
            raise

    writer = query.load().writeStream.foreachBatch(handle).option("checkpointLocation", options.checkpoint)
    trigger = {"availableNow": True} if options.every_s is None else {"processingTime": f"{options.every_s} seconds"}
    try:
        query = writer.trigger(**trigger).start()
        # A signal that came during a call into the JVM would leave it at work on that call, and the next one waiting.
        while query.isActive:
            time.sleep(_LOOK_S)
        query.awaitTermination()
    except Exception as error:
        cause = from_mark(str(error)) or (failed[0] if failed else None)
        if isinstance(cause, CloudLSTMError):
            raise cause from None
        raise


def reader_options(topic: Topic, settings: StreamSettings, journal: Journal, options: SparkOptions) -> dict[str, str]:
    """The options of the source, which are the same for both connectors."""
    last = journal.last()
    starting = json.dumps({topic.name: dict(last.end)}) if last else settings.begin
    given = {f"kafka.{name}": value for name, value in options.kafka.items()}
    return given | {
        "kafka.bootstrap.servers": topic.servers,
        "subscribe": topic.name,
        "startingOffsets": starting,
        "maxOffsetsPerTrigger": str(options.most_bars),
        "failOnDataLoss": "true",
    }


def _nothing_known(partition: int, begin: int, end: int) -> bool:
    """In place of `has_messages` with the connector: the settings of its connection are for the client in Java."""
    del partition, begin, end
    return False


def _bounds(rows: pa.Table, offsets: Mapping[str, Any]) -> pa.Array:
    """The offset of each row's partition; 0 for a partition without one."""
    return pa.array([int(offsets.get(str(each), 0)) for each in rows["partition"].to_pylist()], pa.int64())


def _limits_available_now(connector: str) -> bool:
    if connector == JVM:
        return True
    from cloudlstm.stream.spark.kafka_py import LIMITS_AVAILABLE_NOW

    return LIMITS_AVAILABLE_NOW


def _format(spark: Any, connector: str) -> str:
    """The format of the source; registers ours.

    Raises:
        UsageError: This Spark has no sources in Python.
    """
    if connector == JVM:
        return "kafka"
    if int(str(spark.version).split(".")[0]) < 4:
        raise UsageError(
            f"Spark {spark.version} has no sources in Python, which came with 4.0",
            hint="--connector=kafka with the connector's jar, or cloudlstm stream without Spark",
        )
    from cloudlstm.stream.spark.kafka_py import NAME, KafkaPy

    spark.dataSource.register(KafkaPy)
    return NAME


def _collected(frame: Any) -> pa.Table:
    """The rows of a micro-batch on the driver."""
    if hasattr(frame, "toArrow"):
        return frame.toArrow()
    rows = frame.collect()  # Spark 3.5
    names = ("key", "value", "partition", "offset")
    kinds = (pa.binary(), pa.binary(), pa.int32(), pa.int64())
    return pa.table(
        {name: pa.array([row[name] for row in rows], kind) for name, kind in zip(names, kinds, strict=True)}
    )
