"""What reads windows by index: a staged split, or a selection of several staged splits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from cloudlstm.features import FeatureSet

Indices = NDArray[np.integer]
Value = TypeVar("Value", bound=np.generic)


class WindowSet(Protocol):
    """Windows, numbered from 0. Every method takes window numbers (batch,) and returns one value for each, in order."""

    window_bars: int
    features: FeatureSet
    unit: str

    def __len__(self) -> int: ...

    def windows(self, indices: Indices) -> NDArray[np.float32]:
        """Raw feature values, (batch, window, feature), oldest bar first."""
        ...

    def last_bars(self, indices: Indices) -> NDArray[np.float32]:
        """Raw feature values of each window's last bar, (batch, feature)."""
        ...

    def targets(self, indices: Indices) -> NDArray[np.float32]:
        """Log-returns over the horizon, (batch,); NaN in the split "forecast"."""
        ...

    def tickers(self, indices: Indices) -> NDArray[np.str_]:
        """The ticker of each window, (batch,)."""
        ...

    def last_close(self, indices: Indices) -> NDArray[np.float64]:
        """Close of each window's last bar, (batch,)."""
        ...

    def origin_dates(self, indices: Indices) -> NDArray[np.datetime64]:
        """Date of each window's last bar, (batch,) datetime64[D]; within a day its start in UTC, datetime64[m]."""
        ...

    def target_dates(self, indices: Indices) -> NDArray[np.datetime64]:
        """Date of each window's target bar, (batch,), as `origin_dates`; NaT if it is not known yet."""
        ...


class Selection:
    """Some windows of several sets, as one set; nothing is copied until it is read.

    Args:
        sets: The sets, in order.
        chosen: The window numbers that are taken from each set, (n,) each.
    """

    def __init__(self, sets: Sequence[WindowSet], chosen: Sequence[NDArray[np.int64]]) -> None:
        used = [(own, numbers) for own, numbers in zip(sets, chosen, strict=True) if len(numbers)]
        self._sets = [own for own, _ in used] or list(sets[:1])
        self._own = np.concatenate([np.zeros(0, np.int64), *(numbers for _, numbers in used)])
        self._first = np.cumsum([0, *(len(numbers) for _, numbers in used[:-1])])
        self.window_bars, self.features, self.unit = sets[0].window_bars, sets[0].features, sets[0].unit

    def __len__(self) -> int:
        return len(self._own)

    def _gather(self, indices: Indices, read: Callable[[WindowSet, Indices], NDArray[Value]]) -> NDArray[Value]:
        """What `read` gives for the windows of each set, put together in the order of `indices`."""
        own, number = self._own[indices], np.searchsorted(self._first, indices, side="right") - 1
        present = np.unique(number)
        if len(present) <= 1:
            return read(self._sets[present[0] if len(present) else 0], own)
        parts = {place: read(self._sets[place], own[number == place]) for place in present.tolist()}
        first = parts[int(present[0])]
        kind = np.result_type(*(part.dtype for part in parts.values()))  # texts differ in length
        gathered: NDArray[Any] = np.empty((len(own), *first.shape[1:]), kind)
        for place, part in parts.items():
            gathered[number == place] = part
        return gathered

    def windows(self, indices: Indices) -> NDArray[np.float32]:
        """Raw feature values, (batch, window, feature), oldest bar first."""
        return self._gather(indices, lambda own, numbers: own.windows(numbers))

    def last_bars(self, indices: Indices) -> NDArray[np.float32]:
        """Raw feature values of each window's last bar, (batch, feature)."""
        return self._gather(indices, lambda own, numbers: own.last_bars(numbers))

    def targets(self, indices: Indices) -> NDArray[np.float32]:
        """Log-returns over the horizon, (batch,)."""
        return self._gather(indices, lambda own, numbers: own.targets(numbers))

    def tickers(self, indices: Indices) -> NDArray[np.str_]:
        """The ticker of each window, (batch,)."""
        return self._gather(indices, lambda own, numbers: own.tickers(numbers))

    def last_close(self, indices: Indices) -> NDArray[np.float64]:
        """Close of each window's last bar, (batch,)."""
        return self._gather(indices, lambda own, numbers: own.last_close(numbers))

    def origin_dates(self, indices: Indices) -> NDArray[np.datetime64]:
        """Date of each window's last bar, (batch,) datetime64[D]; within a day its start in UTC, datetime64[m]."""
        return self._gather(indices, lambda own, numbers: own.origin_dates(numbers))

    def target_dates(self, indices: Indices) -> NDArray[np.datetime64]:
        """Date of each window's target bar, (batch,), as `origin_dates`; NaT if it is not known yet."""
        return self._gather(indices, lambda own, numbers: own.target_dates(numbers))
