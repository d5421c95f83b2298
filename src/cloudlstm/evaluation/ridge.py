"""Ridge regression on the network's inputs, fitted from sums.

One pass over the windows in batches; only their Gram matrix is kept, so memory does not grow with the number of
windows. The products of a batch have the precision of the inputs; their sums over batches are float64. The intercept is
not penalised: inputs and target are centred by their means.

Hoerl, Kennard: Ridge regression. Technometrics 12(1), 1970.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from cloudlstm.evaluation.significance import FloatArray


@dataclass(frozen=True, slots=True)
class Sums:
    """What a fit needs of a batch of inputs X and targets y.

    Attributes:
        rows: Number of rows.
        gram: X'X (inputs, inputs).
        moment: X'y (inputs,).
        x: Sum of the rows of X (inputs,).
        y: Sum of y.
    """

    rows: int
    gram: npt.NDArray[np.floating]
    moment: npt.NDArray[np.floating]
    x: npt.NDArray[np.floating]
    y: float

    @classmethod
    def of(cls, x: npt.NDArray[np.floating], target: npt.NDArray[np.floating]) -> Self:
        """The sums of a batch, in the precision of the inputs.

        Args:
            x: Inputs (B, inputs).
            target: Targets (B,).
        """
        y = target.astype(x.dtype, copy=False)
        return cls(len(x), x.T @ x, y @ x, np.ones_like(y) @ x, float(y.sum(dtype=np.float64)))


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

    def squared_errors(self, inputs: npt.NDArray[np.floating], target: npt.NDArray[np.floating]) -> FloatArray:
        """Sum of the squared errors of every penalty (P,) for inputs (B, inputs) and targets (B,)."""
        errors: FloatArray = self.predict(inputs) - target.astype(np.float64)[:, None]
        squared: FloatArray = (errors**2).sum(axis=0)
        return squared

    def only(self, number: int) -> RidgePath:
        """Returns the path with only the penalty at index `number`."""
        at = slice(number, number + 1)
        return RidgePath(self.alphas[at], self.weights[:, at], self.intercepts[at])

    def to_npz(self) -> bytes:
        """The path as an .npz file; equal paths give equal bytes."""
        file = io.BytesIO()
        np.savez(file, alphas=np.array(self.alphas), weights=self.weights, intercepts=self.intercepts)
        return file.getvalue()

    @classmethod
    def from_npz(cls, data: bytes) -> Self:
        """Reads what `to_npz` wrote."""
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            return cls(tuple(file["alphas"].tolist()), file["weights"], file["intercepts"])


def fit(batches: Iterable[Sums], alphas: Sequence[float]) -> RidgePath:
    """Solves min |y - Xw - b|² + alpha |w|² for every alpha from the sums of all batches.

    All weights are zero if there are no rows.
    """
    rows, gram, moment, sum_x, sum_y = 0, np.zeros((0, 0)), np.zeros(0), np.zeros(0), 0.0
    for batch in batches:
        if not rows:
            width = len(batch.x)
            gram, moment, sum_x = np.zeros((width, width)), np.zeros(width), np.zeros(width)
        rows += batch.rows
        gram += batch.gram
        moment += batch.moment
        sum_x += batch.x
        sum_y += batch.y
    if not rows:
        return RidgePath(tuple(alphas), np.zeros((0, len(alphas))), np.zeros(len(alphas)))
    mean_x, mean_y = sum_x / rows, sum_y / rows
    # One eigendecomposition serves all penalties.
    scale, basis = np.linalg.eigh(gram - rows * np.outer(mean_x, mean_x))
    rotated = basis.T @ (moment - rows * mean_x * mean_y)
    penalised = np.maximum(scale, 0.0)[:, None] + np.asarray(alphas, np.float64)
    weights = basis @ (rotated[:, None] / penalised)
    return RidgePath(tuple(alphas), weights, mean_y - mean_x @ weights)
