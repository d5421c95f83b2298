"""Rank correlations of features with the return of the same day and with the next return.

News about the past moves with the day that it tells of: a large correlation with the same day's return, and none with
the next one. A column that is dated too early, such as tomorrow's headline under today's date, shows the opposite. So
both stand side by side.

Choices, and why:

- Ranks are taken within each ticker, over its dates. So a ticker that has more news and higher returns than others on
  every day makes no correlation, and a run of few tickers has one. A correlation over the tickers of one date needs
  many tickers, and a macro series, equal for all tickers of a date, has none.
- The number is Spearman's correlation of each ticker, averaged over the tickers with the number of their values as
  weights. Of one ticker it is Spearman's correlation. A ticker whose values or returns are all equal counts as zero.
- The test has one number per date, because tickers move together and a macro series is one value: the sum over the
  tickers of the product of both standardised ranks. Their mean over dates is the correlation; `mean_test` tests it.
- Missing values are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloudlstm.dataset.window_set import WindowSet
from cloudlstm.evaluation.exogenous_rows import ColumnCorrelation
from cloudlstm.evaluation.metrics import ranks_within
from cloudlstm.evaluation.significance import FloatArray, IntArray, mean_test
from cloudlstm.features import DAILY_RETURN, EIGHT, FeatureSet

_BATCH_WINDOWS = 65_536


@dataclass(frozen=True, slots=True)
class RankCorrelation:
    """A rank correlation and its test.

    Attributes:
        value: From -1 to 1; None if it cannot be computed.
        p: Two-sided p-value of the hypothesis that it is zero; None where it cannot be computed.
    """

    value: float | None
    p: float | None


def correlations(test: Sequence[WindowSet], features: FeatureSet, horizon: int) -> list[ColumnCorrelation]:
    """One row for each feature beyond the eight.

    Args:
        test: The windows of the test split of every fold.
        features: The features of the windows.
        horizon: Bars from a window's last bar to its target.
    """
    places = list(range(EIGHT.width, features.width))
    taken = [_last_bars(windows, [DAILY_RETURN, *places]) for windows in test]
    bars = np.concatenate([own[0] for own in taken])
    following = np.concatenate([own[1] for own in taken]).astype(np.float64)
    date = np.concatenate([own[2] for own in taken])
    _, ticker = np.unique(np.concatenate([own[3] for own in taken]), return_inverse=True)
    today, rows = bars[:, 0].astype(np.float64), []
    for column, place in enumerate(places, 1):
        feature, values = features.features[place], bars[:, column].astype(np.float64)
        known = np.isfinite(values)
        own = values[known], ticker[known], date[known]
        same, after = rank_correlation(*own, today[known], 1), rank_correlation(*own, following[known], horizon)
        rows.append(
            ColumnCorrelation(
                feature=feature.name,
                group=feature.group,
                unit=feature.unit,
                labels=int(known.sum()),
                missing=int((~known).sum()),
                dates=len(np.unique(date[known])),
                same_day=same.value,
                same_day_p=same.p,
                next_return=after.value,
                next_return_p=after.p,
            )
        )
    return rows


def _last_bars(
    windows: WindowSet, places: list[int]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int32], NDArray[np.str_]]:
    """Some features at the last bar of each window (n, places), its target, its last date and its ticker (n,)."""
    every = np.arange(len(windows))
    parts = [
        windows.last_bars(every[begin : begin + _BATCH_WINDOWS])[:, places]
        for begin in range(0, max(len(windows), 1), _BATCH_WINDOWS)
    ]
    return (
        np.concatenate(parts),
        windows.targets(every),
        windows.origin_dates(every).astype("datetime64[D]").astype(np.int32),
        windows.tickers(every),
    )


def rank_correlation(
    values: FloatArray, ticker: NDArray[np.intp], date: IntArray, returns: FloatArray, horizon: int
) -> RankCorrelation:
    """The mean over tickers of Spearman's correlation over dates, and its test.

    Args:
        values: Values of a feature, all finite (n,).
        ticker: Ticker of each value, as a number (n,).
        date: Its date, in any integer form (n,).
        returns: A return that belongs to it (n,).
        horizon: Bars ahead of the return; the standard error uses horizon - 1 lags.
    """
    if not len(values):
        return RankCorrelation(None, None)
    _, ticker = np.unique(ticker, return_inverse=True)
    product = _standardised_ranks(ticker, values) * _standardised_ranks(ticker, returns)
    if not product.any():
        return RankCorrelation(None, None)
    _, code = np.unique(date, return_inverse=True)
    daily = np.bincount(code, product) / (len(product) / (int(code.max()) + 1))
    return RankCorrelation(float(product.mean()), mean_test(daily, horizon).p)


def _standardised_ranks(ticker: NDArray[np.intp], values: FloatArray) -> FloatArray:
    """Ranks within each ticker, with mean 0 and mean square 1; zeros where all values of a ticker are equal (n,)."""
    ranks, count = ranks_within(ticker, values), np.bincount(ticker)
    centred: FloatArray = ranks - ((count + 1) / 2.0)[ticker]
    deviation = np.sqrt(np.bincount(ticker, centred**2) / count)[ticker]
    standardised: FloatArray = np.divide(centred, deviation, out=np.zeros_like(centred), where=deviation > 0.0)
    return standardised
