"""Charts of skill by ticker."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from cloudlstm.evaluation.rows import TickerScores
from cloudlstm.report.charts import panel
from cloudlstm.report.charts.model_charts import naive_tick
from cloudlstm.report.charts.panel import BROAD_PX, Box
from cloudlstm.report.charts.scales import Scale, padded, ticks
from cloudlstm.report.charts.svg import LABEL_PX, Drawing, fit_text, text_width
from cloudlstm.report.models import SkillInterval
from cloudlstm.text.numbers import count, signed, signed_percent

MANY_TICKERS = 60
"""More tickers than this are shown as a histogram."""
_BINS = 40
_NAMES = 0.25
"""Largest share of the width for names."""


def skill(per_ticker: Sequence[TickerScores], intervals: Sequence[SkillInterval], width: float) -> Drawing | None:
    """The LSTM's skill on price by ticker with its 95% interval; a histogram if there are many tickers."""
    known = {row.ticker: row.skill for row in per_ticker if row.model == "lstm" and row.skill is not None}
    if not known:
        return None
    names = sorted(known, key=lambda name: (-known[name], name))
    values = [100.0 * known[name] for name in names]
    if len(names) > MANY_TICKERS:
        return _histogram(values, width)
    ends = {
        row.ticker: (100.0 * row.low, 100.0 * row.high)
        for row in intervals
        if row.low is not None and row.high is not None
    }
    return _dots(names, values, ends, width)


def _dots(names: list[str], values: list[float], ends: Mapping[str, tuple[float, float]], width: float) -> Drawing:
    row_px = 24.0 if len(names) <= 20 else 18.0
    drawing = Drawing(width, 26.0 + row_px * len(names) + panel.AXIS_PX)
    panel.title(drawing, 0.0, 12.0, "Skill on price", "against naive, by ticker", width)
    texts = [signed_percent(value / 100.0) for value in values]
    labels = [fit_text(name, LABEL_PX, _NAMES * width) for name in names]
    left = max(text_width(label, LABEL_PX) for label in labels) + 14.0
    right = width - max(text_width(text, LABEL_PX) for text in texts) - 14.0
    box = Box(left, 26.0, right, drawing.height - panel.AXIS_PX)
    edges = [edge for name in names for edge in ends.get(name, ())]
    low, high = padded(min(0.0, *values, *edges), max(0.0, *values, *edges), 0.05)
    x = Scale(low, high, box.left, box.right)
    panel.x_axis(
        drawing, box, x, ticks(low, high, 6 if width > BROAD_PX else 3, naive_tick), lines=True
    )  # fmt: skip
    drawing.line(x(0.0), box.top, x(0.0), box.bottom, "naive", 1.6)
    for number, (name, label, value, text) in enumerate(zip(names, labels, values, texts, strict=True)):
        y = box.top + (number + 0.5) * row_px
        drawing.text(0.0, y + 4.0, label, "ink", px=LABEL_PX, title="" if label == name else name)
        hover = f"{name}: skill {text} against naive"
        if name in ends:
            start, end = map(x, ends[name])
            drawing.rect(start, y - 2.0, end - start, 4.0, "lstm", opacity=0.4, radius=2.0)
            hover += f", 95% interval {' to '.join(map(signed, ends[name]))}"
        drawing.dot(x(value), y, 4.6, "lstm", title=hover)
        drawing.text(width, y + 4.0, text, "ink", px=LABEL_PX, anchor="end")
    return drawing


def _histogram(values: list[float], width: float) -> Drawing:
    """Histogram of skill; the outermost bars include the one percent of tickers beyond them."""
    ranked = sorted(values)
    low = min(ranked[int(0.005 * (len(ranked) - 1))], 0.0)
    high = max(ranked[int(0.995 * (len(ranked) - 1))], 0.0)
    step = (high - low) / _BINS or 1.0
    first, last = math.floor(low / step), math.ceil(high / step)  # zero is an edge between two bars
    counts = [0] * (last - first)
    for value in values:
        counts[min(max(math.floor(value / step), first), last - 1) - first] += 1
    found = ticks(0.0, 1.05 * max(counts), 4, panel.plain_tick)
    better = sum(value > 0.0 for value in values)
    drawing = Drawing(width, 240.0)
    panel.title(drawing, 0.0, 12.0, "Tickers by skill", f"{count(better)} of {count(len(values))} above naive", width)
    box = Box(panel.gutter(found), 26.0, width, drawing.height - panel.AXIS_PX)
    x = Scale(first * step, last * step, box.left, box.right)
    y = Scale(0.0, 1.05 * max(counts), box.bottom, box.top)
    panel.y_axis(drawing, box, y, found)
    panel.x_axis(drawing, box, x, ticks(x.low, x.high, 8 if width > BROAD_PX else 4, naive_tick))
    for number, tickers in enumerate(counts, first):
        left, right = x(number * step), x((number + 1) * step)
        text = f"{signed(number * step)} to {signed((number + 1) * step)}: {count(tickers)} tickers"
        colour = "lstm" if number >= 0 else "naive"
        drawing.rect(left + 0.6, y(tickers), right - left - 1.2, box.bottom - y(tickers), colour, title=text)
    drawing.line(x(0.0), box.top, x(0.0), box.bottom, "naive", 1.6)
    return drawing
