"""Writes and reads tf.train.Example with NumPy only.

The messages (`tensorflow/core/example/{example,feature}.proto`) nest like this, each arrow a field number:

    Example -1-> Features -1-> entry of a map {1: name, 2: Feature}
    Feature -1-> BytesList {1: bytes, repeated} | -2-> FloatList {1: packed float} | -3-> Int64List {1: packed varint}

The reader accepts features in any order, and numbers packed or not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cloudlstm.errors import CorruptObjectError

_VARINT, _FIXED64, _DELIMITED, _FIXED32 = 0, 1, 2, 5
_MAX_VARINT_BYTES = 10

Value = list[bytes] | NDArray[np.float32] | NDArray[np.int64]


def varint(number: int) -> bytes:
    """A non-negative number in base 128, least significant group first; a high bit means that more bytes follow."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def varints(numbers: ArrayLike) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Many integers as varints.

    Returns:
        The bytes, and offsets (n + 1,): number i is bytes[offsets[i]:offsets[i + 1]]. A negative number has the ten
        bytes of its two's complement, as in protocol buffers.
    """
    rest = np.ascontiguousarray(numbers, dtype=np.int64).view(np.uint64)
    groups, more = [], []
    for _ in range(_MAX_VARINT_BYTES):
        groups.append((rest & np.uint64(0x7F)).astype(np.uint8))
        rest = rest >> np.uint64(7)
        more.append(rest != 0)
        if not more[-1].any():
            break
    continued = np.stack(more, axis=1)  # (n, groups): another group follows this one
    used = np.concatenate([np.ones((len(rest), 1), bool), continued[:, :-1]], axis=1)
    stacked = np.stack(groups, axis=1) | (continued.astype(np.uint8) << np.uint8(7))
    offsets = np.zeros(len(rest) + 1, np.int64)
    np.cumsum(used.sum(axis=1), out=offsets[1:])
    return stacked[used], offsets


def from_varints(data: NDArray[np.uint8], name: str) -> NDArray[np.int64]:
    """The integers in consecutive varints; the inverse of `varints`. Errors name the file as `name`."""
    ends = np.flatnonzero(data < 0x80)
    if len(data) == 0:
        return np.zeros(0, np.int64)
    if len(ends) == 0 or ends[-1] != len(data) - 1:
        raise _malformed(name, "a number that does not end")
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > _MAX_VARINT_BYTES:
        raise _malformed(name, "a number of more than 64 bits")
    out = np.zeros(len(ends), np.uint64)
    for group in range(int(lengths.max())):
        longer = lengths > group
        out[longer] |= (data[starts[longer] + group] & np.uint8(0x7F)).astype(np.uint64) << np.uint64(7 * group)
    return out.view(np.int64)


def _delimited(field: int, *parts: bytes) -> bytes:
    """A field with bytes or a message."""
    return b"".join((varint(field << 3 | _DELIMITED), varint(sum(map(len, parts))), *parts))


def bytes_feature(values: Sequence[bytes]) -> bytes:
    """A Feature with a BytesList."""
    return _delimited(1, *(_delimited(1, value) for value in values))


def float_feature(values: NDArray[np.float32]) -> bytes:
    """A Feature with a FloatList; an array with several axes is flattened row by row."""
    return _delimited(2, _delimited(1, np.ascontiguousarray(values, dtype="<f4").tobytes()))


def int64_feature(packed: bytes) -> bytes:
    """A Feature with an Int64List, from packed varints."""
    return _delimited(3, _delimited(1, packed))


def encode(features: Mapping[str, bytes]) -> bytes:
    """An Example of named Features, in the order of the mapping."""
    entries = [_delimited(1, _delimited(1, name.encode()), _delimited(2, value)) for name, value in features.items()]
    return _delimited(1, *entries)


def decode(record: bytes, name: str) -> dict[str, Value]:
    """The features of an Example by name.

    Args:
        record: The bytes of the Example.
        name: The file's name in errors.

    Raises:
        CorruptObjectError: the bytes are not an Example.
    """
    features: dict[str, Value] = {}
    for message in _submessages(record, 1, name):
        for entry in _submessages(message, 1, name):
            key, value = "", b""
            for field, content in _fields(entry, name):
                if field == 1 and isinstance(content, bytes):
                    key = content.decode(errors="replace")
                elif field == 2 and isinstance(content, bytes):
                    value = content
            features[key] = _feature(value, name)
    return features


def _feature(message: bytes, name: str) -> Value:
    kind, content = 1, b""
    for field, part in _fields(message, name):
        if field in (1, 2, 3) and isinstance(part, bytes):
            kind, content = field, part
    values = [value for field, value in _fields(content, name) if field == 1]
    if kind == 1:
        return [value for value in values if isinstance(value, bytes)]
    if kind == 2:  # an unpacked float is a field of four bytes, so joining works for both forms
        joined = b"".join(value for value in values if isinstance(value, bytes))
        if len(joined) % 4:
            raise _malformed(name, "floats of a broken length")
        return np.frombuffer(joined, "<f4")
    packed = b"".join(value if isinstance(value, bytes) else varint(value) for value in values)
    return from_varints(np.frombuffer(packed, np.uint8), name)


def _submessages(message: bytes, wanted: int, name: str) -> Iterator[bytes]:
    for field, content in _fields(message, name):
        if field == wanted and isinstance(content, bytes):
            yield content


def _fields(message: bytes, name: str) -> Iterator[tuple[int, bytes | int]]:
    """Field numbers and contents of a message: int for a varint, otherwise bytes."""
    at = 0
    while at < len(message):
        tag, at = _read_varint(message, at, name)
        wire = tag & 7
        if wire == _VARINT:
            number, at = _read_varint(message, at, name)
            yield tag >> 3, number
            continue
        if wire == _DELIMITED:
            length, at = _read_varint(message, at, name)
        elif wire in (_FIXED32, _FIXED64):
            length = 4 if wire == _FIXED32 else 8
        else:
            raise _malformed(name, f"wire type {wire}")
        if at + length > len(message):
            raise _malformed(name, "a field that is longer than its message")
        yield tag >> 3, message[at : at + length]
        at += length


def _read_varint(message: bytes, at: int, name: str) -> tuple[int, int]:
    number = 0
    for group in range(_MAX_VARINT_BYTES):
        if at >= len(message):
            break
        byte = message[at]
        at += 1
        number |= (byte & 0x7F) << 7 * group
        if byte < 0x80:
            return number, at
    raise _malformed(name, "a number that does not end")


def _malformed(name: str, what: str) -> CorruptObjectError:
    return CorruptObjectError(f"{name} has a record that is not a tf.train.Example: {what}", hint="write it again")
