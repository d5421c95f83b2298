import datetime as dt
import re
from pathlib import Path

import pytest

from cloudlstm.report.charts import CHARTS, NARROW_PX, WIDE_PX, panel, scales, svg
from cloudlstm.report.charts.scales import Scale, date_ticks, duration_ticks, spread_out, ticks
from cloudlstm.report.charts.svg import LABEL_PX, TICK_PX, text_width
from evaluation.samples import make_extreme_forecasts, make_forecasts, report_of

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


@pytest.fixture(scope="module", params=["normal", "extreme", "many", "one"])
def report(request):
    match request.param:
        case "normal":
            return report_of(make_forecasts(tickers=6))
        case "extreme":
            return report_of(make_extreme_forecasts(), history=LONG_HISTORY)
        case "many":
            return report_of(make_extreme_forecasts(300))
        case _:
            return report_of(make_forecasts(tickers=1, dates=30), source="files")


@pytest.mark.parametrize("width", [WIDE_PX, NARROW_PX])
@pytest.mark.parametrize("name", CHARTS)
def test_shapes_stay_inside_and_labels_do_not_overlap(report, name, width):
    drawing = CHARTS[name].draw(report, width)
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
    for name in CHARTS:
        for _, _, _, text in texts(
            CHARTS[name].draw(report_of(make_extreme_forecasts()), NARROW_PX).markup(name, "t", "d")
        ):
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


def test_dates_are_ticked_by_weeks_months_or_years():
    def text(first, last, at_most):
        low, high = (dt.date.fromisoformat(text).toordinal() for text in (first, last))
        return [tick.text for tick in date_ticks(low, high, at_most)]

    assert text("2024-01-02", "2024-02-01", 4) == ["8 Jan", "15 Jan", "22 Jan", "29 Jan"]
    assert text("2023-01-04", "2024-12-31", 8) == ["Apr", "Jul", "Oct", "2024", "Apr", "Jul", "Oct"]
    assert text("2004-01-04", "2024-12-31", 8) == ["2005", "2010", "2015", "2020"]


def test_durations_are_ticked_in_round_units():
    assert [tick.text for tick in duration_ticks(47.0, 8)] == ["0 s", "10 s", "20 s", "30 s", "40 s"]
    assert [tick.text for tick in duration_ticks(1150.0, 4)] == ["0 min", "5 min", "10 min", "15 min"]
    assert duration_ticks(3e7, 4)[-1].text.endswith(" h")


def test_labels_at_line_ends_do_not_overlap_and_stay_inside():
    assert spread_out([10.0, 11.0, 50.0], 15.0, 0.0, 100.0) == [10.0, 25.0, 50.0]
    assert spread_out([99.0, 98.0], 15.0, 0.0, 100.0) == [100.0, 85.0]
    assert Scale(0.0, 0.0, 0.0, 10.0)(5.0) == 5.0  # an empty range has a middle


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
    for name in ("comparison", "errors", "returns", "skill", "training"):
        assert CHARTS[name].draw(report, WIDE_PX) is None


@pytest.mark.parametrize("module", [svg, scales, panel])
def test_the_drawing_modules_do_not_depend_on_the_report(module):
    imported = re.findall(r"^(?:from|import) (cloudlstm\S*)", Path(module.__file__).read_text(encoding="utf-8"), re.M)
    assert all(name.startswith(("cloudlstm.report.charts.", "cloudlstm.text.")) for name in imported)
