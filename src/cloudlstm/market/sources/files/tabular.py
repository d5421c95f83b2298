"""Makes bars of one file: finds its columns, and reads tickers, dates and numbers.

A value that is there and not understood becomes null, and `unreadable` holds its text; a row with a wrong number of
fields becomes a row of nulls. Cleaning rejects such rows with a reason; nothing is dropped here. Only a file that
cannot contain bars is an error.
"""

from __future__ import annotations

import csv
import io
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cloudlstm.config import MarketConfig
from cloudlstm.errors import CloudLSTMError, UnreadableSourceError
from cloudlstm.market import bars, columns
from cloudlstm.market.sources import dates, numbers
from cloudlstm.market.sources.files import column_names, contents, parquet_file, text_file, unpacking
from cloudlstm.market.sources.files.header import Expected, Header
from cloudlstm.market.sources.files.side_by_side import Series
from cloudlstm.market.sources.files.ticker_column import header_ticker, read_tickers, repeated
from cloudlstm.market.sources.files.ticker_names import ticker_of

PARSER_VERSION = 2
"""Increase it whenever this package reads a file differently; part of the identity of a source."""

_NUMBERS = (*bars.PRICES, "adj_close", "volume")
_MOST_VOLUME = 2.0**62
_MOST_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Content:
    """A file, or its beginning, to be read.

    Attributes:
        data: The bytes as stored.
        item: What names the file, see contents.py.
        folder: URI of the folder of all files of the source; the names below it may hold tickers.
        whole: False if `data` is the beginning only.
    """

    data: bytes
    item: str
    folder: str = ""
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Read:
    """What was read of a file.

    Attributes:
        bars: The rows as BARS, in their order.
        header: Its columns.
        times: True if its dates have a time of day.
        notes: What was decided about the file without a setting, as sentences.
    """

    bars: pa.Table
    header: Header
    times: bool = False
    notes: Sequence[str] = field(default_factory=tuple)


def expected_columns(config: MarketConfig) -> Expected:
    """Returns what the settings say about the columns of files."""
    optional = (*column_names.OPTIONAL, *(("volume",) if config.missing_volume == "zero" else ()))
    return Expected(config.columns, config.header, optional)


def parse(content: Content, config: MarketConfig) -> Read:
    """Reads the bars of a file; the column "source" is the file's name.

    Raises:
        UnreadableSourceError: if the file cannot contain bars; names the file and the reason.
    """
    with reading(content.item):
        table, header = _columns(content, config, tuple(column_names.ALIASES))
        if not table.num_rows:
            return Read(bars.empty(), header)
        return _bars(table, header, content, config)


def parse_beginning(item: str, file_bytes: int, folder: str, config: MarketConfig, size_bytes: int) -> Read:
    """Reads the first bars of a file, and no more of it than needed.

    Args:
        item: The file.
        file_bytes: Its size.
        folder: URI of the folder of all files.
        config: The settings of the market.
        size_bytes: Bytes of a text file to read.

    Raises:
        UnreadableSourceError: as `parse` does.
    """
    data = contents.read_beginning(item, size_bytes)
    content = Content(data, item, folder, whole=len(data) >= file_bytes and not unpacking.is_gzip(data))
    if not unpacking.is_parquet(data):
        return parse(content, config)
    with reading(item):
        file = contents.open_seekable(item, file_bytes)
        wanted = tuple(column_names.ALIASES)
        table, header = parquet_file.read(
            file, file_bytes, item, expected_columns(config), wanted, parquet_file.BEGINNING_ROWS
        )
        return _bars(table, header, content, config) if table.num_rows else Read(bars.empty(), header)


def tickers(content: Content, config: MarketConfig) -> set[str]:
    """Returns the tickers of a file; reads the columns of tickers and dates only."""
    with reading(content.item):
        table, header = _columns(content, config, ("ticker", "date"))
        named = {each.ticker for each in header.series if each.ticker}
        if named or not header.series or not table.num_rows:
            return {header_ticker(name, content.item) for name in named}
        if "ticker" not in header.series[0].columns:
            return {_name(table, content, config)}
        place = header.series[0].columns["ticker"]
        found, _, _ = read_tickers(table.column(f"f{place}"), header.names[place])
        return set(columns.ranks(found)[1])


@contextmanager
def reading(item: str) -> Iterator[None]:
    """Converts decoding errors to UnreadableSourceError with the name of the file."""
    try:
        yield
    except CloudLSTMError:
        raise
    except (pa.ArrowException, OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UnreadableSourceError(f"{item} is not readable as CSV or Parquet: {reason}") from None


def _columns(content: Content, config: MarketConfig, wanted: Sequence[str]) -> tuple[pa.Table, Header]:
    """Returns the wanted columns, unparsed, named f0, f1, … by their position, and the header."""
    expected = expected_columns(config)
    if unpacking.is_parquet(content.data):
        file = io.BytesIO(content.data)
        return parquet_file.read(file, len(content.data), content.item, expected, wanted)
    return text_file.read(content.data, content.item, expected, wanted, config, whole=content.whole)


def _bars(table: pa.Table, header: Header, content: Content, config: MarketConfig) -> Read:
    """Parses the columns of a file to BARS, one series after the other."""
    date_place = header.series[0].columns["date"]
    date_text = table.column(f"f{date_place}")
    form = dates.find_form(date_text, config.date_format, header.names[date_place], content.item)
    date = dates.parse(date_text, form, config.time_zone)
    places = {place for each in header.series for name, place in each.columns.items() if name in _NUMBERS}
    named = {header.names[place]: table.column(f"f{place}") for place in sorted(places)}
    likely: numbers.DecimalMark | None = "," if header.delimiter == ";" else None
    mark = numbers.decimal_mark(named, config.decimal, content.item, likely=likely)
    notes = _notes(header, mark, form, config)
    parts = []
    for each in header.series:
        part, remark = _series(table, each, header, date, mark, content, config)
        parts.append(part)
        notes += remark
    whole = parts[0] if len(parts) == 1 else pa.concat_tables(parts).unify_dictionaries()
    return Read(whole, header, date.has_times, tuple(dict.fromkeys(notes)))


def _series(
    table: pa.Table, series: Series, header: Header, date: dates.Dates, mark: numbers.DecimalMark, content: Content,
    config: MarketConfig,
) -> tuple[pa.Table, list[str]]:  # fmt: skip
    """Returns the bars of one series of a file, and notes on its tickers."""
    parsed, wrong = _parse_numbers(table, series, mark, config)
    ticker, no_ticker, notes = _tickers(table, series, header, date, content, config)
    wrong["date"] = date.unreadable
    if "ticker" in series.columns:
        wrong["ticker"] = no_ticker
    texts = {name: table.column(f"f{place}") for name, place in series.columns.items()}
    if text_file.BROKEN in table.column_names:
        texts["row"] = table.column(text_file.BROKEN)
        wrong["row"] = ~columns.one_chunk(texts["row"].is_null()).to_numpy(zero_copy_only=False)
    source = repeated(content.item.rsplit("/", 1)[1], table.num_rows)
    unreadable = _unreadable(texts, wrong, table.num_rows)
    made = {"ticker": ticker, "date": date.days, **parsed, "source": source, bars.UNREADABLE: unreadable}
    return bars.conform(pa.table(made), bars.BARS), notes


def _parse_numbers(
    table: pa.Table, series: Series, mark: numbers.DecimalMark, config: MarketConfig
) -> tuple[dict[str, pa.ChunkedArray], dict[str, NDArray[np.bool_]]]:
    """Returns the number columns of a series, and for each the rows whose text is no number."""
    parsed: dict[str, pa.ChunkedArray] = {}
    wrong: dict[str, NDArray[np.bool_]] = {}
    for name in _NUMBERS:
        if name in series.columns:
            found = numbers.parse(table.column(f"f{series.columns[name]}"), mark)
            parsed[name], wrong[name] = found.values, found.unreadable
        else:
            parsed[name] = pa.chunked_array([pa.nulls(table.num_rows, pa.float64())])
    volume = columns.floats(parsed["volume"])
    with np.errstate(invalid="ignore"):
        fits = np.abs(volume) < _MOST_VOLUME
    if "volume" in wrong:
        wrong["volume"] = wrong["volume"] | ~(fits | np.isnan(volume))
    none = ~fits
    if config.missing_volume == "zero":
        none &= wrong.get("volume", False)
    whole = np.rint(np.where(fits, volume, 0.0)).astype(np.int64)
    parsed["volume"] = pa.chunked_array([pa.array(whole, mask=none) if none.any() else pa.array(whole)])
    return parsed, wrong


def _tickers(
    table: pa.Table, series: Series, header: Header, date: dates.Dates, content: Content, config: MarketConfig
) -> tuple[pa.ChunkedArray, NDArray[np.bool_], list[str]]:
    """Returns the ticker of each row, the rows whose text is no ticker, and notes."""
    known = np.zeros(table.num_rows, bool)
    if series.ticker is not None:
        return repeated(header_ticker(series.ticker, content.item), table.num_rows), known, []
    if "ticker" in series.columns:
        place = series.columns["ticker"]
        return read_tickers(table.column(f"f{place}"), header.names[place])
    name = _name(table, content, config, date.days)
    note = f"the ticker is taken from the name of the file or its folder: {name}"
    return repeated(name, table.num_rows), known, [] if config.ticker else [note]


def _unreadable(
    texts: Mapping[str, pa.ChunkedArray], wrong: Mapping[str, NDArray[np.bool_]], n_rows: int
) -> pa.ChunkedArray:
    """Returns the values that were not understood, such as close='12,3x'; null for rows where all were."""
    rows = np.flatnonzero(np.logical_or.reduce([np.zeros(n_rows, bool), *wrong.values()]))
    if not len(rows):
        return pa.chunked_array([pa.nulls(n_rows, pa.string()).dictionary_encode()])
    shown: list[list[str]] = [[] for _ in rows]
    for name, mask in wrong.items():
        hit = np.flatnonzero(mask[rows])
        values = texts[name].take(pa.array(rows[hit])).cast(pa.string()).to_pylist()
        for place, value in zip(hit, values, strict=True):
            shown[place].append(f"{name}={str(value)[:_MOST_SHOWN]!r}")
    result = np.full(n_rows, None, object)
    result[rows] = [", ".join(each) for each in shown]
    return pa.chunked_array([pa.array(result, pa.string()).dictionary_encode()])


def _notes(header: Header, mark: str, form: dates.DateForm, config: MarketConfig) -> list[str]:
    """Returns what was decided about a file without a setting."""
    notes = []
    if header.skipped:
        notes.append(
            f"the first {header.skipped} lines are skipped" if header.skipped > 1 else "the first line is skipped"
        )
    if header.guessed or any(column_names.is_nameless(header.names[each.columns["date"]]) for each in header.series):
        notes.append(f"the column {header.guessed!r} is taken for the date")
    if mark == "," and config.decimal is None:
        notes.append("the decimal mark is a comma")
    if config.date_format is None and form.name not in ("", "%Y-%m-%d", "%Y%m%d"):
        notes.append(f"dates are read as {form.name}")
    return notes


def _name(table: pa.Table, content: Content, config: MarketConfig, days: pa.ChunkedArray | None = None) -> str:
    """Returns `market.ticker`, or the ticker that the file is named after."""
    if config.ticker:
        return config.ticker
    if days is None:
        place = next(name for name in table.column_names)
        form = dates.find_form(table.column(place), config.date_format, place, content.item)
        days = dates.parse(table.column(place), form, config.time_zone).days
    first = next((day.as_py() for day in days if day.is_valid), None)
    return ticker_of(content.item, content.folder, first.year if first else None)
