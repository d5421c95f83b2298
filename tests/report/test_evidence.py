"""The evidence section: its numbers are those of report.json, and follow from the forecasts."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import Any

import numpy as np
import pytest

from cloudlstm.report import html
from cloudlstm.report.schema import to_json
from cloudlstm.text import numbers
from evaluation.samples import make_forecasts, report_of

SECTORS = {f"T{number:04d}": ("Energy", "Health Care")[number % 2] for number in range(20)}
QUANTILES = {0.5: 0.7, 0.8: 1.3, 0.95: 2.0}
"""Level -> half width of the samples' intervals in units of the window's volatility."""


@pytest.fixture(scope="module")
def split():
    return make_forecasts(tickers=24, dates=240, skill=0.3)


@pytest.fixture(scope="module")
def report(split):
    return report_of(split, seeds=3, folds=3, sectors=SECTORS)


@pytest.fixture(scope="module")
def stored(report) -> dict[str, Any]:
    return json.loads(to_json(report))["evidence"]


@pytest.fixture(scope="module")
def page(report) -> str:
    return section(report)


def section(report) -> str:
    page = re.sub(r"<sup>.*?</sup>", "", html.render(report))
    return re.search(r'<section id="evidence".*?</section>', page, flags=re.DOTALL)[0]


def text(markup: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", "", markup)).split())


def table(page: str, label: str) -> list[list[str]]:
    """The cells of every row of a table's body."""
    found = re.search(rf'aria-label="{label}">.*?<tbody>(.*?)</tbody>', page, flags=re.DOTALL)[1]
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", found, flags=re.DOTALL)
    return [[text(cell) for cell in re.findall(r"<t[hd][^>]*>.*?</t[hd]>", row)] for row in rows]


def number(value: float | None, form: str) -> str:
    return "–" if value is None else f"{value:{form}}".replace("-", "−")


def p(value: float | None, *, tested: bool = True) -> str:
    shown = "–" if value is None else "<0.001" if value < 0.001 else f"{value:.3f}"
    return shown + ("*" if tested and value is not None and value < 0.05 else "")


def mse(split, forecast, chosen=None) -> float:
    """Mean squared return error in which every date weighs the same."""
    chosen = np.ones(len(split), bool) if chosen is None else chosen
    squared, dates = ((forecast - split.actual) ** 2)[chosen], split.origin[chosen]
    return float(np.mean([squared[dates == date].mean() for date in np.unique(dates)]))


def test_the_table_of_seeds_is_that_of_the_json(page, stored) -> None:
    def shares(key):
        return "+.2%" if key != "sd" else ".2%"

    rows = [
        [str(row["seed"]), number(row["rmse_price"], ".4f"), number(row["skill"], "+.2%"),
         number(row["rmse_return"], ".4%"), number(row["r2_oos"], "+.2%"), number(row["directional_accuracy"], ".1%"),
         p(row["dm_p"]), number(row["rank_ic"], ".4f")]
        for row in stored["seeds"]
    ]  # fmt: skip
    spread = stored["spread"]
    for key, label in (("mean", "mean"), ("sd", "sd"), ("min", "smallest"), ("max", "largest")):
        # A mean of p-values is no p-value.
        p_value = p(spread["dm_p"][key], tested=False) if key in ("min", "max") else "–"
        rows.append(
            [label, number(spread["rmse_price"][key], ".4f"), number(spread["skill"][key], shares(key)),
             number(spread["rmse_return"][key], ".4%"), number(spread["r2_oos"][key], shares(key)),
             number(spread["directional_accuracy"][key], ".1%"), p_value, number(spread["rank_ic"][key], ".4f")]
        )  # fmt: skip
    assert table(page, "Results by seed") == rows
    assert len(rows) == 7


def test_with_few_tickers_seeds_have_no_rank_ic() -> None:
    found = report_of(make_forecasts(tickers=6), seeds=3, folds=2)
    rows = table(section(found), "Results by seed")
    assert "rank_ic" not in found.evidence.spread
    assert [row[0] for row in rows] == ["1", "2", "3", "mean", "sd", "smallest", "largest"]
    assert [row[-1] for row in rows] == ["–"] * 7
    assert rows[3][1] == f"{found.evidence.spread['rmse_price'].mean:.4f}"


def test_the_table_of_folds_is_that_of_the_json(page, stored) -> None:
    rows = [
        [str(fold["fold"] + 1), fold["train"][1], fold["test"][0], number(fold["slope"]["supported"], ".2f"),
         *(number(row["r2_oos"], "+.2%") for row in fold["scores"]),
         *(p(row["dm_p"]) for row in fold["scores"] if row["model"] == "ensemble")]
        for fold in stored["folds"]
    ]  # fmt: skip
    pooled = {row["model"]: row for row in stored["over_folds"]}
    rows.append(["All folds", *(number(-row["pooled"]["difference"], "+.2%") for row in pooled.values()),
                 p(pooled["ensemble"]["pooled"]["p"])])  # fmt: skip
    rows.append(["Folds better than naive", *(f"{row['better']} of 3" for row in pooled.values()), ""])
    assert table(page, "Results by fold") == rows
    assert list(pooled) == ["drift", "ridge", "lstm", "ensemble", "calibrated"]
    heads = re.search(r'aria-label="Results by fold">.*?<thead>(.*?)</thead>', page, flags=re.DOTALL)[1]
    labels = [text(head) for head in re.findall(r"<th[^>]*>.*?</th>", heads)]
    assert labels[4:] == ["Drift", "Ridge", "LSTM", "Ensemble", "Calibrated", "DM p"]


def test_the_tables_of_coverage_and_groups_are_those_of_the_json(page, stored) -> None:
    assert table(page, "Coverage of the intervals") == [
        [number(row["level"], ".0%"), number(row["share"], ".1%"), f"{row['low']:.1%} to {row['high']:.1%}",
         number(row["width"], ".2%"), row["verdict"]]
        for row in stored["coverage"]
    ]  # fmt: skip
    assert table(page, "Results by group") == [
        [row["group"], f"{row['labels']:,}", f"{row['dates']:,}", number(row["rmse_ratio"], ".5f"),
         number(row["r2_oos"], "+.2%"), p(row["dm_p"]), number(row["rank_ic"], ".4f")]
        for row in stored["regimes"] + stored["sectors"]
    ]  # fmt: skip


def test_the_table_of_the_portfolio_and_of_trainings_are_those_of_the_json(page, stored) -> None:
    portfolio = stored["portfolio"]
    assert table(page, "Returns of the decile portfolio") == [
        [name, number(row["annual"], "+.2%"), number(1e4 * row["mean"], "+.2f"),
         f"{number(1e4 * row['low'], '+.2f')} to {number(1e4 * row['high'], '+.2f')}", number(row["t"], "+.2f"),
         number(row["volatility"], ".1%"), f"{number(row['sharpe'], '+.2f')} ± {row['sharpe_error']:.2f}"]
        for name, row in (("before costs", portfolio["gross"]), ("after costs", portfolio["net"]))
    ]  # fmt: skip
    words = text(page)
    gross, net = (number(portfolio[key]["annual"], "+.2%") for key in ("gross", "net"))
    assert f"{gross} a year before costs, {net} after 5 basis points on each trade" in words
    assert f"breaks even at {portfolio['break_even_bps']:.1f} basis points" in words
    assert f"Means over {portfolio['sessions']} sessions; {portfolio['dates']} dates with a portfolio" in words
    assert table(page, "Every training") == [
        [str(row["seed"]), str(row["fold"] + 1), f"{row['windows']:,}", str(row["epochs"]), str(row["best_epoch"]),
         f"{row['validation_loss']:.5f}", f"{row['seconds']:.1f}", f"{row['peak_memory_mib']:.0f}"]
        for row in stored["members"]
    ]  # fmt: skip
    assert [(row["seed"], row["fold"]) for row in stored["members"]] == [
        (seed, fold) for seed in (1, 2, 3) for fold in range(3)
    ]


def test_the_ensemble_is_never_worse_than_its_members_are_on_average(split, report, stored, page) -> None:
    found = stored["ambiguity"]
    errors = [mse(split, forecast) for forecast in split.members.values()]
    middle = np.mean(list(split.members.values()), axis=0)
    assert found["member_mse"] == pytest.approx(np.mean(errors), rel=1e-12)
    assert found["ensemble_mse"] == pytest.approx(mse(split, middle), rel=1e-12)
    assert found["ensemble_mse"] + found["distance"] == pytest.approx(found["member_mse"], rel=1e-12)
    assert found["distance"] > 0.0
    rows = {row.model: row for row in report.models}
    assert rows["ensemble"].rmse_return ** 2 == pytest.approx(found["ensemble_mse"])
    assert stored["seeds"][0]["rmse_return"] == rows["lstm"].rmse_return
    assert f"its mean squared error is {1e4 * found['ensemble_mse']:.6g} × 10⁻⁴" in text(page)
    # The seeds' mean error against naive: minus the mean of their R².
    difference = np.mean(errors) / mse(split, np.zeros(len(split))) - 1.0
    assert stored["mean_member"]["difference"] == pytest.approx(difference)
    assert stored["mean_member"]["difference"] == pytest.approx(-stored["spread"]["r2_oos"]["mean"])
    assert f"differs from naive's by {number(difference, '+.2%')}" in text(page)


def test_the_test_over_all_folds_is_that_of_the_models(report, stored) -> None:
    against_naive = {row.model: row for row in report.dm if (row.reference, row.loss) == ("naive", "return")}
    models = {row.model: row for row in report.models}
    for row in stored["over_folds"]:
        pooled, test = row["pooled"], against_naive[row["model"]]
        assert pooled["difference"] == pytest.approx(-models[row["model"]].r2_oos)
        assert (pooled["p"], pooled["dates"]) == (pytest.approx(test.p), test.dates)
        assert (pooled["low"], pooled["high"]) == (pytest.approx(test.low), pytest.approx(test.high))


def test_a_fold_is_scored_on_its_own_dates(split, stored) -> None:
    dates = np.unique(split.origin)
    for fold in stored["folds"]:
        own = np.isin(split.origin, np.array_split(dates, 3)[fold["fold"]])
        targets = split.target[own].astype("datetime64[D]")
        assert fold["test"] == [str(targets.min()), str(targets.max())]
        for row in fold["scores"]:
            ratio = mse(split, split.models[row["model"]], own) / mse(split, np.zeros(len(split)), own)
            assert row["r2_oos"] == pytest.approx(1.0 - ratio)
            assert (row["labels"], row["dates"]) == (own.sum(), 80)
    for row in stored["over_folds"]:
        r2 = [each["r2_oos"] for fold in stored["folds"] for each in fold["scores"] if each["model"] == row["model"]]
        assert row["better"] == sum(value > 0.0 for value in r2)


def test_the_share_inside_an_interval_is_counted_on_the_test_split(split, stored) -> None:
    volatility = 0.015 * (1.0 + 0.5 * np.sin(split.origin / 20.0))
    middle = 0.5 * np.mean(list(split.members.values()), axis=0)
    for row in stored["coverage"]:
        half = QUANTILES[row["level"]] * volatility
        # Every date has the same tickers, so the mean over labels is that over dates.
        assert row["share"] == pytest.approx(np.mean(np.abs(split.actual - middle) <= half))
        assert row["width"] == pytest.approx(np.mean(2.0 * half))
        inside = row["low"] <= row["level"] <= row["high"]
        narrow = "too narrow" if row["share"] < row["level"] else "too wide"
        assert row["verdict"] == ("as stated" if inside or abs(row["share"] - row["level"]) <= 0.02 else narrow)


@pytest.mark.parametrize(
    ("verdict", "note"),
    [("as stated", ""), ("too narrow", "Too narrow: the errors were larger"),
     ("too wide", "Too wide: the errors were smaller"), ("untested", "Untested: there are too few dates")],
)  # fmt: skip
def test_a_verdict_on_intervals_is_explained_once(report, verdict: str, note: str) -> None:
    rows = [row.model_copy(update={"verdict": verdict}) for row in report.evidence.coverage]
    evidence = report.evidence.model_copy(update={"coverage": tuple(rows)})
    page = section(report.model_copy(update={"evidence": evidence}))
    assert [row[-1] for row in table(page, "Coverage of the intervals")] == [verdict] * 3
    notes = re.findall(r"(Too narrow|Too wide|Untested): ", text(page))
    assert notes == [note.partition(":")[0]] * bool(note)
    assert note in text(page)


@pytest.mark.parametrize(("seeds", "folds"), [(1, 1), (3, 1), (1, 3), (3, 3)])
def test_a_claim_needs_several_seeds_and_periods(seeds: int, folds: int) -> None:
    found = report_of(make_forecasts(tickers=24, dates=90), seeds=seeds, folds=folds)
    words, evidence = text(section(found)), found.evidence
    assert words.startswith(
        f"Evidence {'3 seeds' if seeds > 1 else 'One seed'} and "
        f"{'3 folds of a walk-forward' if folds > 1 else 'one split by date'}."
    )
    needs = "A claim of skill needs several seeds (train.seeds) and, if it is general, several periods (evaluation.walk"
    assert (needs in words) == (seeds == 1 or folds == 1)
    assert ("Seeds The same network" in words, "Walk-forward Each fold" in words) == (seeds > 1, folds > 1)
    assert ("51 sessions of embargo" in words) == (folds > 1)  # 50 bars in a window, and the horizon
    assert ("Every training" in words) == (seeds * folds > 1)
    assert (len(evidence.seeds), bool(evidence.spread), evidence.ambiguity is None) == (
        (seeds, True, False) if seeds > 1 else (0, False, True)
    )
    assert (evidence.model, len(evidence.folds)) == ("ensemble" if seeds > 1 else "lstm", folds)
    assert len(evidence.over_folds) == (0 if folds == 1 else 5 if seeds > 1 else 4)


@pytest.mark.parametrize(("tickers", "setting", "least"), [(6, 20, 20), (6, 3, 10), (12, 20, 20)])
def test_without_enough_tickers_the_setting_for_a_portfolio_is_named(tickers: int, setting: int, least: int) -> None:
    found = report_of(make_forecasts(tickers=tickers), f"evaluation.ic_min_tickers={setting}")
    assert found.evidence.portfolio is None
    page = section(found)
    assert f"needs dates with at least {least} tickers whose forecasts differ" in text(page)
    assert "<code>evaluation.ic_min_tickers</code>" in page
    assert "Returns of the decile portfolio" not in page
    enough = report_of(make_forecasts(tickers=12), "evaluation.ic_min_tickers=3")
    assert enough.evidence.portfolio is not None
    assert "evaluation.ic_min_tickers" not in section(enough)


def test_sectors_are_groups_if_there_is_a_table_of_them(split, report, stored) -> None:
    assert [row["group"] for row in stored["regimes"]] == ["calm", "normal", "turbulent"]
    assert sum(row["labels"] for row in stored["regimes"]) == len(split)
    assert [row["group"] for row in stored["sectors"]] == ["Energy", "Health Care", "other"]
    own = np.array([SECTORS.get(name) for name in split.tickers])[split.ticker]
    for row in stored["sectors"]:
        chosen = own == (None if row["group"] == "other" else row["group"])
        ratio = mse(split, split.models["ensemble"], chosen) / mse(split, np.zeros(len(split)), chosen)
        assert (row["labels"], row["r2_oos"]) == (chosen.sum(), pytest.approx(1.0 - ratio))
        assert row["rank_ic"] is None  # fewer than 20 tickers
    assert "By volatility and sector" in section(report)
    without = report_of(make_forecasts(tickers=6))
    assert without.evidence.sectors == ()
    assert "sector" not in section(without)


def test_a_portfolio_that_loses_before_costs_has_no_break_even() -> None:
    split = make_forecasts(tickers=24, dates=240, skill=0.3)
    split.models["lstm"] *= -1.0
    found = report_of(split)
    assert found.evidence.portfolio.gross.mean < 0.0
    words = text(section(found))
    assert "and loses at any cost." in words
    assert "breaks even" not in words
    assert not re.search(r"(?<![\d\w])-\d", words)  # a typographic minus, not a hyphen


def test_without_a_supported_slope_the_calibrated_forecast_is_naive() -> None:
    found = report_of(make_forecasts(tickers=24), slope=0.0)
    rows = {row.model: row for row in found.models}
    assert rows["calibrated"].rmse_return == rows["naive"].rmse_return
    assert "supports: 0.00 (estimated 0.60 with a standard error of 0.20). So it is the naive forecast" in text(
        section(found)
    )
    assert "So it is the naive" not in text(section(report_of(make_forecasts(tickers=24))))


def test_the_next_forecasts_have_the_middle_interval() -> None:
    found = report_of(make_forecasts())
    page = html.render(found)
    assert ">80% interval, $<" in page
    for row in found.forecasts.rows:
        (own,) = [each for each in row.intervals if each.level == 0.8]
        assert own.low is not None
        assert own.high is not None
        assert own.low < row.calibrated_price < own.high  # type: ignore[operator]
        assert f"{numbers.price(own.low)} to {numbers.price(own.high)}" in page
    other = html.render(report_of(make_forecasts(), "evaluation.interval_levels=[0.9]"))
    assert ">90% interval, $<" in other
