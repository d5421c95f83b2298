"""The figures of the report, each from the figures in report.json alone, at the width of a page and of a phone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cloudlstm.evaluation.svg import COLOURS, figure, inline, style

WIDE_PX, NARROW_PX = 760.0, 340.0
MARKERS = {"naive": "s", "drift": "D", "ridge": "^", "lstm": "o"}
LABELS = {"naive": "naive", "drift": "drift", "ridge": "ridge", "lstm": "LSTM"}

Report = Mapping[str, Any]
Draw = Callable[[Report, float], Any]
"""Draws a report's figure at a width; None when the report has nothing to draw it from."""


@dataclass(frozen=True, slots=True)
class Plot:
    """A figure at both widths, as inline SVG."""

    wide: str
    narrow: str


def draw_all(report: Report) -> dict[str, Plot]:
    """Every figure that the report has data for, by name."""
    plots = {}
    with style():
        for name, draw in DRAWINGS.items():
            drawn = {width: draw(report, width) for width in (WIDE_PX, NARROW_PX)}
            if all(drawn.values()):
                plots[name] = Plot(
                    inline(drawn[WIDE_PX], f"{name}-w"), inline(drawn[NARROW_PX], f"{name}-n")
                )  # fmt: skip
    return plots


def _legend_above(axes: Any, width: float, columns: int = 4) -> None:
    axes.legend(
        loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=columns if width > 500 else min(columns, 3),
        borderaxespad=0.2, handlelength=1.4, columnspacing=1.2, borderpad=0.0,
    )  # fmt: skip


def _dates(texts: list[str]) -> Any:
    from matplotlib.dates import date2num

    return date2num([dt.date.fromisoformat(text) for text in texts])


def _date_axis(axis: Any, *, ticks: int) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=2, maxticks=ticks)
    axis.set_major_locator(locator)
    axis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))


def _no_spine(axes: Any, *sides: str) -> None:
    for side in sides:
        axes.spines[side].set_visible(False)


def glance(report: Report, width: float) -> Any:
    """RMSE of every model relative to naive, on returns and on price, with the 95 % interval of the test."""
    losses = (("return", "RMSE of return"), ("price", "RMSE of price"))
    tests = {(row["model"], row["loss"]): row for row in report["dm"] if row["reference"] == "naive"}
    models = [row["model"] for row in report["models"] if row["model"] != "naive"]
    models = [model for model in ("lstm", "ridge", "drift") if model in models]
    if not tests:
        return None
    wide = width > 500
    drawing = figure(width, 190 if wide else 330)
    panels = np.atleast_1d(drawing.subplots(1, 2, sharey=True) if wide else drawing.subplots(2, 1, sharex=True))
    for axes, (loss, title) in zip(panels, losses, strict=True):
        axes.axvline(0.0, color=COLOURS["naive"], linewidth=1.6, zorder=1)
        for height, model in enumerate(reversed(models)):
            test = tests.get((model, loss))
            if test is None or test["difference"] is None:
                continue
            # A ratio of mean squares becomes one of roots.
            ends = [None if test[end] is None else _rmse_percent(test[end]) for end in ("low", "high")]
            colour, at = COLOURS[model], _rmse_percent(test["difference"])
            if ends[0] is not None and ends[1] is not None:
                axes.plot(ends, [height, height], color=colour, linewidth=3.0, alpha=0.45, zorder=2)
            axes.plot([at], [height], MARKERS[model], color=colour, markersize=9, zorder=3)
            axes.annotate(
                f"{at:+.2f} %", (at, height), xytext=(0, 8), textcoords="offset points", ha="center", va="bottom",
                fontsize=11,
            )  # fmt: skip
        axes.set_title(title)
        axes.set_yticks(range(len(models)), [LABELS[model] for model in reversed(models)])
        axes.tick_params(axis="y", labelcolor=COLOURS["ink"])
        axes.set_ylim(-0.6, len(models) - 0.25)
        axes.grid(visible=False, axis="y")
        _no_spine(axes, "left", "bottom")
        axes.margins(x=0.16)
        axes.locator_params(axis="x", nbins=5)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:+.3g} %" if value else "naive")
        if wide or loss == "price":
            axes.set_xlabel("← better than naive · worse →")
    return drawing


def _rmse_percent(mse_share: float) -> float:
    return 100.0 * (float(np.sqrt(max(1.0 + mse_share, 0.0))) - 1.0)


def cumulative(report: Report, width: float) -> Any:
    """Squared return error saved against naive, summed over the test dates (Welch and Goyal 2008)."""
    series = report["series"]["cumulative"]
    if len(series["dates"]) < 2:
        return None
    drawing = figure(width, 270 if width > 500 else 250)
    axes = drawing.subplots()
    dates = _dates(series["dates"])
    axes.axhline(0.0, color=COLOURS["naive"], linewidth=1.6)
    for model in ("drift", "ridge", "lstm"):
        if model in series["models"]:
            values = 100.0 * np.asarray(series["models"][model])
            axes.plot(dates, values, color=COLOURS[model], label=LABELS[model], linewidth=2.2 if model == "lstm" else 1.5)
    _date_axis(axes.xaxis, ticks=8 if width > 500 else 5)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:+.3g} %" if value else "naive")
    axes.locator_params(axis="y", nbins=6)
    axes.grid(visible=False, axis="x")
    axes.margins(x=0.01)
    _no_spine(axes, "left")
    _legend_above(axes, width)
    return drawing


def paths(report: Report, width: float) -> Any:
    """The last test dates of some tickers: price as it came and as forecast, then the same as returns."""
    shown = report["series"]["paths"]
    if not shown:
        return None
    wide = width > 500
    columns, rows = (len(shown), 2) if wide else (1, 2 * len(shown))
    drawing = figure(width, 360 if wide else 235 * len(shown))
    heights = [1.6, 1.0] if wide else [1.6, 1.0] * len(shown)
    panels = np.asarray(drawing.subplots(rows, columns, squeeze=False, height_ratios=heights))
    for number, path in enumerate(shown):
        upper, lower = (panels[0, number], panels[1, number]) if wide else panels[2 * number : 2 * number + 2, 0]
        dates = _dates(path["dates"])
        upper.plot(dates, path["actual_price"], color=COLOURS["truth"], linewidth=1.4, label="close")
        upper.plot(dates, path["forecast_price"], color=COLOURS["lstm"], linewidth=1.4, alpha=0.9, label="LSTM")
        upper.set_title(f"{path['ticker']}  {path['role']}")
        upper.set_xticklabels([])
        actual, forecast = (100.0 * np.asarray(path[key]) for key in ("actual_return", "forecast_return"))
        lower.bar(dates, actual, width=1.0, color=COLOURS["truth"], alpha=0.45, linewidth=0)
        lower.plot(dates, forecast, color=COLOURS["lstm"], linewidth=1.6)
        reach = 1.05 * max(float(np.abs(np.r_[actual, forecast]).max()), 1e-9)
        lower.set_ylim(-reach, reach)
        for axes in (upper, lower):
            axes.grid(visible=False, axis="x")
            axes.margins(x=0.01)
            _no_spine(axes, "left", "bottom")
            axes.locator_params(axis="y", nbins=4)
            _date_axis(axes.xaxis, ticks=4)
        upper.tick_params(axis="x", labelbottom=False)
        upper.yaxis.set_major_formatter(lambda value, _: f"${value:,.0f}" if value >= 10 else f"${value:,.2f}")
        lower.yaxis.set_major_formatter(lambda value, _: f"{value:+.3g} %" if value else "0")
    if wide:
        handles, labels = panels[0, 0].get_legend_handles_labels()
        drawing.legend(handles, labels, loc="outside upper left", ncols=2, handlelength=1.4, borderpad=0.0)
    else:
        panels[0, 0].legend(loc="best", ncols=2, handlelength=1.2)
    return drawing


def skill(report: Report, width: float) -> Any:
    """The LSTM's skill on price, ticker by ticker; a histogram where there are many."""
    rows = [row for row in report["per_ticker"] if row["model"] == "lstm" and row["skill"] is not None]
    if not rows:
        return None
    if len(rows) > 40:
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
            f"{value:+.2f} %", (value, height), xytext=(5 if value >= 0 else -5, 0), textcoords="offset points",
            ha="left" if value >= 0 else "right", va="center", fontsize=11,
        )  # fmt: skip
    axes.axvline(0.0, color=COLOURS["naive"], linewidth=1.6)
    axes.set_yticks(heights, [row["ticker"] for row in rows])
    axes.tick_params(axis="y", labelcolor=COLOURS["ink"])
    axes.set_ylim(-0.7, len(rows) - 0.3)
    reach = float(np.abs(values).max()) or 1.0
    room = 0.28 if width > 500 else 0.5
    axes.set_xlim(min(float(values.min()), 0.0) - room * reach, max(float(values.max()), 0.0) + room * reach)
    _percent_axis(axes)
    return drawing


def _percent_axis(axes: Any) -> None:
    axes.grid(visible=False, axis="y")
    _no_spine(axes, "left", "bottom")
    axes.locator_params(axis="x", nbins=5)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:+.3g} %" if value else "naive")
    axes.set_xlabel("← worse than naive · better →")


def _skill_histogram(values: Any, width: float) -> Any:
    # A handful of illiquid tickers can be off by orders of magnitude: they are counted in the outermost bars.
    low, high = np.quantile(values, [0.01, 0.99])
    reach = float(max(abs(low), abs(high), 1e-9))
    clipped = 100.0 * np.clip(values, -reach, reach)
    counts, edges = np.histogram(clipped, bins=40, range=(-100.0 * reach, 100.0 * reach))
    drawing = figure(width, 250)
    axes = drawing.subplots()
    colours = [COLOURS["good"] if edge >= 0 else COLOURS["bad"] for edge in edges[:-1]]
    axes.bar(edges[:-1], counts, width=np.diff(edges) * 0.9, align="edge", color=colours, linewidth=0)
    axes.axvline(0.0, color=COLOURS["naive"], linewidth=1.6)
    axes.set_ylabel("tickers")
    _percent_axis(axes)
    axes.grid(visible=True, axis="y")
    axes.grid(visible=False, axis="x")
    return drawing


def calibration(report: Report, width: float) -> Any:
    """Deciles of the forecast: what was forecast against what came; then how far forecasts and returns spread."""
    series = report["series"]["calibration"]
    if not series["bins"]:
        return None
    wide = width > 500
    drawing = figure(width, 300 if wide else 540)
    left, right = drawing.subplots(1, 2) if wide else drawing.subplots(2, 1)
    forecast, actual, error = (
        100.0 * np.asarray([row[key] for row in series["bins"]]) for key in ("forecast", "actual", "error")
    )
    left.axhline(0.0, color=COLOURS["naive"], linewidth=1.2)
    span = np.asarray([forecast.min(), forecast.max()])
    left.plot(span, span, color=COLOURS["muted"], linewidth=1.2, linestyle=(0, (4, 3)), label="perfectly calibrated")
    left.vlines(forecast, actual - error, actual + error, color=COLOURS["lstm"], linewidth=2.0, alpha=0.45)
    left.plot(forecast, actual, "o", color=COLOURS["lstm"], markersize=7, label="decile of forecasts")
    left.set_xlabel("mean forecast return")
    left.set_ylabel("mean return that came")
    _legend_above(left, width, 2)
    for axis in (left.xaxis, left.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:+.3g} %" if value else "0")
    left.locator_params(nbins=5)
    edges = 100.0 * np.asarray(series["edges"])
    for key, colour, label in (("actual_density", "truth", "returns that came"), ("forecast_density", "lstm", "forecasts")):
        density = np.asarray(series[key])
        right.stairs(density, edges, color=COLOURS[colour], fill=True, alpha=0.28, linewidth=0)
        right.stairs(density, edges, color=COLOURS[colour], linewidth=1.6, label=label)
    right.set_yscale("log")
    right.set_ylim(bottom=0.5 * min(share for share in (*series["actual_density"], *series["forecast_density"]) if share))
    right.set_ylabel("share of labels, log scale")
    right.set_xlabel("return")
    right.minorticks_off()
    right.xaxis.set_major_formatter(lambda value, _: f"{value:+.3g} %" if value else "0")
    right.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g} %")
    right.locator_params(axis="x", nbins=5)
    right.grid(visible=False, axis="x")
    _no_spine(right, "left")
    _no_spine(left, "left", "bottom")
    _legend_above(right, width, 2)
    return drawing


def training(report: Report, width: float) -> Any:
    """Loss by epoch on the training and validation windows, and the epoch whose weights were kept."""
    history = [row for row in report["training"]["history"] if row["loss"] is not None]
    if not history:
        return None
    drawing = figure(width, 270 if width > 500 else 250)
    axes = drawing.subplots()
    epochs = [row["epoch"] for row in history]
    axes.plot(epochs, [row["loss"] for row in history], "o-", color=COLOURS["muted"], markersize=4, label="training")
    checked = [row for row in history if row["val_loss"] is not None]
    if checked:
        axes.plot(
            [row["epoch"] for row in checked], [row["val_loss"] for row in checked], "o-", color=COLOURS["lstm"],
            markersize=4, label="validation",
        )  # fmt: skip
    if report["training"]["naive_val_loss"] is not None:
        axes.axhline(
            report["training"]["naive_val_loss"], color=COLOURS["naive"], linestyle=(0, (4, 3)), label="naive, validation"
        )
    best = report["training"]["best_epoch"]
    kept = [row for row in checked if row["epoch"] == best]
    if kept:
        axes.plot(
            [best], [kept[0]["val_loss"]], "o", color=COLOURS["lstm"], markersize=12, markerfacecolor="none",
            markeredgewidth=2, label="kept",
        )  # fmt: skip
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel("epoch")
    axes.set_ylabel("mean squared error, normalised")
    axes.grid(visible=False, axis="x")
    _no_spine(axes, "left")
    _legend_above(axes, width)
    return drawing


def steps(report: Report, width: float) -> Any:
    """Seconds of every step, one after the other, with its rate."""
    rows = [row for row in report["steps"] if row["seconds"] is not None]
    if not rows:
        return None
    drawing = figure(width, 50 + 30 * len(rows))
    axes = drawing.subplots()
    begins = np.cumsum([0.0, *(row["seconds"] for row in rows)])
    total = float(begins[-1]) or 1.0
    for number, (row, begin) in enumerate(zip(rows, begins, strict=False)):
        height = len(rows) - 1 - number
        colour = COLOURS["lstm" if row["step"] == "train" else "ridge"]
        axes.barh([height], [max(row["seconds"], 0.004 * total)], left=[begin], height=0.56, color=colour, linewidth=0)
        text = seconds_text(row["seconds"])
        if row["rate"] is not None:
            text += f" · {amount(row['rate'])} {row['unit']}/s"
        after = begin + row["seconds"] < 0.55 * total
        axes.annotate(
            text, (begin + row["seconds"] if after else begin, height), xytext=(6 if after else -6, 0),
            textcoords="offset points", ha="left" if after else "right", va="center", fontsize=11,
        )  # fmt: skip
    axes.set_yticks(range(len(rows)), [row["step"] for row in reversed(rows)])
    axes.tick_params(axis="y", labelcolor=COLOURS["ink"])
    axes.set_xlim(0.0, 1.04 * total)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.grid(visible=False, axis="y")
    _no_spine(axes, "left", "bottom")
    axes.locator_params(axis="x", nbins=5)
    axes.xaxis.set_major_formatter(lambda value, _: seconds_text(value))
    return drawing


def seconds_text(seconds: float) -> str:
    """Seconds as 3.2 s, 42 s, 7 min 05 s or 2 h 10 min."""
    if seconds < 10:
        return f"{seconds:.1f} s" if seconds else "0 s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def amount(number: float) -> str:
    """A count in few characters: 950, 12.3 k, 3.77 M."""
    for limit, divisor, suffix in ((1e3, 1.0, ""), (1e6, 1e3, " k"), (1e9, 1e6, " M")):
        if abs(number) < limit:
            return f"{number / divisor:.3g}{suffix}" if suffix or number < 100 else f"{number:.0f}"
    return f"{number / 1e9:.3g} G"


DRAWINGS: dict[str, Draw] = {
    "glance": glance,
    "cumulative": cumulative,
    "paths": paths,
    "skill": skill,
    "calibration": calibration,
    "training": training,
    "steps": steps,
}
