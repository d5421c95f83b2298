"""Typed rows of the ablation, and of the correlations of further features with returns. Imports pydantic only."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field

from cloudlstm.config.exogenous import Group
from cloudlstm.evaluation.quant_rows import PooledTest, Spread
from cloudlstm.evaluation.rows import AtMostOne, Correlation, Number, Row, Share

InputsGroup = Group
"""Which exogenous columns a network gets."""

INPUTS_GROUPS: tuple[InputsGroup, ...] = get_args(Group)
"""In the order of the report."""


class AgainstNone(PooledTest):
    """Diebold-Mariano and Clark-West tests of networks with exogenous columns against those without, on returns."""

    difference: Number = Field(description="Mean squared error relative to that without the columns, minus 1")
    cw_statistic: Number = Field(description="Clark-West: the networks without the columns are nested in those with")
    cw_p: Share = Field(description="One-sided")


class AblationRow(Row):
    """Networks with one group of exogenous columns on the test split, all seeds, over all folds."""

    inputs: InputsGroup = Field(description="Which exogenous columns they get")
    own: bool = Field(description="True for the networks of the run itself")
    features: int = Field(ge=1, description="Inputs of a bar")
    rmse_return: Spread = Field(description="RMSE of the log-return over the seeds")
    r2_oos: Spread | None = Field(description="R² out of sample over the seeds; null if all returns are zero")
    skill: Spread | None = Field(description="Skill against naive on the price over the seeds; null likewise")
    mean_r2_oos: AtMostOne = Field(description="R² out of sample of the mean forecast of the seeds")
    against_none: AgainstNone | None = Field(description="Of the mean forecast of the seeds; null for the row none")


class ColumnCorrelation(Row):
    """Rank correlations of a feature's value at the last bar of a window with two returns, on the test split."""

    feature: str
    group: Literal["bars", "macro", "news"] = Field(description="bars: a feature of the user's own code")
    unit: str
    labels: int = Field(ge=0, description="Labels with a value")
    missing: int = Field(ge=0, description="Labels without")
    dates: int = Field(ge=0, description="Dates with a value")
    same_day: Correlation = Field(description="With the return of the same bar, from the close before it")
    same_day_p: Share = Field(description="Two-sided, one number per date")
    next_return: Correlation = Field(description="With the return after that bar, which is forecast")
    next_return_p: Share = Field(description="Two-sided, one number per date")
