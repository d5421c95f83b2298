"""Forecasts that need no network, fitted on the training split only: naive, drift and ridge.

naive   log-return 0: the price stays.
drift   the mean log-return of the ticker's training labels; of all training labels for a ticker without any.
ridge   linear regression on the network's own inputs, fitted to the network's own labels, turned back into returns
        the same way; the penalty is the one with the least validation error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from cloudlstm.dataset.inputs import Inputs
from cloudlstm.evaluation import ridge
from cloudlstm.evaluation.forecasts import Forecasts
from cloudlstm.evaluation.significance import FloatArray

BATCH_WINDOWS = 8192

Progress = Callable[[int], None]
"""Called with the number of windows seen since the last call."""


class Windows(Protocol):
    """The windows of one split; `dataset.reader.SequenceSet` is one. Every method answers for an array of indices."""

    def __len__(self) -> int: ...

    def windows(self, indices: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Raw features (batch, window, feature)."""
        ...

    def targets(self, indices: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Log-returns over the horizon (batch,)."""
        ...

    def tickers(self, indices: npt.NDArray[Any]) -> npt.NDArray[np.str_]:
        """Names (batch,)."""
        ...

    def origin_dates(self, indices: npt.NDArray[Any]) -> npt.NDArray[np.datetime64]:
        """Dates of the last bars (batch,)."""
        ...


@dataclass(frozen=True, slots=True)
class Fitted:
    """What fitting the baselines left to tell.

    Attributes:
        ridge_alpha: The chosen penalty.
        ridge_losses: Penalty -> mean squared error of the validation labels as the network fits them; NaN without any.
        drift_pooled: Mean log-return over all training labels.
        naive_validation_loss: Mean squared error of the naive forecast on the validation labels as the network fits
            them; NaN without any.
    """

    ridge_alpha: float
    ridge_losses: Mapping[float, float]
    drift_pooled: float
    naive_validation_loss: float


def add_baselines(
    splits: Mapping[str, Forecasts],
    windows: Mapping[str, Windows],
    transform: Inputs,
    alphas: Sequence[float],
    progress: Progress = lambda _: None,
) -> Fitted:
    """Adds the baselines' forecasts to every split, in the models' order.

    `windows` holds "train" and every split of `splits`.

    Raises:
        DataError: when a forecast of the network has no window in the sequences.
    """
    drift, pooled = fit_drift(windows["train"])
    path, losses = fit_ridge(windows["train"], windows.get("validation"), transform, alphas, progress)
    for name, split in splits.items():
        there = windows[name]
        every = np.arange(len(there))
        place = split.positions(
            there.tickers(every), there.origin_dates(every).astype("datetime64[D]").astype(np.int32)
        )
        said = ridge_returns(path, there, transform, progress)
        network = split.models.pop("lstm")
        split.models["naive"] = np.zeros(len(split))
        split.models["drift"] = np.array([drift.get(ticker, pooled) for ticker in split.tickers])[split.ticker]
        split.models["ridge"] = said[place]
        split.models["lstm"] = network
    return Fitted(path.alphas[0], losses, pooled, naive_loss(windows.get("validation"), transform))


def fit_drift(train: Windows) -> tuple[dict[str, float], float]:
    """The mean log-return of each ticker's training labels, and of all of them (0 where there is none)."""
    total: dict[str, float] = {}
    count: dict[str, int] = {}
    for indices in _indices(len(train)):
        names, targets = train.tickers(indices), train.targets(indices).astype(np.float64)
        # Windows lie ticker by ticker: a run of one name at a time instead of a sort.
        begins = np.flatnonzero(np.r_[True, names[1:] != names[:-1]])
        sums, lengths = np.add.reduceat(targets, begins), np.diff(np.r_[begins, len(names)])
        for name, part, length in zip(names[begins].tolist(), sums.tolist(), lengths.tolist(), strict=True):
            total[name] = total.get(name, 0.0) + part
            count[name] = count.get(name, 0) + length
    pooled = sum(total.values()) / max(sum(count.values()), 1)
    return {name: total[name] / count[name] for name in total}, pooled


def fit_ridge(
    train: Windows,
    validation: Windows | None,
    transform: Inputs,
    alphas: Sequence[float],
    progress: Progress = lambda _: None,
) -> tuple[ridge.RidgePath, dict[float, float]]:
    """The ridge of the best penalty, and every penalty's validation error; without validation labels the largest."""
    path = ridge.fit(_batches(train, transform, progress), alphas)
    losses = np.full(len(alphas), np.nan)
    if validation is not None and len(validation):
        losses = ridge.validation_losses(path, _batches(validation, transform, progress))
    # With nothing to choose by, the most cautious penalty; between equals too.
    order = sorted(range(len(alphas)), key=lambda number: (np.nan_to_num(losses[number], nan=np.inf), -alphas[number]))
    return path.only(order[0]), {alpha: float(loss) for alpha, loss in zip(alphas, losses, strict=True)}


def naive_loss(validation: Windows | None, transform: Inputs) -> float:
    """Mean squared error of a return of zero, in the units of the network's loss; NaN without a label."""
    n = len(validation) if validation is not None else 0
    if validation is None or not n:
        return float("nan")
    squared = 0.0
    for indices in _indices(n):
        raw, names, targets = validation.windows(indices), validation.tickers(indices), validation.targets(indices)
        missed = transform.labels(raw, names, targets).astype(np.float64)
        missed -= transform.labels(raw, names, np.zeros_like(targets))
        squared += float(missed @ missed)
    return squared / n


def ridge_returns(
    path: ridge.RidgePath, windows: Windows, transform: Inputs, progress: Progress = lambda _: None
) -> FloatArray:
    """The log-returns that a path of one penalty forecasts for every window (n,)."""
    said = np.empty(len(windows))
    for indices in _indices(len(windows)):
        raw, names = windows.windows(indices), windows.tickers(indices)
        outputs = path.predict(_flat(transform.inputs(raw, names)))[:, 0]
        said[indices] = transform.returns(outputs, raw, names)
        progress(len(indices))
    return said


def _batches(windows: Windows, transform: Inputs, progress: Progress) -> Iterator[ridge.Batch]:
    for indices in _indices(len(windows)):
        raw, names = windows.windows(indices), windows.tickers(indices)
        yield _flat(transform.inputs(raw, names)), transform.labels(raw, names, windows.targets(indices))
        progress(len(indices))


def _indices(n: int) -> Iterator[npt.NDArray[np.int64]]:
    for begin in range(0, n, BATCH_WINDOWS):
        yield np.arange(begin, min(begin + BATCH_WINDOWS, n))


def _flat(inputs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return inputs.reshape(len(inputs), -1)
