"""The features of record: what each is, and how a shard of cleaned bars becomes a shard of features.

    from cloudlstm.features import FEATURES, compute
    table = compute(cleaned)

A feature is a function of its look-back bars only, bit for bit, whatever else lies in the shard.
"""

from __future__ import annotations

from cloudlstm.features.table import FEATURES, NAMES, SCHEMA, Feature, compute

__all__ = ["FEATURES", "NAMES", "SCHEMA", "Feature", "compute"]
