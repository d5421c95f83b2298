"""Figures of single forecasts: beside the truth, ticker by ticker and label by label."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloudlstm.report.charts import panel
from cloudlstm.report.charts.panel import BROAD_PX, Box
from cloudlstm.report.charts.scales import Scale, Tick, date_ticks, day, padded, step_of, ticks
from cloudlstm.report.charts.svg import LABEL_PX, TICK_PX, Drawing, extent, fitted
from cloudlstm.text.numbers import count, percent, signed

Report = Mapping[str, Any]

_PANEL_PX, _GAP_PX = 262.0, 26.0


def paths(report: Report, width: float) -> Drawing | None:
    """The last test dates of some tickers: price as it came and as forecast, then the same as returns."""
    shown = report["series"]["paths"]
    if not shown:
        return None
    columns = min(len(shown), 2 if len(shown) in (2, 4) else 3) if width > BROAD_PX else 1
    rows = -(-len(shown) // columns)
    drawing = Drawing(width, 24.0 + rows * _PANEL_PX + (rows - 1) * _GAP_PX)
    panel.legend(
        drawing, 0.0, 12.0,
        [("line", "truth", "close"), ("bar", "truth", "return"), ("line", "lstm", "forecast by the LSTM")],
    )  # fmt: skip
    if width <= BROAD_PX:
        drawing.height += 18.0
    top = drawing.height - rows * _PANEL_PX - (rows - 1) * _GAP_PX
    panel_px = (width - (columns - 1) * _GAP_PX) / columns
    for number, path in enumerate(shown):
        left = number % columns * (panel_px + _GAP_PX)
        above = top + number // columns * (_PANEL_PX + _GAP_PX)
        _path(drawing, Box(left, above, left + panel_px, above + _PANEL_PX), path)
    return drawing


def _path(drawing: Drawing, box: Box, path: Mapping[str, Any]) -> None:
    days = [day(text) for text in path["dates"]]
    prices = {key: path[f"{key}_price"] for key in ("actual", "forecast")}
    returns = {key: [100.0 * value for value in path[f"{key}_return"]] for key in ("actual", "forecast")}
    low, high = padded(min(map(min, prices.values())), max(map(max, prices.values())), 0.05)
    reach = 1.05 * max(max(map(abs, values)) for values in returns.values()) or 1.0
    price_ticks = ticks(low, high, 4, panel.dollar_tick)
    step = step_of(0.0, reach, 1)
    step = step if step <= reach else step / 2.0
    return_ticks = [Tick(value, panel.percent_tick(value, 0 if step >= 1.0 else 2)) for value in (-step, 0.0, step)]
    left = box.left + panel.gutter([*price_ticks, *return_ticks])
    upper = Box(left, box.top + 24.0, box.right, box.top + 142.0)
    lower = Box(left, box.top + 164.0, box.right, box.bottom - panel.AXIS_PX)
    room = box.right - box.left - extent(path["role"], TICK_PX) - 8.0
    name = fitted(path["ticker"], LABEL_PX, room, bold=True)
    whole = "" if name == path["ticker"] else path["ticker"]
    drawing.text(box.left, box.top + 12.0, name, "ink", px=LABEL_PX, bold=True, title=whole)
    drawing.text(box.left + extent(name, LABEL_PX, bold=True) + 8.0, box.top + 12.0, path["role"])
    x = Scale(days[0], days[-1] if len(days) > 1 else days[0] + 1, upper.left + 1.0, upper.right - 1.0)
    xs = [x(value) for value in days]
    y = Scale(low, high, upper.bottom, upper.top)
    panel.y_axis(drawing, upper, y, price_ticks)
    drawing.path(xs, [y(value) for value in prices["actual"]], "truth", 1.3)
    drawing.path(xs, [y(value) for value in prices["forecast"]], "lstm", 1.3)
    y = Scale(-reach, reach, lower.bottom, lower.top)
    panel.y_axis(drawing, lower, y, return_ticks)
    bar = max(0.8, 0.6 * (lower.right - lower.left) / max(len(days), 1))
    drawing.bars(xs, [y(value) for value in returns["actual"]], y(0.0), bar, "truth", 0.5)
    drawing.path(xs, [y(value) for value in returns["forecast"]], "lstm", 1.5)
    panel.x_axis(drawing, lower, x, date_ticks(days[0], x.high, 4), low=box.left, high=box.right)


def returns(report: Report, width: float) -> Drawing | None:
    """Forecast against actual return on one scale, and enlarged: the mean of what came by decile of the forecast."""
    sample, bins = report["series"]["sample"], report["series"]["calibration"]["bins"]
    if len(sample["forecast"]) < 2 or not any(sample["actual"]):
        return None
    broad = width > BROAD_PX
    panel = (width - 40.0) / 2.0 if broad and bins else width
    each = 280.0 if broad else 290.0
    drawing = Drawing(width, each if broad or not bins else 2 * each + 24.0)
    _scatter(drawing, Box(0.0, 0.0, panel, each), sample)
    if bins:
        left, top = (panel + 40.0, 0.0) if broad else (0.0, each + 24.0)
        _deciles(drawing, Box(left, top, left + panel, top + each), bins)
    return drawing


def _scatter(drawing: Drawing, box: Box, sample: Mapping[str, Any]) -> None:
    said, came = ([100.0 * value for value in sample[key]] for key in ("forecast", "actual"))
    reach = 1.05 * max(_inner(said), _inner(came))
    found = ticks(-reach, reach, 5, panel.percent_tick)
    plot = Box(box.left + panel.gutter(found), box.top + 24.0, box.right, box.bottom - panel.AXIS_PX - 16.0)
    x, y = Scale(-reach, reach, plot.left, plot.right), Scale(-reach, reach, plot.bottom, plot.top)
    panel.title(drawing, box.left, box.top + 12.0, "Return that came", "by forecast return", box.right - box.left)
    panel.y_axis(drawing, plot, y, found)
    panel.x_axis(drawing, plot, x, found, low=box.left, high=box.right)
    drawing.line(plot.left, plot.bottom, plot.right, plot.top, "muted", 1.2, "4 3")
    drawing.dots(((x.clamped(a), y.clamped(b)) for a, b in zip(said, came, strict=True)), 3.2, "lstm", 0.55)
    drawing.text(plot.right, box.bottom - 4.0, "forecast return →", anchor="end")


def _inner(values: list[float]) -> float:
    """Where all but the largest half percent end, away from zero."""
    return sorted(abs(value) for value in values)[int(0.995 * (len(values) - 1))] or 1.0


def _deciles(drawing: Drawing, box: Box, bins: list[Mapping[str, Any]]) -> None:
    said, came, error = ([100.0 * row[key] for row in bins] for key in ("forecast", "actual", "error"))
    low, high = padded(
        min(0.0, *(a - b for a, b in zip(came, error, strict=True)), said[0]),
        max(0.0, *(a + b for a, b in zip(came, error, strict=True)), said[-1]), 0.05,
    )  # fmt: skip
    found = ticks(low, high, 5, panel.percent_tick)
    plot = Box(box.left + panel.gutter(found), box.top + 24.0, box.right, box.bottom - panel.AXIS_PX - 16.0)
    first, last = padded(said[0], said[-1], 0.08)
    x, y = Scale(first, last, plot.left, plot.right), Scale(low, high, plot.bottom, plot.top)
    panel.title(drawing, box.left, box.top + 12.0, "Mean that came, by decile", "enlarged", box.right - box.left)
    panel.y_axis(drawing, plot, y, found)
    panel.x_axis(drawing, plot, x, ticks(first, last, 4, panel.percent_tick), low=box.left, high=box.right)
    drawing.line(plot.left, y(0.0), plot.right, y(0.0), "naive", 1.6)
    drawing.line(x(said[0]), y(said[0]), x(said[-1]), y(said[-1]), "muted", 1.2, "4 3")
    for number, (a, b, half, row) in enumerate(zip(said, came, error, bins, strict=True), 1):
        drawing.line(x(a), y(b - half), x(a), y(b + half), "lstm", 1.6)
        drawing.dot(
            x(a), y(b), 4.2, "lstm",
            title=f"decile {number}, {count(row['labels'])} labels: forecast {signed(a, '.3f')} on average, "
            f"{signed(b, '.3f')} ± {percent(half / 100.0, 3)} came",
        )  # fmt: skip
    drawing.text(plot.right, box.bottom - 4.0, "mean forecast return →", anchor="end")


def spread(report: Report, width: float) -> Drawing | None:
    """How far forecasts spread, beside how far returns do, on one scale."""
    series = report["series"]["calibration"]
    edges = [100.0 * value for value in series["edges"]]
    densities = {key: [100.0 * value for value in series[f"{key}_density"]] for key in ("actual", "forecast")}
    most = max(max(values) for values in densities.values())
    if most >= 99.9 and max(densities["actual"]) >= 99.9:
        return None
    drawing = Drawing(width, 190.0)
    room = panel.legend(
        drawing, 0.0, 12.0, [("bar", "truth", "returns that came"), ("bar", "lstm", "forecasts")]
    )  # fmt: skip
    # The forecasts' peak would flatten everything else; shares above the returns' highest by half are cut off.
    cut = min(most, 1.6 * max(densities["actual"]))
    found = ticks(0.0, cut, 3, lambda value, digits: percent(value / 100.0, digits))
    box = Box(panel.gutter(found), room + 8.0, width, drawing.height - panel.AXIS_PX)
    x, y = Scale(edges[0], edges[-1], box.left, box.right), Scale(0.0, cut, box.bottom, box.top)
    panel.y_axis(drawing, box, y, found)
    panel.x_axis(drawing, box, x, ticks(edges[0], edges[-1], 8 if width > BROAD_PX else 4, panel.percent_tick))
    xs = [x(edge) for edge in edges]
    for key, colour in (("actual", "truth"), ("forecast", "lstm")):
        drawing.area(xs, [y.clamped(value) for value in densities[key]], box.bottom, colour, 0.5)
    return drawing
