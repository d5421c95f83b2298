"""Reads numbers as people and programs write them: 1,234.56, 1.234,56, $208.62, 51.43M, (1.23).

Whether a comma is a decimal mark is decided for a whole file, since `1,234` alone can be both. A text that is there and
is no number is reported as such, and is never taken for a missing value.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cloudlstm.errors import UnreadableSourceError
from cloudlstm.market import columns

DecimalMark = Literal[".", ","]

_MISSING = frozenset(
    ("", "-", "--", "---", "–", "—", "*", ".", "..", "...", "n/a", "#n/a", "na", "n.a.", "nan", "null", "none", "nil",
     "nd", "n.d.", "#value!", "#div/0!", "\\n", "<na>", "missing", "k.a.", "无", "無")
)  # fmt: skip
"""Texts that say that there is no value, in lower case."""

_FACTORS = {
    "k": 1e3, "tsd": 1e3, "m": 1e6, "mn": 1e6, "mm": 1e6, "mio": 1e6, "mln": 1e6, "b": 1e9, "bn": 1e9, "mrd": 1e9,
    "mld": 1e9, "t": 1e12, "tn": 1e12, "万": 1e4, "萬": 1e4, "亿": 1e8, "億": 1e8, "만": 1e4, "억": 1e8, "тыс": 1e3,
    "млн": 1e6, "млрд": 1e9,
}  # fmt: skip
_CURRENCY = (
    r"(?:US\$|HK\$|NT\$|A\$|C\$|S\$|R\$|[$€£¥₹₩₽₺₪฿₫₱]|zł|kr\.?|Rs\.?|"
    r"USD|EUR|GBP|GBX|GBp|JPY|CNY|CHF|INR|KRW|HKD|TWD|CAD|AUD|SEK|NOK|DKK|PLN|BRL|TRY|RUB|MXN|ZAR|元|円|원)"
)
_PLAIN = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_GROUPED = {".": r"^[+-]?\d{1,3}(,\d{3})+(\.\d*)?$", ",": r"^[+-]?(\d{1,3}(\.\d{3})+|\d+)(,\d*)?$"}
_BOTH = {".": r"\d,\d{3}\.\d*", ",": r"\d\.\d{3},\d*"}
_SEVERAL_GROUPS = {".": r"\d{1,3},\d{2,3},\d{3}", ",": r"\d{1,3}\.\d{3}\.\d{3}"}
_ALONE = {".": r"^[^.,]*\d*\.(\d{1,2}|\d{4,})?[^\d.,]*$", ",": r"^[^.,]*\d*,(\d{1,2}|\d{4,})[^\d.,]*$"}
"""By decimal mark: texts that only this mark explains."""
_UNDECIDED = {".": r"^[^.,]*\d{1,3}\.\d{3}[^\d.,]*$", ",": r"^[^.,]*\d{1,3},\d{3}[^\d.,]*$"}
_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers of a column.

    Attributes:
        values: float64; null where a value is missing or is no number.
        unreadable: True where a text is there and is no number, (rows,).
    """

    values: pa.ChunkedArray
    unreadable: NDArray[np.bool_]


def decimal_mark(
    named: Mapping[str, pa.ChunkedArray], configured: DecimalMark | None, uri: str, *, likely: DecimalMark | None = None
) -> DecimalMark:
    """Decides which decimal mark the numbers of a file have.

    Args:
        named: The number columns, by the file's name for each.
        configured: `market.decimal`; then it is the answer.
        uri: The file, for the error message.
        likely: The mark that the rest of the file suggests; it counts where both are possible.

    Raises:
        UnreadableSourceError: if both marks explain the numbers, with different values.
    """
    if configured:
        return configured
    votes: dict[DecimalMark, int] = {".": 0, ",": 0}
    undecided: dict[DecimalMark, str] = {}
    for column in named.values():
        if not _is_text(column.type):
            continue
        texts = _distinct(column)
        for mark in votes:
            pattern = "|".join((_BOTH[mark], _SEVERAL_GROUPS[mark], _ALONE[mark]))
            votes[mark] += pc.sum(pc.match_substring_regex(texts, pattern)).as_py() or 0
            some = texts.filter(pc.match_substring_regex(texts, _UNDECIDED[mark]))
            if len(some):
                undecided.setdefault(mark, some[0].as_py())
    if any(votes.values()):
        return "." if votes["."] >= votes[","] else ","
    if not undecided or (set(undecided) == {"."} and likely != ","):
        return likely or "."
    if set(undecided) == {","} and _only_whole(named):
        return "."
    text = next(iter(undecided.values()))
    comma, point = (parse(pa.chunked_array([[text]]), mark).values[0].as_py() for mark in (",", "."))
    raise UnreadableSourceError(
        f"{uri}: the number {text!r} is {comma:g} with a decimal comma, and {point:g} with a decimal point",
        hint="market.decimal=, or market.decimal=.",
    )


def parse(column: pa.ChunkedArray, mark: DecimalMark) -> Numbers:
    """Reads the numbers of a column of any type.

    Args:
        column: Numbers, or text with numbers.
        mark: The decimal mark of text.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):  # parse each distinct text once
        array = columns.one_chunk(column)
        found = parse(pa.chunked_array([array.dictionary]), mark)
        code = columns.codes_of(array)
        values = found.values.combine_chunks().take(array.indices)
        return Numbers(pa.chunked_array([values]), np.append(found.unreadable, False)[code])
    if not _is_text(kind):
        return _of_numbers(column.cast(pa.float64(), safe=False))
    text = pc.utf8_trim_whitespace(columns.one_chunk(column).cast(pa.string()))
    values, rest = _vectorized(text, mark)
    place = np.flatnonzero(pc.fill_null(rest, pa.scalar(False)).to_numpy(zero_copy_only=False))  # noqa: FBT003
    if not len(place):
        return Numbers(pa.chunked_array([values]), np.zeros(len(text), bool))
    encoded = text.take(pa.array(place)).dictionary_encode()
    parsed = [_number(value, mark) for value in encoded.dictionary.to_pylist()]
    code = columns.codes_of(encoded)
    number = np.array([np.nan if value is None else value for value, _ in parsed])[code]
    result = columns.filled(values, np.nan).copy()
    result[place] = number
    unreadable = np.zeros(len(text), bool)
    unreadable[place] = np.array([wrong for _, wrong in parsed])[code]
    return Numbers(pa.chunked_array([pa.array(result, from_pandas=True)]), unreadable)


def _of_numbers(column: pa.ChunkedArray) -> Numbers:
    """Numbers that are not text. Infinity is no price and no volume."""
    values = columns.floats(column)
    infinite = np.isinf(values)
    if infinite.any():
        column = pa.chunked_array([pa.array(np.where(infinite, np.nan, values), from_pandas=True)])
    return Numbers(column, infinite)


def _vectorized(text: pa.Array, mark: DecimalMark) -> tuple[pa.Array, pa.Array]:
    """Parses the texts that are plain numbers, or have thousands marks; returns also which texts remain."""
    grouped = pc.match_substring_regex(text, _GROUPED[mark])
    plain = pc.match_substring_regex(text, _PLAIN) if mark == "." else pc.match_substring_regex(text, r"^[+-]?\d+$")
    known = pc.or_(plain, grouped)
    used = pc.if_else(known, text, pa.scalar(None, pa.string()))
    if mark == ",":
        used = pc.replace_substring(pc.replace_substring(used, ".", ""), ",", ".")
    else:
        used = pc.replace_substring(used, ",", "")
    values = used.cast(pa.float64())
    infinite = pc.fill_null(pc.is_inf(values), pa.scalar(False))  # noqa: FBT003
    return pc.if_else(infinite, pa.scalar(None, pa.float64()), values), pc.or_(pc.invert(known), infinite)


@lru_cache(maxsize=65536)
def _number(text: str | None, mark: DecimalMark) -> tuple[float | None, bool]:
    """Parses one text; returns the number, None if there is none, and whether the text is no number."""
    plain = unicodedata.normalize("NFKC", text or "").strip().replace("\u2212", "-")
    if plain.lower() in _MISSING:
        return None, False
    negative = plain.startswith("(") and plain.endswith(")")
    plain = plain[1:-1].strip() if negative else plain
    sign = ""
    if plain[:1] in "+-":
        sign, plain = plain[:1], plain[1:].strip()
    plain = re.sub(rf"^{_CURRENCY}\s*|\s*{_CURRENCY}$", "", plain).strip()
    if not sign and plain[:1] in "+-" and plain:
        sign, plain = plain[:1], plain[1:].strip()
    factor = 1.0
    if found := re.search(r"(?<=[\d.,])\s*([^\W\d_]+)\.?$", plain):
        if found[1].lower() not in _FACTORS:
            return None, True
        factor, plain = _FACTORS[found[1].lower()], plain[: found.start()]
    digits = _ungrouped(plain, mark)
    if digits is None:
        return None, True
    value = float(digits) * factor
    if not np.isfinite(value):
        return None, True
    return (-value if negative != (sign == "-") else value), False


def _ungrouped(text: str, mark: DecimalMark) -> str | None:
    """Returns the number with a decimal point and without thousands marks; None if it is no number."""
    if re.fullmatch(r"\d+([ '’_]\d{3})+([.,]\d*)?", text) and not re.match(r"\d{4,}[ '’_]", text):
        text = re.sub(r"[ '’_]", "", text)
    other = "," if mark == "." else "."
    groups = rf"\d{{1,3}}(\{other}\d{{3}})+|\d{{1,2}}(\{other}\d{{2}})+\{other}\d{{3}}"
    if re.fullmatch(rf"({groups})(\{mark}\d*)?", text):
        text = text.replace(other, "")
    if not re.fullmatch(rf"(\d+\{mark}?\d*|\{mark}\d+)([eE][+-]?\d+)?", text):
        return None
    return text.replace(mark, ".")


def _distinct(column: pa.ChunkedArray) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.cast(pa.string())
    texts = pc.utf8_trim_whitespace(columns.one_chunk(column).cast(pa.string()))
    return texts.filter(pc.match_substring_regex(texts, r"\d[.,]"))


def _only_whole(named: Mapping[str, pa.ChunkedArray]) -> bool:
    """True if only the volume has a comma, so that it can only be a thousands mark: shares are whole numbers."""
    with_comma = [name for name, column in named.items() if _is_text(column.type) and _has_comma(column)]
    return all("vol" in name.lower() or "shares" in name.lower() for name in with_comma)


def _has_comma(column: pa.ChunkedArray) -> bool:
    return bool(pc.any(pc.match_substring(_distinct(column), ",")).as_py())


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
