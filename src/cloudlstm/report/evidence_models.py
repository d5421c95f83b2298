"""Typed models of the evidence in report.json: seeds, folds, calibration, intervals, groups and the portfolio."""

from __future__ import annotations

from pydantic import Field

from cloudlstm.evaluation.quant_rows import (
    Ambiguity,
    GroupScores,
    ICSeries,
    IntervalCoverage,
    PooledTest,
    Portfolio,
    Slope,
    Spread,
)
from cloudlstm.evaluation.rows import ModelScores, NonNegative, Number, Row
from cloudlstm.report.run_models import IsoDate


class SeedScores(ModelScores):
    """Scores of the networks with one seed on the test split, against naive; all of the model `lstm`."""

    seed: int


class Member(Row):
    """The training of one network."""

    seed: int
    fold: int
    inputs: str = Field(default="none", description="Its group of exogenous columns: none, macro, news or both")
    ablation: bool = Field(default=False, description="Trained for the ablation only")
    epochs: int | None = None
    best_epoch: int | None = None
    validation_loss: Number = None
    windows: int | None = Field(default=None, description="Training windows")
    seconds: NonNegative = Field(default=None, description="From its first weights to its written forecasts")
    peak_memory_mib: NonNegative = Field(default=None, description="Most resident memory of worker 0 meanwhile")


class FoldEvidence(Row):
    """One fold: its labels, what it fitted on its validation split, and its scores against naive."""

    fold: int
    train: tuple[IsoDate, IsoDate] | None = Field(description="First and last target date; null without a walk")
    validation: tuple[IsoDate, IsoDate] | None
    test: tuple[IsoDate, IsoDate] | None
    slope: Slope = Field(description="Of the calibrated forecast")
    ridge_alpha: float
    scores: tuple[GroupScores, ...] = Field(description="One row per model but naive")


class ModelPooled(Row):
    """The test of one model over all folds."""

    model: str
    better: int = Field(ge=0, description="Folds in which its squared return error is smaller than naive's")
    pooled: PooledTest


class Evidence(Row):
    """What supports a claim of skill, and what it would be worth."""

    model: str = Field(description="The forecast of groups, portfolio and information coefficients")
    embargo_bars: int | None = Field(description="Sessions without labels before each border; null without a walk")
    seeds: tuple[SeedScores, ...] = Field(description="Empty for one seed")
    spread: dict[str, Spread] = Field(description="Figure -> its spread over the seeds")
    ambiguity: Ambiguity | None = Field(description="Null for one seed")
    mean_member: PooledTest | None = Field(description="The mean of the seeds' errors against naive's; null for one")
    folds: tuple[FoldEvidence, ...] = Field(min_length=1)
    over_folds: tuple[ModelPooled, ...] = Field(description="Empty for one fold")
    members: tuple[Member, ...]
    coverage: tuple[IntervalCoverage, ...] = Field(description="Of the intervals around the calibrated forecast")
    regimes: tuple[GroupScores, ...] = Field(description="By thirds of the test dates in the order of volatility")
    sectors: tuple[GroupScores, ...] = Field(description="Empty without a table of sectors")
    coefficients: ICSeries | None = Field(description="Null with too few tickers")
    portfolio: Portfolio | None = Field(description="Null with too few tickers")
