from __future__ import annotations

import datetime as dt
import errno
import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from cloudlstm import storage
from cloudlstm.config import DatasetConfig
from cloudlstm.dataset import cache, sequences
from cloudlstm.dataset.reader import SequenceSet
from cloudlstm.errors import CorruptObjectError, StorageError, StorageFullError
from cloudlstm.features import FEATURE_NAMES
from cloudlstm.runs.manifest import ManifestRow, write_object
from cloudlstm.storage.locks import locked
from dataset.tables import features_table

CONFIG = DatasetConfig(
    window_bars=12, horizon_bars=2, train_end=dt.date(2021, 12, 31), validation_end=dt.date(2022, 3, 31)
)


def shards(folder: Path, split: str = "train") -> list[ManifestRow]:
    """Two shards with different tickers."""
    rows = []
    for number in range(2):
        shard = sequences.build(features_table(2, 330, seed=number), CONFIG)[split]
        uri = f"file://{folder}/{split}-{number}.tfrecord"
        rows.append(write_object(uri, shard.data, kind=split, rows=shard.windows))
    return rows


def staged(rows: list[ManifestRow], folder: Path) -> SequenceSet:
    return SequenceSet.stage(rows, window_bars=12, horizon_bars=2, cache_dir=folder / "cache")


@pytest.mark.parametrize("split", ["train", "validation", "test", "forecast"])
def test_every_window_equals_the_rows_of_the_table(tmp_path: Path, split: str) -> None:
    windows = staged(shards(tmp_path, split), tmp_path)
    expected = []
    for number in range(2):
        for ticker in ("T000", "T001"):
            rows = [row for row in features_table(2, 330, seed=number).to_pylist() if row["ticker"] == ticker]
            values = np.array([[row[name] for name in FEATURE_NAMES] for row in rows], np.float32)
            dates = [row["date"] for row in rows]
            borders = {
                "train": (dt.date.min, CONFIG.train_end),
                "validation": (dt.date(2022, 1, 1), CONFIG.validation_end),
                "test": (dt.date(2022, 4, 1), dt.date.max),
            }
            for end in range(31, len(rows)):  # ma21 is there from bar 20 on, a window takes eleven bars more
                inside = (
                    split in borders
                    and end + 2 < len(rows)
                    and all(borders[split][0] <= dates[bar] <= borders[split][1] for bar in (end, end + 2))
                )
                if inside or (split == "forecast" and end == len(rows) - 1):
                    close = np.array([row["close"] for row in rows])
                    target = np.log(close[end + 2] / close[end]) if inside else np.nan
                    later = dates[end + 2] if inside else None
                    expected.append((ticker, dates[end], later, target, close[end], values[end - 11 : end + 1]))
    every = np.arange(len(windows))
    assert windows.tickers(every).tolist() == [row[0] for row in expected]
    assert windows.origin_dates(every).tolist() == [row[1] for row in expected]
    assert windows.target_dates(every).tolist() == [row[2] for row in expected]
    np.testing.assert_allclose(windows.targets(every), [row[3] for row in expected], rtol=1e-6)
    np.testing.assert_allclose(windows.last_close(every), [row[4] for row in expected], rtol=1e-7)
    np.testing.assert_array_equal(windows.windows(every), np.stack([row[5] for row in expected]))
    assert windows.windows(every).dtype == np.float32


def test_windows_come_in_the_requested_order(tmp_path: Path) -> None:
    windows = staged(shards(tmp_path), tmp_path)
    some = np.array([7, 0, len(windows) - 1, 7])
    np.testing.assert_array_equal(windows.windows(some), windows.windows(np.arange(len(windows)))[some])


def test_a_second_stage_reads_no_storage(tmp_path: Path) -> None:
    rows = shards(tmp_path)
    first = staged(rows, tmp_path)
    for row in rows:
        storage.delete(row.uri)
    second = staged(rows, tmp_path)
    np.testing.assert_array_equal(second.windows(np.arange(9)), first.windows(np.arange(9)))


def test_the_cache_holds_each_bar_once_and_no_raw_shard(tmp_path: Path) -> None:
    rows = shards(tmp_path)
    staged(rows, tmp_path)
    files = {path.name for path in (tmp_path / "cache").rglob("*") if path.is_file() and path.suffix != ".lock"}
    assert files == {"values.bin", "targets.bin", "dates.bin", "origins.bin", "entry.json"}


def test_a_shard_that_is_not_what_the_manifest_says_is_refused(tmp_path: Path) -> None:
    rows = shards(tmp_path)
    data = bytearray(storage.read(rows[1].uri))
    data[len(data) // 2] ^= 1
    storage.write(rows[1].uri, bytes(data))
    with pytest.raises(CorruptObjectError, match=r"train-1\.tfrecord does not have the checksum"):
        staged(rows, tmp_path)
    assert [path for path in (tmp_path / "cache" / "sequences").iterdir() if path.suffix != ".lock"] == []


def test_a_shard_with_other_records_than_its_manifest_says_is_refused(tmp_path: Path) -> None:
    """The object has the right checksum, but not the records that readers need."""
    row = shards(tmp_path)[0]
    wrong = ManifestRow(row.uri, row.kind, row.rows + 1, row.size_bytes, row.sha256)
    with pytest.raises(CorruptObjectError, match="windows, its manifest says"):
        staged([wrong], tmp_path)
    data = b"no record at all"
    storage.write(row.uri, data)
    with pytest.raises(CorruptObjectError, match=r"train-0\.tfrecord"):
        staged([ManifestRow(row.uri, "train", 1, len(data), hashlib.sha256(data).hexdigest())], tmp_path)


@pytest.mark.parametrize("damage", ["flip", "cut", "remove", "garble"])
def test_a_corrupt_cache_is_written_again(tmp_path: Path, damage: str) -> None:
    rows = shards(tmp_path)
    before = staged(rows, tmp_path).windows(np.arange(5))
    [column] = (tmp_path / "cache").rglob("values.bin")
    if damage == "flip":
        data = bytearray(column.read_bytes())
        data[100] ^= 4
        column.write_bytes(data)
    elif damage == "cut":
        os.truncate(column, 100)
    elif damage == "remove":
        column.unlink()
    else:
        column.with_name("entry.json").write_text("{")
    np.testing.assert_array_equal(staged(rows, tmp_path).windows(np.arange(5)), before)


def test_a_full_disk_has_its_own_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = shards(tmp_path)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cache, "_write_columns", full)
    with pytest.raises(StorageFullError, match=r"cache.*train\.cache_dir"):
        staged(rows, tmp_path)
    monkeypatch.undo()
    assert len(staged(rows, tmp_path)) == sum(row.rows for row in rows)


def test_workers_of_one_machine_may_stage_at_the_same_time(tmp_path: Path) -> None:
    rows = shards(tmp_path)
    code = (
        "import sys; from pathlib import Path; from cloudlstm.runs.manifest import ManifestRow\n"
        "from cloudlstm.dataset.reader import SequenceSet\n"
        f"rows = [ManifestRow(r.uri, r.kind, r.rows, r.size_bytes, r.sha256) for r in {rows!r}]\n"
        f"print(len(SequenceSet.stage(rows, window_bars=12, horizon_bars=2, cache_dir={str(tmp_path / 'cache')!r})))"
    )
    racing = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert [process.communicate()[0].strip() for process in racing] == [str(sum(row.rows for row in rows))] * 4
    entries = [path for path in (tmp_path / "cache" / "sequences").iterdir() if path.is_dir()]
    assert len(entries) == 1


def test_unused_entries_are_removed(tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "sequences"
    staged(shards(tmp_path, "test"), tmp_path)
    [kept] = [path for path in folder.iterdir() if path.is_dir()]
    unused, abandoned, making = "a" * 16, f"{'b' * 16}-x.part", f"{'c' * 16}-x.part"
    for name, age_days in ((unused, 20), (abandoned, 0), (making, 0)):
        (folder / name).mkdir()
        (folder / name / "entry.json").touch()
        os.utime(folder / name / "entry.json", (0, time.time() - age_days * 86400))
        os.utime(folder / name, (0, time.time() - age_days * 86400))
    with locked(folder / f"{'c' * 16}.lock"):
        staged(shards(tmp_path, "train"), tmp_path)
    there = {path.name for path in folder.iterdir()}
    assert {kept.name, making} < there
    assert not there & {unused, abandoned, f"{unused}.lock"}


def test_a_split_without_shards_has_no_windows(tmp_path: Path) -> None:
    assert len(staged([], tmp_path)) == 0


def test_a_pipe_in_place_of_a_lock_is_not_waited_for(tmp_path: Path) -> None:
    """Other users may write to a shared cache."""
    folder = tmp_path / "cache" / "sequences"
    rows = shards(tmp_path)
    staged(rows, tmp_path)
    (lock,) = folder.glob("*.lock")
    lock.unlink()
    os.mkfifo(lock)
    with pytest.raises(StorageError, match=r"staging data in .* failed: .*is not a regular file"):
        staged(rows, tmp_path)
