from __future__ import annotations

import random
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudlstm.dataset import example, tfrecord
from cloudlstm.errors import CorruptObjectError

DATES = np.array([14_610, 16_383, 16_384, 20_088])


def an_example() -> bytes:
    packed, _ = example.varints(DATES)
    return example.encode(
        {
            "ticker": example.bytes_feature([b"BRK.B"]),
            "dates": example.int64_feature(packed.tobytes()),
            "values": example.float_feature(np.arange(8, dtype=np.float32).reshape(4, 2)),
        }
    )


def test_the_checksum_is_the_published_one() -> None:
    # RFC 3720, B.4: CRC-32C of 32 zero bytes is 8a9136aa; masked as record_writer.h does it.
    crc = 0x8A9136AA
    assert tfrecord.masked_crc(bytes(32)) == (((crc >> 15) | (crc << 17)) + 0xA282EAD8) % 2**32


def test_records_survive_their_file() -> None:
    payloads = [b"", b"a", bytes(range(256)) * 10]
    assert list(tfrecord.records(b"".join(map(tfrecord.frame, payloads)), "x")) == payloads


@pytest.mark.parametrize("seed", range(20))
def test_a_flipped_bit_anywhere_is_found_and_the_object_named(seed: int) -> None:
    data = bytearray(tfrecord.frame(an_example()) + tfrecord.frame(b"second"))
    place = random.Random(seed).randrange(len(data))
    data[place] ^= 1 << seed % 8
    with pytest.raises(CorruptObjectError, match="s3://bucket/shard"):
        list(tfrecord.records(bytes(data), "s3://bucket/shard"))


@pytest.mark.parametrize("length", [3, 11, 12, 40, -1])
def test_a_file_that_stops_early_is_found(length: int) -> None:
    with pytest.raises(CorruptObjectError, match="ends inside"):
        list(tfrecord.records(tfrecord.frame(an_example())[:length], "x"))


@given(st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_varints_survive_their_bytes(numbers: list[int]) -> None:
    packed, offsets = example.varints(numbers)
    assert example.from_varints(packed, "x").tolist() == numbers
    for number, start, stop in zip(numbers, offsets[:-1], offsets[1:], strict=True):
        if number >= 0:
            assert packed[start:stop].tobytes() == example.varint(number)


def test_an_example_survives_its_bytes() -> None:
    features = example.decode(an_example(), "x")
    assert features["ticker"] == [b"BRK.B"]
    np.testing.assert_array_equal(features["dates"], DATES)
    np.testing.assert_array_equal(features["values"], np.arange(8))


def test_other_writers_may_order_and_pack_differently() -> None:
    """By hand: `values` before `ticker`, floats and integers unpacked, the map's value before its key."""

    def field(number: int, content: bytes) -> bytes:
        return bytes([number << 3 | 2, len(content)]) + content

    floats = field(2, b"".join(b"\x0d" + np.float32(x).tobytes() for x in (1.5, -2.0)))
    integers = field(3, b"\x08\x05\x08\xac\x02")  # 5, 300
    entries = [
        field(2, floats) + field(1, b"values"),
        field(1, b"dates") + field(2, integers),
        field(1, b"ticker") + field(2, field(1, field(1, b"A"))),
    ]
    features = example.decode(field(1, b"".join(field(1, entry) for entry in entries)), "x")
    assert features["ticker"] == [b"A"]
    np.testing.assert_array_equal(features["values"], np.float32([1.5, -2.0]))
    np.testing.assert_array_equal(features["dates"], [5, 300])


@given(st.binary(max_size=60))
def test_bytes_that_are_no_example_never_crash_the_reader(noise: bytes) -> None:
    with suppress(CorruptObjectError):
        example.decode(noise, "shard")
