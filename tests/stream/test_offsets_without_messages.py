"""Topics of producers with transactions: a mark of a transaction has an offset, and no message."""

from __future__ import annotations

from contextlib import closing

import confluent_kafka
import pytest

from cloudlstm.stream.kafka_client import Topic
from cloudlstm.stream.messages import encode
from cloudlstm.stream.publish import TopicPublisher
from cloudlstm.stream.sources.kafka import KafkaOptions, KafkaSource
from cloudlstm.stream.spark.gaps import has_messages
from cloudlstm.stream.spark.kafka_py import Reader
from stream.conftest import Broker
from stream.market import market, table

ROWS = market(tickers=1, sessions=1, bars=6)


@pytest.fixture(scope="module")
def topic(tansu_broker: Broker) -> Topic:
    """One partition with the offsets 0 1 (mark) 3 4 (mark) 6 7 (mark)."""
    topic = Topic(tansu_broker.address, "bars.transactions")
    TopicPublisher(topic, {}, 1)
    producer = confluent_kafka.Producer({"bootstrap.servers": topic.servers, "transactional.id": "theirs"})
    producer.init_transactions(10)
    for begin in range(0, len(ROWS), 2):
        producer.begin_transaction()
        for key, value in encode(table(ROWS[begin : begin + 2])):
            producer.produce(topic.name, key=key, value=value)
        producer.commit_transaction(10)
    return topic


def reader(topic: Topic) -> Reader:
    return Reader({"kafka.bootstrap.servers": topic.servers, "subscribe": topic.name})


def read(of: Reader, begin: int, end: int) -> list[int]:
    (part,) = of.partitions({"0": begin}, {"0": end})
    return [offset for _, _, _, offset in of.read(part)]


def test_one_process_reads_over_them_and_ends_after_the_last(topic: Topic) -> None:
    with closing(KafkaSource(topic, KafkaOptions(), lambda _: None)) as source:
        position, bars = {}, 0
        while not source.ended(position):
            if taken := source.take(position, 2, 0.2):
                position, bars = dict(taken.end), bars + taken.bars.num_rows
        assert (bars, source.lag(position)) == (len(ROWS), 0)
        again = source.again({"0": 2}, {"0": 6})
        assert again.bars.num_rows == 2


@pytest.mark.parametrize(
    ("begin", "end", "offsets"),
    [(0, 9, [0, 1, 3, 4, 6, 7]), (2, 5, [3, 4]), (2, 6, [3, 4]), (5, 6, []), (8, 9, []), (0, 3, [0, 1])],
)
def test_a_task_of_spark_reads_any_range(topic: Topic, begin: int, end: int, offsets: list[int]) -> None:
    assert read(reader(topic), begin, end) == offsets


def test_an_offset_that_is_gone_is_still_found(mock_broker: Broker) -> None:
    topic = mock_broker.topic()
    with pytest.raises(RuntimeError, match=r"OffsetGoneError.*offset 7 of partition 0.*--on-gap=skip --available-now"):
        read(reader(topic), 7, 9)


def test_a_gap_of_marks_has_no_messages(topic: Topic, mock_broker: Broker) -> None:
    assert [has_messages(topic, {}, 0, begin, end) for begin, end in ((2, 3), (5, 6), (1, 3), (4, 6))] == [
        False, False, True, True,
    ]  # fmt: skip
    assert has_messages(mock_broker.topic(), {}, 0, 7, 9), "offsets that are gone may have had messages"
