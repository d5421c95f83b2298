"""The configuration of a run: typed, immutable, and validated with all problems at once.

    config = load("examples/demo.toml", ["train.epochs=3", "model.units=64"])

This room needs pydantic, so commands import it only when they use it.
"""

from __future__ import annotations

from cloudlstm.config.data import (
    CleanConfig,
    DatasetConfig,
    MarketConfig,
    Rename,
    SyntheticConfig,
    UniverseConfig,
    YahooConfig,
)
from cloudlstm.config.evaluation import EvaluationConfig, WalkConfig
from cloudlstm.config.exogenous import ExogenousConfig, FeaturesConfig, MacroConfig, NewsConfig
from cloudlstm.config.load import load, parse, read_document, require_local_master
from cloudlstm.config.models import (
    NON_IDENTITY,
    ModelConfig,
    RunConfig,
    SparkConfig,
    TrainConfig,
)

__all__ = [
    "NON_IDENTITY",
    "CleanConfig",
    "DatasetConfig",
    "EvaluationConfig",
    "ExogenousConfig",
    "FeaturesConfig",
    "MacroConfig",
    "MarketConfig",
    "ModelConfig",
    "NewsConfig",
    "Rename",
    "RunConfig",
    "SparkConfig",
    "SyntheticConfig",
    "TrainConfig",
    "UniverseConfig",
    "WalkConfig",
    "YahooConfig",
    "load",
    "parse",
    "read_document",
    "require_local_master",
]
