"""Parses numbers as people write them: currencies, thousands marks, decimal commas, K/M/B, brackets, full-width digits.

Whether a comma or a point is the decimal mark is decided once for a file, from all its number columns. A text that is
no number in that convention is unreadable; it is never guessed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cloudlstm.errors import UnreadableSourceError
from cloudlstm.market import columns

DecimalMark = Literal[".", ","]
"""The character between whole number and fraction."""

_MARKS: tuple[DecimalMark, DecimalMark] = (".", ",")

MISSING = frozenset(
    ("", "-", "--", "---", "–", "—", "*", ".", "..", "...", "n/a", "#n/a", "#n/a n/a", "na", "n.a.", "<na>", "nan",
     "nat", "null", "none", "nil", "nd", "n.d.", "k.a.", "missing", "#value!", "#div/0!", "\\n", "无", "無")
)  # fmt: skip
"""Texts for a value that is not there, in lower case."""

_SCALES = {
    1e3: "k tsd tys тыс 千 thousand", 1e4: "万 萬 만", 1e5: "lakh lac", 1e6: "m mm mn mio mln млн million",
    1e7: "cr crore", 1e8: "亿 億 억", 1e9: "b bn mrd mld mlrd млрд billion", 1e12: "t tn трлн trillion",
}  # fmt: skip
_SCALE = {unit: scale for scale, units in _SCALES.items() for unit in units.split()}
_CODES = (
    "USD EUR GBP GBX JPY CNY RMB INR KRW CHF SEK NOK DKK ISK HKD TWD SGD AUD CAD NZD BRL MXN CLP COP ARS ZAR PLN CZK "
    "HUF TRY RUB ILS THB IDR MYR PHP VND AED SAR PKR EGP"
)
_CURRENCY = rf"(?:{'|'.join(_CODES.split())}|R\$|US\$|HK\$|NT\$|[ACS]\$|[kK]r\.?|Rs\.?|Fr\.|zł|[$€£¥₹₩₽₺₫฿₪₱₦元円원])"
_SIGN = r"\s?[$€£¥₹₩]\s?"
_WRITTEN = re.compile(
    rf"(?P<open>\()?\s*(?P<sign>[+−-])?\s*{_CURRENCY}?\s*(?P<sign_after>[+−-])?\s*"
    r"(?P<whole>[0-9](?:[0-9.,'’_ ]*[0-9])?[.,]?|[.,][0-9]+)(?P<exponent>[eE][+-]?[0-9]+)?\s*"
    rf"(?:(?P<unit>{'|'.join(sorted(_SCALE, key=len, reverse=True))})\.?)?\s*{_CURRENCY}?\s*(?P<close>\))?",
    re.IGNORECASE,
)
_NOISE = r"[eE][+-]?[0-9]+|\pL+\.?|[^0-9.,]"


@dataclass(frozen=True)
class Numbers:
    """A parsed column."""

    values: pa.ChunkedArray
    """float64; null where the value is missing or unreadable."""
    unreadable: NDArray[np.bool_]
    """For each row, whether it has a text that is no number."""


def decimal_mark(
    columns: Mapping[str, pa.ChunkedArray],
    configured: DecimalMark | None,
    uri: str,
    *,
    likely: DecimalMark | None = None,
    volumes: Collection[str] = (),
) -> DecimalMark:
    """Returns the decimal mark of a file.

    Texts such as 1,234.56 or 40,2414 decide; of two contradictory kinds the more frequent one. `1,234` can be read in
    two ways: it is a whole number in a column of volumes; else whole numbers in the column or `likely` decide.

    Args:
        columns: The number columns, of any type, by the file's name for each.
        configured: The setting `market.decimal`; if given, it is the answer.
        uri: The file, for the error message.
        likely: The mark to expect in such a file, as the comma in a file delimited by semicolons.
        volumes: The file's names of columns of volumes, which are whole numbers.

    Raises:
        UnreadableSourceError: if nothing decides; the message reads a value in both ways.
    """
    if configured:
        return configured
    written = {name: column for name, column in columns.items() if _is_text(column.type)}
    if likely != "," and not any(_has_marks(column) for column in written.values()):
        return "."
    texts = {name: _bare(_distinct(column)) for name, column in written.items()}
    points, commas = (sum(_count(text, _decisive(mark)) for text in texts.values()) for mark in _MARKS)
    if points or commas:
        return "." if points >= commas else ","
    both = [(name, mark) for name, text in texts.items() for mark in _MARKS if _count(text, _undecided(mark))]
    if not both or any(mark == "," and (name in volumes or _thousands_fit(texts[name])) for name, mark in both):
        return "."
    name, mark = both[0]
    if {mark for _, mark in both} == {likely}:
        return mark
    if likely is None and all(mark == "." for _, mark in both):
        return "."
    first = next(value for value in texts[name].to_pylist() if re.match(_undecided(mark), value))
    point, comma = (f"{_digits(first, mark):g}" for mark in _MARKS)
    raise UnreadableSourceError(
        f"{uri}: {first} in the column {name!r} is {point} with a decimal point and {comma} with a decimal comma",
        hint='market.decimal="," or market.decimal="."',
    )


def shown_mark(columns: Iterable[pa.ChunkedArray]) -> DecimalMark | None:
    """Returns the decimal mark with which alone some texts can be read; None if there is none, or both.

    Args:
        columns: Number columns of text.
    """
    texts = [_bare(_distinct(column)) for column in columns]
    shown = [mark for mark in _MARKS if any(_count(text, _decisive(mark)) for text in texts)]
    return shown[0] if len(shown) == 1 else None


def _has_marks(column: pa.ChunkedArray) -> bool:
    """Whether a text has a comma or two points. A point alone is a decimal mark, as programs write it."""
    texts = [chunk.dictionary for chunk in column.chunks] if pa.types.is_dictionary(column.type) else column.chunks
    return any(
        pc.any(pc.or_(pc.match_substring(text, ","), pc.greater(pc.count_substring(text, "."), 1))).as_py()
        for text in (chunk.cast(pa.string()) for chunk in texts)
    )


def _bare(text: pa.Array) -> pa.Array:
    """Returns only the digits, commas and points of texts."""
    return pc.replace_substring_regex(pc.utf8_normalize(text, "NFKC"), _NOISE, "")


def _distinct(column: pa.ChunkedArray) -> pa.Array:
    """Returns the distinct texts of a text column, without nulls."""
    unique = column.unique()
    if pa.types.is_dictionary(unique.type):
        unique = unique.dictionary_decode()
    return unique.cast(pa.string()).drop_null()


def _is_text(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _decisive(mark: DecimalMark) -> str:
    """Returns the pattern of texts that can be read with this decimal mark only."""
    d, t = (r"\.", ",") if mark == "." else (",", r"\.")
    both = rf"[0-9]{{1,3}}(?:{t}[0-9]{{2,3}})*{t}[0-9]{{3}}{d}[0-9]*"
    two_groups = rf"[0-9]{{1,3}}(?:{t}[0-9]{{2,3}})+{t}[0-9]{{3}}"
    fraction = rf"[0-9]*{d}(?:[0-9]{{0,2}}|[0-9]{{4,}})|0[0-9]*{d}[0-9]{{3}}|[0-9]{{4,}}{d}[0-9]{{3}}|{d}[0-9]+"
    return f"^(?:{both}|{two_groups}|{fraction})$"


def _undecided(mark: DecimalMark) -> str:
    """Returns the pattern of texts such as 1,234: the mark is a decimal mark or a thousands mark."""
    return rf"^[1-9][0-9]{{0,2}}{re.escape(mark)}[0-9]{{3}}$"


def _count(text: pa.Array | None, pattern: str) -> int:
    return 0 if text is None else int(pc.sum(pc.match_substring_regex(text, pattern)).as_py() or 0)


def _thousands_fit(text: pa.Array) -> bool:
    """Whether values such as 1,003 stand beside whole numbers of their size, as 992, when read as thousands."""
    plain = text.filter(pc.match_substring_regex(text, r"^[1-9][0-9]*$"))
    grouped = text.filter(pc.match_substring_regex(text, _undecided(",")))
    if not len(plain):
        return False
    usual = float(np.median(plain.cast(pa.float64()).to_numpy()))
    sizes = pc.replace_substring(grouped, ",", "").cast(pa.float64()).to_numpy()
    return bool(np.median(np.abs(np.log(sizes / usual))) < np.log(30.0))


def parse(column: pa.ChunkedArray, mark: DecimalMark) -> Numbers:
    """Parses a column of any type to float64.

    Args:
        column: Numbers of any width, or text.
        mark: The decimal mark of texts, see `decimal_mark`.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):  # parse each distinct text once
        array = columns.one_chunk(column)
        numbers = parse(pa.chunked_array([array.dictionary]), mark)
        code = columns.codes_of(array)
        unreadable = np.append(numbers.unreadable, False)[code]
        return Numbers(pa.chunked_array([columns.one_chunk(numbers.values).take(array.indices)]), unreadable)
    if not _is_text(kind):
        return _cast(column)
    text = columns.one_chunk(column.cast(pa.string())) if len(column) else pa.array([], pa.string())
    if mark == "." and (fast := _fast(text)) is not None:
        return Numbers(pa.chunked_array([fast]), np.zeros(len(text), np.bool_))
    text = pc.utf8_trim_whitespace(text)
    values = _plain_values(text, mark)
    rest = np.isnan(values) & text.is_valid().to_numpy(zero_copy_only=False)
    if rest.any():
        left = text.filter(pa.array(rest))
        values[rest] = _plain_values(pc.replace_substring_regex(left, rf"^([+-]?){_SIGN}|{_SIGN}$", r"\1"), mark)
        rest &= np.isnan(values)
        code, texts = columns.codes(pa.chunked_array([text.filter(pa.array(rest))]))
        values[rest] = np.array([_number(value or "", mark) for value in texts])[code]
    infinite: NDArray[np.bool_] = np.isinf(values)
    values[infinite] = np.nan
    return Numbers(pa.chunked_array([pa.array(values, from_pandas=True)]), infinite)


def _fast(text: pa.Array) -> pa.Array | None:
    """Parses by Arrow; None if a text is not a plain number."""
    try:
        values = text.cast(pa.float64())
    except pa.ArrowInvalid:
        return None
    return values if np.isfinite(columns.filled(values, 0.0)).all() else None


def _plain_values(text: pa.Array, mark: DecimalMark) -> NDArray[np.float64]:
    """Parses the texts that Arrow can parse once their thousands marks are gone; NaN for others."""
    regular = pc.if_else(pc.match_substring_regex(text, _plain(mark)), text, pa.scalar(None, pa.string()))
    if mark == ",":
        regular = pc.replace_substring(pc.replace_substring(regular, ".", ""), ",", ".")
    else:
        regular = pc.replace_substring(regular, ",", "")
    return columns.filled(regular.cast(pa.float64()), np.nan).copy()


def _cast(column: pa.ChunkedArray) -> Numbers:
    """Converts a column that is no text; a type without numbers, such as dates, is unreadable."""
    kind = column.type
    if pa.types.is_null(kind) or pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        array = columns.one_chunk(column.cast(pa.float64(), safe=False))
        if not array.null_count and np.isfinite(array.to_numpy()).all():
            return Numbers(pa.chunked_array([array]), np.zeros(len(array), np.bool_))
        values = columns.filled(array, np.nan)
        infinite: NDArray[np.bool_] = np.isinf(values)
        return Numbers(pa.chunked_array([pa.array(np.where(infinite, np.nan, values), from_pandas=True)]), infinite)
    unreadable: NDArray[np.bool_] = column.is_valid().to_numpy()
    return Numbers(pa.chunked_array([pa.nulls(len(column), pa.float64())]), unreadable)


def _plain(mark: DecimalMark) -> str:
    """Returns the pattern of plain numbers, with or without thousands marks."""
    d, t = (r"\.", ",") if mark == "." else (",", r"\.")
    return rf"^[+-]?(?:(?:[0-9]+|[0-9]{{1,3}}(?:{t}[0-9]{{3}})+)(?:{d}[0-9]*)?|{d}[0-9]+)(?:[eE][+-]?[0-9]+)?$"


def _number(text: str, mark: DecimalMark) -> float:
    """Parses one text; NaN where nothing is written, infinity where it is no number."""
    text = unicodedata.normalize("NFKC", text).strip()
    if text.lower() in MISSING:
        return np.nan
    found = _WRITTEN.fullmatch(text)
    if not found or bool(found["open"]) != bool(found["close"]):
        return np.inf
    signs = [sign for sign in (found["sign"], found["sign_after"], found["open"]) if sign]
    size = _digits(found["whole"], mark, found["exponent"] or "")
    if size is None or len(signs) > 1:
        return np.inf
    size *= _SCALE[found["unit"].lower()] if found["unit"] else 1.0
    return -size if signs and signs[0] != "+" and np.isfinite(size) else size


def _digits(text: str, mark: DecimalMark, exponent: str = "") -> float | None:
    """Parses digits with thousands marks; None if the groups are not of three digits or as in India (12,34,567)."""
    whole, _, fraction = text.partition(mark)
    marks = set(re.sub("[0-9]", "", whole))
    if len(marks) > 1 or (fraction and not fraction.isdigit()):
        return None
    groups: Iterable[str] = re.split("[^0-9]", whole)
    first, *others = groups
    if others:
        even = all(len(group) == 3 for group in others) and 1 <= len(first) <= 3
        indian = marks == {","} and 1 <= len(first) <= 2 and len(others[-1]) == 3
        if not even and not (indian and all(len(group) == 2 for group in others[:-1])):
            return None
    return float(f"{(whole and ''.join((first, *others))) or '0'}.{fraction or '0'}{exponent}")
