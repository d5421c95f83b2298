import dataclasses
import math

import numpy as np
import pytest

from cloudlstm.evaluation.groups import REGIMES, by_group, by_regime, by_sector, volatility_thresholds
from cloudlstm.evaluation.periods import by_period, by_year, iso_date, iso_dates
from cloudlstm.evaluation.scoring import compare_models, score_models
from cloudlstm.market.sectors import OTHER
from evaluation.samples import make_forecasts, make_unbalanced_forecasts


def only(test, at):
    """The labels at these places."""
    parts = {name: getattr(test, name)[at] for name in ("ticker", "origin", "target", "last_close", "actual")}
    return dataclasses.replace(test, **parts, models={model: values[at] for model, values in test.models.items()})


@pytest.mark.parametrize("horizon", [1, 2])
def test_a_group_has_the_scores_of_its_labels_alone(horizon):
    test = make_forecasts(12, 90, skill=0.6)
    codes = np.where(test.origin % 4 == 0, -1, test.ticker % 3)
    codes[codes == 1] = 2  # the group in the middle has no labels
    found = by_group(test, "lstm", codes, ("a", "b", "c"), horizon, 3)
    assert [row.group for row in found] == ["a", "c"]
    for row, code in zip(found, (0, 2), strict=True):
        alone = only(test, codes == code)
        tests = compare_models(alone, horizon)
        scores = {each.model: each for each in score_models(alone, tests, horizon=horizon, ic_min_tickers=3)}
        lstm, naive = scores["lstm"], scores["naive"]
        assert (row.model, row.labels) == ("lstm", lstm.labels)
        assert row.rmse_ratio == pytest.approx(lstm.rmse_return / naive.rmse_return)
        assert row.rmse_ratio_price == pytest.approx(lstm.rmse_price / naive.rmse_price)
        assert row.r2_oos == pytest.approx(lstm.r2_oos)
        assert row.difference == pytest.approx(-lstm.r2_oos)
        assert row.low < row.difference < row.high
        assert row.dm_p == pytest.approx(lstm.dm_p)
        assert (row.ic, row.rank_ic_t, row.ic_dates) == (lstm.ic, lstm.rank_ic_t, lstm.ic_dates)
        assert (row.first, row.last) == (iso_date(alone.origin.min()), iso_date(alone.origin.max()))
        assert row.dates == len(set(alone.origin.tolist()))


def test_every_date_of_a_group_weighs_the_same():
    test = make_unbalanced_forecasts()
    (row,) = by_group(test, "lstm", np.zeros(len(test), np.intp), ("all",), 1, 5)
    days = sorted(set(test.origin.tolist()))
    error = [np.mean((test.models["lstm"] - test.actual)[test.origin == day] ** 2) for day in days]
    naive = [np.mean(test.actual[test.origin == day] ** 2) for day in days]
    assert row.rmse_ratio == pytest.approx(math.sqrt(np.mean(error) / np.mean(naive)))
    assert (row.dates, row.ic_dates) == (400, 80)


def test_a_group_of_one_date_and_one_without_moves():
    test = make_forecasts(4, 30)
    test.actual[test.ticker == 1] = 0.0
    codes = np.where(test.ticker == 1, 1, np.where(test.origin == test.origin.max(), 0, -1))
    short, still = by_group(test, "lstm", codes, ("short", "still"), 1, 3)
    assert (short.dates, short.dm_p, short.ic_dates) == (1, None, 1)
    assert (still.rmse_ratio, still.r2_oos, still.difference, still.ic) == (None, None, None, None)


def test_nothing_in_any_group():
    test = make_forecasts(3, 20)
    assert by_group(test, "lstm", np.full(len(test), -1), (), 1, 3) == []


def test_regimes_are_thirds_of_the_dates_by_their_mean_volatility():
    # Nine dates whose mean volatilities are 1 to 9; the first has many tickers, which does not make it count more.
    mean = np.array([5.0, 1.0, 9.0, 2.0, 4.0, 8.0, 3.0, 7.0, 6.0])
    origin = np.r_[np.zeros(20, int), np.repeat(np.arange(1, 9), 2)]
    volatility = np.r_[np.tile([4.0, 6.0], 10), np.repeat(mean[1:], 2) + np.tile([-0.5, 0.5], 8)]
    order = np.random.default_rng(0).permutation(len(origin))
    codes, names = by_regime(origin[order], volatility[order])
    assert names == REGIMES == ("calm", "normal", "turbulent")
    known = np.array([1, 0, 2, 0, 1, 2, 0, 2, 1])
    assert codes.tolist() == known[origin[order]].tolist()
    lower, upper = volatility_thresholds(origin, volatility)
    assert 3.0 < lower < 4.0
    assert 6.0 < upper < 7.0
    given, _ = by_regime(origin, volatility, (1.0, 8.5))
    assert given.tolist() == np.array([1, 0, 2, 1, 1, 1, 1, 1, 1])[origin].tolist()


def test_sectors_are_sorted_and_tickers_without_one_are_other():
    ticker = np.array([0, 0, 1, 2, 3, 3])
    codes, names = by_sector(
        ("A", "B", "C", "D"), ticker, {"A": "utilities", "C": "energy", "Z": "retail", "D": "zinc"}
    )
    assert names == ("energy", "utilities", "zinc", OTHER)
    assert codes.tolist() == [1, 1, 3, 0, 2, 2]
    assert by_sector(("A",), np.zeros(2, np.intp), {})[1] == (OTHER,)


def days(*texts):
    return np.array(texts, "datetime64[D]").astype(np.int32)


def test_years():
    codes, names = by_year(days("2021-01-01", "1969-12-31", "2020-12-31", "2021-12-31"))
    assert names == ("1969", "2020", "2021")
    assert codes.tolist() == [2, 0, 1, 2]


def test_periods_are_the_shortest_of_which_there_are_few():
    every = np.arange(*days("2015-02-10", "2018-05-20"), dtype=np.int32)  # 40 months
    kind, first, code = by_period(every)
    assert (kind, len(first)) == ("month", 40)
    assert iso_dates(first[[0, -1]]) == ("2015-02-01", "2018-05-01")
    assert (code[0], code[-1]) == (0, 39)
    kind, first, code = by_period(np.arange(*days("2015-02-10", "2018-06-20"), dtype=np.int32))
    assert (kind, iso_dates(first[[0, 1, -1]])) == ("quarter", ("2015-01-01", "2015-04-01", "2018-04-01"))
    kind, first, _ = by_period(np.arange(*days("2001-01-01", "2011-06-20"), dtype=np.int32))
    assert (kind, len(first)) == ("year", 11)
    gap, first, code = by_period(days("2020-03-31", "2020-01-01", "2020-03-01"))
    assert (gap, iso_dates(first), code.tolist()) == ("month", ("2020-01-01", "2020-03-01"), [1, 0, 1])
