"""The configuration of a run, section by section.

Every number carries its unit in its name. `bars` counts trading sessions of one ticker, `windows` counts samples.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

CORE_SIX = ("AAPL", "MSFT", "GOOGL", "AMZN", "TSLA", "META")

Ticker = Annotated[str, StringConstraints(strip_whitespace=True, to_upper=True, pattern=r"^[A-Za-z0-9.^=_-]{1,24}$")]


class Section(BaseModel):
    """Base of all sections: immutable, and closed to keys that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


class UniverseConfig(Section):
    """Which tickers the run is about."""

    tickers: tuple[Ticker, ...] = ()
    """The tickers, in any order. Empty together with an empty `path`: every ticker that the source has; of `yahoo`,
    which has no list, AAPL, MSFT, GOOGL, AMZN, TSLA and META."""
    path: str | None = None
    """A file or storage URI with one ticker a line (`#` starts a comment), added to `tickers`."""

    @field_validator("tickers", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        """`universe.tickers=AAPL,MSFT` on the command line needs no brackets and quotes."""
        return value.split(",") if isinstance(value, str) else value


class SyntheticConfig(Section):
    """The made-up market: seeded, always labelled synthetic."""

    tickers: int = Field(default=32, ge=1, le=100_000)
    """How many tickers exist."""
    seed: int = Field(default=7, ge=0)
    """Same seed, same bars, however they are cut into shards."""
    signal_r2: float = Field(default=0.0, ge=0.0, le=0.5)
    """Share of the next return's variance that past bars can explain (0: none)."""
    missing_days: float = Field(default=0.001, ge=0.0, le=0.2)
    """Probability that a session's bar is missing."""
    bad_ticks: float = Field(default=0.0002, ge=0.0, le=0.2)
    """Probability that a bar carries a planted fault (a decimal error, a zero, crossed high and low, a duplicate)."""
    late_listings: float = Field(default=0.2, ge=0.0, le=1.0)
    """Share of tickers whose history begins after the market's start."""
    splits: float = Field(default=0.1, ge=0.0, le=5.0)
    """Expected number of (adjusted) splits per ticker and year."""


class YahooConfig(Section):
    """How Yahoo Finance is asked. Nothing here changes the bars."""

    requests_per_minute: float = Field(default=60.0, gt=0.0, le=100_000.0)
    """Requests of all tasks together; each task has its part. A ticker takes one request, a task two more at first."""
    attempts: int = Field(default=5, ge=1, le=20)
    """Requests for one ticker before it has failed: after a refusal (429), a server's error, a reply cut short."""
    timeout_s: float = Field(default=20.0, gt=0.0)
    """Seconds for one request."""
    backoff_s: float = Field(default=2.0, ge=0.0)
    """Seconds before the second attempt at a ticker; doubled for each further one, or as long as Yahoo asks to wait."""
    max_ticker_s: float = Field(default=300.0, gt=0.0)
    """Seconds after which no further attempt at a ticker is begun."""


class Rename(Section):
    """A ticker that a company traded under before."""

    old: Ticker
    """The former ticker, as the files have it."""
    new: Ticker
    """The ticker whose history it is."""
    until: dt.date | None = None
    """Last day of the former ticker; its later bars are another company's. Not set: all its bars are moved."""

    @model_validator(mode="after")
    def _two_names(self) -> Self:
        if self.old == self.new:
            raise ValueError(f"old and new are both {self.old}")
        return self


class MarketConfig(Section):
    """Where bars come from."""

    source: Literal["yahoo", "files", "synthetic"] = "yahoo"
    """`yahoo` fetches daily bars; `files` reads CSV or Parquet from any storage; `synthetic` makes a seeded market."""
    start: dt.date = dt.date(2010, 1, 1)
    """First date taken."""
    end: dt.date = dt.date(2024, 12, 31)
    """Last date taken."""
    calendar: str = "XNYS"
    """Exchange calendar that says which dates are sessions (a code of the exchange-calendars package)."""
    path: str | None = None
    """For `files`: a path, storage URI or glob, for example `s3://bucket/bars/*.csv.gz`."""
    columns: dict[str, str] = Field(default_factory=dict)
    """For `files`: our column name = the file's column name, where they differ (`ticker = "symbol"`)."""
    renames: tuple[Rename, ...] = ()
    """For `files`: former tickers, in order, as in `renames = [{ old = "FB", new = "META", until = 2022-06-08 }]`."""
    date_format: str | None = None
    """For `files`: how dates are written where they are not ISO (2024-12-31), as in strptime: `%m/%d/%Y`."""
    tickers_per_shard: int = Field(default=64, ge=1, le=10_000)
    """Whole tickers in one shard: one task of Spark works on one shard."""
    synthetic: SyntheticConfig = SyntheticConfig()
    """Settings of the synthetic market."""
    yahoo: YahooConfig = YahooConfig()
    """How Yahoo Finance is asked."""

    @field_validator("date_format")
    @classmethod
    def _tells_a_day(cls, value: str | None) -> str | None:
        """A format that a day cannot be told by, such as one without a year, is refused before any file is read."""
        day = dt.datetime(2024, 12, 31)
        try:
            told = value is None or dt.datetime.strptime(day.strftime(value), value) == day
        except ValueError:
            told = False
        if not told:
            raise ValueError("no date can be read by this format; write for example %m/%d/%Y for 12/31/2024")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.start >= self.end:
            raise ValueError(f"start {self.start} must be before end {self.end}")
        if self.source == "files" and not self.path:
            raise ValueError("path must be set when source is 'files' (a file, a glob or a storage URI)")
        if self.source != "files" and self.path:
            raise ValueError(f"path is for source 'files' and source is {self.source!r}: set market.source=files")
        return self


class CleanConfig(Section):
    """How bars are checked before anything is computed from them."""

    max_fill_bars: int = Field(default=2, ge=0, le=20)
    """Missing or rejected sessions in a row that are filled with the last close; a longer gap starts a new segment."""
    outlier_min_move: float = Field(default=0.40, gt=0.0)
    """Smallest absolute log-move from the trailing level that can be an outlier (0.40 is +49 % or -33 %)."""
    outlier_mads: float = Field(default=12.0, gt=0.0)
    """An outlier is also this many trailing robust deviations of the log-return away from zero."""
    outlier_lookback_bars: int = Field(default=63, ge=10, le=504)
    """Bars from which the trailing robust deviation is taken."""
    max_stale_bars: int = Field(default=10, ge=0, le=21)
    """Bars with one price and no volume that are kept among any 21: more of them are no market, as before a listing."""
    max_refused_fraction: float = Field(default=0.02, ge=0.0, le=1.0)
    """The run fails when cleaning rejects a larger share of all bars than this."""
    max_filled_fraction: float = Field(default=0.02, ge=0.0, le=1.0)
    """The run fails when a larger share of all bars than this would be made up to fill gaps."""
    max_refused_fraction_ticker: float = Field(default=0.25, ge=0.0, le=1.0)
    """The run fails when cleaning rejects a larger share of any one ticker's bars than this."""
    max_missing_fraction: float = Field(default=0.0, ge=0.0, lt=1.0)
    """The run fails when a larger share of the tickers asked for than this has no bars left."""


class DatasetConfig(Section):
    """How bars become windows with labels, and which dates belong to which split."""

    window_bars: int = Field(default=50, ge=2, le=2048)
    """Bars that the model sees."""
    horizon_bars: int = Field(default=1, ge=1, le=60)
    """Bars ahead that it forecasts."""
    train_end: dt.date = dt.date(2021, 12, 31)
    """Last date that a training label may touch."""
    validation_end: dt.date = dt.date(2022, 12, 31)
    """Last date that a validation label may touch; the test split is everything after it."""
    layout: Literal["sequences", "windows"] = "sequences"
    """`sequences` stores each bar once and cuts windows when read; `windows` also exports one Example a window."""


class ModelConfig(Section):
    """The network of record: LSTM, Dropout, Dense(1)."""

    units: int = Field(default=128, ge=1, le=8192)
    """LSTM units."""
    dropout: float = Field(default=0.2, ge=0.0, lt=1.0)
    """Share of the LSTM's outputs set to zero in training."""


class TrainConfig(Section):
    """How the network is trained."""

    seed: int = Field(default=1, ge=0, lt=2**31)
    """Seeds the initial weights, the order of samples and the dropout masks."""
    workers: int | None = Field(default=None, ge=1, le=256)
    """Processes that train together; by default 1 on this machine and 2 on a target. Each uses up to 4 of its cores."""
    open_ports: bool = False
    """Lets several workers on this machine listen where other users and machines can connect; see SECURITY.md."""
    epochs: int = Field(default=30, ge=0, le=10_000)
    """Passes over the training windows at most; 0 only predicts."""
    max_steps: int | None = Field(default=None, ge=1)
    """Stop after this many steps, if set."""
    batch_windows: int = Field(default=256, ge=1, le=1_048_576)
    """Windows in one global batch, shared among all workers."""
    learning_rate: float = Field(default=1e-3, gt=0.0, le=1.0)
    """Adam's peak learning rate."""
    schedule: Literal["constant", "cosine"] = "cosine"
    """How the learning rate goes over the epochs."""
    warmup_steps: int = Field(default=50, ge=0)
    """Steps over which the learning rate rises from zero."""
    patience_epochs: int = Field(default=6, ge=1)
    """Stop when the validation loss has not improved for this many epochs; the best weights are kept."""
    steps_per_call: int = Field(default=16, ge=1, le=1024)
    """Steps in one call of the compiled training function: progress and checkpoints happen between calls."""
    inputs: Literal["relative", "levels"] = "relative"
    """`relative`: each window against its own last bar; `levels`: z-scores by training statistics, for comparison."""
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    """Numeric precision of the network's layers; the output stays float32."""
    checkpoint_every_s: float = Field(default=30.0, ge=0.0)
    """Seconds between checkpoints inside an epoch; one is also written at every epoch's end."""
    collective_timeout_s: float = Field(default=60.0, gt=0.0)
    """A worker waits for its peers at least this long; more, up to ten times what steps or validations have taken."""
    max_restarts: int = Field(default=3, ge=0)
    """Times in a row that lost workers are started again without getting further than before; 0: never."""
    cache_dir: str | None = None
    """Folder for staged shards; by default a folder of the user's cache."""
    weights: str | None = None
    """URI of another run whose trained weights this run starts from."""


class EvaluationConfig(Section):
    """How forecasts are judged."""

    ridge_alphas: tuple[float, ...] = (1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8)
    """Penalties tried for the ridge baseline; the validation split chooses."""
    ic_min_tickers: int = Field(default=20, ge=3)
    """Tickers that a date needs before its information coefficient counts."""


class SparkConfig(Section):
    """How Spark runs the preparation."""

    master: str | None = None
    """Spark master URL; by default all cores of this machine locally, or what the cluster says. A file may name only
    this machine (`local[4]`): what executors elsewhere send is unpickled here, so their master has to be typed."""
    driver_memory_mib: int = Field(default=1024, ge=512)
    """Heap of the driver's Java process."""


class TrainersConfig(Section):
    """How a cloud's trainer machines are used; without a target they are not."""

    fill_timeout_s: float = Field(default=1800.0, gt=0.0)
    """Seconds until all machines must run and have joined, also when one has to be replaced; else training fails."""
    max_hours: float | None = Field(default=None, gt=0.0)
    """Hours after which the machines end whatever they do; by default, and at most, what the target allows."""


INCIDENTAL: dict[str, Any] = {
    "market": {"yahoo"},
    "train": {"cache_dir", "checkpoint_every_s", "collective_timeout_s", "max_restarts", "open_ports"},
    "spark": {"driver_memory_mib"},
    "trainers": True,
}
"""Settings that a failed run may be submitted again with, and still be the same run: rates, limits, patience."""


class RunConfig(Section):
    """Everything a run depends on. Equal configurations name the same run."""

    name: str = Field(default="core6", pattern=r"^[a-z][a-z0-9-]{0,40}$")
    """The run's name; its id is this and a hash of the whole configuration."""
    universe: UniverseConfig = UniverseConfig()
    market: MarketConfig = MarketConfig()
    clean: CleanConfig = CleanConfig()
    dataset: DatasetConfig = DatasetConfig()
    model: ModelConfig = ModelConfig()
    train: TrainConfig = TrainConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    spark: SparkConfig = SparkConfig()
    trainers: TrainersConfig = TrainersConfig()

    @model_validator(mode="after")
    def _core_six(self) -> Self:
        if self.market.source == "yahoo" and not self.universe.tickers and not self.universe.path:
            # Written out, so that the run's config.json says it.
            object.__setattr__(self, "universe", self.universe.model_copy(update={"tickers": CORE_SIX}))
        return self

    @model_validator(mode="after")
    def _dates_in_order(self) -> Self:
        start, end = self.market.start, self.market.end
        first, second = self.dataset.train_end, self.dataset.validation_end
        if not start < first < second < end:
            raise ValueError(
                "dates must be in order: market.start < dataset.train_end < dataset.validation_end < market.end, "
                f"got {start}, {first}, {second}, {end}"
            )
        return self

    def identity(self) -> dict[str, Any]:
        """The settings that name the run, JSON-ready: all but those that say only how patiently it is done."""
        return self.model_dump(mode="json", exclude=INCIDENTAL)
