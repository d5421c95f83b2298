"""Reads the columns of a text file of bars: CSV, with any delimiter, encoding and lines before the header."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.csv

from cloudlstm.config import MarketConfig
from cloudlstm.errors import UnreadableSourceError
from cloudlstm.market import bars
from cloudlstm.market.sources.files import encodings, unpacking
from cloudlstm.market.sources.files.header import LINES_SEARCHED, NO_BARS, Expected, Header, find_header

BEGINNING_BYTES = 1 << 20
"""Bytes in which the header is searched."""

BROKEN = "broken"
"""Column with the text of a row that has a wrong number of fields; null for others, absent if there are none."""


_DELIMITERS = ",;\t|"
_QUOTED = re.compile(r'"[^"]*"')
_LINE_END = re.compile(rb"\r\n|\n|\r")
_LONGEST_MARK = 64
_SEPARATOR_LINE = "sep="
_BLOCK_BYTES = 8 * 2**20
_TAR, _TAR_PLACE = b"ustar", 257
_NO_TEXT = {
    b"PK\x03\x04": (
        "an Excel workbook or a ZIP archive",
        "save the sheet as CSV, or name the archive .zip",
    ),
    b"\xd0\xcf\x11\xe0": ("an old Excel workbook", "save the sheet as CSV"),
    b"\x89HDF": ("an HDF5 file", "store it as Parquet"),
    b"\x80\x04": ("a pickle, which could run code", "store it as Parquet"),
    b"\x80\x05": ("a pickle, which could run code", "store it as Parquet"),
    b"SQLite format 3": ("an SQLite database", "export the table as CSV"),
    b"%PDF": ("a PDF document", "download the bars as CSV"),
    b"ARROW1": ("a Feather file", "store it as Parquet"),
    b"Obj\x01": ("an Avro file", "store it as Parquet"),
    b"\x28\xb5\x2f\xfd": ("compressed with Zstandard", "unpack it"),
    b"BZh": ("compressed with bzip2", "unpack it"),
    b"\xfd7zXZ": ("compressed with xz", "unpack it"),
    b"7z\xbc\xaf": ("a 7z archive", "unpack it"),
    b"Rar!": ("a RAR archive", "unpack it"),
}
_NO_CSV = (
    (("{", "["), "a JSON document", "convert it to CSV, as with pandas.read_json(...).to_csv(...)"),
    (("<!doctype", "<html", "<?xml"), "a web page, not a file of bars", "download the file again, or log in first"),
)


def read(
    data: bytes, item: str, expected: Expected, wanted: Sequence[str], config: MarketConfig, *, whole: bool
) -> tuple[pa.Table, Header]:
    """Returns the wanted columns, named f0, f1, … by their position, and the header.

    Args:
        data: The bytes as stored.
        item: What names the file, for error messages.
        expected: What the settings say about its columns.
        wanted: Columns of bars. Tickers and dates stay text; other columns are numbers, or text if one is no number.
        config: The settings of the market.
        whole: False if `data` is the beginning of the file only.

    Raises:
        UnreadableSourceError: if the file has no header of bars.
    """
    beginning = unpacking.first_bytes(data, item, BEGINNING_BYTES, whole=whole)
    complete = whole and len(beginning) < BEGINNING_BYTES
    if len(beginning) < BEGINNING_BYTES and not beginning.strip(b"\xef\xbb\xbf\xff\xfe\0 \t\r\n"):
        return pa.table({}), Header((), ())  # vendors do deliver empty files
    header, encoding = header_of(beginning, item, expected, config.encoding, complete=complete)
    places = {place: name for each in header.series for name, place in each.columns.items() if name in wanted}
    text = encodings.to_utf8(beginning, encoding)
    start = _end_of_line(text, header.lines)
    if not places or (complete and not text[start:].strip()):
        return pa.table({}), header
    if not whole:
        lines = text[start : text.rfind(b"\n") + 1] or text[start:]
        return _parse(lambda: pa.BufferReader(lines), header, places, as_text=config.decimal == ","), header

    def content() -> pa.NativeFile:
        stream = encodings.utf8_stream(unpacking.opened(data, item), encoding, item)
        stream.read(start)
        return pa.PythonFile(stream, mode="r")

    return _parse(content, header, places, as_text=config.decimal == ","), header


def lines(text: bytes, header: Header, wanted: Sequence[str], *, as_text: bool = False) -> pa.Table:
    """Returns the wanted columns of some lines below the header, named as by `read`.

    Args:
        text: Whole lines in UTF-8.
        header: The header of their file.
        wanted: Columns of bars.
        as_text: Whether numbers stay text too.
    """
    places = {place: name for each in header.series for name, place in each.columns.items() if name in wanted}
    return _parse(lambda: pa.BufferReader(text), header, places, as_text=as_text)


def end_of_header(beginning: bytes, header: Header) -> int:
    """Returns the position of the first line of bars in the beginning of a file, whose line ends are single bytes."""
    return _end_of_line(beginning, header.lines)


def header_of(
    beginning: bytes, item: str, expected: Expected, configured: str | None, *, complete: bool
) -> tuple[Header, str]:
    """Returns the header and the encoding in which it is understood.

    Args:
        beginning: The first bytes of the file, unpacked.
        item: What names the file, for error messages.
        expected: What the settings say about its columns.
        configured: `market.encoding`.
        complete: Whether these are all bytes.

    Raises:
        UnreadableSourceError: if the file has no header of bars.
    """
    for mark, (what, hint) in _NO_TEXT.items():
        if beginning.startswith(mark):
            raise UnreadableSourceError(f"{item} is {what}", hint=hint)
    if beginning[_TAR_PLACE:].startswith(_TAR):
        raise UnreadableSourceError(f"{item} is a tar archive", hint="unpack it, and name the folder")
    failures: list[UnreadableSourceError] = []
    for encoding in encodings.candidates(beginning, configured):
        rows, delimiters = _rows(encodings.to_utf8(beginning, encoding), item, complete=complete)
        try:
            header = find_header(rows, expected, item)
        except UnreadableSourceError as error:
            failures.append(error)
            continue
        used = {header.names[place] for each in header.series for place in each.columns.values()}
        if not any("\ufffd" in name for name in used):
            wide = _as_wide(header, rows[header.lines : header.lines + 1])
            return replace(wide, delimiter=delimiters[max(header.lines - 1, 0)]), encoding
    if known := [error for error in failures[1:] if error.hint != NO_BARS and _lacking(error) < _lacking(failures[0])]:
        raise min(known, key=_lacking)
    if len(failures) != 1:
        raise UnreadableSourceError(
            f"{item} is not in UTF-8, and its columns are not understood in any other encoding that was tried",
            hint="market.encoding=NAME, such as cp1252, or save it as UTF-8",
        )
    raise failures[0]


def _lacking(error: UnreadableSourceError) -> int:
    """Returns how many columns a header lacks, by the error of `find_header`."""
    return error.message.partition(" has no column ")[2].partition(";")[0].count(",")


def _rows(text: bytes, item: str, *, complete: bool) -> tuple[list[list[str]], list[str]]:
    """Returns the cells of the first lines, and the delimiter of each line."""
    start = text[:_LONGEST_MARK].decode(errors="replace").lstrip().lower()
    for beginnings, what, hint in _NO_CSV:
        if start.startswith(beginnings):
            raise UnreadableSourceError(f"{item} is {what}", hint=hint)
    end = _end_of_line(text, LINES_SEARCHED)
    lines = [line.decode(errors="replace") for line in _LINE_END.split(text[:end])]
    if len(lines) == 1 and not complete:
        raise UnreadableSourceError(f"{item} has no header line within its first {len(text) >> 10:,} KiB")
    rows: list[list[str]] = []
    delimiters: list[str] = []
    told = ""
    for stripped in lines[:LINES_SEARCHED]:
        if not rows and stripped.lower().startswith(_SEPARATOR_LINE):
            told = stripped[len(_SEPARATOR_LINE) :][:1]
        delimiter = told or max(_DELIMITERS, key=_QUOTED.sub("", stripped).count)
        rows.append(next(csv.reader([stripped], delimiter=delimiter), []))
        delimiters.append(delimiter)
    return rows, delimiters


def _as_wide(header: Header, first: Sequence[Sequence[str]]) -> Header:
    """Returns the header with as many names as the rows have cells: some programs leave out the name of the index."""
    more = len(first[0]) - len(header.names) if first else 0
    if more <= 0:
        return header
    if more == 1 and first[0][-1].strip():  # the first column, a row's name, has no name
        series = tuple(
            replace(each, columns={name: n + 1 for name, n in each.columns.items()}) for each in header.series
        )
        return replace(header, names=("", *header.names), series=series)
    return replace(header, names=(*header.names, *[""] * more)) if not any(first[0][-more:]) else header


def _end_of_line(text: bytes, lines: int) -> int:
    """Returns the position after this many lines."""
    place = 0
    for _ in range(lines):
        found = _LINE_END.search(text, place)
        if found is None:
            return len(text)
        place = found.end()
    return place


def _parse(
    content: Callable[[], pa.NativeFile], header: Header, places: Mapping[int, str], *, as_text: bool
) -> pa.Table:
    """Parses the lines below the header; `BROKEN` holds the text of rows with a wrong number of fields."""
    broken: list[str] = []

    def keep(row: pa.csv.InvalidRow) -> str:
        broken.append(row.text or "")
        return "skip"

    def read(number: pa.DataType) -> pa.Table:
        broken.clear()
        types = {f"f{n}": bars.ENCODED if name in ("ticker", "date") else number for n, name in places.items()}
        return pa.csv.read_csv(
            content(),
            pa.csv.ReadOptions(
                use_threads=False,
                block_size=_BLOCK_BYTES,
                column_names=[f"f{n}" for n in range(len(header.names))],
            ),
            pa.csv.ParseOptions(delimiter=header.delimiter, invalid_row_handler=keep),
            # A ticker may be NA or NULL, so no text means a missing value.
            pa.csv.ConvertOptions(column_types=types, include_columns=list(types), strings_can_be_null=False),
        )

    try:
        table = read(pa.string() if as_text else pa.float64())
    except pa.ArrowInvalid:
        table = read(pa.string())  # some value is not a plain number: parse each value
    if broken:
        nothing = pa.table([pa.nulls(len(broken), column.type) for column in table.schema], names=table.column_names)
        texts = pa.array([None] * table.num_rows + broken, pa.string())
        table = pa.concat_tables([table, nothing]).append_column(BROKEN, texts)
    return table
