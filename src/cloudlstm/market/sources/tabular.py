"""Converts the bytes of one file to bars: finds its columns and parses dates and numbers.

A value that cannot be parsed becomes null, and a row with a wrong number of fields becomes a row of nulls. Cleaning
rejects such rows with a reason; nothing is dropped here. Only a file that cannot contain bars is an error.
"""

from __future__ import annotations

import csv
import difflib
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from cloudlstm.errors import UnreadableSourceError
from cloudlstm.market import bars, columns
from cloudlstm.market.sources import dates, unpacking

PARSER_VERSION = 1
"""Increase it whenever this module reads a file differently; part of the identity of a source."""

ALIASES: dict[str, tuple[str, ...]] = {
    "ticker": ("ticker", "symbol"),
    "date": ("date", "datetime", "timestamp", "time"),
    "open": ("open",),
    "high": ("high",),
    "low": ("low",),
    "close": ("close",),
    "adj_close": ("adjclose", "adjustedclose"),
    "volume": ("volume", "vol"),
}
"""Columns of bars -> names in files; case, spaces and punctuation are ignored."""

_OPTIONAL = ("ticker", "adj_close")
_SUFFIX = re.compile(r"\.(csv|parquet|pq)(\.gz)?$", re.IGNORECASE)
_TICKER = re.compile(r"^[A-Z0-9.^=_-]{1,24}$")
_BEGINNING_BYTES = 1 << 20
_BEGINNING_ROWS = 1 << 14
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_DELIMITERS = ",;\t|"
_MOST_VOLUME = 2.0**62
_BLOCK_BYTES = 8 * 2**20


def parse(data: bytes, uri: str, mapping: Mapping[str, str], date_format: str | None = None) -> pa.Table:
    """Reads the BARS of a file, in its order; the column "source" is the file's name.

    Args:
        data: CSV, gzipped CSV or Parquet; the first bytes show which.
        uri: The file, for error messages. Without a column of tickers, its name is the ticker.
        mapping: Column of bars -> the file's name for it, for names that are not in `ALIASES`.
        date_format: Format of dates, as in strptime; None for ISO.

    Raises:
        UnreadableSourceError: if the file cannot contain bars; names the file and the reason.
    """
    with _unreadable(uri):
        table, header = _read(data, uri, mapping, tuple(ALIASES))
        return _bars(table, header, uri, date_format) if table.num_rows else bars.empty()


def check(data: bytes, uri: str, mapping: Mapping[str, str], date_format: str | None = None) -> bool:
    """Checks the beginning of a file: raises the same errors as `parse`. Returns False if the file has no rows."""
    with _unreadable(uri):
        table, header = _read_beginning(data, uri, mapping, ("date",))
        if table.num_rows:
            dates.require_dates(
                dates.parse(table.column("date"), date_format), table.column("date"), header["date"], uri
            )
        if header and "ticker" not in header:
            _stem(uri)
        return bool(table.num_rows)


def _read_beginning(
    data: bytes, uri: str, mapping: Mapping[str, str], wanted: Sequence[str]
) -> tuple[pa.Table, dict[str, str]]:
    """Like `_read`, for the first rows only."""
    if unpacking.is_parquet(data):
        return _read_parquet(data, uri, mapping, wanted, most_rows=_BEGINNING_ROWS)
    text = unpacking.first_bytes(data, uri, _BEGINNING_BYTES)
    lines = text if len(text) < _BEGINNING_BYTES else text.rpartition(b"\n")[0] or text
    return _read_csv(lines, uri, mapping, wanted)


def tickers(data: bytes, uri: str, mapping: Mapping[str, str]) -> set[str]:
    """Returns the tickers of a file; reads no other column."""
    with _unreadable(uri):
        table, header = _read(data, uri, mapping, ("ticker",))
        if "ticker" not in header:
            return {_stem(uri)} if header else set()
        if not table.num_rows:
            return set()
        return set(columns.ranks(_tickers(table.column("ticker"), header["ticker"]))[1])


@contextmanager
def _unreadable(uri: str) -> Iterator[None]:
    """Converts decoding errors to UnreadableSourceError with the name of the file."""
    try:
        yield
    except (pa.ArrowException, OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UnreadableSourceError(f"{uri} is not readable as CSV or Parquet: {reason}") from None


def _bars(table: pa.Table, header: Mapping[str, str], uri: str, date_format: str | None) -> pa.Table:
    """Parses the columns of a file to BARS."""
    n_rows = table.num_rows
    ticker = _tickers(table.column("ticker"), header["ticker"]) if "ticker" in header else _repeat(_stem(uri), n_rows)
    date = dates.parse(table.column("date"), date_format)
    dates.require_dates(date, table.column("date"), header["date"], uri)
    numbers = {
        name: _numbers(table.column(name)) if name in header else pa.nulls(n_rows, pa.float64())
        for name in (*bars.PRICES, "adj_close", "volume")
    }
    numbers["volume"] = _whole(numbers["volume"])
    source = _repeat(uri.rsplit("/", 1)[1], n_rows)
    return bars.conform(pa.table({"ticker": ticker, "date": date, **numbers, "source": source}), bars.BARS)


def _read(data: bytes, uri: str, mapping: Mapping[str, str], wanted: Sequence[str]) -> tuple[pa.Table, dict[str, str]]:
    """Returns the wanted columns, unparsed and renamed to the columns of bars, and the file's name for each."""
    read = _read_parquet if unpacking.is_parquet(data) else _read_csv
    return read(data, uri, mapping, wanted)


def _read_parquet(
    data: bytes, uri: str, mapping: Mapping[str, str], wanted: Sequence[str], most_rows: int | None = None
) -> tuple[pa.Table, dict[str, str]]:
    file = unpacking.open_parquet(data)
    header = _header(file.schema_arrow.names, uri, mapping)
    used = {name: file_name for name, file_name in header.items() if name in wanted}
    file_names = list(used.values())
    row_bytes = unpacking.row_bytes(file, list(header.values()), uri)
    unpacking.require_size(len(data), file.metadata.num_rows * row_bytes, uri)
    if most_rows is None:
        table = file.read(columns=file_names, use_threads=False)
    else:
        batch = next(file.iter_batches(most_rows, columns=file_names, use_threads=False), None)
        table = file.schema_arrow.empty_table() if batch is None else pa.Table.from_batches([batch])
    return table.select(file_names).rename_columns(list(used)), header


def _read_csv(
    data: bytes, uri: str, mapping: Mapping[str, str], wanted: Sequence[str]
) -> tuple[pa.Table, dict[str, str]]:
    text = unpacking.first_bytes(data, uri, _BEGINNING_BYTES)
    begin = len(text) - len(text.lstrip())
    if begin == len(text) < _BEGINNING_BYTES:
        return pa.table({}), {}  # vendors do deliver empty files
    end = text.find(b"\n", begin)
    if end < 0 and len(text) == _BEGINNING_BYTES:
        raise UnreadableSourceError(f"{uri} has no header line within its first {_BEGINNING_BYTES >> 20} MiB")
    line = text[begin : end if end >= 0 else len(text)].decode("utf-8-sig").strip("\r")
    delimiter = max(_DELIMITERS, key=line.count)
    names = next(csv.reader([line], delimiter=delimiter))
    header = _header(names, uri, mapping)
    if end < 0 or (len(text) < _BEGINNING_BYTES and not text[end:].strip()):
        return pa.table({}), header
    used = {name: f"f{names.index(file_name)}" for name, file_name in header.items() if name in wanted}
    if not used:
        return pa.table({}), header
    broken: list[int | None] = []

    def keep_count(row: pa.csv.InvalidRow) -> str:
        broken.append(row.number)
        return "skip"

    def read(number: pa.DataType) -> pa.Table:
        broken.clear()
        texts = {used[name]: bars.ENCODED for name in ("ticker", "date") if name in used}
        return pa.csv.read_csv(
            unpacking.content_from(data, uri, end + 1),
            pa.csv.ReadOptions(
                use_threads=False, block_size=_BLOCK_BYTES, column_names=[f"f{i}" for i in range(len(names))]
            ),
            pa.csv.ParseOptions(delimiter=delimiter, invalid_row_handler=keep_count),
            # A ticker may be NA or NULL, so no text means a missing value.
            pa.csv.ConvertOptions(
                column_types=dict.fromkeys(used.values(), number) | texts,
                include_columns=list(used.values()),
                strings_can_be_null=False,
            ),
        )

    try:
        table = read(pa.float64())
    except pa.ArrowInvalid:
        table = read(pa.string())  # some value is not a number: parse each value
    table = table.rename_columns(list(used))
    if broken:
        nothing = [pa.nulls(len(broken), field.type) for field in table.schema]
        table = pa.concat_tables([table, pa.table(nothing, names=table.column_names)])
    return table, header


def _header(names: Sequence[str], uri: str, mapping: Mapping[str, str]) -> dict[str, str]:
    """Returns column of bars -> the file's name for it; raises UnreadableSourceError if a required one is missing."""
    plain = {_plain(name): name for name in reversed(names)}  # of two equal names the first one counts
    header = {}
    missing = []
    for column, aliases in ALIASES.items():
        if column in mapping:
            file_name = mapping[column] if mapping[column] in names else plain.get(_plain(mapping[column]))
            if file_name is None:
                missing.append(f"{mapping[column]!r} (for {column})")
        else:
            file_name = next((plain[alias] for alias in aliases if alias in plain), None)
            if file_name is None and column not in _OPTIONAL:
                missing.append(column)
        if file_name is not None:
            header[column] = file_name
    if missing:
        shown = ", ".join(name.strip()[:24] for name in names[:20])
        raise UnreadableSourceError(
            f"{uri} has no column {', '.join(missing)}; it has {shown}", hint=_mapping_hint(missing[0], names, header)
        )
    return header


def _mapping_hint(missing: str, names: Sequence[str], header: Mapping[str, str]) -> str:
    """Returns the setting for a missing column, with the most similar column of the file."""
    column = missing.split(" (for ")[-1].rstrip(")")
    free = {_plain(name): name for name in names if name not in header.values() and name.strip()}
    similar = [plain for plain in free if any(alias in plain for alias in ALIASES[column])]
    similar = similar or difflib.get_close_matches(column, free, n=1, cutoff=0.5)
    file_name = free[similar[0]].strip() if similar else "the file's name for it"
    return f"market.columns.{column}={file_name!r}"


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _stem(uri: str) -> str:
    """Returns the ticker that a file is named after: AAPL.csv, brk-b.csv.gz."""
    stem = _SUFFIX.sub("", uri.rsplit("/", 1)[1]).upper()
    if not _TICKER.match(stem):
        raise UnreadableSourceError(
            f"{uri} has no column of tickers, and its name is not a ticker",
            hint="market.columns.ticker=…, or name the file after its ticker, as in AAPL.csv",
        )
    return stem


def _repeat(text: str, n: int) -> pa.ChunkedArray:
    return pa.chunked_array([columns.from_codes(np.zeros(n, np.int32), [text])])


def _tickers(column: pa.ChunkedArray, header: str) -> pa.ChunkedArray:
    """Returns tickers in upper case, stripped; null where empty, and where the header line is repeated."""
    if not (pa.types.is_dictionary(column.type) or pa.types.is_string(column.type)):
        column = column.cast(pa.string())
    code, values = columns.codes(column)
    names = [(value or "").strip().upper() for value in values]
    none = ("", header.strip().upper())
    distinct = sorted(set(names).difference(none))
    place = {name: number for number, name in enumerate(distinct)} | dict.fromkeys(none, -1)
    return pa.chunked_array([columns.from_codes(np.array([*(place[n] for n in names), -1], np.int32)[code], distinct)])


def _numbers(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Parses numbers; null where a value is not a number."""
    kind = column.type
    if pa.types.is_dictionary(kind):  # parse each distinct text once
        array = columns.one_chunk(column)
        return pa.chunked_array([_numbers(pa.chunked_array([array.dictionary])).take(array.indices).combine_chunks()])
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = pc.utf8_trim_whitespace(column.cast(pa.string()))
        column = pc.if_else(pc.match_substring_regex(column, _NUMBER), column, pa.scalar(None, pa.string()))
    return column.cast(pa.float64(), safe=False)


def _whole(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Rounds to whole numbers; null where a number is missing or too large for a volume."""
    values = columns.floats(column)
    with np.errstate(invalid="ignore"):
        no_volume = ~(np.abs(values) < _MOST_VOLUME)
    whole = np.rint(np.where(no_volume, 0.0, values)).astype(np.int64)
    return pa.chunked_array([pa.array(whole, mask=no_volume) if no_volume.any() else pa.array(whole)])
