"""TFRecord framing: each record of a file has two checksums.

    uint64  length of the payload            little-endian
    uint32  masked CRC-32C of those 8 bytes
    bytes   payload
    uint32  masked CRC-32C of the payload

The format and the mask are those of TensorFlow's `tensorflow/core/lib/io/record_writer.h`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import google_crc32c

from cloudlstm.errors import CorruptObjectError

_MASK_DELTA = 0xA282EAD8
_HEADER_BYTES = 12
_FOOTER_BYTES = 4


def masked_crc(data: bytes) -> int:
    """CRC-32C, rotated and shifted, because data may contain checksums itself."""
    crc: int = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF


def header(length: int) -> bytes:
    """The 12 bytes before a payload of `length` bytes."""
    size = struct.pack("<Q", length)
    return size + struct.pack("<I", masked_crc(size))


def footer(payload: bytes) -> bytes:
    """The 4 bytes after a payload."""
    return struct.pack("<I", masked_crc(payload))


def frame(payload: bytes) -> bytes:
    """A payload as one record of a TFRecord file."""
    return b"".join((header(len(payload)), payload, footer(payload)))


def records(data: bytes, name: str) -> Iterator[bytes]:
    """The payloads of a TFRecord file, with both checksums verified.

    Args:
        data: The file.
        name: Its name in errors.

    Raises:
        CorruptObjectError: names the byte of the first invalid record.
    """
    at = 0
    while at < len(data):
        end_of_header = at + _HEADER_BYTES
        if end_of_header > len(data):
            raise _corrupt(name, at, "ends inside a record's header")
        length, crc = struct.unpack_from("<QI", data, at)
        if masked_crc(data[at : at + 8]) != crc:
            raise _corrupt(name, at, "has a record length with a wrong checksum")
        end = end_of_header + length
        if end + _FOOTER_BYTES > len(data):
            raise _corrupt(name, at, f"ends inside a record of {length} bytes")
        payload = data[end_of_header:end]
        if masked_crc(payload) != struct.unpack_from("<I", data, end)[0]:
            raise _corrupt(name, at, "has a record with a wrong checksum")
        yield payload
        at = end + _FOOTER_BYTES


def _corrupt(name: str, at: int, what: str) -> CorruptObjectError:
    return CorruptObjectError(
        f"{name} {what} (byte {at})", hint="delete it and submit again: the step that made it runs again"
    )
