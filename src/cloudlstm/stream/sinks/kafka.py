"""The forecasts as messages of a topic: one a forecast, its key the ticker, its value JSON as in FORECASTS.

Each message names its batch. If a batch is done again, the messages that a killed process has written are looked for
between the end of the topic before the batch and now, and only the others are written. So a killed process leaves
nothing twice, on any broker, without transactions.

A process that is not dead but out of touch is not stopped by that: if it goes on in the middle of a batch that another
one has taken over, it writes the rest of its messages a second time, until it finds the batch finished. Such doubles
are equal in every byte, and `batch`, `ticker` and `minute` tell them.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from cloudlstm.errors import StreamError
from cloudlstm.stream.kafka_client import Topic, client, fail, is_passing
from cloudlstm.stream.topic_writer import TopicWriter

_WAIT_S = 120.0
"""The sink fails if a broker does not take a message for so long."""
_SCHEMA = 1


class KafkaSink:
    """Writes forecasts to a topic.

    Args:
        topic: The topic.
        properties: Settings of the connection.
        wait_s: How long a broker may take to accept messages.
    """

    name = "kafka"

    def __init__(self, topic: Topic, properties: Mapping[str, str], wait_s: float = _WAIT_S) -> None:
        self._topic, self._wait = topic, wait_s
        self._writer = TopicWriter(topic, properties, wait_s)
        consumer = {
            "group.id": "cloudlstm", "enable.auto.commit": False, "enable.partition.eof": True,
            "auto.offset.reset": "earliest", "fetch.wait.max.ms": 50, "error_cb": self._writer.on_error,
        }  # fmt: skip
        self._consumer = client("Consumer", topic, properties, consumer)
        self._partitions = self._writer.partitions

    def position(self) -> dict[str, int]:
        """The end of each partition; a broker may name an earlier offset, which costs time only."""
        import confluent_kafka

        found = {}
        for each in self._partitions:
            where = confluent_kafka.TopicPartition(self._topic.name, each)
            try:
                found[str(each)] = self._consumer.get_watermark_offsets(where, timeout=self._wait)[1]
            except confluent_kafka.KafkaException as error:
                fail(error.args[0], self._topic)
        return found

    def write(self, number: int, forecasts: pa.Table, before: Any, *, again: bool) -> Mapping[str, Any]:
        """Writes a message for each forecast that is not in the topic yet."""
        there = self._written(number, before or {}) if again else set()
        self._writer.forget()
        for ticker, minute, value in _messages(number, forecasts):
            if (ticker, minute) not in there:
                self._writer.write(ticker.encode(), value)
        self._writer.flush()
        return {"messages": forecasts.num_rows}

    def close(self) -> None:
        """Ends the connections."""
        self._writer.close(1.0)
        self._consumer.close()

    def _written(self, number: int, before: Mapping[str, int]) -> set[tuple[str, int]]:
        """Ticker and minute of the messages of a batch that are in the topic."""
        import confluent_kafka

        self._consumer.assign(
            [confluent_kafka.TopicPartition(self._topic.name, each, int(before.get(str(each), 0)))
             for each in self._partitions]
        )  # fmt: skip
        found, open_ones = set(), set(self._partitions)
        deadline = time.monotonic() + self._wait
        while open_ones:
            for message in self._consumer.consume(10_000, timeout=0.05):
                error = message.error()
                if error is None:
                    value = _parsed(message.value())
                    if value.get("batch") == number:
                        found.add((str(value.get("ticker")), int(value.get("minute", 0))))
                elif error.code() == confluent_kafka.KafkaError._PARTITION_EOF:
                    open_ones.discard(message.partition())
                elif not is_passing(error):
                    fail(error, self._topic)
            if time.monotonic() > deadline:
                raise StreamError(f"no broker answers at {self._topic.servers}", hint="the same command later")
        self._consumer.unassign()
        return found


def _messages(number: int, forecasts: pa.Table) -> Iterator[tuple[str, int, bytes]]:
    """Ticker, minute and value of each message."""
    for row in forecasts.to_pylist():
        sent = row.pop("sent")
        row |= {"schema": _SCHEMA, "batch": number}
        if sent is not None and math.isfinite(sent):
            row["sent"] = sent
        yield row["ticker"], row["minute"], json.dumps(row).encode()


def _parsed(value: bytes | None) -> dict[str, Any]:
    """A message's fields; none if others write to the topic too."""
    try:
        found = json.loads(value or b"")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
