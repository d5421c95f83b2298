"""Figures of how good the forecasts are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from cloudlstm.evaluation import axes as common
from cloudlstm.evaluation.axes import BROAD_PX, LABELS, MARKERS, signed
from cloudlstm.evaluation.svg import COLOURS, figure

MANY_TICKERS = 40
"""More tickers than this are shown as a histogram."""

Report = Mapping[str, Any]
FloatArray = npt.NDArray[np.float64]


def glance(report: Report, width: float) -> Any:
    """RMSE of every model relative to naive, on returns and on price, with the 95% interval of the test."""
    tests = {(row["model"], row["loss"]): row for row in report["dm"] if row["reference"] == "naive"}
    models = [model for model in ("drift", "ridge", "lstm") if (model, "return") in tests]
    if not models:
        return None
    broad = width > BROAD_PX
    drawing = figure(width, 200 if broad else 350)
    panels = drawing.subplots(1, 2, sharey=True) if broad else drawing.subplots(2, 1, sharex=True)
    for axes, loss in zip(panels, ("return", "price"), strict=True):
        common.zero_line(axes, upright=True)
        for height, model in enumerate(models):
            _interval(axes, height, model, tests[model, loss])
        axes.set_title(f"RMSE of {loss}")
        axes.set_yticks(range(len(models)), [LABELS[model] for model in models])
        axes.tick_params(axis="y", labelcolor=COLOURS["ink"])
        axes.set_ylim(-0.6, len(models) - 0.25)
        axes.grid(visible=False, axis="y")
        common.hide_spines(axes, "left", "bottom")
        axes.margins(x=0.14)
        axes.locator_params(axis="x", nbins=5)
        common.percent_ticks(axes.xaxis, "naive")
        if broad or loss == "price":
            axes.set_xlabel("← better than naive · worse →")
    return drawing


def _interval(axes: Any, height: int, model: str, test: Mapping[str, Any]) -> None:
    if test["difference"] is None:
        return
    at, colour = _rmse_percent(test["difference"]), COLOURS[model]
    if test["low"] is not None and test["high"] is not None:
        ends = [_rmse_percent(test["low"]), _rmse_percent(test["high"])]
        axes.plot(ends, [height, height], color=colour, linewidth=3.0, alpha=0.45, zorder=2)
    axes.plot([at], [height], MARKERS[model], color=colour, markersize=9, zorder=3)
    axes.annotate(
        signed(at), (at, height), xytext=(0, 9), textcoords="offset points", ha="center", va="bottom", fontsize=11,
        bbox={"facecolor": COLOURS["surface"], "edgecolor": "none", "pad": 0.5},
    )  # fmt: skip


def _rmse_percent(mse_share: float) -> float:
    """A relative difference of mean squares as the percentage by which their roots differ."""
    return 100.0 * (float(np.sqrt(max(1.0 + mse_share, 0.0))) - 1.0)


def cumulative(report: Report, width: float) -> Any:
    """Squared return error saved against naive, summed over the test dates (Welch and Goyal 2008)."""
    series = report["series"]["cumulative"]
    if len(series["dates"]) < 2 or not series["models"]:
        return None
    drawing = figure(width, 280 if width > BROAD_PX else 260)
    axes = drawing.subplots()
    days = common.dates(series["dates"])
    common.zero_line(axes)
    for model in ("drift", "ridge", "lstm"):
        axes.plot(
            days, 100.0 * np.asarray(series["models"][model]), color=COLOURS[model], label=LABELS[model],
            linewidth=2.2 if model == "lstm" else 1.5,
        )  # fmt: skip
    common.date_ticks(axes.xaxis, at_most=8 if width > BROAD_PX else 5)
    axes.locator_params(axis="y", nbins=6)
    common.percent_ticks(axes.yaxis, "naive")
    axes.grid(visible=False, axis="x")
    axes.margins(x=0.01)
    common.hide_spines(axes, "left")
    common.legend_above(axes, width, 3)
    return drawing


def paths(report: Report, width: float) -> Any:
    """The last test dates of some tickers: price as it came and as forecast, then the same as returns."""
    shown = report["series"]["paths"]
    if not shown:
        return None
    broad = width > BROAD_PX
    columns, rows = (len(shown), 1) if broad else (1, len(shown))
    drawing = figure(width, 370 if broad else 30 + 235 * len(shown))
    drawing.get_layout_engine().set(h_pad=0.08, w_pad=0.06)
    panels = drawing.subplots(2 * rows, columns, squeeze=False, height_ratios=[1.6, 1.0] * rows)
    for number, path in enumerate(shown):
        upper, lower = (panels[0, number], panels[1, number]) if broad else panels[2 * number : 2 * number + 2, 0]
        _path(upper, lower, path)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    drawing.legend(handles, labels, loc="outside upper left", ncols=2, handlelength=1.4, borderpad=0.2)
    return drawing


def _path(upper: Any, lower: Any, path: Mapping[str, Any]) -> None:
    days = common.dates(path["dates"])
    upper.plot(days, path["actual_price"], color=COLOURS["truth"], linewidth=1.4, label="came")
    upper.plot(days, path["forecast_price"], color=COLOURS["lstm"], linewidth=1.4, label="forecast by the LSTM")
    upper.set_title(f"{path['ticker']} · {path['role']}")
    actual, forecast = (100.0 * np.asarray(path[key]) for key in ("actual_return", "forecast_return"))
    lower.bar(days, actual, width=1.0, color=COLOURS["truth"], alpha=0.45, linewidth=0)
    lower.plot(days, forecast, color=COLOURS["lstm"], linewidth=1.6)
    reach = 1.05 * max(float(np.abs(np.r_[actual, forecast]).max()), 1e-9)
    lower.set_ylim(-reach, reach)
    for axes in (upper, lower):
        axes.grid(visible=False, axis="x")
        axes.margins(x=0.01)
        common.hide_spines(axes, "left", "bottom")
        axes.locator_params(axis="y", nbins=4)
        common.date_ticks(axes.xaxis, at_most=4)
    upper.tick_params(axis="x", labelbottom=False)
    upper.yaxis.set_major_formatter(lambda value, _: f"${value:,.0f}" if abs(value) >= 10 else f"${value:,.2f}")
    common.percent_ticks(lower.yaxis)


def skill(report: Report, width: float) -> Any:
    """The LSTM's skill on price, ticker by ticker; a histogram where there are many."""
    rows = [row for row in report["per_ticker"] if row["model"] == "lstm" and row["skill"] is not None]
    if not rows:
        return None
    if len(rows) > MANY_TICKERS:
        return _skill_histogram(np.asarray([row["skill"] for row in rows]), width)
    rows = sorted(rows, key=lambda row: (row["skill"], row["ticker"]))
    values = 100.0 * np.asarray([row["skill"] for row in rows])
    drawing = figure(width, 66 + 22 * len(rows))
    axes = drawing.subplots()
    heights = np.arange(len(rows))
    colours = [COLOURS["good"] if value > 0 else COLOURS["bad"] for value in values]
    axes.barh(heights, values, height=0.62, color=colours, linewidth=0)
    for height, value in zip(heights, values, strict=True):
        axes.annotate(
            signed(value), (value, height), xytext=(5 if value >= 0 else -5, 0), textcoords="offset points",
            ha="left" if value >= 0 else "right", va="center", fontsize=11,
        )  # fmt: skip
    axes.set_yticks(heights, [row["ticker"] for row in rows])
    axes.tick_params(axis="y", labelcolor=COLOURS["ink"])
    axes.set_ylim(-0.7, len(rows) - 0.3)
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    # Room for the figures beside the bars, on the sides that have bars.
    room = (0.12 if width > BROAD_PX else 0.36) * max(high - low, 1e-9)
    axes.set_xlim(low - (room if low < 0 else 0.1 * room), high + (room if high > 0 else 0.1 * room))
    _skill_axis(axes)
    return drawing


def _skill_axis(axes: Any) -> None:
    common.zero_line(axes, upright=True)
    axes.grid(visible=False, axis="y")
    common.hide_spines(axes, "left", "bottom")
    axes.locator_params(axis="x", nbins=5)
    common.percent_ticks(axes.xaxis, "naive")
    axes.set_xlabel("← worse than naive · better →")


def _skill_histogram(values: FloatArray, width: float) -> Any:
    # A handful of illiquid tickers can be off by orders of magnitude: they are counted in the outermost bars.
    reach = 100.0 * float(max(np.abs(np.quantile(values, [0.01, 0.99])).max(), 1e-9))
    counts, edges = np.histogram(np.clip(100.0 * values, -reach, reach), bins=40, range=(-reach, reach))
    drawing = figure(width, 260)
    axes = drawing.subplots()
    colours = [COLOURS["good"] if middle > 0 else COLOURS["bad"] for middle in (edges[:-1] + edges[1:]) / 2.0]
    axes.bar(edges[:-1], counts, width=np.diff(edges) * 0.88, align="edge", color=colours, linewidth=0)
    axes.set_ylabel("tickers")
    axes.margins(x=0.01)
    _skill_axis(axes)
    axes.grid(visible=True, axis="y")
    axes.grid(visible=False, axis="x")
    return drawing


def calibration(report: Report, width: float) -> Any:
    """Deciles of the forecast: what was forecast against what came; then how far forecasts and returns spread."""
    series = report["series"]["calibration"]
    if not series["bins"]:
        return None
    broad = width > BROAD_PX
    drawing = figure(width, 310 if broad else 580)
    drawing.get_layout_engine().set(w_pad=0.12, h_pad=0.12)
    left, right = drawing.subplots(1, 2) if broad else drawing.subplots(2, 1)
    _deciles(left, series["bins"])
    _distributions(right, series)
    for axes in (left, right):
        common.legend_above(axes, width, 2)
    return drawing


def _deciles(axes: Any, bins: list[Mapping[str, Any]]) -> None:
    forecast, actual, error = (
        100.0 * np.asarray([row[key] for row in bins]) for key in ("forecast", "actual", "error")
    )  # fmt: skip
    common.zero_line(axes)
    span = np.asarray([forecast.min(), forecast.max()])
    axes.plot(span, span, color=COLOURS["muted"], linewidth=1.2, linestyle=(0, (4, 3)), label="calibrated")
    axes.vlines(forecast, actual - error, actual + error, color=COLOURS["lstm"], linewidth=2.0, alpha=0.45)
    axes.plot(forecast, actual, "o", color=COLOURS["lstm"], markersize=7, label="decile of forecasts")
    axes.set_xlabel("mean forecast return")
    axes.set_ylabel("mean return that came")
    axes.locator_params(nbins=5)
    for axis in (axes.xaxis, axes.yaxis):
        common.percent_ticks(axis)
    common.hide_spines(axes, "left", "bottom")


def _distributions(axes: Any, series: Mapping[str, Any]) -> None:
    edges = 100.0 * np.asarray(series["edges"])
    densities = {key: np.asarray(series[f"{key}_density"]) for key in ("actual", "forecast")}
    for key, colour, label in (("actual", "truth", "returns that came"), ("forecast", "lstm", "forecasts")):
        axes.stairs(densities[key], edges, color=COLOURS[colour], fill=True, alpha=0.28, linewidth=0)
        axes.stairs(densities[key], edges, color=COLOURS[colour], linewidth=1.6, label=label)
    axes.set_yscale("log")
    axes.set_ylim(bottom=0.5 * min(float(density[density > 0].min()) for density in densities.values()))
    axes.set_xlabel("return")
    axes.set_ylabel("share of labels, log scale")
    axes.minorticks_off()
    axes.locator_params(axis="x", nbins=5)
    common.percent_ticks(axes.xaxis)
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g}%")
    axes.grid(visible=False, axis="x")
    common.hide_spines(axes, "left")
