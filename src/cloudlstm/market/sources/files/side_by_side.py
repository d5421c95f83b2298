"""Headers that name several tickers side by side, as yfinance writes them.

`yf.download(...).to_csv` writes two header rows, one with prices and one with tickers, and a third one with the name of
the index. In Parquet the names are pairs as text, as in "('Close', 'AAPL')". Others join the two, as in Close_AAPL.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass

from cloudlstm.market.bars import PRICES
from cloudlstm.market.sources.files import column_names

_FIELDS = (*PRICES, "adj_close", "volume")
_INDEX_NAMES = ("", "date", "datetime", "price", "ticker", "tickers", "attributes", "symbols", "symbol")
_COPY = re.compile(r"\.\d+$")
_NUMBER = re.compile(r"^[\d.,]+$")
_WORDS = re.compile(r"[^a-z0-9]")
_SEPARATORS = ("_", " ", ".", "-")

_NO_TICKERS = frozenset(
    column_names.listed(
        "px adj adjusted unadjusted unadj raw usd eur gbp gbx jpy cny inr chf hkd daily day bid ask mid last "
        "price float float64 double int64 int object string nan none value values d1"
    )
)
"""Words around the names of prices, or in a row of units below them, that are no ticker."""

Pair = tuple[str, str]
"""The field and the ticker of a column, in any order."""


@dataclass(frozen=True, slots=True)
class Series:
    """The columns of one series of bars.

    Attributes:
        ticker: Its ticker, if the header names it; None if a column or the file's name does.
        columns: Column of bars -> position in the file.
    """

    ticker: str | None
    columns: dict[str, int]


def two_rows(rows: Sequence[Sequence[str]]) -> tuple[tuple[Series, ...], int]:
    """Returns the series, and the number of header lines, if the first rows are one of prices and one of tickers.

    Args:
        rows: The cells of some lines.

    Returns:
        The series, none if these lines are no such header; and the number of lines before the first row of bars.
    """
    if len(rows) < 2 or len(rows[0]) != len(rows[1]) or len(rows[0]) < 3:
        return (), 0
    upper, lower = list(rows[0]), list(rows[1])
    if any(cell[0].strip().lower() not in _INDEX_NAMES for cell in (upper, lower)):
        return (), 0
    for fields, tickers in ((upper, lower), (lower, upper)):
        tickers = _filled(tickers)
        pairs = [
            None,
            *((_COPY.sub("", field), ticker.strip()) for field, ticker in zip(fields[1:], tickers[1:], strict=True)),
        ]
        named = all(pair[1] and _field(pair[1]) is None for pair in pairs if pair)
        numbers = all(_NUMBER.match(pair[1]) for pair in pairs if pair)
        if (
            named
            and not (numbers and "ticker" not in {upper[0].lower(), lower[0].lower()})
            and (found := _series(pairs, 0))
        ):
            index_row = len(rows) > 2 and not any(cell.strip() for cell in rows[2][1:])
            return found, 3 if index_row else 2
    return (), 0


def _filled(cells: Sequence[str]) -> list[str]:
    """Returns the cells with each empty one replaced by the one before it, and without the .1 that pandas adds."""
    filled: list[str] = []
    for cell in cells:
        base = _COPY.sub("", cell)
        name = base if base in filled else cell
        filled.append(name or (filled[-1] if len(filled) > 1 else ""))
    return filled


def joined_names(names: Sequence[str]) -> tuple[Series, ...]:
    """Returns the series of a header such as Date,Close_AAPL,Close_MSFT,…; none if it is none."""
    date = _date_place(names)
    if date is None:
        return ()
    for separator in _SEPARATORS:
        for ticker_first in (False, True):
            pairs: list[tuple[str, str] | None] = []
            for name in names:
                left, _, right = name.partition(separator) if ticker_first else name.rpartition(separator)
                pair = (right, left) if ticker_first else (left, right)
                pairs.append(pair if _field(pair[0]) and _is_other(pair[1]) else None)
            if found := _series(pairs, date):
                return found
    return ()


def _is_other(word: str) -> bool:
    """True for a word that is no name of a price: a ticker, or one that stands around all names, as in adj_close."""
    return bool(word) and (_field(word) is None or word.lower() in _NO_TICKERS)


def _date_place(names: Sequence[str]) -> int | None:
    """Returns the position of the column of dates: the one with such a name, else an index without a name."""
    named = [place for place, name in enumerate(names) if column_names.column_of(name) == "date"]
    nameless = [place for place, name in enumerate(names) if column_names.is_nameless(name)]
    return next(iter((*named, *nameless)), None)


def _field(name: str) -> str | None:
    column = column_names.column_of(name)
    return column if column in _FIELDS else None


def _series(pairs: Sequence[tuple[str, str] | None], date: int) -> tuple[Series, ...]:
    """Returns a series for each ticker in (field, ticker) pairs; none if no ticker has all prices and a volume.

    Columns that a ticker lacks are missing values. One word around all names that is no ticker, such as PX_, is left
    out: then a column or the file's name tells the ticker.
    """
    columns: dict[str, dict[str, int]] = {}
    for place, pair in enumerate(pairs):
        swapped = pair if pair is None or _field(pair[0]) else (pair[1], pair[0])
        column = _field(swapped[0]) if swapped else None
        if swapped and column and swapped[1]:
            columns.setdefault(swapped[1], {"date": date}).setdefault(column, place)
    if not any(set(found).issuperset((*PRICES, "volume")) for found in columns.values()):
        return ()
    if all(_WORDS.sub("", ticker.lower()) in _NO_TICKERS for ticker in columns):
        return (Series(None, next(iter(columns.values()))),) if len(columns) == 1 else ()
    return tuple(Series(ticker, found) for ticker, found in columns.items())


def paired_columns(names: Sequence[str]) -> tuple[Series, ...]:
    """Returns the series of a Parquet file whose names are pairs as text, as in "('Close', 'AAPL')"; none if not."""
    pairs: list[tuple[str, str] | None] = []
    for name in names:
        try:
            pair = ast.literal_eval(name) if name.startswith("(") else None
        except (ValueError, SyntaxError):
            pair = None
        pairs.append(tuple(map(str, pair)) if isinstance(pair, tuple) and len(pair) == 2 else None)  # type: ignore[arg-type]
    if not any(pairs):
        return ()
    heads = [name if pair is None else pair[0] if not pair[1] else "-" for name, pair in zip(names, pairs, strict=True)]
    date = _date_place(heads)
    return () if date is None else _series(pairs, date)
