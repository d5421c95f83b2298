"""Rank correlations of features with returns: Spearman's, within tickers, with one observation per date."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudlstm.evaluation.correlations import correlations, rank_correlation
from cloudlstm.evaluation.significance import mean_test
from cloudlstm.features import FEATURES, Feature, FeatureSet
from evaluation.samples import make_windows

FURTHER = FeatureSet(
    (*FEATURES, Feature("mine", "score", "score"), Feature("news_count", "count", "number", group="news"))
)


def test_of_one_ticker_it_is_spearmans_correlation() -> None:
    from scipy import stats

    rng = np.random.default_rng(1)
    values, returns = np.round(rng.standard_normal(60), 1), rng.standard_normal(60)  # with ties
    found = rank_correlation(values, np.zeros(60, np.intp), np.arange(60), returns, 1)
    assert found.value == pytest.approx(stats.spearmanr(values, returns).statistic)


@given(st.integers(0, 10_000), st.lists(st.integers(2, 40), min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_of_several_it_is_their_mean_and_changes_of_level_do_not_matter(seed: int, lengths: list[int]) -> None:
    from scipy import stats

    rng = np.random.default_rng(seed)
    ticker = np.repeat(np.arange(len(lengths)), lengths)
    values, returns = rng.standard_normal(len(ticker)), rng.standard_normal(len(ticker))
    date = np.concatenate([np.arange(length) for length in lengths])
    found = rank_correlation(values, ticker, date, returns, 1)
    own = [stats.spearmanr(values[ticker == code], returns[ticker == code]).statistic for code in range(len(lengths))]
    assert found.value == pytest.approx(np.average(own, weights=lengths), abs=1e-12)
    levels = rng.normal(0.0, 100.0, (2, len(lengths)))[:, ticker]
    moved = rank_correlation(values + levels[0], ticker, date, returns + levels[1], 1)
    assert moved.value == pytest.approx(found.value, abs=1e-9)
    order = rng.permutation(len(ticker))
    assert rank_correlation(values[order], ticker[order], date[order], returns[order], 1).value == pytest.approx(
        found.value, abs=1e-12
    )


def test_copies_of_a_ticker_are_no_further_evidence() -> None:
    from scipy import stats

    rng = np.random.default_rng(2)
    values, returns, date = rng.standard_normal(80), rng.standard_normal(80), np.arange(80)
    one = rank_correlation(values, np.zeros(80, np.intp), date, returns, 1)
    many = rank_correlation(
        np.tile(values, 9), np.repeat(np.arange(9), 80), np.tile(date, 9), np.tile(returns, 9), 1
    )  # fmt: skip
    assert many.value == pytest.approx(one.value)
    assert many.p == pytest.approx(one.p)
    product = np.prod([stats.zscore(stats.rankdata(each)) for each in (values, returns)], axis=0)
    assert one.p == pytest.approx(mean_test(product, 1).p)


def test_too_little_gives_none() -> None:
    nothing = np.zeros(0)
    assert rank_correlation(nothing, nothing.astype(np.intp), nothing.astype(int), nothing, 1).value is None
    same = rank_correlation(np.ones(5), np.zeros(5, np.intp), np.arange(5), np.arange(5.0), 1)
    assert (same.value, same.p) == (None, None)


def test_each_further_feature_has_a_row_without_its_missing_values() -> None:
    windows = make_windows(3, 50, first="2022-01-03")
    rng = np.random.default_rng(4)
    today = windows.raw[:, -1, FEATURES.index(FEATURES[-1])]
    mine = np.broadcast_to(np.exp(today)[:, None], windows.raw.shape[:2]).copy()  # as ranks, the day's return
    count = rng.poisson(3.0, mine.shape).astype(np.float32)
    count[::7, -1] = np.nan
    windows.raw = np.concatenate([windows.raw, mine[:, :, None], count[:, :, None]], axis=2)
    first, second = correlations([windows], FURTHER, 1)  # type: ignore[list-item]
    assert (first.feature, first.group, first.labels, first.missing, first.dates) == ("mine", "bars", 150, 0, 50)
    assert first.same_day == pytest.approx(1.0)
    assert abs(first.next_return or 1.0) < 0.3
    assert second.missing == len(range(0, 150, 7)) == 150 - second.labels
    halves = [windows.taken(np.arange(75)), windows.taken(np.arange(75, 150))]
    assert correlations(halves, FURTHER, 1) == [first, second]  # type: ignore[arg-type]
