"""Typed models of report.json: data, quality, training, steps and environment of the run."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from cloudlstm.evaluation.rows import NonNegative, Number, Row, Share

IsoDate = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}Z)?$")]
"""A date; of bars within a day the start of a bar in UTC."""

UNFETCHED_SHOWN = 20
"""Most tickers that `Coverage.unfetched` lists."""


class UnfetchedTicker(Row):
    """A ticker without bars from the source."""

    ticker: str | None = None
    status: str | None = None
    cause: str | None = None


class Coverage(Row):
    """Outcome of the tickers requested from a source on the network."""

    asked: int | None = Field(default=None, description="Tickers requested")
    fetched: int | None = Field(default=None, description="Tickers fetched by this run")
    reused: int | None = Field(default=None, description="Tickers taken from an earlier snapshot")
    empty: int | None = Field(default=None, description="Tickers without bars at the source")
    failed: int | None = None
    as_of: str | None = Field(default=None, description="UTC, ISO 8601")
    unfetched: tuple[UnfetchedTicker, ...] = Field(
        max_length=UNFETCHED_SHOWN, description="The first tickers that are empty or failed"
    )


class Data(Row):
    """Source and size of the market data."""

    source: str
    synthetic: bool = Field(description="True if the market is simulated")
    path: str | None
    calendar: str = Field(description="Exchange calendar")
    first_date: IsoDate | None = Field(description="Of the first bar after cleaning")
    last_date: IsoDate | None = Field(description="Of the last bar after cleaning")
    rows: int | None = Field(description="Bars read")
    tickers: int | None = Field(description="Tickers with bars after cleaning")
    hash: str | None = Field(description="Of the bars' bytes")
    coverage: Coverage | None = Field(description="Null for sources that are not on the network")


class Split(Row):
    """Dates of the labels and number of windows of one split."""

    split: Literal["train", "validation", "test"]
    first_date: IsoDate | None = Field(description="Target date of the first label")
    last_date: IsoDate | None = Field(description="Target date of the last label")
    windows: int | None = Field(description="Windows with a label")


class Epoch(Row):
    """One epoch of training; epoch 0 is the network before its first step."""

    epoch: int
    train_loss: Number = Field(default=None, description="Null for epoch 0")
    validation_loss: Number = None
    learning_rate: Number = None
    seconds: Number = None
    windows_per_s: Number = None


class Training(Row):
    """Course and result of training."""

    history: tuple[Epoch, ...]
    best_epoch: int | None
    best_validation_loss: Number
    untrained_validation_loss: Number = Field(description="Before the first step")
    naive_validation_loss: Number = Field(description="Of a forecast of zero, in the same units")
    steps: int | None = Field(description="Optimiser steps")
    parameters: int | None
    seconds: NonNegative = Field(description="In training steps, without start-up and forecasts")
    restarts: int | None = Field(description="Restarts of the workers from a checkpoint")


class RejectedBars(Row):
    """Bars that one rule rejected."""

    reason: str
    rows: int = Field(ge=0)
    meaning: str | None = Field(description="Of the rule, for people")


class DroppedLabels(Row):
    """Labels that one rule dropped."""

    reason: str
    labels: int = Field(ge=0)
    meaning: str | None = Field(description="Of the rule, for people")


class TickerQuality(Row):
    """Rejected bars of one ticker."""

    ticker: str = Field(description="Empty for bars without a readable ticker")
    rows: int = Field(ge=0)
    refused_fraction: float = Field(ge=0, le=1)
    reasons: tuple[RejectedBars, ...]


class Quality(Row):
    """Result of cleaning."""

    rows: int | None = Field(description="Bars before cleaning")
    kept: int | None
    filled: int | None
    refused: int | None
    refused_fraction: Share = Field(description="As the quality gate counts")
    reasons: tuple[RejectedBars, ...] = Field(description="By rule, the most frequent first")
    withdrawn: tuple[DroppedLabels, ...] | None = Field(
        description="Labels that cleaning dropped; null if it does not report them"
    )
    missing_tickers: tuple[str, ...] = Field(description="Requested tickers without a bar after cleaning")
    worst_tickers: tuple[TickerQuality, ...]
    duplicate_series: tuple[tuple[str, ...], ...] = Field(
        default=(), description="Groups of tickers with the same bars, at most 20 groups of at most 20 tickers"
    )


class Members(Row):
    """Membership by the table of `universe.path`, in the dates of the run."""

    tickers: int = Field(ge=0, description="With at least one period")
    left: int = Field(ge=0, description="Whose last period ended before the last date")
    bars_to_end: int = Field(ge=0, description="Of `left`: with a bar on the last 5 sessions of the last period")
    without_periods: int = Field(ge=0, description="Named in `universe.tickers` only: members at all dates")
    excluded: int = Field(ge=0, description="Left out by `universe.exclude`")
    last_date: IsoDate = Field(description="Of the data set")
    windows_left_out: dict[str, int] = Field(description="By split: their ticker was not a member")


class Step(Row):
    """Time and rate of one step."""

    step: str
    title: str
    began: str | None = Field(description="UTC, ISO 8601")
    seconds: NonNegative
    rows: int | None = Field(description="Units processed")
    unit: str
    rate: NonNegative = Field(description="Units per second")
    reused: bool = Field(description="Done by an earlier attempt for the same inputs")


class Span(Row):
    """One bar of the timeline: a step, the start of a process, or time between steps."""

    name: str
    kind: Literal["step", "start", "wait"]
    what: str
    begin_s: float = Field(ge=0, description="Seconds after `began` of the timeline")
    seconds: float = Field(ge=0)


class Timeline(Row):
    """The attempt from its submission to the report; no spans if a step has no start time."""

    began: str | None = Field(default=None, description="UTC, ISO 8601")
    seconds: NonNegative = None
    spans: tuple[Span, ...] = ()


class Engine(Row):
    """What ran the data steps: a Spark application, or processes of one machine."""

    name: Literal["spark", "local"]
    version: str | None = None
    master: str | None = None
    cores: int | None = None
    start_s: Number = Field(default=None, description="Its start, not counted in the steps")


class Benchmark(Row):
    """Workers and speed. A comparison of runs fills in speed-up and efficiency."""

    workers: int = Field(ge=1)
    replicas: int | None = Field(description="Devices of all workers")
    device: str | None
    train_windows_per_s: Number
    single_worker_windows_per_s: Number = None
    speed_up: Number = Field(default=None, description="Against one worker")
    efficiency: Number = Field(default=None, description="Speed-up / workers")
    engine: Engine | None


class UsedMachines(Row):
    """Machines that one job has used in one attempt."""

    attempt: int
    job: str
    machine: str = Field(description="Their type")
    machines: int = Field(ge=1)
    spot: bool
    hours: float = Field(ge=0, description="From their request to their end, or to the report if they made it")
    usd_per_hour: NonNegative = Field(description="Of all of them; null if no price is known")
    usd: NonNegative


class Cost(Row):
    """List price of the machines of all attempts, Spark clusters at their least size; without network and idle time."""

    prices: str = Field(description="Region and date of the prices")
    usd: float = Field(ge=0, description="Sum of the known costs")
    rows: tuple[UsedMachines, ...] = Field(min_length=1)


class Machine(Row):
    """Hardware of the machine that made the report."""

    platform: str
    processor: str | None
    cores: int | None
    memory_gib: Number


class Seeds(Row):
    """Seeds of the random generators."""

    train: int
    market: int | None


class Environment(Row):
    """Machine, versions, devices, seeds, and the command to repeat the run."""

    machine: Machine
    python: str
    packages: dict[str, str]
    devices: tuple[str, ...] = Field(description="Of one worker")
    precision: str = Field(description="Numeric precision of the network's layers")
    seeds: Seeds
    command: str = Field(description="Repeats the run, from a shell")
