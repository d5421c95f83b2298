"""Values joined by their period: a figure of a month stands in the whole month, before it could be published."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cloudlstm.audit.checks import Facts, Found
from cloudlstm.audit.findings import Finding
from cloudlstm.audit.panel import Ints, Panel, Values

_MOSTLY = 0.95
_FEWEST_CHANGES = 8
_DAILY = 10
_OFTEN = 0.6
_PAST_ROWS = (0, 5, 20, 21, 63)
_EXPLAINED = 0.6
_DAY_S = 86_400


def period_joins(facts: Facts) -> Found:
    """Columns that change on the first time of a month, and only there."""
    panel = facts.panel
    month = _months(panel)
    first_of_month = np.concatenate([[False], np.diff(month) != 0])
    for name in panel.features:
        values = panel.values[name]
        common = _is_common(panel, values)
        by_time = panel.date_means(values) if common else None
        if by_time is not None:
            known = np.flatnonzero(np.isfinite(by_time))
            if len(known) < 2:
                continue
            scale = max(float(np.abs(by_time[known]).max()), 1e-300)
            moved = known[1:][np.abs(np.diff(by_time[known])) > 1e-12 * scale]
            if _by_calendar(by_time[known], month[known]):
                continue
            # A first session that is missing moves the change to the first one with a value.
            starts = np.concatenate([[False], np.diff(month[known]) != 0])
            on_first = np.isin(moved, known[starts])
        else:
            change = panel.change(values)
            rows = np.flatnonzero(np.isfinite(change) & (change != 0.0))
            moved = panel.step[rows]
            on_first = first_of_month[moved]
        if len(moved) < _FEWEST_CHANGES or on_first.mean() < _MOSTLY:
            continue
        months = len(np.unique(month[moved]))
        periods, length = _periods(month[moved], int(month[-1] - month[0]))
        if months < _FEWEST_CHANGES or months < _OFTEN * periods:
            continue
        kind = {1: "month", 3: "quarter", 12: "year"}[length]
        own = len(panel.entities) == 1 and _of_past_price(panel, values, moved)
        yield Finding(
            "period-join", "alarm" if common and not own else "warning", name,
            f"{on_first.mean():.1%} of its {len(moved)} changes are on the first time of a month, in {months} of "
            f"{periods} {kind}s" + ("; it is the same for all entities" if common and len(panel.entities) > 1 else ""),
            f"It looks like a figure of the {kind} that was joined by its {kind}: it stands in rows before the {kind} "
            "has ended, and weeks before it was published.",
            "Join by the time of publication. Accept the finding if the figure is of an earlier period.",
            {"changes": len(moved), "on_first": float(on_first.mean()), "periods": periods},
        )  # fmt: skip


def lacking(facts: Facts) -> str:
    """Why periods cannot be checked; empty if they can."""
    month = _months(facts.panel)
    if len(month) / max(len(np.unique(month)), 1) < _DAILY:
        return f"fewer than {_DAILY} times a month"
    return "" if len(np.unique(month)) > _FEWEST_CHANGES else "fewer than nine months"


def _months(panel: Panel) -> Ints:
    """Months since 1970 of each time (steps,)."""
    months: Ints = panel.seconds.astype("datetime64[s]").astype("datetime64[M]").astype(np.int64)
    return months


def _is_common(panel: Panel, values: Values) -> bool:
    """True if all entities have the same value at each time."""
    if len(panel.entities) == 1:
        return True
    apart = np.abs(values - panel.date_means(values)[panel.step])
    scale = float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
    return bool(np.nanmax(apart, initial=0.0) <= 1e-9 * scale)


def _of_past_price(panel: Panel, values: Values, moved: NDArray[np.intp]) -> bool:
    """True if the column of one series may be a figure of its own past, as a regression on earlier prices shows.

    Without a price, or with few changes, it may always be.
    """
    if panel.price is None:
        return True
    logs = np.log(np.where(panel.price > 0, panel.price, np.nan))
    before = moved - 1  # the last row of the month before each change
    usable = before >= max(_PAST_ROWS)
    design = np.column_stack([logs[before[usable] - rows] for rows in _PAST_ROWS] + [np.ones(int(usable.sum()))])
    y = values[moved[usable]]
    known = np.isfinite(design).all(axis=1) & np.isfinite(y)
    x, y = design[known], y[known]
    spare = len(y) - x.shape[1]
    if spare < _FEWEST_CHANGES:
        return True
    left = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    moves = np.diff(y)  # of a figure that wanders as the price does, only the changes count
    shifts = np.diff(x[:, :-1], axis=0)
    left_moves = moves - shifts @ np.linalg.lstsq(shifts, moves, rcond=None)[0]
    return bool(
        left @ left / spare < (1.0 - _EXPLAINED) * np.var(y)
        and left_moves @ left_moves / spare < (1.0 - _EXPLAINED) * np.mean(moves**2)
    )


def _by_calendar(values: Values, month: Ints) -> bool:
    """True if the column is a function of the calendar: the number of the month, or a count of months."""
    if all(len(np.unique(values[month % 12 == each])) <= 1 for each in range(12)):
        return True
    steps = np.diff(values)[np.diff(month) > 0]
    return bool(len(steps) and np.ptp(steps) <= 1e-9 * max(float(np.abs(steps).max()), 1e-300))


def _periods(months: NDArray[np.int64], span: int) -> tuple[int, int]:
    """The number of periods in a span, and their length in months, from the months with a change."""
    for length in (12, 3):
        if len(np.unique(months % length)) == 1:
            return max(span // length, 1), length
    return max(span, 1), 1
