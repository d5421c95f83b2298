"""One emulated cloud for all tests of this folder, with a target on it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from localstack.cloud import Cloud

from cloud.running import Target
from emulators import environment_of


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with Cloud(tmp_path_factory.mktemp("cloud")) as running:
        yield running
        assert running.control.state()["problems"] == []


@pytest.fixture(scope="session")
def document(cloud: Cloud) -> dict[str, Any]:
    """A target's document."""
    return cloud.make_target("tested")


@pytest.fixture(scope="module")
def aws(cloud: Cloud, document: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """The target, and this process set up to look into its bucket: other tests have other servers."""
    with environment_of(cloud.environment):
        yield Target(cloud, document, tmp_path_factory.mktemp("typed"))
