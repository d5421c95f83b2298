"""Opens the files of a source: objects, and the members of ZIP archives, by part or as a whole.

An item is the text that names a file: its URI, or the URI of an archive, "!/" and the path of the member in it.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import BinaryIO, cast

from cloudlstm import storage
from cloudlstm.errors import UnreadableSourceError
from cloudlstm.market.sources.files.unpacking import require_size
from cloudlstm.storage import ObjectInfo

_SEPARATOR = ".zip!/"
_BUFFER_BYTES = 1 << 20
_STREAM_BYTES = 8 << 20
_ENCRYPTED = 0x1


class ObjectFile(io.RawIOBase):
    """An object as a file that can be read at any position; each read is a request for that part.

    Args:
        uri: The object.
        size_bytes: Its size.
    """

    def __init__(self, uri: str, size_bytes: int) -> None:
        self._uri, self._size, self._place = uri, size_bytes, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        self._place = max(base + offset, 0)
        return self._place

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = storage.read_range(self._uri, self._place, len(buffer)) if self._place < self._size else b""
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)


def item_of(uri: str, member: str) -> str:
    """Returns the item of a member of the archive at `uri`."""
    return f"{uri}!/{member}"


def archive_of(item: str) -> tuple[str, str]:
    """Returns the URI of the archive and the path of the member; the item itself and "" if it is no member."""
    place = item.lower().find(_SEPARATOR)
    if place < 0:
        return item, ""
    return item[: place + len(".zip")], item[place + len(_SEPARATOR) :]


def members(archive: ObjectInfo) -> Iterator[zipfile.ZipInfo]:
    """Yields the files in a ZIP archive; reads only its directory."""
    with _reading(archive) as opened:
        yield from (member for member in opened.infolist() if not member.is_dir())


def read(item: str) -> bytes:
    """Returns the bytes of a file as stored, compressed ones too."""
    uri, member = archive_of(item)
    return _member(uri, member, -1) if member else storage.read(uri)


def read_beginning(item: str, size_bytes: int) -> bytes:
    """Returns the first bytes of a file as stored."""
    uri, member = archive_of(item)
    return _member(uri, member, size_bytes) if member else storage.read_range(uri, 0, size_bytes)


def read_range(item: str, start: int, size_bytes: int) -> bytes:
    """Returns a part of an object."""
    return storage.read_range(item, start, size_bytes)


@contextmanager
def streamed(item: str, size_bytes: int) -> Iterator[BinaryIO]:
    """Opens a file, as stored, for reading it once from its beginning."""
    uri, member = archive_of(item)
    if not member:
        yield io.BufferedReader(ObjectFile(uri, size_bytes), _STREAM_BYTES)
        return
    with _reading(storage.stat(uri)) as archive, archive.open(_member_of(archive, uri, member)) as file:
        yield cast(BinaryIO, file)


def open_seekable(item: str, size_bytes: int) -> io.BufferedReader | io.BytesIO:
    """Opens a file for reading at any position, without reading all of an object."""
    uri, member = archive_of(item)
    if member:
        return io.BytesIO(_member(uri, member, -1))
    return io.BufferedReader(ObjectFile(uri, size_bytes), _BUFFER_BYTES)


def _member(uri: str, name: str, size_bytes: int) -> bytes:
    with _reading(storage.stat(uri)) as archive:
        member = _member_of(archive, uri, name)
        if size_bytes < 0:
            require_size(member.compress_size, member.file_size, item_of(uri, name))
        with archive.open(member) as file:
            return file.read(size_bytes)


def _member_of(archive: zipfile.ZipFile, uri: str, name: str) -> zipfile.ZipInfo:
    member = archive.getinfo(name)
    if member.flag_bits & _ENCRYPTED:
        raise UnreadableSourceError(f"{item_of(uri, name)} needs a password", hint="unpack the archive")
    return member


@contextmanager
def _reading(archive: ObjectInfo) -> Iterator[zipfile.ZipFile]:
    try:
        yield _directory(archive.uri, archive.size_bytes, archive.etag)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, KeyError) as error:
        raise UnreadableSourceError(
            f"{archive.uri} is not readable as a ZIP archive: {error}", hint="unpack it"
        ) from None


@lru_cache(maxsize=8)
def _directory(uri: str, size_bytes: int, etag: str) -> zipfile.ZipFile:  # noqa: ARG001 - another version has another etag
    """Opens an archive. Its directory, which may name thousands of members, is read once and not for each member."""
    return zipfile.ZipFile(io.BufferedReader(ObjectFile(uri, size_bytes), _BUFFER_BYTES))
