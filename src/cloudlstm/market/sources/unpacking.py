"""Unpacks compressed files, and stops when one becomes larger than a file of bars can be.

A small file can unpack to any size, so the unpacked size is compared with the packed size. Gzip reduces CSV files of
real bars by a factor of 3 to 6, a synthetic market with constant prices by 26, and one repeated line by 340
(2026-11-26).
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
"""Any file may unpack to this size."""

MOST_RATIO = 100
"""Largest ratio of unpacked to packed size, above FREE_BYTES."""

MOST_BYTES = 16 * 2**30
"""Largest unpacked size, since one task reads a whole file."""

_GZIP, _PARQUET = b"\x1f\x8b", b"PAR1"
_CODE_BYTES = 4
"""Size of a text value: it is read as a dictionary code."""


def is_gzip(data: bytes) -> bool:
    """True if the data is a gzip file."""
    return data[:2] == _GZIP


def is_parquet(data: bytes) -> bool:
    """True if the data is a Parquet file."""
    return data[:4] == _PARQUET


def first_bytes(data: bytes, uri: str, size: int) -> bytes:
    """Returns the first `size` bytes of the unpacked content."""
    with _opened(data, uri) as file:
        return file.read(size)


def content_from(data: bytes, uri: str, start: int) -> pa.NativeFile:
    """Opens the unpacked content of a file at the byte `start`; a gzip file is unpacked while it is read.

    Reading raises UnreadableSourceError with the `uri` if the content exceeds the limits of this module.
    """
    if not is_gzip(data):
        return pa.BufferReader(memoryview(data)[start:])
    file = _opened(data, uri)
    file.read(start)
    return pa.PythonFile(file, mode="r")


def require_size(packed: int, size: int, uri: str) -> None:
    """Raises UnreadableSourceError if `size` unpacked bytes from `packed` bytes of the file `uri` exceed a limit."""
    if size <= FREE_BYTES or (size <= MOST_BYTES and size <= packed * MOST_RATIO):
        return
    if size > MOST_BYTES:
        what, hint = f"{MOST_BYTES >> 30} GiB, the limit for one file", "split it into several files"
    else:
        what = f"{FREE_BYTES >> 20} MiB and to more than {MOST_RATIO} times its packed size, which bars never do"
        hint = "if you trust the file, store it as CSV without compression"
    raise UnreadableSourceError(f"{uri} unpacks to more than {what}", hint=hint)


def _opened(data: bytes, uri: str) -> BinaryIO:
    return io.BufferedReader(_Limited(data, uri), 1 << 20) if is_gzip(data) else io.BytesIO(data)


class _Limited(io.RawIOBase):
    """The unpacked content of a gzip file; checks the limits while it is read."""

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
    """Opens a Parquet file; text columns are read as dictionaries, so that a repeated long text is stored once."""
    schema = pq.read_schema(pa.BufferReader(data))
    texts = [field.name for field in schema if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)]
    return pq.ParquetFile(pa.BufferReader(data), read_dictionary=texts)


def row_bytes(file: pq.ParquetFile, columns: Sequence[str], uri: str) -> int:
    """Returns the memory per row of these columns, in bytes; UnreadableSourceError if a column holds lists."""
    total = 0
    for name in columns:
        kind = file.schema_arrow.field(name).type
        if pa.types.is_nested(kind):
            raise UnreadableSourceError(f"{uri}: column {name!r} holds {kind}, not one value per row")
        total += _CODE_BYTES if pa.types.is_dictionary(kind) else _width(kind)
    return total


def _width(kind: pa.DataType) -> int:
    try:
        return max(int(kind.bit_width) // 8, 1)
    except ValueError:  # values of variable length
        return _CODE_BYTES
