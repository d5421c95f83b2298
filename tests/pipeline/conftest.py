"""A Spark for tests that need one in their own process; its JVM stays until the process ends."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from cloudlstm.config import SparkConfig
from cloudlstm.pipeline.spark import Spark
from cloudlstm.targets.local.java import find_java


@pytest.fixture(scope="module")
def spark() -> Iterator[Spark]:
    os.environ["JAVA_HOME"] = str(find_java().home)
    with Spark(SparkConfig(master="local[2]"), app_name="test") as application:
        yield application
