"""Numbers as people write them are read in the one convention of their file, or refused."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudlstm.errors import UnreadableSourceError
from cloudlstm.market.sources import numbers
from cloudlstm.market.sources.numbers import DecimalMark


def column(*texts: str | None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(texts, pa.string())])


def read(text: str, mark: DecimalMark = ".") -> float | str | None:
    """The number; None if the text stands for no value; "unreadable"."""
    parsed = numbers.parse(column(text), mark)
    assert parsed.values.type == pa.float64()
    value: float | None = parsed.values[0].as_py()
    if parsed.unreadable[0]:
        assert value is None
        return "unreadable"
    return value


def mark_of(likely: DecimalMark | None = None, **texts: str) -> DecimalMark:
    """The decimal mark of columns whose values stand here with blanks between them."""
    return numbers.decimal_mark(
        {name: column(*value.split()) for name, value in texts.items()},
        None,
        "file:///x.csv",
        likely=likely,
        volumes=[name for name in texts if name not in ("open", "high", "low", "close")],
    )


@pytest.mark.parametrize(
    ("text", "mark", "number"),
    [
        ("12.34", ".", 12.34),
        (" 12.34 ", ".", 12.34),
        ("12,34", ",", 12.34),
        ("1,234.56", ".", 1234.56),
        ("1.234,56", ",", 1234.56),
        ("1.234", ".", 1.234),
        ("1.234", ",", 1234.0),
        ("1,234,567", ".", 1234567.0),
        ("12,34,567.8", ".", 1234567.8),
        ("1 234,5", ",", 1234.5),
        ("1\u00a0234.5", ".", 1234.5),
        ("1\u202f234,5", ",", 1234.5),
        ("1'234.50", ".", 1234.5),
        ("1’234.50", ".", 1234.5),
        ("1_000", ".", 1000.0),
        ("３４．５", ".", 34.5),
        (".5", ".", 0.5),
        (",5", ",", 0.5),
        ("5.", ".", 5.0),
        ("1e-5", ".", 1e-5),
        ("1.5E+3", ".", 1500.0),
        ("$208.62", ".", 208.62),
        ("-$5.00", ".", -5.0),
        ("$-5.00", ".", -5.0),
        ("€ 1.234,50", ",", 1234.5),
        ("R$ 1.234,50", ",", 1234.5),
        ("12,50 kr", ",", 12.5),
        ("12.5 CHF", ".", 12.5),
        ("USD12.5", ".", 12.5),
        ("¥1,234", ".", 1234.0),
        ("(1.23)", ".", -1.23),
        ("($1.23)", ".", -1.23),
        ("−1.23", ".", -1.23),
        ("+1.23", ".", 1.23),
        ("+ 1.23", ".", 1.23),
        ("51.43M", ".", 51.43e6),
        ("51,43 Mio", ",", 51.43e6),
        ("2.5k", ".", 2500.0),
        ("1.2B", ".", 1.2e9),
        ("1,2 Mrd.", ",", 1.2e9),
        ("3T", ".", 3e12),
        ("1.2 million", ".", 1.2e6),
        ("2,5 тыс.", ",", 2500.0),
        ("1.1万", ".", 11_000.0),
        ("2.5亿", ".", 2.5e8),
        ("1.5 Cr", ".", 1.5e7),
    ],
)
def test_a_number_is_read(text: str, mark: DecimalMark, number: float) -> None:
    assert read(text, mark) == pytest.approx(number, rel=1e-15)


@pytest.mark.parametrize("text", ["", "  ", "-", "--", "—", "N/A", "#N/A", "NA", "n/a", "null", "None", "nan", "*"])
def test_a_sign_for_no_value_is_missing(text: str) -> None:
    assert read(text) is None


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ("1,23", "."),
        ("1.23", ","),
        ("40,2414", "."),
        ("1,234.5", ","),
        ("12%", "."),
        ("1,,234", "."),
        ("1,23,4", "."),
        ("1 23", "."),
        ("1.2.3", "."),
        ("1,234 567", "."),
        ("12.34.567", ","),
        ("1234,567", "."),
        ("(5", "."),
        ("-(5)", "."),
        ("+-5", "."),
        ("inf", "."),
        ("1e999", "."),
        ("1e999M", "."),
        ("M", "."),
        ("$", "."),
        ("halted", "."),
    ],
)
def test_any_other_text_is_unreadable(text: str, mark: DecimalMark) -> None:
    assert read(text, mark) == "unreadable"


def test_each_row_has_its_own_result() -> None:
    parsed = numbers.parse(column("1.5", None, "x", "", "$2", "1,000"), ".")
    assert parsed.values.to_pylist() == [1.5, None, None, None, 2.0, 1000.0]
    assert parsed.unreadable.tolist() == [False, False, True, False, False, False]


@pytest.mark.parametrize(
    ("marks", "mark"),
    [
        ({"close": "1,234.56 992"}, "."),
        ({"close": "1.234,56 992"}, ","),
        ({"close": "40,2414"}, ","),
        ({"close": "992.09 1,003"}, "."),
        ({"close": "992,09 1.003"}, ","),
        ({"close": "1,234,567"}, "."),
        ({"close": "1.234.567 1.234"}, ","),
        ({"close": "0,123"}, ","),
        ({"close": "12 13"}, "."),
        ({"close": "1.234"}, "."),
        ({"close": "992 1,003"}, "."),
        ({"close": "40", "Vol.": "1,234"}, "."),
        ({"close": "1,234", "volume": "1,234,567"}, "."),
        ({"close": "$1,234", "volume": "51,43M"}, ","),
        ({"close": "1,234.5 1,235.5 1.234,5"}, "."),
        ({"close": "1.234,5 1.235,5 1,234.5"}, ","),
    ],
)
def test_the_columns_together_decide_the_mark(marks: dict[str, str], mark: DecimalMark) -> None:
    assert mark_of(**marks) == mark


def test_what_can_be_read_in_two_ways_follows_the_likely_mark_or_is_an_error() -> None:
    assert mark_of(likely=",", close="1,234") == ","
    assert mark_of(likely=",", close="1,234.5") == "."
    with pytest.raises(UnreadableSourceError, match=r"1\.234 in the column 'close'"):
        mark_of(likely=",", close="1.234")
    with pytest.raises(UnreadableSourceError, match=r"1,234 in the column 'close' is 1234 with .* and 1.234 with") as e:
        mark_of(close="1,234 2,345")
    assert e.value.hint == 'market.decimal="," or market.decimal="."'
    assert numbers.decimal_mark({"close": column("1,234")}, ",", "file:///x.csv") == ","


def test_columns_of_numbers_are_read_as_they_are() -> None:
    for array in (
        pa.array([1, None, 3], pa.uint64()),
        pa.array([1.0, None, 3.0], pa.float32()),
        pa.array([1.0, float("nan"), 3.0], pa.float64()),
        pa.array([1, None, 3], pa.int32()).cast(pa.decimal128(12, 2)),
        pa.array(["1", None, "3"], pa.large_string()),
        pa.array(["1", None, "3"], pa.string_view()),
        pa.array(["1", None, "3"]).dictionary_encode(),
    ):
        parsed = numbers.parse(pa.chunked_array([array.slice(0, 1), array.slice(1)]), ".")
        assert parsed.values.to_pylist() == [1.0, None, 3.0]
        assert not parsed.unreadable.any()
        assert len(numbers.parse(pa.chunked_array([], array.type), ".").values) == 0


def test_infinity_is_unreadable() -> None:
    parsed = numbers.parse(pa.chunked_array([[1.0, float("inf")]]), ".")
    assert parsed.values.to_pylist() == [1.0, None]
    assert parsed.unreadable.tolist() == [False, True]


@given(
    st.lists(st.decimals(-(10**9), 10**9, places=2), min_size=1, max_size=20),
    st.sampled_from((",.", ".,", " ,", " .", "’.", "_.", "\u202f,", "\u00a0,")),
    st.sampled_from(("{}", "${}", "{} €", "USD {}", "  {} ")),
)
def test_what_is_written_in_one_convention_is_read_back(written: list[Decimal], convention: str, currency: str) -> None:
    thousands, mark = convention
    swap = {",": thousands, ".": mark}
    texts = [currency.format("".join(swap.get(c, c) for c in f"{number:,.2f}")) for number in written]
    found = numbers.decimal_mark({"close": column(*texts)}, None, "file:///x.csv")
    assert found == mark
    parsed = numbers.parse(column(*texts), found)
    assert parsed.values.to_pylist() == [pytest.approx(float(number)) for number in written]
