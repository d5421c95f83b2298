"""The forms in which a feature is looked at use nothing later than their row, else the audit would find itself."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from audit.faults import base, later
from cloudlstm.audit import leads
from cloudlstm.audit.outcomes import find_outcomes
from cloudlstm.audit.panel import make_panel
from cloudlstm.audit.roles import Settings, find_roles


def panel(**columns: np.ndarray):
    table = pa.table(base(dates=200, entities=5).table(**columns))
    return make_panel(table, find_roles(table.column_names, Settings(), "it"), None, "it")


def test_standardised_values_depend_on_their_past_only():
    before = panel()
    changed = base(dates=200, entities=5).close.copy()
    changed[120:] *= 1.5
    after = panel(close=changed)
    for centre in (True, False):
        one, two = (
            leads.standardised_by_past(each, each.values["close"] / 50, centre=centre) for each in (before, after)
        )
        early = before.step < 120
        known = np.isfinite(one) & early
        assert known.sum() == 5 * (120 - 10 + 1)
        # The unit of the column is the median of all rows; it cancels.
        np.testing.assert_allclose(one[known], two[known], rtol=1e-6, atol=1e-9)
        assert not np.allclose(one[~early], two[~early], equal_nan=True)


def test_standardised_values_are_those_of_an_expanding_window():
    it = panel()
    values = it.values["close"]
    found = leads.standardised_by_past(it, values)
    own = values[it.entity == 3]
    for t in (20, 77, 199):
        expected = (own[t] - own[: t + 1].mean()) / own[: t + 1].std()
        assert found[it.entity == 3][t] == pytest.approx(np.clip(expected, -5, 5))


def test_past_returns_are_taken_out_and_later_ones_stay():
    b = base(dates=1000, entities=5)
    mixed = 2 * b.returns - np.roll(b.returns, 3, axis=0) + later(b.returns, 1)
    table = pa.table(b.table(mixed=mixed))
    it = make_panel(table, find_roles(table.column_names, Settings(), "it"), None, "it")
    left = leads.PastReturns(it, find_outcomes(it, None)).removed(it.values["mixed"])
    known = np.isfinite(left)
    ahead = it.shifted(it.change(np.log(it.price)), 1)
    known &= np.isfinite(ahead) & (it.nth > 30)
    assert np.corrcoef(left[known], ahead[known])[0, 1] > 0.97
