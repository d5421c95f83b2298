"""The figures of the report, each from report.json alone, at the width of a page and of a phone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cloudlstm.evaluation import plots_accuracy, plots_run
from cloudlstm.evaluation.svg import inline, style

WIDE_PX, NARROW_PX = 760.0, 340.0

DRAWINGS: dict[str, Callable[[Mapping[str, Any], float], Any]] = {
    "glance": plots_accuracy.glance,
    "cumulative": plots_accuracy.cumulative,
    "paths": plots_accuracy.paths,
    "skill": plots_accuracy.skill,
    "calibration": plots_accuracy.calibration,
    "training": plots_run.training,
    "steps": plots_run.steps,
}
"""Name -> what draws a report's figure at a width in pixels; None when the report has nothing to draw it from."""


@dataclass(frozen=True, slots=True)
class Plot:
    """A figure at both widths, as inline SVG."""

    wide: str
    narrow: str


def draw_all(report: Mapping[str, Any]) -> dict[str, Plot]:
    """Every figure that the report has data for, by name."""
    plots = {}
    with style():
        for name, draw in DRAWINGS.items():
            wide, narrow = draw(report, WIDE_PX), draw(report, NARROW_PX)
            if wide is not None and narrow is not None:
                plots[name] = Plot(inline(wide, f"{name}-w"), inline(narrow, f"{name}-n"))
    return plots
