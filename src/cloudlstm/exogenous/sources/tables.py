"""Reads chosen columns of the CSV, text and Parquet files that a path names.

Listing, unpacking and encodings are those of files of bars. The columns have other names, any file may lack what is
needed, and a file that cannot be read is told and left out, because it must not stop a run.
"""

from __future__ import annotations

import csv
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.csv

from cloudlstm.errors import CloudLSTMError, DataError
from cloudlstm.exogenous.sources.found import Found
from cloudlstm.market.sources.files import contents, encodings, unpacking
from cloudlstm.market.sources.files.column_names import plain
from cloudlstm.market.sources.files.listing import SourceFile, list_files

Match = Callable[[Sequence[str]], "tuple[dict[str, int], list[str]]"]
"""Takes the names of a file's columns; returns our name -> position, and our names of the columns that it lacks."""

_LINES_SEARCHED = 30
_BLOCK_BYTES = 8 * 2**20
_DELIMITERS = ",;\t|"
_SHOWN = 12


class _LackingError(DataError):
    """A file lacks a column."""


@dataclass(frozen=True, slots=True)
class Table:
    """The chosen columns of a file.

    Attributes:
        source: Its name below the folder of all files.
        item: What names it, see market/sources/files/contents.py.
        folder: URI of the folder of all files.
        rows: The columns by our names. Those of text files are texts; others have their own type.
    """

    source: str
    item: str
    folder: str
    rows: pa.Table


def by_aliases(aliases: Mapping[str, Sequence[str]], mapping: Mapping[str, str], needed: Sequence[str]) -> Match:
    """Returns a match by names.

    Args:
        aliases: Our name -> names in files, the most certain one first; case, blanks and marks do not count.
        mapping: Our name -> the file's name, from the settings; used before the aliases.
        needed: Our names of columns that a file must have.
    """
    known = {column: tuple(plain(name) for name in names) for column, names in aliases.items()}

    def match(names: Sequence[str]) -> tuple[dict[str, int], list[str]]:
        places: dict[str, int] = {}
        for number, name in enumerate(names):
            places.setdefault(plain(name), number)
        found: dict[str, int] = {}
        for column, others in known.items():
            wanted = (plain(mapping[column]),) if column in mapping else others
            place = next((places[name] for name in wanted if name in places), None)
            if place is not None and place not in found.values():
                found[column] = place
        return found, [column for column in needed if column not in found]

    return match


def identity(path: str) -> list[list[str | int]]:
    """Returns what names the content of the files at a path: name, size and etag of each. Empty if there are none."""
    try:
        return [[file.item, file.size_bytes, file.etag] for file in list_files(path).files]
    except CloudLSTMError:
        return []


def read_all(path: str, match: Match, found: Found, setting: str) -> Iterator[Table]:
    """Yields the files at a path, in the order of their names.

    A file that cannot be read, and a row with a wrong number of cells, is added to the refused rows of `found`.

    Args:
        path: A file, folder, glob or storage URI.
        match: Finds the columns.
        found: Gets refused rows and notes.
        setting: The setting that names the path, for notes.
    """
    try:
        listing = list_files(path)
    except CloudLSTMError as error:
        found.refuse("unreadable_file", [error.message], path)
        found.notes.append(f"{setting}: {error.message}")
        return
    for file in listing.files:
        source = file.item.removeprefix(listing.folder)
        try:
            rows, broken = _read(file, match)
        except (CloudLSTMError, pa.ArrowException, OSError, EOFError, zlib.error, UnicodeError, csv.Error) as error:
            message = error.message if isinstance(error, CloudLSTMError) else f"{file.item} cannot be read: {error}"
            found.refuse("no_column" if isinstance(error, _LackingError) else "unreadable_file", [message], source)
            found.notes.append(f"{setting}: {message}; the file is left out")
            found.incomplete |= isinstance(error, OSError)  # storage may answer later
            continue
        found.refuse("broken_row", broken, source)
        yield Table(source, file.item, listing.folder, rows)


def _read(file: SourceFile, match: Match) -> tuple[pa.Table, list[str]]:
    """Returns the chosen columns of a file, and the texts of rows with a wrong number of cells."""
    data = contents.read(file.item)
    if unpacking.is_parquet(data):
        return _parquet(data, file, match), []
    with unpacking.opened(data, file.item) as opened:
        text = opened.read()
    names = list(encodings.candidates(text, None))
    if names[0] == encodings.UTF8 and len(names) > 1:  # names of columns in ASCII do not show the encoding
        names = ["cp1252", *[name for name in names[1:] if name != "cp1252"]]
    failure: Exception | None = None
    for encoding in names:
        try:
            return _text(encodings.to_utf8(text, encoding), file.item, match)
        except _LackingError as error:
            failure = failure or error
    raise failure or _LackingError(f"{file.item} holds no table")


def _parquet(data: bytes, file: SourceFile, match: Match) -> pa.Table:
    opened = unpacking.open_parquet(pa.BufferReader(data))
    schema = opened.schema_arrow
    if twice := sorted({name for name in schema.names if schema.names.count(name) > 1}):
        raise DataError(f"{file.item} has two columns {twice[0]}", hint="rename one")
    places = _places(schema.names, match, file.item)
    bytes_a_row = unpacking.row_bytes(schema, sorted(places.values()), file.item)
    unpacking.require_size(file.size_bytes, opened.metadata.num_rows * bytes_a_row, file.item)
    table = opened.read(columns=[schema.names[place] for place in places.values()], use_threads=False)
    return pa.table({name: table.column(schema.names[place]) for name, place in places.items()})


def _text(data: bytes, item: str, match: Match) -> tuple[pa.Table, list[str]]:
    """Reads a CSV or text file in UTF-8."""
    if data.lstrip()[:1] in (b"{", b"[", b"<") or not data.strip():
        raise DataError(f"{item} is no table: it is empty, a JSON document or a web page")
    lines = data[:1_000_000].splitlines()[:_LINES_SEARCHED]
    texts = [line.decode(errors="replace") for line in lines]
    best: _LackingError | None = None
    for place, line in enumerate(texts):
        delimiter = max(_DELIMITERS, key=line.count)
        names = next(csv.reader([line], delimiter=delimiter), [])
        try:
            found = _places(names, match, item)
        except _LackingError as error:
            best = best or error
            continue
        if len(texts) < _LINES_SEARCHED and not any(text.strip() for text in texts[place + 1 :]):  # a header alone
            return pa.table({name: pa.array([], pa.string()) for name in found}), []
        return _rows(data, place + 1, delimiter, _width(names, texts[place + 1 : place + 2], delimiter), found)
    raise best or _LackingError(f"{item} holds no table")


def _width(names: Sequence[str], first: Sequence[str], delimiter: str) -> tuple[int, int]:
    """Returns the number of cells of a row, and how far the columns lie to the right of their names.

    Some programs leave out the name of the first column, a number of the row.
    """
    cells = next(csv.reader(first, delimiter=delimiter), [])
    more = len(cells) - len(names)
    if more == 1:
        return len(cells), int(bool(cells[-1].strip()))
    return len(names), 0


def _rows(
    data: bytes, skipped: int, delimiter: str, width: tuple[int, int], places: Mapping[str, int]
) -> tuple[pa.Table, list[str]]:
    broken: list[str] = []

    def keep(row: pa.csv.InvalidRow) -> str:
        broken.append(row.text or "")
        return "skip"

    cells, shift = width
    columns = {name: f"f{place + shift}" for name, place in places.items()}
    table = pa.csv.read_csv(
        pa.BufferReader(data),
        pa.csv.ReadOptions(
            use_threads=False, block_size=_BLOCK_BYTES, skip_rows=skipped, column_names=[f"f{n}" for n in range(cells)]
        ),
        pa.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=keep),
        pa.csv.ConvertOptions(
            column_types=dict.fromkeys(columns.values(), pa.string()),
            include_columns=list(columns.values()),
            strings_can_be_null=False,
        ),
    )
    return table.rename_columns(list(columns)), broken


def _places(names: Sequence[str], match: Match, item: str) -> dict[str, int]:
    found, missing = match(names)
    if missing:
        shown = ", ".join(name.strip()[:24] or "''" for name in names[:_SHOWN])
        raise _LackingError(f"{item} has no column {', '.join(missing)}; it has {shown}")
    return found
