"""The charts of the report page, each at the width of a page and of a phone.

`svg`, `scales` and `panel` draw and know nothing of the report; `*_charts` take typed parts of the report.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from cloudlstm.report.charts import (
    evidence_charts,
    exogenous_charts,
    forecast_charts,
    model_charts,
    ticker_charts,
    training_charts,
)
from cloudlstm.report.charts.svg import Drawing
from cloudlstm.report.models import Report

WIDE_PX, NARROW_PX = 760.0, 340.0


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart of the report.

    Attributes:
        draw: Draws a report at a width in pixels; returns None if the report has no data for the chart.
        title: Its name, also shown on hover.
        description: For screen readers: what is drawn, and where the numbers are.
    """

    draw: Callable[[Report, float], Drawing | None]
    title: str
    description: str


CHARTS = {
    "comparison": Chart(
        lambda report, width: model_charts.relative_rmse(report.dm, width),
        "RMSE of each model relative to naive",
        "Dots with 95% intervals for the RMSE of return and of price; left of the line the error is smaller than "
        "naive's. The numbers are in the table of tests.",
    ),
    "cumulative": Chart(
        lambda report, width: model_charts.cumulative(report.series.cumulative, width),
        "Squared error saved against naive",
        "One line per model over the test dates; a rising line gains on naive. The last values are R² out of sample.",
    ),
    "errors": Chart(
        lambda report, width: model_charts.errors(report.series.errors, width),
        "Errors over time",
        "RMSE of naive's return by month, quarter or year, and below it the LSTM's relative to naive.",
    ),
    "paths": Chart(
        lambda report, width: forecast_charts.forecast_paths(report.series.paths, width),
        "Forecast and actual price by ticker",
        "For each ticker: close as a pale band and forecast as a thin line for the same date, and below them realised "
        "and forecast return.",
    ),
    "returns": Chart(
        lambda report, width: forecast_charts.returns(report.series.sample, report.series.calibration.bins, width),
        "Realised return by forecast return",
        "A sample of labels, each axis with a scale of its own; then the mean realised return by decile of the "
        "forecast, with 95% intervals. Perfect forecasts are on the dashed line.",
    ),
    "spread": Chart(
        lambda report, width: forecast_charts.spread(report.series.calibration, width),
        "Spread of forecasts and of returns",
        "Histograms of both on one scale, in percent of the labels. An arrow marks a peak that is cut, with its "
        "height.",
    ),
    "skill": Chart(
        lambda report, width: ticker_charts.skill(report.per_ticker, report.series.skill, width),
        "Skill of the LSTM against naive by ticker",
        "Sorted by skill, with 95% intervals; right of the line the error is smaller than naive's. The numbers are in "
        "the table.",
    ),
    "folds": Chart(
        lambda report, width: evidence_charts.fold_errors(report.evidence, width),
        "RMSE relative to naive by fold",
        "Dots with 95% intervals, one row per fold; left of the line the error is smaller than naive's. The numbers "
        "are in the table of folds.",
    ),
    "portfolio": Chart(
        lambda report, width: evidence_charts.portfolio_chart(report.evidence.portfolio, width),
        "Returns of the decile portfolio",
        "Sum of returns before and after costs by date, and the drawdown below. The means are in the table.",
    ),
    "coefficients": Chart(
        lambda report, width: evidence_charts.coefficients(report.evidence.coefficients, width),
        "RankIC over time",
        "Bars by month, quarter or year, and a rolling mean. The mean is in the table of results.",
    ),
    "ablation": Chart(
        lambda report, width: exogenous_charts.ablation(report.exogenous, width),
        "Squared error with groups of features against without",
        "Dots with 95% intervals, one row per group of columns; left of the line the error is smaller with them. The "
        "numbers are in the table of groups.",
    ),
    "correlations": Chart(
        lambda report, width: exogenous_charts.correlations(report.exogenous, width),
        "Rank correlation of features with the same day's and the next return",
        "A ring for the same day's return and a dot for the next one, one row per feature. The numbers are in the "
        "table of correlations.",
    ),
    "importance": Chart(
        lambda report, width: exogenous_charts.importance(report.exogenous, width),
        "Permutation importance of features",
        "Bars by feature, the largest first, with a line from the smallest to the largest repetition; pale bars are "
        "features of bars. The numbers are in the table of importance.",
    ),
    "training": Chart(
        lambda report, width: training_charts.loss_by_epoch(report.training, width),
        "Training by epoch",
        "Training and validation loss, the naive level, the untrained network and the epoch whose weights were kept; "
        "learning rate and speed below. The numbers are in the table of epochs.",
    ),
    "timeline": Chart(
        lambda report, width: training_charts.timeline_chart(report.timeline, report.steps, width),
        "Timeline of the run",
        "One bar per step from its begin to its end, pale bars for start-up in between. The numbers are in the table "
        "of steps.",
    ),
}


@dataclass(frozen=True, slots=True)
class Plot:
    """A chart at both widths, as inline SVG, and what it shows, in words."""

    wide: str
    narrow: str
    caption: str


def at_both_widths(name: str, title: str, caption: str, draw: Callable[[float], Drawing | None]) -> Plot | None:
    """A chart at the width of a page and of a phone; None without data.

    Args:
        name: Its name, unique on the page.
        title: Its title for screen readers.
        caption: What it shows, in words.
        draw: Draws it at a width in pixels; returns None without data.
    """
    wide, narrow = draw(WIDE_PX), draw(NARROW_PX)
    if wide is None or narrow is None:
        return None
    return Plot(wide.markup(f"{name}-w", title, caption), narrow.markup(f"{name}-n", title, caption), caption)


def draw_all(report: Report) -> dict[str, Plot]:
    """Every chart that the report has data for, by name."""
    found = {
        name: at_both_widths(name, chart.title, chart.description, partial(chart.draw, report))
        for name, chart in CHARTS.items()
    }
    return {name: plot for name, plot in found.items() if plot}
