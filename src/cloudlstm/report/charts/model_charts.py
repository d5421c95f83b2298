"""Figures of how the models compare: at a glance, and over time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from cloudlstm.report.charts import panel
from cloudlstm.report.charts.panel import BROAD_PX, LABELS, Box
from cloudlstm.report.charts.scales import Scale, date_ticks, day, padded, ticks
from cloudlstm.report.charts.svg import LABEL_PX, TICK_PX, Drawing, extent
from cloudlstm.text.numbers import count, p_value, percent, signed

Report = Mapping[str, Any]

RIVALS = ("lstm", "ridge", "drift")


def glance(report: Report, width: float) -> Drawing | None:
    """RMSE of every model relative to naive, on returns and on price, with the 95% interval of the test."""
    tests = {(row["model"], row["loss"]): row for row in report["dm"] if row["reference"] == "naive"}
    if all(row["difference"] is None for row in tests.values()):
        return None
    broad, row_px = width > BROAD_PX, 28.0
    panel_px = 24.0 + row_px * len(RIVALS) + panel.AXIS_PX
    drawing = Drawing(width, panel_px if broad else 2 * panel_px + 20.0)
    for number, loss in enumerate(("return", "price")):
        left, right = (number * (width + 28.0) / 2.0, (width - 28.0) / 2.0 * (number + 1) + 28.0 * number)
        top = 0.0 if broad else number * (panel_px + 20.0)
        box = Box(left, top, right, top + panel_px) if broad else Box(0.0, top, width, top + panel_px)
        _panel(drawing, box, loss, {model: tests[model, loss] for model in RIVALS if (model, loss) in tests})
    return drawing


def _panel(drawing: Drawing, box: Box, loss: str, tests: Mapping[str, Mapping[str, Any]]) -> None:
    rows = [(model, test, _rmse_percent(test["difference"])) for model, test in tests.items()]
    known = [value for _, _, value in rows if value is not None]
    ends = [edge for _, test, _ in rows for edge in _interval(test)]
    low, high = padded(min([0.0, *known, *ends]), max([0.0, *known, *ends]), 0.06)
    texts = ["–" if value is None else signed(value) for _, _, value in rows]
    p_px = extent("<0.001", LABEL_PX)
    value_px = max(extent("vs naive", TICK_PX), *(extent(text, LABEL_PX, bold=True) for text in texts))
    plot = Box(box.left + 52.0, box.top + 24.0, box.right - p_px - value_px - 28.0, box.bottom - panel.AXIS_PX)
    scale = Scale(low, high, plot.left, plot.right)
    drawing.text(box.left, box.top + 12.0, f"RMSE of {loss}", "ink", px=LABEL_PX, bold=True)
    drawing.text(box.right - p_px - 14.0, box.top + 12.0, "vs naive", anchor="end")
    drawing.text(box.right, box.top + 12.0, "p", anchor="end")
    found = ticks(low, high, 4, panel.against_naive)
    panel.x_axis(drawing, plot, scale, found, lines=True, low=box.left, high=box.right)
    drawing.line(scale(0.0), plot.top, scale(0.0), plot.bottom, "naive", 1.6)
    step = (plot.bottom - plot.top) / max(len(rows), 1)
    for number, ((model, test, value), text) in enumerate(zip(rows, texts, strict=True)):
        y = plot.top + (number + 0.5) * step
        drawing.text(box.left, y + 4.0, LABELS[model], "ink", px=LABEL_PX, bold=model == "lstm")
        drawing.text(box.right - p_px - 14.0, y + 4.0, text, "ink", px=LABEL_PX, anchor="end", bold=model == "lstm")
        drawing.text(box.right, y + 4.0, p_value(test["p"]), "ink", px=LABEL_PX, anchor="end")
        if value is None:
            continue
        said = f"{LABELS[model]}: RMSE of {loss} {text} against naive"
        if edges := _interval(test):
            start, end = map(scale, edges)
            drawing.rect(start, y - 2.0, end - start, 4.0, model, opacity=0.4, radius=2.0)
            said += f", 95% interval {' to '.join(map(signed, edges))}"
        drawing.marker(model, scale(value), y, said)


def _interval(test: Mapping[str, Any]) -> list[float]:
    """Both ends of the 95% interval, nothing where the variance is degenerate."""
    edges = [_rmse_percent(test[end]) for end in ("low", "high")]
    return [edge for edge in edges if edge is not None] if None not in edges else []


def _rmse_percent(mse_share: float | None) -> float | None:
    """A relative difference of mean squares as the percentage by which their roots differ."""
    return None if mse_share is None else 100.0 * (math.sqrt(max(1.0 + mse_share, 0.0)) - 1.0)


def cumulative(report: Report, width: float) -> Drawing | None:
    """Squared return error saved against naive, summed over the test dates (Welch and Goyal 2008)."""
    series = report["series"]["cumulative"]
    if len(series["dates"]) < 2 or not series["models"]:
        return None
    broad = width > BROAD_PX
    lines = {model: [100.0 * value for value in series["models"][model]] for model in RIVALS}
    ends = {model: f"{LABELS[model]} {signed(values[-1])}" for model, values in lines.items()}
    low, high = padded(min(0.0, *map(min, lines.values())), max(0.0, *map(max, lines.values())), 0.04)
    found = ticks(low, high, 5, panel.against_naive)
    drawing = Drawing(width, 260.0 if broad else 240.0)
    box = Box(
        panel.gutter(found), panel.TITLE_PX + 4.0, width - panel.end_room(list(ends.values())),
        drawing.height - panel.AXIS_PX,
    )  # fmt: skip
    panel.title(drawing, 0.0, 12.0, "Squared error saved", "in percent of naive's, up to each date", width)
    days = [day(text) for text in series["dates"]]
    x, y = Scale(days[0], days[-1], box.left, box.right), Scale(low, high, box.bottom, box.top)
    panel.y_axis(drawing, box, y, found)
    panel.x_axis(drawing, box, x, date_ticks(days[0], days[-1], 8 if broad else 4))
    drawing.line(box.left, y(0.0), box.right, y(0.0), "naive", 1.6)
    for model in reversed(RIVALS):
        points = [y(value) for value in lines[model]]
        drawing.path([x(value) for value in days], points, model, 2.2 if model == "lstm" else 1.4)
    panel.end_labels(drawing, box, [(model, y(lines[model][-1]), ends[model]) for model in RIVALS])
    return drawing


def errors(report: Report, width: float) -> Drawing | None:
    """RMSE of the return by month: how large errors are when, and whether the LSTM's are larger than naive's."""
    series = report["series"]["errors"]
    if len(series["dates"]) < 2 or max(series["models"]["naive"]) <= 0.0:
        return None
    broad = width > BROAD_PX
    period, naive, lstm = series["period"], series["models"]["naive"], series["models"]["lstm"]
    shown = {model: [100.0 * value for value in values] for model, values in (("naive", naive), ("lstm", lstm))}
    ratio = [100.0 * (ours / theirs - 1.0) if theirs > 0.0 else 0.0 for ours, theirs in zip(lstm, naive, strict=True)]
    top_ticks = ticks(0.0, 1.06 * max(map(max, shown.values())), 4, lambda v, d: percent(v / 100.0, d))
    low, high = padded(min(0.0, *ratio), max(0.0, *ratio), 0.08)
    low_ticks = ticks(low, high, 4, panel.percent_tick)
    drawing = Drawing(width, 306.0)
    left, right = panel.gutter([*top_ticks, *low_ticks]), width - panel.end_room(["Naive", "LSTM"])
    upper, lower = Box(left, 24.0, right, 150.0), Box(left, 194.0, right, drawing.height - panel.AXIS_PX)
    days = [day(text) for text in series["dates"]]
    half = (days[-1] - days[0]) / (len(days) - 1) / 2.0
    x = Scale(days[0] - half, days[-1] + half, left, right)
    panel.title(drawing, 0.0, 12.0, f"RMSE of return by {period}", "", width)
    y = Scale(0.0, 1.06 * max(map(max, shown.values())), upper.bottom, upper.top)
    panel.y_axis(drawing, upper, y, top_ticks)
    for model, px in (("naive", 4.0), ("lstm", 1.8)):
        drawing.path(
            list(map(x, days)), list(map(y, shown[model])), model, px, opacity=0.5 if model == "naive" else 1.0
        )
    panel.end_labels(drawing, upper, [(model, y(values[-1]), LABELS[model]) for model, values in shown.items()])
    panel.title(drawing, 0.0, 180.0, "LSTM relative to naive", "below zero is better", width)
    y = Scale(low, high, lower.bottom, lower.top)
    panel.y_axis(drawing, lower, y, low_ticks)
    wide = max(1.0, 0.7 * (right - left) / len(days))
    for number, (at, value) in enumerate(zip(days, ratio, strict=True)):
        said = (
            f"{series['dates'][number][:7]}, {count(series['labels'][number])} labels: LSTM "
            f"{percent(lstm[number], 3)}, naive {percent(naive[number], 3)} ({signed(value)})"
        )
        bottom, top = sorted((y(0.0), y(value)))
        drawing.rect(x(at) - wide / 2.0, bottom, wide, max(top - bottom, 0.5), "lstm", title=said)
    drawing.line(left, y(0.0), right, y(0.0), "naive", 1.4)
    panel.x_axis(drawing, lower, x, date_ticks(days[0], days[-1], 8 if broad else 4))
    return drawing
