"""Computes features from cleaned bars. One table declares them; `compute` turns a shard of bars into features.

    from cloudlstm.features import compute
    table = compute(cleaned)

A feature depends on its look-back bars only. The same bars give the same bits, whatever else the shard contains.
"""

from __future__ import annotations

from cloudlstm.features.feature_set import EIGHT, FeatureSet, compute, features_of_run
from cloudlstm.features.table import CLOSE, DAILY_RETURN, FEATURE_NAMES, FEATURES, VOLUME, Feature

__all__ = [
    "CLOSE",
    "DAILY_RETURN",
    "EIGHT",
    "FEATURES",
    "FEATURE_NAMES",
    "VOLUME",
    "Feature",
    "FeatureSet",
    "compute",
    "features_of_run",
]
