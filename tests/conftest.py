"""Fixtures for all tests, and their order."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import settings

from ordering import group_of, place_of

# A test's JVM lives for seconds; the optimizing compiler would take a third of a small run's time.
_SPARING = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
os.environ.setdefault("SPARK_SUBMIT_OPTS", f'{_SPARING} -Dspark.executor.extraJavaOptions="{_SPARING}"')
os.environ.setdefault("SPARK_DAEMON_JAVA_OPTS", _SPARING)


settings.register_profile("any speed", deadline=None)  # a busy machine takes longer for one example
settings.load_profile("any speed")

pytest_plugins = ["emulator_fixtures", "cloud_fixtures"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=place_of)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `--dist loadfile`, gives workers whole groups instead of files."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class GroupScheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    return GroupScheduling(config, log)
