"""One emulated cloud for all tests of this folder, with a target on it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from localstack.cloud import Cloud

from cloud.running import Target


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with Cloud(tmp_path_factory.mktemp("cloud")) as running:
        yield running
        assert running.control.state()["problems"] == []


@pytest.fixture(scope="session")
def aws(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A target, and this process set up to look into its bucket."""
    before = dict(os.environ)
    os.environ.update(cloud.environment)
    yield Target(cloud, cloud.make_target("tested"), tmp_path_factory.mktemp("typed"))
    os.environ.clear()
    os.environ.update(before)
