"""Labels of bars within a day: none crosses a close, and borders of splits are closes."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudlstm import storage
from cloudlstm.config import CleanConfig, DatasetConfig, parse
from cloudlstm.dataset import folds, sequences
from cloudlstm.dataset.reader import SequenceSet
from cloudlstm.dataset.sequences import require_windows
from cloudlstm.dataset.splits import LABELLED, SPLITS, LabelledBars, label
from cloudlstm.dataset.window_export import export
from cloudlstm.errors import CorruptObjectError, DataError
from cloudlstm.features import compute
from cloudlstm.market.cleaning.clean import clean
from cloudlstm.market.grid import Grid
from cloudlstm.runs.manifest import write_object
from minute_bars import grid, minute_bars, minutes_of, texts

CONFIG = DatasetConfig(
    window_bars=3, horizon_bars=1, train_end=dt.date(2024, 11, 27), validation_end=dt.date(2024, 11, 29)
)


def features_of(dates: np.ndarray, own: Grid) -> pa.Table:
    """Features of cleaned bars; those with a long look-back are set, so that windows are short."""
    table = compute(clean(minute_bars("AAA", dates), CleanConfig(), own.starts, own).bars)
    for name in ("ma7", "ma21", "daily_return"):
        place = table.schema.get_field_index(name)
        table = table.set_column(place, name, pa.array(np.ones(table.num_rows)))
    return table


def labelled(dates: np.ndarray, own: Grid, config: DatasetConfig = CONFIG) -> LabelledBars:
    return label(features_of(dates, own), config, grid=own)


@settings(max_examples=60, deadline=None)
@given(
    interval=st.sampled_from(["15m", "1h"]),
    calendar=st.sampled_from(["XNYS", "XTKS", "XASX", "24/7"]),
    horizon=st.integers(1, 9),
    bridged=st.booleans(),
    missing=st.sets(st.integers(0, 60), max_size=25),
)
def test_no_label_crosses_a_close(interval: str, calendar: str, horizon: int, bridged: bool, missing: set[int]) -> None:
    own = grid(interval, calendar, bridge_sessions=bridged)
    config = CONFIG.model_copy(update={"horizon_bars": horizon})
    kept = np.array([number not in missing for number in range(len(own.starts))])
    bars = labelled(own.starts[kept], own, config)
    day = own.session_of(bars.dates)
    origins = np.flatnonzero(bars.split >= 0)
    targets = origins + horizon
    assert (day[origins] == day[targets]).all()
    assert (bars.segment[origins] == bars.segment[targets]).all()
    if not bridged:
        first = origins - config.window_bars + 1
        assert (day[origins] == day[first]).all(), "a window lies in one session"
    closes = np.array(["2024-11-27", "2024-11-29"], "datetime64[D]").astype(np.int32)
    assert (bars.split[origins] == np.searchsorted(closes, day[targets])).all(), "a border is the close of its session"


def test_labels_cross_closes_if_asked_and_never_a_border() -> None:
    own = grid("1h", bridge_sessions=True)
    asked = CONFIG.model_copy(update={"labels_across_closes": True})
    found = {}
    for name, config in (("never", CONFIG), ("asked", asked)):
        bars = labelled(own.starts, own, config)
        found[name] = set(texts(bars.dates[bars.split >= 0]))
    overnight = found["asked"] - found["never"]
    assert {text[:10] for text in overnight} == {"2024-11-25", "2024-11-26", "2024-12-02"}
    assert all(text.endswith("20:30") for text in overnight)


def test_the_last_bar_is_forecast_although_its_target_is_tomorrow() -> None:
    own = grid("1h")
    bars = labelled(own.starts, own)
    assert texts(bars.dates[bars.forecast]) == ["2024-12-03T20:30"]


def staged(built: dict[str, sequences.BuiltShard], split: str, folder: Path, unit: str) -> SequenceSet:
    shard = built[split]
    row = write_object(storage.absolute(str(folder / f"{split}.tfrecord")), shard.data, kind=split, rows=shard.windows)
    return SequenceSet.stage([row], window_bars=3, horizon_bars=1, unit=unit, cache_dir=folder / "cache")


def test_readers_get_the_starts_of_bars(tmp_path: Path) -> None:
    own = grid("1h")
    built = sequences.build(features_of(own.starts, own), CONFIG, grid=own)
    assert all(built[split].windows for split in LABELLED)
    read = staged(built, "validation", tmp_path, "m")
    numbers = np.arange(len(read))
    origins, targets = read.origin_dates(numbers), read.target_dates(numbers)
    assert origins.dtype == np.dtype("datetime64[m]")
    assert str(origins[0]) == "2024-11-29T16:30"
    assert str(targets[0]) == "2024-11-29T17:30"
    assert len(numbers) == 1, "a half day has four hourly bars"
    forecast = staged(built, "forecast", tmp_path, "m")
    assert np.isnat(forecast.target_dates(np.arange(1))).all()
    assert export(features_of(own.starts, own), CONFIG, grid=own)["validation"].windows == 1


def test_minutes_are_no_days(tmp_path: Path) -> None:
    own = grid("1h")
    built = sequences.build(features_of(own.starts, own), CONFIG, grid=own)
    with pytest.raises(CorruptObjectError, match="days from 1970-01-01"):
        staged(built, "train", tmp_path, "D")


def test_a_session_that_is_too_short_for_a_window_names_the_setting() -> None:
    own = grid("1h")
    with pytest.raises(DataError) as caught:
        require_windows({}, DatasetConfig(), 7, own.days, by_session=True)
    assert "market.bridge_sessions=true" in caught.value.hint


def test_a_gap_in_a_session_leaves_no_label_over_it() -> None:
    own = grid("15m")
    gap = minutes_of(*(f"2024-11-26T{time}" for time in ("15:30", "15:45", "16:00")))
    bars = labelled(own.starts[~np.isin(own.starts, gap)], own)
    origins = set(texts(bars.dates[bars.split >= 0]))
    assert "2024-11-26T15:00" in origins
    assert "2024-11-26T15:15" not in origins
    assert "2024-11-26T16:45" in origins
    assert "2024-11-26T16:30" not in origins


def test_a_border_is_the_close_of_the_exchange_and_not_midnight_in_utc() -> None:
    own = grid("15m", "XASX")
    bars = labelled(own.starts, own)
    split = dict(zip(texts(bars.dates), bars.split.tolist(), strict=True))
    # The session of 28 November opens at 23:00 UTC on the 27th, the last date of training.
    assert split["2024-11-27T04:30"] == LABELLED.index("train")
    assert split["2024-11-27T23:30"] == LABELLED.index("validation")


def test_folds_are_cut_by_sessions(tmp_path: Path) -> None:
    words = ["market.interval=1h", "market.start=2024-11-25", "market.end=2024-12-13", "dataset.window_bars=3"]
    words += ["market.source=synthetic", "dataset.train_end=2024-11-27", "dataset.validation_end=2024-11-29"]
    config = parse({}, [*words, "evaluation.walk.mode=expanding", "evaluation.walk.step_bars=5"])
    own = Grid.of(config.market)
    built = sequences.build(features_of(own.starts, own), config.dataset, grid=own)
    made = folds.make({split: staged(built, split, tmp_path, "m") for split in SPLITS}, config)
    assert folds.embargo_of(config) == 0, "a window lies in one session"
    assert [folds.dates_of(fold, config.market)["test"] for fold in made] == [
        ["2024-12-02", "2024-12-06"], ["2024-12-09", "2024-12-13"],
    ]  # fmt: skip
    assert folds.dates_of(made[1], config.market)["train"][1] == "2024-12-05", "five sessions after the 27th"
