"""Spark's own behaviour. What both engines do is in test_engines.py."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

from cloudlstm.config import SparkConfig
from cloudlstm.pipeline.spark import Spark
from cloudlstm.pipeline.spark_errors import to_cloudlstm_error
from listening_sockets import listeners


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
