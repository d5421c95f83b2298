import math
import re

import numpy as np
import pytest

from cloudlstm.evaluation.quant_rows import Spread
from cloudlstm.evaluation.rows import ModelScores, ModelTest
from cloudlstm.evaluation.significance import mean_test
from cloudlstm.report import html
from cloudlstm.report.summary import find_test, headline, verdict
from evaluation.samples import make_forecasts, make_unbalanced_forecasts, report_of


def of_test(reference="naive", loss="return", *, difference=-0.002, p=0.01, cw_p=None, model="lstm"):
    statistic = None if p is None else math.copysign(3.0, difference)
    return ModelTest(
        model=model, reference=reference, loss=loss, dates=250, difference=difference, low=None, high=None,
        statistic=statistic, p=p, cw_p=cw_p,
    )  # fmt: skip


def scores(model, **values):
    usual = dict.fromkeys(ModelScores.model_fields, None) | {"labels": 1500, "zero_forecasts": 0, "ic_dates": 0}
    return ModelScores(**usual | {"model": model} | values)


MODELS = {"naive": scores("naive", rmse_price=5.0), "lstm": scores("lstm", rmse_price=5.1, r2_pooled=0.002)}


@pytest.mark.parametrize(
    ("p", "difference", "expected"),
    [(0.01, -0.02, "better"), (0.01, 0.02, "worse"), (0.05, -0.02, "same"), (None, -0.02, "untested")],
)
def test_the_verdict_is_the_sign_of_the_tested_difference_if_it_is_significant(p, difference, expected):
    assert verdict(of_test(p=p, difference=difference)) == expected


def test_without_a_test_there_is_no_verdict():
    assert verdict(None) == "untested"
    assert "cannot be compared" in headline(MODELS, [], dates=1)


def test_the_headline_states_the_size_of_a_small_advantage():
    text = headline(MODELS, [of_test(difference=-0.0004, p=0.001)], dates=250)
    assert text.startswith(
        "On returns the LSTM beats the naive forecast (squared error 0.04% smaller, Diebold-Mariano p = 0.001), "
        "on 1,500 test forecasts over 250 dates."
    )
    assert "less than 0.01% smaller" in headline(MODELS, [of_test(difference=-0.00004)], dates=250)


def test_only_a_test_says_that_a_simpler_model_is_better():
    tests = [of_test(), of_test("drift", difference=0.001, p=0.216), of_test("ridge", difference=0.002, p=0.03)]
    text = headline(MODELS, tests, dates=250)
    assert "The LSTM does not differ significantly from drift (squared error 0.10% larger, p = 0.216)" in text
    assert ", and is worse than ridge (squared error 0.20% larger, p = 0.030)" in text
    tests[2] = of_test("ridge", difference=-0.002, p=0.3)
    assert "drift (squared error 0.10% larger, p = 0.216) and ridge (sq" in headline(MODELS, tests, dates=250)
    tests[2] = of_test("ridge", difference=-0.002, p=0.03)
    assert ", and beats ridge (squared error 0.20% smaller" in headline(MODELS, tests, dates=250)


@pytest.mark.parametrize(
    ("difference", "p", "words"),
    [(0.04, 0.16, "not significantly different from"), (0.04, 0.01, "significantly larger than"),
     (-0.04, 0.01, "significantly smaller than")],
)  # fmt: skip
def test_dollars_have_a_test_of_their_own(difference, p, words):
    text = headline(MODELS, [of_test(), of_test(loss="price", difference=difference, p=p)], dates=250)
    assert f"RMSE is $5.100, {words} naive's $5.000 (p = {p:.3f})." in text


def test_the_headline_says_what_the_clark_west_test_finds():
    found, none = (headline(MODELS, [of_test(cw_p=p)], dates=250) for p in (0.009, 0.2))
    assert "finds information about returns in the LSTM's forecasts (one-sided p = 0.009)" in found
    assert "does not find information" in none
    assert "Clark-West" not in headline(MODELS, [of_test()], dates=250)


SEEDS_AND_FOLDS = report_of(make_forecasts(tickers=6, dates=120), seeds=3, folds=3).evidence


def test_the_headline_says_how_far_seeds_agree():
    spread = {"r2_oos": Spread(members=3, mean=-0.0012, sd=0.001, min=-0.0031, max=0.0004)}
    seeds = [
        row.model_copy(update={"dm_p": p}) for row, p in zip(SEEDS_AND_FOLDS.seeds, (0.03, 0.05, None), strict=True)
    ]
    found = SEEDS_AND_FOLDS.model_copy(update={"spread": spread, "seeds": tuple(seeds), "over_folds": ()})
    text = headline(MODELS, [of_test()], dates=250, evidence=found)
    sentence = (
        "Over 3 seeds the R² is -0.12% on average, from -0.31% to +0.04%, and differs significantly from zero for 1 of "
        "them."
    )
    assert sentence in text
    assert "folds" not in text
    alone = found.model_copy(update={"spread": {}, "seeds": ()})
    assert headline(MODELS, [of_test()], dates=250, evidence=alone) == headline(MODELS, [of_test()], dates=250)


@pytest.mark.parametrize(("model", "name", "better"), [("ensemble", "ensemble", 2), ("lstm", "LSTM", 0)])
def test_the_headline_says_in_how_many_folds_the_model_is_better(model, name, better):
    rows = [
        row.model_copy(update={"better": {"ensemble": 2, "lstm": 0}.get(row.model, 3)})
        for row in SEEDS_AND_FOLDS.over_folds
    ]
    found = SEEDS_AND_FOLDS.model_copy(update={"model": model, "spread": {}, "over_folds": tuple(rows)})
    text = headline(MODELS, [of_test()], dates=250, evidence=found)
    assert f"In {better} of 3 folds the {name}'s squared error is smaller than naive's." in text
    assert "seeds" not in text


def test_the_headline_of_a_report_counts_its_own_seeds_and_folds():
    test = make_forecasts(tickers=24, dates=240, skill=0.3)
    found = report_of(test, seeds=3, folds=3)
    r2 = [row.r2_oos for row in found.evidence.seeds]
    assert (
        f"Over 3 seeds the R² is {np.mean(r2):+.2%} on average, from {min(r2):+.2%} to {max(r2):+.2%}, and differs "
        "significantly from zero for 3 of them. In 3 of 3 folds the ensemble's squared error is smaller than naive's."
    ) in found.headline
    assert "seeds" not in report_of(test).headline
    assert "folds" not in report_of(test).headline


def test_naive_is_not_nested_in_a_network_on_price_levels():
    for inputs in ("relative", "levels"):
        report = report_of(make_forecasts(tickers=3), f"train.inputs={inputs}")
        nested = {row.model for row in report.dm if row.cw_p is not None}
        assert nested == {"drift", "ridge"} | ({"lstm", "calibrated"} if inputs == "relative" else set())
        assert ("Clark-West" in report.headline) == (inputs == "relative")
        assert ("ridge and the networks contain naive" in html.render(report)) == (inputs == "relative")


def test_where_dates_have_different_numbers_of_tickers_the_tested_direction_counts_and_the_other_is_named():
    report = report_of(make_unbalanced_forecasts())
    test = find_test(report.dm, "naive")
    assert (test.difference > 0.0, test.p < 0.05, report.verdict) == (True, True, "worse")
    lstm = report.models[3]
    assert lstm.model == "lstm"
    assert lstm.r2_oos < 0.0 < lstm.r2_pooled
    text = report.headline
    assert "is worse than the naive forecast" in text
    assert (
        f"If every label weighs the same, the sign is the opposite, an R² of {lstm.r2_pooled:+.2%}" in report.headline
    )
    assert "the opposite" not in report_of(make_forecasts(skill=0.6)).headline


def test_no_figure_of_the_page_contradicts_the_test_unsaid():
    report = report_of(make_unbalanced_forecasts())
    by_model = {row.model: row for row in report.models}
    ratio = by_model["lstm"].rmse_return / by_model["naive"].rmse_return
    assert ratio**2 - 1.0 == pytest.approx(find_test(report.dm, "naive").difference)
    assert report.series.cumulative.models["lstm"][-1] == pytest.approx(by_model["lstm"].r2_oos, abs=1e-8)
    years = {row.year: row for row in report.per_year if row.model == "lstm"}
    assert {row.r2_oos > 0.0 for row in years.values()} == {True, False}  # the tickers joined between the years
    page = html.render(report)
    results = re.search(r'<section id="results".*?</section>', page, flags=re.DOTALL)[0]
    assert results.count('href="#def-r2_pooled"') == 2  # its row, and the sentence on weights
    assert "each date weighs the same" in results
    balanced = html.render(report_of(make_forecasts(tickers=3)))
    assert 'href="#def-r2_pooled"' not in balanced


@pytest.mark.parametrize(
    ("by_date", "by_label", "shown"),
    [(0.02, 0.0201, False), (0.02, 0.0251, True), (0.0001, -0.0001, True), (None, 0.3, False)],
)
def test_r2_by_label_is_shown_where_the_weights_matter(by_date, by_label, shown):
    report = report_of(make_forecasts(tickers=3))
    alike = [row.model_copy(update={"r2_pooled": row.r2_oos}) for row in report.models]
    alike[3] = report.models[3].model_copy(update={"r2_oos": by_date, "r2_pooled": by_label})
    page = html.render(report.model_copy(update={"models": tuple(alike)}))
    assert ('href="#def-r2_pooled"' in page) == shown


@pytest.mark.parametrize("horizon", [1, 3])
def test_means_of_deciles_are_over_dates_and_their_interval_knows_the_overlap(horizon):
    test = make_unbalanced_forecasts()
    decile = report_of(test, f"dataset.horizon_bars={horizon}").series.calibration.bins[0]
    first = np.argsort(test.models["lstm"], kind="stable")[: len(test) // 10]
    days = np.unique(test.origin[first])
    daily = np.array([test.actual[first][test.origin[first] == day].mean() for day in days])
    known = mean_test(daily, horizon)
    assert decile.actual == pytest.approx(daily.mean())
    assert decile.forecast == pytest.approx(
        np.mean([test.models["lstm"][first][test.origin[first] == day].mean() for day in days])
    )
    assert decile.error == pytest.approx(known.high - known.mean)


def test_errors_over_time_weigh_every_date_the_same():
    test = make_unbalanced_forecasts()
    months = test.target.astype("datetime64[D]").astype("datetime64[M]")
    expected = []
    for month in np.unique(months):
        error = (test.models["lstm"] - test.actual)[months == month] ** 2
        dates = test.origin[months == month]
        expected.append(np.sqrt(np.mean([error[dates == day].mean() for day in np.unique(dates)])))
    assert report_of(test).series.errors.models["lstm"] == pytest.approx(expected, abs=1e-8)
