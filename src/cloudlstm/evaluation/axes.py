"""What the figures share: percent axes, dates, legends, short numbers."""

from __future__ import annotations

import datetime as dt
from typing import Any

from cloudlstm.evaluation.svg import COLOURS

MARKERS = {"naive": "s", "drift": "D", "ridge": "^", "lstm": "o"}
LABELS = {"naive": "Naive", "drift": "Drift", "ridge": "Ridge", "lstm": "LSTM"}

BROAD_PX = 500.0
"""Figures wider than this have room for panels side by side."""


def signed(value: float, digits: str = ".2f") -> str:
    """A percentage with its sign, as in +0.41% or +3%; zero bears none."""
    text = f"{value:+{digits}}"
    return f"{text if float(text) else text[1:]}%".replace("-", "−")


def percent_ticks(axis: Any, zero: str = "0") -> None:
    """Labels an axis whose values are percentages; `zero` names the place of zero."""
    axis.set_major_formatter(lambda value, _: signed(value, ".3g") if abs(value) > 1e-12 else zero)


def legend_above(axes: Any, width: float, columns: int = 4) -> None:
    """Puts the legend above the plot, where it hides nothing."""
    axes.legend(
        loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=columns if width > BROAD_PX or columns < 4 else 2,
        borderaxespad=0.2, handlelength=1.4, columnspacing=1.2, borderpad=0.0,
    )  # fmt: skip


def dates(texts: list[str]) -> Any:
    """ISO dates as matplotlib's day numbers."""
    from matplotlib.dates import date2num

    return date2num([dt.date.fromisoformat(text) for text in texts])


def date_ticks(axis: Any, *, at_most: int) -> None:
    """Labels an axis of day numbers."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=2, maxticks=at_most)
    axis.set_major_locator(locator)
    axis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))


def hide_spines(axes: Any, *sides: str) -> None:
    for side in sides:
        axes.spines[side].set_visible(False)


def zero_line(axes: Any, *, upright: bool = False) -> None:
    """Marks the place of the naive forecast."""
    (axes.axvline if upright else axes.axhline)(0.0, color=COLOURS["naive"], linewidth=1.6, zorder=1)


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
            return f"{number / divisor:.3g}{suffix}"
    return f"{number / 1e9:.3g} G"
