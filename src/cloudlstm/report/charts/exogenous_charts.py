"""Charts of the features beyond the eight: the ablation, correlations with two returns, and importance."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cloudlstm.report.charts import panel
from cloudlstm.report.charts.panel import BROAD_PX, Box, LegendEntry
from cloudlstm.report.charts.scales import Scale, padded, ticks
from cloudlstm.report.charts.svg import LABEL_PX, Drawing, fit_text, text_width
from cloudlstm.report.exogenous_models import Exogenous
from cloudlstm.text.numbers import decimal, p_value, signed, signed_percent

MOST_ROWS = 30
"""Most features in a chart: those with the largest numbers."""

_ROW_PX, _NAMES = 22.0, 0.38


def ablation(exogenous: Exogenous | None, width: float) -> Drawing | None:
    """Squared return error of each group of columns against that without, with its 95% interval."""
    rows = [row for row in exogenous.ablation if row.against_none] if exogenous else []
    tests = [row.against_none for row in rows if row.against_none and row.against_none.difference is not None]
    if not tests or len(tests) < len(rows):
        return None
    drawing = Drawing(width, 26.0 + _ROW_PX * len(rows) + panel.AXIS_PX)
    panel.title(drawing, 0.0, 12.0, "Squared error", "against the same networks without the columns", width)
    ends = [100.0 * end for test in tests for end in (test.low, test.difference, test.high) if end is not None]
    texts = [f"{signed_percent(test.difference)}, p {p_value(test.p)}" for test in tests]
    box, x = _rows(drawing, [row.inputs for row in rows], texts, ends, _tick_or("without"))
    for number, (row, test, text) in enumerate(zip(rows, tests, texts, strict=True)):
        y = box.top + (number + 0.5) * _ROW_PX
        hover = f"{row.inputs}: squared error {text}"
        if test.low is not None and test.high is not None:
            low, high = 100.0 * test.low, 100.0 * test.high
            drawing.rect(x(low), y - 2.0, x(high) - x(low), 4.0, "lstm", opacity=0.4, radius=2.0)
            hover += f", 95% interval {signed(low)} to {signed(high)}"
        drawing.dot(x(100.0 * (test.difference or 0.0)), y, 4.6, "lstm", title=hover)
    return drawing


def correlations(exogenous: Exogenous | None, width: float) -> Drawing | None:
    """Rank correlation of each feature beyond the eight with the same day's return and with the next one."""
    known = [row for row in exogenous.correlations if row.next_return is not None] if exogenous else []
    if not known:
        return None
    largest = sorted(known, key=lambda row: -max(abs(row.same_day or 0.0), abs(row.next_return or 0.0)))[:MOST_ROWS]
    rows = [row for row in known if row in largest]
    legend = [LegendEntry("ring", "ridge", "same day's return"), LegendEntry("dot", "lstm", "next return")]
    drawing = Drawing(width, 44.0 + _ROW_PX * len(rows) + panel.AXIS_PX)
    panel.title(drawing, 0.0, 12.0, "Rank correlation", "with two returns", width)
    panel.legend(drawing, 0.0, 32.0, legend)
    values = [value for row in rows for value in (row.same_day, row.next_return) if value is not None]
    texts = [decimal(row.next_return, 3, "+") for row in rows]
    box, x = _rows(drawing, [row.feature for row in rows], texts, values, _number_tick, top=44.0)
    for number, row in enumerate(rows):
        y = box.top + (number + 0.5) * _ROW_PX
        if row.same_day is not None and row.next_return is not None:
            left, right = sorted((x(row.same_day), x(row.next_return)))
            drawing.rect(left, y - 1.0, right - left, 2.0, "muted", opacity=0.35)
        for value, colour, what, hollow in (
            (row.same_day, "ridge", "the same day's return", True),
            (row.next_return, "lstm", "the next return", False),
        ):
            if value is not None:
                hover = f"{row.feature}: {decimal(value, 3, '+')} with {what}"
                drawing.dot(x(value), y, 4.6, colour, hollow=hollow, title=hover)
    return drawing


def importance(exogenous: Exogenous | None, width: float) -> Drawing | None:
    """By how much the squared error grows without what a feature says, the largest first."""
    found = exogenous.importance if exogenous else None
    known = [row for row in found.features if row.increase is not None] if found else []
    if not known:
        return None
    rows = sorted(known, key=lambda row: -(row.increase or 0.0))[:MOST_ROWS]
    drawing = Drawing(width, 26.0 + _ROW_PX * len(rows) + panel.AXIS_PX)
    panel.title(drawing, 0.0, 12.0, "Increase of the squared error", "with the feature exchanged, percent", width)
    texts = [signed_percent(row.increase) for row in rows]
    ends = [100.0 * end for row in rows for end in (row.low, row.high) if end is not None]
    box, x = _rows(drawing, [row.feature for row in rows], texts, ends, panel.percent_tick)
    for number, (row, text) in enumerate(zip(rows, texts, strict=True)):
        y = box.top + (number + 0.5) * _ROW_PX
        left, right = sorted((x(0.0), x(100.0 * (row.increase or 0.0))))
        hover = f"{row.feature}: {text}"
        if row.low is not None and row.high is not None:
            hover += f", from {signed_percent(row.low)} to {signed_percent(row.high)}"
        colour = "muted" if row.group == "bars" else "lstm"
        drawing.rect(left, y - 6.0, max(right - left, 0.5), 12.0, colour, opacity=0.5, title=hover)
        if row.low is not None and row.high is not None:
            drawing.line(x(100.0 * row.low), y, x(100.0 * row.high), y, "ink", 1.4)
    return drawing


def _rows(
    drawing: Drawing,
    names: Sequence[str],
    texts: Sequence[str],
    values: Sequence[float],
    tick: Callable[[float, int], str],
    top: float = 26.0,
) -> tuple[Box, Scale]:
    """Draws names at the left, texts at the right, and an x axis with a line at zero; returns the plot and the scale.

    Args:
        drawing: Where to draw.
        names: One for each row.
        texts: One for each row.
        values: All values of the axis.
        tick: Formats a tick.
        top: Of the first row.
    """
    labels = [fit_text(name, LABEL_PX, _NAMES * drawing.width) for name in names]
    left = max(text_width(label, LABEL_PX) for label in labels) + 14.0
    right = drawing.width - max(text_width(text, LABEL_PX) for text in texts) - 14.0
    box = Box(left, top, right, drawing.height - panel.AXIS_PX)
    low, high = padded(min([0.0, *values]), max([0.0, *values]), 0.06)
    x = Scale(low, high, box.left, box.right)
    found = ticks(low, high, 5 if drawing.width > BROAD_PX else 3, tick)
    if len(found) < 2:  # zero alone is no scale
        found = ticks(low, high, 4, tick)
    panel.x_axis(drawing, box, x, found, lines=True, low=left)
    drawing.line(x(0.0), box.top, x(0.0), box.bottom, "naive", 1.6)
    for number, (name, label, text) in enumerate(zip(names, labels, texts, strict=True)):
        y = box.top + (number + 0.5) * _ROW_PX + 4.0
        drawing.text(0.0, y, label, "ink", px=LABEL_PX, title="" if label == name else name)
        drawing.text(drawing.width, y, text, "ink", px=LABEL_PX, anchor="end")
    return box, x


def _tick_or(name: str) -> Callable[[float, int], str]:
    """Formats percentages; zero has a name."""
    return lambda value, decimals: panel.percent_tick(value, decimals) if abs(value) > 1e-12 else name


def _number_tick(value: float, decimals: int) -> str:
    return decimal(value, decimals, "+") if abs(value) > 1e-12 else "0"
