"""One epoch of a loader: first with a look at every window, then with the clock. Needs only NumPy."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from contender import Clock, Done

BATCH = 256
CLIP = 10.0
SHUFFLE_BUFFER = 16_384
"""Windows among which loaders that cannot draw from all windows shuffle."""


def measure(epoch: Callable[[], Iterable[tuple[object, object]]], output: Path, **facts: object) -> Done:
    """Writes what the loader delivers to `seen.npy`, for loader_check.py; then measures another epoch.

    Args:
        epoch: Starts an epoch: batches of inputs (window, bar, feature) and labels (window,), as tensors.
        output: Where `seen.npy` is written.
        facts: Further values for the results.
    """
    vector = np.random.default_rng(0).standard_normal(50 * 8).astype(np.float32)
    seen = []
    for inputs, labels in epoch():
        rows = np.asarray(inputs).reshape(len(labels), -1)
        seen.append(np.stack([np.asarray(labels).reshape(-1), rows @ vector], axis=1))
    np.save(output / "seen.npy", np.concatenate(seen))
    windows = 0
    with Clock() as clock:
        for inputs, _ in epoch():
            windows += len(inputs)
    if windows != sum(map(len, seen)):
        raise ValueError(f"the second epoch had {windows} windows, the first {sum(map(len, seen))}")
    return clock.done(**facts)


def relative(windows: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The inputs and labels of raw windows, as cloudlstm's default makes them (its module dataset/inputs.py).

    Args:
        windows: (window, bar, feature): open, high, low, close, volume, ma7, ma21, daily return.
        targets: Log-returns, (window,).
    """
    prices, volume, returns = (0, 1, 2, 3, 5, 6), 4, 7
    out = np.empty_like(windows)
    squared = windows[:, :, returns] * windows[:, :, returns]
    volatility = np.maximum(np.sqrt(squared.mean(axis=1)), np.float32(1e-4))
    scale = volatility[:, None, None] * np.float32(windows.shape[1] ** 0.5)
    out[:, :, prices] = np.log(windows[:, :, prices] / windows[:, -1:, 3, None]) / scale
    logs = np.log1p(np.maximum(windows[:, :, volume], 0))
    logs -= logs.mean(axis=1, keepdims=True)
    out[:, :, volume] = logs / np.maximum(logs.std(axis=1, keepdims=True), 1e-3)
    out[:, :, returns] = windows[:, :, returns] / volatility[:, None]
    np.clip(out, -CLIP, CLIP, out=out)
    return out, np.clip(targets / volatility, -CLIP, CLIP)


def folder_bytes(folder: Path) -> int:
    """The size of all files below a folder."""
    return sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())
