"""Checks of values that were rewritten after their time: two vintages of a table, and adjusted prices."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from cloudlstm.audit.checks import Facts, Found
from cloudlstm.audit.findings import Finding
from cloudlstm.audit.panel import Panel
from cloudlstm.audit.times import iso

_RELATIVE = 1e-6
_LATE_TIMES = 5
_STEP = 1e-4


def revised(facts: Facts) -> Found:
    """Values of the same entity and time that differ between two vintages."""
    panel, other = facts.panel, facts.revised
    assert other is not None
    here, there = _common(panel, other)
    last = min(int(panel.seconds[-1]), int(other.seconds[-1]))
    seconds = panel.seconds[panel.step[here]]
    for name in [each for each in panel.values if each in other.values]:
        x, y = panel.values[name][here], other.values[name][there]
        # A value that is new in one vintage is told apart: targets of the last rows become known later.
        differ = np.abs(x - y) > _RELATIVE * np.maximum(np.abs(x), np.abs(y))
        if not differ.any():
            continue
        when = seconds[differ]
        times = np.unique(seconds)
        late = int(when.min()) >= int(times[max(len(times) - _LATE_TIMES, 0)])
        size = float(np.median(np.abs(x - y)[differ] / np.maximum(np.abs(x), np.abs(y))[differ]))
        yield Finding(
            "revised", "warning" if late else "alarm", name,
            f"{int(differ.sum())} of {len(here)} common rows ({differ.mean():.1%}) differ, from "
            f"{iso(int(when.min()))} to {iso(int(when.max()))}, by {size:.2%} (median)",
            "Only the last times were corrected." if late else
            "The past was rewritten: a model that is trained on this vintage knows what was learned after the time.",
            "Keep each vintage, and take for each row the one of its time; or use columns that revisions leave alone, "
            "such as returns.",
            {"rows": int(differ.sum()), "common": len(here), "first": iso(int(when.min()))},
        )  # fmt: skip
    gone = _only(panel, other, last), _only(other, panel, last)
    if any(gone):
        yield Finding(
            "revised", "warning", "",
            f"{gone[0]} rows up to {iso(last)} are only in the table, and {gone[1]} only in the other vintage",
            "Rows were added or removed after their time, such as those of entities that failed.",
            "Find out which; the universe of a time is that of its own vintage.",
            {"only_here": gone[0], "only_there": gone[1]},
        )  # fmt: skip


def _common(panel: Panel, other: Panel) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The rows of the keys that both have."""
    place = {name: i for i, name in enumerate(panel.entities)}
    entity = np.array([place.get(name, -1) for name in other.entities])[other.entity]
    scale = int(max(panel.seconds[-1], other.seconds[-1])) - int(min(panel.seconds[0], other.seconds[0])) + 1
    base = int(min(panel.seconds[0], other.seconds[0]))
    mine = panel.entity * scale + (panel.seconds[panel.step] - base)
    theirs = entity * scale + (other.seconds[other.step] - base)
    theirs = np.where(entity < 0, -1, theirs)
    _, here, there = np.intersect1d(mine, theirs, return_indices=True)
    return here, there


def _only(panel: Panel, other: Panel, last: int) -> int:
    """Rows of `panel` up to a time that `other` lacks, after the first time of both."""
    first = max(int(panel.seconds[0]), int(other.seconds[0]))
    seconds = panel.seconds[panel.step]
    within = (seconds >= first) & (seconds <= last)
    here, _ = _common(panel, other)
    common = np.zeros(panel.rows, bool)
    common[here] = True
    return int((within & ~common).sum())


def adjusted(facts: Facts) -> Found:
    """Adjusted prices, whose level at a time contains the dividends and splits after it."""
    panel = facts.panel
    raw, changed = pair(panel)
    ratio = panel.values[changed] / panel.values[raw]
    steps = np.abs(panel.change(np.log(np.where(ratio > 0, ratio, np.nan)))) > _STEP
    if not steps.any():
        return
    first = ratio[panel.starts]
    typical = float(np.nanmedian(first))
    yield Finding(
        "adjusted", "warning", changed,
        f"{changed} / {raw} changes in {int(steps.sum())} rows of {len(np.unique(panel.entity[steps]))} entities, and "
        f"is {typical:.3f} at the first rows (median)",
        "Each dividend or split rewrites all prices before it, so the level of an adjusted price tells what was paid "
        "later. Returns of it are not affected.",
        "Use returns or ratios of adjusted prices, never their level beside a raw price.",
        {"rows": int(steps.sum()), "first_ratio": typical},
    )  # fmt: skip


def pair(panel: Panel) -> tuple[str, str]:
    """The names of the raw and the adjusted close; empty if the table does not have both."""
    plain = {re.sub(r"[^a-z]", "", name.lower()): name for name in panel.values}
    raw = next((plain[each] for each in ("close", "closeraw", "rawclose", "price") if each in plain), "")
    known = ("adjclose", "adjustedclose", "closeadj", "closeadjusted", "adjprice")
    changed = next((plain[each] for each in known if each in plain), "")
    return (raw, changed) if raw and changed else ("", "")
