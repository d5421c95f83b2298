"""The charts of the page, over the time of the day, each at the width of a page and of a phone."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from cloudlstm.report.charts import Plot, at_both_widths, panel
from cloudlstm.report.charts.panel import BROAD_PX, Box, EndLabel, LegendEntry
from cloudlstm.report.charts.scales import Scale, Tick, padded, ticks
from cloudlstm.report.charts.svg import TICK_PX, Drawing, text_width
from cloudlstm.stream.page.live import Live
from cloudlstm.text.numbers import amount, duration, minus

_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)


@dataclass(frozen=True, slots=True)
class TimeLine:
    """Values at times.

    Attributes:
        times: In seconds since 1970-01-01 UTC, ascending.
        values: The values.
        colour: A colour class of the style sheet.
        label: What stands at its end.
    """

    times: Sequence[float]
    values: Sequence[float]
    colour: str
    label: str


def draw_all(live: Live) -> dict[str, Plot]:
    """Every chart that has data, by name."""
    plots = {
        name: at_both_widths(name, title, caption, partial(draw, live))
        for name, (draw, title, caption) in _CHARTS.items()
    }
    return {name: plot for name, plot in plots.items() if plot}


def rate(live: Live, width: float) -> Drawing | None:
    """Bars a second between two batches."""
    batches = list(live.recent)
    pairs = [
        (new.finished, new.counts["used"] / (new.finished - old.finished))
        for old, new in pairwise(batches)
        if new.finished > old.finished
    ]
    if len(pairs) < 2:
        return None
    times, values = zip(*pairs, strict=True)
    return _draw("Bars", "a second", [TimeLine(times, values, "lstm", amount(values[-1]))], width)


def lag(live: Live, width: float) -> Drawing | None:
    """Messages that wait in the topic after each batch, or files that wait in the folder."""
    found = [(each.finished, float(each.lag)) for each in live.recent if each.lag is not None]
    if len(found) < 2:
        return None
    times, values = zip(*found, strict=True)
    return _draw("Lag", live.waiting, [TimeLine(times, values, "drift", amount(values[-1]))], width)


def latency(live: Live, width: float) -> Drawing | None:
    """p50 and p95 of each batch."""
    batches = [each for each in live.recent if each.latency_s]
    if len(batches) < 2:
        return None
    times = [each.finished for each in batches]
    lines = [
        TimeLine(times, [each.latency_s[name] for each in batches], colour, duration(batches[-1].latency_s[name]))
        for name, colour in (("p50", "lstm"), ("p95", "drift"))
    ]
    entries = [LegendEntry("line", "lstm", "half of the bars"), LegendEntry("line", "drift", "95% of the bars")]
    return _draw("Latency", "seconds", lines, width, entries)


def saved(live: Live, width: float) -> Drawing | None:
    """Squared error saved against naive so far, as a share of naive's."""
    found = [
        (each.finished, 100.0 * (1.0 - each.all_scores.squared_error / each.all_scores.squared_return))
        for each in live.recent
        if each.all_scores.squared_return > 0
    ]
    if len(found) < 2:
        return None
    times, values = zip(*found, strict=True)
    line = TimeLine(times, values, "lstm", minus(f"{values[-1]:+.2f}%"))
    return _draw(
        "Error saved against naive", "% of naive's squared error, all outcomes so far", [line], width, level=0.0
    )


_LATENCY = (
    "Seconds from the time when a producer sent a bar to the time when its batch was in the sink, by batch. Bars that "
    "do not say when they were sent do not count."
)
_SAVED = (
    "Naive forecasts a return of 0. Above the line the forecasts so far have less squared error than naive. One day of "
    "minutes is little evidence: the bars of one day move together."
)
_CHARTS: dict[str, tuple[Callable[[Live, float], Drawing | None], str, str]] = {
    "rate": (rate, "Bars a second", "Bars of each batch by the seconds since the batch before."),
    "latency": (latency, "Latency from sending to sink", _LATENCY),
    "lag": (lag, "Lag", "Messages that wait in the topic after each batch, or files that wait in the folder."),
    "saved": (saved, "Error saved against naive", _SAVED),
}
"""Name -> what draws it, its title, and its caption."""


def _draw(
    title: str, unit: str, lines: Sequence[TimeLine], width: float, entries: Sequence[LegendEntry] = (),
    level: float | None = None,
) -> Drawing:  # fmt: skip
    broad = width > BROAD_PX
    drawing = Drawing(width, 0.0)
    panel.title(drawing, 0.0, 12.0, title, unit, width)
    top = 16.0
    if text_width(title, 12.0, bold=True) + 8.0 + text_width(unit, TICK_PX) > width:
        top += 16.0
        drawing.text(0.0, top - 4.0, unit)
    if entries:
        top += panel.legend(drawing, 0.0, top + 16.0, entries) + 4.0
    values = [value for line in lines for value in line.values] + ([level] if level is not None else [0.0])
    low, high = padded(min(values), max(values), 0.06)
    low = low if level is not None else 0.0
    found = ticks(low, high, 5, panel.plain_tick)
    right = panel.end_labels_px([line.label for line in lines])
    box = Box(panel.gutter(found), top + 8.0, width - right - 4.0, top + (180.0 if broad else 150.0))
    drawing.height = box.bottom + panel.AXIS_PX
    first, last = min(line.times[0] for line in lines), max(line.times[-1] for line in lines)
    x, y = Scale(first, last, box.left, box.right), Scale(low, high, box.bottom, box.top)
    panel.y_axis(drawing, box, y, found)
    panel.x_axis(drawing, box, x, time_ticks(first, last, 8 if broad else 4))
    if level is not None:
        drawing.line(box.left, y(level), box.right, y(level), "naive", 1.4, "4 3")
    for line in lines:
        step = max(1, math.ceil(len(line.times) / width))
        kept = sorted({*range(0, len(line.times), step), len(line.times) - 1})
        drawing.path([x(line.times[n]) for n in kept], [y(line.values[n]) for n in kept], line.colour, 1.8)
    panel.end_labels(drawing, box, [EndLabel(y(line.values[-1]), line.label, line.colour) for line in lines])
    return drawing


def time_ticks(low: float, high: float, at_most: int) -> list[Tick]:
    """Round times of the day in UTC; the first of a date has the date."""
    span = max(high - low, 1.0)
    step = next((each for each in _STEPS_S if span / each <= at_most), 86_400 * math.ceil(span / 86_400 / at_most))
    found, date = [], None
    for number in range(math.ceil(low / step), math.floor(high / step) + 1):
        moment = dt.datetime.fromtimestamp(number * step, dt.UTC)
        text = f"{moment:%H:%M:%S}" if step < 60 else f"{moment:%H:%M}"
        is_new = date is not None and moment.date() != date
        if is_new or step >= 86_400:
            text = f"{moment.day} {moment:%b}"
        date = moment.date()
        found.append(Tick(float(number * step), text, is_new))
    return found
