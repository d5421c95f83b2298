"""Makes bars of one file: finds its columns, and reads tickers, dates and numbers.

A value that is there and not understood becomes null, and `unreadable` holds its text; a row with a wrong number of
fields becomes a row of nulls. Cleaning rejects such rows with a reason; nothing is dropped here. Only a file that
cannot contain bars is an error.
"""

from __future__ import annotations

import csv
import io
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cloudlstm.config import MarketConfig
from cloudlstm.errors import CloudLSTMError, UnreadableSourceError
from cloudlstm.market import bars, columns
from cloudlstm.market.sources import dates, moments, numbers
from cloudlstm.market.sources.files import column_names, contents, parquet_file, text_file, unpacking
from cloudlstm.market.sources.files.header import Expected, Header
from cloudlstm.market.sources.files.odd_rows import Texts, describe_unreadable, text_lines
from cloudlstm.market.sources.files.side_by_side import Series
from cloudlstm.market.sources.files.ticker_column import repeated, tickers_of_rows

PARSER_VERSION = 3
"""Increase it whenever this package reads a file differently; part of the identity of a source."""

_TICK_VOLUMES = ("tickvol", "tickvolume")
_NUMBERS = (*bars.PRICES, "adj_close", "volume")
_MOST_VOLUME = 2.0**62
_FEWEST_LINES = 4
"""Lines that show a header of three rows and a row of bars."""


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
        step_s: Median distance of its times, in seconds; 0 without times.
        notes: What was decided about the file without a setting, as sentences.
    """

    bars: pa.Table
    header: Header
    times: bool = False
    step_s: float = 0.0
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
        table, header = unparsed(content, config, tuple(column_names.ALIASES))
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
    if len(data) == size_bytes and data.count(b"\n") < _FEWEST_LINES and not unpacking.is_gzip(data):
        size_bytes = text_file.BEGINNING_BYTES  # the header names thousands of tickers
        data = contents.read_beginning(item, size_bytes)
    content = Content(data, item, folder, whole=len(data) < size_bytes)
    if not unpacking.is_parquet(data):
        return parse(content, config)
    with reading(item):
        file = contents.open_seekable(item, file_bytes)
        wanted = tuple(column_names.ALIASES)
        table, header = parquet_file.read(
            file, file_bytes, item, expected_columns(config), wanted, parquet_file.BEGINNING_ROWS
        )
        return _bars(table, header, content, config) if table.num_rows else Read(bars.empty(), header)


def parse_groups(item: str, file_bytes: int, groups: Sequence[int], folder: str, config: MarketConfig) -> Read:
    """Reads the bars in some row groups of a Parquet file, see `parquet_file.runs_of_groups`.

    Raises:
        UnreadableSourceError: as `parse` does.
    """
    with reading(item):
        file = contents.open_seekable(item, file_bytes)
        wanted = tuple(column_names.ALIASES)
        table, header = parquet_file.read(file, file_bytes, item, expected_columns(config), wanted, groups=groups)
        return _bars(table, header, Content(b"", item, folder), config)


@contextmanager
def reading(item: str) -> Iterator[None]:
    """Converts decoding errors to UnreadableSourceError with the name of the file."""
    try:
        yield
    except CloudLSTMError:
        raise
    except (pa.ArrowException, OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        hint = "market.encoding=NAME, such as cp1252" if "UTF8" in reason else ""
        raise UnreadableSourceError(f"{item} is not readable as CSV or Parquet: {reason}", hint=hint) from None


def unparsed(content: Content, config: MarketConfig, wanted: Sequence[str]) -> tuple[pa.Table, Header]:
    """Returns the wanted columns, unparsed, named f0, f1, … by their position, and the header."""
    expected = expected_columns(config)
    if unpacking.is_parquet(content.data):
        file = io.BytesIO(content.data)
        return parquet_file.read(file, len(content.data), content.item, expected, wanted)
    return text_file.read(content.data, content.item, expected, wanted, config, whole=content.whole)


def _bars(table: pa.Table, header: Header, content: Content, config: MarketConfig) -> Read:
    """Parses the columns of a file to BARS, one series after the other."""
    # By name in a dictionary: a table with thousands of tickers side by side searches a name among all columns.
    texts = dict(zip(table.column_names, table.columns, strict=True))
    date_place = header.series[0].columns["date"]
    form = dates.find_form(texts[f"f{date_place}"], config.date_format, header.names[date_place], content.item)
    if config.interval == "1d":
        date = dates.parse(texts[f"f{date_place}"], form, config.time_zone)
    else:
        date = moments.parse(texts[f"f{date_place}"], form, config, header.names[date_place], content.item)
    mark = _decimal_mark(texts, header, config, content.item)
    notes = _notes(header, mark, form, config)
    lines = text_lines(texts, header, content.item)
    parts = []
    for each in header.series:
        part, remark = _series(texts, each, header, date, mark, lines, content, config)
        parts.append(part)
        notes += remark
    whole = parts[0] if len(parts) == 1 else pa.concat_tables(parts).unify_dictionaries()
    return Read(whole, header, date.has_times, date.step_s, tuple(dict.fromkeys(notes)))


def number_columns(texts: Texts, header: Header) -> dict[str, pa.ChunkedArray]:
    """Returns the columns of prices and volumes of a file, by their names."""
    places = {place for each in header.series for name, place in each.columns.items() if name in _NUMBERS}
    return {header.names[place]: texts[f"f{place}"] for place in sorted(places)}


def _decimal_mark(texts: Texts, header: Header, config: MarketConfig, item: str) -> numbers.DecimalMark:
    """Returns the decimal mark of the columns of a file; raises UnreadableSourceError if nothing decides."""
    likely: numbers.DecimalMark | None = "," if header.delimiter == ";" else None
    volumes = {header.names[each.columns["volume"]] for each in header.series if "volume" in each.columns}
    named = number_columns(texts, header)
    return numbers.decimal_mark(named, config.decimal, item, likely=likely, volumes=volumes)


def parse_lines(text: bytes, header: Header, item: str, folder: str, config: MarketConfig) -> Read:
    """Reads the bars in some lines of a text file.

    Args:
        text: The lines, in UTF-8.
        header: The header of the file.
        item: The file.
        folder: URI of the folder of all files.
        config: The settings; all that the lines alone do not decide is set.
    """
    with reading(item):
        if not text.strip():
            return Read(bars.empty(), header)
        table = text_file.lines(text, header, tuple(column_names.ALIASES), as_text=config.decimal == ",")
        return (
            _bars(table, header, Content(b"", item, folder), config) if table.num_rows else Read(bars.empty(), header)
        )


def _series(
    texts: Texts, series: Series, header: Header, date: dates.Dates, mark: numbers.DecimalMark,
    lines: NDArray[np.bool_], content: Content, config: MarketConfig,
) -> tuple[pa.Table, list[str]]:  # fmt: skip
    """Returns the bars of one series of a file, and notes on its tickers."""
    n_rows = len(date.unreadable)
    parsed, wrong = _parse_numbers(texts, series, mark, config, n_rows)
    ticker, no_ticker, notes = tickers_of_rows(
        texts, series, header, lambda: date.days, content.item, content.folder, config
    )
    wrong["date"] = date.unreadable
    if no_ticker is not None:
        wrong["ticker"] = no_ticker
    if lines.any():
        wrong = {name: mask & ~lines for name, mask in wrong.items()}
    shown = {name: texts[f"f{place}"] for name, place in series.columns.items()}
    broken = texts.get(text_file.BROKEN)
    if broken is not None:
        is_broken = columns.one_chunk(broken.is_valid()).to_numpy(zero_copy_only=False)
        shown |= {bars.TEXT_LINE: broken, "row": broken}
        wrong |= {bars.TEXT_LINE: is_broken & lines, "row": is_broken & ~lines}
        lines = lines & ~is_broken
    if lines.any():
        shown["header"], wrong["header"] = shown["date"], lines
    source = repeated(content.item.rsplit("/", 1)[1], n_rows)
    unreadable = describe_unreadable(shown, wrong, n_rows)
    made = {"ticker": ticker, "date": date.days, **parsed, "source": source, bars.UNREADABLE: unreadable}
    return bars.conform(pa.table(made), bars.BARS), notes


def _parse_numbers(
    texts: Texts, series: Series, mark: numbers.DecimalMark, config: MarketConfig, n_rows: int
) -> tuple[dict[str, pa.ChunkedArray], dict[str, NDArray[np.bool_]]]:
    """Returns the number columns of a series, and for each the rows whose text is no number."""
    parsed: dict[str, pa.ChunkedArray] = {}
    wrong: dict[str, NDArray[np.bool_]] = {}
    for name in _NUMBERS:
        if name in series.columns:
            found = numbers.parse(texts[f"f{series.columns[name]}"], mark)
            parsed[name], wrong[name] = found.values, found.unreadable
        else:
            parsed[name] = pa.chunked_array([pa.nulls(n_rows, pa.float64())])
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


def _notes(header: Header, mark: str, form: dates.DateForm, config: MarketConfig) -> list[str]:
    """Returns what was decided about a file without a setting."""
    notes = []
    if header.skipped:
        notes.append(
            f"the first {header.skipped} lines are skipped" if header.skipped > 1 else "the first line is skipped"
        )
    place = header.series[0].columns["date"]
    if column_names.is_nameless(header.names[place]) and not header.series[0].ticker:
        notes.append(f"column {place + 1}, which has no name, is taken for the date")
    elif header.guessed:
        notes.append(f"the column {header.guessed!r} is taken for the date")
    volume = header.names[header.series[0].columns["volume"]] if "volume" in header.series[0].columns else ""
    if column_names.plain(volume) in _TICK_VOLUMES and "vol" in map(column_names.plain, header.names):
        notes.append(f"the volume is {volume}, a number of ticks: market.columns.volume=NAME takes another column")
    if mark == "," and config.decimal is None:
        notes.append("the decimal mark is a comma")
    if config.date_format is None and form.name not in ("", "%Y-%m-%d", "%Y%m%d"):
        notes.append(f"dates are read as {form.name}")
    return notes
