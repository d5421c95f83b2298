"""The features of a run: the eight of the table, those of the user's own code, and exogenous columns."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from cloudlstm.config import RunConfig
from cloudlstm.exogenous.columns import columns_of
from cloudlstm.features import user
from cloudlstm.features.table import FEATURES, KEYS, Feature, kernel_values, sources_of
from cloudlstm.market import columns

_DESCRIBED = ("name", "kind", "unit", "lookback_bars", "group")


@dataclass(frozen=True)
class FeatureSet:
    """Features in the order of the columns in Parquet, in TFRecord and in the network's input.

    The eight of the table come first, so their places are the same in every run.

    Attributes:
        features: The features.
    """

    features: tuple[Feature, ...]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of all features."""
        return tuple(feature.name for feature in self.features)

    @property
    def width(self) -> int:
        """The number of features."""
        return len(self.features)

    @cached_property
    def computed(self) -> tuple[Feature, ...]:
        """The features that are computed from bars; the others are joined to them."""
        return tuple(feature for feature in self.features if feature.group == "bars")

    @cached_property
    def lookback_bars(self) -> int:
        """Bars that the feature with the longest look-back depends on."""
        return max(feature.lookback_bars for feature in self.features)

    @cached_property
    def schema(self) -> pa.Schema:
        """The feature table: keys, then features. A feature is NaN where it is missing; there are no nulls."""
        return pa.schema([*KEYS, *((name, pa.float64()) for name in self.names)])

    def places_of(self, kind: str) -> list[int]:
        """Returns the places of all features of a kind."""
        return [place for place, feature in enumerate(self.features) if feature.kind == kind]

    def of_groups(self, groups: Collection[str]) -> FeatureSet:
        """The features of some groups; those that are computed from bars are always among them."""
        return FeatureSet(tuple(each for each in self.features if each.group in ("bars", *groups)))

    def places_in(self, other: FeatureSet) -> list[int]:
        """The places of these features in a set that has them all."""
        return [other.names.index(name) for name in self.names]

    def compute(self, cleaned: pa.Table) -> pa.Table:
        """Returns the features that are computed from bars: one row per bar of a shard of cleaned bars."""
        ticker, _ = columns.codes(cleaned.column("ticker"))
        segment = columns.filled(columns.one_chunk(cleaned.column("segment")), 0)
        starts = columns.group_starts(columns.join_keys(ticker, segment))
        sources = dict.fromkeys(name for feature in self.computed for name in sources_of(feature))
        values = {
            name: columns.filled(columns.one_chunk(cleaned.column(name)), np.nan).astype(np.float64, copy=False)
            for name in sources
        }
        arrays = [cleaned.column(field.name) for field in KEYS]
        arrays += [pa.array(kernel_values(each, values, starts)) for each in self.computed]
        return pa.table(arrays, names=[*(field.name for field in KEYS), *(each.name for each in self.computed)])

    def described(self) -> list[dict[str, Any]]:
        """What readers of the data need to know of each feature, JSON-ready; `read` makes an equal set of it."""
        return [{name: getattr(feature, name) for name in _DESCRIBED} for feature in self.features]

    @classmethod
    def read(cls, described: Sequence[Mapping[str, Any]] | None) -> FeatureSet:
        """The set that `described` was made of, without kernels; the eight for older data, which have none."""
        if described is None:
            return EIGHT
        known = {feature.name: feature for feature in FEATURES}
        read = tuple(Feature(**{name: each[name] for name in _DESCRIBED}) for each in described)
        return cls(tuple(known.get(each.name, each) for each in read))


EIGHT = FeatureSet(FEATURES)
"""The features of the model of record."""


def compute(cleaned: pa.Table) -> pa.Table:
    """Returns the eight features of a shard of cleaned bars, one row per bar, in the same order."""
    return EIGHT.compute(cleaned)


def features_of_run(config: RunConfig) -> FeatureSet:
    """The eight features, then those of the user's code, then the exogenous columns that the settings name.

    It imports the user's code, and does not try its kernels; see `user.require_lookbacks`.

    Raises:
        UsageError: it is not known what kind a series is.
        UserCodeError: a feature of the user's code is not there or cannot be a column.
    """
    joined = tuple(
        Feature(column.name, column.kind, column.unit, group=column.group) for column in columns_of(config.exogenous)
    )
    taken = [field.name for field in KEYS] + [feature.name for feature in (*FEATURES, *joined)]
    own = user.load(config.features.extra, taken)
    return FeatureSet((*FEATURES, *own, *joined)) if own or joined else EIGHT
