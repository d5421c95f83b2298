"""memory:// — objects in a dictionary of this process, for tests and experiments."""

from __future__ import annotations

import io
import itertools
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from cloudlstm.errors import ObjectExistsError, ObjectNotFoundError
from cloudlstm.storage.base import ObjectInfo, Progress, object_uri
from cloudlstm.storage.local import copy, disk_errors, new_file

_objects: dict[str, tuple[bytes, int, float]] = {}  # uri -> content, number and time of the last write
_numbers = itertools.count(1)
_guard = threading.Lock()


class MemoryStorage:
    """All instances share the objects. Other processes, such as Spark's workers, do not see them."""

    def read(self, uri: str) -> bytes:
        return self._find(uri)[0]

    def read_range(self, uri: str, start: int, size_bytes: int) -> bytes:
        return self._find(uri)[0][start : start + size_bytes]

    def write(self, uri: str, data: bytes, *, if_absent: bool = False) -> None:
        object_uri(uri)
        with _guard:
            if if_absent and uri in _objects:
                raise ObjectExistsError(f"{uri} is already there")
            _objects[uri] = (bytes(data), next(_numbers), time.time())

    def list(self, prefix: str, within: str = "") -> Iterator[ObjectInfo]:  # noqa: ARG002 - there are no links
        with _guard:
            found = sorted(uri for uri in _objects if uri.startswith(prefix))
        for uri in found:
            try:
                yield self.stat(uri)
            except ObjectNotFoundError:
                continue  # deleted meanwhile

    def stat(self, uri: str) -> ObjectInfo:
        data, write, modified = self._find(uri)
        return ObjectInfo(uri, len(data), str(write), modified)

    def delete(self, uri: str, within: str = "") -> None:  # noqa: ARG002 - there are no links
        with _guard:
            _objects.pop(uri, None)

    def sweep(self, prefix: str) -> None:
        """Does nothing: unfinished writes end with the process."""

    def remove_folders(self, folder: str) -> tuple[str, ...]:  # noqa: ARG002
        """Does nothing: there are no folders."""
        return ()

    def upload(self, path: Path, uri: str, progress: Progress | None = None) -> None:
        content = io.BytesIO()
        with disk_errors(f"upload {path} to {uri}"), path.open("rb") as source:
            copy(source, content, progress)
        self.write(uri, content.getvalue())

    def download(self, uri: str, path: Path, progress: Progress | None = None) -> None:
        content = io.BytesIO(self.read(uri))
        with disk_errors(f"download {uri} to {path}"), new_file(path) as target:
            copy(content, target, progress)

    def _find(self, uri: str) -> tuple[bytes, int, float]:
        try:
            return _objects[uri]
        except KeyError:
            raise ObjectNotFoundError(f"no object {uri}") from None
