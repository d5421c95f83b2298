"""The archive of Java classes: Spark uses one, and starts without one that is damaged, foreign or does not work."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyspark
import pytest

from cloudlstm.targets.local.java import find_java
from cloudlstm.targets.local.target import make_class_archive
from cloudlstm.workers import jvm

START = """
from cloudlstm.config import SparkConfig
from cloudlstm.pipeline.spark import Spark
with Spark(SparkConfig(master="local[1]"), app_name="x") as spark:
    print("squares", spark.map(abs, [-9, 16]))
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and the Java that a job gets."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("JAVA_HOME", str(find_java().home))
    return tmp_path / "cache" / "cloudlstm" / "java-classes"


def loaded() -> str:
    """The line that says from where a JVM of Spark has loaded a class of Spark."""
    submit = Path(pyspark.__file__).parent / "bin" / "spark-submit"
    options = " ".join([*jvm.start_options(), "-Xlog:class+load=info:stdout"])
    command = [str(submit), "--driver-java-options", options, "--version"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    (line,) = (line for line in done.stdout.splitlines() if "org.apache.spark.deploy.SparkSubmit source:" in line)
    return line


def test_an_archive_is_made_once_and_used_unless_it_is_damaged(cache: Path) -> None:
    cache.mkdir(parents=True)
    (cache / f"{'0' * 16}.new").write_text("left by a killed process")
    make_class_archive()
    assert not list(cache.glob(f"{'0' * 16}*"))
    archive = jvm.archive_path()
    made = archive.stat()
    make_class_archive()
    assert archive.stat().st_mtime_ns == made.st_mtime_ns
    assert {path.suffix for path in cache.iterdir()} <= {".jsa", ".lock"}

    assert loaded().endswith("source: shared objects file (top)")

    archive.chmod(0o600)
    with archive.open("r+b") as file:
        file.seek(made.st_size // 2)
        file.write(b"\xff" * 4096)
    assert loaded().endswith(".jar")


def test_spark_starts_if_java_does_not_start_with_the_archive(cache: Path, tmp_path: Path) -> None:
    binary = tmp_path / "java" / "bin" / "java"
    binary.parent.mkdir(parents=True)
    binary.write_text(
        f'#!/bin/sh\ncase "$*" in *SharedArchiveFile*) exit 134 ;; esac\nexec {find_java().home}/bin/java "$@"\n'
    )
    binary.chmod(0o755)
    os.environ["JAVA_HOME"] = str(tmp_path / "java")  # the fixture sets it back
    archive = jvm.archive_path()
    cache.mkdir(parents=True)
    archive.write_bytes(b"of another kind")
    done = subprocess.run([sys.executable, "-c", START], stdout=subprocess.PIPE, text=True, timeout=300, check=True)
    assert "squares [9, 16]" in done.stdout
    assert not archive.exists()
    assert not jvm.is_missing(archive), "it is not made again"


def test_only_an_archive_that_nobody_else_can_write_is_used(cache: Path) -> None:
    def uses_it() -> bool:
        return any(word.startswith("-XX:SharedArchiveFile") for word in jvm.start_options())

    assert not uses_it()
    assert jvm.is_asked_for()
    archive = jvm.archive_path()
    archive.write_bytes(b"")
    assert uses_it()
    archive.chmod(0o664)
    assert not uses_it()
    archive.chmod(0o600)
    cache.chmod(0o777)
    assert not uses_it(), "others can put another file in its place"
    cache.chmod(0o700)
    archive.rename(cache / "elsewhere")
    archive.symlink_to(cache / "elsewhere")
    assert not uses_it()


def test_the_users_garbage_collector_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPARK_SUBMIT_OPTS", raising=False)
    assert "-XX:+UseSerialGC" in jvm.sparing_options()
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Dfile.encoding=UTF-8 -XX:+UseParallelGC")
    assert "-XX:+UseSerialGC" not in jvm.sparing_options(), "a JVM with two does not start"
