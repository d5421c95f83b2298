"""Reads compressed bars without ever holding more than a compressed file of bars can stand for.

A small file can be made to unpack to any size, so what comes out is compared with what went in. Real bars as CSV shrink
3 to 6 times under gzip, a made-up market whose prices never move 26 times, one line repeated 340 times (2026-11-26).
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Sequence
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from cloudlstm.errors import UnreadableSourceError

FREE_BYTES = 256 * 2**20
"""Any file may unpack to this size, however small it is."""

MOST_RATIO = 100
"""More than FREE_BYTES may come only of a file that has at least one byte for so many."""

MOST_BYTES = 16 * 2**30
"""Nothing may unpack to more than this: one task reads a whole file."""

_GZIP, _PARQUET = b"\x1f\x8b", b"PAR1"
_CODE_BYTES = 4
"""Text is read as codes into a dictionary."""


def is_gzip(data: bytes) -> bool:
    """Whether these bytes are a gzip file."""
    return data[:2] == _GZIP


def is_parquet(data: bytes) -> bool:
    """Whether these bytes are a Parquet file."""
    return data[:4] == _PARQUET


def first_bytes(data: bytes, uri: str, size: int) -> bytes:
    """The first bytes of a file's content."""
    with _opened(data, uri) as file:
        return file.read(size)


def content_from(data: bytes, uri: str, start: int) -> pa.NativeFile:
    """The content of a file from the byte `start` on, unpacked piece by piece if it is a gzip file.

    Reading raises UnreadableSourceError, which names `uri`, where more comes out than the limits of this module allow.
    """
    if not is_gzip(data):
        return pa.BufferReader(memoryview(data)[start:])
    file = _opened(data, uri)
    file.read(start)
    return pa.PythonFile(file, mode="r")


def require_size(packed: int, size: int, uri: str) -> None:
    """Refuses content of `size` bytes that came of `packed` bytes of the file `uri`, if it is over a limit."""
    if size <= FREE_BYTES or (size <= MOST_BYTES and size <= packed * MOST_RATIO):
        return
    if size > MOST_BYTES:
        what, hint = f"{MOST_BYTES >> 30} GiB, the most that is read of one file", "cut it into several files"
    else:
        what = f"{FREE_BYTES >> 20} MiB and to more than {MOST_RATIO} times its packed size, as bars do not"
        hint = "if it is yours, store it as CSV without compression"
    raise UnreadableSourceError(f"{uri} unpacks to more than {what}", hint=hint)


def _opened(data: bytes, uri: str) -> BinaryIO:
    return io.BufferedReader(_Limited(data, uri), 1 << 20) if is_gzip(data) else io.BytesIO(data)


class _Limited(io.RawIOBase):
    """The content of a gzip file, within the limits."""

    def __init__(self, data: bytes, uri: str) -> None:
        self._packed, self._uri, self._size = io.BytesIO(data), uri, 0
        self._file = gzip.GzipFile(fileobj=self._packed)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        chunk = self._file.read(len(buffer))
        self._size += len(chunk)
        require_size(self._packed.tell(), self._size, self._uri)
        buffer[: len(chunk)] = chunk
        return len(chunk)


def open_parquet(data: bytes) -> pq.ParquetFile:
    """A Parquet file whose text columns are read as codes, so that a long text that comes often is held once."""
    schema = pq.read_schema(pa.BufferReader(data))
    texts = [field.name for field in schema if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)]
    return pq.ParquetFile(pa.BufferReader(data), read_dictionary=texts)


def row_bytes(file: pq.ParquetFile, columns: Sequence[str], uri: str) -> int:
    """Bytes that a row of these columns takes once it is read; UnreadableSourceError if a column holds lists."""
    total = 0
    for name in columns:
        kind = file.schema_arrow.field(name).type
        if pa.types.is_nested(kind):
            raise UnreadableSourceError(f"{uri}: column {name!r} holds {kind}, not one value a row")
        total += _CODE_BYTES if pa.types.is_dictionary(kind) else _width(kind)
    return total


def _width(kind: pa.DataType) -> int:
    try:
        return max(int(kind.bit_width) // 8, 1)
    except ValueError:  # bytes of any length
        return _CODE_BYTES
