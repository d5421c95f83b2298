"""Rows of a file that are no bars, and the texts of values that were not understood."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cloudlstm.config.tickers import ticker
from cloudlstm.errors import UnreadableSourceError
from cloudlstm.market import columns
from cloudlstm.market.sources.files import text_file
from cloudlstm.market.sources.files.header import Header

Texts = Mapping[str, pa.ChunkedArray]
"""The unparsed columns of a file, by f0, f1, …, and `text_file.BROKEN`."""

_HAS_VALUES = r"\d[^\d].*\d"
"""A row with a wrong number of fields that has several numbers is a damaged bar; another one is a line of text."""
_MOST_SHOWN = 40


def text_lines(texts: Texts, header: Header, item: str) -> NDArray[np.bool_]:
    """Returns the rows that are no bars: lines of text with a wrong number of fields, and repeated headers.

    Raises:
        UnreadableSourceError: if a repeated header has its columns in another order.
    """
    place = header.series[0].columns["date"]
    column = texts[f"f{place}"]
    lines = np.zeros(len(column), bool)
    if (broken := texts.get(text_file.BROKEN)) is not None:
        values = pc.fill_null(pc.match_substring_regex(broken, _HAS_VALUES), pa.scalar(True))  # noqa: FBT003
        lines = ~columns.one_chunk(values).to_numpy(zero_copy_only=False)
    name = header.names[place]
    if not pa.types.is_dictionary(column.type) or not name.strip():
        return lines
    code, found = columns.codes(column)
    if name not in found:
        return lines
    again = code == found.index(name)
    if broken is not None and "ticker" not in header.series[0].columns:
        _require_one_table(broken, item)
    row = int(np.flatnonzero(again)[0])
    for each in header.series[0].columns.values():
        text = texts[f"f{each}"][row].as_py()
        if isinstance(text, str) and text.strip() != header.names[each].strip():
            raise UnreadableSourceError(
                f"{item} has a second header with other columns: {text.strip()!r} in the place of "
                f"{header.names[each]!r}",
                hint="split the file where its columns change",
            )
    both: NDArray[np.bool_] = lines | again
    return both


def _require_one_table(broken: pa.ChunkedArray, item: str) -> None:
    """Raises UnreadableSourceError if a line of a file with a second header is a ticker: it holds several tables."""
    texts = {text.strip(' ,;|\t"') for text in broken.to_pylist() if text}
    tickers = sorted(text for text in texts if text.isascii() and not text.isdigit() and ticker(text) == text)
    if tickers:
        raise UnreadableSourceError(
            f"{item} has a second header and the line {tickers[0]!r}: several tables in one file",
            hint="one file for each ticker, or a column of tickers",
        )


def describe_unreadable(
    texts: Mapping[str, pa.ChunkedArray], wrong: Mapping[str, NDArray[np.bool_]], n_rows: int
) -> pa.ChunkedArray:
    """Returns the values that were not understood, such as close='12,3x'; null for rows where all were."""
    wrong = {name: mask for name, mask in wrong.items() if mask.any()}
    if not wrong:
        return pa.chunked_array([pa.nulls(n_rows, pa.string()).dictionary_encode()])
    rows = np.flatnonzero(np.logical_or.reduce(list(wrong.values())))
    shown: list[list[str]] = [[] for _ in rows]
    for name, mask in wrong.items():
        hit = np.flatnonzero(mask[rows])
        values = texts[name].take(pa.array(rows[hit])).cast(pa.string()).to_pylist()
        for place, value in zip(hit, values, strict=True):
            shown[place].append(f"{name}={str(value)[:_MOST_SHOWN]!r}")
    result = np.full(n_rows, None, object)
    result[rows] = [", ".join(each) for each in shown]
    return pa.chunked_array([pa.array(result, pa.string()).dictionary_encode()])
