"""The local cache of a split: its shards, staged from storage and decoded once into columns on disk.

An entry is a folder, named by the checksums of the shards that it was made of:

    values.bin     float32 (bars, feature)
    targets.bin    float32 (bars,)
    dates.bin      int32 (bars,)
    origins.bin    int64 (windows,)       the bars that end a window, in the manifest's order
    entry.json     ticker and first bar of every sequence; size and checksum of every column

It is made under another name and renamed, behind a file lock: of several workers on one machine one does the work and
the others wait. An entry is checked whenever it is opened and made anew if it does not hold; raw shards are not kept.
"""

from __future__ import annotations

import datetime as dt
import errno
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from cloudlstm.dataset import example, tfrecord
from cloudlstm.dataset.splits import FORECAST
from cloudlstm.errors import CorruptObjectError, StorageError, StorageFullError
from cloudlstm.features import FEATURE_NAMES
from cloudlstm.runs.manifest import ManifestRow, fingerprint, read_object
from cloudlstm.storage.locks import locked

Report = Callable[[int], None]
"""Called with the number of bytes staged since the last call."""

COLUMNS: dict[str, tuple[str, tuple[int, ...]]] = {
    "values": ("<f4", (len(FEATURE_NAMES),)),
    "targets": ("<f4", ()),
    "dates": ("<i4", ()),
    "origins": ("<i8", ()),
}
"""Column -> type and shape of one row."""

_FORMAT = 1
_DOWNLOADS = 4
_CHECKED_AT_ONCE = 1 << 24
_UNUSED_AFTER_S = 14 * 86400.0
_SHOWN = 12
_EPOCH = dt.date(1970, 1, 1)
_FIRST_DATE, _LAST_DATE = (dt.date.min - _EPOCH).days, (dt.date.max - _EPOCH).days
_ENTRY = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Columns:
    """A decoded split, memory-mapped. `sequences` holds (ticker, first bar) of each sequence."""

    values: NDArray[np.float32]
    targets: NDArray[np.float32]
    dates: NDArray[np.int32]
    origins: NDArray[np.int64]
    sequences: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Lengths:
    """How far readers look from the bar that ends a window.

    Attributes:
        window_bars: Bars in a window.
        horizon_bars: Bars from a window's last bar to its target.
    """

    window_bars: int
    horizon_bars: int


def staged(rows: Sequence[ManifestRow], folder: Path, lengths: Lengths, report: Report | None = None) -> Columns:
    """The columns of a split, from the cache or staged and decoded now.

    Args:
        rows: The split's shards as their manifest lists them.
        folder: The cache.
        lengths: Every window must lie in its sequence, and every target too.
        report: Told of the bytes that are staged.

    Raises:
        CorruptObjectError: a shard is not what its manifest says, or not what a sequence shard should be.
        StorageFullError: the cache's disk is full.
    """
    key = fingerprint([_FORMAT, asdict(lengths), [(row.kind, row.sha256) for row in rows]])
    entry = folder / key
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / f"{key}.lock"):
            columns = _opened(entry)
            if columns is None:
                prune(folder, making=key)
                _make(entry, rows, lengths, report)
                columns = _opened(entry)
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise _ours(error, folder) from error
    if columns is None:
        raise CorruptObjectError(f"{entry} does not hold what was just written to it", hint="check this disk")
    return columns


def prune(folder: Path, making: str = "") -> None:
    """Removes entries that nobody has opened for two weeks, and what killed processes left half made.

    Who makes an entry holds its lock, so a half made entry whose lock is free is nobody's.

    Args:
        folder: The cache.
        making: The entry whose lock the caller holds, and of which it has not made anything yet.
    """
    keys = {path.name[: path.name.find("-")] for path in folder.glob("*-*.part")}
    keys |= {path.name for path in folder.iterdir() if _ENTRY.fullmatch(path.name) and _is_unused(path)}
    for key in keys:
        with suppress(OSError), nullcontext() if key == making else locked(folder / f"{key}.lock", wait=False):
            for half_made in folder.glob(f"{key}-*.part"):
                shutil.rmtree(half_made, ignore_errors=True)
            if key != making and _is_unused(folder / key):
                shutil.rmtree(folder / key, ignore_errors=True)
            if key != making and not (folder / key).exists():
                (folder / f"{key}.lock").unlink()


def _is_unused(entry: Path) -> bool:
    mark = entry / "entry.json"
    with suppress(OSError):
        return time.time() - (mark if mark.exists() else entry).stat().st_mtime > _UNUSED_AFTER_S
    return False


def _make(entry: Path, rows: Sequence[ManifestRow], lengths: Lengths, report: Report | None) -> None:
    """Stages and decodes all shards into a folder beside `entry`, then puts it in place."""
    part = Path(tempfile.mkdtemp(prefix=f"{entry.name}-", suffix=".part", dir=entry.parent))
    try:
        document = _write_columns(part, rows, lengths, report)
        (part / "entry.json").write_text(json.dumps(document))
        if entry.exists():  # it is here, so it did not pass its check
            broken = Path(tempfile.mkdtemp(prefix=f"{entry.name}-", suffix=".part", dir=entry.parent))
            entry.rename(broken / "broken")
            shutil.rmtree(broken, ignore_errors=True)
        part.rename(entry)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _write_columns(part: Path, rows: Sequence[ManifestRow], lengths: Lengths, report: Report | None) -> dict[str, Any]:
    """Appends shard after shard to the columns; returns what entry.json says of them."""
    sequences: list[tuple[str, int]] = []
    bars = 0
    crcs = dict.fromkeys(COLUMNS, 0)
    with ExitStack() as opened:  # closes all, also where the first cannot write what it still holds
        files = {name: opened.enter_context((part / f"{name}.bin").open("wb")) for name in COLUMNS}
        for row, data in zip(rows, _fetched(rows), strict=True):
            for ticker, columns in _decoded(data, row, bars, lengths):
                sequences.append((ticker, bars))
                bars += len(columns["dates"])
                for name, column in columns.items():
                    chunk = column.tobytes()
                    files[name].write(chunk)
                    crcs[name] = google_crc32c.extend(crcs[name], chunk)
            if report:
                report(row.size_bytes)
        sizes = {name: file.tell() for name, file in files.items()}
    return {"sequences": sequences, "columns": {name: [sizes[name], crcs[name]] for name in COLUMNS}}


def _fetched(rows: Sequence[ManifestRow]) -> Iterator[bytes]:
    """The shards' bytes in order, checked against the manifest; a few are under way at any time."""
    with ThreadPoolExecutor(_DOWNLOADS, thread_name_prefix="stage") as pool:
        waiting = [pool.submit(read_object, row) for row in rows[:_DOWNLOADS]]
        for index in range(len(rows)):
            data = waiting.pop(0).result()
            if index + _DOWNLOADS < len(rows):
                waiting.append(pool.submit(read_object, rows[index + _DOWNLOADS]))
            yield data


def _decoded(
    data: bytes, row: ManifestRow, bars: int, lengths: Lengths
) -> Iterator[tuple[str, dict[str, NDArray[Any]]]]:
    """Ticker and columns of every sequence of a shard whose first bar is number `bars` of the split."""
    windows = 0
    for record in tfrecord.records(data, row.uri):
        features = example.decode(record, row.uri)
        ticker, dates = features.get("ticker"), features.get("dates")
        values, targets = features.get("values"), features.get("targets")
        if not (
            isinstance(ticker, list)
            and len(ticker) == 1
            and isinstance(dates, np.ndarray)
            and isinstance(values, np.ndarray)
            and isinstance(targets, np.ndarray)
            and dates.dtype.kind + values.dtype.kind + targets.dtype.kind == "iff"
            and len(values) == len(dates) * len(FEATURE_NAMES)
            and len(targets) == len(dates)
        ):
            found = ", ".join(f"{name}[{len(value)}]" for name, value in sorted(features.items())[:_SHOWN])
            raise _no_sequence(row.uri, found or "it has no feature")
        # In "forecast" a sequence is one window, whose target nobody knows yet.
        ahead = 0 if row.kind == FORECAST else lengths.horizon_bars
        ends = np.flatnonzero(~np.isnan(targets)) if ahead else np.array([len(dates) - 1])
        if fault := _fault(dates, targets, ends, lengths.window_bars, ahead):
            raise _no_sequence(row.uri, fault)
        try:
            name = ticker[0].decode()
        except UnicodeDecodeError:
            raise _no_sequence(row.uri, f"its ticker {ticker[0][:_SHOWN]!r} is no text") from None
        windows += len(ends)
        yield (
            name,
            {
                "values": values.astype("<f4", copy=False),
                "targets": targets.astype("<f4", copy=False),
                "dates": dates.astype("<i4"),
                "origins": (ends + bars).astype("<i8"),
            },
        )
        bars += len(dates)
    if windows != row.rows:
        raise CorruptObjectError(f"{row.uri} has {windows} windows, its manifest says {row.rows}")


def _fault(dates: NDArray[Any], targets: NDArray[Any], ends: NDArray[np.int64], window: int, ahead: int) -> str:
    """What is wrong with a sequence whose windows end at the bars `ends`; empty if nothing is.

    Readers take bars by number: a window that began before its sequence would be cut from another one.
    """
    if len(ends) and ends[0] < window - 1:
        return f"a window of {window} bars ends at its bar {ends[0] + 1}"
    if len(ends) and ends[-1] + ahead >= len(dates):
        return f"the target {ahead} bars after its bar {ends[-1] + 1} of {len(dates)} is not in it"
    if np.isinf(targets).any():
        return "a target is infinite"
    if len(dates) and not (dates.min() >= _FIRST_DATE and dates.max() <= _LAST_DATE):
        return f"a date is {dates.min()} or {dates.max()} days from 1970-01-01"
    if (np.diff(dates) <= 0).any():
        return "its dates are not in order"
    return ""


def _no_sequence(uri: str, why: str) -> CorruptObjectError:
    return CorruptObjectError(
        f"{uri} holds an Example that is no sequence: {why}",
        hint="delete it and submit again: the step that made it runs again",
    )


def _opened(entry: Path) -> Columns | None:
    """The entry's columns, or None when it is missing or does not hold what its checksums say."""
    try:
        document = json.loads((entry / "entry.json").read_text())
        columns: dict[str, NDArray[Any]] = {}
        for name, (dtype, shape) in COLUMNS.items():
            size, crc = document["columns"][name]
            path = entry / f"{name}.bin"
            if path.stat().st_size != size or _crc(path) != crc:
                return None
            mapped = np.memmap(path, dtype, "r").view(np.ndarray) if size else np.zeros(0, dtype)
            columns[name] = mapped.reshape(-1, *shape)
        sequences = tuple((str(ticker), int(first)) for ticker, first in document["sequences"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    with suppress(OSError):
        os.utime(entry / "entry.json")  # "last used", for prune
    return Columns(**columns, sequences=sequences)


def _crc(path: Path) -> int:
    crc = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHECKED_AT_ONCE):
            crc = google_crc32c.extend(crc, chunk)
    return crc


def _ours(error: OSError, folder: Path) -> StorageError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFullError(
            f"no space is left for staged data in {folder}", hint="free some, or set train.cache_dir to a larger disk"
        )
    return StorageError(f"staging data in {folder} failed: {error}", hint="set train.cache_dir to a folder of yours")
