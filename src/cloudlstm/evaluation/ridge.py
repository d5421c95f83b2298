"""Ridge regression on the network's inputs, fitted from sums.

One pass over the windows in batches; only their Gram matrix is kept, so memory does not grow with the number of
windows. The intercept is not penalised: inputs and target are centred by their means.

Hoerl, Kennard: Ridge regression. Technometrics 12(1), 1970.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cloudlstm.evaluation.significance import FloatArray

Batch = tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]]


@dataclass(frozen=True, slots=True)
class RidgePath:
    """Solutions for several penalties.

    Attributes:
        alphas: The penalties (P,).
        weights: Weights of each solution (inputs, P).
        intercepts: Intercept of each solution (P,).
    """

    alphas: tuple[float, ...]
    weights: FloatArray
    intercepts: FloatArray

    def predict(self, inputs: npt.NDArray[np.floating]) -> FloatArray:
        """Forecasts of every penalty for inputs of shape (B, inputs): (B, P)."""
        forecasts: FloatArray = inputs.astype(np.float64, copy=False) @ self.weights + self.intercepts
        return forecasts

    def only(self, number: int) -> RidgePath:
        """Returns the path with only the penalty at index `number`."""
        at = slice(number, number + 1)
        return RidgePath(self.alphas[at], self.weights[:, at], self.intercepts[at])


def fit(batches: Iterable[Batch], alphas: Sequence[float]) -> RidgePath:
    """Solves min |y - Xw - b|² + alpha |w|² for every alpha from one pass over (X, y) batches.

    X is (B, inputs), y is (B,); sums are float64. All weights are zero if there are no rows.
    """
    rows, gram, moment, sum_x, sum_y = 0, np.zeros((0, 0)), np.zeros(0), np.zeros(0), 0.0
    for inputs, target in batches:
        x, y = inputs.astype(np.float64), target.astype(np.float64)
        if not rows:
            width = x.shape[1]
            gram, moment, sum_x = np.zeros((width, width)), np.zeros(width), np.zeros(width)
        rows += len(x)
        gram += x.T @ x
        moment += x.T @ y
        sum_x += x.sum(axis=0)
        sum_y += float(y.sum())
    if not rows:
        return RidgePath(tuple(alphas), np.zeros((0, len(alphas))), np.zeros(len(alphas)))
    mean_x, mean_y = sum_x / rows, sum_y / rows
    # One eigendecomposition serves all penalties.
    scale, basis = np.linalg.eigh(gram - rows * np.outer(mean_x, mean_x))
    rotated = basis.T @ (moment - rows * mean_x * mean_y)
    penalised = np.maximum(scale, 0.0)[:, None] + np.asarray(alphas, np.float64)
    weights = basis @ (rotated[:, None] / penalised)
    return RidgePath(tuple(alphas), weights, mean_y - mean_x @ weights)


def validation_losses(path: RidgePath, batches: Iterable[Batch]) -> FloatArray:
    """Mean squared error of every penalty over (X, y) batches (P,); NaN if there are no rows."""
    rows, squared = 0, np.zeros(len(path.alphas))
    for inputs, target in batches:
        error = path.predict(inputs) - target.astype(np.float64)[:, None]
        rows += len(error)
        squared += (error**2).sum(axis=0)
    return squared / rows if rows else np.full(len(path.alphas), np.nan)
