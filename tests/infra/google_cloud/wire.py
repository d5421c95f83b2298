"""The encodings between Terraform and a provider: protobuf messages that hold MessagePack values.

Only what the plugin protocol needs. A message is given and read by field numbers: see tfplugin5.proto below
docs/plugin-protocol in Terraform's repository. A value that is known only after the apply is `UNKNOWN`.
"""

from __future__ import annotations

import struct
from typing import Any

UNKNOWN = object()
"""A value that is known only after the apply."""


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, value: bytes | str | int) -> bytes:
    """One field of a protobuf message."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    content = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _read_varint(content: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place


def message(content: bytes) -> dict[int, Any]:
    """The fields of a protobuf message by number: numbers, or bytes. Of a repeated field the last."""
    found: dict[int, Any] = {}
    place = 0
    while place < len(content):
        key, place = _read_varint(content, place)
        number, kind = key >> 3, key & 7
        if kind == 0:
            found[number], place = _read_varint(content, place)
        else:
            size, place = _read_varint(content, place) if kind == 2 else ({1: 8, 5: 4}[kind], place)
            found[number], place = content[place : place + size], place + size
    return found


def dynamic(value: Any) -> bytes:
    """A DynamicValue."""
    return field(1, packed(value))


def value_of(content: bytes) -> Any:
    """The value of a DynamicValue; None if there is none."""
    return unpacked(message(content).get(1, b"\xc0"))


def packed(value: Any) -> bytes:
    """A value in MessagePack."""
    if value is UNKNOWN:
        return b"\xd4\x00\x00"
    if value is None:
        return b"\xc0"
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return struct.pack(">Bq", 0xD3, value)
    if isinstance(value, float):
        return struct.pack(">Bd", 0xCB, value)
    if isinstance(value, str):
        content = value.encode()
        return struct.pack(">BI", 0xDB, len(content)) + content
    if isinstance(value, list):
        return struct.pack(">BI", 0xDD, len(value)) + b"".join(packed(each) for each in value)
    pairs = [packed(name) + packed(each) for name, each in value.items()]
    return struct.pack(">BI", 0xDF, len(pairs)) + b"".join(pairs)


def unpacked(content: bytes) -> Any:
    """The value that MessagePack holds."""
    value, end = _unpack(content, 0)
    if end != len(content):
        raise ValueError("a value ends early")
    return value


_NUMBERS = {0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q",
            0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q"}  # fmt: skip
_SIZES = {0xD9: ">B", 0xDA: ">H", 0xDB: ">I", 0xDC: ">H", 0xDD: ">I", 0xDE: ">H", 0xDF: ">I",
          0xC4: ">B", 0xC5: ">H", 0xC6: ">I", 0xC7: ">B", 0xC8: ">H", 0xC9: ">I"}  # fmt: skip


def _unpack(content: bytes, place: int) -> tuple[Any, int]:
    """The value that begins at `place`, and the place after it."""
    kind, place = content[place], place + 1
    if kind <= 0x7F or kind >= 0xE0:
        return (kind if kind <= 0x7F else kind - 0x100), place
    if kind in (0xC0, 0xC2, 0xC3):
        return {0xC0: None, 0xC2: False, 0xC3: True}[kind], place
    if kind in _NUMBERS:
        size = struct.calcsize(_NUMBERS[kind])
        return struct.unpack_from(_NUMBERS[kind], content, place)[0], place + size
    if 0xD4 <= kind <= 0xD8:  # an extension of a fixed size
        return UNKNOWN, place + 1 + (1 << (kind - 0xD4))
    if kind <= 0x9F:
        count = kind & 0x0F
    elif kind <= 0xBF:
        count = kind & 0x1F
    else:
        count, place = struct.unpack_from(_SIZES[kind], content, place)[0], place + struct.calcsize(_SIZES[kind])
    if 0xC7 <= kind <= 0xC9:  # an extension: an unknown value, and what is known of it
        return UNKNOWN, place + 1 + count
    if 0xC4 <= kind <= 0xC6:
        return content[place : place + count], place + count
    if kind in (0xD9, 0xDA, 0xDB) or 0xA0 <= kind <= 0xBF:
        return content[place : place + count].decode(), place + count
    if kind in (0xDC, 0xDD) or 0x90 <= kind <= 0x9F:
        items = []
        for _ in range(count):
            item, place = _unpack(content, place)
            items.append(item)
        return items, place
    pairs = {}
    for _ in range(count):
        name, place = _unpack(content, place)
        pairs[name], place = _unpack(content, place)
    return pairs, place
