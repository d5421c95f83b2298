"""Drift of features: statistics by hand, false alarms of stationary features, and planted changes."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

import numpy as np
import pytest

from cloudlstm.errors import DataError
from cloudlstm.models import drift
from cloudlstm.models.drift import DriftReference, look, make_reference
from cloudlstm.runs import documents

DATES, TICKERS = 756, 6


def rows(panel):
    """Values (dates x tickers, features) and dates of a panel (dates, tickers, features)."""
    return panel.reshape(-1, panel.shape[2]), np.repeat(np.arange(len(panel)) + 18_000, panel.shape[1])


def panel(rng, dates, *, memory=0.0, common=0.5, features=4):
    """Stationary features with variance 1; `common` is the share of variance that the tickers of a date share."""

    def series(*shape):
        shocks = rng.normal(size=shape) * math.sqrt(1 - memory**2)
        out = rng.normal(size=shape)
        for day in range(1, shape[0]):
            out[day] = memory * out[day - 1] + shocks[day]
        return out

    shared, own = series(dates, 1, features), series(dates, TICKERS, features)
    return math.sqrt(common) * shared + math.sqrt(1 - common) * own


def alarms(reference, values):
    """Alarm of each look of a path (looks,)."""
    flat, date = rows(values)
    shares = [
        drift._daily_shares(flat[:, i], date - date[0], len(values), np.array(feature.edges))
        for i, feature in enumerate(reference.features)
    ]
    found = np.zeros(len(values) - reference.window + 1, bool)
    for feature, each in zip(reference.features, shares, strict=True):
        if feature.psi_limit is not None:
            means = drift._window_means(each, reference.window)
            statistics = drift._statistics(np.array(feature.shares), reference.dates, means, reference.window)
            found |= (statistics > [feature.psi_limit, feature.ks_limit]).any(axis=1)
    return found


# --- statistics by hand ----------------------------------------------------------------------------------------------


def test_psi_and_ks_by_hand():
    before, now = np.zeros(12), np.zeros(12)
    before[:2], now[:2] = (0.5, 0.5), (0.75, 0.25)
    # With 100 dates and half a date added to each of 12 bins.
    psi = (75.5 - 50.5) / 106 * math.log(75.5 / 50.5) + (25.5 - 50.5) / 106 * math.log(25.5 / 50.5)
    found = drift._statistics(before, 100, now, 100)
    assert found.tolist() == pytest.approx([psi, 0.25])


def test_bins_are_the_deciles_and_every_date_weighs_the_same():
    values = np.arange(1.0, 101.0)
    edges = drift._edges(values)
    assert edges[:9].tolist() == pytest.approx([10, 20, 30, 40, 50, 60, 70, 80, 90])
    shares = drift._daily_shares(np.array([5.0, 95.0, 95.0, np.nan, 1e300]), np.array([0, 0, 0, 0, 1]), 2, edges)
    assert shares[0, [0, 9, 11]].tolist() == [0.25, 0.5, 0.25]
    assert shares.sum(axis=1).tolist() == [1.0, 1.0]


def test_a_constant_that_changes_is_seen_in_both_directions():
    edges = drift._edges(np.full(50, 3.0))
    places = [drift._daily_shares(np.array([x]), np.array([0]), 1, edges)[0].argmax() for x in (2.9, 3.0, 3.1, np.nan)]
    assert len(set(places)) == 4


def test_the_customary_limit_alarms_without_any_drift():
    """Why limits are simulated: 60 independent values have a PSI above 0.2 in a third of cases."""
    rng = np.random.default_rng(0)
    counts = rng.multinomial(60, [0.1] * 10, size=4000) / 60
    now = np.concatenate([counts, np.zeros((4000, 2))], axis=1)
    before = np.r_[[0.1] * 10, 0.0, 0.0]
    psi = drift._statistics(before, 100_000, now, 60)[:, 0]
    assert (psi > 0.2).mean() > 0.2
    assert np.quantile(psi, 0.95) == pytest.approx(0.33, abs=0.06)


def test_effective_dates_of_a_known_process():
    """A process x(t) = 0.8 x(t-1) + shock: the variance of a mean of 63 is larger by (1 + 0.8) / (1 - 0.8), nearly."""
    slow = panel(np.random.default_rng(1), 20_000, memory=0.8, common=1.0, features=1)
    fast = panel(np.random.default_rng(1), 20_000, memory=0.0, common=1.0, features=1)
    numbers = []
    for each in (fast, slow):
        values = each[:, 0, 0]
        edges = np.full(10, np.finfo(float).max)
        edges[0] = 0.0  # above or below the median: its correlations are 2 / pi x arcsin(0.8^k)
        numbers.append(drift._effective_dates(drift._daily_shares(values, np.arange(20_000), 20_000, edges), 63))
    lags = np.arange(1, 63)
    expected = 63 / (1 + 2 * ((1 - lags / 63) * 2 / np.pi * np.arcsin(0.8**lags)).sum())
    assert numbers[0] == pytest.approx(63, rel=0.15)
    assert numbers[1] == pytest.approx(expected, rel=0.15)


# --- false alarms and power ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("memory", "common"), [(0.0, 0.0), (0.0, 0.5), (0.5, 0.5)])
def test_stationary_features_rarely_raise_an_alarm(memory, common):
    """The rate is per year of daily looks at four features; single looks alarm far more rarely."""
    years, single = [], []
    for seed in range(16):
        values = panel(np.random.default_rng(seed), DATES + 314, memory=memory, common=common)
        found = alarms(make_reference("abcd", *rows(values[:DATES]), draws=100, seed=seed), values[DATES:])
        assert len(found) == 252
        years.append(found.any())
        single.append(found.mean())
    assert np.sum(years) <= 3  # 3 or fewer of 16 have a probability of 99.3 % if the rate is 5 %
    assert np.mean(single) <= 0.05


@pytest.mark.parametrize("common", [0.0, 0.5])
@pytest.mark.parametrize("change", ["mean", "spread", "missing"])
def test_a_planted_change_is_found_in_its_feature_only(change, common):
    rng = np.random.default_rng(7)
    values = panel(rng, DATES + 63, common=common)
    after = values[DATES:, :, 1]
    if change == "mean":
        after += 1.0
    elif change == "spread":
        after *= 2.5
    else:
        after[rng.random(after.shape) < 0.4] = np.nan
    reference = make_reference("abcd", *rows(values[:DATES]), draws=150)
    assert not any(each.alarm for each in look(reference, *rows(values[:DATES])))
    found = look(reference, *rows(values))
    assert [each.name for each in found if each.alarm] == ["b"]
    if change == "missing":
        assert found[1].missing == pytest.approx(0.4, abs=0.05)


def test_a_feature_without_memory_of_its_law_is_slow():
    values = panel(np.random.default_rng(8), DATES + 63, features=2)
    values[:, :, 1] = np.cumsum(np.random.default_rng(9).normal(size=len(values)))[:, None]
    values[DATES:, :, 1] += 100.0
    reference = make_reference(["usual", "walk"], *rows(values[:DATES]), draws=50)
    usual, walk = reference.features
    assert usual.effective_dates > 20
    assert walk.effective_dates < drift.FEWEST_EFFECTIVE
    assert walk.psi_limit is None
    found = look(reference, *rows(values))
    assert found[1].psi > 2
    assert not found[1].alarm
    only = make_reference(["walk"], values[:DATES, :, 1:].reshape(-1, 1), rows(values[:DATES])[1])
    assert only.features[0].ks_limit is None


def test_more_features_have_higher_limits():
    values = panel(np.random.default_rng(10), DATES, features=12)
    flat, date = rows(values)
    one, many = make_reference("a", flat[:, :1], date, draws=200), make_reference("abcdefghijkl", flat, date, draws=200)
    assert many.features[0].psi_limit > one.features[0].psi_limit
    assert many.features[0].ks_limit > one.features[0].ks_limit


def test_tickers_that_move_together_have_higher_limits():
    limits = [
        make_reference("abcd", *rows(panel(np.random.default_rng(3), DATES, common=common)), draws=100).features[0]
        for common in (0.0, 1.0)
    ]
    assert limits[1].psi_limit > 2 * limits[0].psi_limit


def test_features_with_memory_have_higher_limits():
    limits = [
        make_reference("abcd", *rows(panel(np.random.default_rng(4), DATES, memory=memory)), draws=100).features[0]
        for memory in (0.0, 0.8)
    ]
    assert limits[1].psi_limit > 2.5 * limits[0].psi_limit
    assert limits[1].ks_limit > 1.6 * limits[0].ks_limit


# --- the rest --------------------------------------------------------------------------------------------------------


def test_the_last_dates_count_and_the_order_of_rows_does_not():
    rng = np.random.default_rng(11)
    values, date = rows(panel(rng, DATES, features=2))
    reference = make_reference("ab", values, date, draws=20)
    order = rng.permutation(len(date))
    assert make_reference("ab", values[order], date[order], draws=20) == reference
    late = date >= date.max() - 62
    assert look(reference, values[order], date[order]) == look(reference, values[late], date[late])


def test_json_keeps_the_reference():
    values, date = rows(panel(np.random.default_rng(12), DATES, features=2))
    values[:, 1] = 0.0
    reference = make_reference("ab", values, date, draws=20)
    document = json.loads(json.dumps(asdict(reference), allow_nan=False))
    assert documents.built(DriftReference, document, "reference") == reference
    json.dumps([asdict(each) for each in look(reference, values, date)], allow_nan=False)


def test_a_constant_feature_raises_no_alarm_until_it_changes():
    values, date = rows(panel(np.random.default_rng(13), DATES, features=2))
    values[:, 1] = 0.0
    reference = make_reference("ab", values, date, draws=20)
    assert not look(reference, values, date)[1].alarm
    values[:, 1] = 1.0
    assert look(reference, values, date)[1].alarm


@pytest.mark.parametrize("number", [1, 251])
def test_a_short_reference_is_refused(number):
    with pytest.raises(DataError, match=f"has {number} dates, and needs 252"):
        make_reference("a", np.zeros((number, 1)), np.arange(number))


def test_a_short_window_is_refused():
    reference = make_reference("ab", *rows(panel(np.random.default_rng(14), 252, features=2)), draws=20)
    with pytest.raises(DataError, match="63 dates, and there are 62"):
        look(reference, np.zeros((62, 2)), np.arange(62))
