"""What the figures share: a titled panel with its axes, a legend, names at the ends of lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cloudlstm.report.charts.scales import Scale, Tick, apart
from cloudlstm.report.charts.svg import LABEL_PX, TICK_PX, Drawing, extent
from cloudlstm.text.numbers import signed

LABELS = {"naive": "Naive", "drift": "Drift", "ridge": "Ridge", "lstm": "LSTM"}

BROAD_PX = 500.0
"""Figures wider than this have room for panels side by side."""

TITLE_PX, AXIS_PX = 20.0, 20.0
"""Height of a panel's title line, and of the labels below its x axis."""


def percent_tick(value: float, decimals: int) -> str:
    return signed(value, f".{decimals}f") if abs(value) > 1e-12 else "0"


def against_naive(value: float, decimals: int) -> str:
    """As `percent_tick`, with zero named for what stands there."""
    return signed(value, f".{decimals}f") if abs(value) > 1e-12 else "naive"


def plain_tick(value: float, decimals: int) -> str:
    return f"{value:,.{decimals}f}"


def dollar_tick(value: float, decimals: int) -> str:
    return f"${value:,.{min(decimals, 2)}f}" if value >= 0 else f"−${-value:,.{min(decimals, 2)}f}"


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle on the canvas."""

    left: float
    top: float
    right: float
    bottom: float


def title(drawing: Drawing, x: float, y: float, text: str, unit: str = "", room: float = 1e9) -> None:
    """A panel's title in bold, and what it is measured in where there is room for that."""
    drawing.text(x, y, text, "ink", px=LABEL_PX, bold=True)
    start = extent(text, LABEL_PX, bold=True) + 8.0
    if unit and start + extent(unit, TICK_PX) <= room:
        drawing.text(x + start, y, unit)


def gutter(ticks: Sequence[Tick]) -> float:
    """Width that the labels of a y axis take, with their distance from the plot."""
    return max((extent(tick.text, TICK_PX) for tick in ticks), default=0.0) + 8.0


def y_axis(drawing: Drawing, box: Box, scale: Scale, ticks: Sequence[Tick], *, lines: bool = True) -> None:
    """Labels left of the box and, faintly, a line at each."""
    for tick in ticks:
        y = scale(tick.value)
        if lines:
            drawing.line(box.left, y, box.right, y, "grid")
        drawing.text(box.left - 8.0, y + 4.0, tick.text, anchor="end")


def x_axis(
    drawing: Drawing, box: Box, scale: Scale, ticks: Sequence[Tick], *, lines: bool = False, low: float = 0.0,
    high: float | None = None,
) -> None:  # fmt: skip
    """Labels below the box, without those that would touch the one before or leave the range of pixels."""
    end, most = low - 8.0, high if high is not None else drawing.width
    for tick in ticks:
        x, half = scale(tick.value), extent(tick.text, TICK_PX) / 2.0
        middle = min(max(x, low + half), most - half)
        if middle - half >= end + 8.0:
            if lines:
                drawing.line(x, box.top, x, box.bottom, "grid")
            drawing.text(middle, box.bottom + 15.0, tick.text, anchor="middle")
            end = middle + half


def legend(drawing: Drawing, x: float, y: float, entries: Sequence[tuple[str, str, str]]) -> float:
    """Entries (form, colour, text) in a row, wrapped at the right edge; returns the height that they took.

    Forms: "line", "dash", "dot", "ring", "bar".
    """
    at, rows = x, 0
    for form, colour, text in entries:
        wide = 22.0 + extent(text, TICK_PX) + 14.0
        if at > x and at + wide - 14.0 > drawing.width:
            at, rows = x, rows + 1
        middle = y + 18.0 * rows - 4.0
        if form in ("line", "dash"):
            drawing.line(at, middle, at + 16.0, middle, colour, 2.2, "4 3" if form == "dash" else "")
        elif form == "bar":
            drawing.rect(at + 3.0, middle - 5.0, 10.0, 10.0, colour, opacity=0.5)
        else:
            drawing.dot(at + 8.0, middle, 4.5, colour, hollow=form == "ring")
        drawing.text(at + 22.0, y + 18.0 * rows, text, "ink")
        at += wide
    return 18.0 * (rows + 1)


def end_labels(drawing: Drawing, box: Box, entries: Sequence[tuple[str, float, str]]) -> None:
    """Names (colour, y, text) right of the box, at the height where their lines end, moved apart where they touch."""
    places = apart([y for _, y, _ in entries], 15.0, box.top + 4.0, box.bottom)
    for (colour, _, text), y in zip(entries, places, strict=True):
        drawing.text(box.right + 6.0, y + 4.0, text, colour, bold=colour == "lstm")


def end_room(texts: Sequence[str]) -> float:
    """Width that names right of a box take."""
    return max((extent(text, TICK_PX, bold=True) for text in texts), default=0.0) + 8.0
