"""Checks of filled gaps: with the value that comes after them, or with one that is old."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloudlstm.audit.checks import Facts, Found
from cloudlstm.audit.findings import Finding
from cloudlstm.audit.panel import Panel, Values
from cloudlstm.audit.statistics import critical, standard_error

_MOST_EQUAL = 0.25
"""Columns that keep their value in more rows are step functions, not filled ones."""
_FEW_VALUES = 20
_LONG_START = 5
_FEW_LEADING = 0.02
_LEAST_SHIFT = 0.25
"""Of the mean logarithm of the jump before a run over the jump after it; the clean value is 0 or below."""
_STALE_ROWS = 10
_FEWEST_STEPS = 5


@dataclass(frozen=True, slots=True)
class Runs:
    """Runs of equal values in consecutive rows of an entity, of two rows at least.

    Attributes:
        first: First row of each run (runs,).
        last: Last row (runs,).
        share: Share of all pairs of consecutive rows with equal values.
    """

    first: NDArray[np.intp]
    last: NDArray[np.intp]
    share: float


def runs_of(panel: Panel, values: Values) -> Runs:
    """Returns the runs of a column."""
    equal = panel.change(values) == 0.0
    pairs = int(np.isfinite(panel.change(values)).sum())
    edge = np.diff(np.concatenate([[False], equal, [False]]).astype(np.int8))
    first, end = np.flatnonzero(edge == 1) - 1, np.flatnonzero(edge == -1) - 1
    return Runs(first, end, float(equal.sum()) / max(pairs, 1))


def back_fill(facts: Facts) -> Found:
    """Gaps filled with the next value, and histories that begin with a value of later."""
    panel = facts.panel
    for name in columns_of(facts):
        values = panel.values[name]
        found = runs_of(panel, values)
        few = len(np.unique(values[np.isfinite(values)][:100_000])) <= _FEW_VALUES
        if found.share > _MOST_EQUAL and len(np.unique(values[found.first])) > _FEWEST_STEPS:
            yield from _first_step(panel, name, found)
        if found.share > _MOST_EQUAL or not len(found.first) or few:
            continue
        yield from _leading(panel, name, values, found)
        yield from _inside(panel, name, values, found, facts.tests)


def columns_of(facts: Facts) -> tuple[str, ...]:
    """The features and the price."""
    price = facts.panel.roles.price
    more = (price,) if price is not None and price not in facts.panel.features else ()
    return (*facts.panel.features, *more)


def _leading(panel: Panel, name: str, values: Values, found: Runs) -> Found:
    """A long run in the first rows, which a forward fill cannot make."""
    leading = panel.nth[found.first] == 0
    length = found.last - found.first + 1
    long = leading & (length >= _LONG_START)
    others = length[~leading]
    long &= length > 3 * (int(np.max(others)) if len(others) else 1)
    start = values[found.first[long]]
    start = start[np.abs(start * 100 - np.round(start * 100)) > 1e-9]  # 0, 1 or 50 stand for "unknown"
    if not len(start) or (len(panel.entities) > 1 and len(np.unique(start)) < len(start) / 2):
        return
    rows = int(length[long].sum())
    level = "note" if len(start) < _FEW_LEADING * len(panel.entities) else "alarm"
    yield Finding(
        "back-fill", level, name,  # type: ignore[arg-type]
        f"{len(start)} of {len(panel.entities)} histories begin with one value in {int(np.median(length[long]))} rows "
        f"(median), {rows} rows in all; later runs have {int(np.max(others)) if len(others) else 1} rows at most",
        "The first real value was written into the rows before it.",
        "Leave the rows before the first value empty, or drop them.",
        {"histories": len(start), "rows": rows},
    )  # fmt: skip


def _first_step(panel: Panel, name: str, found: Runs) -> Found:
    """The first step of a step function is much longer than all others in most entities."""
    length = found.last - found.first + 1
    leading = panel.nth[found.first] == 0
    later = length[~leading]
    first = np.zeros(len(panel.entities))
    first[panel.entity[found.first[leading]]] = length[leading]
    if len(later) < _FEWEST_STEPS or np.median(first) <= 2 * later.max():
        return
    yield Finding(
        "back-fill", "warning", name,
        f"the first value stays for {int(np.median(first))} rows (median of the entities), later ones for "
        f"{int(later.max())} rows at most",
        "The first value that was published may have been written into the rows before it.",
        "Leave the rows before the first publication empty, or drop them.",
        {"rows": int(np.median(first)), "longest_later": int(later.max())},
    )  # fmt: skip


def _inside(panel: Panel, name: str, values: Values, found: Runs, tests: int) -> Found:
    """The jump into a run is larger than the jump out of it, so the run has the value of its end."""
    change = np.abs(panel.change(values))
    after = np.minimum(found.last + 1, panel.rows - 1)
    before, behind = change[found.first], np.where(found.last + 1 < panel.rows, change[after], np.nan)
    known = np.isfinite(before) & np.isfinite(behind) & (before > 0) & (behind > 0) & _once(panel, values, found)
    n = int(known.sum())
    if n < 30:
        return
    ratio = np.clip(np.log(before[known] / behind[known]), -4.0, 4.0)
    mean, error = float(ratio.mean()), _error_by_date(panel, found.first[known], ratio)
    if mean - critical(tests, n) * error > 0.0 and mean > _LEAST_SHIFT:
        yield Finding(
            "back-fill", "alarm", name,
            f"before {n} runs of equal values it jumps {math.exp(mean):.1f} times as far as after them (geometric "
            f"mean, {mean / error:.1f} standard errors from 1)",
            "Gaps hold the value that follows them. A forward fill would jump after the gap.",
            "Fill gaps with the last value known, or leave them empty.",
            {"runs": n, "ratio": math.exp(mean), "standard_errors": mean / error},
        )  # fmt: skip


def _once(panel: Panel, values: Values, found: Runs) -> NDArray[np.bool_]:
    """True for runs whose value is that of no other run of the entity, such as the end of a bounded scale."""
    key = np.rec.fromarrays([panel.entity[found.first], values[found.first]])
    _, place, count = np.unique(key, return_inverse=True, return_counts=True)
    inner = (values[found.first] > np.nanmin(values)) & (values[found.first] < np.nanmax(values))
    return np.asarray((count[place] == 1) & inner)


def _error_by_date(panel: Panel, rows: NDArray[np.intp], values: Values) -> float:
    """Standard error of a mean over runs whose dates are the unit of evidence."""
    date = panel.step[rows]
    _, place = np.unique(date, return_inverse=True)
    total = np.bincount(place, values - values.mean())
    if len(total) < 12:
        return math.inf
    by_date = total * len(total) / len(values)
    return max(standard_error(by_date, 2), float(values.std()) / math.sqrt(len(values)))


def stale(facts: Facts) -> Found:
    """Values that stay the same for long in a column that mostly moves."""
    panel = facts.panel
    for name in columns_of(facts):
        found = runs_of(panel, panel.values[name])
        if found.share > _MOST_EQUAL or not len(found.first):
            continue
        length = found.last - found.first + 1
        longest = int(length.max())
        if longest > _STALE_ROWS:
            where = int(found.first[length.argmax()])
            yield Finding(
                "stale", "note", name,
                f"one value stays for {longest} rows of {panel.entities[int(panel.entity[where])] or 'the series'}; "
                f"{int((length > _STALE_ROWS).sum())} runs are longer than {_STALE_ROWS} rows",
                "A value filled forward is known, but may be old.", "Limit the fill, and add the age as a column.",
                {"rows": longest, "runs": int((length > _STALE_ROWS).sum())},
            )  # fmt: skip
