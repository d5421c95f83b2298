"""Bars from files that land in a folder: in the order of their names, each once.

JSON lines as in `messages`, CSV with a header, and Parquet, with the columns of BARS; `minute` may be a timestamp with
a zone. Files must get names in rising order, such as 2026-01-02T1431.parquet, and land as a whole, as a rename or an
upload does. A name that begins with . or _ is not taken.
"""

from __future__ import annotations

import datetime as dt
import gzip
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv
import pyarrow.parquet as pq

from cloudlstm import storage
from cloudlstm.errors import ObjectNotFoundError, OffsetGoneError, UnreadableSourceError, UsageError
from cloudlstm.stream import messages
from cloudlstm.stream.bars import BARS, MOST_VALUE, VALUES, Refused, empty, fault_of, normal, usable
from cloudlstm.stream.documents import Position
from cloudlstm.stream.kafka_client import Tell
from cloudlstm.stream.sources.base import Taken

_LINES = (".jsonl", ".ndjson", ".json")
_ENDINGS = (*_LINES, ".csv", ".parquet")
_LOOK_S = {"file": 0.2, "memory": 0.05}
"""Seconds between two looks into the folder, by scheme; a list of a bucket costs money."""
_LOOK_BUCKET_S = 5.0
_S_A_NAME = 1e-3
"""A bucket gives a thousand names a request; so looks into a large folder cost at most one request a second."""
_TEXTS = pv.ConvertOptions(column_types={"ticker": pa.string(), "source": pa.string()})
"""Columns of CSV that are text whatever they look like, such as the ticker 0700."""


class FilesSource:
    """The bars of landed files. A position is the name of the last file and the number of files so far.

    Args:
        folder: URI of the folder.
        tell: Shows lines about files that are not taken.
    """

    def __init__(self, folder: str, tell: Tell) -> None:
        self._folder, self._tell = folder.rstrip("/") + "/", tell
        self._names: list[str] = []
        self._checked = False
        self._look("")
        self._bound = max(self._names, default="")

    def take(self, start: Position, most: int, wait_s: float) -> Taken | None:
        """The bars of the next files: whole files, until there are `most` bars."""
        deadline = time.monotonic() + wait_s
        after = str(start.get("after", ""))
        if not self._checked:  # which files were there before is known by number only
            self._checked = True
            self._tell_late(sum(name <= after for name in self._names) - int(start.get("taken", 0)), after)
        while not (found := self._take(after, most)):
            wait = self._due - time.monotonic()
            if wait > 0.0 and self._due > deadline:
                time.sleep(max(deadline - time.monotonic(), 0.0))
                return None
            time.sleep(max(wait, 0.0))
            self._look(after)
        tables, refused, files = found
        end = {"after": max(files), "taken": int(start.get("taken", 0)) + len(files), "files": files}
        return Taken(_joined(tables), refused, dict(start), end)

    def _take(self, after: str, most: int) -> tuple[list[pa.Table], list[Refused], dict[str, str]] | None:
        """Bars, refusals and etags of the next files that the last look has found; None without a file."""
        tables, refused, files = [], [], {}
        for name in [name for name in self._names if name > after]:
            uri = self._folder + name
            try:
                etag, data = storage.stat(uri).etag, storage.read(uri)
            except ObjectNotFoundError:
                self._names.remove(name)
                self._tell(f"{uri} is gone before it was taken")
                continue
            bars, bad = _read(data, name)
            tables.append(bars)
            refused += bad
            files[name] = etag
            if sum(table.num_rows for table in tables) >= most:
                break
        return (tables, refused, files) if files else None

    def again(self, start: Position, end: Position, *, skip_gone: bool = False) -> Taken:
        """The bars of the files that the batch took."""
        tables, refused = [], []
        for name, etag in end["files"].items():
            uri = self._folder + name
            try:
                found = storage.stat(uri).etag
                data = storage.read(uri)
            except ObjectNotFoundError:
                if skip_gone:
                    continue
                raise OffsetGoneError(
                    f"{uri} is gone before its batch was finished",
                    hint="put it back, or --on-gap=skip to go on without it",
                ) from None
            if found != etag and not skip_gone:
                raise OffsetGoneError(
                    f"{uri} has changed before its batch was finished", hint="put the first content back"
                )
            bars, bad = _read(data, name)
            tables.append(bars)
            refused += bad
        return Taken(_joined(tables), refused, dict(start), dict(end))

    def skip_gone(self, start: Position) -> tuple[Position, str]:
        """Files that are gone are in no later batch, so nothing is to be skipped."""
        return start, "nothing"

    def ended(self, position: Position) -> bool:
        """True if the files that were there at the start are taken, or gone."""
        return not any(str(position.get("after", "")) < name <= self._bound for name in self._names)

    def lag(self, position: Position) -> int | None:
        """Files after the position, as of the last look."""
        return sum(name > str(position.get("after", "")) for name in self._names)

    def close(self) -> None:
        """It has no connections."""

    def _list(self) -> list[str]:
        found = (item.uri.removeprefix(self._folder) for item in storage.list_objects(self._folder))
        return sorted(
            name
            for name in found
            if name.removesuffix(".gz").endswith(_ENDINGS) and not name.rpartition("/")[2].startswith((".", "_"))
        )

    def _look(self, after: str) -> None:
        """Lists the folder, and tells about files that have landed since the last look with a name up to `after`."""
        before, self._names = set(self._names), self._list()
        pause = _LOOK_S.get(storage.scheme_of(self._folder))
        self._due = time.monotonic() + (pause or max(_LOOK_BUCKET_S, _S_A_NAME * len(self._names)))
        self._tell_late(sum(name <= after and name not in before for name in self._names), after)

    def _tell_late(self, number: int, after: str) -> None:
        if number > 0:
            self._tell(f"{number} files have landed with a name before {after} and are not taken; names must rise")


def read_files(place: str, tell: Tell) -> Iterator[pa.Table]:
    """The bars of a file, or of each file below a folder in the order of their names; what is no bar is told.

    Raises:
        UsageError: There is no such file.
    """
    source = FilesSource(place, tell)
    names = (
        [place] if place.removesuffix(".gz").endswith(_ENDINGS) else [source._folder + each for each in source._names]
    )
    if not names:
        raise UsageError(f"no file of bars below {place}", hint=f"names that end with {', '.join(_ENDINGS)}")
    for uri in names:
        bars, refused = _read(storage.read(uri), uri.rpartition("/")[2])
        if refused:
            tell(f"{uri}: {len(refused)} rows are no bars; the first, {refused[0].where}: {refused[0].reason}")
        yield bars


def _joined(tables: list[pa.Table]) -> pa.Table:
    return normal(pa.concat_tables([table.cast(BARS) for table in tables])) if tables else empty()


def _read(data: bytes, name: str) -> tuple[pa.Table, list[Refused]]:
    """The bars of a file, and its rows that are none. A file that cannot be read at all is one refusal."""
    try:
        if name.endswith(".gz"):
            data, name = gzip.decompress(data), name.removesuffix(".gz")
        if name.endswith(_LINES):
            lines = [line for line in data.split(b"\n") if line.strip()]
            decoded = messages.decode(lines, None, lambda number: f"{name} line {number + 1}")
            return decoded.bars, decoded.refused
        table, raw = _table(data, name)
    except (UnreadableSourceError, pa.ArrowException, OSError, EOFError, zlib.error, ValueError, KeyError) as error:
        return empty(), [Refused(name, f"the file cannot be read: {' '.join(str(error).split())}"[:MOST_VALUE])]
    unread = {
        key: pc.and_(pc.is_null(table[key]), pc.is_valid(raw[key])) for key in BARS.names if key in raw.column_names
    }
    good = usable(table)
    for each in unread.values():
        good &= ~each.to_numpy()
    bad = []
    for row in np.flatnonzero(~good).tolist():
        bar = {key: _plain(value) for key, value in table.slice(row, 1).to_pylist()[0].items()}
        texts = [f"its {key} cannot be read: {raw[key][row].as_py()!r}" for key in unread if unread[key][row].as_py()]
        reason = texts[0] if texts else fault_of(bar)
        reason = reason or "its values have other types"
        bad.append(Refused(f"{name} row {row + 1}", reason, bar["ticker"], bar["minute"], str(bar)[:MOST_VALUE]))
    return normal(table.filter(pa.array(good))), bad


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and value != value else value


def _table(data: bytes, name: str) -> tuple[pa.Table, pa.Table]:
    """The columns of BARS of a CSV or Parquet file, and the columns as they are written."""
    reader = pa.BufferReader(data)
    found = pv.read_csv(reader, convert_options=_TEXTS) if name.endswith(".csv") else pq.read_table(reader)
    if missing := [column for column in ("ticker", "minute", *VALUES) if column not in found.column_names]:
        raise UnreadableSourceError(f"{name} lacks the columns {', '.join(missing)}")
    if doubled := [column for column in BARS.names if found.column_names.count(column) > 1]:
        raise UnreadableSourceError(f"{name} has more than one column {', '.join(doubled)}")
    arrays = {}
    for field in BARS:
        if field.name not in found.column_names:
            arrays[field.name] = pa.nulls(found.num_rows, field.type)
            continue
        column = found[field.name]
        if field.name == "minute" and pa.types.is_timestamp(column.type):
            if column.type.tz is None:
                raise UnreadableSourceError(
                    "its minute is a time without a zone; write 2026-01-02T14:30:00Z, or seconds since 1970-01-01 UTC"
                )
            column = column.cast(pa.timestamp("s", column.type.tz)).cast(pa.int64())
        arrays[field.name] = _typed(column, field)
        arrays[field.name].validate(full=True)  # Parquet may have text in another encoding than UTF-8
    return pa.table(arrays, schema=BARS), found


def _typed(column: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    """A column in the type of its field. A text that cannot be read is null, so only its row is refused."""
    try:
        return column.cast(field.type)
    except pa.ArrowInvalid:
        if not pa.types.is_string(column.type):
            raise
    read = {"minute": _seconds, "final": _truth}.get(field.name, _number)
    return pa.chunked_array([pa.array([text and read(text) for text in column.to_pylist()], field.type)])


def _number(text: str) -> float | None:
    with suppress(ValueError):
        return float(text)
    return None


def _truth(text: str) -> bool | None:
    return {"true": True, "false": False, "1": True, "0": False}.get(text.lower())


def _seconds(text: str) -> int | None:
    """Seconds since 1970-01-01 UTC of a number of them, or of a time with a zone."""
    with suppress(ValueError):
        return int(text)
    with suppress(ValueError):
        moment = dt.datetime.fromisoformat(text)
        return int(moment.timestamp()) if moment.tzinfo else None
    return None
