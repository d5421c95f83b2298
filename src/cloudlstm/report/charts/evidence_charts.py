"""Charts of the evidence: errors by fold, the decile portfolio, and information coefficients over time."""

from __future__ import annotations

import math

from cloudlstm.evaluation.quant_rows import GroupScores, ICSeries, Portfolio
from cloudlstm.report.charts import panel
from cloudlstm.report.charts.model_charts import naive_tick
from cloudlstm.report.charts.panel import BROAD_PX, Box, LegendEntry
from cloudlstm.report.charts.scales import Scale, date_ticks, day_number, padded, ticks
from cloudlstm.report.charts.svg import LABEL_PX, Drawing, text_width
from cloudlstm.report.evidence_models import Evidence
from cloudlstm.text.numbers import minus, p_value, signed, signed_percent


def fold_errors(evidence: Evidence, width: float) -> Drawing | None:
    """RMSE of the return relative to naive by fold, with 95% intervals; None for one fold."""
    rows = [row for fold in evidence.folds for row in fold.scores if row.model == evidence.model]
    if len(rows) < 2 or all(row.difference is None for row in rows):
        return None
    row_px = 24.0
    drawing = Drawing(width, 4.0 + row_px * len(rows) + panel.AXIS_PX)
    names = [f"{row.first[:7]} to {row.last[:7]}" for row in rows]
    texts = [signed_percent(None if row.rmse_ratio is None else row.rmse_ratio - 1.0) for row in rows]
    left = max(text_width(name, LABEL_PX) for name in names) + 14.0
    right = max(text_width(text, LABEL_PX) for text in texts) + 14.0
    box = Box(left, 4.0, width - right, drawing.height - panel.AXIS_PX)
    ends = [end for row in rows for end in _ends(row)]
    low, high = padded(min([0.0, *ends]), max([0.0, *ends]), 0.06)
    x = Scale(low, high, box.left, box.right)
    found = ticks(low, high, 5 if width > BROAD_PX else 3, naive_tick)
    if len(found) < 2:  # naive alone is no scale
        found = ticks(low, high, 4, naive_tick)
    panel.x_axis(drawing, box, x, found, lines=True, low=left)
    drawing.line(x(0.0), box.top, x(0.0), box.bottom, "naive", 1.6)
    for number, (row, name, text) in enumerate(zip(rows, names, texts, strict=True)):
        y = box.top + (number + 0.5) * row_px
        drawing.text(0.0, y + 4.0, name, "ink", px=LABEL_PX)
        drawing.text(width, y + 4.0, text, "ink", px=LABEL_PX, anchor="end")
        if row.rmse_ratio is None:
            continue
        hover = f"{name}: RMSE {text} against naive, DM p {p_value(row.dm_p)}"
        if edges := _ends(row)[1:]:
            start, end = x(edges[0]), x(edges[1])
            drawing.rect(start, y - 2.0, end - start, 4.0, "lstm", opacity=0.4, radius=2.0)
            hover += f", 95% interval {' to '.join(map(signed, edges))}"
        drawing.dot(x(100.0 * (row.rmse_ratio - 1.0)), y, 4.6, "lstm", title=hover)
    return drawing


def _ends(row: GroupScores) -> list[float]:
    """The RMSE against naive in percent, and the ends of its interval if there is one."""
    if row.rmse_ratio is None:
        return []
    found = [100.0 * (row.rmse_ratio - 1.0)]
    if row.low is not None and row.high is not None:
        found += [100.0 * (math.sqrt(max(1.0 + end, 0.0)) - 1.0) for end in (row.low, row.high)]
    return found


def portfolio_chart(portfolio: Portfolio | None, width: float) -> Drawing | None:
    """Sum of the portfolio's returns before and after costs, and below it the drawdown after costs."""
    if portfolio is None or portfolio.sessions < 2:
        return None
    broad = width > BROAD_PX
    gross, net, fall = (
        [100.0 * value for value in series]
        for series in (portfolio.series_gross, portfolio.series_net, portfolio.series_drawdown)
    )
    drawing = Drawing(width, 330.0)
    panel.title(drawing, 0.0, 12.0, "Sum of returns", "percent of one side's capital", width)
    cost = f"after {portfolio.cost_bps:g} basis points a trade"
    top = 32.0 + panel.legend(
        drawing, 0.0, 34.0, [LegendEntry("band", "lstm", "before costs"), LegendEntry("line", "lstm", cost)]
    )
    low, high = padded(min(0.0, *gross, *net), max(0.0, *gross, *net), 0.05)
    upper_ticks = ticks(low, high, 5, panel.percent_tick)
    deepest = min(-0.1, *fall)  # without any fall the axis ends at -0.1 %
    lower_ticks = ticks(1.05 * deepest, 0.0, 3, panel.percent_tick)
    left = panel.gutter([*upper_ticks, *lower_ticks])
    upper, lower = Box(left, top, width, 220.0), Box(left, 252.0, width, drawing.height - panel.AXIS_PX)
    days = [day_number(text) for text in portfolio.series_dates]
    x, y = Scale(days[0], days[-1], left, width), Scale(low, high, upper.bottom, upper.top)
    panel.y_axis(drawing, upper, y, upper_ticks)
    drawing.line(left, y(0.0), width, y(0.0), "naive", 1.4)
    xs = list(map(x, days))
    drawing.path(xs, list(map(y, gross)), "lstm", panel.BAND_PX, opacity=panel.BAND_OPACITY)
    drawing.path(xs, list(map(y, net)), "lstm", 1.8)
    panel.title(drawing, 0.0, 242.0, "Drawdown", "after costs, percent", width)
    y = Scale(1.05 * deepest, 0.0, lower.bottom, lower.top)
    panel.y_axis(drawing, lower, y, lower_ticks)
    drawing.path(xs, list(map(y, fall)), "muted", 1.4)
    panel.x_axis(drawing, lower, x, date_ticks(days[0], days[-1], 8 if broad else 4))
    return drawing


def coefficients(series: ICSeries | None, width: float) -> Drawing | None:
    """RankIC by period as bars, and its rolling mean as a line."""
    if series is None or len(series.dates) < 2:
        return None
    broad = width > BROAD_PX
    drawing = Drawing(width, 210.0)
    panel.title(drawing, 0.0, 12.0, "RankIC", f"by {series.period}", width)
    values = [0.0, *series.rank_ic, *series.rolling_rank_ic]
    low, high = padded(min(values), max(values), 0.06)
    found = ticks(low, high, 5, lambda value, decimals: minus(f"{value:+.{decimals}f}") if abs(value) > 1e-12 else "0")
    box = Box(panel.gutter(found), panel.TITLE_PX + 4.0, width, drawing.height - panel.AXIS_PX)
    days = [day_number(text) for text in series.dates]
    step = (days[-1] - days[0]) / (len(days) - 1)
    x = Scale(days[0] - 0.2 * step, days[-1] + 1.2 * step, box.left, box.right)
    y = Scale(low, high, box.bottom, box.top)
    panel.y_axis(drawing, box, y, found)
    wide = max(1.0, 0.7 * (x(days[0] + step) - x(days[0])))
    for day, value, sessions, text in zip(days, series.rank_ic, series.sessions, series.dates, strict=True):
        bottom, top = sorted((y(0.0), y(value)))
        hover = (
            f"{text[: 10 if series.period == 'session' else 7]}: RankIC {minus(f'{value:+.4f}')} on {sessions} dates"
        )
        drawing.rect(x(day), bottom, wide, max(top - bottom, 0.5), "lstm", opacity=0.5, title=hover)
    rolling = [day_number(text) for text in series.rolling_dates]
    drawing.path(list(map(x.clamped, rolling)), list(map(y, series.rolling_rank_ic)), "ink", 1.4)
    drawing.line(box.left, y(0.0), box.right, y(0.0), "naive", 1.4)
    panel.x_axis(drawing, box, x, date_ticks(days[0], days[-1] + step, 8 if broad else 4))
    return drawing
