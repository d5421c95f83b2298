"""Typed models of report.json: results, forecasts and chart data. Models of the run itself are in `run_models`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import AliasChoices, ConfigDict, Field, JsonValue

from cloudlstm.evaluation.rows import ModelName, ModelScores, ModelTest, Number, Row, TickerScores, YearScores
from cloudlstm.report.evidence_models import Evidence
from cloudlstm.report.exogenous_models import Exogenous
from cloudlstm.report.run_models import (
    Benchmark,
    Cost,
    Data,
    Environment,
    IsoDate,
    Quality,
    RejectedBars,
    Split,
    Step,
    Timeline,
    Training,
)

SCHEMA_VERSION = 9
"""8 adds the features beyond the eight, and the inputs of each network. 7 adds the models ensemble and calibrated,
intervals of the forecasts, and the evidence. 5 adds the cost of machines, and drops benchmark.cost_usd, which was
always null. 4 adds the Clark-West test and R² by label; in all means every date weighs the same; dates of the data and
the splits are those that occur, or null. 3 renames usual_miss_price to typical_error_price."""

_DEFINITION = ConfigDict(json_schema_extra={"additionalProperties": False})


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of the report.

    Attributes:
        name: Its key in report.json.
        label: Its name for people.
        unit: Decides how a value is printed.
        better: Which direction is better, if any.
        definition: What it is, with its source.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _DEFINITION

    name: str
    label: str
    unit: Literal["dollar", "return", "share", "ratio", "count", "p", "t"]
    better: Literal["lower", "higher", "none"]
    definition: str


@dataclass(frozen=True, slots=True)
class Term:
    """A word of the report that is not a metric.

    Attributes:
        name: Its key, as in the page's footnotes.
        label: How it is written.
        definition: What it means, with its unit.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _DEFINITION

    name: str
    label: str
    definition: str


class RidgeLoss(Row):
    """Validation error of one ridge penalty."""

    alpha: float
    mse: Number = Field(description="Normalised, validation split")


class Baselines(Row):
    """Fit results of the baselines."""

    ridge_alpha: float = Field(description="Penalty chosen")
    ridge_validation: tuple[RidgeLoss, ...]
    drift_pooled: float = Field(description="Mean log-return of all training labels")


class PriceInterval(Row):
    """An interval of the price around the calibrated forecast; null if validation has too few dates for it."""

    level: float = Field(gt=0, lt=1, description="Probability")
    low: Number
    high: Number


class Forecast(Row):
    """The forecasts for one ticker's next session."""

    ticker: str
    last_close: float
    lstm_return: float
    lstm_price: float
    ridge_price: float
    naive_price: float
    ensemble_price: float | None = Field(default=None, description="Null for one seed")
    calibrated_price: float | None = Field(default=None, description="Null in older reports")
    intervals: tuple[PriceInterval, ...] = ()
    typical_error_price: Number = Field(
        # Version 2 of the report had the second name.
        validation_alias=AliasChoices("typical_error_price", "usual_miss_price"),
        description="The ticker's RMSE of the return on the test split, in dollars at the last close",
    )


class NextForecasts(Row):
    """Forecasts for the session after the last bar."""

    origin_date: IsoDate | None
    target_date: IsoDate | None
    tickers: int = Field(ge=0, description="Tickers forecast, in the files")
    ended_earlier: int = Field(ge=0, description="Of these, with bars that end before origin_date")
    rows: tuple[Forecast, ...]


class Caveat(Row):
    """A limit of the results that readers should know."""

    name: str
    text: str


class Settings(Row):
    """The sections of the configuration that results depend on."""

    dataset: dict[str, JsonValue]
    evaluation: dict[str, JsonValue]
    model: dict[str, JsonValue]
    train: dict[str, JsonValue]


class CumulativeSeries(Row):
    """Squared return error saved against naive up to each date, as a share of naive's; every date weighs the same."""

    dates: tuple[IsoDate, ...]
    models: dict[str, tuple[float, ...]]


class ErrorSeries(Row):
    """RMSE of the log-return by period of the target date."""

    period: Literal["session", "month", "quarter", "year"]
    dates: tuple[IsoDate, ...] = Field(description="First day of each")
    labels: tuple[Annotated[int, Field(ge=1)], ...]
    models: dict[str, tuple[Annotated[float, Field(ge=0)], ...]]


class ForecastPath(Row):
    """Forecasts and actual values of one ticker on the last test dates."""

    ticker: str
    role: str = Field(description="Why the ticker is shown")
    dates: tuple[IsoDate, ...]
    actual_price: tuple[float, ...]
    forecast_price: tuple[float, ...]
    actual_return: tuple[float, ...]
    forecast_return: tuple[float, ...]


class Decile(Row):
    """Labels of one tenth, in the order of the LSTM's forecast; every date weighs the same."""

    forecast: float = Field(description="Mean forecast log-return")
    actual: float = Field(description="Mean realised log-return")
    error: float = Field(description="Half width of a 95 % interval; 0 if there are too few dates")
    labels: int


class Calibration(Row):
    """Deciles of the LSTM's forecasts, and histograms of forecast and actual returns on the same edges."""

    bins: tuple[Decile, ...]
    edges: tuple[float, ...]
    actual_density: tuple[float, ...]
    forecast_density: tuple[float, ...]


class Sample(Row):
    """Log-returns of labels at even distances in the order of the LSTM's forecast."""

    labels: int = Field(ge=1, description="Labels of the test split")
    forecast: tuple[float, ...]
    actual: tuple[float, ...]


class SkillInterval(Row):
    """A 95 % interval of the LSTM's skill on one ticker; null where it cannot be computed."""

    ticker: str
    low: Number
    high: Number


class ChartData(Row):
    """The series behind the charts."""

    cumulative: CumulativeSeries
    errors: ErrorSeries
    paths: tuple[ForecastPath, ...]
    calibration: Calibration
    sample: Sample
    skill: tuple[SkillInterval, ...] = Field(default=(), description="One per ticker; older reports have none")


class DataSummary(Row):
    """The parts of `Data` that the command line shows."""

    last_date: str | None = None
    hash: str | None = None


class QualitySummary(Row):
    """The parts of `Quality` that the command line shows."""

    rows: int | None = None
    refused: int | None = None
    filled: int | None = None
    reasons: tuple[RejectedBars, ...] = ()


class ReportSummary(Row):
    """The parts of a report that the command line shows; older reports lack some of them."""

    created: str | None = None
    headline: str = ""
    universe: tuple[str, ...] = ()
    data: DataSummary | None = None
    quality: QualitySummary | None = None
    models: tuple[ModelScores, ...] = ()
    forecasts: NextForecasts | None = None
    cost: Cost | None = None
    exogenous: Exogenous | None = None

    def scores(self, model: ModelName) -> ModelScores | None:
        """The row of a model; None if the report has none."""
        return next((row for row in self.models if row.model == model), None)


class Report(Row):
    """Results of a run. Null is a value that is unknown or cannot be computed; there is no NaN."""

    schema_version: Literal[9]
    run_id: str
    created: str = Field(description="UTC, ISO 8601")
    headline: str = Field(description="The result in a few sentences")
    verdict: Literal["better", "same", "worse", "untested"] = Field(
        description="The LSTM against naive by the Diebold-Mariano test on squared return errors at 5 %"
    )
    universe: tuple[str, ...] = Field(
        description="Tickers requested or scored", json_schema_extra={"uniqueItems": True}
    )  # fmt: skip
    data: Data
    splits: tuple[Split, ...] = Field(min_length=3, max_length=3)
    settings: Settings
    config: dict[str, JsonValue] = Field(description="The whole configuration of the run")
    metrics: tuple[Metric, ...] = Field(description="Definitions of the keys of a model's row")
    terms: tuple[Term, ...] = Field(description="Definitions of the other words of the report")
    models: tuple[ModelScores, ...] = Field(min_length=5, max_length=6, description="Test split, one row per model")
    dm: tuple[ModelTest, ...] = Field(description="Diebold-Mariano tests, losses averaged over tickers by date")
    per_year: tuple[YearScores, ...]
    per_ticker: tuple[TickerScores, ...]
    baselines: Baselines
    evidence: Evidence
    exogenous: Exogenous | None = Field(description="Null for a run without features beyond the eight")
    forecasts: NextForecasts
    training: Training
    quality: Quality
    steps: tuple[Step, ...]
    timeline: Timeline
    benchmark: Benchmark
    cost: Cost | None = Field(description="Null for a run on one machine")
    environment: Environment
    caveats: tuple[Caveat, ...] = Field(min_length=1)
    series: ChartData
