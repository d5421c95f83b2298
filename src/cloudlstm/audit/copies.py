"""Checks for the target itself: a feature that equals it, and a target that is known already."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cloudlstm.audit.checks import Facts, Found
from cloudlstm.audit.findings import Finding
from cloudlstm.audit.outcomes import FEWEST_ROWS
from cloudlstm.audit.panel import Panel, Values

_EQUAL = 0.9999
_SAME_ORDER = 0.999
_SEPARATES = 0.995
_SOME_CHANGE = 0.5
_FEWEST_ENTITIES = 5


def copies(facts: Facts) -> Found:
    """Features that are an affine or a monotone function of the target."""
    panel, target = facts.panel, facts.panel.target
    assert target is not None
    classes = np.unique(target[np.isfinite(target)][:5000])
    for name in panel.features:
        values = panel.values[name]
        known = np.isfinite(values) & np.isfinite(target)
        if known.sum() < FEWEST_ROWS or np.ptp(values[known]) == 0 or np.ptp(target[known]) == 0:
            continue
        x, y = values[known], target[known]
        straight = _correlation(x, y)
        how, size = "", 0.0
        if len(classes) == 2:
            area = _area(x, y)
            if max(area, 1 - area) > _SEPARATES:
                how, size = (
                    f"it separates the two values of the target, with an area under the curve of {area:.4f}",
                    area,
                )
        elif abs(straight) > _EQUAL and abs(_change_correlation(panel, values, target)) > _EQUAL:
            factor = straight * float(y.std() / x.std())
            how = f"target = {factor:.6g} × {name} {y.mean() - factor * x.mean():+.6g}, correlation {straight:+.6f}"
            size = straight
        elif abs(_change_correlation(panel, values, target)) > _SOME_CHANGE:
            order = _correlation(_ranks(x), _ranks(y))
            if abs(order) > _SAME_ORDER:
                how, size = f"it has the same order as the target, rank correlation {order:+.5f}", order
        if not how and len(classes) > 2 and (form := _is_change_of(panel, values, target)):
            how, size = f"the target is the change of {form} {name} up to its row", 1.0
        if not how and (mean := _is_mean_of(panel, values, target)):
            how, size = (
                f"it is the mean target of each entity over all {known.sum()} rows, correlation {mean:.5f}",
                mean,
            )
        if how:
            yield Finding(
                "target-copy", "alarm", name, f"{how}, in {known.sum()} rows",
                "The feature is the target in another form, which is not known when a forecast is made.",
                "Leave the column out.", {"value": size, "rows": int(known.sum())},
            )  # fmt: skip


def target_known(facts: Facts) -> Found:
    """A target that has happened already at the time of its row."""
    rows = facts.outcomes.past_shift
    if rows:
        yield Finding(
            "target-known", "alarm", facts.panel.roles.target or "",
            f"it is the return of {facts.panel.roles.price} over the last {rows} row{'s' * (rows > 1)}, which is known",
            "The target was shifted the wrong way, or not at all: features of the row contain it.",
            f"Shift it by {rows} row{'s' * (rows > 1)}, so that it is the return after the row.", {"rows": rows},
        )  # fmt: skip


def _is_change_of(panel: Panel, values: Values, target: Values) -> str:
    """Which change of a column the target of the same row is: "the" column or "the logarithm of"; empty if none."""
    if values is panel.price:
        return ""  # target-known says so, with the horizon
    for form, kind in ((values, "the"), (np.log(np.where(values > 0, values, np.nan)), "the logarithm of")):
        change = panel.change(form)
        known = np.isfinite(change) & np.isfinite(target)
        if known.sum() >= FEWEST_ROWS and abs(_correlation(change[known], target[known])) > _EQUAL:
            return kind
    return ""


def _is_mean_of(panel: Panel, values: Values, target: Values) -> float:
    """The correlation of a column that is constant in each entity with the entity's mean target, if it is nearly 1."""
    if len(panel.entities) < _FEWEST_ENTITIES or (panel.change(values)[panel.nth > 0] != 0.0).any():
        return 0.0
    known = np.isfinite(target)
    count = np.bincount(panel.entity[known], minlength=len(panel.entities))
    means = np.bincount(panel.entity[known], target[known], minlength=len(panel.entities)) / np.maximum(count, 1)
    some = (count > 0) & np.isfinite(values[panel.starts])
    found = _correlation(values[panel.starts][some], means[some]) if some.sum() >= _FEWEST_ENTITIES else 0.0
    return found if found > _SAME_ORDER else 0.0


def _change_correlation(panel: Panel, values: Values, target: Values) -> float:
    x, y = panel.change(values), panel.change(target)
    known = np.isfinite(x) & np.isfinite(y)
    if known.sum() < FEWEST_ROWS // 2:
        return 1.0 if panel.rows == len(panel.entities) else 0.0
    return _correlation(x[known], y[known])


def _correlation(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    x, y = x - x.mean(), y - y.mean()
    scale = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / scale if scale > 0.0 else 0.0


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean ranks: equal values have the mean of their places."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    result: NDArray[np.float64] = (last - (count - 1) / 2)[place]
    return result


def _area(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Area under the receiver operating characteristic of x for the larger value of y (Mann-Whitney's U)."""
    above = y == y.max()
    ups, downs = int(above.sum()), int((~above).sum())
    return float((_ranks(x)[above].sum() - ups * (ups + 1) / 2) / (ups * downs))
