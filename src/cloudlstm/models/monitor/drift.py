"""Drift of the features and of the loss: their tables, and the chart of the features."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from cloudlstm.models.documents import Day
from cloudlstm.models.monitor.history import History
from cloudlstm.models.monitor.table import Row, Table, table
from cloudlstm.models.watch import ALARM_E_VALUE, Watch
from cloudlstm.report.charts import panel
from cloudlstm.report.charts.panel import BROAD_PX, Box, LegendEntry
from cloudlstm.report.charts.scales import Scale, ticks
from cloudlstm.report.charts.svg import LABEL_PX, Drawing, fit_text, text_width
from cloudlstm.text.numbers import DASH, decimal, percent

MOST_LIMITS = 5.0
"""The chart ends at so many times a limit; a larger statistic is drawn there, its number is in the table."""


def last_look(history: History) -> Day | None:
    """The last day that measured drift."""
    return next((day for day in reversed(history.days) if day.drift), None)


def drift_table(history: History) -> list[Table]:
    """PSI and KS of each feature beside their limits."""
    day = last_look(history)
    if day is None:
        return []
    rows = []
    for each in day.drift:
        alarms = [other.date for other in history.days if str(each["name"]) in other.drifting]
        slow = each.get("psi_limit") is None and each.get("ks_limit") is None
        state = "ALARM" if each["alarm"] else "slow: no limit" if slow else "within limits"
        rows.append(
            Row(
                (
                    str(each["name"]), decimal(each.get("psi"), 3), decimal(each.get("psi_limit"), 3),
                    decimal(each.get("ks"), 3), decimal(each.get("ks_limit"), 3), percent(each.get("missing")), state,
                    f"{len(alarms)}, last {alarms[-1]}" if alarms else "0",
                ),
                bool(each["alarm"]),
            )
        )  # fmt: skip
    columns = ("Feature", "PSI", "its limit", "KS", "its limit", "Missing", "State", "Days with alarm")
    return table(f"Features on {day.date} against the reference of the training data", columns, rows)


def _shares(each: Mapping[str, Any]) -> dict[str, float]:
    """Statistic -> share of its limit; without a limit it is left out."""
    pairs = (("PSI", each.get("psi"), each.get("psi_limit")), ("KS", each.get("ks"), each.get("ks_limit")))
    return {name: value / limit for name, value, limit in pairs if limit and value is not None and math.isfinite(value)}


def draw_drift(history: History, width: float) -> Drawing | None:
    """PSI and KS of each feature as a share of their limits."""
    day = last_look(history)
    if day is None:
        return None
    broad, row_px = width > BROAD_PX, 24.0
    drawing = Drawing(width, 0.0)
    panel.title(drawing, 0.0, 12.0, "Drift of the features", "statistic as a share of its limit", width)
    entries = [LegendEntry("dot", "lstm", "PSI"), LegendEntry("ring", "ridge", "KS")]
    top = 26.0 + panel.legend(drawing, 0.0, 34.0, entries)
    names = [fit_text(str(each["name"]), LABEL_PX, 220.0 if broad else 116.0) for each in day.drift]
    words = {True: "alarm", False: "within"}
    texts = ["slow" if not _shares(each) else words[bool(each["alarm"])] for each in day.drift]
    left = max(text_width(name, LABEL_PX) for name in names) + 14.0
    right = max(text_width(text, LABEL_PX) for text in texts) + 14.0
    box = Box(left, top, width - right, top + row_px * len(names))
    drawing.height = box.bottom + panel.AXIS_PX
    high = max([1.2, *(min(share, MOST_LIMITS) for each in day.drift for share in _shares(each).values())]) * 1.05
    x = Scale(0.0, high, box.left, box.right)
    found = ticks(0.0, high, 5 if broad else 3, lambda value, decimals: f"{value:.{decimals}f}")
    panel.x_axis(drawing, box, x, found, lines=True, low=left)
    drawing.line(x(1.0), box.top, x(1.0), box.bottom, "naive", 1.4, "4 3")
    for number, (each, name, text) in enumerate(zip(day.drift, names, texts, strict=True)):
        y = box.top + (number + 0.5) * row_px
        drawing.text(0.0, y + 4.0, name, "ink", px=LABEL_PX)
        alarm = bool(each["alarm"])
        drawing.text(width, y + 4.0, text, "drift" if alarm else "muted", px=LABEL_PX, anchor="end", bold=alarm)
        for statistic, share in _shares(each).items():
            hover = f"{each['name']}: {statistic} is {share:.2f} of its limit"
            at, ks = x(min(share, MOST_LIMITS)), statistic == "KS"
            drawing.dot(at, y, 5.2 if ks else 3.6, "ridge" if ks else "lstm", hollow=ks, title=hover)
    return drawing


def watch_table(history: History) -> list[Table]:
    """Both watches of the last day that has them."""
    day = history.last
    if day is None:
        return []
    pairs = [("than naive", day.loss_watch)]
    if day.previous is not None:
        pairs.append((f"than v{day.previous}", day.rollback_watch))
    columns = (f"Is v{day.champion} worse?", "Sessions", "E-value", "Highest", "Alarm at", "State")
    return table(f"Watches of the loss on {day.date}", columns, [_watch_row(name, watch) for name, watch in pairs])


def _watch_row(name: str, watch: Watch | None) -> Row:
    if watch is None:
        return Row((name, "0", DASH, DASH, f"{ALARM_E_VALUE:g}", "not begun: too few sessions"))
    state = "ALARM" if watch.alarm else "no alarm"
    values = (_e_value(e_value_now(watch)), _e_value(watch.highest), f"{ALARM_E_VALUE:g}")
    return Row((name, str(watch.sessions), *values, state), watch.alarm)


def e_value_now(watch: Watch) -> float:
    """The largest e-value of the processes of a watch that live."""
    return max((process.e_value for process in watch.processes), default=1.0)


def _e_value(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else DASH
