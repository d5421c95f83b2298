"""Charts over dates: the range of the y axis, cut lines, labels of marks, and watches that begin anew."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudlstm.models.monitor.charts import watches
from cloudlstm.models.monitor.history import History
from cloudlstm.models.monitor.time_chart import Level, Line, Mark, TimeChart, draw
from cloudlstm.models.watch import Watch, advance_all
from cloudlstm.report.charts.svg import TICK_PX, text_width
from models.monitor.model_days import make_model, sessions_from

FIRST = 739_000
WIDTH = 760.0
MAIN = Line([FIRST, FIRST + 1, FIRST + 2], [0.0, 0.5, 1.0], "lstm", label="main")


def svg_of(*lines: Line, marks: tuple[Mark, ...] = (), logarithmic: bool = False, days: int = 3) -> str:
    chart = TimeChart(
        "Title", "unit", lines, [Level(0.5, "level")], [], FIRST, FIRST + days - 1, marks, logarithmic=logarithmic
    )
    return draw(chart, WIDTH).markup("x", "title", "description")


def paths(svg: str, colour: str) -> list[list[tuple[float, float]]]:
    """Points of all lines of a colour."""
    found = re.findall(rf'<path class="s c-{colour}" d="M([^"]*)"', svg)
    return [[(float(x), float(y)) for x, y in (point.split() for point in path.split("L"))] for path in found]


def heights(svg: str, colour: str) -> float:
    (path,) = paths(svg, colour)
    return path[0][1] - path[-1][1]


def test_a_far_minor_line_takes_at_most_two_thirds_of_the_height_and_is_cut() -> None:
    alone = heights(svg_of(MAIN), "lstm")
    far = Line(MAIN.days, [0.0, -0.5, -1e6], "ridge", label="far", minor=True)
    svg = svg_of(MAIN, far)
    assert heights(svg, "lstm") == pytest.approx(alone / 2.0, rel=0.1)  # the far line is below only
    (cut,) = paths(svg, "ridge")
    assert len(cut) == 2
    assert ">far<" not in svg
    assert ">main<" in svg


def test_a_line_that_is_not_minor_sets_the_range() -> None:
    far = Line(MAIN.days, [0.0, -0.5, -100.0], "ridge", label="far")
    svg = svg_of(MAIN, far)
    assert len(paths(svg, "ridge")[0]) == 3
    assert heights(svg, "lstm") < 5.0


@given(st.lists(st.integers(0, 400), min_size=1, max_size=60), st.integers(1, 3))
def test_labels_of_marks_never_overlap_and_the_heaviest_mark_has_one(days: list[int], weight: int) -> None:
    marks = tuple(Mark(FIRST + day, f"v{number} move", "", "circle", "ink", weight) for number, day in enumerate(days))
    heavy = Mark(FIRST + days[0], "v999 rollback", "", "diamond", "drift", 4)
    svg = svg_of(MAIN, marks=(*marks, heavy), days=401)
    found = re.findall(r'x="([\d.]+)" y="([\d.]+)" text-anchor="middle">(v\d+ \w+)<', svg)
    assert "v999 rollback" in {text for _, _, text in found}
    rows: dict[str, list[tuple[float, float]]] = {}
    for x, y, text in found:
        half = text_width(text, TICK_PX) / 2.0
        rows.setdefault(y, []).append((float(x) - half, float(x) + half))
    for places in rows.values():
        ordered = sorted(places)
        assert all(left[1] < right[0] for left, right in itertools.pairwise(ordered))


def test_an_e_value_of_zero_has_a_place_on_a_logarithmic_axis() -> None:
    svg = svg_of(Line(MAIN.days, [0.0, 1.0, 1e12], "lstm", label="e"), logarithmic=True)
    assert len(paths(svg, "lstm")[0]) == 3
    assert "nan" not in svg
    assert "inf" not in svg


def test_a_new_watch_begins_a_new_line() -> None:
    day = make_model(1).days[0]
    grown = [advance_all(Watch(1.0), [0.1] * number) for number in (1, 2, 3, 0, 1, 2, 1, 2)]
    dates = sessions_from("2026-02-02", len(grown))
    days = [replace(day, date=date, loss_watch=watch) for date, watch in zip(dates, grown, strict=True)]
    drawing = watches(History([], [], days), WIDTH)
    assert drawing is not None
    lines = paths(drawing.markup("x", "title", "description"), "lstm")
    assert sorted(map(len, lines)) == [2, 2, 3]


def test_a_long_series_is_thinned_to_about_a_point_a_pixel_and_keeps_its_end() -> None:
    days = list(range(FIRST, FIRST + 5_000))
    (path,) = paths(svg_of(Line(days, [float(day % 7) for day in days], "lstm"), days=5_000), "lstm")
    assert len(path) <= WIDTH
    (short,) = paths(svg_of(Line(days[-2:], [0.0, 1.0], "lstm"), days=5_000), "lstm")
    assert path[-1][0] == pytest.approx(short[-1][0], abs=0.2)
