"""Publishes bars to a topic or a folder, as fast as possible or at a multiple of their own pace."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

import numpy as np
import pyarrow as pa

from cloudlstm import storage
from cloudlstm.errors import UsageError
from cloudlstm.runs.paths import join
from cloudlstm.stream import messages
from cloudlstm.stream.kafka_client import Topic, client, fail
from cloudlstm.stream.topic_writer import TopicWriter

_WAIT_S = 60.0


class Publisher(Protocol):
    """Takes the bars of one moment."""

    def send(self, bars: pa.Table) -> None:
        """Sends bars; returns when they are on their way."""
        ...

    def close(self) -> None:
        """Returns when everything has arrived."""
        ...


class TopicPublisher:
    """Sends bars to a topic.

    Args:
        topic: The topic.
        properties: Settings of the connection.
        partitions: Makes the topic with so many partitions if it does not exist; 0: it must exist.
    """

    def __init__(self, topic: Topic, properties: Mapping[str, str], partitions: int = 0) -> None:
        if partitions:
            make_topic(topic, properties, partitions)
        self._writer = TopicWriter(topic, properties, _WAIT_S, {"queue.buffering.max.messages": 200_000})

    def send(self, bars: pa.Table) -> None:
        """Sends a message for each bar."""
        for key, value in messages.encode(bars):
            self._writer.write(key, value)
        self._writer.check()

    def close(self) -> None:
        """Waits until the broker has every message."""
        self._writer.flush()


def make_topic(topic: Topic, properties: Mapping[str, str], partitions: int) -> None:
    """Makes a topic unless it exists."""
    import confluent_kafka
    from confluent_kafka.cimpl import NewTopic

    admin = client("AdminClient", topic, properties, {})
    if topic.name in admin.list_topics(timeout=15.0).topics:
        return
    made = admin.create_topics([NewTopic(topic.name, num_partitions=partitions, replication_factor=-1)])
    try:
        made[topic.name].result(timeout=15.0)
    except confluent_kafka.KafkaException as error:
        if error.args[0].code() != confluent_kafka.KafkaError.TOPIC_ALREADY_EXISTS:
            fail(error.args[0], topic)


class FolderPublisher:
    """Lands bars as files of JSON lines.

    Args:
        folder: URI of the folder.
    """

    def __init__(self, folder: str) -> None:
        self._folder, self._number = folder, 0

    def send(self, bars: pa.Table) -> None:
        """Lands one file; its name is the last minute and a number."""
        self._number += 1
        minute = int(np.max(bars["minute"].to_numpy()))
        lines = b"\n".join(value for _, value in messages.encode(bars)) + b"\n"
        storage.write(join(self._folder, f"{minute:012d}-{self._number:06d}.jsonl"), lines)

    def close(self) -> None:
        """Each file is there already."""


def by_minute(bars: pa.Table) -> Iterator[pa.Table]:
    """The bars of each minute, in order of time; those of one minute in the order of the table."""
    if not bars.num_rows:
        return
    minute = bars["minute"].to_numpy()
    order = np.argsort(minute, kind="stable")
    ordered = bars.take(pa.array(order))
    starts = np.flatnonzero(np.diff(minute[order], prepend=-1))
    for begin, end in zip(starts.tolist(), [*starts[1:].tolist(), len(order)], strict=True):
        yield ordered.slice(begin, end - begin)


def replay(
    minutes: Iterable[pa.Table], publisher: Publisher, speed: float, interval_s: int,
    watch: Callable[[int], None] = lambda _: None, clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> int:  # fmt: skip
    """Publishes bars; each gets the present time as the time when it was sent.

    Args:
        minutes: The bars of each minute, in order of time.
        publisher: Where they go.
        speed: How many times faster than in life; 0 for as fast as possible. A night or a weekend between two sessions
            takes no longer than one interval.
        interval_s: Length of a bar in seconds.
        watch: Called with the number of bars so far.
        clock: Gives the time.
        sleep: Waits.

    Returns:
        The number of bars.
    """
    if speed < 0:
        raise UsageError("--speed is below 0", hint="--speed=60, or --speed=0 for as fast as possible")
    sent, due, before = 0, clock(), None
    for bars in minutes:
        minute = int(bars["minute"][0].as_py())
        if speed and before is not None:
            due += min(max(minute - before, 0), interval_s) / speed
            if (wait := due - clock()) > 0:
                sleep(wait)
        before = minute
        now = pa.array(np.full(bars.num_rows, clock()))
        publisher.send(bars.set_column(bars.schema.get_field_index("sent"), "sent", now))
        sent += bars.num_rows
        watch(sent)
    publisher.close()
    return sent
