"""Numbers and durations as text."""

from __future__ import annotations

import pytest

from cloudlstm.text.numbers import amount, seconds


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.05, "0.05"), (4.1, "4.1"), (950, "950"), (999.9, "1 k"), (1234, "1.23 k"), (12_345, "12.3 k"),
     (123_456, "123 k"), (3_770_000, "3.77 M"), (-12_345, "−12.3 k"), (None, "–")],
)  # fmt: skip
def test_an_amount_has_three_digits(value: float | None, text: str) -> None:
    assert amount(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0 s"), (0.04, "0 s"), (7.4, "7.4 s"), (42, "42 s"), (754, "12 min 34 s"), (3723, "1 h 02 min"),
     (None, "–")],
)  # fmt: skip
def test_a_duration_names_its_units(value: float | None, text: str) -> None:
    assert seconds(value) == text
