"""Checks of the keys: duplicated rows, ambiguous times, the order of the rows, shuffled times, survivors."""

from __future__ import annotations

import numpy as np

from cloudlstm.audit.checks import Facts, Found
from cloudlstm.audit.findings import Finding
from cloudlstm.audit.outcomes import FEWEST_ROWS
from cloudlstm.audit.times import iso

_MIXED = 0.3
_DESCENDING = 0.95
_SHUFFLED_RATIO = 0.6
"""Variance of the one-row change over twice the variance of the level: about 1 for values in random order, and 2 / n
for a random walk of n rows."""
_SURVIVORS = 10
_LONG = 500


def duplicates(facts: Facts) -> Found:
    """Rows with the same entity and time as an earlier row."""
    panel = facts.panel
    if panel.duplicates:
        share = panel.duplicates / (panel.rows + panel.duplicates)
        entity = panel.roles.entity or "no entity column"
        hint = f" Most rows repeat a key: another column may be part of it (now {entity})." if share > 0.5 else ""
        yield Finding(
            "duplicates", "alarm", panel.roles.time,
            f"{panel.duplicates} rows ({share:.2%}) repeat the entity and time of another row; {panel.conflicting} of "
            f"them differ in a number.{hint}",
            "A copy in training and one in test makes the test easy; a shift by one row then moves within one time.",
            "Keep one row of each entity and time before features are computed.",
            {"rows": panel.duplicates, "share": share, "conflicting": panel.conflicting},
        )  # fmt: skip
    if panel.keyless:
        yield Finding(
            "duplicates", "warning", panel.roles.time,
            f"{panel.keyless} rows have no entity or no time, and were left out",
            "They cannot be placed before or after others.", "Remove them, or complete their keys.",
            {"rows": panel.keyless},
        )  # fmt: skip


def times_(facts: Facts) -> Found:
    """Times that have two readings, and rows that are not in the order of time."""
    panel, parsed = facts.panel, facts.panel.parsed
    name = panel.roles.time
    if parsed.with_zone and parsed.without_zone:
        yield Finding(
            "times", "alarm", name,
            f"{parsed.with_zone} times have a zone, and {parsed.without_zone} have none",
            "Times without a zone may be hours off, so a value can stand before it was known.",
            "Write all times in UTC, with the zone.",
            {"with_zone": parsed.with_zone, "without_zone": parsed.without_zone},
        )  # fmt: skip
    if parsed.day_first and parsed.month_first:
        yield Finding(
            "times", "alarm", name,
            f"{parsed.day_first} dates can only be day/month and {parsed.month_first} only month/day",
            "Dates of two forms are mixed; those that fit both are read in one of them, and may be months off.",
            "Write all dates as YYYY-MM-DD.",
            {"day_first": parsed.day_first, "month_first": parsed.month_first},
        )  # fmt: skip
    elif parsed.either and not parsed.day_first and not parsed.month_first:
        yield Finding(
            "times", "warning", name, f"{parsed.either} dates can be day/month and month/day; read as month/day",
            "If it is day/month, the rows are in another order.", "Write all dates as YYYY-MM-DD.",
            {"either": parsed.either},
        )  # fmt: skip
    if parsed.unreadable:
        yield Finding(
            "times", "warning", name, f"{parsed.unreadable} values are no times, and their rows were left out",
            "They cannot be placed before or after others.", "Correct or remove them.",
            {"rows": parsed.unreadable},
        )  # fmt: skip
    if panel.descending:
        share = panel.descending / panel.pairs
        newest_first = share > _DESCENDING
        yield Finding(
            "times", "note" if newest_first else "warning", name,
            f"{panel.descending} of {panel.pairs} consecutive rows of an entity ({share:.1%}) go back in time"
            + (": newest first" if newest_first else ""),
            "A shift or a rolling window over the rows as they stand takes later rows for earlier ones.",
            "Sort by entity and time before features, shifts and splits are made.",
            {"back": panel.descending, "pairs": panel.pairs},
        )  # fmt: skip


def time_order(facts: Facts) -> Found:
    """A price whose order of times carries no information: its rows have been shuffled."""
    panel, price = facts.panel, facts.panel.price
    assert price is not None
    change = panel.change(price)
    enough = panel.lengths >= FEWEST_ROWS
    ratios = []
    for start, length in zip(panel.starts[enough], panel.lengths[enough], strict=True):
        moves, level = change[start + 1 : start + length], price[start : start + length]
        if np.isfinite(moves).sum() >= FEWEST_ROWS - 1 and np.nanvar(level) > 0.0:
            ratios.append(float(np.nanmean(moves**2) / (2.0 * np.nanvar(level))))
    share = float(np.mean(np.array(ratios) > _SHUFFLED_RATIO)) if ratios else 0.0
    if share > _MIXED:
        yield Finding(
            "time-order", "alarm", panel.roles.price or "",
            f"in {share:.0%} of {len(ratios)} entities the price jumps from row to row as much as values in random "
            f"order: median ratio {np.median(ratios):.2f}, 1 is random, near 0 a price",
            "The times do not belong to the prices: rows were shuffled, or joined to other times.",
            "Make the table again from sorted bars; never shuffle one column alone.",
            {"median_ratio": float(np.median(ratios)), "entities": len(ratios), "share": share},
        )  # fmt: skip


def survivors(facts: Facts) -> Found:
    """A universe without an entity that ends: chosen among those that still existed at the end."""
    panel = facts.panel
    last = panel.step[panel.starts + panel.lengths - 1]
    ended = int((last < len(panel.seconds) - 5).sum())
    if len(panel.entities) >= _SURVIVORS and len(panel.seconds) >= _LONG and not ended:
        yield Finding(
            "survivors", "note", panel.roles.entity or "",
            f"none of {len(panel.entities)} entities ends before {iso(int(panel.seconds[-1]))}, over "
            f"{len(panel.seconds)} times",
            "Entities that failed or were bought seem to be left out, so that returns look better than they were.",
            "Take the universe as it was known at each time, with those that ended later.",
            {"entities": len(panel.entities), "times": len(panel.seconds), "ended": 0},
        )  # fmt: skip
