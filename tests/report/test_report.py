import json
from pathlib import Path

import jsonschema
import numpy as np
import pydantic
import pytest

from cloudlstm import storage
from cloudlstm.evaluation.rows import ModelScores
from cloudlstm.report import html
from cloudlstm.report.models import Report, ReportSummary
from cloudlstm.report.schema import json_schema, read_summary, to_json
from cloudlstm.runs.paths import RunPaths
from evaluation.samples import USAGE, document_of, make_extreme_forecasts, make_forecasts, manifests, report_of
from report.pages import Page

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/report.schema.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def report():
    return document_of(report_of(make_forecasts(tickers=24, skill=0.6)))


@pytest.fixture(scope="module")
def of_seeds():
    return document_of(report_of(make_forecasts(tickers=24, skill=0.6), seeds=3, folds=3))


def validate(document):
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(json.dumps(document, allow_nan=False)))


def test_the_schema_is_valid():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_the_schema_in_docs_is_that_of_the_models():
    """`python -m cloudlstm.report.schema > docs/report.schema.json` writes it."""
    assert json_schema() == SCHEMA


def test_a_report_that_is_read_again_has_the_same_bytes():
    report = report_of(make_forecasts(tickers=3))
    assert to_json(Report.model_validate_json(to_json(report))) == to_json(report)


def test_nan_is_null_where_a_value_may_be_unknown_and_an_error_elsewhere():
    report = report_of(make_forecasts(tickers=2))
    row = report.models[3].model_dump()
    assert ModelScores.model_validate(row | {"skill": float("nan")}).skill is None
    with pytest.raises(pydantic.ValidationError):
        type(report.forecasts.rows[0]).model_validate(report.forecasts.rows[0].model_dump() | {"last_close": np.inf})


def test_older_and_newer_reports_are_read_and_unreadable_ones_count_as_none(report):
    older = json.loads(json.dumps(report))
    for row in older["forecasts"]["rows"]:
        row["usual_miss_price"] = row.pop("typical_error_price")
    del older["timeline"], older["terms"]
    for row in older["models"]:
        del row["cw_p"], row["r2_pooled"]
    older["models"][0]["a_new_metric"] = 1.0
    summary = ReportSummary.model_validate(older)
    assert summary.forecasts.rows[0].typical_error_price == report["forecasts"]["rows"][0]["typical_error_price"]
    assert summary.scores("lstm").skill == report["models"][3]["skill"]
    paths = RunPaths("memory://read-summary/run")
    assert read_summary(paths) is None
    for text in (b"{", b"[]", b'{"models": 7}'):
        storage.write(paths.report("report.json"), text)
        assert read_summary(paths) is None


def test_the_report_keeps_its_schema(report, of_seeds):
    validate(report)
    validate(of_seeds)
    models = ["naive", "drift", "ridge", "lstm", "ensemble", "calibrated"]
    assert [row["model"] for row in of_seeds["models"]] == models
    assert [row["model"] for row in report["models"]] == [model for model in models if model != "ensemble"]
    with pytest.raises(jsonschema.ValidationError):
        validate(report | {"models": report["models"][:4]})
    with pytest.raises(jsonschema.ValidationError):
        validate(report | {"evidence": {key: each for key, each in report["evidence"].items() if key != "folds"}})
    with pytest.raises(jsonschema.ValidationError):
        validate(report | {"something": 1})


@pytest.mark.parametrize("source", ["synthetic", "files"])
def test_a_report_without_facts_keeps_its_schema(source):
    test = make_forecasts(tickers=2, dates=4)
    test.actual[:] = 0.0  # no returns: most metrics cannot be computed
    typed = report_of(test, steps={}, history=[], source=source)
    found = document_of(typed)
    validate(found)
    assert found["verdict"] == "untested"
    assert found["models"][3]["skill"] is None
    assert found["steps"][0]["seconds"] is None
    Page(html.render(typed))


def test_facts_of_the_steps_are_in_the_report(report):
    assert report["data"] | {"hash": "", "coverage": None} == {
        "source": "synthetic", "synthetic": True, "path": None, "calendar": "XNYS", "rows": 20_000,
        "tickers": 6, "first_date": "2019-01-02", "last_date": "2024-07-01", "hash": "", "coverage": None,
    }  # fmt: skip
    assert report["data"]["hash"] == manifests()["ingest"].digest()
    assert [(row["split"], row["windows"]) for row in report["splits"]] == [
        ("train", 15_000), ("validation", 1_500), ("test", 480),
    ]  # fmt: skip
    assert [(row["first_date"], row["last_date"]) for row in report["splits"]] == [
        ("2019-03-15", "2021-12-31"), ("2022-01-04", "2022-12-30"), ("2023-11-02", "2024-02-21"),
    ]  # fmt: skip
    assert report["quality"]["refused"] == 10
    assert [row["reason"] for row in report["quality"]["reasons"]] == ["outlier", "duplicate"]
    assert report["training"]["best_epoch"] == 1
    assert report["benchmark"]["train_windows_per_s"] == 9e3
    assert report["benchmark"]["speed_up"] is None
    assert {row["step"]: row["rate"] for row in report["steps"]}["clean"] == 1e6
    assert report["environment"]["packages"]["tensorflow"] == "2.21.0"
    assert report["environment"]["seeds"] == {"train": 1, "market": 7}
    assert report["training"]["restarts"] == 1
    assert report["training"]["untrained_validation_loss"] == 1.3
    assert report["data"]["coverage"]["unfetched"][1]["cause"] == "HTTP 429 after 5 tries"
    assert report["quality"]["withdrawn"][0]["labels"] == 2
    assert report["quality"]["duplicate_series"] == [["T0002", "T0003"]]
    assert "far from the bar before" in report["quality"]["worst_tickers"][0]["reasons"][0]["meaning"]


def test_tickers_with_the_same_bars_are_on_the_page():
    page = html.render(report_of(make_forecasts(tickers=2, dates=4)))
    assert "Tickers with the same bars, which count several times: T0002 = T0003." in page


def test_a_simulated_market_is_flagged_and_a_real_one_has_the_survivorship_caveat(report):
    assert report["data"]["synthetic"]
    assert report["caveats"][0]["name"] == "synthetic"
    real = document_of(report_of(make_forecasts(), source="files"))
    assert not real["data"]["synthetic"]
    assert real["caveats"][0]["name"] == "survivorship"


def test_forecasts_of_tickers_that_ended_earlier_are_only_counted(report):
    assert report["forecasts"]["tickers"] == 24
    assert report["forecasts"]["ended_earlier"] == 1
    assert len(report["forecasts"]["rows"]) == 23
    row = report["forecasts"]["rows"][0]
    assert row["lstm_price"] == pytest.approx(row["last_close"] * np.exp(row["lstm_return"]))
    scores = next(each for each in report["per_ticker"] if each["ticker"] == row["ticker"] and each["model"] == "lstm")
    assert row["typical_error_price"] == pytest.approx(row["last_close"] * scores["rmse_return"])


def test_the_last_value_of_the_cumulative_series_is_r2_out_of_sample(report):
    for row in report["models"][1:]:
        assert report["series"]["cumulative"]["models"][row["model"]][-1] == pytest.approx(row["r2_oos"], abs=1e-8)


def test_paths_show_the_best_the_median_and_the_worst_ticker(report):
    skills = {row["ticker"]: row["skill"] for row in report["per_ticker"] if row["model"] == "lstm"}
    ranked = sorted(skills, key=skills.get, reverse=True)
    shown = {path["ticker"]: path["role"] for path in report["series"]["paths"]}
    # Turnover falls with the ticker's number, so T0000 has the most.
    assert shown.pop("T0000").endswith("largest turnover")
    assert shown == {name: role for name, role in zip(
        (ranked[0], ranked[11], ranked[-1]), ("best skill", "median skill", "worst skill"), strict=True
    ) if name != "T0000"}  # fmt: skip
    assert [path.role for path in report_of(make_forecasts(tickers=1)).series.paths] == ["the only ticker"]


def test_few_tickers_are_all_shown_the_best_first(report):
    few = document_of(report_of(make_forecasts(tickers=5)))
    skills = {row["ticker"]: row["skill"] for row in few["per_ticker"] if row["model"] == "lstm"}
    ranked = sorted(skills, key=skills.get, reverse=True)
    assert [path["ticker"] for path in few["series"]["paths"]] == ranked
    assert "best skill" in few["series"]["paths"][0]["role"]
    assert len(report["series"]["paths"]) <= 4


@pytest.mark.parametrize(("dates", "period"), [(80, "month"), (1_000, "quarter"), (3_000, "year")])
def test_errors_over_time_hold_every_label_once(dates, period):
    found = document_of(report_of(make_forecasts(tickers=2, dates=dates)))
    errors = found["series"]["errors"]
    assert errors["period"] == period
    for row in found["models"]:
        mean = np.average(np.square(errors["models"][row["model"]]), weights=errors["labels"])
        assert np.sqrt(mean) == pytest.approx(row["rmse_return"], abs=1e-8)


def test_the_sample_reaches_both_ends_of_the_forecasts(report):
    test, sample = make_forecasts(tickers=24, skill=0.6), report["series"]["sample"]
    assert sample["labels"] == len(test)
    assert len(sample["forecast"]) == len(sample["actual"]) == 600
    assert sample["forecast"][0] == pytest.approx(test.models["lstm"].min(), abs=1e-6)
    assert sample["forecast"][-1] == pytest.approx(test.models["lstm"].max(), abs=1e-6)


def test_extreme_forecasts_keep_the_schema():
    found = document_of(report_of(make_extreme_forecasts()))
    validate(found)
    assert found["models"][3]["skill"] < -100


def test_deciles_hold_all_labels_in_the_order_of_the_forecast(report):
    bins = report["series"]["calibration"]["bins"]
    assert sum(row["labels"] for row in bins) == report["models"][3]["labels"]
    means = [row["forecast"] for row in bins]
    assert means == sorted(means)
    for key in ("actual_density", "forecast_density"):
        assert sum(report["series"]["calibration"][key]) == pytest.approx(1.0, abs=1e-6)


def test_the_cost_of_machines_is_in_the_report_and_on_the_page(report):
    assert report["cost"] is None  # on one machine
    typed = report_of(make_forecasts(), usage=USAGE)
    cost = document_of(typed)["cost"]
    assert (cost["usd"], cost["prices"]) == (pytest.approx(0.072), "list prices of us-east-1, 2026-11")
    assert [(row["job"], row["hours"], row["usd"]) for row in cost["rows"]] == [
        ("prepare", pytest.approx(0.1), pytest.approx(0.072)),
        ("train", pytest.approx(0.5), None),
    ]
    validate(document_of(typed))
    page = html.render(typed)
    assert "$0.07 by list prices of us-east-1, 2026-11" in page
    assert "2 × p9.xlarge (spot)" in page
