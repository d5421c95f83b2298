"""Tickers come from files: markup, control characters and very long names must have no effect on the report."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from html import unescape
from xml.etree import ElementTree

import pyarrow.parquet as pq
import pytest

from cloudlstm.evaluation.forecasts import Forecasts, as_csv, as_parquet, next_session_table
from cloudlstm.report import html
from cloudlstm.report.charts import CHARTS, NARROW_PX, WIDE_PX
from cloudlstm.report.charts.svg import LABEL_PX, Drawing, fit_text, text_width
from cloudlstm.text.printable import printable
from evaluation.exogenous_samples import make_exogenous
from evaluation.samples import make_forecasts, manifests, next_forecasts, report_of
from report.pages import Page
from report.test_charts import texts

MARKUP = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'\" onload=alert(1) x='",
    "</title></text></svg><script>alert(2)</script>",
    "&lt;b&gt; & {{ 7 * 7 }} {% if 1 %} ]]>",
    "A\x1b[2J\x07\u202eB\x00\n<b>",
)
VERY_LONG = ("X" * 3_000, "W" * 3_000, "公" * 3_000)


def named(names: tuple[str, ...]) -> Forecasts:
    return replace(make_forecasts(tickers=len(names)), tickers=tuple(sorted(names)))


def steps_with(names: tuple[str, ...]) -> dict:
    """Manifests whose cleaning and coverage name these tickers."""
    usual = manifests()
    clean, ingest = usual["clean"], usual["ingest"]
    worst = [{"ticker": name, "rows": 1, "refused_fraction": 0.5, "refused": {"outlier": 6}} for name in names]
    lost = [{"ticker": name, "status": name, "cause": name} for name in names]
    coverage = ingest.facts["coverage"] | {"unfetched": lost}
    return usual | {
        "clean": replace(
            clean,
            facts=clean.facts | {"worst_tickers": worst, "missing_tickers": list(names), "same_bars": [list(names)]},
        ),
        "ingest": replace(ingest, facts=ingest.facts | {"coverage": coverage}),
    }


def evidence_of(names: tuple[str, ...], sectors: tuple[str, ...] = ()):
    """A report with every part of the evidence on tickers with these names, each with a sector."""
    return report_of(
        named(names), "evaluation.ic_min_tickers=3", steps=steps_with(names), seeds=3, folds=3,
        sectors=dict(zip(names, sectors or names, strict=True)), exogenous=make_exogenous(names, words=names),
    )  # fmt: skip


@pytest.fixture(scope="module")
def report():
    return evidence_of(MARKUP)


@pytest.fixture(scope="module")
def many():
    """With enough tickers for the decile portfolio."""
    return evidence_of(MARKUP + tuple(f"{name} 2" for name in MARKUP))


def shape(page: str) -> list[tuple[str, list[str]]]:
    """Elements and the names of their attributes, in order."""
    return [(tag, sorted(known)) for tag, known in Page(page).tags]


def test_hostile_tickers_give_the_same_elements_as_plain_ones(report) -> None:
    plain = tuple(f"T{number}" for number in range(len(MARKUP)))
    hostile, harmless = html.render(report), html.render(evidence_of(plain))
    found, expected = shape(hostile), shape(harmless)
    assert {tag for tag, _ in found} == {tag for tag, _ in expected}
    assert hostile.count("<b>") == harmless.count("<b>")
    assert {name for _, known in found for name in known} == {name for _, known in expected for name in known}
    assert "49" not in re.findall(r"&lt;b&gt; &amp; (\S+)", hostile)


@pytest.mark.parametrize("width", [WIDE_PX, NARROW_PX])
@pytest.mark.parametrize("name", CHARTS)
def test_every_chart_shows_names_as_text(report, many, name: str, width: float) -> None:
    markup = CHARTS[name].draw(many if name == "portfolio" else report, width).markup(name, "<t>", '"d" & <d>')
    drawing = ElementTree.fromstring(markup)
    tags = {element.tag for element in drawing.iter()}
    assert tags <= {"svg", "title", "desc", "line", "path", "rect", "circle", "text"}
    assert [element.text for element in list(drawing)[:2]] == ["<t>", '"d" & <d>']
    if name in ("paths", "skill"):
        shown = [element.text for element in drawing.iter() if element.text]
        for ticker in MARKUP:
            assert [text for text in shown if text == printable(ticker) or text.startswith(f"{printable(ticker)}: ")]


def test_names_of_sectors_are_text(report) -> None:
    plain = tuple(f"T{number}" for number in range(len(MARKUP)))
    hostile, harmless = (html.render(evidence_of(plain, sectors)) for sectors in (MARKUP, plain))
    assert {tag for tag, _ in shape(hostile)} == {tag for tag, _ in shape(harmless)}
    cells = re.findall(r'<th scope="row">(.*?)</th>', evidence_section(hostile), flags=re.DOTALL)
    shown = [unescape(re.sub(r"<[^>]*>", "", cell)) for cell in cells]
    assert {printable(name) for name in MARKUP if len(printable(name)) <= html.LONG_NAME} <= set(shown)
    hovered = {known["title"] for tag, known in Page(hostile).tags if tag == "span" and "title" in known}
    assert {printable(name) for name in MARKUP if len(printable(name)) > html.LONG_NAME} <= hovered
    long = html.render(evidence_of(VERY_LONG, VERY_LONG))
    cells = re.findall(r'<th scope="row">(.*?)</th>', evidence_section(long), flags=re.DOTALL)
    assert max(len(re.sub(r"<[^>]*>", "", cell)) for cell in cells) <= html.LONG_NAME


def evidence_section(page: str) -> str:
    return re.search(r'<section id="evidence".*?</section>', page, flags=re.DOTALL)[0]


def test_control_characters_are_escaped(report) -> None:
    page = html.render(report)
    assert page == printable(page, lines=True)
    assert r"A\x1b[2J\x07\u202eB\x00" in page


@pytest.mark.parametrize("width", [WIDE_PX, NARROW_PX])
@pytest.mark.parametrize("name", CHARTS)
def test_a_very_long_ticker_does_not_widen_a_chart(name: str, width: float) -> None:
    names = VERY_LONG
    if name == "portfolio":  # which needs ten tickers
        names += tuple(f"{number}{each}" for number in range(4) for each in VERY_LONG)
    drawing = CHARTS[name].draw(evidence_of(names), width)
    markup = drawing.markup(name, "t", "d")
    assert drawing.width == width
    for left, right, _, words in texts(markup):
        assert -0.6 <= left <= right <= width + 0.6, words
    if name in ("paths", "skill"):
        titles = [element.text or "" for element in ElementTree.fromstring(markup).iter("title")]
        assert all(any(ticker in title for title in titles) for ticker in VERY_LONG)


def test_a_very_long_ticker_is_short_in_tables_and_whole_on_hover() -> None:
    page = html.render(report_of(named(VERY_LONG), steps=steps_with(VERY_LONG)))
    parsed = Page(page)
    shown = re.findall(r'<span title="[^"]*">([^<>]*)</span>', page)
    assert {len(text) for text in shown} == {html.LONG_NAME, 120}  # a name, and the cause why it was not fetched
    hovered = [known["title"] for tag, known in parsed.tags if tag == "span" and "title" in known]
    assert set(VERY_LONG) <= set(hovered)
    cells = re.findall(r'<t[hd] scope="row">(.*?)</t[hd]>', page)
    assert max(len(re.sub(r"<[^>]*>", "", cell)) for cell in cells) < 100


def test_a_name_is_cut_to_the_given_width() -> None:
    for text in ("short", *VERY_LONG, "W" * 40):
        for width in (30.0, 100.0, 1e6):
            cut = fit_text(text, LABEL_PX, width, bold=True)
            assert text_width(cut, LABEL_PX, bold=True) <= width
            assert cut == text or cut.endswith("…")
            assert text.startswith(cut.removesuffix("…"))
    assert fit_text("", LABEL_PX, 1.0) == ""


def test_text_is_measured_as_it_is_shown() -> None:
    drawing = Drawing(100.0, 20.0)
    drawing.text(100.0, 10.0, "\x1b\x1b", anchor="start")
    ((left, right, _, words),) = texts(drawing.markup("n", "t", "d"))
    assert words == r"\x1b\x1b"
    assert -0.1 <= left <= right <= 100.1


@pytest.mark.parametrize(
    ("ticker", "shown"),
    [
        ("=CMD|' /C CALC'!A0", "'=CMD|' /C CALC'!A0"),
        ("@SUM(1+1)", "'@SUM(1+1)"),
        ("+1+1", "'+1+1"),
        ("-2+3", "'-2+3"),
        ("\t=1", "'\\t=1"),
        ("\r=1", "'\\r=1"),
        ("\n=1", "'\\n=1"),
        ("\uff1d1", "'\uff1d1"),
        ("A\x1b[2J\u202eB", r"A\x1b[2J\u202eB"),
        ("BRK-B", "BRK-B"),
        ("^GSPC", "^GSPC"),
        ("'quoted", "'quoted"),
    ],
)
def test_a_spreadsheet_executes_no_cell(ticker: str, shown: str) -> None:
    """Numbers are not escaped: a negative return is not a formula."""
    test = replace(make_forecasts(tickers=1), tickers=(ticker,))
    split = next_forecasts(test)
    split.models["lstm"][:] = -0.25
    table = next_session_table(split, split.origin + 1, {ticker: None})
    (row,) = csv.DictReader(io.StringIO(as_csv(table).decode(), newline=""))
    assert row["ticker"] == shown
    assert row["lstm_return"] == "-0.25"
    assert row["lstm_test_rmse_return"] == ""
    assert pq.read_table(io.BytesIO(as_parquet(table)))["ticker"].to_pylist() == [ticker]
