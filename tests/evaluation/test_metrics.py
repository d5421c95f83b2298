import math

import numpy as np
import pytest

from cloudlstm.evaluation import scoring
from cloudlstm.evaluation.metrics import (
    InformationCoefficients,
    date_weights,
    information_coefficients,
    ranks_within,
    scores,
)
from cloudlstm.report.glossary import METRICS
from evaluation.samples import make_forecasts, make_unbalanced_forecasts
from real_data import real_data


def one(scores_by_group):
    return {name: float(values[0]) for name, values in scores_by_group.items()}


def test_three_labels_by_hand():
    close = np.array([100.0, 100.0, 50.0])
    actual = np.log([1.10, 0.90, 1.00])  # actual prices: 110, 90, 50
    forecast = np.log([1.05, 1.05, 1.00])  # forecast: 105, 105, 50
    found = one(scores(close, actual, forecast, np.array([7, 7, 7])))
    assert found["rmse_price"] == pytest.approx(math.sqrt((5**2 + 15**2 + 0) / 3))
    assert found["mae_price"] == pytest.approx(20 / 3)
    assert found["skill"] == pytest.approx(1 - (25 + 225) / (100 + 100))
    errors = [math.log(1.05 / 1.10), math.log(1.05 / 0.90), 0.0]
    assert found["rmse_return"] == pytest.approx(math.sqrt(sum(e * e for e in errors) / 3))
    assert found["mae_return"] == pytest.approx(sum(abs(e) for e in errors) / 3)
    assert found["r2_oos"] == pytest.approx(1 - sum(e * e for e in errors) / (math.log(1.1) ** 2 + math.log(0.9) ** 2))
    assert found["directional_accuracy"] == 0.5  # the third return and its forecast are zero
    assert found["base_rate_up"] == 0.5
    assert found["zero_forecasts"] == 1


def label_by_label(close, actual, forecast):
    """The same metrics, computed label by label."""
    n = len(close)
    prices = [c * math.exp(a) for c, a in zip(close, actual, strict=True)]
    predicted = [c * math.exp(f) for c, f in zip(close, forecast, strict=True)]
    model = sum((s - p) ** 2 for s, p in zip(predicted, prices, strict=True)) / n
    naive = sum((c - p) ** 2 for c, p in zip(close, prices, strict=True)) / n
    directed = [(a, f) for a, f in zip(actual, forecast, strict=True) if a and f]
    return {
        "rmse_price": math.sqrt(model),
        "mae_price": sum(abs(s - p) for s, p in zip(predicted, prices, strict=True)) / n,
        "skill": 1 - model / naive,
        "rmse_return": math.sqrt(sum((f - a) ** 2 for a, f in zip(actual, forecast, strict=True)) / n),
        "mae_return": sum(abs(f - a) for a, f in zip(actual, forecast, strict=True)) / n,
        "r2_oos": 1 - sum((f - a) ** 2 for a, f in zip(actual, forecast, strict=True)) / sum(a * a for a in actual),
        "spread": np.std(forecast) / np.std(actual),
        "directional_accuracy": sum((a > 0) == (f > 0) for a, f in directed) / len(directed),
        "base_rate_up": sum(a > 0 for a in actual) / sum(a != 0 for a in actual),
    }


def test_every_metric_of_every_group_equals_the_computation_by_label():
    test = make_forecasts(tickers=5, dates=60)
    forecast = test.models["lstm"]
    found = scores(test.last_close, test.actual, forecast, test.origin, test.ticker, 5)
    for code in range(5):
        at = test.ticker == code
        for name, value in label_by_label(test.last_close[at], test.actual[at], forecast[at]).items():
            assert found[name][code] == pytest.approx(value, rel=1e-9), name
    for name, value in label_by_label(test.last_close, test.actual, forecast).items():
        whole = one(scores(test.last_close, test.actual, forecast, test.origin))
        assert whole[name] == pytest.approx(value, rel=1e-9), name


def test_naive_has_skill_zero_and_no_direction():
    test = make_forecasts()
    found = one(scores(test.last_close, test.actual, test.models["naive"], test.origin))
    assert found["skill"] == pytest.approx(0.0, abs=1e-12)
    assert found["r2_oos"] == 0.0
    assert found["spread"] == 0.0
    assert math.isnan(found["directional_accuracy"])
    assert found["zero_forecasts"] == len(test)


def test_groups_without_variation_are_nan_and_never_infinite():
    close, still = np.full(4, 10.0), np.zeros(4)
    found = scores(close, still, np.full(4, 0.01), np.arange(4), np.array([0, 0, 2, 2]), 3)  # group 1 has no labels
    assert found["labels"].tolist() == [2, 0, 2]
    for name in ("skill", "r2_oos", "spread", "directional_accuracy", "base_rate_up"):
        assert np.isnan(found[name]).all(), name
    assert np.isnan(found["rmse_price"][1])
    assert not any(np.isinf(values).any() for values in found.values())


def test_every_date_weighs_the_same_however_many_tickers_it_has():
    test = make_unbalanced_forecasts()
    error, actual = test.models["lstm"] - test.actual, test.actual
    found = one(scores(test.last_close, actual, test.models["lstm"], test.origin))
    by_date = [(np.mean(error[on] ** 2), np.mean(actual[on] ** 2), np.mean(np.abs(error[on])))
               for day in np.unique(test.origin) for on in [test.origin == day]]  # fmt: skip
    model, naive, absolute = np.mean(by_date, axis=0)
    assert found["rmse_return"] == pytest.approx(math.sqrt(model))
    assert found["mae_return"] == pytest.approx(absolute)
    assert found["r2_oos"] == pytest.approx(1.0 - model / naive)
    assert found["r2_pooled"] == pytest.approx(1.0 - np.sum(error**2) / np.sum(actual**2))
    assert found["labels"] == len(test)
    assert found["r2_oos"] < 0.0 < found["r2_pooled"]


def test_a_score_and_its_test_are_one_number():
    for test in (make_unbalanced_forecasts(), make_forecasts(tickers=5)):
        tests = scoring.compare_models(test, 1)
        rows = {row.model: row for row in scoring.score_models(test, tests, horizon=1, ic_min_tickers=20)}
        for each in tests:
            if each.reference == "naive":
                score = rows[each.model].r2_oos if each.loss == "return" else rows[each.model].skill
                assert each.difference == pytest.approx(-score, abs=1e-12)
            # Clark-West is for a reference that is nested in the model, and for returns.
            assert (each.cw_p is not None) == (each.reference == "naive" and each.loss == "return")


def test_dates_weigh_the_same_within_each_group():
    weights = date_weights(np.array([3, 3, 4, 3, 3, 3]), np.array([0, 0, 0, 1, 1, 1]))
    assert weights.tolist() == pytest.approx([0.5, 0.5, 1.0, 1 / 3, 1 / 3, 1 / 3])


@pytest.mark.parametrize("rows_of", [scoring.score_by_ticker, scoring.score_by_year])
def test_parts_add_up_to_the_whole(rows_of):
    test = make_forecasts(tickers=4, dates=90)  # crosses a new year
    rows = [row for row in rows_of(test) if row.model == "lstm"]
    whole = one(scores(test.last_close, test.actual, test.models["lstm"], test.origin))
    assert len(rows) > 1
    assert sum(row.labels for row in rows) == len(test)
    for name in ("rmse_price", "rmse_return"):
        assert sum(row.labels * getattr(row, name) ** 2 for row in rows) == pytest.approx(len(test) * whole[name] ** 2)


def test_a_label_belongs_to_the_year_of_its_target():
    test = make_forecasts(tickers=1, dates=90)
    by_year = {row.year: row.labels for row in scoring.score_by_year(test) if row.model == "naive"}
    years = [int(str(day)[:4]) for day in test.target.astype("datetime64[D]")]
    assert by_year == {year: years.count(year) for year in sorted(set(years))}


def test_ranks_share_ties_within_each_group():
    from scipy import stats

    rng = np.random.default_rng(3)
    group = rng.integers(0, 7, 300)
    values = rng.integers(0, 9, 300).astype(float)
    found = ranks_within(group, values)
    for code in range(7):
        assert found[group == code].tolist() == stats.rankdata(values[group == code]).tolist()


def test_information_coefficients_are_means_of_daily_correlations():
    from scipy import stats

    test = make_forecasts(tickers=25, dates=40, skill=0.5)
    forecast = test.models["lstm"]
    found = information_coefficients(test.origin, test.actual, forecast, min_tickers=20, horizon=1)
    days = np.unique(test.origin)
    for key, correlate in (("ic", stats.pearsonr), ("rank_ic", stats.spearmanr)):
        daily = [correlate(test.actual[test.origin == day], forecast[test.origin == day])[0] for day in days]
        assert getattr(found, key) == pytest.approx(np.mean(daily))
        assert getattr(found, f"{key}_t") == pytest.approx(stats.ttest_1samp(daily, 0.0).statistic)
    assert found.ic_dates == 40


def test_dates_with_few_tickers_or_equal_forecasts_have_no_information_coefficient():
    test = make_forecasts(tickers=25, dates=10)
    days = np.unique(test.origin)
    few = (test.origin == days[0]) & (test.ticker >= 19)  # 19 tickers remain on this date
    forecast = np.where(test.origin == days[1], 0.1, test.models["lstm"])
    found = information_coefficients(test.origin[~few], test.actual[~few], forecast[~few], min_tickers=20, horizon=1)
    assert found.ic_dates == 8


def test_without_a_usable_date_there_is_no_information_coefficient():
    nothing = InformationCoefficients(ic=None, ic_t=None, rank_ic=None, rank_ic_t=None, ic_dates=0)
    six, many = make_forecasts(tickers=6), make_forecasts(tickers=25)
    for test, model in ((six, "lstm"), (many, "naive")):
        found = information_coefficients(test.origin, test.actual, test.models[model], min_tickers=20, horizon=1)
        assert found == nothing


def test_every_metric_of_a_row_has_a_definition():
    test = make_forecasts(tickers=20)
    row = scoring.score_models(test, scoring.compare_models(test, 1), horizon=1, ic_min_tickers=20)[-1]
    assert set(row.model_dump()) - {"model"} == {metric.name for metric in METRICS}
    assert all(metric.definition.endswith(".") for metric in METRICS)


def test_naive_rmse_of_the_core_six_is_as_computed_with_pandas():
    import pandas as pd

    bars = pd.read_csv(real_data("core6_daily_2010_2024.csv.gz"), parse_dates=["date"]).sort_values(["ticker", "date"])
    bars["next"] = bars.groupby("ticker")["close"].shift(-1)
    labels = bars[(bars["date"] >= "2023-01-01") & bars["next"].notna()]
    close, following = labels["close"].to_numpy(), labels["next"].to_numpy()
    days = labels["date"].to_numpy().astype("datetime64[D]").astype(int)  # six tickers on every date
    found = one(scores(close, np.log(following / close), np.zeros(len(close)), days))
    assert found["rmse_price"] == pytest.approx(np.sqrt(np.mean((following - close) ** 2)))
    assert found["rmse_price"] == pytest.approx(5.74, abs=0.005)
