"""Reads large text files in blocks of lines, so that memory does not depend on the size of a file.

How a file is read is decided once, from its beginning. A file that is stored as it is read is cut into ranges of bytes,
which tasks read at the same time; a compressed one is a stream of blocks. A file is read whole if a later part of it
may decide otherwise than its beginning: if that has whole numbers only, say, or dates whose day and month can be
exchanged.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import BinaryIO

import pyarrow as pa

from cloudlstm.config import MarketConfig
from cloudlstm.errors import UnreadableSourceError
from cloudlstm.market.sources import dates, numbers
from cloudlstm.market.sources.files import column_names, contents, encodings, tabular, text_file, unpacking
from cloudlstm.market.sources.files.header import DATE_LIKE, Header
from cloudlstm.market.sources.files.pieces import BLOCK_BYTES, LARGE_BYTES, Piece
from cloudlstm.market.sources.files.ticker_column import tickers_of_rows

_LINE_BYTES = 64 * 2**10
"""Bytes in which a line that begins a block is searched first; also the most in which one that is a bar is."""

_FEWEST_TICKERS = 2


@dataclass(frozen=True, slots=True)
class Form:
    """How a text file is read.

    Attributes:
        header: Its header.
        encoding: Its encoding, in which a line ends with the byte of a line feed.
        start: Position of the first line of bars, in bytes.
        config: The settings, with the form of dates, the decimal mark and the ticker that its beginning shows.
    """

    header: Header
    encoding: str
    start: int
    config: MarketConfig

    def lines(self, text: bytes, item: str) -> bytes:
        """Returns lines of the file in UTF-8.

        Raises:
            UnreadableSourceError: if they are not in the encoding of the file.
        """
        if self.encoding == encodings.UTF8:
            return text
        return encodings.utf8_stream(io.BytesIO(text), self.encoding, item).read()


def form_of(beginning: bytes, item: str, folder: str, config: MarketConfig) -> Form | None:
    """Returns how a text file is read; None if its beginning does not decide that for all of it.

    Args:
        beginning: Its first bytes, unpacked; about 1 MiB.
        item: What names the file.
        folder: URI of the folder of all files.
        config: The settings of the market.
    """
    try:
        expected = tabular.expected_columns(config)
        header, encoding = text_file.header_of(beginning, item, expected, config.encoding, complete=False)
        start = text_file.end_of_header(beginning, header)
        end = beginning.rfind(b"\n") + 1
        if encoding not in (encodings.UTF8, *encodings.NATIONAL) or end <= start:
            return None
        form = Form(header, encoding, start, config)
        with tabular.reading(item):
            table = text_file.lines(
                form.lines(beginning[start:end], item), header, tuple(column_names.ALIASES), as_text=True
            )
            return _decided(form, table, item, folder)
    except UnreadableSourceError:
        return None


def _decided(form: Form, table: pa.Table, item: str, folder: str) -> Form | None:
    header, config = form.header, form.config
    texts = dict(zip(table.column_names, table.columns, strict=True))
    series = header.series[0]
    place = series.columns["date"]
    date = dates.find_form(texts[f"f{place}"], config.date_format, header.names[place], item)
    mark = config.decimal or numbers.shown_mark(tabular.number_columns(texts, header).values())
    if mark is None or not (config.date_format or dates.is_certain(texts[f"f{place}"], date)):
        return None
    decided: dict[str, object] = {"date_format": date.name, "decimal": mark}
    if not config.ticker and series.ticker is None:
        days = dates.parse(texts[f"f{place}"], date, config.time_zone).days
        found, _, _ = tickers_of_rows(texts, series, header, lambda: days, item, folder, config)
        names = {name for name in found.unique().to_pylist() if name}
        if "ticker" not in series.columns:
            decided["ticker"] = names.pop()
        elif len(names) < _FEWEST_TICKERS and column_names.is_uncertain(header.names[series.columns["ticker"]]):
            return None  # whether it is a column of tickers depends on all its values
    return Form(header, form.encoding, form.start, config.model_copy(update=decided))


def open_blocks(piece: Piece, folder: str, config: MarketConfig) -> Iterator[tuple[bytes, Form]] | None:
    """Returns the blocks of a piece, each as lines in UTF-8 and how they are read; None if the file is read whole.

    Args:
        piece: A file, or a block of one. Of a file without a form only the first block is read: it is the whole file.
        folder: URI of the folder of all files.
        config: The settings of the market.
    """
    if piece.groups:
        return None
    if piece.end:
        form = _form_of_object(piece.item, piece.size_bytes, folder, config.model_dump_json())
        if form is None:
            return iter(()) if piece.start else None
        start, end = (_line_at(piece.item, place, piece.size_bytes, form) for place in (piece.start, piece.end))
        data = contents.read_range(piece.item, start, end - start) if end > start else b""
        return iter([(form.lines(data, piece.item), form)])
    if piece.size_bytes * unpacking.MOST_RATIO <= unpacking.FREE_BYTES:
        return None
    with tabular.reading(piece.item), _unpacked(piece) as file:
        beginning = b"" if file is None else file.read(LARGE_BYTES)
    if len(beginning) < LARGE_BYTES:
        return None
    form = form_of(beginning[: text_file.BEGINNING_BYTES], piece.item, folder, config)
    return None if form is None else _stream(piece, form)


@lru_cache(maxsize=64)
def _form_of_object(item: str, size_bytes: int, folder: str, settings: str) -> Form | None:  # noqa: ARG001 - the key
    """Returns the form of a file that is stored as it is read. It is found once in a process and not for each block."""
    beginning = contents.read_beginning(item, text_file.BEGINNING_BYTES)
    if unpacking.is_gzip(beginning) or unpacking.is_parquet(beginning):
        return None
    return form_of(beginning, item, folder, MarketConfig.model_validate_json(settings))


@contextmanager
def _unpacked(piece: Piece) -> Iterator[BinaryIO | None]:
    """Opens the content of a compressed text file; None for another file."""
    with contents.streamed(piece.item, piece.size_bytes) as file:
        beginning = contents.read_beginning(piece.item, 4)
        if unpacking.is_gzip(beginning):
            yield unpacking.unpacked(file, piece.item)
        else:
            yield None if unpacking.is_parquet(beginning) or not contents.archive_of(piece.item)[1] else file


def _stream(piece: Piece, form: Form) -> Iterator[tuple[bytes, Form]]:
    with tabular.reading(piece.item), _unpacked(piece) as file:
        assert file is not None
        rest = file.read(BLOCK_BYTES)[form.start :]
        while data := file.read(max(BLOCK_BYTES - len(rest), text_file.BEGINNING_BYTES)):
            rest += data
            end = _last_line(rest, form)
            if not end and len(rest) > LARGE_BYTES:
                end = rest.rfind(b"\n") + 1
            if end:
                yield form.lines(rest[:end], piece.item), form
                rest = rest[end:]
        if rest:
            yield form.lines(rest, piece.item), form


def _line_at(item: str, place: int, size_bytes: int, form: Form) -> int:
    """Returns the position of the first line of bars that begins at a place or behind it.

    A line break inside of quotes ends no line: what follows it has not the fields of a bar.
    """
    if place <= form.start or place >= size_bytes:
        return min(max(place, form.start), size_bytes)
    before, size = place - 1, _LINE_BYTES  # the byte before the place shows whether a line begins there
    while True:
        data = contents.read_range(item, before, size)
        begin = first = data.find(b"\n") + 1
        while begin and (end := data.find(b"\n", begin)) >= 0:
            if _is_bar(data[begin:end], form):
                return before + begin
            begin = end + 1
        if begin > first or before + size >= size_bytes:
            return before + first if first else size_bytes
        size *= 4  # the lines of a file of thousands of tickers side by side are long


def _is_bar(line: bytes, form: Form) -> bool:
    """True for a line with the fields of a bar."""
    try:
        fields = next(csv.reader([line.decode(form.encoding, errors="replace")], delimiter=form.header.delimiter), [])
    except csv.Error:  # a carriage return inside of the line, or an endless field
        return False
    place = form.header.series[0].columns["date"]
    return len(fields) == len(form.header.names) and bool(DATE_LIKE.match(fields[place].strip()))


def _last_line(data: bytes, form: Form) -> int:
    """Returns the position of the last line that is a bar; 0 if there is none in the last bytes."""
    end = data.rfind(b"\n") + 1
    least = end - _LINE_BYTES
    while end:
        begin = data.rfind(b"\n", 0, end - 1) + 1
        if begin and _is_bar(data[begin : end - 1], form):
            return begin
        end = begin if begin > least else 0
    return 0
