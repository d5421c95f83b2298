"""Columns scaled by statistics of the whole table: mean 0 and deviation 1, 0 to 1, or ranks, over all rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cloudlstm.audit.checks import Facts, Found
from cloudlstm.audit.findings import Finding
from cloudlstm.audit.outcomes import FEWEST_ROWS
from cloudlstm.audit.panel import Panel, Values

_TOLERANCE = 1e-4
_FINE = 1e-6
_EXACT = 1e-12
"""A column may come near the ends of its scale; a min-max scaler puts one row on each."""
_FEW_VALUES = 20
_MOSTLY = 0.9
_MOST_EXTREMES = 2
_FEWEST_FILLED = 10
_FEW_FILLED = 0.002
_MUCH_MORE = 10

Scaler = tuple[str, str]
"""Name of a scaler and the statistics that were found."""


def scaling(facts: Facts) -> Found:
    """Columns whose scale is that of all rows, or of all rows of each entity."""
    panel = facts.panel
    for name in panel.features:
        values = panel.values[name]
        known = np.isfinite(values)
        if known.sum() < FEWEST_ROWS or len(np.unique(values[known][:100_000])) <= _FEW_VALUES:
            continue
        by_date = _by_date(panel, values)
        if not by_date:
            yield from _imputed(name, values[known])
        if (found := _scaler(values[known])) and not by_date:
            if found[0] == "ranks" and _counts_time(panel, values):
                continue
            yield _finding(name, found, f"all {known.sum()} rows")
        elif len(panel.entities) > 1 and (by_entity := _by_entity(panel, values)):
            yield _finding(name, by_entity, f"the rows of each of {len(panel.entities)} entities")


def _finding(name: str, found: Scaler, where: str) -> Finding:
    return Finding(
        "scaling", "alarm", name, f"{found[1]}, over {where}",
        "The scaler was fitted on rows of later times too, so each value depends on the future.",
        "Fit the scaler on the training rows only, or use a trailing window. If this table holds training rows only, "
        "accept the finding.", {"scaler": found[0]},
    )  # fmt: skip


def _imputed(name: str, values: NDArray[np.float64]) -> Found:
    """One value that stands for missing ones, and is the mean or the median of all others."""
    distinct, count = np.unique(values, return_counts=True)
    most = int(count.argmax())
    value, often = float(distinct[most]), int(count[most])
    others = values[values != value]
    if often < max(_FEWEST_FILLED, _FEW_FILLED * len(values)) or len(others) < FEWEST_ROWS:
        return
    if often < _MUCH_MORE * int(np.median(count)):
        return
    is_mean = abs(value - float(others.mean())) <= _FINE * float(others.std())
    # A median has as many values below as above. Round values, such as 0, may stand for something else.
    is_median = (others < value).sum() == (others > value).sum() and abs(value * 100 - round(value * 100)) > _FINE
    if is_mean or is_median:
        kind = "mean" if is_mean else "median"
        yield Finding(
            "scaling", "alarm", name,
            f"{often} rows ({often / len(values):.1%}) have the value {value:.6g}, which is the {kind} of all others",
            "Missing values were filled with a statistic of all rows, later ones included.",
            "Fill with a statistic of the training rows, or with the last value known.",
            {"scaler": f"filled with the {kind}", "rows": often},
        )  # fmt: skip


def _scaler(values: NDArray[np.float64]) -> Scaler | None:
    """The scaler whose statistics the values have exactly; None if they have none of a known scaler."""
    n = len(values)
    if n < FEWEST_ROWS:
        return None
    mean, deviation = float(values.mean()), float(values.std())
    if deviation <= 0.0:
        return None
    for ddof in (0, 1):
        if abs(mean) < _TOLERANCE and abs(deviation * np.sqrt(n / (n - ddof)) - 1.0) < _TOLERANCE:
            return "standard", f"mean {mean:.1e} and standard deviation {deviation:.6f}"
    low, high = float(values.min()), float(values.max())
    for bottom, top in ((0.0, 1.0), (-1.0, 1.0)):
        if abs(low - bottom) < _EXACT and abs(high - top) < _EXACT:
            ends = (values <= bottom + _FINE).sum(), (values >= top - _FINE).sum()
            if max(ends) <= _MOST_EXTREMES:
                return "min-max", f"smallest value {low:g} in {ends[0]} row, largest {high:g} in {ends[1]} row"
    lower, middle, upper = (float(each) for each in np.quantile(values, (0.25, 0.5, 0.75)))
    if abs(middle) < _FINE and abs(upper - lower - 1.0) < _FINE:
        return "robust", f"median {middle:.1e} and interquartile range {upper - lower:.6f}"
    ordered = np.sort(values)
    if high > low and float(np.abs(ordered - np.linspace(low, high, n)).max()) < 1.5 / n * (high - low) / 2:
        return "ranks", f"its {n} values are evenly spaced from {low:g} to {high:g}, as ranks of all rows are"
    return None


def _by_date(panel: Panel, values: Values) -> bool:
    """True if each date by itself has mean 0, as after scaling by date, which uses no later row."""
    means = panel.date_means(values)
    many = panel.per_step >= 3
    return bool(many.any()) and float(np.nanmedian(np.abs(means[many]))) < 1e-3


def _counts_time(panel: Panel, values: Values) -> bool:
    """True if the column only counts rows or time."""
    moves = panel.change(values)
    moves = moves[np.isfinite(moves)]
    return _of_one_sign(moves)


def _one_way(values: NDArray[np.float64]) -> bool:
    return _of_one_sign(np.diff(values))


def _of_one_sign(moves: NDArray[np.float64]) -> bool:
    return bool((moves >= 0).all() or (moves <= 0).all())


def _by_entity(panel: Panel, values: Values) -> Scaler | None:
    """The scaler that fits nearly every entity with enough rows."""
    kinds: list[str] = []
    example: Scaler | None = None
    ends = panel.starts + panel.lengths
    for start, end in zip(panel.starts, ends, strict=True):
        own = values[start:end]
        own = own[np.isfinite(own)]
        if len(own) < FEWEST_ROWS or len(np.unique(own)) <= _FEW_VALUES:
            continue
        found = _scaler(own)
        if found and found[0] == "ranks" and _one_way(own):
            found = None
        kinds.append(found[0] if found else "")
        example = found or example
        if len(kinds) >= 10 and not any(kinds):
            return None
    return example if kinds and sum(kind != "" for kind in kinds) >= _MOSTLY * len(kinds) else None
