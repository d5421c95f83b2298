"""At most two of 100 clean tables of many shapes may have an alarm."""

from __future__ import annotations

from collections import Counter

from audit.clean_tables import clean_table
from cloudlstm.audit import Settings, audit_table

MOST_ALARMS = 2


def test_clean_tables_have_no_alarm() -> None:
    alarms, shapes = [], Counter[str]()
    for seed in range(100):
        table, settings = clean_table(seed)
        found = audit_table(table, Settings(**settings))
        shapes[found.target_kind] += 1
        shapes["one series"] += found.entities == 1
        shapes["panel"] += found.entities >= 5
        shapes["with price"] += found.roles["price"] is not None
        if found.of_level("alarm"):
            alarms.append((seed, [(each.check, each.column) for each in found.of_level("alarm")]))
    assert len(alarms) <= MOST_ALARMS, alarms
    assert shapes["returns"] >= 60  # else the limits were not tried
    assert min(shapes["one series"], shapes["panel"], shapes["with price"], shapes["other"]) >= 10, shapes
