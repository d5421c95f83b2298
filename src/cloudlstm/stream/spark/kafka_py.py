"""A source of Kafka for Structured Streaming in Python, for Spark from 4.0; it needs no connector's jar.

Its options have the names of the connector: `kafka.bootstrap.servers`, `subscribe`, `startingOffsets`,
`maxOffsetsPerTrigger`; other options that begin with `kafka.` are settings of the connection. So has its table: `key`,
`value`, `partition`, `offset`.

Spark plans micro-batches in one process and reads them in others, all of which live on. Each keeps its consumer, as to
connect takes longer than to read the bars of a minute. Spark carries only the text of an error to the driver, so our
errors are in it as marks.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from pyspark.sql.datasource import DataSource, DataSourceStreamReader, InputPartition

from cloudlstm.errors import CloudLSTMError, OffsetGoneError, StreamError, to_mark
from cloudlstm.stream.kafka_client import Topic, client, fail, is_passing, partitions_of

try:
    from pyspark.sql.streaming.datasource import SupportsTriggerAvailableNow
except ImportError:  # before Spark 4.2
    SupportsTriggerAvailableNow = object

NAME = "kafka_py"
LIMITS_AVAILABLE_NOW = SupportsTriggerAvailableNow is not object
"""Whether a query that ends at the present end may have several batches; before Spark 4.2 it has one."""
SCHEMA = "key binary, value binary, partition int, offset long"
_WAIT_S = 60.0
"""A task fails if a broker answers, but its messages do not come for so long."""
_SILENCE_S = 600.0
"""The query fails if no broker answers for so long."""
_START_S = 15.0
"""The same for its start; also how long it waits for the ends of partitions before it goes on with those it has."""
_PARTITIONS_S = 60.0
"""Seconds between two looks for new partitions."""
_FETCH = {"fetch.wait.max.ms": 50, "reconnect.backoff.max.ms": 2000}
_FETCH_LITTLE = {
    **_FETCH, "fetch.message.max.bytes": 16_384, "queued.min.messages": 1, "fetch.queue.backoff.ms": 20,
}  # fmt: skip
"""The consumer that only looks for the ends of partitions."""
_readers: dict[tuple[Any, ...], Any] = {}
"""The consumer of the tasks of this process, by its settings."""


class KafkaPy(DataSource):  # type: ignore[misc]
    """The data source; Spark makes it from its options."""

    @classmethod
    def name(cls) -> str:
        """The name of the format."""
        return NAME

    def schema(self) -> str:
        """The columns."""
        return SCHEMA

    def streamReader(self, schema: Any) -> Reader:  # noqa: N802 - Spark's name
        """The reader of a query."""
        del schema
        return Reader(self.options)  # as given: dict() would lose the case of the names


@dataclass
class _Range(InputPartition):  # type: ignore[misc]
    """The messages of one partition that a task reads: from `start`, without `end`."""

    partition: int
    start: int
    end: int


@contextmanager
def _marked() -> Iterator[None]:
    """Writes our errors into the text of an exception, which is all that Spark carries to the driver."""
    try:
        yield
    except CloudLSTMError as error:
        raise RuntimeError(to_mark(error)) from None


class Reader(DataSourceStreamReader, SupportsTriggerAvailableNow):  # type: ignore[misc]
    """Plans and reads ranges of offsets.

    Args:
        options: Options of the query.
    """

    def __init__(self, options: Mapping[str, str]) -> None:
        self._topic = Topic(options["kafka.bootstrap.servers"], options["subscribe"])
        self._properties = {
            name.removeprefix("kafka."): value
            for name, value in options.items()
            if name.startswith("kafka.") and name != "kafka.bootstrap.servers"
        }
        self._starting = options.get("startingOffsets", "earliest")
        self._most = int(options.get("maxOffsetsPerTrigger", "0"))
        self._planned: dict[str, int] | None = None
        self._target: dict[str, int] | None = None
        self._planner: Any = None
        self._partitions: list[int] = []
        self._looked = 0.0
        self._down_since: float | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_planner": None}  # Spark sends the reader to the processes of its tasks

    def initialOffset(self) -> dict[str, int]:  # noqa: N802 - Spark's name
        """Where a new query begins."""
        given = json.loads(self._starting).get(self._topic.name, {}) if self._starting.startswith("{") else {}
        with _marked(), closing(self._connect(_FETCH)) as consumer:
            found = {}
            for each in partitions_of(consumer, self._topic, _START_S):
                low, high = self._watermarks(consumer, each)
                found[str(each)] = int(given.get(str(each), high if self._starting == "latest" else low))
        return found

    def latestOffset(self, start: Any = None, limit: Any = None) -> dict[str, int]:  # noqa: N802 - Spark's name
        """Where the next batch ends; Spark before 4.2 gives no arguments."""
        del limit
        begin = dict(start or self._planned or self.initialOffset())
        with _marked():
            ends = self._ends(begin, whole=self._planned is None) if self._target is None else self._target
        if self._most:
            share = max(self._most // max(len(ends), 1), 1)
            ends = {name: min(end, int(begin.get(name, 0)) + share) for name, end in ends.items()}
        self._planned = ends
        return ends

    def prepareForTriggerAvailableNow(self) -> None:  # noqa: N802 - Spark's name
        """Notes the present end, at which the query will end."""
        with _marked():
            self._target = self._ends(self.initialOffset(), whole=True)

    def partitions(self, start: Mapping[str, int], end: Mapping[str, int]) -> list[InputPartition]:
        """A task for each partition with messages."""
        return [
            _Range(int(name), int(start.get(name, 0)), int(stop))
            for name, stop in end.items()
            if int(stop) > int(start.get(name, 0))
        ]

    def read(self, partition: InputPartition) -> Iterator[tuple[bytes | None, bytes | None, int, int]]:
        """The messages of a range, on an executor.

        Raises:
            OffsetGoneError: The first one is gone.
            StreamError: They do not come.
        """
        assert isinstance(partition, _Range)
        key = (self._topic.servers, self._topic.name, *sorted(self._properties.items()))
        consumer = _readers.pop(key, None) or self._connect(_FETCH)
        try:
            with _marked():
                yield from self._read(consumer, partition)
        except BaseException:
            consumer.close()
            raise
        consumer.unassign()
        _readers[key] = consumer

    def commit(self, end: Mapping[str, int]) -> None:
        """Spark and the journal remember the offsets; the broker does not."""

    def stop(self) -> None:
        """Ends the connection of the planning process."""
        if self._planner is not None:
            self._planner.close()
            self._planner = None

    def _read(self, consumer: Any, wanted: _Range) -> Iterator[tuple[bytes | None, bytes | None, int, int]]:
        import confluent_kafka

        at = wanted.start
        consumer.assign([confluent_kafka.TopicPartition(self._topic.name, wanted.partition, at)])
        deadline = time.monotonic() + _SILENCE_S
        while at < wanted.end:
            for message in consumer.consume(min(wanted.end - at, 10_000), timeout=0.1):
                error = message.error()
                if error is None:
                    if at == wanted.start and message.offset() > at:
                        self._require(consumer, wanted)
                    if message.offset() < wanted.end:
                        yield message.key(), message.value(), wanted.partition, message.offset()
                    at = message.offset() + 1
                    deadline = time.monotonic() + _SILENCE_S
                elif error.code() == confluent_kafka.KafkaError._PARTITION_EOF:
                    at = max(at, message.offset())  # the last offsets may have no messages
                    deadline = min(deadline, time.monotonic() + _WAIT_S)
                elif error.code() == confluent_kafka.KafkaError._AUTO_OFFSET_RESET:
                    raise self._gone(wanted, self._watermarks(consumer, wanted.partition)[0])
                elif not is_passing(error):
                    fail(error, self._topic)
            if time.monotonic() > deadline:
                raise StreamError(
                    f"messages {at} to {wanted.end - 1} of partition {wanted.partition} of {self._topic.name} do not "
                    f"come",
                    hint="the broker's log; the same command continues",
                )

    def _require(self, consumer: Any, wanted: _Range) -> None:
        """Raises OffsetGoneError if the topic no longer has the first offset of a range.

        An offset without a message is not gone: it may be a mark of a transaction, or a message that was compacted.
        """
        low, _ = self._watermarks(consumer, wanted.partition)
        if low > wanted.start:
            raise self._gone(wanted, low)

    def _connect(self, more: Mapping[str, Any]) -> Any:
        return client(
            "Consumer", self._topic, self._properties,
            {"group.id": "cloudlstm", "enable.auto.commit": False, "auto.offset.reset": "error",
             "enable.partition.eof": True, **more},
        )  # fmt: skip

    def _watermarks(self, consumer: Any, partition: int) -> tuple[int, int]:
        import confluent_kafka

        where = confluent_kafka.TopicPartition(self._topic.name, partition)
        try:
            found: tuple[int, int] = consumer.get_watermark_offsets(where, timeout=_START_S)
        except confluent_kafka.KafkaException as error:
            fail(error.args[0], self._topic)
        return found

    def _ends(self, begin: Mapping[str, int], *, whole: bool) -> dict[str, int]:
        """The present end of each partition; where no broker answers, that of the batch before, or an error if `whole`.

        It is the high watermark of a fetch: not every broker gives the end of a topic when it is asked.
        """
        import confluent_kafka

        if self._planner is None:
            self._planner = self._connect(_FETCH_LITTLE)
        self._look_for_partitions()
        consumer, ends = self._planner, {each: int(begin.get(str(each), 0)) for each in self._partitions}
        consumer.assign([confluent_kafka.TopicPartition(self._topic.name, each, at) for each, at in ends.items()])
        missing, deadline = set(ends), time.monotonic() + _START_S
        while missing and time.monotonic() < deadline:
            for message in consumer.consume(100, timeout=0.05):
                error, each = message.error(), message.partition()
                if error is None or error.code() == confluent_kafka.KafkaError._PARTITION_EOF:
                    where = confluent_kafka.TopicPartition(self._topic.name, each)
                    high = int(consumer.get_watermark_offsets(where, cached=True)[1])
                    ends[each] = max(high, ends[each], 0 if error else message.offset() + 1)
                    missing.discard(each)
                elif error.code() == confluent_kafka.KafkaError._AUTO_OFFSET_RESET:
                    raise self._gone(_Range(each, ends[each], ends[each]), self._watermarks(consumer, each)[0])
                elif not is_passing(error):
                    fail(error, self._topic)
        consumer.unassign()
        if whole and missing:  # a query that ends at the present end would leave out these partitions
            raise StreamError(f"no broker answers at {self._topic.servers}", hint="its address, or the same job later")
        self._watch(answered=len(missing) < len(ends))
        return {str(each): end for each, end in ends.items()}

    def _look_for_partitions(self) -> None:
        if self._partitions and time.monotonic() - self._looked < _PARTITIONS_S:
            return
        self._looked = time.monotonic()
        try:
            self._partitions = partitions_of(self._planner, self._topic, _START_S)
        except StreamError:
            if not self._partitions:
                raise

    def _watch(self, *, answered: bool) -> None:
        """Tells when no broker answers, and when one answers again."""
        now = time.monotonic()
        if answered and self._down_since is not None:
            sys.stderr.write(f"the broker answers again, after {now - self._down_since:.0f} s\n")
            self._down_since = None
        elif not answered and self._down_since is None:
            sys.stderr.write(f"no broker answers at {self._topic.servers}; the stream waits\n")
            self._down_since = now
        elif not answered and now - (self._down_since or now) > _SILENCE_S:
            raise StreamError(
                f"no broker answers at {self._topic.servers} for {_SILENCE_S:.0f} s",
                hint="the same job later; it goes on where this one ends",
            )
        sys.stderr.flush()

    def _gone(self, wanted: _Range, first: int) -> OffsetGoneError:
        return OffsetGoneError(
            f"offset {wanted.start} of partition {wanted.partition} of {self._topic.name} is gone; it has {first} on",
            hint="cloudlstm stream NAME --on-gap=skip --available-now, then the job with another --checkpoint",
        )
