"""The modules of benchmarks/peers, which are programs and no package."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PEERS = Path(__file__).resolve().parents[2] / "benchmarks" / "peers"


@pytest.fixture(scope="module")
def peers() -> Iterator[Path]:
    """The folder benchmarks/peers, from which modules can be imported during the test module."""
    names = {path.stem for path in PEERS.glob("*.py")} - set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(PEERS))
        yield PEERS
    for name in names:
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def programs() -> Iterator[Path]:
    """The folder benchmarks, whose programs can be imported during the test module."""
    folders = (PEERS.parent, PEERS)
    names = {path.stem for folder in folders for path in folder.glob("*.py")} - set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        for folder in folders:
            patch.syspath_prepend(str(folder))
        yield PEERS.parent
    for name in names:
        sys.modules.pop(name, None)
