"""Charts of forecasts against actual values, by ticker and by label."""

from __future__ import annotations

from collections.abc import Sequence

from cloudlstm.report.charts import panel
from cloudlstm.report.charts.panel import BROAD_PX, Box, LegendEntry
from cloudlstm.report.charts.scales import Scale, Tick, date_ticks, moment_number, padded, tick_step, ticks
from cloudlstm.report.charts.svg import LABEL_PX, TICK_PX, Drawing, fit_text, text_width
from cloudlstm.report.models import Calibration, Decile, ForecastPath, Sample
from cloudlstm.text.numbers import count, percent, signed

_PANEL_PX, _GAP_PX = 262.0, 26.0


def forecast_paths(shown: Sequence[ForecastPath], width: float) -> Drawing | None:
    """The last test dates of some tickers: actual and forecast price, and below them the returns."""
    if not shown:
        return None
    columns = min(len(shown), 2 if len(shown) in (2, 4) else 3) if width > BROAD_PX else 1
    rows = -(-len(shown) // columns)
    drawing = Drawing(width, 24.0 + rows * _PANEL_PX + (rows - 1) * _GAP_PX)
    panel.legend(
        drawing, 0.0, 12.0,
        [LegendEntry("band", "actual", "close"), LegendEntry("bar", "actual", "realised return"),
         LegendEntry("line", "lstm", "forecast by the LSTM")],
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


def _path(drawing: Drawing, box: Box, path: ForecastPath) -> None:
    days = [moment_number(text) for text in path.dates]
    prices = (*path.actual_price, *path.forecast_price)
    actual_percent = [100.0 * value for value in path.actual_return]
    forecast_percent = [100.0 * value for value in path.forecast_return]
    low, high = padded(min(prices), max(prices), 0.05)
    limit = 1.05 * max(map(abs, (*actual_percent, *forecast_percent))) or 1.0
    price_ticks = ticks(low, high, 4, panel.dollar_tick)
    step = tick_step(0.0, limit, 1)
    step = step if step <= limit else step / 2.0
    return_ticks = [Tick(value, panel.percent_tick(value, 0 if step >= 1.0 else 2)) for value in (-step, 0.0, step)]
    left = box.left + panel.gutter([*price_ticks, *return_ticks])
    upper = Box(left, box.top + 24.0, box.right, box.top + 142.0)
    lower = Box(left, box.top + 164.0, box.right, box.bottom - panel.AXIS_PX)
    name_px = box.right - box.left - text_width(path.role, TICK_PX) - 8.0
    name = fit_text(path.ticker, LABEL_PX, name_px, bold=True)
    whole = "" if name == path.ticker else path.ticker
    drawing.text(box.left, box.top + 12.0, name, "ink", px=LABEL_PX, bold=True, title=whole)
    drawing.text(box.left + text_width(name, LABEL_PX, bold=True) + 8.0, box.top + 12.0, path.role)
    x = Scale(days[0], days[-1] if len(days) > 1 else days[0] + 1, upper.left + 3.0, upper.right - 3.0)
    xs = [x(value) for value in days]
    y = Scale(low, high, upper.bottom, upper.top)
    panel.y_axis(drawing, upper, y, price_ticks)
    closes = [y(value) for value in path.actual_price]
    drawing.path(xs, closes, "actual", panel.BAND_PX, opacity=panel.BAND_OPACITY)
    drawing.path(xs, [y(value) for value in path.forecast_price], "lstm", 1.6)
    y = Scale(-limit, limit, lower.bottom, lower.top)
    panel.y_axis(drawing, lower, y, return_ticks)
    bar = max(0.8, 0.6 * (lower.right - lower.left) / max(len(days), 1))
    drawing.bars(xs, [y(value) for value in actual_percent], y(0.0), bar, "actual", 0.5)
    drawing.path(xs, [y(value) for value in forecast_percent], "lstm", 1.5)
    panel.x_axis(drawing, lower, x, date_ticks(days[0], x.high, 4), low=box.left, high=box.right)


def returns(sample: Sample, deciles: Sequence[Decile], width: float) -> Drawing | None:
    """Scatter plot of forecast and realised return, and the mean realised return by decile of the forecast."""
    if len(sample.forecast) < 2 or not any(sample.actual):
        return None
    broad = width > BROAD_PX
    panel_px = (width - 40.0) / 2.0 if broad and deciles else width
    each = 280.0 if broad else 290.0
    drawing = Drawing(width, each if broad or not deciles else 2 * each + 24.0)
    _scatter(drawing, Box(0.0, 0.0, panel_px, each), sample)
    if deciles:
        left, top = (panel_px + 40.0, 0.0) if broad else (0.0, each + 24.0)
        _deciles(drawing, Box(left, top, left + panel_px, top + each), deciles)
    return drawing


def _scatter(drawing: Drawing, box: Box, sample: Sample) -> None:
    forecast, actual = ([100.0 * value for value in values] for values in (sample.forecast, sample.actual))
    limit = 1.05 * (_quantile([abs(value) for value in actual], 0.995) or 1.0)
    low, high = padded(min(_quantile(forecast, 0.0025), 0.0), max(_quantile(forecast, 0.9975), 0.0), 0.05)
    found = ticks(-limit, limit, 5, panel.percent_tick)
    plot = Box(box.left + panel.gutter(found), box.top + 24.0, box.right, box.bottom - panel.AXIS_PX - 16.0)
    x, y = Scale(low, high, plot.left, plot.right), Scale(-limit, limit, plot.bottom, plot.top)
    panel.title(drawing, box.left, box.top + 12.0, "Realised return", "by forecast return", box.right - box.left)
    panel.y_axis(drawing, plot, y, found)
    panel.x_axis(drawing, plot, x, ticks(low, high, 4, panel.percent_tick), low=box.left, high=box.right)
    first, last = max(low, -limit), min(high, limit)  # where forecast and realised return are equal
    drawing.line(x(first), y(first), x(last), y(last), "muted", 1.2, "4 3")
    drawing.dots(((x.clamped(a), y.clamped(b)) for a, b in zip(forecast, actual, strict=True)), 3.2, "lstm", 0.55)
    drawing.text(plot.right, box.bottom - 4.0, "forecast return →", anchor="end")


def _quantile(values: list[float], share: float) -> float:
    return sorted(values)[round(share * (len(values) - 1))]


def _deciles(drawing: Drawing, box: Box, deciles: Sequence[Decile]) -> None:
    forecast = [100.0 * row.forecast for row in deciles]
    actual = [100.0 * row.actual for row in deciles]
    error = [100.0 * row.error for row in deciles]
    low, high = padded(
        min(0.0, *(a - b for a, b in zip(actual, error, strict=True)), forecast[0]),
        max(0.0, *(a + b for a, b in zip(actual, error, strict=True)), forecast[-1]), 0.05,
    )  # fmt: skip
    found = ticks(low, high, 5, panel.percent_tick)
    plot = Box(box.left + panel.gutter(found), box.top + 24.0, box.right, box.bottom - panel.AXIS_PX - 16.0)
    first, last = padded(forecast[0], forecast[-1], 0.08)
    x, y = Scale(first, last, plot.left, plot.right), Scale(low, high, plot.bottom, plot.top)
    panel.title(
        drawing, box.left, box.top + 12.0, "Mean realised return", "by decile of the forecast", box.right - box.left
    )
    panel.y_axis(drawing, plot, y, found)
    panel.x_axis(drawing, plot, x, ticks(first, last, 4, panel.percent_tick), low=box.left, high=box.right)
    drawing.line(plot.left, y(0.0), plot.right, y(0.0), "naive", 1.6)
    drawing.line(x(forecast[0]), y(forecast[0]), x(forecast[-1]), y(forecast[-1]), "muted", 1.2, "4 3")
    for number, (a, b, half, row) in enumerate(zip(forecast, actual, error, deciles, strict=True), 1):
        drawing.line(x(a), y(b - half), x(a), y(b + half), "lstm", 1.6)
        drawing.dot(
            x(a), y(b), 4.2, "lstm",
            title=f"decile {number}, {count(row.labels)} labels: mean forecast {signed(a, '.3f')}, "
            f"mean realised return {signed(b, '.3f')} ± {percent(half / 100.0, 3)}",
        )  # fmt: skip
    drawing.text(plot.right, box.bottom - 4.0, "mean forecast return →", anchor="end")


def spread(series: Calibration, width: float) -> Drawing | None:
    """Histograms of forecast and realised returns on one scale."""
    edges = [100.0 * value for value in series.edges]
    actual = [100.0 * value for value in series.actual_density]
    forecast = [100.0 * value for value in series.forecast_density]
    most = max(*actual, *forecast)
    if most >= 99.9 and max(actual) >= 99.9:
        return None
    drawing = Drawing(width, 236.0)
    panel.title(drawing, 0.0, 12.0, "Share of labels", "by return", width)
    legend_px = panel.TITLE_PX + panel.legend(
        drawing, 0.0, 12.0 + panel.TITLE_PX,
        [LegendEntry("bar", "actual", "realised returns"), LegendEntry("bar", "lstm", "forecasts")],
    )  # fmt: skip
    # The peak of the forecasts would flatten the rest: bars are cut at 1.6 times the highest bar of the returns.
    cut = min(most, 1.6 * max(actual))
    found = ticks(0.0, cut, 3, lambda value, digits: percent(value / 100.0, digits))
    box = Box(panel.gutter(found), legend_px + 22.0, width, drawing.height - panel.AXIS_PX - 16.0)
    x, y = Scale(edges[0], edges[-1], box.left, box.right), Scale(0.0, cut, box.bottom, box.top)
    panel.y_axis(drawing, box, y, found)
    panel.x_axis(drawing, box, x, ticks(edges[0], edges[-1], 8 if width > BROAD_PX else 4, panel.percent_tick))
    xs = [x(edge) for edge in edges]
    for density, colour in ((actual, "actual"), (forecast, "lstm")):
        drawing.area(xs, [y.clamped(value) for value in density], box.bottom, colour, 0.5)
    _mark_cut_bars(drawing, box, xs, forecast, cut)
    drawing.text(box.right, drawing.height - 4.0, "return →", anchor="end")
    return drawing


def _mark_cut_bars(drawing: Drawing, box: Box, xs: Sequence[float], shares: Sequence[float], cut: float) -> None:
    """Writes its true height above each group of neighbouring bars that are cut; marks each bar by an arrow."""
    free = -1.0
    over = [share > cut * (1.0 + 1e-9) for share in shares]
    for index in (at for at, cuts in enumerate(over) if cuts and not (at and over[at - 1])):
        end = next((other for other in range(index, len(shares)) if not over[other]), len(shares))
        text, middle = f"↑ {percent(max(shares[index:end]) / 100.0, 1)}", (xs[index] + xs[end]) / 2.0
        half = text_width(text, TICK_PX) / 2.0
        if middle - half >= free:
            drawing.text(middle, box.top - 5.0, text, "lstm", anchor="middle")
            free = middle + half + 8.0
