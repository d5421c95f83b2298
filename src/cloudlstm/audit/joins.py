"""Columns that show exogenous values before they were published, because they were joined by date or period."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloudlstm.audit.checks import Facts, Found
from cloudlstm.audit.findings import Finding
from cloudlstm.audit.naive import Candidate, candidates_of
from cloudlstm.audit.panel import Panel, Values
from cloudlstm.audit.publications import cuts_of
from cloudlstm.audit.times import iso

_MOSTLY = 0.95
_NEARLY_ALL = 0.9
_FEWEST_TIMES = 5
_SAMPLE_ROWS = 2_000
_RELATIVE, _OF_SCALE = 1e-6, 1e-9


@dataclass(frozen=True, slots=True)
class _Match:
    """A column that equals a naive join: its form, the rows with unpublished values, and all rows with a value."""

    candidate: Candidate
    form: str
    rows: NDArray[np.intp]
    of: int


def unpublished(facts: Facts) -> Found:
    """Columns that equal a join by date or period in rows in which the as-of join has another value."""
    panel, table = facts.panel, facts.exogenous
    assert table is not None
    limit = cuts_of(panel, facts.settings.calendar)
    best: dict[str, _Match] = {}
    for candidate in candidates_of(table, panel, limit):
        for name, match in _matches(panel, candidate):
            if name not in best or len(match.rows) > len(best[name].rows):
                best[name] = match
    for name in panel.features:
        if name in best:
            yield _finding(panel, name, best[name])


def lacking(facts: Facts) -> str:
    """Why the joins cannot be checked; empty if they can."""
    return "" if facts.exogenous is not None else "no table of times of publication (--exogenous)"


def _matches(panel: Panel, candidate: Candidate) -> Iterator[tuple[str, _Match]]:
    """The features that are a form of a naive join, with the rows that show what was not available."""
    pairs = zip(_forms(panel, candidate.values), _forms(panel, candidate.known), strict=True)
    for (form, naive), (_, known) in pairs:
        scale = float(np.nanmax(np.abs(candidate.values), initial=0.0))
        apart = candidate.early & np.isfinite(naive) & ~_equal(naive, known, scale)
        if not apart.any():
            continue
        rows = np.flatnonzero(apart)
        for name in panel.features:
            column = panel.values[name]
            if not _is_of(column, naive, candidate.compared, scale):
                continue
            shown = rows[_equal(column[rows], naive[rows], scale)]
            asked = np.isfinite(column[rows]).sum()
            if len(shown) < _NEARLY_ALL * asked or len(np.unique(panel.step[shown])) < _FEWEST_TIMES:
                continue
            if len(np.unique(column[shown])) < 2:  # a constant, such as the logarithm of 1, equals many things
                continue
            yield name, _Match(candidate, form, shown, int(np.isfinite(column).sum()))


def _forms(panel: Panel, values: Values) -> Iterator[tuple[str, Values]]:
    """A joined series in the forms in which it may be a feature, with words for each (rows,)."""
    logarithm = np.log(np.where(values > 0, values, np.nan))
    yield "", values
    yield "a hundredth of ", values / 100
    yield "the logarithm of ", logarithm
    yield "the change of ", panel.change(values)
    yield "the relative change of ", panel.change(values) / np.abs(panel.shifted(values, -1))
    yield "the change of the logarithm of ", panel.change(logarithm)


def _is_of(column: Values, naive: Values, compared: NDArray[np.bool_], scale: float) -> bool:
    """True if a column mostly equals a join where both have values; looks at a few rows first."""
    rows = np.flatnonzero(compared & np.isfinite(column) & np.isfinite(naive))
    if len(rows) < _FEWEST_TIMES:
        return False
    some = rows[:: max(len(rows) // _SAMPLE_ROWS, 1)]
    return all(_equal(column[chosen], naive[chosen], scale).mean() >= _MOSTLY for chosen in (some, rows))


def _equal(x: Values, y: Values, scale: float) -> NDArray[np.bool_]:
    """Equal up to the rounding of 32 bits; a missing value equals nothing."""
    equal: NDArray[np.bool_] = np.abs(x - y) <= _RELATIVE * np.maximum(np.abs(x), np.abs(y)) + _OF_SCALE * scale
    return equal


def _finding(panel: Panel, name: str, match: _Match) -> Finding:
    candidate, rows = match.candidate, match.rows
    days, first = float(np.median(candidate.days_early[rows])), int(panel.seconds[panel.step[rows[0]]])
    return Finding(
        "unpublished", "alarm", name,
        f"it is {match.form}{candidate.series} joined by {candidate.how}: {len(rows)} of {match.of} rows show what was "
        f"published later, {days:.2g} days (median), first in the row of {iso(first)}",
        "A model that is trained on these rows sees what nobody knew at the time.",
        "Join each row with the newest value that was available before its close, in its version of then.",
        {"series": candidate.series, "rows": len(rows), "of": match.of, "median_days": days},
    )  # fmt: skip
