"""Does a feature know what comes later: its correlation with innovations of the target and of the price that follow.

A feature is looked at in several forms, each of which is known at the time of the row if the feature is: its level
against the mean of its own past, its change, its ratio to the price, and its rank-like distance to the other entities.
What past returns explain of a form is taken out, so that a centred mean shows its later half. The correlation with any
later innovation is then at most the root of the largest plausible R².
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cloudlstm.audit.outcomes import Outcomes
from cloudlstm.audit.panel import Panel, Values
from cloudlstm.audit.statistics import FEWEST_DATES, Correlation, Dated, correlation

_TARGET_LEADS = (0, 1, 2, 3, 5, 10)
_PRICE_LEADS = (1, 2, 3, 5, 10)
_PRICE_SUMS = (5, 10)
_CLIP = 5.0
SIZE = "size"
_SIZE_LIMIT = 0.6
"""The size of returns can be forecast, most of all by its own past, which is taken out, and on days of known events."""
_WARM_UP = 10
_MOST_LAGS = 20
_DATES_PER_LAG = 20
_MOST_LOG_RATIO = 2.0
_MOST_R2 = 0.25
_SMALL = 1e-9


@dataclass(frozen=True, slots=True)
class Later:
    """One thing that comes later.

    Attributes:
        name: "target", the name of the price column, or SIZE for the size of its returns.
        lead: Rows ahead; of the target 0 is the target of the row itself.
        rows: Number of rows that it spans.
        values: The innovation, for the row at which it is not known yet.
        relative: Its distance to the mean of the date; None with fewer than 5 entities.
        limit: The largest plausible correlation with it.
    """

    name: str
    lead: int
    rows: int
    values: Dated
    relative: Dated | None
    limit: float


@dataclass(frozen=True, slots=True)
class Lead:
    """The strongest evidence that one column knows one kind of later value.

    Attributes:
        form: The form of the feature.
        later: What it knows.
        found: The correlation.
        margin: How far its lower confidence limit is above the limit; negative if it is not.
    """

    form: str
    later: Later
    found: Correlation
    margin: float


def later_values(panel: Panel, outcomes: Outcomes, max_r2: float) -> list[Later]:
    """Returns all that the features must not know."""
    later: list[Later] = []
    cap = math.sqrt(min(max_r2 * outcomes.horizon, _MOST_R2))
    if outcomes.target is not None:
        target, rows = outcomes.target, outcomes.horizon
        later += [_later(panel, "target", lead, rows, panel.shifted(target, lead), cap) for lead in _TARGET_LEADS]
    if outcomes.price is not None and panel.roles.price:
        ahead = {lead: panel.shifted(outcomes.price, lead) for lead in range(1, max(_PRICE_SUMS) + 1)}
        name = panel.roles.price
        later += [_later(panel, name, lead, 1, ahead[lead], math.sqrt(max_r2)) for lead in _PRICE_LEADS]
        for rows in _PRICE_SUMS:
            total = sum((ahead[lead] for lead in range(1, rows + 1)), np.zeros(panel.rows))
            later.append(_later(panel, name, 1, rows, total, math.sqrt(min(max_r2 * rows, _MOST_R2))))
    if outcomes.size is not None and panel.roles.price:
        sizes = [panel.shifted(outcomes.size, lead) for lead in range(1, 6)]
        later.append(_later(panel, SIZE, 1, 1, sizes[0], _SIZE_LIMIT))
        later.append(_later(panel, SIZE, 1, 5, sum(sizes[1:], sizes[0]), _SIZE_LIMIT))
    return later


def _later(panel: Panel, name: str, lead: int, rows: int, values: Values, limit: float) -> Later:
    apart = Dated.of(panel, panel.relative(values)) if len(panel.entities) >= 5 else None
    return Later(name, lead, rows, Dated.of(panel, values), apart, limit)


class PastReturns:
    """Takes out of a column what a linear function of the last returns explains."""

    def __init__(self, panel: Panel, outcomes: Outcomes) -> None:
        known = outcomes.returns
        if known is None and panel.target is not None and outcomes.kind == "returns":
            known = panel.shifted(panel.target, -outcomes.horizon)
        self._lags: Values | None = None  # (lags, rows)
        count = min(len(panel.seconds) // _DATES_PER_LAG, _MOST_LAGS)
        if known is not None and count:
            typical = float(np.nanmedian(np.abs(known))) or 1.0
            known = np.clip(known / typical, -20.0, 20.0)
            self._lags = np.stack([np.nan_to_num(panel.shifted(known, -lag)) for lag in range(count)])
            self._gram = self._lags @ self._lags.T

    def removed(self, values: Values) -> Values:
        """Returns the residual; NaN stays."""
        if self._lags is None:
            return values
        known = np.isfinite(values)
        filled = np.where(known, values, 0.0)
        if known.all():
            gram = self._gram.copy()
        elif known.mean() > 0.5:
            rest = self._lags[:, ~known]
            gram = self._gram - rest @ rest.T
        else:
            rest = self._lags[:, known]
            gram = rest @ rest.T
        gram[np.diag_indices_from(gram)] += _SMALL * max(float(np.trace(gram)), 1e-300)
        residual: Values = np.where(known, filled - np.linalg.solve(gram, self._lags @ filled) @ self._lags, np.nan)
        explained = np.nansum(residual**2) <= _SMALL**2 * (filled @ filled)
        return np.full(len(values), np.nan) if explained else residual


def standardised_by_past(panel: Panel, values: Values, *, centre: bool = True) -> Values:
    """Returns each value against the mean and deviation of the entity's values up to it, clipped; NaN in the first 10.

    So the result is known at the time of the row if the column is.
    """
    known = np.isfinite(values)
    typical = float(np.median(np.abs(values[known]))) if known.any() else 0.0
    filled = np.where(known, values, 0.0) / (typical or 1.0)
    first = filled[panel.starts]
    shift = np.repeat(first, panel.lengths)  # against cancellation in the sums of squares
    centred = np.where(known, filled - shift, 0.0)
    count, total, squares = (_running(panel, each) for each in (known.astype(np.float64), centred, centred * centred))
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = total / count
        if centre:
            spread = np.sqrt(np.maximum(squares / count - mean * mean, 0.0))
            out = (centred - mean) / spread
        else:
            own = np.where(known, filled, 0.0)
            out = filled / np.sqrt(_running(panel, own * own) / count)
            spread = np.abs(out)
    usable = known & (count >= _WARM_UP) & (spread > _SMALL)
    return np.where(usable & np.isfinite(out), np.clip(out, -_CLIP, _CLIP), np.nan)


def _running(panel: Panel, values: Values) -> Values:
    total = np.cumsum(values)
    before = np.concatenate([[0.0], total])[panel.starts]
    result: Values = total - np.repeat(before, panel.lengths)
    return result


def forms(panel: Panel, values: Values, past: PastReturns) -> Iterator[tuple[str, Values]]:
    """Yields the forms of a column: name and values (rows,)."""
    price = panel.price
    positive = price is not None and bool((values[np.isfinite(values)] > 0).all())
    if price is not None and positive:
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.log(values / price)
        typical = np.abs(ratio[np.isfinite(ratio)])
        if len(typical) and float(np.median(typical)) < _MOST_LOG_RATIO and float(typical.max()) > _SMALL:
            yield "its ratio to the price", past.removed(standardised_by_past(panel, ratio))
            values = np.log(values)
    level = standardised_by_past(panel, values)
    change = standardised_by_past(panel, panel.change(values), centre=False)
    yield "its level", past.removed(level)
    yield "its change", past.removed(change)
    if len(panel.entities) >= 5:
        for name, form in (("its level against the others", level), ("its change against the others", change)):
            apart = panel.relative(past.removed(form))
            if np.nanmax(np.abs(apart), initial=0.0) > 1e-6:
                yield name, apart


def strongest(panel: Panel, values: Values, later: list[Later], past: PastReturns, tests: int) -> dict[str, Lead]:
    """Returns the strongest evidence of a column: of the target of the row ("now"), and of what follows ("later").

    Args:
        panel: The table.
        values: The column (rows,).
        later: What it must not know.
        past: Takes out past returns.
        tests: Number of tests of the whole audit.
    """
    best: dict[str, Lead] = {}
    if len(panel.seconds) < FEWEST_DATES:
        return best
    for name, form in forms(panel, values, past):
        spread = float(np.nanstd(form)) if np.isfinite(form).any() else 0.0
        form = np.clip(form, -_CLIP * spread, _CLIP * spread)
        column = Dated.of(panel, form)
        for each in later:
            against = each.relative if name.endswith("others") else each.values
            if against is None:
                continue
            found = correlation(column, against, each.rows + 3)
            if not math.isfinite(found.value):
                continue
            lead = Lead(name, each, found, found.lower(tests) - each.limit)
            kind = "now" if each.name == "target" and each.lead == 0 else "later"
            if kind not in best or lead.margin > best[kind].margin:
                best[kind] = lead
    return best
