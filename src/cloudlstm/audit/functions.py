"""Checks of a function that makes features: whether it looks at later bars, or at how long the history is.

A table alone cannot prove that it is free of the future; its code can be tried. `perturbation` changes all bars after a
cut and asks whether any feature before it changes. `recursive` leaves out the first bars and asks whether later
features change, as those of an exponential mean, a cumulative sum or a scaler do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cloudlstm.audit.roles import Settings, find_roles
from cloudlstm.errors import DataError

FeatureFunction = Callable[[pa.Table], pa.Table]
"""Makes a table of features of a table of bars. Both have an entity and a time column, with the same names."""

_LARGEST_CHANGE = 0.5


@dataclass(frozen=True, slots=True)
class Dependence:
    """A feature that depends on bars that it should not depend on.

    Attributes:
        column: The feature.
        rows: Rows in which it changed, over all cuts.
        cuts: Number of cuts at which a row changed.
        largest: Largest relative change; infinite if a value appeared or vanished.
        distance: The largest number of times between a changed row and the cut.
    """

    column: str
    rows: int
    cuts: int
    largest: float
    distance: int


def perturbation(
    feature_function: FeatureFunction,
    bars: pa.Table,
    *,
    cuts: int = 20,
    seed: int = 0,
    settings: Settings | None = None,
) -> tuple[Dependence, ...]:
    """Returns the features of rows up to a cut that change if the bars after the cut change, bit for bit.

    Args:
        feature_function: Makes the features.
        bars: The bars, with an entity and a time column.
        cuts: Number of random cuts.
        seed: Of the cuts and changes.
        settings: The names of the columns; by default found.

    Raises:
        DataError: The function gives other rows for the same keys.
    """
    keys = find_roles(bars.column_names, settings or Settings(), "the table of bars")
    rng = np.random.default_rng(seed)
    times = np.unique(_time(bars, keys.time))
    before = _by_key(feature_function(bars), keys.entity, keys.time)
    changed: dict[str, list[tuple[int, float, int]]] = {}
    for cut in rng.choice(times[:-1], size=min(cuts, len(times) - 1), replace=False):
        after = _by_key(
            feature_function(_changed_after(bars, keys.entity, keys.time, cut, rng)), keys.entity, keys.time
        )
        _compare(before, after, before.time <= cut, times, int(cut), changed, strict=True)
    return _results(changed)


def recursive(
    feature_function: FeatureFunction,
    bars: pa.Table,
    *,
    lookback: int,
    starts: Sequence[int] = (50, 100, 200),
    tolerance: float = 0.0,
    settings: Settings | None = None,
) -> tuple[Dependence, ...]:
    """Returns the features that change if the history before them is shorter, although it is `lookback` times long.

    Args:
        feature_function: Makes the features.
        bars: The bars, with an entity and a time column.
        lookback: Number of times that a feature may depend on, its own included.
        starts: Numbers of first times that are left out.
        tolerance: Largest relative change that is accepted; 0 compares bit for bit.
        settings: The names of the columns; by default found.
    """
    keys = find_roles(bars.column_names, settings or Settings(), "the table of bars")
    time = _time(bars, keys.time)
    times = np.unique(time)
    before = _by_key(feature_function(bars), keys.entity, keys.time)
    changed: dict[str, list[tuple[int, float, int]]] = {}
    for start in starts:
        if start + lookback >= len(times):
            continue
        shorter = bars.filter(pa.array(time >= times[start]))
        first = times[start + lookback - 1]
        after = _by_key(feature_function(shorter), keys.entity, keys.time)
        _compare(before, after, before.time >= first, times, int(first), changed, strict=False,
                 tolerance=tolerance)  # fmt: skip
    return _results(changed)


@dataclass(frozen=True, slots=True)
class _Keyed:
    """Features with the keys of their rows."""

    entity: NDArray[np.object_]
    time: NDArray[np.int64]
    values: dict[str, NDArray[np.float64]]


def _time(table: pa.Table, name: str) -> NDArray[np.int64]:
    column = table.column(name)
    if pa.types.is_date32(column.type):
        column = column.cast(pa.int32())
    elif not pa.types.is_integer(column.type):
        column = column.cast(pa.timestamp("us")).cast(pa.int64())
    return np.asarray(column.cast(pa.int64()).to_numpy(), np.int64)


def _by_key(table: pa.Table, entity: str | None, time: str) -> _Keyed:
    values = {}
    for name in table.column_names:
        kind = table.column(name).type
        if name not in (entity, time) and (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
            values[name] = np.asarray(
                pc.fill_null(table.column(name).cast(pa.float64()), np.nan).to_numpy(), np.float64
            )
    names = [""] * table.num_rows if entity is None else table.column(entity).cast(pa.string()).to_pylist()
    return _Keyed(np.array(names, object), _time(table, time), values)


def _changed_after(bars: pa.Table, entity: str | None, time: str, cut: int, rng: np.random.Generator) -> pa.Table:
    """The bars with other numbers after a cut; integers stay integers, positive numbers positive."""
    later = _time(bars, time) > cut
    columns = []
    factor = np.where(later, 1.0 + rng.uniform(-_LARGEST_CHANGE, _LARGEST_CHANGE, bars.num_rows), 1.0)
    for name in bars.column_names:
        column = bars.column(name)
        if name in (entity, time) or not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
            columns.append(column)
            continue
        values = column.cast(pa.float64()).to_numpy() * factor
        if pa.types.is_integer(column.type):
            values = np.where(np.isfinite(values), np.round(values), 0)
        kept = pc.if_else(pa.array(later), pa.array(values).cast(column.type, safe=False), column.combine_chunks())
        columns.append(pc.if_else(column.is_null(), pa.scalar(None, column.type), kept))
    return pa.table(columns, names=bars.column_names)


def _compare(
    before: _Keyed, after: _Keyed, within: NDArray[np.bool_], times: NDArray[np.int64],
    cut: int, changed: dict[str, list[tuple[int, float, int]]], *, strict: bool, tolerance: float = 0.0,
) -> None:  # fmt: skip
    here = np.flatnonzero(within)
    place = {key: i for i, key in enumerate(zip(after.entity, after.time, strict=True))}
    there = np.array([place.get(key, -1) for key in zip(before.entity[here], before.time[here], strict=True)], np.int64)
    if strict and (there < 0).any():
        raise DataError(
            f"the feature function leaves out {(there < 0).sum()} earlier rows if later bars change",
            hint="return one row a bar",
        )
    here, there = here[there >= 0], there[there >= 0]
    for name, values in before.values.items():
        if name not in after.values:
            continue
        x, y = values[here], after.values[name][there]
        differ = (x.view(np.int64) != y.view(np.int64)) & ~(np.isnan(x) & np.isnan(y))
        with np.errstate(all="ignore"):
            size = np.abs(x - y) / np.maximum(np.abs(x), np.abs(y))
        size = np.where(np.isnan(size), np.inf, size)
        differ &= size > tolerance if tolerance else differ
        if differ.any():
            distance = np.abs(np.searchsorted(times, before.time[here][differ]) - np.searchsorted(times, cut))
            changed.setdefault(name, []).append((int(differ.sum()), float(size[differ].max()), int(distance.max())))


def _results(changed: dict[str, list[tuple[int, float, int]]]) -> tuple[Dependence, ...]:
    return tuple(
        Dependence(name, sum(rows for rows, _, _ in found), len(found), max(size for _, size, _ in found),
                   max(distance for _, _, distance in found))
        for name, found in changed.items()
    )  # fmt: skip
