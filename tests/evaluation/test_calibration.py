import math

import numpy as np
import pytest

from cloudlstm.evaluation.calibration import FEWEST_DATES, validation_slope


def market(rng, dates, tickers, signal_share):
    """A signal, and returns with a market factor whose variance is to a share `signal_share` that of the signal."""
    signal = math.sqrt(signal_share) * rng.normal(0.0, 0.02, (dates, tickers))
    common, own = rng.normal(0.0, 0.01, (dates, 1)), rng.normal(0.0, 0.0173, (dates, tickers))
    return signal.ravel(), (signal + math.sqrt(1.0 - signal_share) * (common + own)).ravel()


def origins(dates, tickers):
    return np.repeat(np.arange(dates), tickers)


def test_by_hand():
    # Two dates: mean products (2 + 0) / 2 = 1 and 4, mean squares (1 + 1) / 2 = 1 and 4: slope 5 / 5 = 1.
    actual, forecast = np.array([2.0, 0.0, 2.0]), np.array([1.0, 1.0, 2.0])
    found = validation_slope(actual, forecast, np.array([0, 0, 1]), 1)
    assert (found.dates, found.slope, found.supported) == (2, 1.0, 0.0)
    # One label more on the first date must not move the slope: every date weighs the same.
    more = validation_slope(np.r_[actual, 1.0], np.r_[forecast, 1.0], np.array([0, 0, 1, 0]), 1)
    assert more.slope == pytest.approx(1.0)


def test_one_label_a_date_agrees_with_the_sandwich_formula():
    rng = np.random.default_rng(1)
    x = rng.normal(0.0, 1.0, 90)
    y = 0.4 * x + rng.normal(0.0, 1.0, 90) * (1.0 + np.abs(x))
    found = validation_slope(y, x, np.arange(90), 1)
    slope = (x @ y) / (x @ x)
    residual = y - slope * x
    error = math.sqrt(((x * residual) ** 2).sum()) / (x @ x) * math.sqrt(90 / 89)  # White 1980
    assert found.slope == pytest.approx(slope)
    assert found.error == pytest.approx(error)
    assert found.t == pytest.approx(slope / error)
    assert found.supported == pytest.approx(slope * (1 - (error / slope) ** 2))


def test_the_error_is_that_of_many_samples_although_tickers_move_together():
    # The same forecast for all tickers of a date, and a market factor: labels of one date are one observation.
    rng = np.random.default_rng(2)
    dates, tickers, runs = 120, 10, 600
    slopes, errors = [], []
    for _ in range(runs):
        forecast = np.repeat(rng.normal(0.0, 0.01, dates), tickers)
        actual = np.repeat(rng.normal(0.0, 0.01, dates), tickers) + rng.normal(0.0, 0.01, dates * tickers)
        found = validation_slope(actual, forecast, origins(dates, tickers), 1)
        slopes.append(found.slope)
        errors.append(found.error)
    assert np.mean(errors) == pytest.approx(np.std(slopes), rel=0.1)


def test_overlapping_labels_have_the_error_of_many_samples():
    rng = np.random.default_rng(3)
    dates, horizon = 400, 5
    slopes, errors = [], []
    for _ in range(600):
        forecast, actual = (np.convolve(rng.normal(0.0, 1.0, dates + 4), np.ones(5), mode="valid") for _ in range(2))
        found = validation_slope(actual, forecast, np.arange(dates), horizon)
        slopes.append(found.slope)
        errors.append(found.error)
    assert np.mean(errors) == pytest.approx(np.std(slopes), rel=0.15)


def test_without_signal_little_is_supported_and_the_error_is_that_of_naive():
    rng = np.random.default_rng(4)
    dates, tickers = 250, 20
    date = origins(dates, tickers)
    supported, ratios, raw_ratios = [], [], []
    for _ in range(150):
        (_, past), (_, actual) = market(rng, dates, tickers, 0.0), market(rng, dates, tickers, 0.0)
        forecast, forecast_test = rng.normal(0.0, 0.002, (2, dates * tickers))
        slope = validation_slope(past, forecast, date, 1)
        naive = math.sqrt((actual**2).mean())
        supported.append(slope.supported)
        ratios.append(math.sqrt(((actual - slope.supported * forecast_test) ** 2).mean()) / naive)
        raw_ratios.append(math.sqrt(((actual - forecast_test) ** 2).mean()) / naive)
    assert np.mean(supported) < 0.1
    assert np.mean(np.array(supported) == 0.0) > 0.75  # t <= 1 has probability 0.84
    assert np.mean(ratios) <= 1.0005
    assert np.mean(raw_ratios) > 1.003


@pytest.mark.parametrize(("size", "known"), [(1.0, 1.0), (2.0, 0.5), (4.0, 0.25), (0.5, 1.0), (-1.0, 0.0)])
def test_a_planted_signal_supports_the_factor_that_makes_its_size_right(size, known):
    rng = np.random.default_rng(5)
    found = []
    for _ in range(30):
        signal, actual = market(rng, 500, 20, 0.04)
        found.append(validation_slope(actual, size * signal, origins(500, 20), 1).supported)
    assert np.mean(found) == pytest.approx(known, abs=0.03)


def test_shrinkage_lowers_the_expected_error_where_the_signal_is_weak():
    # True slope 0.2, standard error about 0.32: the supported slope is nearer to the truth than the slope.
    rng = np.random.default_rng(6)
    shrunk, plain = [], []
    for _ in range(300):
        forecast = rng.normal(0.0, 1.0, 100)
        slope = validation_slope(0.2 * forecast + rng.normal(0.0, 3.2, 100), forecast, np.arange(100), 1)
        shrunk.append((slope.supported - 0.2) ** 2)
        plain.append((slope.slope - 0.2) ** 2)
    assert np.mean(shrunk) < 0.7 * np.mean(plain)


def test_nothing_is_supported_without_forecasts_or_with_few_dates():
    rng = np.random.default_rng(7)
    actual = rng.normal(0.0, 0.02, 200)
    none = validation_slope(actual, np.zeros(200), np.arange(200), 1)
    assert (none.dates, none.slope, none.t, none.supported) == (0, None, None, 0.0)
    empty = validation_slope(np.zeros(0), np.zeros(0), np.zeros(0, int), 1)
    assert (empty.dates, empty.supported) == (0, 0.0)
    few = FEWEST_DATES - 1
    assert validation_slope(actual[:few], 0.9 * actual[:few], np.arange(few), 1).supported == 0.0
    # All but 19 dates have a forecast of zero: they are no evidence.
    sparse = np.where(np.arange(200) < few, actual, 0.0)
    found = validation_slope(actual, sparse, np.arange(200), 1)
    assert (found.dates, found.supported) == (few, 0.0)


def test_exact_forecasts_are_not_shrunk():
    actual = np.random.default_rng(8).normal(0.0, 0.02, 60)
    found = validation_slope(actual, 2.0 * actual, np.arange(60), 1)
    assert (found.slope, found.supported) == (pytest.approx(0.5), pytest.approx(0.5))


def test_a_slope_below_zero_supports_zero_without_a_sign():
    actual = np.array([1.0, -1.0] * 20) + np.arange(40) / 100
    weak = validation_slope(actual, np.tile([-0.2, -0.2, 0.1, 0.1], 10), np.arange(40), 1)
    assert weak.slope < 0.0
    assert math.copysign(1.0, weak.supported) == 1.0
    assert weak.supported == 0.0
