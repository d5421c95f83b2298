"""A number that stands at several places of the page is the same at each: read from the HTML of made reports."""

import math
import re
from dataclasses import replace
from html import unescape

import numpy as np
import pytest

from cloudlstm.report import html
from evaluation.samples import make_extreme_forecasts, make_forecasts, report_of

NUMBER = r"[+−]?\$?\d[\d,]*(?:\.\d+)?(?: M| k)?%?"


def growing(tickers):
    """A test split in which the later tickers begin later, so that dates have different numbers of labels."""
    test = make_forecasts(tickers=tickers, dates=80, skill=0.4)
    dates = np.arange(len(test)) % 80
    kept = dates >= 60 * test.ticker // tickers
    arrays = {name: getattr(test, name)[kept] for name in ("ticker", "origin", "target", "last_close", "actual")}
    return replace(test, **arrays, models={model: forecast[kept] for model, forecast in test.models.items()})


REPORTS = {
    "few": lambda: report_of(make_forecasts(tickers=6, dates=300)),
    "better": lambda: report_of(make_forecasts(tickers=24, skill=0.6)),
    "worse": lambda: report_of(make_extreme_forecasts(tickers=6)),
    "one": lambda: report_of(make_forecasts(tickers=1, dates=90)),
    "growing": lambda: report_of(growing(12)),
    "seeds": lambda: report_of(make_forecasts(tickers=24, dates=240, skill=0.3), seeds=3, folds=3),
}


class Read:
    """The text of a page by its parts."""

    def __init__(self, report):
        self.html = re.sub(r"<sup>.*?</sup>", "", html.render(report))

    def section(self, name):
        return re.search(rf'<section id="{name}".*?</section>', self.html, flags=re.DOTALL)[0]

    def rows(self, section, caption=""):
        """Heading of a row -> its cells, of the first table whose caption contains a text."""
        for table in re.findall(r"<table.*?</table>", self.section(section), flags=re.DOTALL):
            if caption in text(re.search(r"<caption>.*?</caption>", table, flags=re.DOTALL)[0]):
                body = re.search(r"<tbody>(.*?)</tbody>", table, flags=re.DOTALL)[1]
                rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr>(.*?)</tr>", body)]
                return {text(head): [text(cell) for cell in cells] for head, *cells in rows}
        raise AssertionError(caption)

    def results(self):
        """Metric -> model -> cell of the table of results."""
        heads = re.search(r"<thead>.*?</thead>", self.section("results"), flags=re.DOTALL)[0]
        models = [text(head) for head in re.findall(r"<th[^>]*>.*?</th>", heads)][1:]
        return {name: dict(zip(models, cells, strict=True)) for name, cells in self.rows("results").items()}

    def chart(self, section, title):
        """Texts of a chart at the width of a page."""
        drawing = re.search(rf"<svg(?:(?!</svg>).)*?>{title}</title>.*?</svg>", self.section(section), flags=re.DOTALL)
        return [unescape(words) for words in re.findall(r"<text[^>]*>([^<]*)", drawing[0])]

    def tiles(self):
        tiles = re.findall(r'<div class="tile"><dt>(.*?)</dt><dd>(.*?)<small>(.*?)</small>', self.html)[:4]
        return {text(name): (text(value), text(small)) for name, value, small in tiles}

    def facts(self):
        found = re.search(r'<dl class="key">.*?</dl>', self.html, flags=re.DOTALL)[0]
        return {text(name): text(value) for name, value in re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", found)}


def text(markup):
    return " ".join(unescape(re.sub(r"<[^>]*>", "", markup)).split())


def value(words):
    """A number as the page writes it."""
    plain = words.translate(str.maketrans({"−": "-", ",": "", "$": "", "%": "", "*": "", " ": ""}))
    factor = {"M": 1e6, "k": 1e3}.get(plain[-1:], 1.0)
    return float(plain.rstrip("Mk")) * factor


def step(words):
    """The value of one unit of the last digit of a number."""
    digits = len(re.sub(r"[^\d.]", "", words).partition(".")[2])
    return {"M": 1e6, "k": 1e3}.get(words.rstrip("%*")[-1:], 1.0) * 10.0**-digits


def agrees(coarse, fine):
    """Whether two texts of a number are equal after rounding to the digits of the one with fewer."""
    return math.isclose(value(coarse), value(fine), rel_tol=0.0, abs_tol=0.5000001 * max(step(coarse), step(fine)))


@pytest.fixture(scope="module", params=REPORTS)
def page(request):
    return Read(REPORTS[request.param]())


def test_the_tiles_are_cells_of_the_results(page):
    results, tiles = page.results(), page.tiles()
    rmse, skill = results["RMSE, price $"], results["Skill against naive"]
    assert tiles["RMSE, price"] == (f"${rmse['LSTM']}", f"naive ${rmse['Naive']}")
    assert tiles["Skill against naive"] == (skill["LSTM"], f"ridge {skill['Ridge']}")
    assert tiles["DM p, return"][0] == results["DM p, return"]["LSTM"]
    direction, base_rate = results["Direction right"]["LSTM"], results["Base rate of ups"]["LSTM"]
    assert tiles["Direction right"] == (direction, f"base rate {base_rate}")


def headline_of(page):
    """The headline, with signs in place of "larger" and "smaller"."""
    words = text(re.search(r'<p class="verdict.*?</p>', page.html)[0])
    words = re.sub(r"squared error ([\d,.]+%) smaller", r"squared error −\1", words)
    return re.sub(r"squared error ([\d,.]+%) larger", r"squared error +\1", words)


def test_the_headline_names_the_numbers_of_the_results(page):
    results, headline = page.results(), headline_of(page)
    (difference,) = re.findall(rf"squared error ({NUMBER}), Diebold", headline)
    signs = str.maketrans("+−", "−+")  # the difference is R² with the other sign
    assert agrees(difference.translate(signs), results["R² out of sample"]["LSTM"])
    ((lstm, naive),) = re.findall(rf"LSTM's RMSE is ({NUMBER}), .* naive's ({NUMBER})", headline)
    assert agrees(lstm, results["RMSE, price $"]["LSTM"])
    assert agrees(naive, results["RMSE, price $"]["Naive"])
    assert re.search(r"Diebold-Mariano p [=<] ([\d.]+)", headline)[1] == results["DM p, return"]["LSTM"].lstrip("<")
    assert re.search(r"one-sided p [=<] ([\d.]+)", headline)[1] == results["CW p, return"]["LSTM"].lstrip("<")


def test_every_number_of_the_headline_stands_in_the_results_or_tests():
    """On a test split in which every date has the same tickers; what it says of seeds and folds is in the evidence."""
    for name in ("few", "better", "worse", "seeds"):
        page = Read(REPORTS[name]())
        headline = headline_of(page).replace("R²", "")
        sections = ("results", "tests", "evidence") if name == "seeds" else ("results", "tests")
        cells = [cell for section in ("results", "tests") for row in page.rows(section).values() for cell in row]
        shown = [*cells, *page.chart("results", "RMSE of each model relative to naive")]
        shown += re.findall(NUMBER, " ".join(text(page.section(section)) for section in sections))
        known = [words for words in shown if re.fullmatch(NUMBER, words.rstrip("*"))]
        found = re.findall(NUMBER, headline)
        assert len(found) >= 6
        for number in found:
            if not headline.split(number)[0].endswith("< "):  # p < 0.001 is not a number of the page
                assert any(agrees(number, other) for other in known), (number, headline)


def test_p_values_of_the_results_are_those_of_the_tests_and_of_the_chart(page):
    results, tests = page.results(), page.rows("tests")
    chart = page.chart("results", "RMSE of each model relative to naive")
    for model in list(results["RMSE, price $"])[1:]:
        difference, p, p_nested, difference_price, p_price = tests[f"{model} against naive"]
        assert p.rstrip("*") == results["DM p, return"][model]
        assert p_nested.rstrip("*") == results["CW p, return"][model]
        assert p_price.rstrip("*") == results["DM p, price"][model]
        if model not in ("Drift", "Ridge", "LSTM"):
            continue  # the chart has the models that were fitted, not what is made of them
        at = [index for index, words in enumerate(chart) if words == model]
        for index, (mse, expected) in zip(at, ((difference, p), (difference_price, p_price)), strict=True):
            relative, shown_p = chart[index + 1 : index + 3]
            assert shown_p == expected.rstrip("*")
            if step(mse) < 1.0:
                rmse = 100.0 * (math.sqrt(1.0 + value(mse) / 100.0) - 1.0)
                assert value(relative) == pytest.approx(rmse, abs=0.0051 + 0.0051)


def test_the_last_value_of_the_squared_error_saved_is_r2_of_the_results(page):
    r2 = page.results()["R² out of sample"]
    ends = dict(
        found.groups()
        for words in page.chart("tests", "Squared error saved against naive")
        if (found := re.fullmatch(r"(Drift|Ridge|LSTM) (.*%)", words))
    )
    assert ends == {model: r2[model] for model in ("Drift", "Ridge", "LSTM")}


def test_labels_are_counted_alike_everywhere(page):
    stated = re.search(r"forecasts the same ([\d,]+) labels", text(page.section("results")))[1]
    headline = re.search(r"on ([\d,]+) test forecasts", text(page.html))
    assert headline is None or headline[1] == stated
    for section in ("tickers", "years"):
        assert sum(value(cells[0]) for cells in page.rows(section).values()) == value(stated)
    sample = re.search(r"(?:of|All) ([\d,]+) labels,", text(page.section("actual")))
    assert sample[1] == stated


def test_dates_and_windows_are_counted_alike_everywhere(page):
    headline = re.search(r"over ([\d,]+) dates", text(page.html))
    assert headline[1] == re.search(r"Tests on ([\d,]+) dates", text(page.section("tests")))[1]
    windows = [cells[-1] for cells in page.rows("quality", "Splits by date").values()]
    assert re.findall(r"\d[\d,]*(?= \w)", page.facts()["Windows"]) == windows


def test_the_skill_of_a_ticker_is_alike_in_chart_and_table(page):
    table = {ticker: cells[3] for ticker, cells in page.rows("tickers").items()}
    chart = page.chart("tickers", "Skill of the LSTM against naive by ticker")
    assert {ticker: chart[chart.index(ticker) + 1] for ticker in table} == table


def test_the_spread_below_the_histogram_is_that_of_the_results(page):
    below = re.search(r"are narrow: spread ([\d.,]+)\.", text(page.section("actual")))[1]
    assert below == page.results()["Spread of forecasts"]["LSTM"].replace(",", "")


def test_rates_and_times_of_steps_are_alike_in_chart_and_table(page):
    chart = page.chart("run", "Timeline of the run")
    for step, cells in page.rows("run", "Steps in their order").items():
        rate, seconds = cells[-2:]
        shown = chart[chart.index(step) + 1].split(" · ")
        assert shown[0].startswith(rate.removesuffix("/s"))
        assert agrees(seconds, shown[-1].removesuffix(" s"))


def test_with_one_ticker_its_row_is_that_of_the_results():
    page = Read(REPORTS["one"]())
    results, (row,) = page.results(), page.rows("tickers").values()
    labels, naive, lstm, skill, naive_return, lstm_return, r2, direction = row
    assert agrees(naive, results["RMSE, price $"]["Naive"])
    assert agrees(lstm, results["RMSE, price $"]["LSTM"])
    assert skill == results["Skill against naive"]["LSTM"]
    assert agrees(naive_return, results["RMSE, return %"]["Naive"])
    assert agrees(lstm_return, results["RMSE, return %"]["LSTM"])
    assert (r2, direction) == (results["R² out of sample"]["LSTM"], results["Direction right"]["LSTM"])
    assert labels == re.search(r"same ([\d,]+) labels", text(page.section("results")))[1]
