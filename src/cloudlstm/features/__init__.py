"""Computes features from cleaned bars. One table declares them; `compute` turns a shard of bars into features.

    from cloudlstm.features import FEATURES, compute
    table = compute(cleaned)

A feature depends on its look-back bars only. The same bars give the same bits, whatever else the shard contains.
"""

from __future__ import annotations

from cloudlstm.features.table import (
    CLOSE,
    DAILY_RETURN,
    FEATURE_NAMES,
    FEATURES,
    SCHEMA,
    VOLUME,
    Feature,
    compute,
    places_of,
)

__all__ = [
    "CLOSE",
    "DAILY_RETURN",
    "FEATURES",
    "FEATURE_NAMES",
    "SCHEMA",
    "VOLUME",
    "Feature",
    "compute",
    "places_of",
]
