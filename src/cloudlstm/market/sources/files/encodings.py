"""Turns text files of any encoding into UTF-8 without a byte order mark.

A byte order mark names the encoding. Without one, a file that is not UTF-8 may be in a national encoding: `candidates`
lists those that are tried, and the one in which the header is understood is right.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from typing import BinaryIO

from cloudlstm.errors import UnreadableSourceError

UTF8 = "utf-8"

NATIONAL = ("big5", "gb18030", "cp932", "cp949", "cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "iso8859-15")
"""The encodings that are tried for a file that is not UTF-8, in this order."""

_MARKS = (
    (codecs.BOM_UTF8, UTF8),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CHUNK_BYTES = 1 << 20
_LOOKED_AT = 256


def candidates(beginning: bytes, configured: str | None) -> Iterator[str]:
    """Yields the encodings that a text file can have, the most certain one first.

    Args:
        beginning: The first bytes of the file, unpacked.
        configured: `market.encoding`; then it is the only one.
    """
    if configured:
        yield configured
        return
    marked = next((name for mark, name in _MARKS if beginning.startswith(mark)), None)
    zeros = [beginning[start:_LOOKED_AT:2].count(0) for start in (0, 1)]
    if marked:
        yield marked
    elif max(zeros) > min(len(beginning), _LOOKED_AT) // 5:  # every second byte of Latin text in UTF-16 is zero
        yield "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"
    else:
        yield UTF8
        if not is_utf8(beginning):
            yield from NATIONAL


def is_utf8(beginning: bytes) -> bool:
    """True if the bytes are the beginning of a UTF-8 text; the last character may be cut."""
    try:
        codecs.getincrementaldecoder(UTF8)().decode(beginning)
    except UnicodeDecodeError:
        return False
    return True


def to_utf8(beginning: bytes, encoding: str) -> bytes:
    """Converts the beginning of a file, without its byte order mark; UTF-8 is returned as it is."""
    if encoding == UTF8:
        return beginning.removeprefix(codecs.BOM_UTF8)
    text = codecs.getincrementaldecoder(encoding)(errors="replace").decode(beginning)
    return text.removeprefix("\ufeff").encode(errors="replace")


def utf8_stream(file: BinaryIO, encoding: str, uri: str) -> BinaryIO:
    """Returns the content of a text file as a stream of UTF-8 without a byte order mark.

    Reading raises UnreadableSourceError with the `uri` for bytes that are no text in this encoding. UTF-8 is passed on
    unchecked, since a column that is not used may be in another encoding.
    """
    if encoding != UTF8:
        return io.BufferedReader(_Utf8(file, encoding, uri), _CHUNK_BYTES)
    mark = file.read(len(codecs.BOM_UTF8))
    return io.BufferedReader(_Joined(b"" if mark == codecs.BOM_UTF8 else mark, file), _CHUNK_BYTES)


class _Joined(io.RawIOBase):
    """Bytes that were read already, and the rest of the file."""

    def __init__(self, first: bytes, file: BinaryIO) -> None:
        self._first, self._file = first, file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._first[: len(buffer)] or self._file.read(len(buffer))
        self._first = self._first[len(buffer) :] if self._first else b""
        buffer[: len(data)] = data
        return len(data)


class _Utf8(io.RawIOBase):
    """The content of a text file in another encoding, as UTF-8."""

    def __init__(self, file: BinaryIO, encoding: str, uri: str) -> None:
        self._file, self._encoding, self._uri = file, encoding, uri
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._ready = b""
        self._first = True

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._ready:
            data = self._file.read(_CHUNK_BYTES)
            try:
                text = self._decoder.decode(data, final=not data)
            except UnicodeDecodeError as error:
                raise UnreadableSourceError(
                    f"{self._uri} is not text in {self._encoding}: {error.reason}",
                    hint="market.encoding=…, such as cp1252, big5, gb18030 or shift_jis",
                ) from None
            if self._first and text:
                text, self._first = text.removeprefix("\ufeff"), False
            self._ready = text.encode(errors="replace")
            if not data:
                break
        data, self._ready = self._ready[: len(buffer)], self._ready[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)
