"""PyTorch's DataLoader over the windows as one memory-mapped array.

item=window   one window an item, as in the tutorials; workers make the batches
item=batch    a batch of indices an item, so that NumPy scales a batch at once
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from contender import Done, Task, main
from loader_epoch import BATCH, measure, relative
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler


class Windows(Dataset):
    """The scaled windows of `task.input`; an index is a window or a list of windows."""

    def __init__(self, task: Task) -> None:
        self._windows = np.load(task.input / "windows.npy", mmap_mode="r")
        self._targets = np.load(task.input / "targets.npy", mmap_mode="r")

    def __len__(self) -> int:
        return len(self._targets)

    def __getitem__(self, index: int | list[int]) -> tuple[np.ndarray, np.ndarray]:
        rows = np.atleast_1d(index)
        inputs, labels = relative(self._windows[rows], self._targets[rows])
        return (inputs, labels) if isinstance(index, list) else (inputs[0], labels[0])


def work(task: Task) -> Done:
    """Delivers all windows."""
    torch.set_num_threads(task.threads)
    windows = Windows(task)

    def epoch() -> Iterable[tuple[torch.Tensor, torch.Tensor]]:
        if task.settings.get("item") == "batch":
            batches = BatchSampler(RandomSampler(windows), BATCH, drop_last=False)
            return DataLoader(windows, batch_size=None, sampler=batches, num_workers=task.threads)
        return DataLoader(windows, BATCH, shuffle=True, num_workers=task.threads)

    return measure(epoch, task.output, store_bytes=(task.input / "windows.npy").stat().st_size)


if __name__ == "__main__":
    main(work, "torch", "numpy")
