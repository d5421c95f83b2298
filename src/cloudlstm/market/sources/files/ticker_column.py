"""The tickers of rows: from a column of the file, or one for all rows."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cloudlstm.config.tickers import ticker
from cloudlstm.errors import UnreadableSourceError
from cloudlstm.market import columns

_SHOWN = 40
_FLOAT = re.compile(r"\d{3,}\.0")
"""A number of a stock that a program has stored as a decimal number: 600519.0."""
_SHEET_TEXT = re.compile(r"""'(.+)|="(.+)\"""")


def read_tickers(column: pa.ChunkedArray, header: str) -> tuple[pa.ChunkedArray, NDArray[np.bool_], list[str]]:
    """Reads a column of tickers.

    Returns:
        The tickers, null where empty and where the header line is repeated; which rows hold a text that is no ticker;
        and a note if tickers that differ in case only are read as one.
    """
    if not (pa.types.is_dictionary(column.type) or pa.types.is_string(column.type)):
        column = column.cast(pa.string())
    code, values = columns.codes(column)
    none = ("", header.strip())
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
