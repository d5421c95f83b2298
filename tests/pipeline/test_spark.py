"""`map` and `shuffle` on a real Spark, and the errors for its failures."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

import pytest

from cloudlstm.config import SparkConfig
from cloudlstm.errors import CloudLSTMError, JobError, QualityGateError, StorageFullError
from cloudlstm.pipeline.spark import Spark
from cloudlstm.pipeline.spark_errors import to_cloudlstm_error
from listening_sockets import listeners


def test_results_come_in_the_order_of_the_items(spark: Spark) -> None:
    reported: list[int] = []
    results = spark.map(lambda n: n * n, list(range(20)), units=lambda _: 5, report=reported.append)
    assert results == [n * n for n in range(20)]
    assert all(0 <= done <= 100 for done in reported)


def test_sparks_ports_need_the_secret(spark: Spark) -> None:
    """Every user of a machine can connect to its loopback address."""
    body = b"\x00nonsense"
    message = struct.pack(">bqi", 3, 7, len(body)) + body  # a request of Spark's network protocol, of number 7
    gateway = int(spark.context._gateway.gateway_parameters.port)  # py4j's own, which has a secret as well
    ports = {each.port for each in listeners({spark.context._gateway.proc.pid})} - {gateway}
    assert int(spark.context.getConf().get("spark.driver.port")) in ports
    for port in ports:
        with socket.create_connection(("127.0.0.1", port), timeout=60) as stranger:
            stranger.sendall(struct.pack(">q", 8 + len(message)) + message)
            assert b"Expected SaslMessage" in stranger.recv(4096)


def test_no_items_need_no_application() -> None:
    with Spark(SparkConfig(), app_name="never") as application:
        assert application.map(lambda n: n, []) == []
        assert application._started is None


def test_a_shuffle_keeps_the_order_of_arrival_and_fills_every_shard(spark: Spark) -> None:
    def split(item: int) -> list[tuple[int, bytes]]:
        return [(shard, b"%d.%d " % (item, part)) for shard in (0, 2) for part in range(2)]

    def join(shard: int, pieces: list[bytes]) -> tuple[int, bytes]:
        return shard, b"".join(pieces)

    cut: list[int] = []
    joined: list[int] = []
    results = spark.shuffle(
        split, list(range(12)), join, n_shards=4, units=lambda _: 5, report=joined.append, report_split=cut.append
    )
    assert set(cut) <= set(range(13)), "items that were split, before the first shard was joined"
    assert set(joined) <= {5, 10, 15, 20}
    in_order = b"".join(b"%d.%d " % (item, part) for item in range(12) for part in range(2))
    assert results == [(0, in_order), (1, b""), (2, in_order), (3, b"")]


@pytest.mark.parametrize(
    "error", [QualityGateError("7 of 9 refused", hint="look"), StorageFullError("no <space> {} left")]
)
def test_our_errors_arrive_unchanged(spark: Spark, error: CloudLSTMError) -> None:
    def task(_: int) -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        spark.map(task, [1])
    assert str(caught.value) == str(error)


def test_an_unforeseen_failure_names_its_reason(spark: Spark) -> None:
    with pytest.raises(JobError, match="ZeroDivisionError: integer division"):
        spark.map(lambda n: 1 // n, [0])


def test_an_error_without_text_is_reported() -> None:
    """Py4J asks the JVM for the text of an exception; a killed JVM does not answer."""

    class UnspeakableError(Exception):
        def __str__(self) -> str:
            raise ConnectionRefusedError(111, "Connection refused")

    assert "UnspeakableError" in str(to_cloudlstm_error(UnspeakableError()))


def test_tasks_see_the_package_not_the_test_process(spark: Spark, tmp_path: Path) -> None:
    def task(_: int) -> int:
        import os

        return os.getpid()

    assert os.getpid() not in spark.map(task, [1, 2])
