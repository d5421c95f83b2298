"""How much a trained network relies on each of its inputs: permutation importance on windows of the test split.

The inputs of one feature are exchanged among the windows, whole columns of a window at a time, so that they keep their
values, their order in time and their gaps, and lose what they say of the window. The mean squared error of the forecast
return then grows by as much as the network relies on the feature (Breiman 2001, Machine Learning 45; Fisher, Rudin,
Dominici 2019, Journal of Machine Learning Research 20).

The inputs are exchanged, after scaling, and not the raw values: a close of another ticker would make a window that no
market has. A network that gets the same from two features spreads its reliance over both, and the importance of each
is small.

All workers compute the outputs together, as for a forecast. Each holds the inputs of all chosen windows, at most
128 MiB.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudlstm.dataset.inputs import Inputs
from cloudlstm.dataset.window_set import WindowSet
from cloudlstm.features import EIGHT
from cloudlstm.training.forward import Forward
from cloudlstm.training.members import Member

WINDOWS = 4096
"""Most windows that are used."""

REPEATS = 3
"""Permutations of each feature."""

_MOST_VALUES = 32 * 2**20
_BATCH_WINDOWS = 1024


def is_measured(transform: Inputs, test: WindowSet) -> bool:
    """True if a network has inputs beyond those of the eight features, and the test split has windows."""
    return transform.width > EIGHT.width and len(test) > 0


def importance(forward: Forward, member: Member, test: WindowSet, transform: Inputs) -> dict[str, Any]:
    """The importance of each feature of a network, JSON-ready; the same on every worker.

    Args:
        forward: Computes the outputs of the trained network; every worker calls it.
        member: The network; its seed decides the permutations.
        test: The test split of its fold, not empty.
        transform: Makes the network's inputs.

    Returns:
        `mse`, the squared error of the return with every date weighing the same, and for each feature `increases`: by
        which share of it the error grows, for each permutation. `mse` is null, and so are they, if it is zero.
    """
    chosen = _spread_evenly(test, transform)
    tickers = test.tickers(chosen)
    inputs = np.empty((len(chosen), test.window_bars, transform.width), np.float32)
    for begin in range(0, len(chosen), _BATCH_WINDOWS):
        part = slice(begin, begin + _BATCH_WINDOWS)
        transform.inputs(test.windows(chosen[part]), tickers[part], out=inputs[part])
    errors = _Errors(test, transform, chosen)

    def squared_error(place: int, order: NDArray[np.int64]) -> float:
        """With the inputs of one feature taken from other windows."""

        def fill(batch: NDArray[np.int64], out: NDArray[np.float32]) -> None:
            out[:] = inputs[batch]
            out[:, :, place] = inputs[order[batch], :, place]

        outputs = forward.outputs_of(chosen, (test.window_bars, transform.width), fill)
        return errors.mean_square(forward.gather(chosen, outputs))

    base = squared_error(0, np.arange(len(chosen)))
    rows = []
    for place, feature in enumerate(transform.chosen.features):
        found = [squared_error(place, order) for order in _permutations(member.seed, feature.name, len(chosen))]
        increases = [value / base - 1.0 if base > 0.0 else None for value in found]
        rows.append({"feature": feature.name, "group": feature.group, "increases": increases})
    return {
        "seed": member.seed,
        "fold": member.fold,
        "windows": len(chosen),
        "of": len(test),
        "repeats": REPEATS,
        "mse": base or None,
        "features": rows,
    }


def _spread_evenly(test: WindowSet, transform: Inputs) -> NDArray[np.int64]:
    """The numbers of the windows that are used, at even distances over the split."""
    most = max(min(WINDOWS, _MOST_VALUES // (test.window_bars * transform.width)), 1)
    count = min(len(test), most)
    return np.arange(count, dtype=np.int64) * len(test) // count


def _permutations(seed: int, feature: str, windows: int) -> Iterator[NDArray[np.int64]]:
    """The permutations of a feature; they depend on the seed and its name, not on the other features."""
    random = np.random.default_rng([seed, *feature.encode()])
    for _ in range(REPEATS):
        yield random.permutation(windows)


class _Errors:
    """Squared errors of the returns of some windows; every date weighs the same.

    Args:
        test: The split.
        transform: Turns outputs into returns.
        chosen: The numbers of the windows (n,).
    """

    def __init__(self, test: WindowSet, transform: Inputs, chosen: NDArray[np.int64]) -> None:
        self._test, self._transform, self._chosen = test, transform, chosen
        _, date, count = np.unique(test.origin_dates(chosen), return_inverse=True, return_counts=True)
        self._weight = 1.0 / (count[date] * len(count))

    def mean_square(self, outputs: NDArray[np.float64]) -> float:
        """The mean squared error of the network's outputs (n,)."""
        total = 0.0
        for begin in range(0, len(self._chosen), _BATCH_WINDOWS):
            part = slice(begin, begin + _BATCH_WINDOWS)
            numbers = self._chosen[part]
            raw, tickers = self._test.windows(numbers), self._test.tickers(numbers)
            error = self._transform.returns(outputs[part], raw, tickers) - self._test.targets(numbers)
            total += float(self._weight[part] @ error**2)
        return total
