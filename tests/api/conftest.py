"""One small run for all tests of this folder, made by `cloudlstm.submit`."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

with suppress(ImportError):
    # Where TensorFlow is loaded first, curl_cffi cannot pretend to be a browser: tests of Yahoo would fail after these.
    import curl_cffi  # noqa: F401

import cloudlstm

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

SETTINGS = {
    "market__synthetic__tickers": 6,
    "market__synthetic__bad_ticks": 0.002,
    "market__tickers_per_shard": 3,
    "dataset__window_bars": 10,
    "model__units": 8,
    "train__epochs": 2,
}
"""Those of examples/notebook.ipynb, which therefore finds the run done."""


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="session")
def run(root: Path) -> cloudlstm.Run:
    return cloudlstm.submit(EXAMPLES / "demo.toml", root=str(root), quiet=True, **SETTINGS)


@pytest.fixture
def copied(run: cloudlstm.Run, root: Path, tmp_path: Path) -> Callable[[], Path]:
    """Makes a copy of the run's folder that a test may change."""

    def copy() -> Path:
        return Path(shutil.copytree(root / run.id, tmp_path / "copy" / run.id))

    return copy
