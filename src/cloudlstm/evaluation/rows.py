"""Typed rows of results: what scoring returns, and what report.json stores. Imports pydantic only."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

ModelName = Literal["naive", "drift", "ridge", "lstm", "ensemble", "calibrated"]
Loss = Literal["return", "price"]

LOSSES: tuple[Loss, ...] = ("return", "price")
"""Squared errors that models are compared by: of the log-return, and of the price in dollars."""

MODEL_LABELS: dict[str, str] = {
    "naive": "Naive",
    "drift": "Drift",
    "ridge": "Ridge",
    "lstm": "LSTM",
    "ensemble": "Ensemble",
    "calibrated": "Calibrated",
}
"""Names of the models for people."""


class Row(BaseModel):
    """Base of every part of report.json: immutable, without NaN or infinity.

    Reading ignores unknown keys, so that a report of a newer version can be read. The schema allows no others.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        allow_inf_nan=False,
        json_schema_extra={"additionalProperties": False},
        json_schema_serialization_defaults_required=True,
    )


def _finite_or_none(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


Number = Annotated[float | None, BeforeValidator(_finite_or_none)]
"""A number, or None where it is unknown or cannot be computed; NaN and infinity become None."""
NonNegative = Annotated[Annotated[float, Field(ge=0)] | None, BeforeValidator(_finite_or_none)]
AtMostOne = Annotated[Annotated[float, Field(le=1)] | None, BeforeValidator(_finite_or_none)]
Share = Annotated[Annotated[float, Field(ge=0, le=1)] | None, BeforeValidator(_finite_or_none)]
Correlation = Annotated[Annotated[float, Field(ge=-1.000001, le=1.000001)] | None, BeforeValidator(_finite_or_none)]


class Scores(Row):
    """Errors of one model on a group of labels; every date weighs the same in every mean."""

    model: ModelName
    labels: int = Field(ge=1, description="Forecasts compared with the actual return")
    rmse_price: NonNegative = Field(description="dollars")
    mae_price: NonNegative = Field(description="dollars")
    skill: AtMostOne = Field(description="1 - MSE/MSE of naive, price")
    rmse_return: NonNegative = Field(description="log-return")
    mae_return: NonNegative = Field(description="log-return")
    r2_oos: AtMostOne = Field(description="against a forecast of zero")
    spread: NonNegative = Field(description="std of forecasts / std of returns")
    directional_accuracy: Share = Field(description="share; null where no direction is forecast")


class TickerScores(Scores):
    """Scores of one model on one ticker."""

    ticker: str


class YearScores(Scores):
    """Scores of one model on one calendar year of the target date."""

    year: int
    base_rate_up: Share


class ModelScores(Scores):
    """Scores of one model on the whole test split, with its tests against naive."""

    base_rate_up: Share = Field(description="Share of positive returns among returns that are not zero")
    zero_forecasts: int = Field(ge=0, description="Forecasts of exactly zero")
    r2_pooled: AtMostOne = Field(default=None, description="r2_oos with every label, not every date, weighing the same")
    dm_p: Share = Field(description="Diebold-Mariano p against naive, squared return errors")
    dm_p_price: Share = Field(description="Diebold-Mariano p against naive, squared price errors")
    cw_p: Share = Field(default=None, description="Clark-West p against naive, returns, one-sided")
    ic: Correlation
    ic_t: Number
    rank_ic: Correlation
    rank_ic_t: Number
    ic_dates: int = Field(ge=0, description="Dates behind IC")


class ModelTest(Row):
    """One Diebold-Mariano test of a model against a reference, and the Clark-West test if naive is nested in it."""

    model: ModelName
    reference: ModelName
    loss: Loss
    dates: int = Field(ge=1)
    difference: Number = Field(description="Mean squared error relative to the reference's, minus 1")
    low: Number = Field(description="Lower end of the 95 % interval")
    high: Number = Field(description="Upper end of the 95 % interval")
    statistic: Number = Field(description="Harvey-Leybourne-Newbold; below zero the model is better")
    p: Share = Field(description="Two-sided")
    cw_statistic: Number = Field(default=None, description="Clark-West, on returns against a nested naive; else null")
    cw_p: Share = Field(default=None, description="One-sided")
