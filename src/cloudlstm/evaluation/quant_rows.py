"""Typed rows of calibration, intervals, portfolio, groups, members and folds. Imports pydantic only."""

from __future__ import annotations

from pydantic import Field

from cloudlstm.evaluation.rows import NonNegative, Number, Row


class Slope(Row):
    """Slope through the origin of actual on forecast log-returns, every date weighing the same."""

    dates: int = Field(ge=0, description="Dates with a forecast other than zero")
    slope: Number = Field(description="1 = forecasts have the right size; null where all forecasts are zero")
    error: NonNegative = Field(description="Standard error of the slope, with dates as the unit")
    t: Number = Field(description="Slope over its standard error")
    supported: float = Field(ge=0, le=1, description="Factor for forecasts that the data support; 0 = none")
