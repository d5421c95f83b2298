"""Permutation importance: what a feature's exchange does to a known function, and the same numbers on two workers."""

from __future__ import annotations

import json
from collections.abc import Sized
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from cloudlstm.dataset.inputs import Relative
from cloudlstm.features import DAILY_RETURN, FEATURES, Feature, FeatureSet
from cloudlstm.training import importance
from cloudlstm.training.forward import Fill
from cloudlstm.training.members import Member
from dataset.tables import features_table
from evaluation.samples import ArrayWindows, make_windows
from training.runs import SETTINGS, content, make_run, trained

FURTHER = FeatureSet(
    (*FEATURES, Feature("mine", "score", "score"), Feature("macro_noise", "score", "score", group="macro"))
)
MINE = FURTHER.names.index("mine")


class LastMine:
    """In the place of a network: its output is the input "mine" at the last bar."""

    def outputs_of(self, windows: Sized, shape: tuple[int, int], fill: Fill) -> NDArray[np.float32]:
        made = np.zeros((len(windows), *shape), np.float32)
        fill(np.arange(len(windows)), made)
        return made[:, -1, MINE]

    def gather(self, windows: Sized, outputs: NDArray[np.float32]) -> NDArray[np.float64]:
        assert len(windows) == len(outputs)
        return outputs.astype(np.float64)


class Windows(ArrayWindows):
    """With what `importance` reads besides."""

    window_bars, features = 6, FURTHER


def sample(dates: int) -> Windows:
    """Windows of 3 tickers; "mine" is the label in units of the volatility, and missing in every fifth window."""
    made, rng = make_windows(3, dates, first="2022-01-03"), np.random.default_rng(5)
    mine, noise = rng.standard_normal((2, *made.raw.shape[:2], 1)).astype(np.float32)
    mine[::5] = np.nan
    raw = np.concatenate([made.raw, mine, noise], axis=2)
    returns = raw[:, :, DAILY_RETURN]
    volatility = np.sqrt((returns**2).mean(axis=1))
    following = np.nan_to_num(mine[:, -1, 0]) * volatility + 1e-3 * rng.standard_normal(len(raw))
    return Windows(raw, made.names, made.days, following.astype(np.float32))


def measured(windows: Windows, seed: int = 1) -> dict[str, Any]:
    transform = Relative(1, FURTHER)
    assert importance.is_measured(transform, windows)  # type: ignore[arg-type]
    return importance.importance(LastMine(), Member(seed, 0), windows, transform)  # type: ignore[arg-type]


def test_only_what_the_outputs_depend_on_has_importance() -> None:
    windows = sample(100)
    found = measured(windows)
    increases = {row["feature"]: row["increases"] for row in found["features"]}
    assert list(increases) == list(FURTHER.names)
    for name, values in increases.items():
        assert len(values) == found["repeats"] == 3
        assert min(values) > 100.0 if name == "mine" else values == [0.0] * 3
    volatility = np.sqrt((windows.raw[:, :, DAILY_RETURN] ** 2).mean(axis=1))
    error = np.nan_to_num(windows.raw[:, -1, MINE]) * volatility - windows.returns
    assert found["mse"] == pytest.approx(float(np.mean(error**2)), rel=1e-5)
    # Independent draws of the same values double the variance of what is forecast.
    variance = np.mean((np.nan_to_num(windows.raw[:, -1, MINE])) ** 2) * np.mean(volatility**2)
    assert np.mean(increases["mine"]) * found["mse"] == pytest.approx(2 * variance, rel=0.2)


def test_seeds_permute_differently_and_the_same_seed_the_same() -> None:
    windows = sample(40)
    assert measured(windows) == measured(windows)
    assert measured(windows)["features"] != measured(windows, seed=2)["features"]
    values = next(row["increases"] for row in measured(windows)["features"] if row["feature"] == "mine")
    assert len(set(values)) == 3


def test_at_most_so_many_windows_at_even_distances(monkeypatch: pytest.MonkeyPatch) -> None:
    windows = sample(100)
    monkeypatch.setattr(importance, "WINDOWS", 60)
    found = measured(windows)
    assert (found["windows"], found["of"]) == (60, 300)
    chosen = windows.taken(np.arange(0, 300, 5))
    alone = measured(Windows(chosen.raw, chosen.names, chosen.days, chosen.returns))
    assert alone["features"] == found["features"]


def test_a_network_of_the_eight_features_has_none() -> None:
    assert not importance.is_measured(Relative(1, FURTHER, FeatureSet(FEATURES)), sample(5))  # type: ignore[arg-type]


def test_two_workers_measure_the_same_as_one(tmp_path: Path) -> None:
    """Each computes its share of the outputs."""
    table, rng = features_table(2, 401, seed=1, signal=0.6), np.random.default_rng(6)
    for name in FURTHER.names[len(FEATURES) :]:
        table = table.append_column(name, pa.array(rng.standard_normal(len(table))))
    settings = SETTINGS | {"train.epochs": 2, "train.max_steps": 12}
    alone = trained(make_run(tmp_path, "alone", [table], settings, FURTHER))
    found = trained(make_run(tmp_path, "two", [table], settings, FURTHER), 2)
    one, other = (json.loads(content(manifest, "importance")) for manifest in (alone, found))
    assert other["mse"] == pytest.approx(one["mse"], rel=1e-6)
    for own, same in zip(other["features"], one["features"], strict=True):
        assert own["feature"] == same["feature"]
        assert own["increases"] == pytest.approx(same["increases"], abs=1e-5)
