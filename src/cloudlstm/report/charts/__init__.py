"""The figures of the report, each from report.json alone, at the width of a page and of a phone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cloudlstm.report.charts import forecast_charts, model_charts, ticker_charts, training_charts
from cloudlstm.report.charts.svg import Drawing

WIDE_PX, NARROW_PX = 760.0, 340.0


@dataclass(frozen=True, slots=True)
class Figure:
    """What is drawn and how it is called.

    Attributes:
        draw: Draws a report at a width in pixels; None when the report has nothing to draw from.
        title: Its name, also shown on hover.
        description: For who cannot see it: what is drawn, and where the numbers stand.
    """

    draw: Callable[[Mapping[str, Any], float], Drawing | None]
    title: str
    description: str


FIGURES = {
    "glance": Figure(
        model_charts.glance, "RMSE of each model relative to naive",
        "Dots with 95% intervals for the RMSE of return and of price; left of the line is better than naive. The "
        "numbers are in the table of tests.",
    ),
    "cumulative": Figure(
        model_charts.cumulative, "Squared error saved against naive",
        "One line a model over the test dates; a rising line gains on naive. The last values are R² out of sample.",
    ),
    "errors": Figure(
        model_charts.errors, "Errors over time",
        "RMSE of the return of LSTM and naive by month, and below it their relative difference.",
    ),
    "paths": Figure(
        forecast_charts.paths, "Forecast against truth by ticker",
        "For each ticker shown: close and forecast for the same date, and below them the return that came and the "
        "forecast return.",
    ),
    "returns": Figure(
        forecast_charts.returns, "Forecast return against the return that came",
        "A sample of labels on one scale for both; then the mean of what came by decile of the forecast, with 95% "
        "intervals. Perfect forecasts lie on the dashed line.",
    ),
    "spread": Figure(
        forecast_charts.spread, "Spread of forecasts and of returns",
        "Histograms of both on one scale, in shares of the labels.",
    ),
    "skill": Figure(
        ticker_charts.skill, "Skill of the LSTM against naive by ticker",
        "Sorted by skill; right of the line is better than naive. The numbers are in the table.",
    ),
    "training": Figure(
        training_charts.training, "Training by epoch",
        "Training and validation loss, the naive level, the untrained network and the epoch whose weights were kept; "
        "learning rate and speed below. The numbers are in the table of epochs.",
    ),
    "timeline": Figure(
        training_charts.timeline, "Timeline of the run",
        "One bar a step from its begin to its end, pale bars for what starts up in between. The numbers are in the "
        "table of steps.",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Plot:
    """A figure at both widths, as inline SVG."""

    wide: str
    narrow: str


def draw_all(report: Mapping[str, Any]) -> dict[str, Plot]:
    """Every figure that the report has data for, by name."""
    plots = {}
    for name, figure in FIGURES.items():
        wide, narrow = figure.draw(report, WIDE_PX), figure.draw(report, NARROW_PX)
        if wide is not None and narrow is not None:
            plots[name] = Plot(
                wide.markup(f"{name}-w", figure.title, figure.description),
                narrow.markup(f"{name}-n", figure.title, figure.description),
            )
    return plots
