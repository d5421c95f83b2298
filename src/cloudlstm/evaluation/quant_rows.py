"""Typed rows of calibration, intervals, portfolio, groups, members and folds. Imports pydantic only."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from cloudlstm.evaluation.rows import AtMostOne, Correlation, NonNegative, Number, Row, Share


class Slope(Row):
    """Slope through the origin of actual on forecast log-returns, every date weighing the same."""

    dates: int = Field(ge=0, description="Dates with a forecast other than zero")
    slope: Number = Field(description="1 = forecasts have the right size; null where all forecasts are zero")
    error: NonNegative = Field(description="Standard error of the slope, with dates as the unit")
    t: Number = Field(description="Slope over its standard error")
    supported: float = Field(ge=0, le=1, description="Factor for forecasts that the data support; 0 = none")


class IntervalCoverage(Row):
    """How often intervals of one nominal level hold the actual return, every date weighing the same."""

    level: float = Field(gt=0, lt=1, description="Nominal: the share of actual returns that should lie inside")
    dates: int = Field(ge=0)
    labels: int = Field(ge=0)
    share: Share = Field(description="Share inside; null if the intervals have no ends")
    low: Share = Field(description="Lower end of the share's 95 % interval")
    high: Share = Field(description="Upper end")
    verdict: Literal["as stated", "too narrow", "too wide", "untested"]
    width: NonNegative = Field(description="Mean width, log-return")


class Returns(Row):
    """Mean and risk of one series of returns per session, as a share of the capital of one leg."""

    mean: float = Field(description="Mean per session")
    annual: float = Field(description="Mean per session x 252, not compounded")
    low: Number = Field(description="Lower end of the 95 % interval of the mean per session")
    high: Number = Field(description="Upper end")
    t: Number = Field(description="Mean over its standard error, horizon - 1 lags")
    volatility: NonNegative = Field(description="Standard deviation a year")
    sharpe: Number = Field(description="annual / volatility")
    sharpe_error: NonNegative = Field(description="Its standard error")


class Portfolio(Row):
    """Long the tenth of tickers with the largest forecasts, short the tenth with the smallest, by origin date."""

    sessions: int = Field(ge=1, description="Dates from the first to the last one in the market")
    dates: int = Field(ge=1, description="Dates in the market")
    few_tickers: int = Field(ge=0, description="Dates left out: fewer tickers than the least")
    equal_forecasts: int = Field(ge=0, description="Dates left out: all forecasts equal")
    gross: Returns
    net: Returns
    cost_bps: float = Field(ge=0, description="Cost of net, one way, basis points of the value bought or sold")
    traded: float = Field(ge=0, description="Value bought plus value sold per session, over the capital of one leg")
    turnover: float = Field(ge=0, description="traded / 4: share of both legs replaced per session")
    break_even_bps: Number = Field(description="Cost at which the mean net return is zero")
    hit_rate: Share = Field(description="Share of dates in the market with a gross return above zero")
    drawdown: float = Field(ge=0, description="Largest fall of the cumulative net return, over the capital of one leg")
    drawdown_from: str | None = Field(description="Origin date of the fall's first session; null if it never fell")
    drawdown_to: str | None = Field(description="Origin date of its last session")
    series_dates: tuple[str, ...] = Field(description="Origin date of each session")
    series_gross: tuple[float, ...] = Field(description="Sum of gross returns up to the session")
    series_net: tuple[float, ...] = Field(description="Sum of net returns")
    series_drawdown: tuple[float, ...] = Field(description="series_net minus its maximum so far, or minus 0")


class GroupScores(Row):
    """Scores of one model against naive on a group of labels; every date weighs the same."""

    group: str
    model: str
    first: str = Field(description="First origin date")
    last: str = Field(description="Last origin date")
    labels: int = Field(ge=1)
    dates: int = Field(ge=1)
    rmse_ratio: NonNegative = Field(description="RMSE of the return over naive's; below 1 the model is better")
    rmse_ratio_price: NonNegative = Field(description="The same of the price in dollars")
    r2_oos: AtMostOne = Field(description="1 - rmse_ratio^2")
    difference: Number = Field(description="Mean squared return error relative to naive's, minus 1: -r2_oos")
    low: Number = Field(description="Lower end of the 95 % interval of the difference")
    high: Number = Field(description="Upper end")
    dm_p: Share = Field(description="Diebold-Mariano p against naive, squared return errors, two-sided")
    ic: Correlation
    ic_t: Number
    rank_ic: Correlation
    rank_ic_t: Number
    ic_dates: int = Field(ge=0, description="Dates behind IC")


class Spread(Row):
    """One figure over the members of an ensemble, such as networks with different seeds."""

    members: int = Field(ge=1, description="Members for which the figure could be computed")
    mean: float
    sd: NonNegative = Field(description="Sample standard deviation; null for one member")
    min: float
    max: float


class Ambiguity(Row):
    """Squared return errors of members and of their mean forecast: member_mse = ensemble_mse + distance."""

    members: int = Field(ge=1)
    member_mse: float = Field(ge=0, description="Mean over the members of their mean squared error")
    ensemble_mse: float = Field(ge=0, description="Mean squared error of the members' mean forecast")
    distance: float = Field(ge=0, description="Mean squared distance of the members from their mean forecast")


class PooledTest(Row):
    """A Diebold-Mariano test against naive on squared return errors, over the dates of several folds or members."""

    dates: int = Field(ge=0)
    difference: Number = Field(description="Mean squared error relative to naive's, minus 1")
    low: Number = Field(description="Lower end of the 95 % interval")
    high: Number = Field(description="Upper end")
    statistic: Number = Field(description="Harvey-Leybourne-Newbold; below zero the model is better")
    p: Share = Field(description="Two-sided")


class FoldScores(Row):
    """Scores of one model on consecutive test periods, and one test over all of them."""

    folds: tuple[GroupScores, ...]
    better: int = Field(ge=0, description="Folds in which the model's error is smaller than naive's")
    pooled: PooledTest


class ICSeries(Row):
    """Information coefficients of one model over time."""

    model: str
    period: Literal["session", "month", "quarter", "year"]
    dates: tuple[str, ...] = Field(description="First day of each period, by target date")
    sessions: tuple[int, ...] = Field(description="Dates with an information coefficient in the period")
    ic: tuple[float, ...] = Field(description="Their mean")
    rank_ic: tuple[float, ...]
    window: int = Field(ge=1, description="Sessions in a rolling mean")
    rolling_dates: tuple[str, ...] = Field(description="Origin date of the last session of each rolling mean")
    rolling_ic: tuple[float, ...]
    rolling_rank_ic: tuple[float, ...]
