"""One text of a date or of a time of day."""

from __future__ import annotations

import datetime as dt

import pytest

from cloudlstm.market.sources import date_texts


def day(text: str, order: date_texts.Order) -> dt.date | None:
    found = date_texts.day(date_texts.written(text), order)
    return None if found == date_texts.NO_DATE else dt.date(1970, 1, 1) + dt.timedelta(found)


def test_years_of_two_digits_begin_with_1969() -> None:
    assert day("12/31/69", "mdy") == dt.date(1969, 12, 31)
    assert day("12/31/68", "mdy") == dt.date(2068, 12, 31)


@pytest.mark.parametrize("order", ["ymd", "mdy", "dmy", "yy", "roc"])
def test_a_year_of_four_digits_or_a_named_month_needs_no_order(order: date_texts.Order) -> None:
    for text in ("2024-02-03", "20240203", "3 Feb 2024", "Feb 3, 24"):
        assert day(text, order) == dt.date(2024, 2, 3)


@pytest.mark.parametrize(
    ("text", "order", "month"), [("02/03/24", "mdy", 2), ("02/03/24", "dmy", 3), ("24/02/03", "yy", 2),
                                 ("113/02/03", "roc", 2), ("02/03/24", "ymd", None), ("02/03/124", "mdy", None)],
)  # fmt: skip
def test_the_order_says_what_the_numbers_are(text: str, order: date_texts.Order, month: int | None) -> None:
    found = day(text, order)
    assert (found and found.month) == month
    assert found is None or found.year == 2024


@pytest.mark.parametrize(
    ("text", "second", "offset"),
    [
        ("T09:30:15.250", 34_215, None),
        (" 3:00 PM", 54_000, None),
        (" 12:00 a.m.", 0, None),
        (" 下午 3:00", 54_000, None),
        ("T093015Z", 34_215, 0),
        (" 09:30 +0530", 34_200, 19_800),
        (" 09:30-05:00", 34_200, -18_000),
        (" 09:30 UTC+8", 34_200, 28_800),
        (" 09:30 EST", 34_200, None),
        (" 24:00", 0, None),
    ],
)
def test_a_time_of_day_is_read(text: str, second: int, offset: int | None) -> None:
    assert date_texts.time(text) == (second, date_texts.NO_OFFSET if offset is None else offset)
