"""The encodings between Terraform and the providers that replace Google's."""

from __future__ import annotations

import pytest

from infra.google_cloud import wire


@pytest.mark.parametrize(
    "value",
    [None, True, False, 0, 127, 128, -1, -33, 1 << 40, 0.5, "", "é" * 40, "x" * 70000, [], [1, [None]], list(range(20)),
     {}, {"a": {"b": [wire.UNKNOWN]}}, {str(number): number for number in range(20)}],
)  # fmt: skip
def test_values_travel_unchanged(value: object) -> None:
    assert wire.value_of(wire.dynamic(value)) == value


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"\xe0", -32), (b"\xcc\xff", 255), (b"\xcd\x01\x00", 256), (b"\xd1\xff\x00", -256),
        (b"\xca\x3f\x00\x00\x00", 0.5),
        (b"\xa1a", "a"), (b"\xd9\x01a", "a"), (b"\xda\x00\x01a", "a"), (b"\x91\xc3", [True]),
        (b"\xdc\x00\x01\xc0", [None]),
        (b"\x81\xa1a\x05", {"a": 5}), (b"\xde\x00\x01\xa1a\x05", {"a": 5}),
        (b"\x92\xd4\x00\x00\x01", [wire.UNKNOWN, 1]),
        (b"\x92\xc7\x03\x0c\x81\x01\xc2\x01", [wire.UNKNOWN, 1]),
    ],
)  # fmt: skip
def test_shorter_forms_that_terraform_writes(content: bytes, value: object) -> None:
    assert wire.unpacked(content) == value


def test_a_value_that_ends_early() -> None:
    with pytest.raises(ValueError, match="ends early"):
        wire.unpacked(b"\x01\x02")


def test_fields_of_messages() -> None:
    content = wire.field(1, "name") + wire.field(2, 300) + b"\x19" + bytes(8) + wire.field(20, b"x" * 200)
    assert wire.message(content) == {1: b"name", 2: 300, 3: bytes(8), 20: b"x" * 200}
