"""Petastorm: Parquet files with a list column, read by threads and shuffled in a buffer, as PyTorch tensors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from contender import Done, Task, main
from loader_epoch import BATCH, SHUFFLE_BUFFER, folder_bytes, measure, relative
from petastorm import make_batch_reader
from petastorm.pytorch import BatchedDataLoader


def write_store(task: Task) -> str:
    """Writes the windows as Parquet; returns the URI of the folder."""
    windows, targets = np.load(task.input / "windows.npy"), np.load(task.input / "targets.npy")
    rows = windows.reshape(len(windows), -1)
    lists = pa.ListArray.from_arrays(
        pa.array(np.arange(0, rows.size + 1, rows.shape[1], dtype=np.int32)), pa.array(rows.ravel())
    )
    folder = task.output / "store"
    folder.mkdir(exist_ok=True)
    pq.write_table(pa.table({"inputs": lists, "target": targets}), folder / "windows.parquet", row_group_size=4096)
    return folder.as_uri()


def work(task: Task) -> Done:
    """Delivers all windows."""
    uri = write_store(task)

    def batches() -> Iterable[dict[str, np.ndarray]]:
        reader = make_batch_reader(uri, workers_count=task.threads, shuffle_row_groups=True, num_epochs=1)
        with BatchedDataLoader(reader, batch_size=BATCH, shuffling_queue_capacity=SHUFFLE_BUFFER) as loader:
            yield from loader

    def epoch() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for batch in batches():
            inputs = np.asarray(batch["inputs"]).reshape(-1, 50, 8)
            yield relative(inputs, np.asarray(batch["target"]))

    return measure(epoch, task.output, store_bytes=folder_bytes(task.output / "store"))


if __name__ == "__main__":
    main(work, "petastorm", "torch", "pyarrow", "numpy")
