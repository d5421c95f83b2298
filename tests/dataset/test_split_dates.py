"""Split dates for bars of other years, and the error of a split without windows."""

from __future__ import annotations

import datetime as dt
import re

import numpy as np
import pytest
from numpy.typing import NDArray

from bar_factory import weekdays
from cloudlstm.config import DatasetConfig, parse
from cloudlstm.dataset.sequences import build, longest_segment, require_windows
from cloudlstm.dataset.splits import (
    LABELLED,
    bars_before_label,
    propose_splits,
    require_split_dates,
    split_of,
    splits_without_dates,
)
from cloudlstm.errors import DataError
from dataset.tables import features_table

CONFIG = DatasetConfig()
OLD = weekdays(2200, dt.date(2010, 1, 4))  # until 2018: before the default split dates


def with_words(words: str, **dataset: int) -> DatasetConfig:
    return parse({"market": {"source": "synthetic"}, "dataset": dataset}, words.split()).dataset


def sizes(dates: NDArray[np.int32], config: DatasetConfig) -> list[int]:
    return np.bincount(split_of(dates, config), minlength=3).tolist()


def test_proposed_splits_have_the_shares_of_the_defaults():
    assert splits_without_dates(OLD, CONFIG) == ["validation", "test"]
    config = with_words(propose_splits(OLD, CONFIG))
    assert sizes(OLD, config) == [1760, 154, 286]
    assert splits_without_dates(OLD, config) == []


@pytest.mark.parametrize("window_bars", [2, 50, 200])
@pytest.mark.parametrize("horizon_bars", [1, 20])
def test_the_fewest_dates_still_give_every_split_a_window(window_bars, horizon_bars):
    config = DatasetConfig(window_bars=window_bars, horizon_bars=horizon_bars)
    fewest = bars_before_label(config) + 2 * (window_bars + horizon_bars)
    assert propose_splits(OLD[: fewest - 1], config) == ""
    table = features_table(1, fewest, start="2010-01-04")
    dates = table["date"].cast("int32").to_numpy()
    found = with_words(propose_splits(dates, config), window_bars=window_bars, horizon_bars=horizon_bars)
    assert sizes(dates, found) == [bars_before_label(config), window_bars + horizon_bars, window_bars + horizon_bars]
    assert all(build(table, found)[split].windows for split in LABELLED)


def test_bars_of_other_years_are_told_with_the_settings_that_fit():
    with pytest.raises(DataError) as caught:
        require_windows({"train": 2000}, CONFIG, 2200, OLD)
    assert "in validation, test: its bars are of 2010-01-04 to 2018-06-08, train ends 2021-12-31" in str(caught.value)
    assert re.fullmatch(r"dataset\.train_end=20\S+ dataset\.validation_end=20\S+", caught.value.hint)


def test_bars_with_gaps_need_a_shorter_window():
    table = features_table(1, 60, start="2020-01-06")
    with pytest.raises(DataError) as caught:
        require_windows({}, CONFIG, longest_segment(table), weekdays(1200))
    assert caught.value.hint.startswith("dataset.window_bars=39, tickers")
    config = DatasetConfig(window_bars=39)
    assert build(table, config)["train"].windows == 1
    assert build(table, DatasetConfig(window_bars=40))["train"].windows == 0


def test_no_bars_and_no_reason_that_is_known():
    with pytest.raises(DataError, match="its bars are of no date"):
        require_windows({}, CONFIG, 0, OLD[:0])
    years = weekdays(1500, dt.date(2019, 1, 1))
    with pytest.raises(DataError) as caught:
        require_windows({"train": 1}, CONFIG, 1500, years)
    assert "other split dates" in caught.value.hint
    require_windows(dict.fromkeys(LABELLED, 1), CONFIG, 1500, years)


def test_too_few_dates_are_an_error_with_split_dates_that_fit() -> None:
    with pytest.raises(
        DataError, match="too few dates for validation, test: the bars are of 2010-01-04 to 2018"
    ) as caught:
        require_split_dates(OLD, CONFIG)
    require_split_dates(OLD, with_words(caught.value.hint))
    with pytest.raises(DataError, match="the bars are of no date") as caught:
        require_split_dates(OLD[:0], CONFIG)
    assert caught.value.hint
