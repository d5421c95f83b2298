"""A function whose values depend on more than their look-back bars is found; one that does not is not."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudlstm.features.lookback import Columns, Dependence, Starts, Values, find_dependence
from cloudlstm.features.table import FEATURES, Feature, blank_first, kernel_values, moving_average

Kernel = Callable[[Values, Starts], Values]


def tried(kernel: Kernel, lookback_bars: int) -> Dependence | None:
    """What the check finds of a kernel on closes, with the first bars of each segment blanked as in a run."""

    def compute(columns: Columns, starts: Starts) -> Values:
        if len(columns["close"]) < lookback_bars:
            return np.full(len(columns["close"]), np.nan)
        return blank_first(kernel(columns["close"], starts), starts, lookback_bars - 1)

    return find_dependence(compute, lookback_bars)


def shifted(values: Values, starts: Starts, *, bars: int) -> Values:
    """The value so many bars earlier; later if negative. It ignores segments."""
    out = np.full(len(values), np.nan)
    if bars > 0:
        out[bars:] = values[:-bars]
    else:
        out[:bars] = values[-bars:]
    return out


def exponential_mean(values: Values, starts: Starts) -> Values:
    out = values.copy()
    for row in range(1, len(out)):
        out[row] = 0.5 * out[row - 1] + 0.5 * values[row]
    return out


def expanding_mean(values: Values, starts: Starts) -> Values:
    out = np.empty(len(values))
    for start, end in zip(starts, [*starts[1:], len(values)], strict=True):
        out[start:end] = np.cumsum(values[start:end]) / np.arange(1, end - start + 1)
    return out


def running_mean(values: Values, starts: Starts) -> Values:
    """A mean of five bars by the difference of two cumulative sums: right, but for the last bits."""
    total = np.cumsum(values)
    mean: Values = (total - np.concatenate([np.zeros(5), total[:-5]])) / 5
    return mean


def from_segment_start(values: Values, starts: Starts) -> Values:
    places = np.arange(len(values)) - np.repeat(starts, np.diff([*starts, len(values)]))
    return places.astype(float)


def to_segment_end(values: Values, starts: Starts) -> Values:
    ends = np.repeat([*starts[1:], len(values)], np.diff([*starts, len(values)]))
    return (ends - np.arange(len(values))).astype(float)


def first_of_segment(values: Values, starts: Starts) -> Values:
    firsts: Values = values[np.repeat(starts, np.diff([*starts, len(values)]))]
    return values / firsts


def only_above_100(values: Values, starts: Starts) -> Values:
    """Looks at the next bar in some rows only."""
    return np.where(values > 100, np.append(values[1:], 0.0), values)


def in_one_of_60_rows(values: Values, starts: Starts) -> Values:
    """Looks at the next bar where some digits of the close say so."""
    return np.where(np.floor(values * 1e6) % 60 == 0, np.append(values[1:], 0.0), values)


class Counting:
    """Counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, values: Values, _: Starts) -> Values:
        self.calls += 1
        return values + self.calls


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name)
def test_our_own_features_pass(feature: Feature) -> None:
    assert find_dependence(partial(kernel_values, feature), feature.lookback_bars) is None


@pytest.mark.parametrize("ahead", [1, 2, 7, 30])
def test_a_look_ahead_is_found_with_its_distance(ahead: int) -> None:
    found = tried(partial(shifted, bars=-ahead), 5)
    assert found is not None
    assert (found.reason, found.reach) == ("later bars", ahead)


@pytest.mark.parametrize("lookback_bars", [1, 2, 20, 300])
def test_a_look_back_that_is_one_bar_too_short_is_found(lookback_bars: int) -> None:
    exact = partial(moving_average, n_bars=lookback_bars)
    assert tried(exact, lookback_bars) is None
    found = tried(partial(shifted, bars=lookback_bars), lookback_bars)
    assert found is not None
    assert (found.reason, found.reach) == ("bars before the look-back", lookback_bars)


@pytest.mark.parametrize(
    ("kernel", "reason"),
    [
        (lambda values, _: values - values.mean(), "later bars"),
        (lambda values, _: (values - values.min()) / np.ptp(values), "later bars"),
        (lambda values, _: np.convolve(values, np.ones(5) / 5, mode="same"), "later bars"),
        (lambda values, _: values[::-1].cumsum()[::-1], "later bars"),
        (lambda values, _: np.full(len(values), float(len(values))), "later bars"),
        (to_segment_end, "later bars"),
        (only_above_100, "later bars"),
        (in_one_of_60_rows, "later bars"),
        (exponential_mean, "bars before the look-back"),
        (expanding_mean, "bars before the look-back"),
        (running_mean, "bars before the look-back"),
        (first_of_segment, "bars before the look-back"),
        (from_segment_start, "where the segment begins"),
        (lambda values, _: np.arange(len(values), dtype=float), "where the segment begins"),
        (lambda values, _: np.random.default_rng().normal(size=len(values)), "other calls"),
        (Counting(), "other calls"),
    ],
)
def test_each_kind_of_dependence_is_found(kernel: Kernel, reason: str) -> None:
    found = tried(kernel, 5)
    assert found is not None
    assert found.reason == reason


@settings(max_examples=15, deadline=None)
@given(lookback_bars=st.integers(1, 40), weights_seed=st.integers(0, 1000), ahead=st.integers(1, 3))
def test_any_weighted_sum_passes_and_fails_when_it_is_shifted(
    lookback_bars: int, weights_seed: int, ahead: int
) -> None:
    weights = np.random.default_rng(weights_seed).uniform(0.1, 1, lookback_bars)

    def weighted(values: Values, starts: Starts) -> Values:
        out = np.zeros(len(values))
        for shift, weight in enumerate(weights):
            out[shift:] += weight * values[: len(values) - shift]
        return out

    assert tried(weighted, lookback_bars) is None
    found = tried(lambda values, starts: shifted(weighted(values, starts), starts, bars=-ahead), lookback_bars)
    assert found is not None
    assert (found.reason, found.reach) == ("later bars", ahead)
