"""Checks of missing values: empty and constant columns, gaps that tell the future, and empty ends."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cloudlstm.audit.checks import Facts, Found
from cloudlstm.audit.findings import Finding
from cloudlstm.audit.leads import standardised_by_past, strongest
from cloudlstm.audit.outcomes import FEWEST_ROWS
from cloudlstm.audit.panel import Panel

Mask = NDArray[np.bool_]

_LONGEST_TAIL = 30
_ELSEWHERE = 0.02
_MOSTLY = 0.9
_FEWEST_GAPS = 10
_SOME = 0.005


def constant(facts: Facts) -> Found:
    """Columns without any information."""
    for name in facts.panel.features:
        values = facts.panel.values[name]
        known = values[np.isfinite(values)]
        if not len(known) or (known == known[0]).all():
            found = f"all {len(known)} values are {known[0]:g}" if len(known) else "it has no value"
            yield Finding(
                "constant", "note", name, found, "It tells nothing; the join that should fill it may have failed.",
                "Repair the join, or leave the column out.", {"values": len(known)},
            )  # fmt: skip


def gaps(facts: Facts) -> Found:
    """Gaps that depend on what comes later."""
    panel = facts.panel
    for name in panel.features:
        values = panel.values[name]
        absent = np.isnan(values)
        if not absent.any() or absent.all():
            continue
        yield from _tail(panel, name, absent)
        yield from _with_target(panel, name, absent)
        if _SOME <= absent.mean() <= 1 - _SOME:
            form = standardised_by_past(panel, absent.astype(np.float64))
            if np.isfinite(form).any():
                yield from _telling(facts, name, absent)


def _tail(panel: Panel, name: str, absent: Mask) -> Found:
    """The last rows of every entity are empty: the values need rows that are not there yet."""
    long = panel.lengths > _LONGEST_TAIL + FEWEST_ROWS
    if not long.any():
        return
    starts, ends = panel.starts[long], (panel.starts + panel.lengths)[long]
    blocks = [~absent[start:end] for start, end in zip(starts, ends, strict=True)]
    some = [block for block in blocks if block.any()]
    if not some:
        return
    tails = np.array([int(block[::-1].argmax()) for block in some])
    heads = np.array([int(block.argmax()) for block in some])
    inside = np.mean([1 - block[head : len(block) - tail].mean() for block, head, tail in
                      zip(some, heads, tails, strict=True)])  # fmt: skip
    usual = int(np.median(tails))
    if not 1 <= usual <= _LONGEST_TAIL or (tails == usual).mean() < _MOSTLY or inside > _ELSEWHERE:
        return
    centred = int(np.median(heads)) == usual
    one_end = len(np.unique(panel.step[ends - 1])) == 1
    certain = (usual >= 2 or len(some) >= 3) and (not one_end or centred or usual >= 2)
    yield Finding(
        "gaps", "alarm" if certain and (centred or not one_end) else "warning", name,
        f"the last {usual} rows of {(tails == usual).sum()} of {len(some)} entities are empty, and {inside:.2%} of the "
        f"rows between" + (f"; so are the first {usual}" if centred else ""),
        "A value that is missing at the end of each history is made of later rows"
        + (", as by a centred window." if centred else ", or its source ends there."),
        "Shift the column so that each value uses rows up to its own.",
        {"rows": usual, "entities": len(some), "missing_between": float(inside)},
    )  # fmt: skip


def _with_target(panel: Panel, name: str, absent: Mask) -> Found:
    """Empty exactly where the target is, although the row itself has its price."""
    if panel.target is None:
        return
    no_target = np.isnan(panel.target)
    inside = panel.nth < np.repeat(panel.lengths, panel.lengths) - _LONGEST_TAIL
    inside &= panel.nth >= _LONGEST_TAIL
    if panel.price is not None and panel.roles.price != name:
        inside &= np.isfinite(panel.price)
    both = int((no_target & absent & inside).sum())
    target_gaps, own_gaps = int((no_target & inside).sum()), int((absent & inside).sum())
    if target_gaps >= _FEWEST_GAPS and both >= _MOSTLY * target_gaps and both >= _MOSTLY * own_gaps:
        known = panel.price is not None and panel.roles.price != name
        yield Finding(
            "gaps", "alarm" if known else "warning", name,
            f"it is empty in {both} of the {target_gaps} rows without target"
            + (", which have a price" if known else "") + f", and in {own_gaps - both} others",
            "Whether the target exists is known only later, so a gap in its place is made of later rows.",
            "Compute the column without the rows after it.",
            {"both": both, "without_target": target_gaps, "empty": own_gaps},
        )  # fmt: skip


def _telling(facts: Facts, name: str, absent: Mask) -> Found:
    found = strongest(facts.panel, absent.astype(np.float64), facts.later, facts.past, facts.tests)
    best = max(found.values(), key=lambda each: each.margin, default=None)
    if best is not None and best.margin > 0.0:
        level = "alarm" if best.later.name != "target" or facts.outcomes.kind == "returns" else "warning"
        yield Finding(
            "gaps", level, name,  # type: ignore[arg-type]
            f"its gaps have a correlation of {best.found.value:+.2f} with {best.later.name} {best.later.lead} rows "
            f"ahead over {best.found.dates} dates (limit {best.later.limit:.2f})",
            "Which values are missing depends on what happened later.",
            "Find out why they are missing; fill or drop them by what was known at the time.",
            {"correlation": best.found.value, "error": best.found.error, "limit": best.later.limit},
        )  # fmt: skip
