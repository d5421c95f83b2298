"""The skill of a simple model: a ridge that is trained on the past and tested on what follows.

Daily returns can hardly be forecast. A linear model that explains more of their variance than `max_r2` has probably
seen them. The same model with a random split shows what a random split would pretend.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from cloudlstm.audit.checks import Facts, Found
from cloudlstm.audit.findings import Finding
from cloudlstm.audit.leads import standardised_by_past
from cloudlstm.audit.outcomes import scaled
from cloudlstm.audit.panel import Panel, Values
from cloudlstm.audit.statistics import FEWEST_DATES, critical, standard_error
from cloudlstm.evaluation import ridge
from cloudlstm.evaluation.ridge import Sums

_FOLDS = 5
_FIRST = 0.4
_ALPHA_PER_ROW = 1e-2
_MOST_R2 = 0.25
_FEWEST_ROWS = 200
_SEED = 7
_FLATTERY = 0.05
_TESTS = 4
"""It is one test of the table, and gets a fourth of the level rather than its share by columns."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Score:
    """The score of forecasts.

    Attributes:
        r2: 1 - squared errors over those of the mean of the training rows; every date weighs the same.
        above: Mean over dates of the gain beyond the limit, over its standard error.
        dates: Number of dates.
    """

    r2: float
    above: float
    dates: int


def skill(facts: Facts) -> Found:
    """A ridge that explains more than a real forecast can, by a split in time."""
    panel, target = facts.panel, facts.panel.target
    assert target is not None
    names = [name for name in panel.features if np.isfinite(panel.values[name]).any()]
    columns = [_input(panel, panel.values[name]) for name in names]
    inputs = np.column_stack(columns) if columns else np.zeros((panel.rows, 0))
    y = scaled(panel, target - np.nanmean(target))
    usable = np.isfinite(y) & (np.abs(inputs).sum(axis=1) > 0.0)
    if usable.sum() < _FEWEST_ROWS or not names:
        return
    limit = min(facts.settings.max_r2 * facts.outcomes.horizon, _MOST_R2)
    in_time, weights = _by_time(panel, inputs, y, usable, facts.outcomes.horizon, limit)
    at_random, _ = _at_random(panel, inputs, y, usable, limit)
    if in_time is None or at_random is None:
        return
    if facts.outcomes.kind == "returns" and in_time.above > critical(_TESTS, in_time.dates):
        order = np.argsort(-np.abs(weights))[:3]
        yield Finding(
            "skill", "alarm", "",
            f"a ridge trained on the past explains {in_time.r2:.1%} of the variance of later targets (limit "
            f"{limit:.1%} for returns, {in_time.above:.1f} standard errors above it, {in_time.dates} dates); largest "
            "weights: "
            + ", ".join(f"{names[int(i)]} {weights[i]:+.3f}" for i in order),
            "No honest forecast of daily returns is so good: one of these columns has probably seen the target.",
            "Leave the columns out one by one, and see how the one that matters is made. For other targets: --max-r2.",
            {"r2": in_time.r2, "r2_random": at_random.r2, "limit": limit, "dates": in_time.dates},
        )  # fmt: skip
    if at_random.r2 - max(in_time.r2, 0.0) > _FLATTERY:
        yield Finding(
            "skill", "note", "",
            f"R² is {at_random.r2:.1%} by a random split and {in_time.r2:.1%} by a split in time",
            "A random split would show skill that no later data has.", "Split by time only.",
            {"r2": in_time.r2, "r2_random": at_random.r2},
        )  # fmt: skip


def _input(panel: Panel, values: Values) -> Values:
    """A column as an input: against its own past, 0 where unknown."""
    return np.nan_to_num(standardised_by_past(panel, values))


def _by_time(
    panel: Panel, inputs: Values, y: Values, usable: Mask, horizon: int, limit: float
) -> tuple[Score | None, Values]:
    """Tests on blocks of time, each after its training rows and their labels."""
    steps = len(panel.seconds)
    edges = np.linspace(int(_FIRST * steps), steps, _FOLDS + 1).astype(int)
    parts = []
    weights = np.zeros(inputs.shape[1])
    for start, end in pairwise(edges):
        training = usable & (panel.step <= start - horizon)
        parts.append((training, usable & (panel.step >= start) & (panel.step < end)))
    return _score(panel, inputs, y, parts, limit, weights, horizon)


def _at_random(panel: Panel, inputs: Values, y: Values, usable: Mask, limit: float) -> tuple[Score | None, Values]:
    fold = np.random.default_rng(_SEED).integers(_FOLDS, size=panel.rows)
    parts = [(usable & (fold != each), usable & (fold == each)) for each in range(_FOLDS)]
    return _score(panel, inputs, y, parts, limit, np.zeros(inputs.shape[1]), 1)


def _score(
    panel: Panel, inputs: Values, y: Values, parts: list[tuple[Mask, Mask]], limit: float, weights: Values, horizon: int
) -> tuple[Score | None, Values]:
    naive, model = np.full(panel.rows, np.nan), np.full(panel.rows, np.nan)
    for training, test in parts:
        rows = int(training.sum())
        if rows < _FEWEST_ROWS // 2 or not test.any():
            continue
        fitted = ridge.fit([Sums.of(inputs[training], y[training])], [_ALPHA_PER_ROW * rows])
        weights = fitted.weights[:, 0]
        naive[test] = (y[test] - y[training].mean()) ** 2
        model[test] = (y[test] - fitted.predict(inputs[test])[:, 0]) ** 2
    by_date = panel.date_means(naive), panel.date_means(model)
    known = np.isfinite(by_date[0])
    if known.sum() < FEWEST_DATES:
        return None, weights
    base, loss = by_date[0][known], by_date[1][known]
    gain = (1.0 - limit) * base - loss
    error = standard_error(gain, horizon + 3)
    above = float(gain.mean()) / error if error > 0.0 else 0.0
    return Score(1.0 - float(loss.mean() / base.mean()), above, int(known.sum())), weights
