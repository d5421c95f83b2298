"""Looks at all files of a source before anything starts, so that a fault of one file is told at once.

A small source is read whole, with the same code as later in the tasks. Of a large one the beginning of every file is
read, whatever its size.
"""

from __future__ import annotations

import datetime as dt
import json
import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cloudlstm.config import MarketConfig
from cloudlstm.errors import DataError, UnreadableSourceError
from cloudlstm.market import columns
from cloudlstm.market.bars import UNREADABLE
from cloudlstm.market.interval import Interval
from cloudlstm.market.sources.base import Findings
from cloudlstm.market.sources.files import contents, tabular, unpacking
from cloudlstm.market.sources.files.fit import require_interval
from cloudlstm.market.sources.files.header import NO_BARS
from cloudlstm.market.sources.files.listing import SourceFile
from cloudlstm.market.sources.renames import tickers_after
from cloudlstm.text.numbers import counted

WHOLE_BYTES = 32 * 2**20
"""A source up to this size is read whole."""

_BEGINNING_BYTES = 64 * 2**10
_AT_ONCE = 16
_SHOWN = 5
_MOST_NOTES = 8
_MOST_UNREADABLE = 0.5
_REQUIRED_VALUE = r"(^|, )(ticker|date|open|high|low|close|volume|row)="
_SAME_PRICE = 0.01
_FEWEST_COMMON = 5
_MOST_OTHER_ROWS = 0.1


@dataclass(frozen=True, slots=True)
class _Looked:
    file: SourceFile
    read: tabular.Read
    name_is_ticker: bool


Wanted = Callable[[pa.Table], pa.Table]
"""Applies renames, and keeps the rows of the run's tickers and dates."""


def look(folder: str, files: Sequence[SourceFile], config: MarketConfig, wanted: Wanted) -> Findings:
    """Looks at the files of a source.

    Args:
        folder: URI of the folder of all files.
        files: The files.
        config: The settings of the market.
        wanted: The rows that the run uses; only they are compared with the calendar.

    Raises:
        UnreadableSourceError: if files are not read with these settings; names them, and the settings that read them.
        DataError: if the bars are not daily.
    """
    whole = sum(file.size_bytes for file in files) <= WHOLE_BYTES
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        results = list(pool.map(partial(_try, folder=folder, config=config, whole=whole), files))
    failures = [(file, found) for file, found in zip(files, results, strict=True) if isinstance(found, DataError)]
    if failures:
        raise _as_one(failures, folder, len(files))
    looked = [found for found in results if isinstance(found, _Looked) and found.read.bars.num_rows]
    _require_one_ticker_a_name(looked, folder, config.ticker)
    steps = {found.file.item: found.read.step_s for found in looked}
    fit = require_interval([(found.file.item, wanted(found.read.bars)) for found in looked], steps, config)
    days = [day for found in looked for day in _days(found.read.bars)]
    names = {name for found in looked for name in _names(found.read.bars)}
    return Findings(
        tickers=tuple(sorted(tickers_after(names, config.renames))) if whole else None,
        first=min(days, default=None),
        last=max(days, default=None) if whole else None,
        notes=(*_notes(looked), *fit.notes),
        off_calendar=fit.off_calendar,
    )


def _try(file: SourceFile, folder: str, config: MarketConfig, *, whole: bool) -> _Looked | DataError:
    try:
        return _look(file, folder, config, whole=whole)
    except DataError as error:
        return error


def _look(file: SourceFile, folder: str, config: MarketConfig, *, whole: bool) -> _Looked:
    """Looks at one file; raises UnreadableSourceError if it is not read."""
    if whole:
        data = contents.read(file.item)
        read = tabular.parse(tabular.Content(data, file.item, folder), config)
        if quoted := _quoted_lines(data, read):
            note = f"{counted(quoted, 'line')} inside quotes became part of other rows"
            read = replace(read, notes=(*read.notes, note))
    else:
        read = tabular.parse_beginning(file.item, file.size_bytes, folder, config, _BEGINNING_BYTES)
    by_name = bool(read.header.series) and (
        bool(config.ticker) or all(each.ticker is None and "ticker" not in each.columns for each in read.header.series)
    )
    _require_understood(read.bars, file.item, config)
    _require_volume(read.bars, file.item)
    if by_name and (config.interval != "1d" or not read.times):
        _require_one_row_a_date(read, file.item, Interval(config.interval))
    return _Looked(file, read, by_name)


def _quoted_lines(data: bytes, read: tabular.Read) -> int:
    """Returns how many lines of a text file are inside quotes, as after a quote that is never closed."""
    if b'"' not in data or b"\0" in data or unpacking.is_gzip(data) or unpacking.is_parquet(data):
        return 0
    lines = data.split(b"\n")
    below = sum(1 for line in lines[read.header.lines :] if line.strip())
    rows = int(read.bars.num_rows) // max(len(read.header.series), 1)
    return max(below - rows, 0)


def _require_understood(table: pa.Table, item: str, config: MarketConfig) -> None:
    """Raises UnreadableSourceError if most rows hold a value that is not understood."""
    texts = table.column(UNREADABLE).cast(pa.string())
    texts = texts.filter(pc.fill_null(pc.match_substring_regex(texts, _REQUIRED_VALUE), pa.scalar(False)))  # noqa: FBT003
    wrong = len(texts)
    if wrong > _MOST_UNREADABLE * max(table.num_rows, 1):
        first = texts[0].as_py()
        raise UnreadableSourceError(
            f"{item}: {wrong:,} of {table.num_rows:,} rows hold a value that is not understood, the first is {first}",
            hint=f"leave out market.decimal={config.decimal}"
            if config.decimal
            else "market.decimal, market.date_format, or another column in market.columns",
        )


def _require_volume(table: pa.Table, item: str) -> None:
    """Raises UnreadableSourceError if most rows with a price have no volume."""
    priced = table.filter(pc.is_valid(table.column("close")))
    none = priced.column("volume").null_count
    if none > _MOST_UNREADABLE * max(priced.num_rows, 1):
        raise UnreadableSourceError(
            f"{item}: {none:,} of {priced.num_rows:,} rows with a price have no volume",
            hint="market.missing_volume=zero if it has no volume, as for an index, or market.columns.volume=NAME",
        )


def _require_one_row_a_date(read: tabular.Read, item: str, interval: Interval) -> None:
    """Raises UnreadableSourceError if a file without tickers has several bars of one date, so of several tickers."""
    days, closes = columns.days(read.bars.column("date")), columns.floats(read.bars.column("close"))
    order = np.argsort(days, kind="stable")
    days, closes = days[order], closes[order]
    valid = (days != columns.NO_DATE) & (closes > 0)
    days, closes = days[valid], closes[valid]
    again = days[1:] == days[:-1]
    other = again & (np.abs(closes[1:] / closes[:-1] - 1) > _SAME_PRICE)  # a copy of a row is left to cleaning
    if other.sum() <= _MOST_OTHER_ROWS * len(days):
        return
    (day, count), *_ = Counter(days.tolist()).most_common(1)
    shown = ", ".join(name.strip()[:24] for name in read.header.names[:20])
    raise UnreadableSourceError(
        f"{item} has {count} rows of {interval.text(day)} and no column of tickers; it has {shown}",
        hint="market.columns.ticker=NAME, the column that tells the tickers apart",
    )


def _as_one(failures: Sequence[tuple[SourceFile, DataError]], folder: str, n_files: int) -> DataError:
    """Returns one error for all files that are not read."""
    first = failures[0][1]
    if n_files == 1:
        return first
    names = [each.item.removeprefix(folder) for each, _ in failures]
    rest = ""
    if len(failures) > 1:
        more = f" and {len(names) - _SHOWN - 1} more" if len(names) > _SHOWN + 1 else ""
        others = ", ".join(names[1 : _SHOWN + 1]) + more
        rest = f"; {len(failures)} of {n_files} files are not read, the others are {others}"
    hint = first.hint
    if len(failures) < n_files:
        ignored = _ignore(names) if len(names) <= _SHOWN else "market.ignore_files=GLOB,GLOB"
        leave_out = f"{ignored} to leave {'it' if len(names) == 1 else 'them'} out"
        hint = leave_out if first.hint in ("", NO_BARS) else f"{first.hint}, or {leave_out}"
    return type(first)(f"{first.message}{rest}", hint=hint)


def _ignore(names: Sequence[str]) -> str:
    """Returns the word that leaves files out, as it is typed in a shell."""
    listed = ",".join(names) if not any("," in name for name in names) else json.dumps(names, ensure_ascii=False)
    return f"market.ignore_files={shlex.quote(listed)}"


def _require_one_ticker_a_name(looked: Sequence[_Looked], folder: str, given: str | None) -> None:
    """Raises UnreadableSourceError if two files of one ticker hold other prices of the same dates.

    Args:
        looked: The files.
        folder: URI of the folder of all files.
        given: `market.ticker`.
    """
    by_ticker: dict[str, list[_Looked]] = {}
    for found in looked:
        if found.name_is_ticker:
            by_ticker.setdefault(_names(found.read.bars)[0], []).append(found)
    for name, files in by_ticker.items():
        closes = [_closes(found.read.bars) for found in files]
        for place in range(1, len(files)):
            common = closes[0].keys() & closes[place].keys()
            other = sum(abs(closes[0][day] / closes[place][day] - 1) > _SAME_PRICE for day in common)
            if len(common) >= _FEWEST_COMMON and other > len(common) / 2:
                second = files[place].file.item
                rename = "market.ticker is for files of one ticker" if given else "rename one of them"
                raise UnreadableSourceError(
                    f"two files are of the ticker {name} and hold other prices of the same dates: "
                    f"{files[0].file.item} and {second}",
                    hint=f"{_ignore([second.removeprefix(folder)])}, or {rename}",
                )


def _closes(table: pa.Table) -> dict[int, float]:
    days, closes = columns.days(table.column("date")), columns.floats(table.column("close"))
    valid = (days != columns.NO_DATE) & (closes > 0)
    return dict(zip(days[valid].tolist(), closes[valid].tolist(), strict=True))


def _notes(looked: Sequence[_Looked]) -> Iterator[str]:
    """Yields the notes on all files; equal ones once, with the number of files."""
    found: dict[str, list[tuple[str, str]]] = {}
    for each in looked:
        for note in each.read.notes:
            found.setdefault(note.partition(": ")[0], []).append((note, each.file.item.rsplit("/", 1)[-1]))
    for notes in list(found.values())[:_MOST_NOTES]:
        note, file = notes[0]
        more = len(notes) - 1
        yield f"{file}: {note}" + (f"; the same for {counted(more, 'more file')}" if more else "")


def _names(table: pa.Table) -> list[str]:
    return [name for name in pc.unique(table.column("ticker").cast(pa.string())).to_pylist() if name]


def _days(table: pa.Table) -> Iterator[dt.date]:
    found = pc.min_max(table.column("date")).as_py()
    for day in (found["min"], found["max"]):
        if day:
            yield day.date() if isinstance(day, dt.datetime) else day
