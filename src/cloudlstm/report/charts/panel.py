"""Parts that charts share: a box with axes and a title, a legend, labels at line ends. Knows nothing of the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cloudlstm.report.charts.scales import Scale, Tick, spread_out
from cloudlstm.report.charts.svg import LABEL_PX, TICK_PX, Drawing, text_width
from cloudlstm.text.numbers import signed

BROAD_PX = 500.0
"""Charts wider than this have space for panels side by side."""

BAND_PX, BAND_OPACITY = 5.0, 0.35
"""A line that lies below another one is wide and pale, so that both are seen."""

TITLE_PX, AXIS_PX = 20.0, 20.0
"""Height of a panel's title line, and of the labels below its x axis."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle on the canvas."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True)
class LegendEntry:
    """One entry of a legend."""

    form: Literal["line", "band", "dash", "dot", "ring", "bar"]
    colour: str
    text: str


@dataclass(frozen=True, slots=True)
class EndLabel:
    """The name of a line, at the height where the line ends."""

    y: float
    text: str
    colour: str


def percent_tick(value: float, decimals: int) -> str:
    """A percentage with its sign; zero without one."""
    return signed(value, f".{decimals}f") if abs(value) > 1e-12 else "0"


def plain_tick(value: float, decimals: int) -> str:
    """A number with thousands separators."""
    return f"{value:,.{decimals}f}"


def dollar_tick(value: float, decimals: int) -> str:
    """Dollars with at most two decimals."""
    return f"${value:,.{min(decimals, 2)}f}" if value >= 0 else f"−${-value:,.{min(decimals, 2)}f}"


def title(drawing: Drawing, x: float, y: float, text: str, unit: str = "", width: float = 1e9) -> None:
    """A panel's title in bold, and its unit if both fit into `width`."""
    drawing.text(x, y, text, "ink", px=LABEL_PX, bold=True)
    start = text_width(text, LABEL_PX, bold=True) + 8.0
    if unit and start + text_width(unit, TICK_PX) <= width:
        drawing.text(x + start, y, unit)


def gutter(ticks: Sequence[Tick]) -> float:
    """Width of the labels of a y axis, with their distance from the plot."""
    return max((text_width(tick.text, TICK_PX) for tick in ticks), default=0.0) + 8.0


def y_axis(drawing: Drawing, box: Box, scale: Scale, ticks: Sequence[Tick]) -> None:
    """Labels left of the box, and a grid line at each."""
    for tick in ticks:
        y = scale(tick.value)
        drawing.line(box.left, y, box.right, y, "grid")
        drawing.text(box.left - 8.0, y + 4.0, tick.text, anchor="end")


def x_axis(
    drawing: Drawing, box: Box, scale: Scale, ticks: Sequence[Tick], *, lines: bool = False, low: float = 0.0,
    high: float | None = None,
) -> None:  # fmt: skip
    """Labels below the box, without those that would overlap; major ones come first.

    Args:
        drawing: Where to draw.
        box: The plot.
        scale: Maps values to x.
        ticks: Labels in their order.
        lines: Draws a grid line at each label.
        low: Labels stay right of this pixel.
        high: Labels stay left of this pixel; None for the right edge of the drawing.
    """
    most = high if high is not None else drawing.width
    taken: list[tuple[float, float]] = []
    for tick in sorted(ticks, key=lambda tick: not tick.major):
        x, half = scale(tick.value), text_width(tick.text, TICK_PX) / 2.0
        middle = min(max(x, low + half), most - half)
        if all(middle + half + 8.0 <= left or right + 8.0 <= middle - half for left, right in taken):
            if lines:
                drawing.line(x, box.top, x, box.bottom, "grid")
            drawing.text(middle, box.bottom + 15.0, tick.text, anchor="middle")
            taken.append((middle - half, middle + half))


def legend(drawing: Drawing, x: float, y: float, entries: Sequence[LegendEntry]) -> float:
    """Draws entries in a row, wrapped at the right edge; returns their height."""
    at, rows = x, 0
    for entry in entries:
        width = 22.0 + text_width(entry.text, TICK_PX) + 14.0
        if at > x and at + width - 14.0 > drawing.width:
            at, rows = x, rows + 1
        middle = y + 18.0 * rows - 4.0
        if entry.form in ("line", "dash"):
            drawing.line(at, middle, at + 16.0, middle, entry.colour, 2.2, "4 3" if entry.form == "dash" else "")
        elif entry.form == "band":
            drawing.path([at + 2.5, at + 13.5], [middle, middle], entry.colour, BAND_PX, opacity=BAND_OPACITY)
        elif entry.form == "bar":
            drawing.rect(at + 3.0, middle - 5.0, 10.0, 10.0, entry.colour, opacity=0.5)
        else:
            drawing.dot(at + 8.0, middle, 4.5, entry.colour, hollow=entry.form == "ring")
        drawing.text(at + 22.0, y + 18.0 * rows, entry.text, "ink")
        at += width
    return 18.0 * (rows + 1)


def end_labels(drawing: Drawing, box: Box, labels: Sequence[EndLabel]) -> None:
    """Names right of the box where their lines end, shifted where they would overlap."""
    places = spread_out([label.y for label in labels], 15.0, box.top + 4.0, box.bottom)
    for label, y in zip(labels, places, strict=True):
        drawing.text(box.right + 6.0, y + 4.0, label.text, label.colour)


def end_labels_px(texts: Sequence[str]) -> float:
    """Width that labels right of a box need."""
    return max((text_width(text, TICK_PX) for text in texts), default=0.0) + 8.0
