import re
from functools import partial
from importlib.resources import files

import pytest

from cloudlstm.report import html
from cloudlstm.report.charts import CHARTS
from cloudlstm.report.glossary import METRICS
from cloudlstm.report.models import RidgeLoss
from cloudlstm.report.terms import TERMS
from cloudlstm.text import numbers
from evaluation.exogenous_samples import make_exogenous
from evaluation.samples import make_forecasts, report_of
from report.pages import Page

SECTIONS = (
    "results", "tests", "evidence", "features", "actual", "tickers", "years", "forecasts", "training", "run", "quality",
    "environment", "caveats", "definitions",
)  # fmt: skip


@pytest.fixture(scope="module")
def report():
    return report_of(make_forecasts(tickers=24, skill=0.6), seeds=3, folds=3, exogenous=make_exogenous())


@pytest.fixture(scope="module")
def page(report):
    return html.render(report)


def section(page, name):
    return re.search(rf'<section id="{name}".*?</section>', page, flags=re.DOTALL)[0]


def test_every_section_is_there_and_in_the_navigation(page):
    parsed = Page(page)
    assert [known["id"] for tag, known in parsed.tags if tag == "section"] == list(SECTIONS)
    linked = re.search(r"<nav.*?</nav>", page, flags=re.DOTALL)[0]
    assert re.findall(r'href="#(\w+)"', linked) == list(SECTIONS)
    for name in SECTIONS:
        assert re.search(r"<(p|table|dl|ul|figure)", section(page, name)), name


def test_the_page_loads_nothing(page):
    assert re.findall(r"[a-z]+://[^\s\"'<&]*", page.replace("memory://bars.csv", "")) == []
    parsed = Page(page)
    files = {reference for reference in parsed.references if not reference.startswith(("#", "data:,"))}
    assert files == {"report.json", "forecasts.csv", "forecasts.parquet"}  # links, which a reader opens
    assert {tag for tag, known in parsed.tags if known.get("href") in files} == {"a"}
    assert not re.search(r"url\((?!#)|@import|<script|javascript:", page)
    assert "default-src 'none'" in page


def test_every_internal_link_has_a_target(page):
    parsed = Page(page)
    assert len(parsed.ids) == len(set(parsed.ids))
    inside = {reference[1:] for reference in parsed.references if reference.startswith("#")}
    inside |= {name for _, known in parsed.tags for name in known.get("aria-labelledby", "").split()}
    assert inside <= set(parsed.ids)


def test_the_page_is_accessible(page):
    parsed = Page(page)
    tags = [tag for tag, _ in parsed.tags]
    assert tags.count("h1") == 1
    assert tags.count("table") == tags.count("caption") > 8
    assert ("html", {"lang": "en"}) in parsed.tags
    assert all("scope" in known for tag, known in parsed.tags if tag == "th")
    pictures = [known for tag, known in parsed.tags if tag == "svg"]
    assert len(pictures) == 2 * len(CHARTS)
    assert all(known["role"] == "img" and known["aria-labelledby"] for known in pictures)
    # Each begins with its name and a description, which the label points to.
    assert len(re.findall(r"<svg[^>]*><title id=[^>]*>[^<]+</title><desc id=[^>]*>[^<]+</desc>", page)) == len(pictures)
    assert all(known.get("tabindex") == "0" for _, known in parsed.tags if known.get("class") == "scroll")


def test_every_underlined_word_has_its_definition_on_hover_and_as_a_footnote(page, report):
    definitions = {each.name: each.definition for each in [*report.metrics, *report.terms]}
    assert len(definitions) == len(METRICS) + len(TERMS)  # no name twice
    parsed = Page(page)
    terms = [known for _, known in parsed.tags if known.get("class") == "term"]
    for known in terms:
        assert known["title"] == definitions[known["href"].removeprefix("#def-")]
    assert {f"def-{name}" for name in definitions} <= set(parsed.ids)
    numbered = re.findall(r'href="#def-(\w+)"[^>]*>[^<]*<sup>(\d+)</sup>', page)
    assert len(numbered) == len(terms)
    for name, number in numbered:  # the numbers that print shows are those of the definitions
        assert f'<div id="def-{name}"><dt><span>{number}</span>' in page


def test_every_metric_of_the_results_is_a_term(page, report):
    used = set(re.findall(r'class="term" href="#def-(\w+)"', page))
    # R² by label is shown only if it differs: here every date has all tickers.
    assert {metric.name for metric in report.metrics} - used == {"r2_pooled"}
    # The sample has facts of cleaning and coverage, so all their terms are used; no step is reused.
    assert {term.name for term in TERMS} - used <= {"reused"}


def test_charts_use_the_colours_of_the_page(page):
    drawings = "".join(re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL))
    assert not re.search(r"#[0-9a-f]{3,6}|rgb", drawings)
    for name in set(re.findall(r"c-(\w+)", drawings)):
        assert f".c-{name} {{ color: var(--{name}); }}" in page
        assert page.count(f"--{name}: #") == 3  # light, dark, print


def themes():
    css = files("cloudlstm.report").joinpath("templates/report.css").read_text(encoding="utf-8")
    printed = files("cloudlstm.report").joinpath("templates/print.css").read_text(encoding="utf-8")
    light, dark = re.findall(r":root \{.*?\}", css, flags=re.DOTALL)
    return {
        name: dict(re.findall(r"--(\w+): (#[0-9a-f]{3,6})", text))
        for name, text in (("light", light), ("dark", dark), ("print", printed))
    }


def contrast(one, other):
    """The contrast ratio of two colours (WCAG 2.2)."""

    def luminance(colour):
        text = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
        parts = [int(text[at : at + 2], 16) / 255 for at in (0, 2, 4)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark", "print"])
def test_text_has_enough_contrast_in_every_theme(theme):
    colours = themes()[theme]
    for name in ("ink", "muted", "naive", "drift", "ridge", "lstm"):
        for ground in ("page", "surface", "tint"):
            if ground != "tint" or name in ("ink", "lstm"):
                assert contrast(colours[name], colours[ground]) >= 4.5, (name, ground)
    assert contrast(colours["note-ink"] if "note-ink" in colours else colours["ink"], colours["note"]) >= 4.5


def test_a_printed_page_has_its_number_and_may_end_within_a_table(page):
    printed = page[page.index("@media print") : page.index("</style>")]
    assert re.search(r"@bottom-right \{ content: counter\(page\)", printed)
    whole = re.search(r"([^{}]*)\{ break-inside: avoid; \}", printed)[1]
    assert {"figure", "tr"} <= set(re.split(r"[,\s]+", whole))
    assert not {"table", ".scroll", "section"} & set(re.split(r"[,\s]+", whole))


def test_equal_reports_give_equal_pages(report, page):
    assert html.render(report) == page


def test_numbers_in_the_results_are_those_of_the_report(page, report):
    naive, lstm = report.models[0], report.models[3]
    cells = re.search(r'#def-rmse_price"[^<]*>RMSE, price<sup>.*?</th>(.*?)</tr>', section(page, "results"))[1]
    assert cells.index(f">{naive.rmse_price:.4f}</td>") < cells.index(f'class="best lstm">{lstm.rmse_price:.4f}</td>')
    heads = re.findall(r"<thead>.*?</thead>", section(page, "tickers") + section(page, "years"), flags=re.DOTALL)
    assert all(">RMSE, $<" in head and 'th scope="col">naive' in head for head in heads)


def test_facts_of_the_steps_are_on_the_page(page):
    quality = section(page, "quality")
    assert "GONE" in quality
    assert "HTTP 429 after 5 tries" in quality
    assert "close is far from the bar before" in quality  # meaning of the rule
    assert "outlier 6" in quality  # count by reason
    assert "1 restart of the workers" in section(page, "training")
    assert "start of Spark" in section(page, "run")
    assert re.search(r"<code>cloudlstm submit .*market.source=synthetic", section(page, "environment"))


@pytest.mark.parametrize(
    ("chosen", "note"), [(1e4, "it is the largest of them, so a larger one"), (1e2, "it is the smallest"), (1e3, "")]
)
def test_a_penalty_at_the_edge_of_the_grid_is_told(report, chosen, note):
    tried = tuple(RidgeLoss(alpha=alpha, mse=1.2) for alpha in (1e2, 1e3, 1e4))
    fit = report.baselines.model_copy(update={"ridge_alpha": chosen, "ridge_validation": tried})
    training = section(html.render(report.model_copy(update={"baselines": fit})), "training")
    assert note in training
    assert ("evaluation.ridge_alphas" in training) == bool(note)


def test_a_simulated_market_is_marked_on_every_screen_and_a_real_one_is_not(page):
    marked = re.search(r'<body>\s*<p class="synthetic" role="note"><strong>Synthetic market', page)
    assert marked
    assert re.search(r"\.synthetic \{ position: sticky; top: 0", page)
    assert "Synthetic market" not in html.render(report_of(make_forecasts(), source="files"))


@pytest.mark.parametrize("networks", [{"seeds": 1, "folds": 1}, {"seeds": 3, "folds": 2}])
def test_unknown_values_are_a_dash(networks):
    test = make_forecasts(tickers=2, dates=4)
    test.actual[:] = 0.0  # no returns: most metrics cannot be computed
    page = html.render(report_of(test, steps={}, history=[], **networks))
    Page(page)
    assert "None" not in page.replace("None of", "")
    assert "nan" not in re.sub(r"[A-Za-z]nan|nan[a-z]", "", page)
    row = re.search(r'#def-r2_oos".*?</tr>', section(page, "results"))[0]
    assert re.findall(r"<td[^>]*>([^<]*)</td>", row) == ["–"] * len(test.models)
    assert re.search(r'<th scope="row">ingest.*?<td>–</td><td>–</td><td>–</td>', section(page, "run"))


def test_a_large_universe_shows_both_ends_and_stays_small():
    report = report_of(make_forecasts(tickers=2_000, dates=6))
    page = html.render(report)
    assert "The 20 tickers of highest skill, of 2,000" in page
    assert "The 20 lowest of 1,999 forecast returns" in page
    skills = {row.ticker: row.skill for row in report.per_ticker if row.model == "lstm"}
    ranked = sorted(skills, key=skills.get, reverse=True)
    assert re.findall(r'<th scope="row">(T\d+)</th>', section(page, "tickers")) == ranked[:20] + ranked[-20:]
    counted = re.findall(r"<title>[^<]*: ([\d,]+) tickers</title>", section(page, "tickers"))
    assert sum(int(text.replace(",", "")) for text in counted) == 2 * 2_000  # at both widths
    assert len(page.encode()) < 400_000
    assert len(report.per_ticker) == 2_000 * 5


def test_names_are_escaped():
    test = make_forecasts(tickers=2)
    page = html.render(report_of(test, 'market.path="s3://b/<script>alert(1)</script>"', source="files"))
    assert "<script>" not in page


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.414, ".2f", "+0.41%"),
        (-3.0, ".0f", "−3%"),
        (0.0, ".2f", "0.00%"),
        (-0.001, ".2f", "0.00%"),
        (-14231.2, ".0f", "−14,231%"),
        (2.5e6, ".2f", "+2.5 M%"),
    ],
)
def test_percentages_have_a_sign_unless_they_round_to_zero(value, digits, text):
    assert numbers.signed(value, digits) == text


def test_none_is_a_dash():
    for write in (numbers.dollars, numbers.price, numbers.percent, numbers.signed_percent, numbers.p_value,
                  partial(numbers.decimal, digits=2), numbers.count, numbers.amount, numbers.seconds,
                  numbers.optional):  # fmt: skip
        assert write(None) == "–"
    assert [numbers.seconds(value) for value in (0.0, 9.96, 89.6, 3725.0)] == [
        "0 s",
        "10 s",
        "1 min 30 s",
        "1 h 02 min",
    ]
    assert [numbers.amount(value) for value in (950, 999.9, 12_345, 3.77e6)] == ["950", "1 k", "12.3 k", "3.77 M"]
