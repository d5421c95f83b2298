"""The features of bars in a stream: the functions of the batch pipeline, on arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cloudlstm.config import RunConfig
from cloudlstm.features import CLOSE, EIGHT, FeatureSet, features_of_run
from cloudlstm.features.user import require_lookbacks
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
    def of(cls, features: FeatureSet = EIGHT) -> Self:
        """The features of a set, all of which are computed from bars."""
        return cls(features.names, CLOSE, features.lookback_bars, partial(_compute, features))


def features_of_bars(config: RunConfig) -> FeatureSet:
    """The features of a run that are computed from bars: the eight, then those of the user's code.

    A stream has no macro series and no news. The user's code is imported from where `predict` finds it, the present
    folder and the installed packages, and is tried.

    Raises:
        UserCodeError: A feature of the user's code is not there, or depends on more than its look-back bars.
    """
    features = features_of_run(config).of_groups(())
    require_lookbacks(features.features)
    return features


def _compute(features: FeatureSet, values: Values, group: NDArray[np.int32]) -> Values:
    """The features of `FeatureSet.compute`, (bar, feature)."""
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
    found = features.compute(table)
    return np.stack([columns.floats(found[name]) for name in features.names], axis=1)
