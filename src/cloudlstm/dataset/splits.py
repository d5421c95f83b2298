"""The split of each date, and the labels of bars.

Splits are ranges of dates over all tickers. A label has an origin bar, from which the forecast is made, and a target
bar, `horizon_bars` later; it belongs to a split only if both dates do. So labels never cross a border, but the earlier
bars of a window may lie in an earlier split.

A bar has no label, though it may stay an input, if:

    the origin or the target bar was filled                     there is no observed price
    cleaning withdrew the origin or the target bar              a later bar showed that its price is wrong
    a feature of bars is missing anywhere in the window         its look-back is not complete
    fewer than `window_bars` bars since the segment began       there is no window
    fewer than `horizon_bars` bars until the segment ends       there is no target
    of bars within a day, the target is in a later session      a label crosses no close (dataset.labels_across_closes)
    the ticker was no member of the universe at the origin      with a table of periods (market/members.py)

In the split "forecast" such a table leaves only tickers that are members on their last bar's date and on the last date
of the data set: the forecast is for the session after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cloudlstm.config import DatasetConfig
from cloudlstm.errors import DataError
from cloudlstm.features import EIGHT, FeatureSet
from cloudlstm.market import columns
from cloudlstm.market.calendar import to_date
from cloudlstm.market.grid import Grid
from cloudlstm.market.members import Members

LABELLED = ("train", "validation", "test")
FORECAST = "forecast"
SPLITS = (*LABELLED, FORECAST)
"""In order of time; `forecast` has the last window of each ticker, whose target is not known yet."""

_TRAIN, _VALIDATION = 0.80, 0.07


@dataclass(frozen=True, slots=True)
class LabelledBars:
    """The bars of a shard as arrays, with the label of each.

    Attributes:
        tickers: The ticker of each bar.
        dates: Days since 1970-01-01, of bars within a day minutes.
        values: The features, float32 (bars, feature).
        segment: Ordinal of the bar's segment within the shard.
        targets: log(close[t + h] / close[t]), valid where `split` is not -1.
        split: Index into SPLITS of the label with this origin bar, -1 without a label.
        forecast: True for the last bar of a ticker's last window.
        left_out: Split -> labels that membership leaves out; in "forecast" windows.
    """

    tickers: pa.Array
    dates: NDArray[np.int32]
    values: NDArray[np.float32]
    segment: NDArray[np.int64]
    targets: NDArray[np.float32]
    split: NDArray[np.int8]
    forecast: NDArray[np.bool_]
    left_out: Mapping[str, int]


def split_of(dates: NDArray[np.int32], config: DatasetConfig) -> NDArray[np.int8]:
    """Index into LABELLED of each date (days since 1970-01-01)."""
    borders = np.array([config.train_end, config.validation_end], "datetime64[D]").astype(np.int32)
    return np.searchsorted(borders, dates, side="left").astype(np.int8)


def bars_before_label(config: DatasetConfig, features: FeatureSet = EIGHT) -> int:
    """The bars that the first label of a ticker needs: the longest look-back, the window, and the way to the target."""
    return features.lookback_bars - 1 + config.window_bars + config.horizon_bars


def splits_without_dates(dates: NDArray[np.int32], config: DatasetConfig) -> list[str]:
    """The labelled splits for which there are too few dates, whatever the bars are.

    Args:
        dates: The dates of the bars, sorted and unique, as days since 1970-01-01.
        config: Window, horizon and split dates.
    """
    counts = np.bincount(split_of(dates, config), minlength=len(LABELLED))
    needed = (bars_before_label(config), config.horizon_bars + 1, config.horizon_bars + 1)
    return [split for split, n, least in zip(LABELLED, counts, needed, strict=True) if n < least]


def propose_splits(dates: NDArray[np.int32], config: DatasetConfig) -> str:
    """Settings that divide dates as the defaults do: 80 % for training, 7 % for validation, 13 % for the test.

    Each split gets at least as many dates as a window and its horizon have bars.

    Args:
        dates: The dates of the bars, sorted and unique, as days since 1970-01-01.
        config: Window and horizon.

    Returns:
        For example "dataset.train_end=2016-10-11 dataset.validation_end=2017-05-12"; "" if there are too few dates.
    """
    least_train, least = bars_before_label(config), config.window_bars + config.horizon_bars
    if len(dates) < least_train + 2 * least:
        return ""
    train = int(np.clip(round(_TRAIN * len(dates)), least_train, len(dates) - 2 * least))
    validation = int(np.clip(round(_VALIDATION * len(dates)), least, len(dates) - train - least))
    train_end, validation_end = (to_date(int(dates[n - 1])) for n in (train, train + validation))
    return f"dataset.train_end={train_end} dataset.validation_end={validation_end}"


def require_split_dates(dates: NDArray[np.int32], config: DatasetConfig) -> None:
    """Raises DataError, with split dates that fit, if a labelled split has too few dates whatever the bars are.

    Args:
        dates: The dates of the bars, sorted and unique, as days since 1970-01-01.
        config: Window, horizon and split dates.
    """
    lacking = splits_without_dates(dates, config)
    if not lacking:
        return
    first_last = " to ".join(str(to_date(int(day))) for day in dates[[0, -1]]) if len(dates) else "no date"
    raise DataError(
        f"too few dates for {', '.join(lacking)}: the bars are of {first_last}, train ends {config.train_end}, "
        f"validation ends {config.validation_end}, and a window has {config.window_bars} bars",
        hint=propose_splits(dates, config) or "a shorter dataset.window_bars, or bars of more dates",
    )


def require_members(dates: NDArray[np.int32], config: DatasetConfig, members: Members) -> None:
    """Raises DataError if no ticker is a member at any origin that a labelled split may have, whatever the bars are.

    Args:
        dates: The dates of the bars, sorted and unique, as days since 1970-01-01.
        config: Window, horizon and split dates.
        members: The members of the universe.
    """
    horizon, ranges = config.horizon_bars, split_of(dates, config)
    origin = np.arange(len(dates)) >= bars_before_label(config) - horizon - 1
    origin[max(len(dates) - horizon, 0) :] = False
    origin[:-horizon] &= ranges[:-horizon] == ranges[horizon:]
    lacking = [split for n, split in enumerate(LABELLED) if not members.has_member(dates[origin & (ranges == n)])]
    if lacking:
        raise DataError(
            f"no ticker is a member on any date on which a label of {', '.join(lacking)} can begin: train ends "
            f"{config.train_end}, validation ends {config.validation_end}",
            hint="periods of universe.path that reach into all splits, or other split dates",
        )


def label(
    table: pa.Table,
    config: DatasetConfig,
    members: Members | None = None,
    features: FeatureSet = EIGHT,
    grid: Grid | None = None,
) -> LabelledBars:
    """Labels the bars of a features table.

    Args:
        table: Sorted by ticker and date.
        config: Window, horizon and split dates.
        members: Limits the labels to dates on which their ticker is a member; None for no limit.
        features: The columns that become values.
        grid: The trading hours, for bars within a day.
    """
    rows, window, horizon = table.num_rows, config.window_bars, config.horizon_bars
    tickers = table["ticker"].combine_chunks()
    dates = columns.days(table["date"])
    sessions = grid.session_of(dates) if grid else dates
    values = np.empty((rows, features.width), np.float32)
    incomplete = np.zeros(rows, bool)
    for column, feature in enumerate(features.features):
        exact = table[feature.name].to_numpy()
        if feature.group == "bars":
            incomplete |= ~np.isfinite(exact)
        values[:, column] = exact
    filled = table["filled"].to_numpy()
    no_label = filled | table["withdrawn"].to_numpy()

    begins_ticker = _changes(tickers)
    begins_segment = begins_ticker | _changes(table["segment"].combine_chunks())
    starts = np.flatnonzero(begins_segment)
    lengths = np.diff(np.append(starts, rows))
    position = np.arange(rows) - np.repeat(starts, lengths)
    left = np.repeat(lengths, lengths) - 1 - position

    # A window is complete if no bar in it lacks a feature: the running count of such bars does not change over it.
    incomplete_before = np.concatenate([[0], np.cumsum(incomplete)])
    first = np.maximum(np.arange(rows) - window + 1, 0)
    complete = (position >= window - 1) & (incomplete_before[1:] == incomplete_before[first])

    close = table["close"].to_numpy()
    target_row = np.minimum(np.arange(rows) + horizon, max(rows - 1, 0))
    with np.errstate(invalid="ignore", divide="ignore"):
        targets = np.log(close[target_row] / close)
    ranges = split_of(sessions, config)
    labelled = complete & (left >= horizon) & ~no_label & ~no_label[target_row] & (ranges == ranges[target_row])
    labelled &= np.isfinite(targets)
    if grid and not config.labels_across_closes:
        labelled &= sessions == sessions[target_row]
    forecast = _last_real_bar(begins_ticker, filled) & complete & ~no_label
    left_out = dict.fromkeys(SPLITS, 0)
    if members is not None:
        inside, to_last = members.of_bars(tickers, begins_ticker, sessions)
        outside = np.bincount(ranges[labelled & ~inside], minlength=len(LABELLED)).tolist()
        left_out = dict(zip(SPLITS, [*outside, int((forecast & ~to_last).sum())], strict=True))
        labelled, forecast = labelled & inside, forecast & to_last
    return LabelledBars(
        tickers=tickers,
        dates=dates,
        values=values,
        segment=np.cumsum(begins_segment) - 1,
        targets=targets.astype(np.float32),
        split=np.where(labelled, ranges, -1).astype(np.int8),
        forecast=forecast,
        left_out=left_out,
    )


def _last_real_bar(begins_ticker: NDArray[np.bool_], filled: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """True for the last bar of each ticker that was not filled, (bars,)."""
    marked = np.zeros(len(filled), bool)
    real = np.flatnonzero(~filled)
    ticker = np.cumsum(begins_ticker)[real]
    marked[real[np.append(ticker[1:] != ticker[:-1], True)[: len(real)]]] = True
    return marked


def _changes(column: pa.Array) -> NDArray[np.bool_]:
    """True where a value differs from the previous row, and in the first row."""
    if len(column) == 0:
        return np.zeros(0, bool)
    differs = pc.not_equal(column.slice(1), column.slice(0, len(column) - 1)).to_numpy(zero_copy_only=False)
    return np.concatenate([[True], differs.astype(bool)])
