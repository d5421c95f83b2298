"""What a submit to a cloud will cost: an estimate by list prices, before anything starts."""

from __future__ import annotations

from dataclasses import dataclass

from cloudlstm.cli.training_work import training_work
from cloudlstm.config import RunConfig
from cloudlstm.costs.prices import HOURS_A_MONTH, Prices, prices
from cloudlstm.market.calendar import sessions as session_days
from cloudlstm.market.interval import Interval
from cloudlstm.targets import costs
from cloudlstm.targets.document import TargetConfig
from cloudlstm.text.numbers import counted

WINDOWS_PER_S = 10_000.0
"""Assumed speed of one trainer. Two cores of a CPU machine were measured at 11,100 (README, Results); no GPU was."""

ROWS_PER_S = 1_000_000.0
"""Assumed speed of prepare. Two cores were measured at 1,170,000."""

START_H = 0.1
"""Assumed hours until machines of either job have started."""

_HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Line:
    """One cost.

    Attributes:
        what: What is paid.
        usd_per_hour: Its price an hour; None if it is not known.
        hours: Its hours; None if they are not known.
    """

    what: str
    usd_per_hour: float | None
    hours: float | None

    @property
    def usd(self) -> float | None:
        """Returns the cost; None if the price or the hours are not known."""
        return None if self.usd_per_hour is None or self.hours is None else self.usd_per_hour * self.hours


@dataclass(frozen=True, slots=True)
class Estimate:
    """The estimate of one submit.

    Attributes:
        lines: Its costs.
        notes: Where the prices are from, and what is assumed, as sentences.
    """

    lines: tuple[Line, ...]
    notes: tuple[str, ...]

    @property
    def usd(self) -> float:
        """Returns the sum of the known costs."""
        return sum(line.usd or 0.0 for line in self.lines)

    @property
    def complete(self) -> bool:
        """True if every cost is known."""
        return all(line.usd is not None for line in self.lines)

    def table(self) -> str:
        """Returns the estimate as lines of at most 80 characters."""
        rows = [
            f"  {line.what:<40} {_amount(line.usd_per_hour):>8} USD/h x {_hours(line.hours):>6} h = "
            f"{_amount(line.usd):>8}"
            for line in self.lines
        ]
        total = f"  {'together' if self.complete else 'together, as far as known':<40} {_amount(self.usd):>36}"
        return "\n".join(["estimate in USD:", *rows, total, *(f"  {note}" for note in self.notes)])


def estimate(target: TargetConfig, config: RunConfig, tickers: int | None) -> Estimate:
    """Returns the estimate of a submit.

    Args:
        target: The target document.
        config: The configuration of the run, with its number of workers.
        tickers: Number of tickers; None if it is not known before the run.
    """
    workers, table = config.train.workers or 1, prices(target.cloud)
    spark, trainers = costs.spark_rate(target), costs.trainer_rate(target, workers, config.trainers.usd_per_hour)
    hours = hours_of_work(config, tickers, workers)
    prepare_h, train_h = (None, None) if hours is None else (START_H + hours[0], START_H + hours[1])
    most_h = min(config.trainers.max_hours or target.max_hours, target.max_hours)
    train_h = None if train_h is None else min(train_h, most_h)
    idle_h = target.spark_idle_minutes / 60.0
    whole_h = None if prepare_h is None or train_h is None else prepare_h + max(idle_h, train_h)
    lines = [
        Line(f"Spark, {spark.machines} x {spark.machine}", spark.usd_per_hour, prepare_h),
        Line(f"Spark, idle until it ends ({target.spark_idle_minutes} min)", spark.usd_per_hour, idle_h),
        Line(f"{counted(workers, 'trainer')}, {trainers.machine}{' (spot)' if trainers.spot else ''}",
             trainers.usd_per_hour, train_h),
    ]  # fmt: skip
    if target.egress == "nat":
        machines = spark.machines + workers
        lines.append(Line("internet access (NAT)", table.nat_hour + machines * table.nat_machine_hour, whole_h))
    if endpoints := _endpoints(target):
        lines.append(
            Line(f"{counted(endpoints, 'endpoint')} of AWS's services", endpoints * table.endpoint_hour, whole_h)
        )
    notes = _notes(target, config, table, tickers, most_h)
    allowed_h, most_usd = config.trainers.max_hours, config.trainers.max_usd
    if allowed_h and allowed_h > target.max_hours:
        notes.append(f"trainers.max_hours={allowed_h:g} is more than the target allows, {target.max_hours}")
    if most_usd is not None and (lines[2].usd or 0.0) > most_usd:
        notes.append("trainers.max_usd ends training before it is done, by this estimate")
    return Estimate(tuple(lines), tuple(notes))


def _endpoints(target: TargetConfig) -> int:
    """Returns the number of interface endpoints: EMR's, and without a way out Auto Scaling's in each trainer zone."""
    if target.cloud != "aws":
        return 0
    without_nat = len(target.trainer_zones) if target.egress == "none" else 0
    return int(target.spark_release.startswith("emr-spark-")) + without_nat


def hours_of_work(config: RunConfig, tickers: int | None, workers: int) -> tuple[float, float] | None:
    """Returns the hours of prepare and of training without their start; None if the number of tickers is not known."""
    if tickers is None:
        return None
    rows, windows = units_by_ticker(config)
    return tickers * rows / ROWS_PER_S / _HOUR_S, tickers * windows / (WINDOWS_PER_S * workers) / _HOUR_S


def units_by_ticker(config: RunConfig) -> tuple[int, int]:
    """Returns how many bars of one ticker prepare reads, and on how many of its windows all networks train, at most."""
    market = config.market
    bars = len(session_days(market.calendar, market.start, market.end)) * Interval(market.interval).bars_a_session
    return bars, training_work(config).windows


def _notes(
    target: TargetConfig, config: RunConfig, table: Prices, tickers: int | None, most_h: float
) -> list[str]:  # fmt: skip
    of = f"list prices of {table.region}, {table.date}"
    notes = [f"{of}, before tax{'' if target.region == table.region else f'; the target is in {target.region}'}"]
    if config.trainers.usd_per_hour is not None:
        notes.append("trainers by trainers.usd_per_hour, the price of one machine")
    elif target.trainer_spot:
        notes.append(f"spot machines at {table.spot_share:.0%} of the price on demand; the market sets their price")
    if tickers is None:
        notes.append("the number of tickers is not known yet, so neither are the hours")
    else:
        notes.append(
            f"{counted(tickers, 'ticker')}, all {config.train.epochs} epochs, {WINDOWS_PER_S:,.0f} windows/s a trainer "
            "(assumed)"
        )
    usd = config.trainers.max_usd
    limit = f"{most_h:g} hours" + ("" if usd is None else f" or {usd:g} USD (trainers.max_usd)")
    notes.append(f"trainers end after {limit} at the latest")
    if target.egress == "nat" and target.cloud == "aws":
        notes.append(f"NAT is paid from apply to destroy, {table.nat_hour * HOURS_A_MONTH:.0f} USD a month")
    notes.append(f"stored objects: {table.storage_gb_month:g} USD a GB and month")
    return notes


def _amount(usd: float | None) -> str:
    return "?" if usd is None else f"{usd:,.2f}" if usd >= 0.1 else f"{usd:.3f}"


def _hours(hours: float | None) -> str:
    return "?" if hours is None else f"{hours:,.2f}"
