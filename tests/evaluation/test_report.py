import json
import re
from html.parser import HTMLParser
from importlib.resources import files

import jsonschema
import numpy as np
import pytest

from cloudlstm.evaluation import axes, html, svg
from cloudlstm.evaluation.headline import headline, verdict
from evaluation.samples import made_forecasts, manifests, report_of

SCHEMA = json.loads(files("cloudlstm.evaluation").joinpath("report.schema.json").read_text(encoding="utf-8"))
VOID = {"meta", "link", "br", "img", "input", "hr", "use", "path"}


@pytest.fixture(scope="module")
def report():
    return report_of(made_forecasts(tickers=24, skill=0.6))


@pytest.fixture(scope="module")
def page(report):
    return html.render(report)


class Page(HTMLParser):
    """Checks nesting and collects what tests ask for."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.ids, self.references, self.text = [], [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attributes):
        known = dict(attributes)
        self.tags.append((tag, known))
        self.ids += [known["id"]] if "id" in known else []
        self.references += [known[name] for name in ("href", "src", "xlink:href", "srcset", "data") if name in known]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def validate(document):
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(json.dumps(document, allow_nan=False)))


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_the_report_keeps_its_schema(report):
    validate(report)
    assert [row["model"] for row in report["models"]] == ["naive", "drift", "ridge", "lstm"]
    with pytest.raises(jsonschema.ValidationError):
        validate(report | {"models": report["models"][:3]})
    with pytest.raises(jsonschema.ValidationError):
        validate(report | {"something": 1})


@pytest.mark.parametrize("source", ["synthetic", "files"])
def test_a_report_without_a_single_fact_still_keeps_its_schema(source):
    test = made_forecasts(tickers=2, dates=4)
    test.actual[:] = 0.0  # nothing moved: most figures cannot be computed
    found = report_of(test, told={}, history=[], source=source)
    validate(found)
    assert found["verdict"] == "untested"
    assert found["models"][3]["skill"] is None
    assert found["steps"][0]["seconds"] is None
    Page(html.render(found))


def test_what_steps_told_arrives(report):
    assert report["data"] | {"hash": ""} == {
        "source": "synthetic", "synthetic": True, "path": "memory://bars.csv", "calendar": "XNYS", "rows": 20_000,
        "tickers": 6, "first_date": "2010-01-01", "last_date": "2024-12-31", "hash": "",
    }  # fmt: skip
    assert report["data"]["hash"] == manifests()["ingest"].digest()
    assert [(row["split"], row["windows"]) for row in report["splits"]] == [
        ("train", 15_000), ("validation", 1_500), ("test", 480),
    ]  # fmt: skip
    assert report["splits"][1]["first_date"] == "2022-01-01"
    assert report["quality"]["refused"] == 10
    assert [row["reason"] for row in report["quality"]["reasons"]] == ["outlier", "duplicate"]
    assert report["training"]["best_epoch"] == 1
    assert report["benchmark"]["train_windows_per_s"] == 9e3
    assert report["benchmark"]["speed_up"] is None
    assert {row["step"]: row["rate"] for row in report["steps"]}["clean"] == 1e6
    assert report["environment"]["packages"]["tensorflow"] == "2.21.0"
    assert report["environment"]["seeds"] == {"train": 1, "market": 7}


def test_a_made_up_market_is_flagged_and_a_real_one_has_the_survivorship_caveat(page):
    assert "Synthetic data" in page
    real = report_of(made_forecasts(), source="files")
    assert not real["data"]["synthetic"]
    assert real["caveats"][0]["name"] == "survivorship"
    assert "Synthetic data" not in html.render(real)


def test_forecasts_of_tickers_that_ended_earlier_are_only_counted(report):
    assert report["forecasts"]["tickers"] == 24
    assert report["forecasts"]["ended_earlier"] == 1
    assert len(report["forecasts"]["rows"]) == 23
    row = report["forecasts"]["rows"][0]
    assert row["lstm_price"] == pytest.approx(row["last_close"] * np.exp(row["lstm_return"]))
    usual = next(each for each in report["per_ticker"] if each["ticker"] == row["ticker"] and each["model"] == "lstm")
    assert row["usual_miss_price"] == pytest.approx(row["last_close"] * usual["rmse_return"])


def test_the_last_point_of_the_cumulative_gain_is_r2_out_of_sample(report):
    for row in report["models"][1:]:
        assert report["series"]["cumulative"]["models"][row["model"]][-1] == pytest.approx(row["r2_oos"], abs=1e-8)


def test_paths_show_the_best_the_median_and_the_worst_ticker(report):
    skills = {row["ticker"]: row["skill"] for row in report["per_ticker"] if row["model"] == "lstm"}
    ranked = sorted(skills, key=skills.get, reverse=True)
    assert [path["ticker"] for path in report["series"]["paths"]] == [ranked[0], ranked[11], ranked[-1]]
    for tickers, roles in ((1, ["the only ticker"]), (2, ["best skill", "worst skill"])):
        few = report_of(made_forecasts(tickers=tickers))
        assert [path["role"] for path in few["series"]["paths"]] == roles


def test_deciles_hold_all_labels_in_the_order_of_the_forecast(report):
    bins = report["series"]["calibration"]["bins"]
    assert sum(row["labels"] for row in bins) == report["models"][3]["labels"]
    means = [row["forecast"] for row in bins]
    assert means == sorted(means)
    for key in ("actual_density", "forecast_density"):
        assert sum(report["series"]["calibration"][key]) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(
    ("p", "r2", "expected"),
    [
        (0.01, 0.02, "better"),
        (0.01, -0.02, "worse"),
        (0.05, 0.02, "same"),
        (None, 0.02, "untested"),
        (0.01, None, "untested"),
    ],
)
def test_the_verdict_claims_no_more_than_the_test(p, r2, expected):
    assert verdict(p, r2) == expected


NAIVE = {"rmse_price": 5.0}
LSTM = {"dm_p": 0.01, "dm_p_price": 0.16, "r2_oos": 0.002, "rmse_price": 5.1, "skill": -0.04, "labels": 1500}


def test_the_headline_says_when_dollars_disagree_with_returns():
    said = headline(LSTM, NAIVE, dates=250)
    assert "beats the naive forecast" in said
    assert "$5.100 against $5.000 (+2.00%, p = 0.160)" in said
    assert "the other way round" in said
    assert "the other way round" not in headline(LSTM | {"skill": 0.01, "rmse_price": 4.9}, NAIVE, dates=250)
    assert "cannot be told apart" in headline(LSTM | {"dm_p": 0.4}, NAIVE, dates=250)


def test_the_headline_names_simpler_models_that_did_better():
    better, worse = {"r2_oos": 0.01}, {"r2_oos": 0.001}
    assert headline(LSTM, NAIVE, dates=250, baselines={"drift": worse, "ridge": better}).endswith(
        "Ridge, which needs no network, did better."
    )
    assert "no network" not in headline(LSTM, NAIVE, dates=250, baselines={"drift": worse, "ridge": worse})


def test_the_page_asks_nobody_for_anything(page):
    assert re.findall(r"[a-z]+://[^\s\"'<]*", page.replace("memory://bars.csv", "")) == []
    parsed = Page(page)
    assert all(reference.startswith(("#", "data:,")) for reference in parsed.references)
    assert not re.search(r"url\((?!#)|@import|<script|javascript:", page)
    assert "default-src 'none'" in page


def test_every_reference_inside_the_page_leads_somewhere(page):
    parsed = Page(page)
    assert len(parsed.ids) == len(set(parsed.ids))
    inside = {reference[1:] for reference in parsed.references if reference.startswith("#")}
    inside |= set(re.findall(r"url\(#([^)]+)\)", page))
    assert inside <= set(parsed.ids)


def test_the_page_is_accessible(page):
    parsed = Page(page)
    tags = [tag for tag, _ in parsed.tags]
    assert tags.count("h1") == 1
    assert tags.count("table") == tags.count("caption") > 5
    assert ("html", {"lang": "en"}) in parsed.tags
    assert all("scope" in known for tag, known in parsed.tags if tag == "th")
    assert all(known.get("aria-hidden") == "true" for tag, known in parsed.tags if tag == "svg")
    pictures = [known for _, known in parsed.tags if known.get("role") == "img"]
    assert len(pictures) == tags.count("svg") == 14
    assert all(known["aria-label"] for known in pictures)


def test_every_figure_of_the_results_has_its_definition(page, report):
    definitions = {metric["name"]: metric["definition"] for metric in report["metrics"]}
    terms = {known["href"]: known["title"] for _, known in Page(page).tags if known.get("class") == "term"}
    for name in set(definitions) - {"dm_p_price"}:
        assert terms[f"#def-{name}"] == definitions[name]


def test_figures_follow_the_colours_of_the_page(page):
    for name, sentinel in svg.COLOURS.items():
        assert sentinel not in page
        assert page.count(f"--{name}:") == 3  # light, dark, print
    assert page.count("var(--lstm)") > 50
    # No colour is left that dark mode could not change.
    drawings = "".join(re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL))
    assert set(re.findall(r"#[0-9a-f]{6}", drawings)) == set()


def test_the_same_report_is_the_same_page(report, page):
    assert html.render(report) == page


def test_numbers_in_the_results_are_those_of_the_report(page, report):
    lstm = report["models"][3]
    cells = re.search(r'#def-rmse_price"[^<]*>RMSE, price</a></th>(.*?)</tr>', page)[1]
    assert f">{lstm['rmse_price']:.4f}</td>" in cells
    assert cells.index('class="best"') > cells.index(f"{report['models'][0]['rmse_price']:.4f}")  # the LSTM's, the last


def test_a_large_universe_shows_both_ends_and_says_so():
    report = report_of(made_forecasts(tickers=300, dates=20))
    page = html.render(report)
    assert "The 20 tickers of highest skill, of 300" in page
    assert "The 20 lowest of 299 forecast returns" in page
    skills = {row["ticker"]: row["skill"] for row in report["per_ticker"] if row["model"] == "lstm"}
    ranked = sorted(skills, key=skills.get, reverse=True)
    part = page[page.index('id="tickers"') : page.index('id="closer"')]
    assert re.findall(r'<th scope="row">(T\d+)</th>', part) == ranked[:20] + ranked[-20:]
    assert len(page.encode()) < 2_000_000
    assert len(report["per_ticker"]) == 300 * 4


def test_names_are_escaped():
    test = made_forecasts(tickers=2)
    page = html.render(report_of(test, 'market.path="s3://b/<script>alert(1)</script>"'))
    assert "<script>" not in page


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.414, ".2f", "+0.41%"),
        (-3.0, ".3g", "−3%"),
        (0.0, ".2f", "0.00%"),
        (-0.001, ".2f", "0.00%"),
        (0.0, ".3g", "0%"),
    ],
)
def test_percentages_bear_a_sign_unless_they_read_as_zero(value, digits, text):
    assert axes.signed(value, digits) == text
