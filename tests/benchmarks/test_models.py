"""The pure parts of the programs about models that live from day to day."""

from __future__ import annotations

import datetime as dt
import types
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from cloudlstm.evaluation.significance import daily_means
from cloudlstm.training.numpy_network import Network
from cloudlstm.training.predict import PREDICTIONS

pytestmark = pytest.mark.usefixtures("programs")


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_part_counts_its_own_time_only() -> None:
    from parts import OTHER, Parts

    clock, owner = Clock(), types.SimpleNamespace()

    def inner() -> None:
        clock.now += 2.0
        raise ValueError("inner")

    def outer() -> str:
        clock.now += 1.0
        with pytest.raises(ValueError, match="inner"):
            owner.inner()
        clock.now += 4.0
        return "done"

    owner.inner, owner.outer = inner, outer
    parts = Parts(clock)
    with parts.counting({"a": [(owner, "outer")], "b": [(owner, "inner")]}):
        clock.now += 8.0
        assert owner.outer() == "done"
        assert owner.outer() == "done"
    clock.now += 100.0
    assert parts.seconds == {OTHER: 8.0, "a": 10.0, "b": 4.0}
    assert (owner.inner, owner.outer) == (inner, outer)


def test_random_weights_are_a_network() -> None:
    from model_day import random_weights

    network = Network.read(random_weights(4, seed=1))
    outputs = network(np.random.default_rng(2).normal(size=(3, 5, 8)).astype(np.float32))
    assert np.isfinite(outputs).all()
    assert len(np.unique(outputs)) == 3
    assert random_weights(4, seed=1) == random_weights(4, seed=1) != random_weights(4, seed=2)


def test_every_function_of_a_part_exists() -> None:
    from model_day import PARTS

    assert all(callable(getattr(owner, name)) for places in PARTS.values() for owner, name in places)


def test_evenings_come_after_the_close_of_a_session() -> None:
    from model_day import evenings, market

    moments = list(evenings(market(2, dt.date(2010, 1, 4)), dt.date(2024, 12, 31), 3))
    assert [each.date() for each in moments] == [dt.date(2024, 12, 31), dt.date(2025, 1, 2), dt.date(2025, 1, 3)]
    assert all(each.tzinfo is dt.UTC for each in moments)


def test_the_law_jumps_and_drifts() -> None:
    from drifting_market import coefficients

    jump = coefficients("jump", 10, 4, np.random.default_rng(0))
    assert jump.tolist() == [1.0] * 4 + [-1.0] * 6
    drift = coefficients("drift", 200_000, 0, np.random.default_rng(0))
    assert drift.mean() == pytest.approx(1.0, abs=0.1)
    assert drift.std() == pytest.approx(0.3, rel=0.2)
    assert np.abs(np.diff(drift)).max() < 0.15


def test_the_law_explains_the_stated_share_of_returns() -> None:
    from drifting_market import R2, returns

    found, sd = returns(np.ones(3000), 30, np.random.default_rng(1))
    z = found / sd
    past = np.stack([z[lag : len(z) - 5 + lag] for lag in range(5)])
    signal = past[-1] - past.mean(axis=0) * np.sqrt(5.0)
    assert np.corrcoef(signal.ravel(), z[5:].ravel())[0, 1] ** 2 == pytest.approx(R2, rel=0.3)


def test_written_bars_are_bars(tmp_path: Path) -> None:
    import pyarrow.parquet as pq
    from drifting_market import write

    days = np.arange(18_000, 18_060, dtype=np.int32)
    write(tmp_path / "bars", days, np.ones(60), 2, seed=1)
    table = pq.read_table(tmp_path / "bars" / "T001.parquet")
    bars = {name: table[name].to_numpy() for name in ("open", "high", "low", "close", "volume")}
    assert table["date"].cast(pa.int32()).to_pylist() == days.tolist()
    assert (bars["high"] >= np.maximum(bars["open"], bars["close"])).all()
    assert (bars["low"] <= np.minimum(bars["open"], bars["close"])).all()
    assert (bars["low"] > 0).all()
    assert (bars["volume"] > 0).all()


def losses(scale: float, *, jump: int | None = None, dates: int = 300, seed: int = 1) -> Any:
    """Losses of forecasts that know a share `scale` of the expected return; of its opposite from a date on."""
    from warm_start import Losses

    rng, noise = np.random.default_rng(5), np.random.default_rng(seed)
    expected, shock = 0.3 * rng.normal(size=(dates, 20)), rng.normal(size=(dates, 20))
    sign = np.where(np.arange(dates) < (dates if jump is None else jump), 1.0, -1.0)[:, None]
    actual = (sign * expected + shock).ravel()
    forecast = (scale * expected + 0.01 * noise.normal(size=expected.shape)).ravel()
    day = np.repeat(np.arange(dates, dtype=np.int32), 20)
    rows = {"ticker": np.tile([f"T{i:02d}" for i in range(20)], dates), "origin_date": day, "target_date": day,
            "split": np.full(len(day), "test"), "last_close": np.ones(len(day)), "actual_return": actual,
            "forecast_return": forecast, "seed": np.ones(len(day)), "fold": day // 21}  # fmt: skip
    arrays = [pa.array(rows[field.name]).cast(field.type) for field in PREDICTIONS]
    table = pa.Table.from_arrays(arrays, schema=PREDICTIONS)
    other = table.set_column(3, "split", pa.array(["validation"] * len(day)))
    return Losses.of(pa.concat_tables([other, table]))


def test_losses_are_those_of_the_test_split() -> None:
    found = losses(1.0)
    assert len(found.model) == 300 * 20
    assert found.model.mean() == pytest.approx(1.0, rel=0.1)
    assert found.naive.mean() == pytest.approx(1.09, rel=0.1)


def test_the_ratio_is_that_of_the_means_and_lies_in_its_interval() -> None:
    from warm_start import ratio

    half, whole = losses(0.5), losses(1.0)
    found, low, high = ratio(half, whole)
    means = [daily_means(each.model, each.dates).mean() for each in (half, whole)]
    assert found == pytest.approx(means[0] / means[1])
    assert low is not None
    assert high is not None
    assert 1.0 < low < found < high < 1.1


def test_an_alarm_is_counted_from_the_jump_on() -> None:
    from warm_start import alarm_after

    after, before = alarm_after(losses(1.0, jump=150), 150)
    assert after is not None
    assert 5 < after < 100
    assert before == 0
    assert alarm_after(losses(1.0), 150) == (None, 0)
    always, early = alarm_after(losses(-1.0), 150)
    assert always == 1  # an alarm stays
    assert early > 50


def test_a_better_line_is_promoted_and_a_worse_one_is_not() -> None:
    from warm_start import promoted_after

    wrong, right = losses(1.0, jump=100), losses(-1.0, jump=100, seed=2)
    number, reason = promoted_after(wrong, right, 100, challengers=2)
    assert number is not None
    assert 5 < number < 100
    assert "better" in reason
    number, reason = promoted_after(right, wrong, 100, challengers=2)
    assert number is None
    assert "worse" in reason


def test_compute_counts_the_folds_after_the_first() -> None:
    from warm_start import compute_of

    members = [
        {"fold": 0, "epochs": 30, "windows_seen": 3000, "training_seconds": 30.0},
        {"fold": 1, "epochs": 2, "windows_seen": 200, "training_seconds": 2.5},
        {"fold": 2, "epochs": 1, "windows_seen": 100, "training_seconds": 1.5},
    ]
    assert compute_of(members) == (300, 4.0, 1.5)
