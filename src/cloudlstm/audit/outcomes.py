"""What is not known at the time of a row: innovations of the target and of the price, and the horizon of the target.

An innovation is what is left of a return after a regression on its own last values and on those of the mean of all
entities, which were known before. Nothing that is known at time t may explain more than a small part of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from cloudlstm.audit.panel import Panel, Values

ASSUMED = "assumed"
OVERLAPPING = "overlapping targets"
"""Ways to find the horizon that are not certain."""

Kind = Literal["returns", "other", "none"]

_LAGS = 5
_MOST_OWN_R2 = 0.15
"""A series of returns whose own past explains more is no series of returns."""
_MOST_AUTOCORRELATION = 0.25
_MOST_MEAN = 0.5
_FEW_VALUES = 10
_CLIP = 5.0
_MOST_HORIZON = 60
_LENGTHS = 10
"""A horizon that is guessed from overlapping targets needs a history of so many of them."""
_SAME = 1e-6
_MOSTLY = 0.95
_STRAIGHT = 0.9999
_AGREE = 0.99
FEWEST_ROWS = 30


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What the checks compare the features with.

    Attributes:
        kind: Whether the target behaves like returns.
        horizon: Rows ahead at which the target is known.
        horizon_from: How it was found.
        target: Innovations of the target, scaled by entity and clipped (rows,); None without a target.
        returns: Log returns of the price, known at the row (rows,); None without a usable price.
        price: Their innovations, scaled and clipped (rows,); None if the price does not move like a price.
        size: What the past does not explain of the size of the price's innovations (rows,); None likewise.
        past_shift: If the target is a return of the price that is known already, over how many rows; else 0.
    """

    kind: Kind
    horizon: int
    horizon_from: str
    target: Values | None
    returns: Values | None
    price: Values | None
    size: Values | None
    past_shift: int


def find_outcomes(panel: Panel, horizon: int | None) -> Outcomes:
    """Returns the outcomes of a table; `horizon` is that of the settings."""
    returns = _returns(panel)
    price = size = None
    if returns is not None:
        innovations, own = _innovations(panel, returns, 1)
        if own <= _MOST_OWN_R2:
            price = scaled(panel, innovations)
            size = _sizes(panel, price)
    target = panel.target
    if target is None or np.isfinite(target).sum() < FEWEST_ROWS:
        return Outcomes("none", horizon or 1, "given" if horizon else ASSUMED, None, returns, price, size, 0)
    found, how, past = horizon, "given", 0
    if panel.price is not None and (panel.price[np.isfinite(panel.price)] > 0).all():
        exact, past = _exact(panel, target, panel.price)
        if found is None and exact:
            found, how = exact, f"the target is the return of {panel.roles.price}"
    if found is None:
        found, how = _guessed(panel, target)
    kind: Kind = "returns" if _like_returns(panel, target, found) else "other"
    innovations, _ = _innovations(panel, target, found)
    return Outcomes(kind, found, how, scaled(panel, innovations), returns, price, size, past)


def scaled(panel: Panel, values: Values) -> Values:
    """Divides by the root mean square of each entity, and clips at 5 of the medians; keeps NaN."""
    known = np.isfinite(values)
    size = np.where(known, np.abs(values), 0.0)
    count = np.bincount(panel.entity[known], minlength=len(panel.entities))
    mean = np.bincount(panel.entity, size, minlength=len(panel.entities)) / np.maximum(count, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        out = values / (1.25 * mean)[panel.entity]  # 1.25: ratio of standard and mean absolute deviation of a normal
    return np.where(np.isfinite(out), np.clip(out, -_CLIP, _CLIP), np.nan)


def autocorrelation(panel: Panel, values: Values, lag: int) -> float:
    """Returns the correlation of a column with its value `lag` rows before, over all rows; 0 if it has none."""
    centred = values - np.nanmean(values)
    before = panel.shifted(centred, -lag)
    known = np.isfinite(centred) & np.isfinite(before)
    if known.sum() < FEWEST_ROWS:
        return 0.0
    x, y = centred[known], before[known]
    scale = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / scale if scale > 0.0 else 0.0


def _returns(panel: Panel) -> Values | None:
    price = panel.price
    if price is None:
        return None
    known = price[np.isfinite(price)]
    if len(known) < FEWEST_ROWS or (known <= 0.0).any():
        return None
    return panel.change(np.log(price))


def _exact(panel: Panel, target: Values, price: Values) -> tuple[int, int]:
    """Rows ahead over which the target is the price's return or later value, and rows back; 0 if it is not."""
    rows = np.flatnonzero(np.isfinite(target))
    logs, values = np.log(price), target[rows]
    two_valued = len(np.unique(values[:2000])) <= 2
    most = min(_MOST_HORIZON, int(panel.lengths.max()) - 1)
    for over in range(1, most + 1):
        ahead, back = (panel.shifted(logs, over) - logs)[rows], (logs - panel.shifted(logs, -over))[rows]
        for moved, found in ((ahead, (over, 0)), (back, (0, over))):
            if _same(values, moved, two_valued=two_valued):
                return found
    later = panel.shifted(price, 1)[rows]
    known = np.isfinite(later)
    with np.errstate(divide="ignore", invalid="ignore"):
        level = known.sum() >= FEWEST_ROWS and (np.abs(later / values - 1)[known] <= _SAME).mean() >= _MOSTLY
    return int(level), 0


def _same(values: Values, moved: Values, *, two_valued: bool) -> bool:
    """True if a target is a return, in any unit, or its direction."""
    known = np.isfinite(moved)
    if known.sum() < FEWEST_ROWS or known.sum() < 0.5 * len(values):
        return False
    moved, values = moved[known], values[known]
    if two_valued:
        return bool(((moved > 0) == (values == values.max())).mean() >= _AGREE)
    forms = (each - each.mean() for each in (moved, np.expm1(moved)))
    centred = values - values.mean()
    scale = float(centred @ centred)
    return any(float(each @ centred) > _STRAIGHT * np.sqrt(float(each @ each) * scale) > 0.0 for each in forms)


def _guessed(panel: Panel, target: Values) -> tuple[int, str]:
    """A horizon from the missing targets at the end of each entity, or from overlapping targets."""
    missing = np.isnan(target)
    ends = panel.starts + panel.lengths - 1
    for tail in range(_MOST_HORIZON, 0, -1):
        long = panel.lengths > tail + FEWEST_ROWS
        if long.any():
            last = ends[long]
            blank = np.all([missing[last - i] for i in range(tail)], axis=0)
            if (blank & ~missing[last - tail]).mean() > _MOSTLY:
                return tail, "missing at the end of each entity"
    first = autocorrelation(panel, target, 1)
    if first >= 0.4:
        overlap = min(round(1.0 / (1.0 - min(first, 0.99))), _MOST_HORIZON)
        if (
            overlap <= panel.lengths.max() / _LENGTHS
            and abs(autocorrelation(panel, target, overlap)) < _MOST_AUTOCORRELATION
        ):
            return overlap, OVERLAPPING
    return 1, ASSUMED


def _like_returns(panel: Panel, target: Values, horizon: int) -> bool:
    known = target[np.isfinite(target)]
    deviation = float(known.std())
    if deviation <= 0.0:
        return False
    classes = len(np.unique(known[:2000])) <= _FEW_VALUES
    ranks = len(panel.entities) >= 10 and float(np.nanstd(panel.date_means(target))) < 0.05 * deviation
    near_zero = abs(float(known.mean())) <= _MOST_MEAN * deviation
    return (near_zero or classes or ranks) and all(
        abs(autocorrelation(panel, target, lag)) <= _MOST_AUTOCORRELATION for lag in (horizon, 2 * horizon)
    )


def _sizes(panel: Panel, innovations: Values) -> Values:
    """The part of |innovation| that its means over the last 1, 5 and 20 rows do not explain, clipped."""
    absolute = np.abs(innovations)
    lags = [panel.shifted(absolute, -lag) for lag in range(1, 21)]
    known = np.isfinite(absolute)
    filled = np.nan_to_num(np.stack(lags), nan=float(np.nanmean(absolute)))
    design = np.column_stack([np.ones(panel.rows), *(filled[:count].mean(axis=0) for count in (1, 5, 20))])
    weights = np.linalg.lstsq(design[known], absolute[known], rcond=None)[0]
    left: Values = np.clip(absolute - design @ weights, -_CLIP, _CLIP)
    return left


def _innovations(panel: Panel, values: Values, horizon: int) -> tuple[Values, float]:
    """The residual of a regression on what was known `horizon` rows before, and the share that this explains."""
    lags = [panel.shifted(values, -horizon - i) for i in range(_LAGS)]
    if len(panel.entities) >= 5:
        means = panel.date_means(values)
        for i in range(_LAGS):
            before = np.full(len(means), np.nan)
            if horizon + i < len(means):
                before[horizon + i :] = means[: len(means) - horizon - i]
            lags.append(before[panel.step])
    known = np.isfinite(values)
    design = np.column_stack([np.ones(panel.rows), *(np.nan_to_num(lag) for lag in lags)])
    outer = np.clip(values, *np.nanquantile(values, [0.001, 0.999]))
    weights = np.linalg.lstsq(design[known].T @ design[known], design[known].T @ outer[known], rcond=None)[0]
    residual: Values = values - design @ weights
    variance = float(np.var(outer[known]))
    left = float(np.var(outer[known] - (design @ weights)[known]))
    return residual, 1.0 - left / variance if variance > 0.0 else 0.0
