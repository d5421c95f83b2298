"""A chart over dates: lines or dots, horizontal levels with a name, and vertical marks with a label."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cloudlstm.report.charts import panel
from cloudlstm.report.charts.panel import BROAD_PX, Box, EndLabel, LegendEntry
from cloudlstm.report.charts.scales import Scale, Tick, date_ticks, padded, ticks
from cloudlstm.report.charts.svg import TICK_PX, Drawing, Marker, text_width
from cloudlstm.text.numbers import amount

LEAST_E_VALUE = 0.01
"""On a logarithmic axis smaller values lie on its lower end."""
MANY_MARKS = 12
"""Of more marks, those with the least weight are small."""
_LABEL_ROW_PX, _LABEL_ROWS = 15.0, 2


@dataclass(frozen=True, slots=True)
class Line:
    """Values by day.

    Attributes:
        days: Day numbers, ascending.
        values: The values.
        colour: A colour class of the style sheet.
        px: Width of the line.
        label: Its name at its end; shown if the line ends with the chart.
        dots: Draws dots in place of a line.
        minor: Widens the y axis to three times the range of the others at most; beyond, the line is cut.
    """

    days: Sequence[int]
    values: Sequence[float]
    colour: str
    px: float = 1.4
    label: str = ""
    dots: bool = False
    minor: bool = False


@dataclass(frozen=True, slots=True)
class Level:
    """A horizontal line with its name."""

    value: float
    label: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A vertical line at a day.

    Attributes:
        day: Day number.
        label: Text above it; left out where two would overlap.
        title: Text on hover.
        shape: Marker on top of it.
        colour: A colour class.
        weight: Marks with a larger weight keep their label first.
    """

    day: int
    label: str
    title: str
    shape: Marker
    colour: str
    weight: int


@dataclass(frozen=True, slots=True)
class TimeChart:
    """What a chart over dates shows.

    Attributes:
        title: What is drawn.
        unit: Its unit, in words.
        lines: The lines, the most important first.
        levels: Horizontal lines.
        entries: The legend.
        marks: Vertical marks.
        text: Formats a tick of the y axis from its value and number of decimals.
        logarithmic: Whether the y axis is logarithmic.
        first: First day number of the x axis.
        last: Last day number.
    """

    title: str
    unit: str
    lines: Sequence[Line]
    levels: Sequence[Level]
    entries: Sequence[LegendEntry]
    first: int
    last: int
    marks: Sequence[Mark] = ()
    text: Callable[[float, int], str] = panel.plain_tick
    logarithmic: bool = False


def draw(chart: TimeChart, width: float) -> Drawing:
    """Draws the chart at a width in pixels."""
    broad = width > BROAD_PX
    drawing = Drawing(width, 0.0)
    panel.title(drawing, 0.0, 12.0, chart.title, chart.unit, width)
    top = 16.0
    if text_width(chart.title, 12.0, bold=True) + 8.0 + text_width(chart.unit, TICK_PX) > width:
        for part in chart.unit.split("; "):
            top += 16.0
            drawing.text(0.0, top - 4.0, part)
    if chart.entries:
        top += panel.legend(drawing, 0.0, top + 16.0, chart.entries) + 4.0
    if chart.marks:
        top += _LABEL_ROW_PX * _LABEL_ROWS + 10.0
    place = _log if chart.logarithmic else float
    low, high = padded(*_range(chart, place), 0.06)
    found = _log_ticks(low, high) if chart.logarithmic else ticks(low, high, 5, chart.text)
    at_end = [line for line in chart.lines if _has_label(chart, line, low, high)]
    names = [line.label for line in at_end] + [level.label for level in chart.levels]
    box = Box(
        panel.gutter(found), top + 8.0, width - panel.end_labels_px(names) - 4.0, top + (190.0 if broad else 170.0)
    )  # fmt: skip
    drawing.height = box.bottom + panel.AXIS_PX
    x, y = Scale(chart.first, chart.last, box.left, box.right), Scale(low, high, box.bottom, box.top)
    panel.y_axis(drawing, box, y, found)
    panel.x_axis(drawing, box, x, date_ticks(chart.first, chart.last, 8 if broad else 4))
    for level in chart.levels:
        at = y(place(level.value))
        drawing.line(box.left, at, box.right, at, "naive", 1.4, "4 3")
    _marks(drawing, box, x, chart.marks)
    for line in reversed(chart.lines):
        for days, values in _inside(line, low, high, place):
            xs, ys = list(map(x.clamped, days)), list(map(y, values))
            if line.dots:
                drawing.dots(zip(xs, ys, strict=True), 3.2, line.colour, 0.35)
            elif len(line.days) == 1:
                drawing.dot(xs[0], ys[0], 2.6, line.colour)
            else:
                drawing.path(*_thinned(xs, ys, width), line.colour, line.px)
    labels = [EndLabel(y(place(line.values[-1])), line.label, line.colour) for line in at_end]
    labels += [EndLabel(y(place(level.value)), level.label, "naive") for level in chart.levels if level.label]
    panel.end_labels(drawing, box, labels)
    return drawing


def _range(chart: TimeChart, place: Callable[[float], float]) -> tuple[float, float]:
    """The smallest and the largest value of the y axis."""
    values = [place(value) for line in chart.lines if not line.minor for value in line.values]
    values += [place(level.value) for level in chart.levels]
    low, high = min(values), max(values)
    room = high - low or 1.0
    others = [place(value) for line in chart.lines if line.minor for value in line.values]
    return min([low, *(max(value, low - room) for value in others)]), max(
        [high, *(min(value, high + room) for value in others)]
    )


def _inside(
    line: Line, low: float, high: float, place: Callable[[float], float]
) -> list[tuple[list[int], list[float]]]:
    """Stretches of the line inside the y axis: days, and places on the axis."""
    stretches: list[tuple[list[int], list[float]]] = [([], [])]
    for day, value in zip(line.days, map(place, line.values), strict=True):
        if low <= value <= high:
            stretches[-1][0].append(day)
            stretches[-1][1].append(value)
        elif stretches[-1][0]:
            stretches.append(([], []))
    return [stretch for stretch in stretches if stretch[0]]


def _has_label(chart: TimeChart, line: Line, low: float, high: float) -> bool:
    """Whether a line has a label and ends at the right edge of the chart."""
    end = _log(line.values[-1]) if chart.logarithmic else line.values[-1]
    return bool(line.label) and line.days[-1] >= chart.last and low <= end <= high


def _log(value: float) -> float:
    return math.log10(max(value, LEAST_E_VALUE))


def _log_ticks(low: float, high: float) -> list[Tick]:
    """Powers of ten, at most about six."""
    step = max(1, math.ceil((high - low) / 6.0))
    return [
        Tick(power, amount(10.0**power))
        for power in range(math.ceil(low), math.floor(high) + 1)
        if power % step == 0
    ]  # fmt: skip


def _thinned(xs: list[float], ys: list[float], most: float) -> tuple[list[float], list[float]]:
    """Each n-th point and the last one, so that there are at most about `most`."""
    step = max(1, math.ceil(len(xs) / most))
    kept = sorted({*range(0, len(xs), step), len(xs) - 1})
    return [xs[index] for index in kept], [ys[index] for index in kept]


def _marks(drawing: Drawing, box: Box, x: Scale, marks: Sequence[Mark]) -> None:
    """Vertical lines with a marker, and labels in rows above; without those that would overlap."""
    taken: list[list[tuple[float, float]]] = [[] for _ in range(_LABEL_ROWS)]
    for mark in sorted(marks, key=lambda mark: (-mark.weight, -mark.day)):
        at, half = x.clamped(mark.day), text_width(mark.label, TICK_PX) / 2.0
        faint = mark.weight < 2 and len(marks) > MANY_MARKS
        drawing.line(at, box.top - 4.0, at, box.bottom, "grid" if faint else mark.colour, 1.0, "" if faint else "2 3")
        if faint:
            drawing.dot(at, box.top - 8.0, 2.6, mark.colour, title=mark.title)
        else:
            drawing.marker(mark.shape, at, box.top - 8.0, mark.colour, mark.title)
        middle = min(max(at, half), drawing.width - half)
        for row, places in enumerate(taken):
            if all(middle + half + 6.0 <= left or right + 6.0 <= middle - half for left, right in places):
                drawing.text(middle, box.top - 18.0 - _LABEL_ROW_PX * row, mark.label, mark.colour, anchor="middle")
                places.append((middle - half, middle + half))
                break
