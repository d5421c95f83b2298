"""Folds are scored apart and joined: what one fold fits, it fits on its own validation split."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from cloudlstm.config import parse
from cloudlstm.dataset.folds import Fold
from cloudlstm.dataset.inputs import Relative, window_volatility
from cloudlstm.evaluation import calibration, intervals
from cloudlstm.evaluation.baselines import fit_ridge, ridge_returns
from cloudlstm.evaluation.forecasts import Forecasts
from cloudlstm.evaluation.members import pool
from cloudlstm.evaluation.scored import Scored, score_folds
from evaluation.samples import ArrayWindows, forecasts_for, make_windows

CONFIG = parse({"market": {"source": "synthetic"}}, ["dataset.window_bars=6"])
LEVELS = CONFIG.evaluation.interval_levels


def make_fold(number: int, signal: float) -> tuple[Fold, dict[str, Forecasts]]:
    """A fold whose two networks forecast the signal with noise of their own."""
    first = {"train": "2020-01-02", "validation": "2021-01-04", "test": f"{2022 + number}-01-03"}
    splits: dict[str, Any] = {
        split: make_windows(5, 60, first=first[split], seed=10 * number + place, signal=signal)
        for place, split in enumerate(first)
    }
    rng = np.random.default_rng(number)
    forecasts = {}
    for split in ("validation", "test"):
        own = forecasts_for(splits[split])
        for seed in (1, 2):
            own.members[seed] = 0.8 * own.actual + rng.normal(0.0, 0.002, len(own))
        own.models["lstm"] = own.members[1]
        forecasts[split] = own
    return Fold(number, splits), forecasts


def scored(made: Mapping[int, tuple[Fold, dict[str, Forecasts]]]) -> Scored:
    folds = [made[number][0] for number in sorted(made)]
    forecasts = [made[number][1] for number in sorted(made)]
    return score_folds(forecasts, folds, [Relative(1)] * len(folds), CONFIG)


@pytest.fixture
def two() -> dict[int, tuple[Fold, dict[str, Forecasts]]]:
    return {number: make_fold(number, signal=0.3) for number in range(2)}


def test_the_joined_test_is_ordered_and_knows_its_folds(two: dict[int, tuple[Fold, dict[str, Forecasts]]]) -> None:
    apart = [(len(fold["test"]), fold["test"].actual.sum()) for _, fold in two.values()]
    found = scored(two)
    test = found.test
    assert len(test) == sum(n for n, _ in apart)
    keys = list(zip(test.ticker.tolist(), test.origin.tolist(), strict=True))
    assert keys == sorted(keys)
    for number, (n, total) in enumerate(apart):
        own = found.fold == number
        assert own.sum() == n
        assert test.actual[own].sum() == pytest.approx(total)
    assert found.volatility.shape == (len(test),)
    assert found.halves.shape == (len(LEVELS), len(test))
    assert found.forecast is None


def test_the_ensemble_is_the_mean_and_its_error_at_most_the_members(
    two: dict[int, tuple[Fold, dict[str, Forecasts]]],
) -> None:
    test = scored(two).test
    members = np.array(list(test.members.values()))
    np.testing.assert_allclose(test.models["ensemble"], members.mean(axis=0))
    squared = ((members - test.actual) ** 2).mean(axis=1)
    assert ((test.models["ensemble"] - test.actual) ** 2).mean() < squared.min()


def test_slope_and_intervals_come_from_the_validation_of_the_fold(
    two: dict[int, tuple[Fold, dict[str, Forecasts]]],
) -> None:
    found = scored(two)
    for number, (fold, forecasts) in two.items():
        validation, test = forecasts["validation"], forecasts["test"]
        mean = np.mean(list(validation.members.values()), axis=0)
        slope = calibration.validation_slope(validation.actual, mean, validation.origin, 1)
        assert found.fits[number].slope == slope
        own = found.fold == number
        np.testing.assert_allclose(
            found.test.models["calibrated"][own], slope.supported * found.test.models["ensemble"][own]
        )
        windows: ArrayWindows = fold.splits["validation"]  # type: ignore[assignment]
        order = np.lexsort((windows.days, windows.names))
        volatility = window_volatility(windows.raw[order]).astype(np.float64)
        fitted = intervals.fit(
            validation.actual, validation.models["calibrated"], volatility, validation.origin, LEVELS
        )  # fmt: skip
        assert found.fits[number].intervals == fitted
        test_windows: ArrayWindows = fold.splits["test"]  # type: ignore[assignment]
        order = np.lexsort((test_windows.days, test_windows.names))
        expected = np.outer(fitted.quantiles, window_volatility(test_windows.raw[order]))
        np.testing.assert_allclose(found.halves[:, own], expected, rtol=1e-6)
        assert len(test) == own.sum()


def test_baselines_are_fitted_again_in_each_fold(two: dict[int, tuple[Fold, dict[str, Forecasts]]]) -> None:
    found = scored(two)
    for number, (fold, _) in two.items():
        splits, alphas = fold.splits, CONFIG.evaluation.ridge_alphas
        path, losses = fit_ridge(splits["train"], splits["validation"], Relative(1), alphas)
        assert found.fits[number].baselines.ridge_losses == losses
        windows: ArrayWindows = splits["test"]  # type: ignore[assignment]
        order = np.lexsort((windows.days, windows.names))
        expected = ridge_returns(path, splits["test"], Relative(1))[order]
        np.testing.assert_allclose(found.test.models["ridge"][found.fold == number], expected)


def test_labels_of_the_test_change_nothing_that_is_fitted(two: dict[int, tuple[Fold, dict[str, Forecasts]]]) -> None:
    known = scored(two)
    changed = {number: make_fold(number, signal=0.3) for number in range(2)}
    for fold, forecasts in changed.values():
        forecasts["test"].actual[:] = 0.05
        fold.splits["test"].returns[:] = 0.05  # type: ignore[attr-defined]
    found = scored(changed)
    assert found.fits == known.fits
    np.testing.assert_array_equal(found.halves, known.halves)
    for model in ("naive", "drift", "ridge", "calibrated"):
        np.testing.assert_array_equal(found.test.models[model], known.test.models[model])


def test_tickers_of_one_fold_only_keep_their_names() -> None:
    one, other = (forecasts_for(make_windows(2, 3, first=first)) for first in ("2022-01-03", "2023-01-03"))
    renamed = Forecasts(
        ("A", "T0001"), other.ticker, other.origin, other.target, other.last_close, other.actual, other.models
    )
    whole, fold = pool([one, renamed])
    assert whole.tickers == ("A", "T0000", "T0001")
    assert [whole.tickers[code] for code in whole.ticker] == ["A"] * 3 + ["T0000"] * 3 + ["T0001"] * 6
    assert fold.tolist() == [1] * 3 + [0] * 3 + [0] * 3 + [1] * 3
