"""Finds the tickers of files, and the pieces in which files can be read; reads no more than the column of tickers.

A text file has to be read whole for that, unless its name or its header tells its tickers.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pyarrow as pa

from cloudlstm.config import MarketConfig
from cloudlstm.errors import UnreadableSourceError
from cloudlstm.market import columns
from cloudlstm.market.sources import dates, renames
from cloudlstm.market.sources.files import blocks, contents, parquet_file, tabular, text_file, unpacking
from cloudlstm.market.sources.files.blocks import Form
from cloudlstm.market.sources.files.header import Header
from cloudlstm.market.sources.files.pieces import Extent, Piece
from cloudlstm.market.sources.files.tabular import Content
from cloudlstm.market.sources.files.ticker_column import header_ticker, tickers_of_rows

_BEGINNING_BYTES = 64 * 2**10

Found = tuple[set[str], int, bool]
"""The tickers of some rows, the number of these rows, and whether a row has no ticker that can be read."""


def survey(piece: Piece, folder: str, config: MarketConfig) -> tuple[list[Extent], set[str]]:
    """Returns the pieces of a file with their extents, and its tickers after renames.

    Args:
        piece: The file.
        folder: URI of the folder of all files.
        config: The settings of the market.

    Raises:
        UnreadableSourceError: if the file cannot contain bars; names the file and the reason.
    """
    data = b"" if piece.end else contents.read_beginning(piece.item, _BEGINNING_BYTES)
    last_days: dict[Piece, dt.date | None] = {}
    if unpacking.is_parquet(data):
        found, last_days = _of_parquet(piece, folder, config)
    elif (parts := blocks.open_blocks(piece, folder, config)) is not None:
        found = [(piece, _of_blocks(parts, piece, folder))]
    elif piece.end:
        found = [(piece, tickers(Content(contents.read(piece.item), piece.item, folder), config))]
    else:
        beginning = Content(data, piece.item, folder, whole=len(data) < _BEGINNING_BYTES)
        found = [(piece, _of_text(beginning, piece, config))]
    extents, every = [], set()
    for part, (names, rows, nameless) in found:
        names = renames.tickers_after(names, config.renames)
        extents.append(
            Extent(part, rows, min(names, default=None), max(names, default=None), nameless, last_days.get(part))
        )
        every |= names
    return extents, every


def tickers(content: Content, config: MarketConfig) -> Found:
    """Finds the tickers of a file; reads the columns of tickers and dates only."""
    with tabular.reading(content.item):
        table, header = tabular.unparsed(content, config, ("ticker", "date"))
        return _tickers(table, header, content.item, content.folder, config)


def _of_blocks(parts: Iterator[tuple[bytes, Form]], piece: Piece, folder: str) -> Found:
    names: set[str] = set()
    rows, nameless = 0, False
    for lines, form in parts:
        with tabular.reading(piece.item):
            wanted = ("date",) if form.config.ticker or form.header.series[0].ticker else ("ticker",)
            table = text_file.lines(lines, form.header, wanted) if lines.strip() else pa.table({})
            found = _tickers(table, form.header, piece.item, folder, form.config)
        names |= found[0]
        rows += found[1]
        nameless |= found[2]
    return names, rows, nameless


def _of_text(beginning: Content, piece: Piece, config: MarketConfig) -> Found:
    """Finds the tickers of a text file; its beginning is enough if all rows have the same ticker, or all tickers."""
    if beginning.whole:
        return tickers(beginning, config)
    try:
        with tabular.reading(beginning.item):
            table, header = tabular.unparsed(beginning, config, ("ticker", "date"))
            if table.num_rows and (config.ticker or not any("ticker" in each.columns for each in header.series)):
                names, rows, nameless = _tickers(table, header, beginning.item, beginning.folder, config)
                return names, rows * piece.size_bytes // len(beginning.data), nameless
    except UnreadableSourceError:
        pass  # other parts of the file may tell what its beginning does not
    return tickers(Content(contents.read(piece.item), piece.item, beginning.folder), config)


def _of_parquet(
    piece: Piece, folder: str, config: MarketConfig
) -> tuple[list[tuple[Piece, Found]], dict[Piece, dt.date | None]]:
    """Finds the tickers of the pieces of a file, and the dates of their last bars."""
    item, expected = piece.item, tabular.expected_columns(config)
    with tabular.reading(item):
        file = contents.open_seekable(item, piece.size_bytes)
        in_any_zone = config.time_zone is None
        runs = parquet_file.runs_of_groups(file, item, expected, in_any_zone=in_any_zone)
        if config.ticker:
            runs = [((), sum(rows for _, rows in runs))]
        found, last_days = [], {}
        for groups, rows in runs:
            part = Piece(item, piece.size_bytes, groups)
            wanted = ("ticker",) if groups else ("ticker", "date")
            table, header = parquet_file.read(file, piece.size_bytes, item, expected, wanted, groups=groups)
            names, _, nameless = _tickers(table, header, item, folder, config)
            found.append((part, (names, rows, nameless)))
            last_days[part] = parquet_file.last_day(file, item, expected, groups, in_any_zone=in_any_zone)
        return found, last_days


def _tickers(table: pa.Table, header: Header, item: str, folder: str, config: MarketConfig) -> Found:
    if not header.series or not table.num_rows:
        return set(), 0, False
    rows = table.num_rows * len(header.series)
    if config.ticker:
        return {config.ticker}, rows, False
    if named := {each.ticker for each in header.series if each.ticker}:
        return {header_ticker(name, item) for name in named}, rows, False
    texts = dict(zip(table.column_names, table.columns, strict=True))

    def days() -> pa.ChunkedArray:
        place = header.series[0].columns["date"]
        form = dates.find_form(texts[f"f{place}"], config.date_format, header.names[place], item)
        return dates.parse(texts[f"f{place}"], form, config.time_zone).days

    found, _, _ = tickers_of_rows(texts, header.series[0], header, days, item, folder, config)
    return {name for name in columns.codes(found)[1] if name}, rows, bool(found.null_count)
