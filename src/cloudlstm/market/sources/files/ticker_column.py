"""The tickers of rows: from a column of the file, or one for all rows."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cloudlstm.config import MarketConfig
from cloudlstm.config.tickers import MOST_LETTERS, ticker
from cloudlstm.errors import UnreadableSourceError
from cloudlstm.market import columns
from cloudlstm.market.sources.files import column_names
from cloudlstm.market.sources.files.header import Header
from cloudlstm.market.sources.files.odd_rows import Texts
from cloudlstm.market.sources.files.side_by_side import Series
from cloudlstm.market.sources.files.ticker_names import ticker_of

_SHOWN = 40
_FLOAT = re.compile(r"\d{3,}\.0")
"""A number of a stock that a program has stored as a decimal number: 600519.0."""
_PLAIN = rf"^[A-Z][A-Z0-9.^=_&-]{{0,{MOST_LETTERS - 1}}}$"
"""The form of almost all tickers; Arrow finds it faster than `ticker` reads them one by one."""
_SHEET_TEXT = re.compile(r"""'(.+)|="(.+)\"""")


def tickers_of_rows(
    texts: Texts,
    series: Series,
    header: Header,
    days: Callable[[], pa.ChunkedArray],
    item: str,
    folder: str,
    config: MarketConfig,
) -> tuple[pa.ChunkedArray, NDArray[np.bool_] | None, list[str]]:
    """Returns the ticker of each row of a series.

    Args:
        texts: The unparsed columns of the file.
        series: The series.
        header: The header of the file.
        days: Returns the dates of the rows; called only if the name of the file counts.
        item: The file.
        folder: URI of the folder of all files.
        config: The settings of the market.

    Returns:
        The tickers; the rows whose text is no ticker, None without a column of tickers; and notes.

    Raises:
        UnreadableSourceError: if nothing tells the ticker.
    """
    n_rows = len(next(iter(texts.values())))
    key = config.columns.get("ticker", "")
    if config.ticker:
        return repeated(config.ticker, n_rows), None, []
    if series.ticker is not None:
        return repeated(header_ticker(series.ticker, item), n_rows), None, []
    place = series.columns.get("ticker")
    if place is None:
        name = ticker_of(item, folder, _first_year(days()), key)
        return repeated(name, n_rows), None, [f"the ticker is taken from the name of the file or its folder: {name}"]
    found = _read_tickers(texts[f"f{place}"], header.names[place])
    name = header.names[place]
    if key or not column_names.is_uncertain(name) or len(values := columns.ranks(found[0])[1]) > 1:
        return found
    try:
        better = ticker_of(item, folder, _first_year(days()))
    except UnreadableSourceError:
        return found
    if better in values:
        return found
    # The column is rather one of a company, a kind of security or a currency.
    note = f"the column {name!r} has one value; the ticker is taken from the file's name: {better}"
    return repeated(better, n_rows), None, [note]


def _first_year(days: pa.ChunkedArray) -> int | None:
    return next((day.as_py().year for day in days if day.is_valid), None)


def _read_tickers(column: pa.ChunkedArray, header: str) -> tuple[pa.ChunkedArray, NDArray[np.bool_], list[str]]:
    """Reads a column of tickers.

    Returns:
        The tickers, null where empty and where the header line is repeated; which rows hold a text that is no ticker;
        and a note if tickers that differ in case only are read as one.
    """
    if not (pa.types.is_dictionary(column.type) or pa.types.is_string(column.type)):
        column = column.cast(pa.string())
    none = ("", header.strip())
    if (plain := _plain_tickers(column, none[1])) is not None:
        return pa.chunked_array([plain]), np.zeros(len(column), bool), []
    code, values = columns.codes(column)
    texts = [_bare((value or "").strip()) for value in values]
    names = [None if text in none else ticker(text) for text in texts]
    distinct = sorted({name for name in names if name is not None})
    place = {name: number for number, name in enumerate(distinct)}
    number_of = np.array([*(-1 if name is None else place[name] for name in names), -1], np.int32)
    wrong = np.array([*(name is None and text not in none for name, text in zip(names, texts, strict=True)), False])
    notes = []
    if len(distinct) < len({text for text, name in zip(texts, names, strict=True) if name is not None}):
        spelt: dict[str, set[str]] = {}
        for text, name in zip(texts, names, strict=True):
            if name is not None:
                spelt.setdefault(name, set()).add(text)
        pair = next(sorted(each) for each in spelt.values() if len(each) > 1)
        notes.append(f"tickers that differ in case only are one: {', '.join(pair[:2])}")
    return pa.chunked_array([columns.from_codes(number_of[code], distinct)]), wrong[code], notes


def _plain_tickers(column: pa.ChunkedArray, header: str) -> pa.DictionaryArray | None:
    """Returns a column of tickers as it is; None if a text may be something else, or a ticker in another form."""
    array = columns.one_chunk(column if pa.types.is_dictionary(column.type) else column.dictionary_encode())
    names = array.dictionary.cast(pa.string())
    if names.null_count or not pc.all(pc.match_substring_regex(names, _PLAIN)).as_py():
        return None
    if pc.any(pc.equal(names, header)).as_py():
        return None
    return pa.DictionaryArray.from_arrays(array.indices.cast(pa.int32()), names)


def _bare(text: str) -> str:
    """Returns the text without the marks by which a spreadsheet keeps zeros in front: '000001, ="000001"."""
    found = _SHEET_TEXT.fullmatch(text)
    bare = text if found is None else found[1] or found[2]
    return bare.removesuffix(".0") if _FLOAT.fullmatch(bare) else bare


def header_ticker(text: str, item: str) -> str:
    """Returns the ticker that a header names.

    Args:
        text: The name in the header.
        item: The file, for the error message.

    Raises:
        UnreadableSourceError: if it is no ticker.
    """
    found = ticker(text)
    if found is None:
        raise UnreadableSourceError(f"{item}: the header names {text[:_SHOWN]!r}, which is no ticker")
    return found


def repeated(text: str, n_rows: int) -> pa.ChunkedArray:
    """Returns a text column with the same text in all rows."""
    return pa.chunked_array([columns.from_codes(np.zeros(n_rows, np.int32), [text])])
