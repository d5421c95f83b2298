"""Compares the losses of two trainings: the same windows in the same order, from the same weights, without dropout."""

from __future__ import annotations

from pathlib import Path

import numpy as np

TOLERANCE = 5e-3
"""Largest relative difference of the loss of a step."""


def read(folder: Path) -> np.ndarray:
    """The loss of each step."""
    losses: np.ndarray = np.load(folder / "losses.npy")
    return losses


def compare(ours: np.ndarray, theirs: np.ndarray, tolerance: float = TOLERANCE) -> dict[str, float]:
    """Raises ValueError unless the losses of all steps are equal.

    Args:
        ours: From `read`, of cloudlstm.
        theirs: From `read`, of another contender.
        tolerance: Largest relative difference.
    """
    if len(ours) != len(theirs):
        raise ValueError(f"{len(theirs)} steps instead of {len(ours)}")
    largest = float(np.max(np.abs(ours - theirs) / np.abs(ours), initial=0.0))
    if not largest <= tolerance:
        raise ValueError(f"a loss differs by {largest:.3g} of its value; the tolerance is {tolerance:g}")
    return {"compared": 1.0, "largest_difference": largest}
