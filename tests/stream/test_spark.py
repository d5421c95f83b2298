"""The runner on Spark: the same forecasts as in one process, over a real session and our source of Kafka."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest

from cloudlstm.cli import main
from cloudlstm.errors import OffsetGoneError, UsageError
from cloudlstm.stream.batch import ALWAYS_OPEN, BatchWork
from cloudlstm.stream.documents import StreamSettings
from cloudlstm.stream.journal import Journal
from cloudlstm.stream.kafka_client import Topic
from cloudlstm.stream.messages import encode
from cloudlstm.stream.paths import StreamPaths
from cloudlstm.stream.sinks.parquet import ParquetSink
from cloudlstm.stream.spark import runner
from cloudlstm.stream.spark.runner import MicroBatches, SparkOptions, reader_options
from stream.conftest import Broker
from stream.market import INTERVAL, RandomModels, table
from stream.test_kafka import publish
from stream.test_killed_streams import ROWS, by_key, expected, outputs


def opened(root: str, source: str) -> tuple[StreamPaths, Journal, StreamSettings]:
    paths = StreamPaths.of(root, "killed")
    journal = Journal(paths)
    settings = StreamSettings(source, calendar=ALWAYS_OPEN, interval_s=INTERVAL, features=True)
    return paths, journal, journal.open(settings)


def test_a_job_on_spark_gives_the_bits_of_the_batch(
    tansu_broker: Broker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    topic = tansu_broker.topic()
    publish(topic, ROWS)
    root = f"file://{tmp_path}/runs"
    opened(root, topic.uri)
    words = ["killed", "--runner=spark", f"--root={root}", "--available-now", "--batch-bars=300"]
    assert main(["stream", *words]) == 0
    assert "finished: killed: batch" in capsys.readouterr().err
    assert Journal(StreamPaths.of(root, "killed")).newest >= 2, "one batch has at most about 300 bars"
    assert by_key(outputs(root, "features")) == expected()[0]


def kafka_rows(begin: int, end: int) -> pa.Table:
    pairs = encode(table(ROWS[begin:end]))
    return pa.table(
        {
            "key": pa.array([key for key, _ in pairs], pa.binary()),
            "value": pa.array([value for _, value in pairs], pa.binary()),
            "partition": pa.array([0] * len(pairs), pa.int32()),
            "offset": pa.array(range(begin, end), pa.int64()),
        }
    )


def test_a_micro_batch_that_spark_repeats_is_used_once(tmp_path: Path) -> None:
    root = f"file://{tmp_path}/runs"
    paths, _, settings = opened(root, "kafka://127.0.0.1:1/bars")

    def batches() -> MicroBatches:
        mine = Journal(paths)
        work = BatchWork(mine, settings, RandomModels(), [ParquetSink(paths)])
        return MicroBatches(Topic("127.0.0.1:1", "bars"), work, mine, lambda _: None)

    first = batches()
    first.handle(kafka_rows(0, 200))
    first.handle(kafka_rows(200, 300))
    then = batches()
    then.handle(kafka_rows(200, 300))  # Spark did not commit it
    then.handle(kafka_rows(250, 400))
    begun = BatchWork(Journal(paths), settings, RandomModels(), [])
    begun.begin(4, {"0": 400}, {"0": 450})  # and was killed
    last = batches()
    with pytest.raises(UsageError, match="was begun by another runner"):
        last.handle(kafka_rows(400, 420))
    last.handle(kafka_rows(400, 450))
    last.handle(kafka_rows(450, len(ROWS)))
    assert [batch.end["0"] for batch in Journal(paths).batches()] == [200, 300, 400, 450, len(ROWS)]
    assert by_key(outputs(root, "features")) == expected()[0]


@pytest.mark.parametrize("parts", [[(0, len(ROWS))], [(0, 200), (200, len(ROWS))], [(0, 49), (30, 120), (120, 400)]])
def test_a_micro_batch_larger_than_the_batch_that_was_begun_loses_nothing(
    parts: list[tuple[int, int]], tmp_path: Path
) -> None:
    root = f"file://{tmp_path}/runs"
    paths, journal, settings = opened(root, "kafka://127.0.0.1:1/bars")
    BatchWork(journal, settings, RandomModels(), []).begin(1, {"0": 0}, {"0": 49})  # and was killed
    mine = Journal(paths)
    work = BatchWork(mine, settings, RandomModels(), [ParquetSink(paths)])
    batches = MicroBatches(Topic("127.0.0.1:1", "bars"), work, mine, lambda _: None)
    for begin, end in parts:
        batches.handle(kafka_rows(begin, end))
    ends = [batch.end["0"] for batch in Journal(paths).batches()]
    assert ends == [49, *(end for _, end in parts if end > 49)]
    last = mine.last()
    assert last is not None
    assert sum(last.totals[name] for name in ("used", "doubled", "replaced", "corrections", "waiting")) == ends[-1]


def test_a_query_that_begins_after_messages_of_the_stream_is_refused(tmp_path: Path) -> None:
    paths, journal, settings = opened(f"file://{tmp_path}/runs", "kafka://127.0.0.1:1/bars")
    work = BatchWork(journal, settings, RandomModels(), [ParquetSink(paths)])
    asked: list[tuple[int, int, int]] = []

    def batches(answer: bool) -> MicroBatches:
        def has_messages(*place: int) -> bool:
            asked.append(place)  # type: ignore[arg-type]
            return answer

        return MicroBatches(Topic("127.0.0.1:1", "bars"), work, journal, lambda _: None, has_messages)

    batches(answer=True).handle(kafka_rows(5, 20))
    assert not asked, "a new stream may begin anywhere"
    with pytest.raises(OffsetGoneError, match=r"begins at offset 30 of partition 0 of bars, and .* from 20"):
        batches(answer=True).handle(kafka_rows(30, 40))
    follows = batches(answer=False)  # offsets 20 to 29 are marks of transactions
    follows.handle(kafka_rows(30, 40))
    follows.handle(kafka_rows(45, 50))
    assert asked == [(0, 20, 30)] * 2, "ranges of one query follow each other"
    assert [batch.end["0"] for batch in journal.batches()] == [20, 40, 50]


def test_a_query_that_lacks_the_beginning_of_a_batch_is_refused(tmp_path: Path) -> None:
    root = f"file://{tmp_path}/runs"
    paths, journal, settings = opened(root, "kafka://127.0.0.1:1/bars")
    work = BatchWork(journal, settings, RandomModels(), [ParquetSink(paths)])
    work.begin(1, {"0": 10}, {"0": 20})  # one process, which was killed
    batches = MicroBatches(Topic("127.0.0.1:1", "bars"), work, journal, lambda _: None, lambda *_: True)
    with pytest.raises(UsageError, match="was begun by another runner") as caught:
        batches.handle(kafka_rows(15, 40))
    assert caught.value.hint == f"cloudlstm stream killed --root={root} --available-now, then the job again"
    batches.handle(kafka_rows(10, 40))
    assert [batch.end["0"] for batch in journal.batches()] == [20, 40]


def test_the_options_are_those_of_the_connector(tmp_path: Path) -> None:
    _, journal, settings = opened(f"file://{tmp_path}/runs", "kafka://127.0.0.1:1/bars")
    options = SparkOptions("there", kafka={"security.protocol": "SASL_SSL"})
    assert reader_options(Topic("a:1", "bars"), settings, journal, options) == {
        "kafka.bootstrap.servers": "a:1", "subscribe": "bars", "startingOffsets": "earliest",
        "maxOffsetsPerTrigger": "100000", "failOnDataLoss": "true", "kafka.security.protocol": "SASL_SSL",
    }  # fmt: skip


def test_spark_without_python_sources_is_told_what_it_lacks() -> None:
    old = SimpleNamespace(version="3.5.8")
    with pytest.raises(UsageError, match=r"Spark 3\.5\.8 has no sources in Python, which came with 4\.0"):
        runner._format(old, runner.PYTHON)
    assert runner._format(old, runner.JVM) == "kafka"
