"""Shared code of the fault tests of all services."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudlstm.errors import StorageError
from cloudlstm.storage import registry


def check_all_operations(
    backend: registry.Storage, root: str, tmp_path: Path, kind: type[StorageError]
) -> StorageError:
    """Each verb raises `kind` in one line with the URI, and leaves no file; the last error."""
    local = tmp_path / "local"
    local.write_bytes(b"x")
    attempts = [
        lambda uri: backend.stat(uri),
        lambda uri: backend.read(uri),
        lambda uri: backend.download(uri, tmp_path / "target"),
        lambda uri: list(backend.list(uri)),
        lambda uri: backend.write(uri, b"x"),
        lambda uri: backend.write(uri, b"x", if_absent=True),
        lambda uri: backend.upload(local, uri),
    ]
    for number, attempt in enumerate(attempts):
        with pytest.raises(kind) as caught:
            attempt(f"{root}/object-{number}")
        assert f"{root}/object-{number}" in caught.value.message
        assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["local"]
    return caught.value
