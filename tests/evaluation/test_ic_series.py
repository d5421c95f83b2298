import numpy as np
import pytest

from cloudlstm.evaluation.ic_series import ic_series
from cloudlstm.evaluation.metrics import daily_correlations, information_coefficients
from cloudlstm.evaluation.periods import iso_date
from evaluation.samples import make_forecasts, make_unbalanced_forecasts


def by_date(test, min_tickers):
    """Origin date -> (target date, Pearson, Spearman), by scipy, one date at a time."""
    from scipy import stats

    found = {}
    for day in sorted(set(test.origin.tolist())):
        at = test.origin == day
        actual, forecast = test.actual[at], test.models["lstm"][at]
        if at.sum() >= min_tickers and np.ptp(actual) > 0 and np.ptp(forecast) > 0:
            pair = stats.pearsonr(actual, forecast).statistic, stats.spearmanr(actual, forecast).statistic
            found[day] = (test.target[at].max(), *pair)
    return found


def test_correlations_by_date_agree_with_scipy():
    test = make_forecasts(7, 40, skill=0.5)
    test.models["lstm"][test.origin == test.origin[3]] = 0.001  # equal forecasts: no correlation
    test.models["lstm"][:] = np.round(test.models["lstm"], 3)  # some are equal
    known = by_date(test, 5)
    assert len(known) == 39
    dates, pearson, spearman = daily_correlations(test.origin, test.actual, test.models["lstm"], min_tickers=5)
    assert dates.tolist() == list(known)
    assert pearson == pytest.approx([row[1] for row in known.values()])
    assert spearman == pytest.approx([row[2] for row in known.values()])
    none = daily_correlations(test.origin, test.actual, test.models["lstm"], min_tickers=8)
    assert [len(each) for each in none] == [0, 0, 0]


def test_periods_and_rolling_means_agree_with_a_count_by_hand():
    test = make_forecasts(7, 150, skill=0.5)  # from 2023-11-01
    test.models["lstm"][test.origin == test.origin[5]] = 0.0
    known = by_date(test, 5)
    months = {}
    for target, pearson, spearman in known.values():
        months.setdefault(iso_date(target)[:7], []).append((pearson, spearman))
    found = ic_series(test, "lstm", 5, window=63)
    assert (found.model, found.period, found.window) == ("lstm", "month", 63)
    assert found.dates == tuple(f"{month}-01" for month in months)
    assert found.sessions == tuple(len(rows) for rows in months.values())
    assert sum(found.sessions) == 149
    assert found.ic == pytest.approx([np.mean([row[0] for row in rows]) for rows in months.values()], abs=1e-8)
    assert found.rank_ic == pytest.approx([np.mean([row[1] for row in rows]) for rows in months.values()], abs=1e-8)
    rows, days = list(known.values()), list(known)
    assert found.rolling_dates == tuple(iso_date(day) for day in days[62:])
    assert len(found.rolling_ic) == 149 - 62
    for at in (0, 40, -1):
        end = range(62, 149)[at] + 1
        assert found.rolling_ic[at] == pytest.approx(np.mean([row[1] for row in rows[end - 63 : end]]), abs=1e-8)
        assert found.rolling_rank_ic[at] == pytest.approx(np.mean([row[2] for row in rows[end - 63 : end]]), abs=1e-8)


def test_a_date_belongs_to_the_month_of_its_target():
    test = make_forecasts(6, 80)
    found = ic_series(test, "lstm", 3)
    last_of_december = iso_date(max(day for day in test.target.tolist() if iso_date(day) < "2024"))
    known = by_date(test, 3)
    in_december = sum("2023-12-01" <= iso_date(target) <= last_of_december for target, *_ in known.values())
    assert found.sessions[found.dates.index("2023-12-01")] == in_december


def test_the_mean_over_all_periods_is_the_ic_of_the_report():
    test = make_unbalanced_forecasts()
    found = ic_series(test, "lstm", 5)
    known = information_coefficients(test.origin, test.actual, test.models["lstm"], min_tickers=5, horizon=1)
    assert sum(found.sessions) == known.ic_dates == 80
    assert np.average(found.ic, weights=found.sessions) == pytest.approx(known.ic, abs=1e-8)
    assert np.average(found.rank_ic, weights=found.sessions) == pytest.approx(known.rank_ic, abs=1e-8)
    assert len(found.rolling_ic) == 80 - 62


def test_few_dates_have_no_rolling_mean_and_naive_has_no_series():
    test = make_forecasts(6, 62)
    found = ic_series(test, "lstm", 3)
    assert (found.rolling_dates, found.rolling_ic) == ((), ())
    assert ic_series(test, "naive", 3) is None
    assert ic_series(test, "lstm", 7) is None
