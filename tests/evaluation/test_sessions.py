"""Evidence of bars within a day: one number per session in every test, and positions that end with the session."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cloudlstm.config import parse
from cloudlstm.evaluation import scoring
from cloudlstm.evaluation.forecasts import Forecasts, as_csv, next_session_table
from cloudlstm.evaluation.groups import by_group, by_regime
from cloudlstm.evaluation.ic_series import ic_series
from cloudlstm.evaluation.members import pool
from cloudlstm.evaluation.metrics import daily_correlations, scores
from cloudlstm.evaluation.periods import by_period, iso_dates
from cloudlstm.evaluation.portfolio import decile_portfolio
from cloudlstm.evaluation.sessions import evidence_horizon, with_sessions
from cloudlstm.evaluation.significance import diebold_mariano
from minute_bars import grid, minutes_of

CONFIG = parse({}, ["market.source=synthetic", "market.interval=15m"])
GRID = grid("15m")


def forecasts(tickers: int = 12, seed: int = 0) -> Forecasts:
    """Labels of every bar but the last of each session; the errors of one session are alike."""
    rng = np.random.default_rng(seed)
    own = np.flatnonzero(np.diff(GRID.days) == 0)
    shape = (tickers, len(own))
    place = GRID.place_of(GRID.starts[own])
    bias = np.array([0.3, -0.2, 0.5, 0.1, 0.4, -0.1])[place]  # how much of a return the network knows, by session
    actual = rng.normal(0.0, 0.001, shape)
    models = {"naive": np.zeros(shape), "lstm": bias * actual + rng.normal(0.0, 1e-4, shape)}
    found = Forecasts(
        tuple(f"T{number:02d}" for number in range(tickers)),
        np.repeat(np.arange(tickers), len(own)),
        np.tile(GRID.starts[own], tickers),
        np.tile(GRID.starts[own + 1], tickers),
        np.full(tickers * len(own), 100.0),
        actual.ravel(),
        {name: values.ravel() for name, values in models.items()},
        unit="m",
    )
    return with_sessions({"test": found}, CONFIG)["test"]


def test_every_test_has_one_number_per_session() -> None:
    test = forecasts()
    assert len(np.unique(test.session)) == 6
    compared = scoring.compare_models(test, evidence_horizon(CONFIG))
    assert {row.dates for row in compared} == {6}
    # The same by hand: the mean loss difference of each session, then a t-test of six numbers.
    loss = (test.models["lstm"] - test.actual) ** 2 - test.actual**2
    means = np.array([loss[test.session == day].mean() for day in np.unique(test.session)])
    t = means.mean() / (means.std(ddof=1) / np.sqrt(6))
    [row] = [each for each in compared if each.loss == "return"]
    assert row.statistic == pytest.approx(t)
    by_bar = diebold_mariano(test.models["lstm"] * 0 + loss, np.zeros(len(test)), test.origin, horizon=1)
    assert abs(by_bar.statistic or 0.0) > 2 * abs(t), "bars are not independent evidence"


def test_a_half_day_weighs_as_much_as_a_whole_one() -> None:
    test = forecasts()
    error = np.where(test.session == np.unique(test.session)[3], 0.02, 0.01)
    found = scores(test.last_close, np.zeros(len(test)), error, test.session)
    assert found["mae_return"][0] == pytest.approx((5 * 0.01 + 0.02) / 6)


def test_information_coefficients_are_of_bars_and_tested_by_session() -> None:
    test = forecasts()
    bars, pearson, _ = daily_correlations(test.origin, test.actual, test.models["lstm"], min_tickers=5)
    days, by_session, _ = daily_correlations(
        test.origin, test.actual, test.models["lstm"], min_tickers=5, session=test.session
    )
    assert days.tolist() == np.unique(test.session).tolist()
    first = GRID.session_of(bars.astype(np.int32)) == days[0]
    assert by_session[0] == pytest.approx(pearson[first].mean())
    series = ic_series(test, "lstm", 5)
    assert series is not None
    assert (series.period, series.sessions, series.dates) == ("session", (1,) * 6, iso_dates(days.astype(np.int32)))


def test_groups_are_of_sessions() -> None:
    test = forecasts()
    codes, names = by_regime(test.session, np.abs(test.actual))
    rows = by_group(test, "lstm", codes, names, 1, 5)
    assert sum(row.dates for row in rows) == 6
    assert (rows[0].first[:7], len(rows[0].last)) == ("2024-11", 10)


def test_periods_of_few_sessions_are_sessions_and_of_many_months() -> None:
    few = np.arange(20_000, 20_010, dtype=np.int32)
    assert by_period(few, sessions=True)[0] == "session"
    assert by_period(few)[0] == "month"
    assert by_period(np.arange(20_000, 20_300, dtype=np.int32), sessions=True)[0] == "month"


def traded(horizon: int) -> tuple[float, float, int]:
    """Traded value and mean return of a portfolio that holds the same tickers at every bar."""
    tickers, days = 10, GRID.days[:52]  # two sessions of 26 bars
    rank = np.arange(tickers)
    origin = np.tile(GRID.starts[:52], tickers)
    ticker = np.repeat(rank, 52)
    actual = np.where(ticker == 9, np.log1p(0.01), 0.0)
    found = decile_portfolio(ticker, origin, actual, ticker.astype(float), horizon, 10, 0.0, np.tile(days, tickers), 1)
    assert found is not None
    return found.traded, found.gross.mean, found.sessions


@pytest.mark.parametrize("horizon", [1, 4])
def test_positions_end_with_the_session(horizon: int) -> None:
    value, earned, sessions = traded(horizon)
    assert sessions == 2
    assert value == pytest.approx(4.0), "both legs are opened in the morning and closed in the evening"
    assert earned == pytest.approx(26 * 0.01 / horizon)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["market.interval=1m", "dataset.horizon_bars=30"], 1),
        (["market.interval=1h", "market.bridge_sessions=true", "dataset.horizon_bars=9"], 1),
        (["market.interval=1h", "market.bridge_sessions=true", "dataset.labels_across_closes=true"], 2),
        (["market.interval=1h", "market.bridge_sessions=true", "dataset.labels_across_closes=true",
          "dataset.horizon_bars=7"], 4),
        (["dataset.horizon_bars=5"], 5),
    ],
)  # fmt: skip
def test_lags_are_counted_in_sessions(words: list[str], expected: int) -> None:
    assert evidence_horizon(parse({}, ["market.source=synthetic", *words])) == expected


def test_joined_folds_keep_their_sessions() -> None:
    test = forecasts()
    early = test.session <= np.unique(test.session)[2]

    def part(rows: np.ndarray) -> Forecasts:
        own = {name: values[rows] for name, values in test.models.items()}
        assert test.sessions is not None
        return replace(
            test, ticker=test.ticker[rows], origin=test.origin[rows], target=test.target[rows],
            last_close=test.last_close[rows], actual=test.actual[rows], models=own, sessions=test.sessions[:, rows],
        )  # fmt: skip

    whole, fold = pool([part(early), part(~early)])
    assert whole.unit == "m"
    assert np.array_equal(whole.session, test.session)
    assert np.array_equal(fold == 0, early)


def test_forecasts_name_the_bar() -> None:
    origin = minutes_of("2024-11-29T17:45")
    split = Forecasts(
        ("AAA",), np.array([0]), origin, origin, np.array([50.0]), np.array([np.nan]), {"lstm": np.array([0.0])},
        unit="m",
    )  # fmt: skip
    table = next_session_table(split, minutes_of("2024-12-02T14:30"), {})
    assert as_csv(table).decode().splitlines()[1].startswith("AAA,2024-11-29T17:45Z,2024-12-02T14:30Z,50.0")
