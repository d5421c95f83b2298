"""Undisturbed trainings, shared by all tests of this folder."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

with suppress(ImportError):
    # curl_cffi must be loaded before TensorFlow, or it cannot imitate a browser in the tests of Yahoo.
    import curl_cffi  # noqa: F401

from cloudlstm.runs.paths import RunPaths
from training.runs import make_default_run, trained


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="session")
def undisturbed(folder: Path) -> RunPaths:
    """A run trained by one worker with its default devices."""
    paths = make_default_run(folder, "undisturbed")
    trained(paths)
    return paths


@pytest.fixture(scope="session")
def undisturbed_by_two(folder: Path) -> RunPaths:
    """The same run, trained by two workers with a device each."""
    paths = make_default_run(folder, "two")
    trained(paths, 2, devices=1)
    return paths
