"""Checks of the split: the same row twice, splits that overlap in time, and labels that reach into the next split."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from cloudlstm.audit.checks import Facts, Found
from cloudlstm.audit.findings import Finding
from cloudlstm.audit.outcomes import ASSUMED, OVERLAPPING
from cloudlstm.audit.panel import Panel
from cloudlstm.audit.times import iso

_INTERLEAVED = 0.2
_DAY_S = 86_400

Steps = NDArray[np.int64]
"""Numbers of times."""


def splits(facts: Facts) -> Found:
    """Splits that are not ordered in time, or whose labels overlap."""
    if facts.panel.split is None:
        yield from _train_end(facts)
        return
    yield from _order(facts)


def _order(facts: Facts) -> Found:
    panel, split = facts.panel, facts.panel.split
    assert split is not None
    if panel.in_two_splits:
        yield Finding(
            "split", "alarm", panel.roles.split or "",
            f"{panel.in_two_splits} keys of entity and time stand in more than one split",
            "The same row trains the model and tests it.", "Give each entity and time one split.",
            {"rows": panel.in_two_splits},
        )  # fmt: skip
    without = int((split.code < 0).sum())
    if without:
        yield Finding(
            "split", "note", panel.roles.split or "", f"{without} rows have no split", "They were not checked.",
            "Name a split for each row, or remove them.", {"rows": without},
        )  # fmt: skip
    bounds = []
    for code, name in enumerate(split.names):
        steps = panel.step[split.code == code]
        bounds.append((name, int(steps.min()), int(steps.max()), steps))
    for (name, _, end, own), (later, start, _, following) in pairwise(bounds):
        if start <= end:
            yield _overlap(facts, name, later, own, following)
        else:
            yield from _reach(facts, name, later, end, start, own)


def _overlap(facts: Facts, name: str, later: str, own: Steps, following: Steps) -> Finding:
    panel = facts.panel
    inside = int((own >= following.min()).sum())
    share = inside / len(own)
    common = len(np.intersect1d(own, following)) / max(len(np.unique(following)), 1)
    split = panel.split
    assert split is not None
    by_entity = not np.intersect1d(
        panel.entity[split.code == split.names.index(name)], panel.entity[split.code == split.names.index(later)]
    ).size
    if by_entity:
        kind = "The splits have different entities at the same times; entities of one time move together."
    elif share > _INTERLEAVED and common > _INTERLEAVED:
        kind = "This is a random split: rows of later times, and neighbours of the test rows, train the model."
    else:
        kind = "Rows of later times train the model."
    return Finding(
        "split", "warning" if by_entity else "alarm", panel.roles.split or "",
        f"{inside} rows of {name} ({share:.1%}) are not before {iso(int(panel.seconds[following.min()]))}, where "
        f"{later} begins; {common:.0%} of the times of {later} also have rows of {name}",
        kind, "Split by time, with a gap of the horizon.",
        {"rows": inside, "share": share, "common_times": common},
    )  # fmt: skip


def _reach(facts: Facts, name: str, later: str, end: int, start: int, own: Steps) -> Found:
    """Labels of the earlier split that need times after the first one of the next."""
    horizon = facts.outcomes.horizon
    between = _times_between(facts.panel, end, start)
    inside = int((own + horizon > end + 1 + between).sum())
    if inside:
        certain = facts.settings.horizon is not None or facts.outcomes.horizon_from not in (ASSUMED, OVERLAPPING)
        yield Finding(
            "split", "alarm" if certain else "warning", facts.panel.roles.split or "",
            f"{inside} rows of {name} have a label of {horizon} rows that ends after {later} begins "
            f"({iso(int(facts.panel.seconds[start]))}); the gap between them is {between} times",
            "These labels are made of returns that the other split is scored with.",
            f"Leave out the last {horizon - 1} times of {name} (purge).",
            {"rows": inside, "horizon": horizon, "gap": between},
        )  # fmt: skip


def _times_between(panel: Panel, end: int, start: int) -> int:
    """The number of times between two rows of times; those that the table leaves out are estimated by its calendar."""
    spacing = np.diff(panel.seconds)
    first, last = int(panel.seconds[end]), int(panel.seconds[start])
    days = panel.seconds // _DAY_S
    if (spacing >= _DAY_S).all() and ((days + 3) % 7 < 5).all():  # 1970-01-01 was a Thursday
        return (
            max(
                start - end,
                int(np.busday_count(np.datetime64(first // _DAY_S, "D"), np.datetime64(last // _DAY_S, "D"))),
            )
            - 1
        )
    usual = float(spacing[spacing <= 10 * np.median(spacing)].mean())
    return max(start - end, math.ceil((last - first) / usual)) - 1


def _train_end(facts: Facts) -> Found:
    panel, end = facts.panel, facts.train_end
    assert end is not None
    training = panel.seconds <= end
    if training.all() or not training.any():
        yield Finding(
            "split", "warning", "",
            f"all times are {'not after' if training.all() else 'after'} the end of training, {iso(end)}",
            "There is nothing to test, or nothing to train on.", "Correct --train-end.", {},
        )  # fmt: skip
        return
    last = int(np.flatnonzero(training)[-1])
    own = panel.step[panel.step <= last]
    if panel.target is not None:
        own = panel.step[(panel.step <= last) & np.isfinite(panel.target)]
    yield from _reach(facts, "training", "test", last, last + 1, own)


def lacking(facts: Facts) -> str:
    """Why the split cannot be checked; empty if it can."""
    if facts.panel.split is None and facts.train_end is None:
        return "no split column and no --train-end"
    if facts.panel.split is not None and len(facts.panel.split.names) < 2:
        return f"the column {facts.panel.roles.split} has one value"
    return ""
