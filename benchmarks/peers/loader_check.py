"""Compares what two loaders delivered: the same windows, in any order, with equal inputs and labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

TOLERANCE = 2e-3
"""Largest absolute difference of a label, and of a random projection of the 400 inputs of a window."""


def read(folder: Path) -> np.ndarray:
    """(window, 2): label and projection of each window, in any order."""
    seen: np.ndarray = np.load(folder / "seen.npy")
    return seen


def compare(ours: np.ndarray, theirs: np.ndarray, tolerance: float = TOLERANCE) -> dict[str, float]:
    """Raises ValueError unless both have the same windows.

    Labels and projections are compared as sorted columns: rounding may exchange two windows with nearly equal labels.

    Args:
        ours: From `read`, of cloudlstm.
        theirs: From `read`, of another contender.
        tolerance: Largest absolute difference.
    """
    if len(ours) != len(theirs):
        raise ValueError(f"{len(theirs)} windows instead of {len(ours)}")
    largest = max(float(np.max(np.abs(np.sort(ours[:, at]) - np.sort(theirs[:, at])), initial=0.0)) for at in (0, 1))
    if not largest <= tolerance:
        raise ValueError(f"the windows differ by up to {largest:.3g}; the tolerance is {tolerance:g}")
    return {"compared": 1.0, "largest_difference": largest}
