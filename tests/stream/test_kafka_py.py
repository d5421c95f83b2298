"""The source of Kafka for Spark, without Spark: plans, reads, and what it does when the broker does not answer."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from localstack.kafka.broker import tansu
from localstack.processes import free_ports

from cloudlstm.errors import OffsetGoneError, from_mark
from cloudlstm.stream.kafka_client import Topic
from cloudlstm.stream.messages import decode
from cloudlstm.stream.publish import TopicPublisher
from cloudlstm.stream.spark import kafka_py
from cloudlstm.stream.spark.kafka_py import Reader
from stream.conftest import Broker
from stream.test_kafka import KEYS, ROWS, Relay, publish


def reader(topic: Topic, **options: str) -> Reader:
    return Reader({"kafka.bootstrap.servers": topic.servers, "subscribe": topic.name, **options})


def read(source: Reader, start: dict[str, int], end: dict[str, int]) -> list[tuple[str, int]]:
    values = [message[1] for part in source.partitions(start, end) for message in source.read(part)]
    bars = decode(values, None, str).bars
    return list(zip(bars["ticker"].to_pylist(), bars["minute"].to_pylist(), strict=True))


def test_two_plans_cover_every_message_once_and_each_process_keeps_its_consumer(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    connect = kafka_py.client

    def counted(kind: str, *words: Any) -> Any:
        made.append(kind)
        return connect(kind, *words)

    monkeypatch.setattr(kafka_py, "client", counted)
    topic = broker.topic()
    publish(topic, ROWS[:100])
    source = reader(topic)
    start = source.initialOffset()
    middle = source.latestOffset(start)
    publish(topic, ROWS[100:])
    end = source.latestOffset(middle)
    assert source.latestOffset(end) == end
    found = read(source, start, middle) + read(source, middle, end) + read(source, end, end)
    assert sorted(found) == KEYS
    assert len(made) == 3, "the first offsets, the plans, and the reads of all partitions"
    source.stop()


def test_a_plan_has_no_more_than_it_may_and_a_reader_can_be_sent_to_a_task(broker: Broker) -> None:
    topic = broker.topic()
    publish(topic, ROWS)
    source = reader(topic, maxOffsetsPerTrigger="40")
    start, found = source.initialOffset(), []
    source.prepareForTriggerAvailableNow()
    publish(topic, ROWS[:5])
    while (end := source.latestOffset(start)) != start:
        assert all(end[name] - start[name] <= 10 for name in end)
        found += read(pickle.loads(pickle.dumps(source)), start, end)
        start = end
    assert sorted(found) == KEYS, "without what came after the start"
    source.stop()


def test_a_broker_that_dies_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(kafka_py, "_START_S", 3.0)
    inner, outer = free_ports(2)
    with tansu(tmp_path, port=inner, advertised=outer):
        relay = Relay(outer, inner)
        topic = Topic(f"127.0.0.1:{outer}", "bars")
        TopicPublisher(topic, {}, 2)
        publish(topic, ROWS[:50])
        source = reader(topic)
        start = source.initialOffset()
        middle = source.latestOffset(start)
        found = read(source, start, middle)
        relay.cut()
        assert source.latestOffset(middle) == middle, "no new messages, and no error"
        assert source.latestOffset(middle) == middle
        told = capfd.readouterr().err
        assert told.count("no broker answers") == 1, told
        relay.join()
        publish(topic, ROWS[50:])
        end = source.latestOffset(middle)
        found += read(source, middle, end)
        assert sorted(found) == KEYS
        assert "the broker answers again" in capfd.readouterr().err
        source.stop()
        relay.cut()


def test_silence_ends_the_query(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_py, "_START_S", 0.5)
    monkeypatch.setattr(kafka_py, "_SILENCE_S", 0.0)
    with tansu(tmp_path) as (address, process):
        topic = Topic(address, "bars")
        TopicPublisher(topic, {}, 1)
        source = reader(topic)
        monkeypatch.setattr(kafka_py, "_START_S", 5.0)
        start = source.initialOffset()
        assert source.latestOffset(start) == start
        process.kill()
        monkeypatch.setattr(kafka_py, "_START_S", 0.5)
        source.latestOffset(start)
        with pytest.raises(RuntimeError, match="no broker answers at"):
            source.latestOffset(start)
        source.stop()


def test_an_offset_that_is_gone_is_told_by_the_plan_and_by_a_task(mock_broker: Broker) -> None:
    # The other broker answers nothing to a fetch behind its end.
    topic = mock_broker.topic()
    publish(topic, ROWS)
    source = reader(topic)
    gone = {name: at + 5_000 for name, at in source.initialOffset().items()}
    with pytest.raises(RuntimeError) as planned:
        source.latestOffset(gone)
    with pytest.raises(RuntimeError) as asked:
        read(source, gone, {name: at + 1 for name, at in gone.items()})
    for error in (from_mark(str(planned.value)), from_mark(str(asked.value))):
        assert isinstance(error, OffsetGoneError)
        assert "offset 5000 of partition" in error.message
        assert "--on-gap=skip" in error.hint
    end = source.latestOffset(source.initialOffset())
    assert sorted(read(source, source.initialOffset(), end)) == KEYS, "the reader can be used after an error"
    source.stop()


def test_a_query_does_not_begin_without_the_ends_of_all_partitions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tansu(tmp_path) as (address, process):
        topic = Topic(address, "bars")
        TopicPublisher(topic, {}, 2)
        publish(topic, ROWS)
        source, ending = reader(topic), reader(topic)
        start = ending.initialOffset()
        monkeypatch.setattr(ending, "initialOffset", lambda: start)
        for each in (source, ending):
            each._planner = each._connect({})
            each._look_for_partitions()
        process.kill()
        monkeypatch.setattr(kafka_py, "_START_S", 0.5)
        with pytest.raises(RuntimeError, match="no broker answers at"):
            source.latestOffset(start)
        with pytest.raises(RuntimeError, match="no broker answers at"):
            ending.prepareForTriggerAvailableNow()
        source.stop()
        ending.stop()
