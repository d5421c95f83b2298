"""Fixtures for all tests, and their order."""

from __future__ import annotations

import os

import pytest

# A test's JVM lives for seconds and never earns back the optimizing compiler, a third of what a small run costs.
_SPARING = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
os.environ.setdefault("SPARK_SUBMIT_OPTS", f'{_SPARING} -Dspark.executor.extraJavaOptions="{_SPARING}"')
os.environ.setdefault("SPARK_DAEMON_JAVA_OPTS", _SPARING)

pytest_plugins = ["emulators"]

_LONGEST_FIRST = ("pipeline", "training", "reliability", "infra", "cloud", "localstack")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first: where files run side by side, the last one to begin should be short."""
    places = {folder: place for place, folder in enumerate(_LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path.parent.name, len(places)))
