from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cloudlstm.dataset.inputs import CLIP, Inputs, Levels, Relative, restore
from cloudlstm.errors import DataError
from cloudlstm.features import FEATURE_NAMES
from dataset.test_reader import shards, staged

CLOSE, VOLUME, RETURN = (FEATURE_NAMES.index(name) for name in ("close", "volume", "daily_return"))


def some_windows(count: int = 20, length: int = 50, seed: int = 0) -> np.ndarray:
    """Raw windows of random walks."""
    rng = np.random.default_rng(seed)
    returns = rng.standard_normal((count, length)) * 0.02
    close = 50 * np.exp(np.cumsum(returns, axis=1))
    windows = np.repeat(close[:, :, None], 8, axis=2) * rng.uniform(0.98, 1.02, (count, length, 8))
    windows[:, :, CLOSE] = close
    windows[:, :, VOLUME] = rng.integers(1e5, 1e7, (count, length))
    windows[:, :, RETURN] = np.exp(returns) - 1
    return windows.astype(np.float32)


NAMES = np.full(20, "T000")


def test_relative_is_the_formula() -> None:
    windows = some_windows(3)
    window = windows[1].astype(float)
    volatility = np.sqrt((window[:, RETURN] ** 2).mean())
    inputs = Relative(horizon_bars=4).inputs(windows, NAMES[:3])[1]
    for name in ("open", "high", "low", "close", "ma7", "ma21"):
        column = FEATURE_NAMES.index(name)
        expected = np.log(window[:, column] / window[-1, CLOSE]) / (volatility * np.sqrt(50))
        np.testing.assert_allclose(inputs[:, column], expected, rtol=1e-4, atol=1e-5)
    volume = np.log(1 + window[:, VOLUME])
    np.testing.assert_allclose(inputs[:, VOLUME], (volume - volume.mean()) / volume.std(), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(inputs[:, RETURN], window[:, RETURN] / volatility, rtol=1e-5)
    labels = Relative(horizon_bars=4).labels(windows, NAMES[:3], np.float32([0.01, 0.02, 0.03]))
    assert labels[1] == pytest.approx(0.02 / (volatility * 2), rel=1e-5)


def test_relative_does_not_see_the_scale_of_price_or_volume() -> None:
    windows = some_windows()
    scaled = windows.copy()
    scaled[:, :, [FEATURE_NAMES.index(n) for n in ("open", "high", "low", "close", "ma7", "ma21")]] *= 1000
    transform = Relative(1)
    np.testing.assert_allclose(transform.inputs(scaled, NAMES), transform.inputs(windows, NAMES), atol=1e-4)


@pytest.mark.parametrize("transform", [Relative(1), Relative(5)])
def test_an_output_equal_to_the_label_means_the_target(transform: Inputs) -> None:
    windows = some_windows()
    returns = np.linspace(-0.05, 0.05, 20).astype(np.float32)
    outputs = transform.labels(windows, NAMES, returns)
    np.testing.assert_allclose(transform.returns(outputs, windows, NAMES), returns, rtol=1e-5)


def test_an_output_of_zero_is_the_naive_forecast() -> None:
    assert (Relative(1).returns(np.zeros(20), some_windows(), NAMES) == 0).all()


def test_flat_and_extreme_windows_stay_finite() -> None:
    windows = some_windows(3)
    windows[0] = 10.0
    windows[0, :, [VOLUME, RETURN]] = 0.0
    windows[1, 3, [CLOSE, VOLUME]] = [1e-9, 0.0]
    windows[2, :, CLOSE] = 0.0
    inputs = Relative(1).inputs(windows, NAMES[:3])
    assert np.isfinite(inputs).all()
    assert np.abs(inputs).max() <= CLIP
    assert (inputs[0] == 0).all()
    labels = Relative(1).labels(windows, NAMES[:3], np.float32([0.5, 0.0, 0.0]))
    assert labels[0] == CLIP


def test_levels_are_z_scores_by_the_training_statistics_of_each_ticker(tmp_path: Path) -> None:
    train = staged(shards(tmp_path)[:1], tmp_path)
    every = np.arange(len(train))
    transform = Levels.fit(train)
    inputs = transform.inputs(train.windows(every), train.tickers(every))
    for ticker in ("T000", "T001"):
        last = inputs[train.tickers(every) == ticker, -1]
        np.testing.assert_allclose(last.mean(axis=0), 0, atol=1e-4)
        np.testing.assert_allclose(last.std(axis=0), 1, rtol=1e-4)
    outputs = transform.labels(train.windows(every), train.tickers(every), train.targets(every))
    returns = transform.returns(outputs, train.windows(every), train.tickers(every))
    np.testing.assert_allclose(returns, train.targets(every), atol=1e-5)


def test_a_ticker_without_training_windows_takes_the_statistics_of_all(tmp_path: Path) -> None:
    train = staged(shards(tmp_path)[:1], tmp_path)
    every = np.arange(len(train))
    last = train.last_bars(every).astype(float)
    window = train.windows(np.array([0]))
    found = Levels.fit(train).inputs(window, np.array(["NEW"]))
    np.testing.assert_allclose(found[0], (window[0] - last.mean(axis=0)) / last.std(axis=0), rtol=1e-3, atol=1e-4)


def test_settings_survive_json(tmp_path: Path) -> None:
    train = staged(shards(tmp_path)[:1], tmp_path)
    every = np.arange(50)
    for transform in (Relative(3), Levels.fit(train)):
        again = restore(json.loads(json.dumps(transform.settings())))
        raw, names = train.windows(every), train.tickers(every)
        np.testing.assert_array_equal(again.inputs(raw, names), transform.inputs(raw, names))
        np.testing.assert_array_equal(
            again.labels(raw, names, train.targets(every)), transform.labels(raw, names, train.targets(every))
        )


@pytest.mark.parametrize("name", ["relative", "levels"])
@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("features", [*FEATURE_NAMES, "turnover"], "the features open, .*, turnover, not with"),
        ("features", [*FEATURE_NAMES[1:], FEATURE_NAMES[0]], "the features high, .*, open, not with"),
        ("clip", 5.0, "a clip 5.0, not with 10.0"),
    ],
)
def test_weights_of_other_inputs_are_refused(name, setting, value, words):
    transform = Relative(1) if name == "relative" else Levels({"": ([0.0] * 8, [1.0] * 8)})
    assert restore(transform.settings()).settings() == transform.settings()
    with pytest.raises(DataError, match=words):
        restore(transform.settings() | {setting: value})
