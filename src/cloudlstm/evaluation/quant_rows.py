"""Typed rows of calibration, intervals, portfolio, groups, members and folds. Imports pydantic only."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from cloudlstm.evaluation.rows import NonNegative, Number, Row, Share


class Slope(Row):
    """Slope through the origin of actual on forecast log-returns, every date weighing the same."""

    dates: int = Field(ge=0, description="Dates with a forecast other than zero")
    slope: Number = Field(description="1 = forecasts have the right size; null where all forecasts are zero")
    error: NonNegative = Field(description="Standard error of the slope, with dates as the unit")
    t: Number = Field(description="Slope over its standard error")
    supported: float = Field(ge=0, le=1, description="Factor for forecasts that the data support; 0 = none")


class Coverage(Row):
    """How often intervals of one nominal level hold the actual return, every date weighing the same."""

    level: float = Field(gt=0, lt=1, description="Nominal: the share of actual returns that should lie inside")
    dates: int = Field(ge=0)
    labels: int = Field(ge=0)
    share: Share = Field(description="Share inside; null if the intervals have no ends")
    low: Share = Field(description="Lower end of the share's 95 % interval")
    high: Share = Field(description="Upper end")
    verdict: Literal["as stated", "too narrow", "too wide", "untested"]
    width: NonNegative = Field(description="Mean width, log-return")
