"""The features of bars in a stream: the functions of the batch pipeline, on arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cloudlstm.features import CLOSE, FEATURE_NAMES, FEATURES, compute
from cloudlstm.market import columns
from cloudlstm.stream.bars import VALUES

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Kernel:
    """What computes features.

    Attributes:
        names: The names of the features.
        close: The place of the close among them.
        lookback_bars: The most bars that a feature depends on, its own included.
        compute: Gives the features (bar, feature) of values (bar, VALUES) and group numbers (bar,), where each run of
            equal numbers is a segment of one ticker. A feature depends on its look-back bars only, bit for bit.
    """

    names: tuple[str, ...]
    close: int
    lookback_bars: int
    compute: Callable[[Values, NDArray[np.int32]], Values]

    @classmethod
    def of_table(cls) -> Self:
        """The features of the table in `features/table.py`."""
        lookback = max(feature.lookback_bars for feature in FEATURES)
        return cls(FEATURE_NAMES, CLOSE, lookback, _compute)


def _compute(values: Values, group: NDArray[np.int32]) -> Values:
    """The features of `features.compute`."""
    n = len(values)
    table = pa.table(
        {
            "ticker": columns.from_codes(np.zeros(n, np.int32), [""]),  # the group stands for ticker and segment
            "date": columns.from_days(np.zeros(n, np.int32)),
            "segment": group,
            "filled": np.zeros(n, bool),
            "withdrawn": np.zeros(n, bool),
            **{name: np.ascontiguousarray(values[:, place]) for place, name in enumerate(VALUES)},
        }
    )
    found = compute(table)
    return np.stack([columns.floats(found[name]) for name in FEATURE_NAMES], axis=1)
