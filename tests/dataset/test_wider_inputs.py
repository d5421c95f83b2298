"""Inputs of features beyond the eight: each kind by its formula, missing values, networks that take some of them."""

from __future__ import annotations

import numpy as np
import pytest

from cloudlstm.dataset.inputs import Levels, Relative, restore
from cloudlstm.errors import DataError
from cloudlstm.features import EIGHT, FEATURES, Feature, FeatureSet
from dataset.test_inputs import NAMES, some_windows

JOINED = (
    Feature("rate", "rate", "percent", group="macro"),
    Feature("index", "index", "index points", group="macro"),
    Feature("count", "count", "number", group="news"),
    Feature("score", "score", "score", group="news"),
    Feature("age", "age", "days", group="news"),
)
WIDE = FeatureSet((*FEATURES, *JOINED))
BARS = 50


def wide_windows(count: int = 20) -> np.ndarray:
    """Windows of the eight features and of one of each other kind; some of these are missing."""
    rng = np.random.default_rng(4)
    shape = (count, BARS)
    joined = np.stack(
        [rng.normal(3, 0.5, shape), 250 * np.exp(rng.normal(0, 0.01, shape).cumsum(axis=1)),
         rng.integers(0, 9, shape), rng.uniform(-1, 1, shape), rng.uniform(0, 20, shape)], axis=2,
    )  # fmt: skip
    joined[rng.random(joined.shape) < 0.1] = np.nan
    return np.concatenate([some_windows(count), joined], axis=2).astype(np.float32)


def standardised(values: np.ndarray) -> np.ndarray:
    known = values[np.isfinite(values)]
    mean = known.mean()
    filled = np.where(np.isfinite(values), values, mean)
    return (filled - mean) / filled.std()


def test_each_kind_is_its_formula_and_a_missing_value_gives_zero() -> None:
    windows = wide_windows()
    inputs = Relative(1, WIDE).inputs(windows, NAMES)
    np.testing.assert_array_equal(inputs[:, :, :8], Relative(1).inputs(windows[:, :, :8], NAMES))
    window, found = windows[3, :, 8:].astype(float), inputs[3, :, 8:]
    expected = np.stack(
        [standardised(window[:, 0]), standardised(np.log(window[:, 1])), np.log1p(window[:, 2]), window[:, 3],
         1 / (1 + window[:, 4])], axis=1,
    )  # fmt: skip
    np.testing.assert_allclose(found, np.nan_to_num(expected), rtol=2e-3, atol=2e-3)
    assert (found[np.isnan(window)] == 0).all()


def test_a_network_of_a_group_sees_its_columns_only() -> None:
    windows = wide_windows()
    for group, names in (("macro", ("rate", "index")), ("news", ("count", "score", "age"))):
        chosen = Relative(1, WIDE, WIDE.of_groups([group]))
        assert chosen.chosen.names == (*EIGHT.names, *names)
        whole = Relative(1, WIDE).inputs(windows, NAMES)
        places = [WIDE.names.index(name) for name in chosen.chosen.names]
        np.testing.assert_array_equal(chosen.inputs(windows, NAMES), whole[:, :, places])


def test_restored_inputs_are_equal_and_other_kinds_are_refused() -> None:
    windows = wide_windows()
    made = Relative(1, WIDE, WIDE.of_groups(["news"]))
    np.testing.assert_array_equal(restore(made.settings(), WIDE).inputs(windows, NAMES), made.inputs(windows, NAMES))
    other = FeatureSet((*FEATURES, *(Feature(each.name, "count", each.unit, group=each.group) for each in JOINED)))
    with pytest.raises(DataError, match="trained with features of the kinds"):
        restore(made.settings(), other)
    with pytest.raises(DataError, match="trained with the features"):
        restore(made.settings(), EIGHT)


class Windows:
    """Training windows of two tickers, as a WindowSet."""

    window_bars, features = BARS, WIDE

    def __init__(self, values: np.ndarray, names: np.ndarray) -> None:
        self.values, self.names = values, names

    def __len__(self) -> int:
        return len(self.values)

    def last_bars(self, indices: np.ndarray) -> np.ndarray:
        return self.values[indices, -1]

    def tickers(self, indices: np.ndarray) -> np.ndarray:
        return self.names[indices]


def test_levels_take_the_statistics_of_all_tickers_where_a_ticker_has_no_value() -> None:
    values, names = wide_windows(), np.repeat(["A", "B"], 10)
    place = WIDE.names.index("index")
    values[:10, :, place] = np.nan  # ticker A has none
    values[:, :, WIDE.names.index("score")] = np.nan  # nobody has one
    levels = Levels.fit(Windows(values, names))  # type: ignore[arg-type]
    later = wide_windows()
    later[:, :, place] = 310.0
    inputs = levels.inputs(later, names)
    known = values[10:, -1, place][np.isfinite(values[10:, -1, place])].astype(float)
    np.testing.assert_allclose(inputs[:, 0, place], (310.0 - known.mean()) / known.std(), rtol=1e-3)
    assert np.abs(inputs[:, :, WIDE.names.index("score")]).max() < 1e-6
