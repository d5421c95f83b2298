"""Baseline forecasts without a network, fitted on the training split only: naive, drift and ridge.

naive   log-return 0: the price stays.
drift   mean log-return of the ticker's training labels; for a ticker without training labels, of all of them.
ridge   linear regression on the inputs and labels of the network, converted into returns in the same way; the penalty
        is the one with the smallest validation error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from cloudlstm.dataset.ahead import ahead
from cloudlstm.dataset.inputs import Inputs
from cloudlstm.dataset.window_set import WindowSet
from cloudlstm.evaluation import ridge
from cloudlstm.evaluation.forecasts import Forecasts
from cloudlstm.evaluation.significance import FloatArray

BATCH_WINDOWS = 8192

Result = TypeVar("Result")

Progress = Callable[[int], None]
"""Called with the number of windows processed since the last call."""


@dataclass(frozen=True, slots=True)
class BaselineFit:
    """Fit results of the baselines.

    Attributes:
        ridge_alpha: The chosen penalty.
        ridge_losses: Penalty -> mean squared error on the validation split, in units of the network's loss; NaN if the
            split is empty.
        drift_pooled: Mean log-return over all training labels.
        naive_validation_loss: The same error of the naive forecast.
        ridge: The fitted ridge; None where only the other figures matter.
    """

    ridge_alpha: float
    ridge_losses: Mapping[float, float]
    drift_pooled: float
    naive_validation_loss: float
    ridge: ridge.RidgePath | None = field(default=None, compare=False)


def add_baselines(
    splits: Mapping[str, Forecasts],
    windows: Mapping[str, WindowSet],
    transform: Inputs,
    alphas: Sequence[float],
    progress: Progress = lambda _: None,
) -> BaselineFit:
    """Adds the baselines' forecasts to every split, in the order of `forecasts.MODELS`.

    Args:
        splits: Forecasts of the network by split; the baselines' are added to them.
        windows: Windows of "train", of "validation" if any, and of every split in `splits`.
        transform: Converts windows to the network's inputs and its outputs to returns.
        alphas: Ridge penalties to choose from.
        progress: Called after every batch.

    Raises:
        DataError: a forecast of the network has no window in the sequences.
    """
    drift, pooled = fit_drift(windows["train"])
    path, losses = fit_ridge(windows["train"], windows.get("validation"), transform, alphas, progress)
    for name, split in splits.items():
        own = windows[name]
        every = np.arange(len(own))
        place = split.positions(own.tickers(every), own.origin_dates(every).astype(np.int32))
        predictions = ridge_returns(path, own, transform, progress)
        network = split.models.pop("lstm")
        split.models["naive"] = np.zeros(len(split))
        split.models["drift"] = np.array([drift.get(ticker, pooled) for ticker in split.tickers])[split.ticker]
        split.models["ridge"] = predictions[place]
        split.models["lstm"] = network
    return BaselineFit(path.alphas[0], losses, pooled, naive_loss(windows.get("validation"), transform), path)


def fit_drift(train: WindowSet) -> tuple[dict[str, float], float]:
    """Returns the mean log-return of training labels by ticker, and over all of them (0.0 if there are none)."""
    total: dict[str, float] = {}
    count: dict[str, int] = {}
    for indices in _indices(len(train)):
        names, targets = train.tickers(indices), train.targets(indices).astype(np.float64)
        # Windows are mostly stored ticker by ticker, so runs of equal names are summed without a sort.
        begins = np.flatnonzero(np.r_[True, names[1:] != names[:-1]])
        sums, lengths = np.add.reduceat(targets, begins), np.diff(np.r_[begins, len(names)])
        for name, part, length in zip(names[begins].tolist(), sums.tolist(), lengths.tolist(), strict=True):
            total[name] = total.get(name, 0.0) + part
            count[name] = count.get(name, 0) + length
    pooled = sum(total.values()) / max(sum(count.values()), 1)
    return {name: total[name] / count[name] for name in total}, pooled


def fit_ridge(
    train: WindowSet,
    validation: WindowSet | None,
    transform: Inputs,
    alphas: Sequence[float],
    progress: Progress = lambda _: None,
) -> tuple[ridge.RidgePath, dict[float, float]]:
    """Returns the ridge with the best penalty, and the validation error of every penalty.

    Without validation labels the largest penalty is chosen.
    """
    path = ridge.fit(_over_batches(ridge.Sums.of, train, transform, progress), alphas)
    losses = np.full(len(alphas), np.nan)
    if validation is not None and len(validation):
        squared = _over_batches(path.squared_errors, validation, transform, progress)
        losses = np.sum(list(squared), axis=0) / len(validation)
    # The larger penalty wins if errors are equal or NaN.
    order = sorted(range(len(alphas)), key=lambda number: (np.nan_to_num(losses[number], nan=np.inf), -alphas[number]))
    return path.only(order[0]), {alpha: float(loss) for alpha, loss in zip(alphas, losses, strict=True)}


def naive_loss(validation: WindowSet | None, transform: Inputs) -> float:
    """Mean squared error of forecasting a return of zero, in units of the network's loss; NaN without labels."""
    n = len(validation) if validation is not None else 0
    if validation is None or not n:
        return float("nan")
    squared = 0.0
    for indices in _indices(n):
        raw, names, targets = validation.windows(indices), validation.tickers(indices), validation.targets(indices)
        error = transform.labels(raw, names, targets).astype(np.float64)
        error -= transform.labels(raw, names, np.zeros_like(targets))
        squared += float(error @ error)
    return squared / n


def ridge_returns(
    path: ridge.RidgePath, windows: WindowSet, transform: Inputs, progress: Progress = lambda _: None
) -> FloatArray:
    """Log-returns that a path with one penalty forecasts for every window (n,)."""

    def forecast(indices: npt.NDArray[np.int64]) -> FloatArray:
        raw, names = windows.windows(indices), windows.tickers(indices)
        return transform.returns(path.predict(_flat(transform.inputs(raw, names)))[:, 0], raw, names)

    predictions = [np.zeros(0)]
    for part in ahead(forecast, _indices(len(windows))):
        predictions.append(part)
        progress(len(part))
    return np.concatenate(predictions)


def _over_batches(
    function: Callable[[npt.NDArray[np.float32], npt.NDArray[np.float32]], Result],
    windows: WindowSet,
    transform: Inputs,
    progress: Progress,
) -> Iterator[Result]:
    """The function of the inputs (B, inputs) and labels (B,) of each batch, in order; threads make the next ones."""

    def make(indices: npt.NDArray[np.int64]) -> tuple[int, Result]:
        raw, names = windows.windows(indices), windows.tickers(indices)
        labels = transform.labels(raw, names, windows.targets(indices))
        return len(indices), function(_flat(transform.inputs(raw, names)), labels)

    for count, result in ahead(make, _indices(len(windows))):
        yield result
        progress(count)


def _indices(n: int) -> Iterator[npt.NDArray[np.int64]]:
    for begin in range(0, n, BATCH_WINDOWS):
        yield np.arange(begin, min(begin + BATCH_WINDOWS, n))


def _flat(inputs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return inputs.reshape(len(inputs), -1)
