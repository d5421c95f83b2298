import datetime as dt
import math
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from cloudlstm.report.charts import (
    CHARTS,
    NARROW_PX,
    WIDE_PX,
    evidence_charts,
    forecast_charts,
    panel,
    scales,
    svg,
    ticker_charts,
)
from cloudlstm.report.charts.scales import Scale, date_ticks, duration_ticks, spread_out, ticks
from cloudlstm.report.charts.svg import LABEL_PX, TICK_PX, text_width
from cloudlstm.report.models import Calibration
from cloudlstm.text.numbers import signed
from evaluation.exogenous_samples import make_exogenous
from evaluation.samples import make_extreme_forecasts, make_forecasts, make_unbalanced_forecasts, report_of

LONG_HISTORY = [
    {"epoch": n, "train_loss": 1e4 / (n + 1) if n else None, "validation_loss": 3e5 / (n + 1), "learning_rate": 1e-3,
     "seconds": 2.0 * n, "windows_per_s": 2e6}
    for n in range(200)
]  # fmt: skip


def texts(markup):
    """Left end, right end, base line and content of every text of a chart."""
    for found in re.finditer(r'<text class="t( l)?( b)? c-\w+" x="([-\d.]+)" y="([-\d.]+)"([^>]*)>([^<]*)<', markup):
        large, bold, x, y, rest, text = found.groups()
        wide = text_width(
            text.replace("&lt;", "<").replace("&gt;", ">"), LABEL_PX if large else TICK_PX, bold=bool(bold)
        )
        anchor = re.search(r'text-anchor="(\w+)"', rest)
        left = float(x) - wide * {"start": 0.0, "middle": 0.5, "end": 1.0}[anchor[1] if anchor else "start"]
        yield left, left + wide, float(y), text


def places(markup):
    """All x and all y coordinates of shapes, without markers, which are placed by a transform."""
    xs, ys = [], []
    for path in re.findall(r' d="([^"]+)"(?! transform)', markup):
        for letter, numbers in re.findall(r"([MLHV])([-\d. ]+)", path):
            values = [float(text) for text in numbers.split()]
            xs += values[:1] if letter != "V" else []
            ys += values[-1:] if letter != "H" else []
    for at in re.findall(r"<(?:rect|circle|line) [^>]*>", markup):
        known = {name: float(text) for name, text in re.findall(r' (\w+)="([-\d.]+)"', at)}
        xs += [known[name] for name in ("x", "x1", "x2", "cx") if name in known]
        ys += [known[name] for name in ("y", "y1", "y2", "cy") if name in known]
        xs += [known["x"] + known["width"]] if "width" in known else []
        ys += [known["y"] + known["height"]] if "height" in known else []
    return xs, ys


EXOGENOUS = {"ablation", "correlations", "importance"}
NOT_DRAWN = {
    "normal": {"portfolio"},
    "extreme": {"portfolio"},
    "one": {"folds", "portfolio", "coefficients", *EXOGENOUS},
}
"""Charts that a report has no data for: a decile portfolio needs ten tickers, a chart of folds two folds."""


@pytest.fixture(scope="module", params=["normal", "extreme", "many", "unequal", "one"])
def report(request):
    few = ("evaluation.ic_min_tickers=3",)
    match request.param:
        case "normal":
            return report_of(make_forecasts(tickers=6), *few, seeds=3, folds=3, exogenous=make_exogenous())
        case "extreme":
            extreme = make_exogenous(scale=1e4)
            return report_of(make_extreme_forecasts(), *few, history=LONG_HISTORY, seeds=3, folds=3, exogenous=extreme)
        case "many":
            many = make_exogenous([f"macro_a_series_with_a_long_name_{number}" for number in range(50)])
            return report_of(make_extreme_forecasts(300), seeds=2, folds=2, exogenous=many)
        case "unequal":
            one_column = make_exogenous(["mine"], seeds=1)
            return report_of(make_unbalanced_forecasts(), folds=12, exogenous=one_column)
        case _:
            return report_of(make_forecasts(tickers=1, dates=30), source="files")


@pytest.mark.parametrize("width", [WIDE_PX, NARROW_PX])
@pytest.mark.parametrize("name", CHARTS)
def test_shapes_stay_inside_and_labels_do_not_overlap(request, report, name, width):
    drawing = CHARTS[name].draw(report, width)
    if name in NOT_DRAWN.get(request.node.callspec.params["report"], ()):
        assert drawing is None
        return
    markup = drawing.markup(name, "t", "d")
    found = list(texts(markup))
    assert len(found) == markup.count("<text") > 3
    for left, right, y, text in found:
        assert left >= -0.6, text
        assert right <= width + 0.6, text
        assert 6.0 <= y <= drawing.height, text
    for index, (left, right, y, text) in enumerate(found):
        for other_left, other_right, other_y, other in found[index + 1 :]:
            if abs(y - other_y) < 8.0 and text != other:
                assert right <= other_left + 1.0 or other_right <= left + 1.0, (text, other)
    xs, ys = places(markup)
    assert min(xs) >= -0.6
    assert max(xs) <= width + 0.6
    assert min(ys) >= -0.6
    assert max(ys) <= drawing.height + 0.6
    assert "nan" not in markup
    assert "inf" not in re.sub(r"[a-z]inf|inf[a-z]", "", markup)


def test_a_wide_range_is_labelled_without_exponents():
    report = report_of(make_extreme_forecasts(24), seeds=3, folds=3, exogenous=make_exogenous(scale=1e5))
    for name in CHARTS:
        for _, _, _, text in texts(CHARTS[name].draw(report, NARROW_PX).markup(name, "t", "d")):
            assert not re.search(r"\de[+−-]?\d", text), text


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 1.0, ["0.00", "0.25", "0.50", "0.75", "1.00"]),
        (-0.3, 0.3, ["-0.2", "0.0", "0.2"]),
        (3.0, 1234.0, ["500", "1000"]),
        (0.0, 0.0012, ["0.0000", "0.0005", "0.0010"]),
    ],
)
def test_ticks_are_round_and_have_as_many_digits_as_needed(low, high, expected):
    at_most = 4
    found = ticks(low, high, at_most, lambda value, digits: f"{value:.{digits}f}".replace("-0.0", "0.0")
                  if abs(value) < 1e-12 else f"{value:.{digits}f}")  # fmt: skip
    assert [tick.text for tick in found] == expected
    assert all(low - 1e-9 <= tick.value <= high + 1e-9 for tick in found)


def test_dates_are_ticked_by_weeks_months_or_years_with_the_year_where_it_begins():
    def text(first, last, at_most):
        low, high = (dt.date.fromisoformat(text).toordinal() for text in (first, last))
        return [tick.text for tick in date_ticks(low, high, at_most)]

    assert text("2024-01-02", "2024-02-01", 4) == ["8 Jan 2024", "15 Jan", "22 Jan", "29 Jan"]
    assert text("2023-12-20", "2024-01-16", 4) == ["25 Dec 2023", "1 Jan 2024", "8 Jan", "15 Jan"]
    assert text("2024-01-02", "2024-01-04", 4) == ["2 Jan 2024"]
    assert text("2023-01-04", "2024-12-31", 8) == ["Apr 2023", "Jul", "Oct", "2024", "Apr", "Jul", "Oct"]
    assert text("2004-01-04", "2024-12-31", 8) == ["2005", "2010", "2015", "2020"]


def test_a_new_year_keeps_its_label_where_labels_would_overlap():
    drawing = svg.Drawing(90.0, 40.0)
    box = panel.Box(0.0, 0.0, 90.0, 20.0)
    low, high = dt.date(2023, 10, 20).toordinal(), dt.date(2024, 3, 20).toordinal()
    panel.x_axis(drawing, box, Scale(low, high, 0.0, 90.0), date_ticks(low, high, 6))
    shown = [text for *_, text in texts(drawing.markup("n", "t", "d"))]
    assert "2024" in shown
    assert "Nov 2023" not in shown


@pytest.mark.parametrize("width", [WIDE_PX, NARROW_PX])
@pytest.mark.parametrize("name", ["cumulative", "errors", "paths"])
def test_every_time_axis_has_a_year(report, name, width):
    if drawing := CHARTS[name].draw(report, width):
        shown = [text for *_, text in texts(drawing.markup(name, "t", "d"))]
        axes = len(report.series.paths) if name == "paths" else 1
        assert sum(bool(re.fullmatch(r"(\d+ )?(\w{3} )?20\d\d", text)) for text in shown) >= axes


def test_durations_are_ticked_in_round_units():
    assert [tick.text for tick in duration_ticks(47.0, 8)] == ["0 s", "10 s", "20 s", "30 s", "40 s"]
    assert [tick.text for tick in duration_ticks(1150.0, 4)] == ["0 min", "5 min", "10 min", "15 min"]
    assert duration_ticks(3e7, 4)[-1].text.endswith(" h")


def test_labels_at_line_ends_do_not_overlap_and_stay_inside():
    assert spread_out([10.0, 11.0, 50.0], 15.0, 0.0, 100.0) == [10.0, 25.0, 50.0]
    assert spread_out([99.0, 98.0], 15.0, 0.0, 100.0) == [100.0, 85.0]
    assert Scale(0.0, 0.0, 0.0, 10.0)(5.0) == 5.0  # an empty range has a middle


def parts(markup, tag, **attributes):
    """Attributes of the elements of a chart with these attributes."""
    found = (element.attrib for element in ElementTree.fromstring(markup).iter(tag))
    return [known for known in found if attributes.items() <= known.items()]


def test_close_and_forecast_differ_in_width_and_not_only_in_colour(report):
    for width in (WIDE_PX, NARROW_PX):
        markup = CHARTS["paths"].draw(report, width).markup("paths", "t", "d")
        closes = parts(markup, "path", **{"class": "s c-actual"})
        forecasts = parts(markup, "path", **{"class": "s c-lstm"})
        assert len(closes) - 1 == len(forecasts) / 2 == len(report.series.paths)  # one more in the legend
        assert min(float(known["stroke-width"]) for known in closes) >= 3 * max(
            float(known["stroke-width"]) for known in forecasts
        )
        assert {known["opacity"] for known in closes} == {"0.35"}


def test_the_scatter_plot_has_a_scale_for_forecasts_of_its_own():
    report = report_of(make_forecasts(tickers=6))  # forecasts of 0.1 % and returns of 2 %
    markup = CHARTS["returns"].draw(report, WIDE_PX).markup("returns", "t", "d")
    (dots,) = parts(markup, "path", **{"class": "s c-lstm"})
    xs = [float(x) for x in re.findall(r"M([\d.]+)", dots["d"])]
    assert max(xs) - min(xs) > 0.8 * (WIDE_PX - 40.0) / 2.0 - 50.0


def test_a_cut_peak_is_marked_with_its_height():
    def marked(edges, actual, forecast):
        series = Calibration(bins=(), edges=edges, actual_density=actual, forecast_density=forecast)
        markup = forecast_charts.spread(series, WIDE_PX).markup("n", "t", "d")
        return [text for *_, text in texts(markup) if "↑" in text]

    edges = (-0.03, -0.02, -0.01, 0.01, 0.02, 0.03)
    actual = (0.2, 0.2, 0.2, 0.2, 0.2)  # bars are cut at 32 %
    assert marked(edges, actual, (0.0, 0.1, 0.85, 0.05, 0.0)) == ["↑ 85.0%"]
    assert marked(edges, actual, (0.45, 0.1, 0.0, 0.1, 0.35)) == ["↑ 45.0%", "↑ 35.0%"]
    assert marked(edges, actual, (0.0, 0.4, 0.55, 0.05, 0.0)) == ["↑ 55.0%"]  # neighbours share a mark
    assert marked(edges, actual, (0.2, 0.2, 0.2, 0.2, 0.2)) == []


def test_errors_over_time_draws_no_two_lines_in_one_panel(report):
    if drawing := CHARTS["errors"].draw(report, WIDE_PX):
        assert len(parts(drawing.markup("errors", "t", "d"), "path")) == 1


def test_the_skill_of_a_ticker_has_its_interval():
    test = make_forecasts(tickers=6, skill=0.6)
    report = report_of(test)
    found = {row.ticker: row for row in report.series.skill}
    for row in report.per_ticker:
        if row.model == "lstm":
            assert found[row.ticker].low < row.skill < found[row.ticker].high
    # The interval is that of the Diebold-Mariano test where the ticker is the only one.
    tests = {(row.model, row.reference, row.loss): row for row in report_of(make_forecasts(tickers=1)).dm}
    one = tests["lstm", "naive", "price"]
    (alone,) = report_of(make_forecasts(tickers=1)).series.skill
    assert alone.low == pytest.approx(-one.high, abs=1e-6)
    assert alone.high == pytest.approx(-one.low, abs=1e-6)
    markup = CHARTS["skill"].draw(report, WIDE_PX).markup("skill", "t", "d")
    assert len(parts(markup, "rect", **{"class": "f c-lstm"})) == 6
    first = found["T0000"]
    assert f"95% interval {signed(100.0 * first.low)} to {signed(100.0 * first.high)}" in markup


def test_a_report_without_intervals_of_skill_draws_the_dots():
    report = report_of(make_forecasts(tickers=6))
    markup = ticker_charts.skill(report.per_ticker, (), WIDE_PX).markup("skill", "t", "d")
    assert len(parts(markup, "circle")) == 6
    assert "interval" not in markup


def test_bold_in_a_chart_is_only_a_heading(report):
    names = {path.ticker for path in report.series.paths}
    headings = {
        "RMSE of return", "RMSE of price", "Squared error saved", "RMSE of naive's return", "Realised return",
        "RMSE of the LSTM relative to naive", "Mean realised return", "Share of labels", "Skill on price",
        "Tickers by skill", "Loss", "Learning rate", "Speed", "Sum of returns", "Drawdown", "RankIC",
        "Squared error", "Rank correlation", "Increase of the squared error",
    }  # fmt: skip
    for name, drawing in ((name, chart.draw(report, WIDE_PX)) for name, chart in CHARTS.items()):
        markup = drawing.markup(name, "t", "d") if drawing else ""
        assert set(re.findall(r'<text class="t(?: l)? b [^>]*>([^<]*)<', markup)) <= headings | names


def test_the_timeline_shows_steps_and_starts():
    report = report_of(make_forecasts())
    markup = CHARTS["timeline"].draw(report, WIDE_PX).markup("timeline", "t", "d")
    text = [text for *_, text in texts(markup)]
    for name in ("start of Spark", "ingest", "start of training", "train", "evaluate"):
        assert name in text
    spark = next(span for span in report.timeline.spans if span.name == "start of Spark")
    assert spark.seconds == pytest.approx(4.8)
    assert f"start of Spark: {spark.what}; 4.8 s from 5.2 s on" in markup


def test_charts_without_data_are_not_drawn():
    test = make_forecasts(tickers=2, dates=4)
    test.actual[:] = 0.0
    report = report_of(test, steps={}, history=[])
    for name in ("comparison", "errors", "returns", "skill", "folds", "portfolio", "coefficients", "training"):
        assert CHARTS[name].draw(report, WIDE_PX) is None


def test_the_chart_of_folds_has_the_error_and_the_interval_of_each():
    report = report_of(make_forecasts(tickers=24, dates=240, skill=0.3), seeds=3, folds=3)
    markup = CHARTS["folds"].draw(report, WIDE_PX).markup("folds", "t", "d")
    shown = [text for *_, text in texts(markup)]
    rows = [row for fold in report.evidence.folds for row in fold.scores if row.model == "ensemble"]
    assert len(rows) == len(parts(markup, "circle")) == len(parts(markup, "rect", **{"class": "f c-lstm"})) == 3
    for row in rows:
        ends = [100.0 * (math.sqrt(1.0 + end) - 1.0) for end in (row.low, row.high)]
        ratio = signed(100.0 * (row.rmse_ratio - 1.0))
        assert {f"{row.first[:7]} to {row.last[:7]}", ratio} <= set(shown)
        assert f"RMSE {ratio} against naive" in markup
        assert f"95% interval {signed(ends[0])} to {signed(ends[1])}" in markup


def test_the_chart_of_folds_has_a_scale_at_both_widths():
    report = report_of(make_forecasts(tickers=6), seeds=3, folds=2)
    for width in (WIDE_PX, NARROW_PX):
        shown = [text for *_, text in texts(CHARTS["folds"].draw(report, width).markup("folds", "t", "d"))]
        assert "naive" in shown
        assert [text for text in shown if re.fullmatch(r"[+−][\d.]+%", text) and not re.search(r"\.\d\d%", text)]


def test_the_lines_of_the_portfolio_are_its_sums_and_end_where_they_end():
    report = report_of(make_forecasts(tickers=24, dates=240, skill=0.3), seeds=3)
    portfolio = report.evidence.portfolio
    markup = CHARTS["portfolio"].draw(report, WIDE_PX).markup("portfolio", "t", "d")
    gross, net = parts(markup, "path", **{"class": "s c-lstm"})[-2:]
    (fall,) = parts(markup, "path", **{"class": "s c-muted"})
    zero = float(parts(markup, "line", **{"class": "s c-naive"})[0]["y1"])
    # One scale for both: heights above zero are as the sums.
    above = [zero - float(re.findall(r"[\d.]+", known["d"])[-1]) for known in (gross, net)]
    assert above[0] / above[1] == pytest.approx(portfolio.series_gross[-1] / portfolio.series_net[-1], abs=0.01)
    lows = [float(y) for y in re.findall(r" ([\d.]+)(?=[ML]|$)", fall["d"])]
    assert lows.index(max(lows)) == np.argmin(portfolio.series_drawdown)  # the y axis points downwards


def test_a_portfolio_that_never_falls_has_round_ticks():
    report = report_of(make_forecasts(tickers=24, skill=0.6))
    portfolio = report.evidence.portfolio
    flat = portfolio.model_copy(update={"series_drawdown": (0.0,) * portfolio.sessions})
    shown = [text for *_, text in texts(evidence_charts.portfolio_chart(flat, WIDE_PX).markup("n", "t", "d"))]
    assert max(map(len, re.findall(r"\.(\d+)%", " ".join(shown))), default=0) <= 2


@pytest.mark.parametrize("module", [svg, scales, panel])
def test_the_drawing_modules_do_not_depend_on_the_report(module):
    imported = re.findall(r"^(?:from|import) (cloudlstm\S*)", Path(module.__file__).read_text(encoding="utf-8"), re.M)
    assert all(name.startswith(("cloudlstm.report.charts.", "cloudlstm.text.")) for name in imported)
