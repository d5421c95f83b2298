"""Spark's JVM ends during its start: killed, or without enough memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cloudlstm.targets.local.java import find_java

START = """
import pyspark.java_gateway, signal
{meddle}
from cloudlstm.config import SparkConfig
from cloudlstm.pipeline.spark import Spark
try:
    Spark(SparkConfig(), app_name="x").context
except Exception as error:
    print(type(error).__name__, error)
"""

# Like a system without memory: after the JVM has reported its port, before the first request.
KILLED = """
launch = pyspark.java_gateway.launch_gateway
def launched(*arguments, **others):
    gateway = launch(*arguments, **others)
    gateway.proc.send_signal(signal.SIGKILL)
    gateway.proc.wait()
    return gateway
import pyspark
for module in list(__import__("sys").modules.values()):
    if getattr(module, "launch_gateway", None) is launch:
        module.launch_gateway = launched
"""


def output(tmp_path: Path, meddle: str, java_home: Path) -> str:
    """The error of a start of Spark in its own process."""
    done = subprocess.run(
        [sys.executable, "-c", START.format(meddle=meddle)],
        env=os.environ | {"JAVA_HOME": str(java_home)}, cwd=tmp_path, capture_output=True, text=True, timeout=300,
        check=True,
    )  # fmt: skip
    return done.stdout.splitlines()[-1]


ENDED = "MachineError Spark's Java process ended while it was starting (try: often memory ran out"


def test_a_killed_jvm_has_its_own_error(tmp_path: Path) -> None:
    assert output(tmp_path, KILLED, find_java().home).startswith(ENDED)


@pytest.mark.parametrize("end", ["kill -9 $$", "echo 'Could not reserve enough space for object heap' >&2; exit 1"])
def test_a_jvm_that_writes_no_port_has_its_own_error(tmp_path: Path, end: str) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    # Spark's scripts run a java once more before the driver's, to put its command line together.
    sound = f'case "$*" in *org.apache.spark.launcher.Main*) exec {find_java().home}/bin/java "$@" ;; esac'
    java.write_text(f"#!/bin/sh\n{sound}\n{end}\n")
    java.chmod(0o755)
    assert output(tmp_path, "", tmp_path).startswith(ENDED)
