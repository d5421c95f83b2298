"""What a run is to do: typed, frozen, checked all at once.

    config = load("examples/demo.toml", ["train.epochs=3", "model.units=64"])

This package needs pydantic, so it is imported by the verbs that need it and not by `import cloudlstm`.
"""

from __future__ import annotations

from cloudlstm.config.load import load, parse, require_local_master
from cloudlstm.config.models import (
    INCIDENTAL,
    CleanConfig,
    DatasetConfig,
    EvaluationConfig,
    MarketConfig,
    ModelConfig,
    Rename,
    RunConfig,
    SparkConfig,
    SyntheticConfig,
    TrainConfig,
    UniverseConfig,
    YahooConfig,
)

__all__ = [
    "INCIDENTAL",
    "CleanConfig",
    "DatasetConfig",
    "EvaluationConfig",
    "MarketConfig",
    "ModelConfig",
    "Rename",
    "RunConfig",
    "SparkConfig",
    "SyntheticConfig",
    "TrainConfig",
    "UniverseConfig",
    "YahooConfig",
    "load",
    "parse",
    "require_local_master",
]
