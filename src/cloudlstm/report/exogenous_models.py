"""Typed models of the features beyond the eight in report.json: ablation, correlations, importance and sources."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from cloudlstm.evaluation.exogenous_rows import AblationRow, ColumnCorrelation, InputsGroup
from cloudlstm.evaluation.rows import NonNegative, Number, Row


class FeatureImportance(Row):
    """How much the network relies on one feature: by which share its error grows without what the feature says."""

    feature: str
    group: Literal["bars", "macro", "news"]
    increase: Number = Field(description="Of the mean squared return error, mean over the permutations; 0.01 is 1 %")
    low: Number = Field(description="Of the permutation with the smallest increase")
    high: Number = Field(description="Of that with the largest")


class Importance(Row):
    """Permutation importance of the network that stands for the run, on windows of its test split."""

    seed: int
    fold: int
    windows: int = Field(ge=1, description="Windows that were used, at even distances")
    of: int = Field(ge=1, description="Windows of the test split of its fold")
    repeats: int = Field(ge=1, description="Permutations of each feature")
    mse: NonNegative = Field(description="Mean squared return error as it is, every date weighing the same")
    features: tuple[FeatureImportance, ...] = Field(min_length=1, description="In the order of the inputs")


class RefusedRows(Row):
    """Exogenous rows that are not used, by reason."""

    reason: str
    rows: int = Field(ge=0)


class Sources(Row):
    """What the step that reads macro series and news found."""

    rows: int | None = Field(description="Values and scored headlines")
    refused: tuple[RefusedRows, ...] = Field(description="Rows that are not used, the most frequent reason first")
    scorer: str | None = Field(description="Name and version; null without news")
    missing: tuple[str, ...] = Field(description="Series and sources that were asked for and not found")
    notes: tuple[str, ...] = Field(description="What else a reader should know of them, in sentences")


class Exogenous(Row):
    """What features beyond the eight bring: macro series, news, and features of the user's own code."""

    inputs: InputsGroup = Field(description="The exogenous columns that the networks of the run get")
    ablation: tuple[AblationRow, ...] = Field(description="One row per group; empty without an ablation")
    correlations: tuple[ColumnCorrelation, ...] = Field(description="One row per feature beyond the eight")
    importance: Importance | None = Field(description="Null if the network has no feature beyond the eight")
    sources: Sources | None = Field(description="Null without macro series and news")
