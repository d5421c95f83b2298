"""Bars from a topic of Kafka, by one consumer that reads all partitions.

The consumer has no group on the broker and commits nothing: offsets stand in the documents of the stream, so that they
and the results are one thing. The end of a topic is the high watermark of a fetch, the only number that all brokers
give correctly.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from cloudlstm.errors import OffsetGoneError, StreamError
from cloudlstm.stream import messages
from cloudlstm.stream.bars import empty
from cloudlstm.stream.documents import Position
from cloudlstm.stream.kafka_client import Tell, Topic, client, fail, is_passing, partitions_of
from cloudlstm.stream.sources.base import Taken

_FETCH_S = 0.05
"""The client returns after so long with what has come."""
_GATHER_S = 0.2
"""Messages that come so long after the first one are taken with it, and longer only while many wait."""
_MANY = 10_000
_ASK_S = 5.0
"""Seconds between two questions whether a broker answers again."""
_QUEUE_KIB = 16 * 1024
"""Messages that the client reads ahead; beyond, it stops reading from the broker."""
_NEW_PARTITIONS_S = 60.0
"""Seconds between two looks for new partitions."""


@dataclass(frozen=True, slots=True)
class KafkaOptions:
    """How a topic is read.

    Attributes:
        properties: Settings of the connection.
        begin: Where a new stream begins.
        silence_s: The stream ends with an error if no broker answers for so long.
        start_s: The same for the start.
    """

    properties: Mapping[str, str] = field(default_factory=dict)
    begin: Literal["earliest", "latest"] = "earliest"
    silence_s: float = 600.0
    start_s: float = 15.0


class KafkaSource:
    """The bars of a topic. A position is the next offset of each partition.

    Args:
        topic: The topic.
        options: How it is read.
        tell: Shows lines about the connection.
    """

    def __init__(self, topic: Topic, options: KafkaOptions, tell: Tell) -> None:
        self._topic, self._options, self._tell = topic, options, tell
        self._down_since: float | None = None
        self._at: dict[int, int] = {}
        self._empty_to: dict[int, int] = {}  # there is no message before this offset any more; see _reached
        self._bounds: dict[int, int] = {}
        ours = {
            "group.id": "cloudlstm",  # needed by the client; nothing is committed
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
            "max.poll.interval.ms": 86_400_000,
            "queued.max.messages.kbytes": _QUEUE_KIB,
            "fetch.wait.max.ms": 50,
            "reconnect.backoff.max.ms": 2000,
            "error_cb": self._on_error,
        }
        self._consumer = client("Consumer", topic, options.properties, ours)
        self._partitions = partitions_of(self._consumer, topic, options.start_s)
        self._looked = self._asked = time.monotonic()

    def take(self, start: Position, most: int, wait_s: float) -> Taken | None:
        """The next messages of all partitions, in the order of partition and offset."""
        self._look_for_partitions()
        self._assign(start)
        begin = self._position()
        deadline = time.monotonic() + wait_s
        found: dict[int, list[Any]] = {}
        taken = 0
        while taken < most:
            came = self._fetch(most - taken, found)
            if not taken and came:
                deadline = time.monotonic() + _GATHER_S
            taken += came
            behind = (self.lag(self._position()) or 0) >= _MANY
            if (taken and not came) or (time.monotonic() >= deadline and not (taken and behind)):
                break
        if not taken:
            self._require_end()
        return self._decoded(found, begin, self._position()) if taken else None

    def again(self, start: Position, end: Position, *, skip_gone: bool = False) -> Taken:
        """The messages between two positions."""
        if skip_gone:
            on, _ = self.skip_gone(start)
            start = {each: min(int(at), int(end.get(each, at))) for each, at in on.items()}
        self._at = {}
        self._assign(start, partitions=[int(each) for each in end])
        ends = {int(each): int(offset) for each, offset in end.items()}
        found: dict[int, list[Any]] = {}
        silent = time.monotonic() + self._options.silence_s
        while any(self._reached(each, self._at[each]) < offset for each, offset in ends.items()):
            if self._fetch(10_000, found):
                silent = time.monotonic() + self._options.silence_s
            if time.monotonic() > silent:
                raise StreamError(f"no broker answers at {self._topic.servers}", hint="the same command later")
        kept = {each: [one for one in ones if one.offset() < ends[each]] for each, ones in found.items()}
        self._at = {}  # more than the batch may have been read
        return self._decoded(kept, start, end)

    def skip_gone(self, start: Position) -> tuple[Position, str]:
        """The first offsets that the topic still has, for partitions whose next offset is gone."""
        on, lost = dict(start), []
        for name, offset in start.items():
            low, high = self._watermarks(int(name))
            if not low <= int(offset) <= high:
                on[name] = low
                number = low - int(offset) if int(offset) < low else "an unknown number of"
                lost.append(f"{number} messages of partition {name}")
        return on, ", ".join(lost) or "nothing"

    def ended(self, position: Position) -> bool:
        """True if the end that each partition had at the first fetch is before the position."""
        return len(self._bounds) == len(self._partitions) and all(
            self._reached(each, int(position.get(str(each), -1))) >= bound
            for each, bound in self._bounds.items()
            if bound
        )

    def lag(self, position: Position) -> int | None:
        """Messages between the position and the newest high watermarks."""
        total = 0
        for each in self._partitions:
            low, high = self._cached(each)
            if high < 0:
                return None
            total += max(high - self._reached(each, int(position.get(str(each), max(low, 0)))), 0)
        return total

    def close(self) -> None:
        """Ends the connection."""
        self._consumer.close()

    def _reached(self, partition: int, at: int) -> int:
        """The next offset that may have a message, after all messages before `at` were taken.

        The last offsets of a topic may have none: a mark of a transaction, or messages that were compacted.
        """
        return max(at, self._empty_to.get(partition, 0))

    def _position(self) -> dict[str, int]:
        return {str(each): at for each, at in sorted(self._at.items())}

    def _assign(self, start: Position, partitions: list[int] | None = None) -> None:
        """Reads on at the position, unless the consumer is there already."""
        wanted = {int(each): int(offset) for each, offset in start.items()}
        chosen = self._partitions if partitions is None else partitions
        moved = [each for each in chosen if each not in self._at or wanted.get(each, self._at[each]) != self._at[each]]
        begin = {each: wanted[each] if each in wanted else self._begin_of(each, new_stream=not start) for each in moved}
        if not begin and self._at.keys() == set(chosen):
            return
        import confluent_kafka

        kept = {each: at for each, at in self._at.items() if each in chosen}
        self._at = {each: begin.get(each, kept.get(each, 0)) for each in chosen}
        self._empty_to = {}
        self._consumer.assign(
            [confluent_kafka.TopicPartition(self._topic.name, each, self._at[each]) for each in chosen]
        )

    def _begin_of(self, partition: int, *, new_stream: bool) -> int:
        """The offset at which a partition without a position is read; one that a topic has got later from its start."""
        low, high = self._watermarks(partition)
        return high if new_stream and self._options.begin == "latest" else low

    def _watermarks(self, partition: int) -> tuple[int, int]:
        """The first offset that a partition has, and the one after its last; asks the broker."""
        import confluent_kafka

        where = confluent_kafka.TopicPartition(self._topic.name, partition)
        try:
            found: tuple[int, int] = self._consumer.get_watermark_offsets(where, timeout=self._options.start_s)
        except confluent_kafka.KafkaException as error:
            fail(error.args[0], self._topic)
        return found

    def _cached(self, partition: int) -> tuple[int, int]:
        """The same from the last fetch; -1 where there was none."""
        import confluent_kafka

        where = confluent_kafka.TopicPartition(self._topic.name, partition)
        return self._consumer.get_watermark_offsets(where, cached=True)  # type: ignore[no-any-return]

    def _fetch(self, most: int, found: dict[int, list[Any]]) -> int:
        """Adds messages that have come; returns their number."""
        from confluent_kafka import KafkaError

        came = 0
        for message in self._consumer.consume(min(most, 10_000), timeout=_FETCH_S):
            error, partition = message.error(), message.partition()
            if error is None:
                found.setdefault(partition, []).append(message)
                self._at[partition] = message.offset() + 1
                came += 1
            elif error.code() == KafkaError._PARTITION_EOF:
                self._empty_to[partition] = message.offset()
                self._bounds.setdefault(partition, max(self._cached(partition)[1], 0))
            elif error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
                self._gone(partition)
            else:
                self._on_error(error)
            if error is None and partition not in self._bounds:
                self._bounds[partition] = max(self._cached(partition)[1], message.offset() + 1)
        self._watch(came > 0)
        return came

    def _require_end(self) -> None:
        """Raises OffsetGoneError if a partition ends before the next offset: the topic was made anew.

        Not every broker calls such an offset out of range.
        """
        for each, at in self._at.items():
            if 0 <= self._cached(each)[1] < at:
                self._gone(each)

    def _gone(self, partition: int) -> None:
        at = self._at.get(partition, 0)
        low, high = self._watermarks(partition)
        has = f"it has {low} to {high - 1}" if high > low else "it is empty"
        raise OffsetGoneError(
            f"offset {at} of partition {partition} of {self._topic.name} is gone; {has}",
            hint="--on-gap=skip to go on with what is there; the bars between are lost",
        )

    def _on_error(self, error: Any) -> None:
        """Notes an error of the connection; raises one that does not pass."""
        if not is_passing(error):
            fail(error, self._topic)
        from confluent_kafka import KafkaError

        if error.code() == KafkaError._ALL_BROKERS_DOWN and self._down_since is None:
            self._down_since = self._asked = time.monotonic()
            self._tell(f"no broker answers at {self._topic.servers}; the stream waits")

    def _watch(self, came: bool) -> None:
        """Tells when a broker answers again; ends the stream after a long silence."""
        if self._down_since is None:
            return
        now = time.monotonic()
        if came or self._answers(now):
            self._tell(f"the broker answers again, after {now - self._down_since:.0f} s")
            self._down_since = None
        elif now - self._down_since > self._options.silence_s:
            silence = f"no broker answers at {self._topic.servers} for {self._options.silence_s:.0f} s"
            raise StreamError(silence, hint="the same command later; it goes on where this one ends")

    def _answers(self, now: float) -> bool:
        """Asks a broker now and then: while no bars are sent, no message shows that it is there."""
        if now - self._asked < _ASK_S:
            return False
        self._asked = now
        try:
            partitions_of(self._consumer, self._topic, 1.0)
        except StreamError:
            return False
        return True

    def _look_for_partitions(self) -> None:
        """Adds partitions that the topic has got."""
        if time.monotonic() - self._looked < _NEW_PARTITIONS_S:
            return
        self._looked = time.monotonic()
        try:
            self._partitions = partitions_of(self._consumer, self._topic, 2.0)
        except StreamError:  # the next fetch will show it
            return

    def _decoded(self, found: Mapping[int, list[Any]], start: Position, end: Position) -> Taken:
        ones = [one for partition in sorted(found) for one in found[partition]]
        if not ones:
            return Taken(empty(), [], dict(start), dict(end))

        def where(number: int) -> str:
            return f"{self._topic.name} partition {ones[number].partition()} offset {ones[number].offset()}"

        decoded = messages.decode([one.value() for one in ones], [one.key() for one in ones], where)
        return Taken(decoded.bars, decoded.refused, dict(start), dict(end))
