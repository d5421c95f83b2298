"""The local cache of a split: its shards, downloaded and decoded once into columns on disk.

An entry is a folder, named by the checksums of its shards:

    values.bin     float32 (bars, feature)
    targets.bin    float32 (bars,)
    dates.bin      int32 (bars,)
    origins.bin    int64 (windows,)       the last bar of each window, in the manifest's order
    entry.json     ticker and first bar of every sequence; size and checksum of every column

An entry is written under another name and renamed, under a file lock: one worker of a machine writes it, the others
wait. Checksums are verified whenever an entry is opened; a corrupt entry is written again. Raw shards are not kept.
"""

from __future__ import annotations

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

from cloudlstm.dataset import sequences
from cloudlstm.dataset.sequences import Lengths
from cloudlstm.errors import CorruptObjectError, StorageError, StorageFullError
from cloudlstm.runs.manifest import ManifestRow, fingerprint, read_object
from cloudlstm.storage.locks import locked

ReportBytes = Callable[[int], None]
"""Called with the bytes staged since the last call."""

COLUMNS = {"values": "<f4", "targets": "<f4", "dates": "<i4", "origins": "<i8"}
"""By column: the type of its values. A row of "values" has one for each feature."""

_FORMAT = 1
_DOWNLOADS = 4
_CHUNK_BYTES = 1 << 24
_EXPIRES_AFTER_S = 14 * 86400.0
_ENTRY = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Columns:
    """A decoded split, memory-mapped; `sequences` holds (ticker, first bar) of each sequence."""

    values: NDArray[np.float32]
    targets: NDArray[np.float32]
    dates: NDArray[np.int32]
    origins: NDArray[np.int64]
    sequences: tuple[tuple[str, int], ...]


def stage(
    rows: Sequence[ManifestRow], folder: Path, lengths: Lengths, width: int, report: ReportBytes | None = None
) -> Columns:
    """The columns of a split, from the cache if they are there, otherwise staged and decoded.

    Args:
        rows: The manifest rows of the split's shards.
        folder: The cache.
        lengths: Every window and every target must lie inside its sequence.
        width: Number of features.
        report: Receives the number of staged bytes.

    Raises:
        CorruptObjectError: a shard differs from its manifest, or is not a valid sequence shard.
        StorageFullError: the cache's disk is full.
    """
    key = fingerprint([_FORMAT, asdict(lengths), width, [(row.kind, row.sha256) for row in rows]])
    entry = folder / key
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / f"{key}.lock"):
            columns = _open(entry, width)
            if columns is None:
                prune(folder, making=key)
                _make(entry, rows, lengths, width, report)
                columns = _open(entry, width)
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise _to_storage_error(error, folder) from error
    if columns is None:
        raise CorruptObjectError(f"{entry} differs from what was just written to it", hint="check this disk")
    return columns


def prune(folder: Path, making: str = "") -> None:
    """Removes entries that were not opened for two weeks, and partial entries of killed processes.

    The writer of an entry holds its lock, so a partial entry with a free lock has no writer.

    Args:
        folder: The cache.
        making: The entry whose lock the caller holds, before it writes anything.
    """
    keys = {path.name[: path.name.find("-")] for path in folder.glob("*-*.part")}
    keys |= {path.name for path in folder.iterdir() if _ENTRY.fullmatch(path.name) and _has_expired(path)}
    for key in keys:
        with suppress(OSError), nullcontext() if key == making else locked(folder / f"{key}.lock", wait=False):
            for partial in folder.glob(f"{key}-*.part"):
                shutil.rmtree(partial, ignore_errors=True)
            if key != making and _has_expired(folder / key):
                shutil.rmtree(folder / key, ignore_errors=True)
            if key != making and not (folder / key).exists():
                (folder / f"{key}.lock").unlink()


def _has_expired(entry: Path) -> bool:
    document = entry / "entry.json"
    with suppress(OSError):
        return time.time() - (document if document.exists() else entry).stat().st_mtime > _EXPIRES_AFTER_S
    return False


def _make(entry: Path, rows: Sequence[ManifestRow], lengths: Lengths, width: int, report: ReportBytes | None) -> None:
    """Stages and decodes all shards into a folder beside `entry`, then renames it."""
    part = Path(tempfile.mkdtemp(prefix=f"{entry.name}-", suffix=".part", dir=entry.parent))
    try:
        document = _write_columns(part, rows, lengths, width, report)
        (part / "entry.json").write_text(json.dumps(document))
        if entry.exists():  # it failed its check
            broken = Path(tempfile.mkdtemp(prefix=f"{entry.name}-", suffix=".part", dir=entry.parent))
            entry.rename(broken / "broken")
            shutil.rmtree(broken, ignore_errors=True)
        part.rename(entry)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _write_columns(
    part: Path, rows: Sequence[ManifestRow], lengths: Lengths, width: int, report: ReportBytes | None
) -> dict[str, Any]:
    """Appends all shards to the columns; returns the content of entry.json."""
    firsts: list[tuple[str, int]] = []
    bars = 0
    crcs = dict.fromkeys(COLUMNS, 0)
    with ExitStack() as opened:  # closes all files, even if the first cannot be flushed
        files = {name: opened.enter_context((part / f"{name}.bin").open("wb")) for name in COLUMNS}
        for row, data in zip(rows, _download(rows), strict=True):
            for ticker, columns in sequences.decode(data, row, bars, lengths, width):
                firsts.append((ticker, bars))
                bars += len(columns["dates"])
                for name, column in columns.items():
                    chunk = column.tobytes()
                    files[name].write(chunk)
                    crcs[name] = google_crc32c.extend(crcs[name], chunk)
            if report:
                report(row.size_bytes)
        sizes = {name: file.tell() for name, file in files.items()}
    return {"sequences": firsts, "columns": {name: [sizes[name], crcs[name]] for name in COLUMNS}}


def _download(rows: Sequence[ManifestRow]) -> Iterator[bytes]:
    """The verified bytes of the shards, in order; a few downloads run at the same time."""
    with ThreadPoolExecutor(_DOWNLOADS, thread_name_prefix="stage") as pool:
        waiting = [pool.submit(read_object, row) for row in rows[:_DOWNLOADS]]
        for index in range(len(rows)):
            data = waiting.pop(0).result()
            if index + _DOWNLOADS < len(rows):
                waiting.append(pool.submit(read_object, rows[index + _DOWNLOADS]))
            yield data


def _open(entry: Path, width: int) -> Columns | None:
    """The entry's columns; None if it is missing or its checksums do not match."""
    try:
        document = json.loads((entry / "entry.json").read_text())
        columns: dict[str, NDArray[Any]] = {}
        for name, dtype in COLUMNS.items():
            size, crc = document["columns"][name]
            path = entry / f"{name}.bin"
            if path.stat().st_size != size or _crc(path) != crc:
                return None
            mapped = np.memmap(path, dtype, "r").view(np.ndarray) if size else np.zeros(0, dtype)
            columns[name] = mapped.reshape(-1, width) if name == "values" else mapped
        firsts = tuple((str(ticker), int(first)) for ticker, first in document["sequences"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    with suppress(OSError):
        os.utime(entry / "entry.json")  # the time of last use, for prune
    return Columns(**columns, sequences=firsts)


def _crc(path: Path) -> int:
    crc = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            crc = google_crc32c.extend(crc, chunk)
    return crc


def _to_storage_error(error: OSError, folder: Path) -> StorageError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFullError(
            f"no space is left for staged data in {folder}", hint="free some, or set train.cache_dir to a larger disk"
        )
    return StorageError(f"staging data in {folder} failed: {error}", hint="set train.cache_dir to another folder")
