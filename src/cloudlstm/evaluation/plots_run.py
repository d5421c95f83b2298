"""Figures of how the run went."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cloudlstm.evaluation import axes as common
from cloudlstm.evaluation.axes import BROAD_PX, amount, seconds_text
from cloudlstm.evaluation.svg import COLOURS, figure

Report = Mapping[str, Any]


def training(report: Report, width: float) -> Any:
    """Loss by epoch on the training and validation windows, and the epoch whose weights were kept."""
    known = report["training"]
    history = known["history"]
    fitted = {row["epoch"]: row["train_loss"] for row in history if row["train_loss"] is not None}
    checked = {row["epoch"]: row["validation_loss"] for row in history if row["validation_loss"] is not None}
    if not fitted:
        return None
    drawing = figure(width, 280 if width > BROAD_PX else 270)
    axes = drawing.subplots()
    line = {"marker": "o", "markersize": 4 if len(history) <= 40 else 0}
    axes.plot(list(fitted), list(fitted.values()), color=COLOURS["muted"], label="training", **line)
    if checked:
        axes.plot(list(checked), list(checked.values()), color=COLOURS["lstm"], label="validation", **line)
    if known["naive_validation_loss"] is not None:
        axes.axhline(
            known["naive_validation_loss"], color=COLOURS["naive"], linewidth=1.4, linestyle=(0, (4, 3)),
            label="naive, validation",
        )  # fmt: skip
    if known["best_epoch"] in checked:
        axes.plot(
            [known["best_epoch"]], [checked[known["best_epoch"]]], "o", color=COLOURS["lstm"], markersize=12,
            markerfacecolor="none", markeredgewidth=2, label="weights kept",
        )  # fmt: skip
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel("epoch")
    axes.set_ylabel("mean squared error, normalised")
    axes.grid(visible=False, axis="x")
    common.hide_spines(axes, "left")
    common.legend_above(axes, width)
    return drawing


def steps(report: Report, width: float) -> Any:
    """Seconds of every step, one after the other; the text stands above its bar, where it always has room."""
    rows = [row for row in report["steps"] if row["seconds"] is not None]
    if not rows:
        return None
    drawing = figure(width, 30 + 44 * len(rows))
    axes = drawing.subplots()
    begins = np.cumsum([0.0, *(row["seconds"] for row in rows)])
    total = float(begins[-1]) or 1.0
    for number, (row, begin) in enumerate(zip(rows, begins, strict=False)):
        height = len(rows) - 1 - number
        colour = COLOURS["lstm" if row["step"] == "train" else "ridge"]
        axes.barh([height], [total], height=0.2, color=COLOURS["grid"], alpha=0.6, linewidth=0)
        axes.barh([height], [max(row["seconds"], 0.004 * total)], left=[begin], height=0.2, color=colour, linewidth=0)
        took = seconds_text(row["seconds"])
        rate = f"{amount(row['rate'])} {row['unit']}/s · " if row["rate"] is not None else ""
        above = {"xytext": (0, 6), "textcoords": "offset points", "va": "bottom"}
        axes.annotate(row["step"], (0.0, height), ha="left", fontweight="bold", **above)
        axes.annotate(rate + took, (total, height), ha="right", color=COLOURS["muted"], **above)
    axes.set_yticks([])
    axes.set_xlim(0.0, total)
    axes.set_ylim(-0.3, len(rows) - 0.4)
    axes.grid(visible=False)
    common.hide_spines(axes, "left", "bottom")
    axes.locator_params(axis="x", nbins=5 if width > BROAD_PX else 4)
    axes.xaxis.set_major_formatter(lambda value, _: seconds_text(value))
    return drawing
