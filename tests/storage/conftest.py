"""Locations in which the storage tests write."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest


@pytest.fixture(params=["file", "memory", "s3", "gs"])
def root(request: pytest.FixtureRequest) -> str:
    """A root URI under which nothing is yet, on each backend in turn."""
    if request.param == "file":
        return f"file://{request.getfixturevalue('open_folder')}/root"
    if request.param == "memory":
        return f"memory://{secrets.token_hex(6)}"
    return str(request.getfixturevalue(f"{request.param}_root"))


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user of this machine can enter, unlike pytest's tmp_path."""
    folder = Path(tempfile.mkdtemp(prefix="cloudlstm-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def without_rights() -> Callable[[Path], AbstractContextManager[None]]:
    """Makes a folder read-only for the block; root, who may do everything, becomes nobody."""

    @contextmanager
    def block(folder: Path) -> Iterator[None]:
        folder.chmod(0o555)
        root = os.geteuid() == 0
        if root:
            os.seteuid(65534)
        try:
            yield
        finally:
            if root:
                os.seteuid(0)
            folder.chmod(0o755)

    return block
