import math

import numpy as np
import pytest

from cloudlstm.evaluation.periods import iso_date
from cloudlstm.evaluation.portfolio import decile_portfolio

DAY = 19_000


def portfolio(forecast, actual, *, horizon=1, min_tickers=10, cost_bps=0.0, kept=None):
    """The portfolio of a panel (dates, tickers) of which the cells in `kept` exist; labels in a mixed order."""
    forecast, actual = np.asarray(forecast, float), np.asarray(actual, float)
    tickers = forecast.shape[1]
    at = np.flatnonzero(np.ones(forecast.size, bool) if kept is None else kept.ravel())
    at = np.random.default_rng(0).permutation(at)
    ticker, origin = at % tickers, (DAY + at // tickers).astype(np.int32)
    return decile_portfolio(ticker, origin, actual.ravel()[at], forecast.ravel()[at], horizon, min_tickers, cost_bps)


def ranked(*pairs, tickers=10):
    """A panel of forecasts in which each pair (top, bottom) has the largest and the smallest of a date."""
    panel = np.tile(np.linspace(0.1, 0.2, tickers), (len(pairs), 1))
    for row, (top, bottom) in zip(panel, pairs, strict=True):
        row[top], row[bottom] = 1.0, -1.0
    return panel


def by_loops(forecast, actual, kept, horizon, min_tickers):
    """Gross returns and traded values as loops over whole matrices of weights."""
    dates, tickers = forecast.shape
    target, gross = np.zeros((dates + 2 * horizon, tickers)), np.zeros(dates)
    for t in range(dates):
        names = [i for i in range(tickers) if kept[t, i]]
        if len(names) < max(min_tickers, 10):
            continue
        names.sort(key=lambda i: (forecast[t, i], i))
        k = len(names) // 10
        target[t, names[-k:]], target[t, names[:k]] = 1 / k, -1 / k
        gross[t] = sum(target[t, i] * (math.exp(actual[t, i]) - 1) for i in names) / horizon
    held = np.array([target[max(0, t - horizon + 1) : t + 1].sum(axis=0) / horizon for t in range(len(target))])
    traded = np.abs(np.diff(np.vstack([np.zeros(tickers), held]), axis=0)).sum(axis=1)
    return gross, np.r_[traded[: dates - 1], traded[dates - 1 :].sum()]


def test_three_dates_by_hand():
    forecast = ranked((9, 0), (9, 1), (3, 0))
    actual = np.full((3, 10), 5.0)
    actual[0, [9, 0]] = np.log([1.02, 1.01])
    actual[1, [9, 1]] = np.log([0.99, 1.01])
    actual[2, [3, 0]] = np.log([1.03, 0.98])
    # Bought and sold: 2; one short replaced 2; both replaced 4, and both closed 2.
    found = portfolio(forecast, actual, cost_bps=10.0)
    assert (found.sessions, found.dates, found.few_tickers, found.equal_forecasts) == (3, 3, 0, 0)
    assert found.series_dates == tuple(iso_date(DAY + t) for t in range(3))
    assert found.series_gross == pytest.approx((0.01, -0.01, 0.04))
    assert found.series_net == pytest.approx((0.008, -0.014, 0.030))
    assert (found.gross.mean, found.net.mean) == (pytest.approx(0.04 / 3), pytest.approx(0.01))
    assert (found.gross.annual, found.net.annual) == (pytest.approx(0.04 * 84), pytest.approx(2.52))
    assert (found.traded, found.turnover) == (pytest.approx(10 / 3), pytest.approx(10 / 12))
    assert found.break_even_bps == pytest.approx(40.0)
    assert found.hit_rate == pytest.approx(2 / 3)
    deviation = np.std([0.01, -0.02, 0.05], ddof=1)
    assert found.gross.volatility == pytest.approx(deviation * math.sqrt(252))
    assert found.gross.t == pytest.approx(0.04 / 3 / deviation * math.sqrt(3))
    sharpe = 0.04 / 3 / deviation
    assert found.gross.sharpe == pytest.approx(sharpe * math.sqrt(252))
    assert found.gross.sharpe_error == pytest.approx(math.sqrt((1 + sharpe**2 / 2) / 3 * 252))
    # The fall is that of the second session, from 0.008 to -0.014.
    assert found.drawdown == pytest.approx(0.022)
    assert (found.drawdown_from, found.drawdown_to) == (iso_date(DAY + 1), iso_date(DAY + 1))
    assert found.series_drawdown == pytest.approx((0.0, -0.022, 0.0))


def test_two_sessions_ahead_by_hand():
    forecast = ranked((9, 0), (9, 1))
    actual = np.zeros((2, 10))
    actual[0, 9], actual[1, 1] = np.log(1.04), np.log(1.02)
    found = portfolio(forecast, actual, horizon=2, cost_bps=100.0)
    # Half of each target portfolio's return; the portfolio held is half of the first, then the mean of both.
    assert found.series_gross == pytest.approx((0.02, 0.01))
    # First 1/2 + 1/2; then 1/2 more of 9 and 1/2 of 1; at the end 1/2 + 1/2 of the first, 1/2 + 1/2 of the second.
    assert found.traded == pytest.approx((1 + 1 + 2) / 2)
    assert found.series_net == pytest.approx((0.02 - 0.01, 0.01 - 0.04))


@pytest.mark.parametrize("horizon", [1, 3])
@pytest.mark.parametrize("tickers", [14, 47])
def test_agrees_with_loops_on_a_panel_with_gaps(horizon, tickers):
    rng = np.random.default_rng(tickers)
    shape = (60, tickers)
    forecast, actual = rng.integers(0, 9, shape) / 100, rng.normal(0.0, 0.03, shape)  # many equal forecasts
    kept = rng.uniform(size=shape) < 0.85
    kept[20:22] &= rng.uniform(size=(2, tickers)) < 0.2  # too few tickers
    kept[[0, -1]] = True
    gross, traded = by_loops(forecast, actual, kept, horizon, 12)
    found = portfolio(forecast, actual, horizon=horizon, min_tickers=12, cost_bps=7.0, kept=kept)
    assert found.sessions == 60
    assert found.few_tickers == (kept.sum(axis=1) < 12).sum()
    assert found.series_gross == pytest.approx(np.cumsum(gross), abs=1e-8)
    assert found.series_net == pytest.approx(np.cumsum(gross - 7e-4 * traded), abs=1e-8)
    assert found.traded == pytest.approx(traded.mean())


def test_dates_left_out_are_counted_and_closed_at_cost():
    forecast = ranked((9, 0), (9, 0), (9, 0), (9, 0), (9, 0))
    forecast[2] = 0.3  # all equal
    kept = np.ones(forecast.shape, bool)
    kept[[0, 4], 5] = False  # nine tickers
    actual = np.zeros(forecast.shape)
    actual[2, 9] = 1.0  # not earned
    found = portfolio(forecast, actual, kept=kept)
    assert (found.sessions, found.dates, found.few_tickers, found.equal_forecasts) == (3, 2, 2, 1)
    assert found.series_gross == (0.0, 0.0, 0.0)
    assert found.traded == pytest.approx((2 + 2 + 2 + 2) / 3)  # open, close, open, close
    assert found.hit_rate == 0.0


def test_a_missing_ticker_is_closed_at_cost():
    forecast = ranked((9, 0), (9, 0), tickers=11)
    kept = np.ones(forecast.shape, bool)
    kept[1, 9] = False  # 10 takes the place of 9
    found = portfolio(forecast, np.zeros(forecast.shape), kept=kept)
    assert found.traded == pytest.approx((2 + 2 + 2) / 2)


def test_equal_forecasts_follow_the_order_of_tickers():
    forecast = np.tile(np.r_[np.zeros(9), np.full(2, 1.0), np.full(9, 2.0)], (3, 1))  # 20 tickers, legs of two
    actual = np.tile(np.log1p(np.arange(20) / 100), (3, 1))
    assert portfolio(forecast, actual).gross.mean == pytest.approx((0.18 + 0.19) / 2 - (0.00 + 0.01) / 2)


def test_at_the_break_even_cost_nothing_is_left():
    rng = np.random.default_rng(1)
    forecast = rng.normal(0.0, 1.0, (80, 30))
    actual = 0.004 * forecast + rng.normal(0.0, 0.02, (80, 30))
    cost = portfolio(forecast, actual).break_even_bps
    assert cost > 10.0
    assert portfolio(forecast, actual, cost_bps=cost).net.mean == pytest.approx(0.0, abs=1e-12)
    other_way = portfolio(-forecast, actual)
    assert other_way.gross.mean == pytest.approx(-portfolio(forecast, actual).gross.mean)


def test_the_largest_fall_may_begin_before_the_first_gain():
    forecast = ranked(*[(9, 0)] * 5)
    actual = np.zeros((5, 10))
    actual[:, 9] = np.log1p([-0.01, -0.02, 0.05, -0.01, 0.01])
    found = portfolio(forecast, actual)
    assert found.series_drawdown == pytest.approx((-0.01, -0.03, 0.0, -0.01, 0.0))
    assert (found.drawdown_from, found.drawdown_to) == (iso_date(DAY), iso_date(DAY + 1))
    actual[:, 9] = 0.01
    rising = portfolio(forecast, actual)
    assert (rising.drawdown, rising.drawdown_from, rising.drawdown_to) == (0.0, None, None)
    assert (rising.gross.t, rising.gross.sharpe) == (None, None)  # all numbers are equal


def test_without_a_date_with_enough_tickers_there_is_no_portfolio():
    forecast = ranked((8, 0), (8, 0), tickers=9)
    assert portfolio(forecast, forecast, min_tickers=2) is None
    assert portfolio(np.ones((4, 30)), np.ones((4, 30))) is None
    assert portfolio(np.zeros((0, 10)), np.zeros((0, 10))) is None


@pytest.mark.parametrize("horizon", [1, 4])
def test_without_skill_t_is_standard_normal_and_the_error_of_sharpe_is_true(horizon):
    # Slow forecasts, a market factor, overlapping labels.
    rng = np.random.default_rng(horizon)
    dates, tickers, runs = 150, 30, 400
    t, sharpe, error = [], [], []
    for _ in range(runs):
        session = rng.normal(0.0, 0.01, (dates + horizon, 1)) + rng.normal(0.0, 0.02, (dates + horizon, tickers))
        actual = sum(session[lag : lag + dates] for lag in range(horizon))
        forecast = np.cumsum(rng.normal(0.0, 1.0, (dates, tickers)), axis=0)
        found = portfolio(forecast, actual, horizon=horizon)
        t.append(found.gross.t)
        sharpe.append(found.gross.sharpe)
        error.append(found.gross.sharpe_error)
    assert abs(np.mean(t)) < 3 / math.sqrt(runs)
    assert np.std(t) == pytest.approx(1.0, abs=0.12)
    assert np.mean(error) == pytest.approx(np.std(sharpe), rel=0.12)
