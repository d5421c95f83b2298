"""Columns of times that say when the values of a row became available."""

from __future__ import annotations

import numpy as np

from cloudlstm.audit.checks import Facts, Found
from cloudlstm.audit.findings import Finding
from cloudlstm.audit.panel import STAMP
from cloudlstm.audit.publications import cuts_of
from cloudlstm.audit.times import MISSING, iso

_S_US = 1_000_000


def stamped(facts: Facts) -> Found:
    """Rows with a value that became available after their own time."""
    panel = facts.panel
    limit = cuts_of(panel, facts.settings.calendar)[panel.step]
    for name, seconds in panel.stamps.items():
        known = seconds != MISSING
        value = panel.values.get(STAMP.sub("", name).rstrip("_"))
        if value is not None:
            known &= np.isfinite(value)
        late = known & (np.where(known, seconds, 0) * _S_US > limit)
        if not late.any():
            continue
        days = (seconds[late] * _S_US - limit[late]) / (86_400 * _S_US)
        example = int(np.flatnonzero(late)[0])
        yield Finding(
            "available-at", "alarm", name,
            f"{int(late.sum())} of {int(known.sum())} rows have a value that became available after their own time, "
            f"{float(np.median(days)):.2g} days later (median); in the row of "
            f"{iso(int(panel.seconds[panel.step[example]]))} it is {iso(int(seconds[example]))}",
            "A model that is trained on these rows sees what nobody knew at the time.",
            "Join each row with the newest value that was available before its close.",
            {"rows": int(late.sum()), "of": int(known.sum()), "median_days": float(np.median(days))},
        )  # fmt: skip


def lacking(facts: Facts) -> str:
    """Why the times cannot be checked; empty if they can."""
    return "" if facts.panel.stamps else "no column such as cpi_available_at"
