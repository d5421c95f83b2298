"""A source of Kafka for Structured Streaming in Python, for Spark from 4.0; it needs no connector's jar.

Its options have the names of the connector: `kafka.bootstrap.servers`, `subscribe`, `startingOffsets`,
`maxOffsetsPerTrigger`; other options that begin with `kafka.` are settings of the connection. So has its table: `key`,
`value`, `partition`, `offset`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from pyspark.sql.datasource import DataSource, DataSourceStreamReader, InputPartition

from cloudlstm.errors import OffsetGoneError, StreamError
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
"""A task fails if its messages do not come for so long."""
_START_S = 15.0


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

    def initialOffset(self) -> dict[str, int]:  # noqa: N802 - Spark's name
        """Where a new query begins."""
        given = json.loads(self._starting).get(self._topic.name, {}) if self._starting.startswith("{") else {}
        with closing(self._connect()) as consumer:
            found = {}
            for each in partitions_of(consumer, self._topic, _START_S):
                low, high = self._watermarks(consumer, each)
                found[str(each)] = int(given.get(str(each), high if self._starting == "latest" else low))
        return found

    def latestOffset(self, start: Any = None, limit: Any = None) -> dict[str, int]:  # noqa: N802 - Spark's name
        """Where the next batch ends; Spark before 4.2 gives no arguments."""
        del limit
        begin = dict(start or self._planned or self.initialOffset())
        ends = self._ends(begin) if self._target is None else self._target
        if self._most:
            share = max(self._most // max(len(ends), 1), 1)
            ends = {name: min(end, int(begin.get(name, 0)) + share) for name, end in ends.items()}
        self._planned = ends
        return ends

    def prepareForTriggerAvailableNow(self) -> None:  # noqa: N802 - Spark's name
        """Notes the present end, at which the query will end."""
        self._target = self._ends(self.initialOffset())

    def _ends(self, begin: Mapping[str, int]) -> dict[str, int]:
        """The present end of each partition."""
        with closing(self._connect()) as consumer:
            return {
                str(each): self._end_of(consumer, each, int(begin.get(str(each), 0)))
                for each in partitions_of(consumer, self._topic, _START_S)
            }

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
        import confluent_kafka

        at = partition.start
        with closing(self._connect()) as consumer:
            consumer.assign([confluent_kafka.TopicPartition(self._topic.name, partition.partition, at)])
            deadline = time.monotonic() + _WAIT_S
            while at < partition.end:
                for message in consumer.consume(min(partition.end - at, 10_000), timeout=0.1):
                    error = message.error()
                    if error is None and message.offset() < partition.end:
                        if at == partition.start and message.offset() > at:
                            raise self._gone(partition, message.offset())
                        at = message.offset() + 1
                        yield message.key(), message.value(), partition.partition, message.offset()
                    elif error is not None:
                        if error.code() == confluent_kafka.KafkaError._AUTO_OFFSET_RESET:
                            raise self._gone(partition, self._watermarks(consumer, partition.partition)[0])
                        if not is_passing(error) and error.code() != confluent_kafka.KafkaError._PARTITION_EOF:
                            fail(error, self._topic)
                if time.monotonic() > deadline:
                    raise StreamError(
                        f"messages {at} to {partition.end} of partition {partition.partition} of {self._topic.name} do "
                        f"not come",
                        hint="the broker's log; the same command continues",
                    )

    def commit(self, end: Mapping[str, int]) -> None:
        """Spark and the journal remember the offsets; the broker does not."""

    def stop(self) -> None:
        """It has no open connections between calls."""

    def _connect(self) -> Any:
        return client(
            "Consumer", self._topic, self._properties,
            {"group.id": "cloudlstm", "enable.auto.commit": False, "auto.offset.reset": "error",
             "enable.partition.eof": True},
        )  # fmt: skip

    def _watermarks(self, consumer: Any, partition: int) -> tuple[int, int]:
        import confluent_kafka

        where = confluent_kafka.TopicPartition(self._topic.name, partition)
        try:
            found: tuple[int, int] = consumer.get_watermark_offsets(where, timeout=_START_S)
        except confluent_kafka.KafkaException as error:
            fail(error.args[0], self._topic)
        return found

    def _end_of(self, consumer: Any, partition: int, at: int) -> int:
        """The high watermark of a fetch from `at`: not every broker gives the end of a topic when it is asked."""
        import confluent_kafka

        where = confluent_kafka.TopicPartition(self._topic.name, partition, at)
        consumer.assign([where])
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            for message in consumer.consume(1, timeout=0.1):
                error = message.error()
                if error is None or error.code() == confluent_kafka.KafkaError._PARTITION_EOF:
                    high = int(consumer.get_watermark_offsets(where, cached=True)[1])
                    return max(high, at + 1 if error is None else at)
                if error.code() == confluent_kafka.KafkaError._AUTO_OFFSET_RESET:
                    raise self._gone(_Range(partition, at, at), self._watermarks(consumer, partition)[0])
                if not is_passing(error):
                    fail(error, self._topic)
        raise StreamError(f"no broker answers at {self._topic.servers}", hint="its address, or the same command later")

    def _gone(self, wanted: _Range, first: int) -> OffsetGoneError:
        return OffsetGoneError(
            f"offset {wanted.start} of partition {wanted.partition} of {self._topic.name} is gone; it has {first} on",
            hint="cloudlstm stream NAME --on-gap=skip, then the job with another --checkpoint",
        )
