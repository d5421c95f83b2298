"""The source and the sink of Kafka, over the client library's mock and over a broker."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from localstack.kafka.broker import tansu
from localstack.processes import free_ports

from cloudlstm.cli import main
from cloudlstm.errors import OffsetGoneError, StreamError, UsageError
from cloudlstm.stream.advance import advance
from cloudlstm.stream.documents import Position
from cloudlstm.stream.forecasting import forecast
from cloudlstm.stream.kafka_client import Topic, client, read_properties
from cloudlstm.stream.publish import TopicPublisher
from cloudlstm.stream.sinks.kafka import KafkaSink
from cloudlstm.stream.sources.base import Taken
from cloudlstm.stream.sources.kafka import KafkaOptions, KafkaSource
from cloudlstm.stream.state import State
from stream.conftest import Broker
from stream.market import grid, market, predictor, rules, table


def publish(topic: Topic, rows: list[dict[str, Any]]) -> None:
    publisher = TopicPublisher(topic, {})
    publisher.send(table(rows))
    publisher.close()


@contextmanager
def source(topic: Topic, told: list[str] | None = None, **options: Any) -> Iterator[KafkaSource]:
    with closing(KafkaSource(topic, KafkaOptions(**options), (told if told is not None else []).append)) as found:
        yield found


def keys(taken: Taken) -> list[tuple[str, int]]:
    return list(zip(taken.bars["ticker"].to_pylist(), taken.bars["minute"].to_pylist(), strict=True))


def drain(reader: KafkaSource, start: Position, most: int = 100_000) -> list[Taken]:
    found: list[Taken] = []
    deadline = time.monotonic() + 20
    while not reader.ended(found[-1].end if found else start) and time.monotonic() < deadline:
        if taken := reader.take(found[-1].end if found else start, most, 0.2):
            found.append(taken)
    return found


def take_until_it_fails(reader: KafkaSource, start: Position) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        reader.take(start, 1000, 0.2)


ROWS = market(tickers=7, sessions=1, bars=30)
KEYS = sorted((row["ticker"], row["minute"]) for row in ROWS)


def test_all_is_read_once_and_the_order_of_a_ticker_is_kept(broker: Broker) -> None:
    topic = broker.topic()
    publish(topic, ROWS)
    with source(topic) as reader:
        found = drain(reader, {})
        assert reader.lag(found[-1].end) == 0
    got = [key for taken in found for key in keys(taken)]
    assert sorted(got) == KEYS
    for ticker in {row["ticker"] for row in ROWS}:
        minutes = [at for name, at in got if name == ticker]
        assert minutes == sorted(minutes)


def test_a_new_process_goes_on_at_a_position(broker: Broker) -> None:
    topic = broker.topic()
    publish(topic, ROWS[:100])
    with source(topic) as reader:
        first = drain(reader, {})
    publish(topic, ROWS[100:])
    with source(topic) as reader:
        then = drain(reader, first[-1].end)
    assert sorted(key for taken in [*first, *then] for key in keys(taken)) == KEYS


def test_a_batch_that_is_done_again_has_the_same_bars_in_the_same_order(broker: Broker) -> None:
    topic = broker.topic()
    publish(topic, ROWS)
    with source(topic) as reader:
        batches = drain(reader, {}, most=60)
        assert len(batches) > 1
        assert all(taken.size <= 60 for taken in batches)
    with source(topic) as reader:
        for taken in (batches[0], batches[1], batches[0]):
            again = reader.again(taken.start, taken.end)
            assert again.bars.drop_columns("sent").equals(taken.bars.drop_columns("sent"))  # NaN equals nothing
            assert again.end == taken.end
        after = reader.take(batches[0].end, 60, 5.0)
        assert after is not None
        assert after.start == batches[0].end
        assert not set(keys(after)) & set(keys(batches[0]))


def test_a_new_stream_may_begin_at_the_end(mock_broker: Broker) -> None:
    # The other broker gives a wrong end of a topic to a consumer that asks for it.
    topic = mock_broker.topic()
    publish(topic, ROWS[:100])
    with source(topic, begin="latest") as reader:
        assert reader.take({}, 1000, 1.0) is None
        publish(topic, ROWS[100:])
        found = reader.take(reader._position(), 1000, 5.0)
        assert found is not None
        assert not set(keys(found)) & {(row["ticker"], row["minute"]) for row in ROWS[:100]}


def test_a_poisoned_message_is_refused_with_its_place(broker: Broker) -> None:
    topic = broker.topic()
    producer = client("Producer", topic, {}, {})
    producer.produce(topic.name, key=b"X", value=b"{poison", partition=0)
    producer.flush(10)
    publish(topic, ROWS[:10])
    with source(topic) as reader:
        found = drain(reader, {})
    assert [each.where for taken in found for each in taken.refused] == [f"{topic.name} partition 0 offset 0"]
    assert sum(taken.bars.num_rows for taken in found) == 10


def test_a_topic_that_was_made_anew_is_told(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    for number, rows in enumerate((ROWS[:50], ROWS[:5])):
        with tansu(tmp_path, port=port) as (address, _):
            topic = Topic(address, "bars")
            TopicPublisher(topic, {}, 1)
            publish(topic, rows)
            with source(topic) as reader:
                if number == 0:
                    (first,) = drain(reader, {})
                    assert first.end == {"0": 50}
                    continue
                with pytest.raises(OffsetGoneError, match="offset 50 of partition 0 of bars is gone"):
                    take_until_it_fails(reader, first.end)


def test_an_offset_that_is_gone_is_told_and_may_be_skipped(mock_broker: Broker) -> None:
    # The other broker answers nothing to a fetch behind its end.
    topic = mock_broker.topic()
    publish(topic, ROWS)
    with source(topic) as reader:
        end = dict(drain(reader, {})[-1].end)
    gone = {**end, "0": int(end["0"]) + 5_000}
    with source(topic) as reader:
        with pytest.raises(OffsetGoneError, match=r"offset \d+ of partition 0 of \S+ is gone") as error:
            take_until_it_fails(reader, gone)
        assert "--on-gap=skip" in error.value.hint
        position, lost = reader.skip_gone(gone)
        assert "partition 0" in lost
        found = reader.take(position, 1000, 5.0)
        assert found is not None


def test_a_topic_that_is_not_there(tansu_broker: Broker) -> None:
    with pytest.raises(StreamError, match=r"there is no topic none\.such at") as error:
        KafkaSource(Topic(tansu_broker.address, "none.such"), KafkaOptions(), print)
    assert "cloudlstm replay --partitions=4" in error.value.hint


def test_a_broker_that_is_not_there() -> None:
    address = f"127.0.0.1:{free_ports(1)[0]}"
    with pytest.raises(StreamError, match=f"no broker answers at {address}"):
        KafkaSource(Topic(address, "bars"), KafkaOptions(start_s=1.0), print)


def forecasts_of(rows: list[dict[str, Any]]) -> Any:
    return forecast(advance(State.empty(), table(rows), rules()), predictor(), grid()).table


def written(topic: Topic) -> list[tuple[int, str, int]]:
    """Batch, ticker and minute of all messages."""
    return sorted((value["batch"], value["ticker"], value["minute"]) for value in values_in(topic))


def values_in(topic: Topic) -> list[dict[str, Any]]:
    """The values of all messages."""
    reader = client("Consumer", topic, {}, {"group.id": "test", "auto.offset.reset": "earliest",
                                            "enable.partition.eof": True})  # fmt: skip
    import confluent_kafka

    reader.assign([confluent_kafka.TopicPartition(topic.name, n, 0) for n in range(4)])
    found: list[dict[str, Any]] = []
    ended: set[int] = set()
    while len(ended) < 4:
        for message in reader.consume(1000, timeout=0.05):
            if message.error():
                ended.add(message.partition())
                continue
            value = json.loads(message.value())
            assert message.key().decode() == value["ticker"]
            found.append(value)
    reader.close()
    return found


def test_what_a_killed_process_wrote_is_not_written_again(broker: Broker) -> None:
    made = forecasts_of(ROWS)
    assert made.num_rows > 20
    topic = broker.topic()
    with closing(KafkaSink(topic, {})) as sink:
        sink.write(1, made.slice(0, 5), sink.position(), again=False)
        before = sink.position()
        sink.write(2, made.slice(5, 7), before, again=False)  # a part of batch 2, then the process was killed
    with closing(KafkaSink(topic, {})) as sink:
        sink.write(2, made.slice(5), before, again=True)
    every = list(zip(made["ticker"].to_pylist(), made["minute"].to_pylist(), strict=True))
    assert written(topic) == sorted([(1, *key) for key in every[:5]] + [(2, *key) for key in every[5:]])


def test_two_processes_in_one_batch_write_equal_messages(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """One is out of touch after five messages; the other one takes its batch over, and then the first one goes on."""
    made, topic = forecasts_of(ROWS), broker.topic()
    with closing(KafkaSink(topic, {})) as first, closing(KafkaSink(topic, {})) as second:
        before, produce, left = first.position(), first._writer.write, [5]

        def paused(key: bytes, value: bytes) -> None:
            if not left[0]:
                first._writer.close(10.0)
                second.write(1, made, before, again=True)
            left[0] -= 1
            produce(key, value)

        monkeypatch.setattr(first._writer, "write", paused)
        first.write(1, made, before, again=False)
    found = values_in(topic)
    assert len(found) == 2 * made.num_rows - 5
    once = {(value["batch"], value["ticker"], value["minute"]): value for value in found}
    assert sorted(once) == sorted(
        (1, *key) for key in zip(made["ticker"].to_pylist(), made["minute"].to_pylist(), strict=True)
    )
    assert all(value == once[value["batch"], value["ticker"], value["minute"]] for value in found)


class Relay:
    """Leads connections to a broker; can be cut and joined again."""

    def __init__(self, port: int, to: int) -> None:
        self._port, self._to = port, to
        self._open: list[socket.socket] = []
        self._guard = threading.Lock()
        self.join()

    def join(self) -> None:
        self._server = socket.create_server(("127.0.0.1", self._port), reuse_port=True)
        self._up = True
        threading.Thread(target=self._accept, args=(self._server,), daemon=True).start()

    def cut(self) -> None:
        self._up = False
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        with self._guard:
            for each in self._open:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
                each.close()
            self._open.clear()

    def _accept(self, server: socket.socket) -> None:
        with suppress(OSError):
            while True:
                inner, _ = server.accept()
                with self._guard:
                    self._open.append(inner)
                    if not self._up:  # cut meanwhile
                        self._open.pop().close()
                        return
                    outer = socket.create_connection(("127.0.0.1", self._to))
                    self._open.append(outer)
                for pair in ((inner, outer), (outer, inner)):
                    threading.Thread(target=self._pump, args=pair, daemon=True).start()

    def _pump(self, first: socket.socket, second: socket.socket) -> None:
        with suppress(OSError):
            while data := first.recv(65_536):
                second.sendall(data)
        for each in (first, second):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


def test_a_broker_that_dies_and_comes_back(tmp_path: Path) -> None:
    inner, outer = free_ports(2)
    with tansu(tmp_path, port=inner, advertised=outer) as _:
        relay = Relay(outer, inner)
        topic = Topic(f"127.0.0.1:{outer}", "bars")
        TopicPublisher(topic, {}, 2)
        publish(topic, ROWS[:50])
        told: list[str] = []
        with source(topic, told) as reader:
            first = drain(reader, {})
            relay.cut()
            deadline = time.monotonic() + 20
            while not told and time.monotonic() < deadline:
                assert reader.take(first[-1].end, 100, 0.3) is None
            assert told == [f"no broker answers at 127.0.0.1:{outer}; the stream waits"]
            relay.join()
            publish(topic, ROWS[50:])
            then: list[Taken] = []
            while sum([len(keys(each)) for each in [*first, *then]]) < len(ROWS) and time.monotonic() < deadline:
                if taken := reader.take((then or first)[-1].end, 1000, 0.5):
                    then.append(taken)
            assert sorted(key for each in [*first, *then] for key in keys(each)) == KEYS
            assert told[1].startswith("the broker answers again")
        relay.cut()


def test_a_broker_that_comes_back_while_no_bars_are_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloudlstm.stream.sources.kafka._ASK_S", 0.5)
    inner, outer = free_ports(2)
    with tansu(tmp_path, port=inner, advertised=outer) as _:
        relay = Relay(outer, inner)
        topic = Topic(f"127.0.0.1:{outer}", "bars")
        TopicPublisher(topic, {}, 2)
        told: list[str] = []
        deadline = time.monotonic() + 30
        with source(topic, told) as reader:
            assert reader.take({}, 100, 0.3) is None
            relay.cut()
            while not told and time.monotonic() < deadline:
                assert reader.take({}, 100, 0.3) is None
            relay.join()
            while len(told) < 2 and time.monotonic() < deadline:
                assert reader.take({}, 100, 0.3) is None
            assert told[1].startswith("the broker answers again")
        relay.cut()


def test_bars_that_come_one_by_one_do_not_wait_for_a_whole_batch(tansu_broker: Broker) -> None:
    topic = tansu_broker.topic()
    done = threading.Event()

    def steadily() -> None:
        publisher = TopicPublisher(topic, {})
        while not done.wait(0.02):
            publisher.send(table(ROWS[:1]))
        publisher.close()

    sending = threading.Thread(target=steadily)
    sending.start()
    try:
        with source(topic) as reader:
            first = reader.take({}, 100_000, 10.0)
            assert first is not None, "bars come without a pause, so only its patience ends the batch"
            assert reader.take(first.end, 100_000, 10.0) is not None
    finally:
        done.set()
        sending.join()


def test_a_partition_that_came_later_is_read_from_its_start(mock_broker: Broker) -> None:
    topic = mock_broker.topic()
    publish(topic, ROWS)
    with source(topic, begin="latest") as reader:
        ends = {str(each): reader._watermarks(each)[1] for each in range(4)}
        filled = next(name for name, end in ends.items() if end)
        taken = reader.take({name: end for name, end in ends.items() if name != filled}, 100_000, 10.0)
        assert taken is not None
        assert (taken.start[filled], taken.bars.num_rows) == (0, ends[filled])


def test_silence_ends_the_stream_with_an_error(tmp_path: Path) -> None:
    with tansu(tmp_path) as (address, process):
        topic = Topic(address, "bars")
        TopicPublisher(topic, {}, 1)
        with source(topic, silence_s=0.5) as reader:
            assert reader.take({}, 10, 0.2) is None
            process.kill()
            with pytest.raises(StreamError, match="no broker answers at"):
                take_until_it_fails(reader, {})


def test_settings_pass_through_and_their_values_reach_no_message(tmp_path: Path) -> None:
    file = tmp_path / "client.properties"
    file.write_text("# a comment\n\nsasl.mechanism=PLAIN\nsasl.password = s3cret=word\n")
    assert read_properties(str(file)) == {"sasl.mechanism": "PLAIN", "sasl.password": "s3cret=word"}
    for line in ("security.protocol=s3cret", "no.such.setting=s3cret", "socket.timeout.ms=s3cret"):
        file.write_text(line)
        with pytest.raises(UsageError, match="a setting of --kafka is not accepted") as error:
            client("Consumer", Topic("127.0.0.1:1", "bars"), read_properties(str(file)), {"group.id": "x"})
        assert "s3cret" not in str(error.value)
        assert line.partition("=")[0] in str(error.value)
    for text, message in (("s3cret", "line 1"), ("group.id=s3cret", "sets group.id")):
        file.write_text(text)
        with pytest.raises(UsageError, match=message) as error:
            read_properties(str(file))
        assert "s3cret" not in str(error.value)


@pytest.mark.parametrize("uri", ["kafka://", "kafka://host", "kafka:///topic", "kafka://h:1/a/b", "kafka://u:p@h:1/t"])
def test_a_uri_that_is_no_topic(uri: str) -> None:
    with pytest.raises(UsageError):
        Topic.parse(uri)


@pytest.mark.parametrize(
    "place", ["u:s3cret@h:1", "u:s3cret@h:1/t", "u:s3c/ret@h:1/t", "u:s3cret%40h:1/t", "u:s3cret%40h:1"]
)
def test_a_password_in_a_uri_is_not_shown(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="has no user and password") as error:
        Topic.parse(f"kafka://{place}")
    assert "s3c" not in str(error.value)
    assert main(["replay", f"--to=kafka://{place}", "--dry-run"]) == 2
    captured = capsys.readouterr()
    assert "s3c" not in captured.out + captured.err
