"""Unpacks compressed files, and stops when one becomes larger than a file of bars can be.

A small file can unpack to any size, so the unpacked size is compared with the packed size. Gzip reduces CSV files of
real bars by a factor of 3 to 6, a synthetic market with constant prices by 26, and one repeated line by 340
(2026-11-26).
"""

from __future__ import annotations

import gzip
import io
import zlib
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


def first_bytes(data: bytes, uri: str, size: int, *, whole: bool = True) -> bytes:
    """Returns the first `size` bytes of the unpacked content.

    Args:
        data: The packed bytes.
        uri: The file, for error messages.
        size: Number of bytes.
        whole: False if `data` is the beginning of the file only, so that it may end anywhere.
    """
    found = bytearray()
    with opened(data, uri) as file:
        try:
            while len(found) < size and (chunk := file.read1(size - len(found))):  # type: ignore[attr-defined]
                found += chunk
        except (EOFError, zlib.error):
            if whole or not found:
                raise
    return bytes(found)


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


def opened(data: bytes, uri: str) -> BinaryIO:
    """Opens the unpacked content; a gzip file is unpacked while it is read.

    Reading raises UnreadableSourceError with the `uri` if the content exceeds the limits of this module.
    """
    return unpacked(io.BytesIO(data), uri) if is_gzip(data) else io.BytesIO(data)


def unpacked(file: BinaryIO, uri: str) -> BinaryIO:
    """Returns the unpacked content of a gzip file, which is unpacked while it is read; see `opened`."""
    return io.BufferedReader(_Limited(file, uri), 1 << 20)


class _Limited(io.RawIOBase):
    """The unpacked content of a gzip file; checks the limits while it is read."""

    def __init__(self, packed: BinaryIO, uri: str) -> None:
        self._packed, self._uri, self._size = packed, uri, 0
        self._file = gzip.GzipFile(fileobj=self._packed)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        chunk = self._file.read1(len(buffer))  # of a file that is cut off, also the last bytes before the end
        self._size += len(chunk)
        require_size(self._packed.tell(), self._size, self._uri)
        buffer[: len(chunk)] = chunk
        return len(chunk)


def open_parquet(file: BinaryIO) -> pq.ParquetFile:
    """Opens a Parquet file; text columns are read as dictionaries, so that a repeated long text is stored once."""
    source = pa.PythonFile(file, mode="r")
    metadata = pq.read_metadata(source)
    texts = [field.name for field in metadata.schema.to_arrow_schema() if _is_text(field.type)]
    return pq.ParquetFile(source, metadata=metadata, read_dictionary=texts)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def row_bytes(schema: pa.Schema, places: Sequence[int], uri: str) -> int:
    """Returns the memory per row of these columns, in bytes; UnreadableSourceError if a column holds lists."""
    total = 0
    for place in places:
        field = schema.field(place)
        if pa.types.is_nested(field.type):
            raise UnreadableSourceError(f"{uri}: column {field.name!r} holds {field.type}, not one value per row")
        total += _CODE_BYTES if pa.types.is_dictionary(field.type) else _width(field.type)
    return total


def _width(kind: pa.DataType) -> int:
    try:
        return max(int(kind.bit_width) // 8, 1)
    except ValueError:  # values of variable length
        return _CODE_BYTES
