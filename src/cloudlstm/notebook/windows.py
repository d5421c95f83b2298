"""The windows of a split as NumPy arrays and as a tf.data.Dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudlstm.dataset.inputs import Inputs
from cloudlstm.dataset.reader import SequenceSet


class Windows:
    """The windows of a split, ordered by shard, ticker and date. Each property makes its array when it is used.

    Args:
        source: The sequences of the split.
        inputs: Returns how the network was shown windows in training.

    Attributes:
        features: The names of the last axis of `values`.
    """

    def __init__(self, source: SequenceSet, inputs: Callable[[], Inputs]) -> None:
        self._source, self._inputs = source, inputs
        self._all = np.arange(len(source))
        self.features = source.features.names

    def __len__(self) -> int:
        return len(self._source)

    @property
    def values(self) -> NDArray[np.float32]:
        """The feature values (n, window, feature), oldest bar first, in the units of `Run.features`."""
        return self._source.windows(self._all)

    @property
    def inputs(self) -> NDArray[np.float32]:
        """What the network sees (n, window, input): the values of its features, scaled as in training."""
        return self._inputs().inputs(self.values, self.tickers)

    @property
    def targets(self) -> NDArray[np.float32]:
        """Log-returns from the last bar to the target bar (n,); NaN in the split "forecast"."""
        return self._source.targets(self._all)

    @property
    def tickers(self) -> NDArray[np.str_]:
        """Tickers (n,)."""
        return self._source.tickers(self._all)

    @property
    def origin_dates(self) -> NDArray[np.datetime64]:
        """The date of the last bar of each window (n,)."""
        return self._source.origin_dates(self._all)

    @property
    def target_dates(self) -> NDArray[np.datetime64]:
        """The date of each target (n,); NaT in the split "forecast"."""
        return self._source.target_dates(self._all)

    def returns(self, outputs: NDArray[np.floating]) -> NDArray[np.float64]:
        """The log-returns (n,) that the network's outputs (n, 1) or (n,) for `inputs` stand for."""
        return self._inputs().returns(np.asarray(outputs).reshape(-1), self.values, self.tickers)

    def dataset(self, batch_size: int = 512) -> Any:
        """A tf.data.Dataset of (inputs, targets) in the order of the windows. It needs TensorFlow.

        A batch is made when it is read, so the windows of a large run need little memory.
        """
        from cloudlstm.training.runtime import tf

        transform, source = self._inputs(), self._source

        def batches() -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
            for begin in range(0, len(self), batch_size):
                part = self._all[begin : begin + batch_size]
                yield transform.inputs(source.windows(part), source.tickers(part)), source.targets(part)

        shape = (None, source.window_bars, transform.width)
        signature = (tf.TensorSpec(shape, tf.float32), tf.TensorSpec((None,), tf.float32))
        found = tf.data.Dataset.from_generator(batches, output_signature=signature)
        return found.apply(tf.data.experimental.assert_cardinality(-(-len(self) // batch_size)))

    def __repr__(self) -> str:
        return f"<cloudlstm.Windows {len(self)} x {self._source.window_bars} bars x {len(self.features)} features>"
