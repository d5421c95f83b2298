"""The table as arrays, sorted by entity and time, with the few operations that the checks share."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cloudlstm.audit import times
from cloudlstm.audit.roles import Roles
from cloudlstm.audit.times import MISSING, Times
from cloudlstm.errors import UnreadableSourceError
from cloudlstm.market import columns

Values = NDArray[np.float64]
Ints = NDArray[np.int64]

STAMP = re.compile(r"(available|published|known)_?at$", re.IGNORECASE)
"""The end of the name of a column that says when the values of another column became available."""


@dataclass(frozen=True, slots=True)
class Split:
    """The split of each row."""

    names: tuple[str, ...]
    """In the order of their mean time."""
    code: Ints
    """Index of the name (rows,); -1 where missing."""


@dataclass(frozen=True)
class Panel:
    """The rows of a table sorted by entity and time; of rows with equal keys the first, none with a missing key.

    Attributes:
        entity: Number of the entity (rows,).
        entities: The name of each entity.
        step: Number of the time among all distinct times, ascending (rows,).
        seconds: The distinct times (steps,).
        values: Each numeric column, NaN where missing (rows,).
        roles: The columns' roles.
        features: The columns to check.
        not_numeric: Columns that cannot be checked as features.
        stamps: Seconds at which the values of other columns became available, by the name of the column of times;
            MISSING where there is none (rows,).
        split: The split of each row, if the table has one.
        source_row: Row of the file (rows,).
        duplicates: Rows of the file whose key an earlier row has.
        conflicting: Those of them that differ from the first row in a numeric column.
        keyless: Rows without entity or time.
        parsed: What was found in the column of times.
        descending: Pairs of consecutive rows of an entity, in the file's order, that go back in time.
        pairs: All such pairs.
        in_two_splits: Keys that stand in more than one split.
    """

    entity: Ints
    entities: tuple[str, ...]
    step: Ints
    seconds: Ints
    values: dict[str, Values]
    roles: Roles
    features: tuple[str, ...]
    not_numeric: tuple[str, ...]
    stamps: dict[str, Ints]
    split: Split | None
    source_row: Ints
    duplicates: int
    conflicting: int
    keyless: int
    parsed: Times = field(repr=False)
    descending: int
    pairs: int
    in_two_splits: int

    @property
    def rows(self) -> int:
        return len(self.entity)

    @cached_property
    def starts(self) -> NDArray[np.intp]:
        """The first row of each entity."""
        return columns.group_starts(self.entity)

    @cached_property
    def nth(self) -> Ints:
        """The place of each row in its entity, from 0 (rows,)."""
        place: Ints = np.arange(self.rows) - np.repeat(self.starts, self.lengths)
        return place

    @cached_property
    def lengths(self) -> Ints:
        """Rows of each entity (entities,)."""
        return np.diff(np.append(self.starts, self.rows))

    @cached_property
    def per_step(self) -> Ints:
        """Rows of each time (steps,)."""
        return np.bincount(self.step, minlength=len(self.seconds))

    @cached_property
    def by_step(self) -> NDArray[np.intp]:
        """The rows in the order of their times (rows,)."""
        return np.argsort(self.step, kind="stable")

    @cached_property
    def step_starts(self) -> NDArray[np.intp]:
        """The first row of each time, in the order of `by_step` (steps,)."""
        return np.cumsum(self.per_step) - self.per_step

    @property
    def target(self) -> Values | None:
        return None if self.roles.target is None else self.values.get(self.roles.target)

    @property
    def price(self) -> Values | None:
        return None if self.roles.price is None else self.values.get(self.roles.price)

    def shifted(self, values: Values, rows: int) -> Values:
        """Returns the value `rows` rows later in the same entity, earlier if negative; NaN where there is none."""
        out = np.full(len(values), np.nan)
        if 0 < abs(rows) < len(values):
            here, there = (
                (slice(None, -rows), slice(rows, None)) if rows > 0 else (slice(-rows, None), slice(None, rows))
            )
            same = self.entity[here] == self.entity[there]
            out[here] = np.where(same, values[there], np.nan)
        elif rows == 0:
            out[:] = values
        return out

    def change(self, values: Values) -> Values:
        """Returns the difference to the row before; NaN in the first row of an entity."""
        return values - self.shifted(values, -1)

    def date_means(self, values: Values) -> Values:
        """Returns the mean over the entities of each time, without NaN (steps,); NaN where there is no value."""
        known = np.isfinite(values)
        total = np.bincount(self.step[known], values[known], minlength=len(self.seconds))
        count = np.bincount(self.step[known], minlength=len(self.seconds))
        with np.errstate(invalid="ignore"):
            means: Values = total / count
        return means

    def relative(self, values: Values) -> Values:
        """Returns the difference to the mean of the time; NaN where a time has fewer than 3 values."""
        known = np.isfinite(values)
        few = np.bincount(self.step[known], minlength=len(self.seconds)) < 3
        means = self.date_means(values)
        means[few] = np.nan
        result: Values = values - means[self.step]
        return result


def make_panel(table: pa.Table, roles: Roles, features: tuple[str, ...] | None, where: str) -> Panel:
    """Returns the arrays of a table.

    Raises:
        UnreadableSourceError: Times cannot be read, or the target is not numeric.
    """
    parsed = times.parse(table.column(roles.time), roles.time, where)
    entity, entities = _coded(table, roles.entity)
    numeric = {name: _numeric(table.column(name)) for name in table.column_names}
    others = [name for name in (roles.entity, roles.time, roles.split, roles.target) if name is not None]
    stamps = [name for name in table.column_names if name not in others and STAMP.search(name)]
    if features is None:
        features = tuple(name for name in table.column_names if name not in (*others, *stamps))
    chosen = features
    for name in (roles.target, roles.price):
        if name is not None and numeric[name] is None:
            raise UnreadableSourceError(f"the column {name} of {where} is not numeric", hint="name another column")
    kept = {*chosen, *(name for name in (roles.target, roles.price) if name is not None)}
    values = {name: found for name, found in numeric.items() if name in kept and found is not None}

    keyed = np.flatnonzero((entity >= 0) & (parsed.seconds != MISSING))
    if not len(keyed):
        raise UnreadableSourceError(f"no row of {where} has an entity and a time", hint="--entity and --time")
    same = np.argsort(entity[keyed], kind="stable")  # rows of one entity in the order of the file
    by_entity = keyed[same]
    next_to = entity[by_entity][1:] == entity[by_entity][:-1]
    steps_back = np.diff(parsed.seconds[by_entity])[next_to]
    order = keyed[np.lexsort((parsed.seconds[keyed], entity[keyed]))]
    again = np.zeros(len(order), bool)
    again[1:] = (np.diff(entity[order]) == 0) & (np.diff(parsed.seconds[order]) == 0)
    differ = np.zeros(len(order), bool)
    for column in values.values():
        here = column[order]
        differ[1:] |= (here[1:] != here[:-1]) & ~(np.isnan(here[1:]) & np.isnan(here[:-1]))
    kept_rows = order[~again]
    seconds, step = np.unique(parsed.seconds[kept_rows], return_inverse=True)
    return Panel(
        entity=np.unique(entity[kept_rows], return_inverse=True)[1].astype(np.int64),
        entities=tuple(entities[code] for code in np.unique(entity[kept_rows])),
        step=step.astype(np.int64),
        seconds=seconds,
        values={name: column[kept_rows] for name, column in values.items()},
        roles=roles,
        features=tuple(name for name in chosen if name in values),
        not_numeric=tuple(name for name in chosen if name not in values),
        stamps={name: times.parse(table.column(name), name, where).seconds[kept_rows] for name in stamps},
        split=_split(table, roles.split, kept_rows, step),
        source_row=kept_rows,
        duplicates=int(again.sum()),
        conflicting=int((again & differ).sum()),
        keyless=table.num_rows - len(keyed),
        parsed=parsed,
        descending=int((steps_back < 0).sum()),
        pairs=len(steps_back),
        in_two_splits=_in_two_splits(table, roles.split, order, again),
    )


def _coded(table: pa.Table, name: str | None) -> tuple[Ints, list[str]]:
    if name is None:
        return np.zeros(table.num_rows, np.int64), [""]
    column = table.column(name)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    code, names = columns.ranks(column.cast(pa.string()))
    return np.where(code == len(names), -1, code).astype(np.int64), names


def _numeric(column: pa.ChunkedArray) -> Values | None:
    """The column as floats; None if it is not of numbers or truth values."""
    kind = column.type
    if pa.types.is_null(kind):
        return np.full(len(column), np.nan)
    if pa.types.is_boolean(kind):
        column = column.cast(pa.int8())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        return None
    found = columns.filled(columns.one_chunk(column.cast(pa.float64(), safe=False)), np.nan)
    return np.where(np.isfinite(found), found, np.nan)


def _split(table: pa.Table, name: str | None, rows: Ints, step: Ints) -> Split | None:
    if name is None:
        return None
    code, names = _coded(table, name)
    code = code[rows]
    present = np.unique(code[code >= 0])
    mean = {int(each): float(step[code == each].mean()) for each in present}
    order = sorted(mean, key=mean.__getitem__)
    place = np.full(len(names) + 1, -1)
    place[order] = np.arange(len(order))
    return Split(tuple(names[each] for each in order), place[code])


def _in_two_splits(table: pa.Table, name: str | None, order: Ints, again: NDArray[np.bool_]) -> int:
    """The number of keys with rows in more than one split."""
    if name is None:
        return 0
    code = _coded(table, name)[0][order]
    key = np.cumsum(~again)
    pairs = np.unique(np.column_stack([key, code])[np.isin(key, key[again])], axis=0)
    return int((np.unique(pairs[:, 0], return_counts=True)[1] > 1).sum()) if len(pairs) else 0
