"""Charts that compare the models: relative RMSE, and errors over time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from cloudlstm.evaluation.rows import LOSSES, MODEL_LABELS, ModelName, ModelTest
from cloudlstm.report.charts import panel
from cloudlstm.report.charts.panel import BROAD_PX, Box, EndLabel
from cloudlstm.report.charts.scales import Scale, date_ticks, day_number, padded, ticks
from cloudlstm.report.charts.svg import LABEL_PX, TICK_PX, Drawing, Marker, text_width
from cloudlstm.report.models import CumulativeSeries, ErrorSeries
from cloudlstm.text.numbers import count, p_value, percent, signed, signed_percent

COMPARED: tuple[ModelName, ...] = ("lstm", "ridge", "drift")
"""Models that are compared with naive."""

_MARKERS: Mapping[str, Marker] = {"lstm": "circle", "ridge": "triangle", "drift": "diamond"}


def naive_tick(value: float, decimals: int) -> str:
    """As `percent_tick`; zero is labelled as the naive forecast."""
    return panel.percent_tick(value, decimals) if abs(value) > 1e-12 else "naive"


def relative_rmse(tests: Sequence[ModelTest], width: float) -> Drawing | None:
    """RMSE of every model relative to naive, on returns and on price, with the 95% interval of the test."""
    by_model = {(row.model, row.loss): row for row in tests if row.reference == "naive"}
    if all(row.difference is None for row in by_model.values()):
        return None
    broad, row_px = width > BROAD_PX, 28.0
    panel_px = 24.0 + row_px * len(COMPARED) + panel.AXIS_PX
    drawing = Drawing(width, panel_px if broad else 2 * panel_px + 20.0)
    for number, loss in enumerate(LOSSES):
        left, right = (number * (width + 28.0) / 2.0, (width - 28.0) / 2.0 * (number + 1) + 28.0 * number)
        top = 0.0 if broad else number * (panel_px + 20.0)
        box = Box(left, top, right, top + panel_px) if broad else Box(0.0, top, width, top + panel_px)
        shown = [by_model[model, loss] for model in COMPARED if (model, loss) in by_model]
        _relative_rmse_panel(drawing, box, loss, shown)
    return drawing


def _relative_rmse_panel(drawing: Drawing, box: Box, loss: str, tests: Sequence[ModelTest]) -> None:
    rows = [(test, _rmse_percent(test.difference)) for test in tests]
    known = [value for _, value in rows if value is not None]
    ends = [edge for test, _ in rows for edge in _interval(test)]
    low, high = padded(min([0.0, *known, *ends]), max([0.0, *known, *ends]), 0.06)
    texts = [signed_percent(None if value is None else value / 100.0) for _, value in rows]
    p_px = text_width("<0.001", LABEL_PX)
    value_px = max(text_width("vs naive", TICK_PX), *(text_width(text, LABEL_PX) for text in texts))
    plot = Box(box.left + 52.0, box.top + 24.0, box.right - p_px - value_px - 28.0, box.bottom - panel.AXIS_PX)
    scale = Scale(low, high, plot.left, plot.right)
    drawing.text(box.left, box.top + 12.0, f"RMSE of {loss}", "ink", px=LABEL_PX, bold=True)
    drawing.text(box.right - p_px - 14.0, box.top + 12.0, "vs naive", anchor="end")
    drawing.text(box.right, box.top + 12.0, "p", anchor="end")
    found = ticks(low, high, 4, naive_tick)
    panel.x_axis(drawing, plot, scale, found, lines=True, low=box.left, high=box.right)
    drawing.line(scale(0.0), plot.top, scale(0.0), plot.bottom, "naive", 1.6)
    step = (plot.bottom - plot.top) / max(len(rows), 1)
    for number, ((test, value), text) in enumerate(zip(rows, texts, strict=True)):
        y = plot.top + (number + 0.5) * step
        drawing.text(box.left, y + 4.0, MODEL_LABELS[test.model], "ink", px=LABEL_PX)
        drawing.text(box.right - p_px - 14.0, y + 4.0, text, "ink", px=LABEL_PX, anchor="end")
        drawing.text(box.right, y + 4.0, p_value(test.p), "ink", px=LABEL_PX, anchor="end")
        if value is None:
            continue
        hover = f"{MODEL_LABELS[test.model]}: RMSE of {loss} {text} against naive"
        if edges := _interval(test):
            start, end = map(scale, edges)
            drawing.rect(start, y - 2.0, end - start, 4.0, test.model, opacity=0.4, radius=2.0)
            hover += f", 95% interval {' to '.join(map(signed, edges))}"
        drawing.marker(_MARKERS[test.model], scale(value), y, test.model, hover)


def _interval(test: ModelTest) -> list[float]:
    """Both ends of the 95% interval; empty if it cannot be computed."""
    edges = [_rmse_percent(end) for end in (test.low, test.high)]
    return [edge for edge in edges if edge is not None] if None not in edges else []


def _rmse_percent(mse_share: float | None) -> float | None:
    """The difference of two RMSE in percent, from the relative difference of their squares."""
    return None if mse_share is None else 100.0 * (math.sqrt(max(1.0 + mse_share, 0.0)) - 1.0)


def cumulative(series: CumulativeSeries, width: float) -> Drawing | None:
    """Squared return error saved against naive, summed over the test dates (Welch and Goyal 2008)."""
    if len(series.dates) < 2 or not series.models:
        return None
    broad = width > BROAD_PX
    lines = {model: [100.0 * value for value in series.models[model]] for model in COMPARED}
    ends = {model: f"{MODEL_LABELS[model]} {signed_percent(values[-1] / 100.0)}" for model, values in lines.items()}
    low, high = padded(min(0.0, *map(min, lines.values())), max(0.0, *map(max, lines.values())), 0.04)
    found = ticks(low, high, 5, naive_tick)
    drawing = Drawing(width, 260.0 if broad else 240.0)
    box = Box(
        panel.gutter(found), panel.TITLE_PX + 4.0, width - panel.end_labels_px(list(ends.values())),
        drawing.height - panel.AXIS_PX,
    )  # fmt: skip
    panel.title(drawing, 0.0, 12.0, "Squared error saved", "in percent of naive's, up to each date", width)
    days = [day_number(text) for text in series.dates]
    x, y = Scale(days[0], days[-1], box.left, box.right), Scale(low, high, box.bottom, box.top)
    panel.y_axis(drawing, box, y, found)
    panel.x_axis(drawing, box, x, date_ticks(days[0], days[-1], 8 if broad else 4))
    drawing.line(box.left, y(0.0), box.right, y(0.0), "naive", 1.6)
    for model in reversed(COMPARED):
        points = [y(value) for value in lines[model]]
        drawing.path([x(value) for value in days], points, model, 2.2 if model == "lstm" else 1.4)
    labels = [EndLabel(y(lines[model][-1]), ends[model], model) for model in COMPARED]
    panel.end_labels(drawing, box, labels)
    return drawing


def errors(series: ErrorSeries, width: float) -> Drawing | None:
    """The naive forecast's RMSE of the return by period, and the LSTM's relative to it.

    The two RMSE differ by so little that as two lines they would lie on top of each other.
    """
    if len(series.dates) < 2 or max(series.models["naive"]) <= 0.0:
        return None
    broad = width > BROAD_PX
    naive, lstm = series.models["naive"], series.models["lstm"]
    level = [100.0 * value for value in naive]
    ratio = [
        100.0 * (model / reference - 1.0) if reference > 0.0 else 0.0
        for model, reference in zip(lstm, naive, strict=True)
    ]
    top_ticks = ticks(0.0, 1.06 * max(level), 4, lambda v, d: percent(v / 100.0, d))
    low, high = padded(min(0.0, *ratio), max(0.0, *ratio), 0.08)
    low_ticks = ticks(low, high, 4, panel.percent_tick)
    drawing = Drawing(width, 306.0)
    left, right = panel.gutter([*top_ticks, *low_ticks]), width
    upper, lower = Box(left, 24.0, right, 150.0), Box(left, 194.0, right, drawing.height - panel.AXIS_PX)
    days = [day_number(text) for text in series.dates]
    half = (days[-1] - days[0]) / (len(days) - 1) / 2.0
    x = Scale(days[0] - half, days[-1] + half, left, right)
    panel.title(drawing, 0.0, 12.0, "RMSE of naive's return", f"by {series.period}", width)
    y = Scale(0.0, 1.06 * max(level), upper.bottom, upper.top)
    panel.y_axis(drawing, upper, y, top_ticks)
    drawing.path(list(map(x, days)), list(map(y, level)), "naive", 2.0)
    panel.title(drawing, 0.0, 180.0, "RMSE of the LSTM relative to naive", "below zero the error is smaller", width)
    y = Scale(low, high, lower.bottom, lower.top)
    panel.y_axis(drawing, lower, y, low_ticks)
    wide = max(1.0, 0.7 * (right - left) / len(days))
    for number, (at, value) in enumerate(zip(days, ratio, strict=True)):
        when = series.dates[number][: 10 if series.period == "session" else 7]
        hover = (
            f"{when}, {count(series.labels[number])} labels: LSTM "
            f"{percent(lstm[number], 3)}, naive {percent(naive[number], 3)} ({signed(value)})"
        )
        bottom, top = sorted((y(0.0), y(value)))
        drawing.rect(x(at) - wide / 2.0, bottom, wide, max(top - bottom, 0.5), "lstm", title=hover)
    drawing.line(left, y(0.0), right, y(0.0), "naive", 1.4)
    panel.x_axis(drawing, lower, x, date_ticks(days[0], days[-1], 8 if broad else 4))
    return drawing
