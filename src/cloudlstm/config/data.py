"""Settings of the data: universe, market, cleaning and dataset.

Each name carries its unit. `bars` counts trading sessions of one ticker, `windows` counts samples.
"""

from __future__ import annotations

import codecs
import datetime as dt
import zoneinfo
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from cloudlstm.config.tickers import Ticker

_DATE_FORMS = ("epoch", "excel", "roc")
"""Values of `market.date_format` that are no format of strptime."""


class Section(BaseModel):
    """Base of all sections: immutable, and unknown keys are an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


CORE_SIX = ("AAPL", "MSFT", "GOOGL", "AMZN", "TSLA", "META")
"""The tickers of `yahoo` if none are named."""


class UniverseConfig(Section):
    """Which tickers the run uses."""

    tickers: tuple[Ticker, ...] = ()
    """The tickers, in any order. If `tickers` and `path` are both empty: all tickers of the source; for `yahoo`, which
    has no list, AAPL, MSFT, GOOGL, AMZN, TSLA and META."""
    path: str | None = None
    """A file or storage URI, added to `tickers`: one ticker a line (`#` starts a comment), or a table with the header
    `ticker,from,to` of the periods in which each was a member; see docs/universe.md."""
    sectors: str | None = None
    """A file or storage URI with the header `ticker,sector`; a ticker that it lacks has the sector `other`."""
    exclude: tuple[Ticker, ...] = ()
    """Tickers that are not used, whatever the source is."""

    @field_validator("tickers", "exclude", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        """Accepts `universe.tickers=AAPL,MSFT` without brackets and quotes, and one ticker that TOML reads as 2330."""
        if isinstance(value, str):
            return [part for part in value.split(",") if part.strip()]
        return (value,) if isinstance(value, int | float) else value

    @field_validator("tickers", "exclude")
    @classmethod
    def _once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """Keeps a ticker once that is named twice."""
        return tuple(dict.fromkeys(value))


class SyntheticConfig(Section):
    """The synthetic market: generated from a seed, always labelled as synthetic."""

    tickers: int = Field(default=32, ge=1, le=100_000)
    """Number of tickers."""
    seed: int = Field(default=7, ge=0)
    """Seed of the bars. The same seed gives the same bars for any number of shards."""
    signal_r2: float = Field(default=0.0, ge=0.0, le=0.5)
    """Share of the next return's variance that past bars explain (0: none)."""
    missing_days: float = Field(default=0.001, ge=0.0, le=0.2)
    """Probability that a session's bar is missing."""
    bad_ticks: float = Field(default=0.0002, ge=0.0, le=0.2)
    """Probability that a bar has a planted fault (a decimal error, a zero, high below low, a duplicate)."""
    late_listings: float = Field(default=0.2, ge=0.0, le=1.0)
    """Share of tickers whose history begins after the market's start."""
    splits: float = Field(default=0.1, ge=0.0, le=5.0)
    """Expected number of (adjusted) splits per ticker and year."""


class YahooConfig(Section):
    """How bars are requested from Yahoo Finance. These settings do not change the bars."""

    requests_per_minute: float = Field(default=60.0, gt=0.0, le=100_000.0)
    """Requests of all tasks together; each task gets a share. A ticker takes one request, and each task two more."""
    attempts: int = Field(default=5, ge=1, le=20)
    """Most requests for one ticker, after a rejection (429), a server error or an incomplete reply."""
    timeout_s: float = Field(default=20.0, gt=0.0)
    """Timeout of one request in seconds."""
    backoff_s: float = Field(default=2.0, ge=0.0)
    """Seconds before the second attempt at a ticker; doubled for each further one, or the wait that Yahoo asks for."""
    max_ticker_s: float = Field(default=300.0, gt=0.0)
    """Seconds after which no further attempt at a ticker starts."""


class Rename(Section):
    """A former ticker of a company."""

    old: Ticker
    """The former ticker, as in the files."""
    new: Ticker
    """The ticker to which its bars belong."""
    until: dt.date | None = None
    """Last day of the former ticker; later bars belong to another company. Not set: all its bars are moved."""

    @model_validator(mode="after")
    def _two_names(self) -> Self:
        if self.old == self.new:
            raise ValueError(f"old and new are both {self.old}")
        return self


class MarketConfig(Section):
    """The source of bars."""

    source: Literal["yahoo", "files", "synthetic", "stored"] = "yahoo"
    """`yahoo` fetches daily bars; `files` reads CSV or Parquet from any storage; `synthetic` generates bars; `stored`
    reads a bars store as it was known on one day."""
    start: dt.date = dt.date(2010, 1, 1)
    """First date that is used."""
    end: dt.date = dt.date(2024, 12, 31)
    """Last date that is used."""
    interval: Literal["1d", "1m", "5m", "15m", "1h"] = "1d"
    """Time of one bar: a day, 1, 5 or 15 minutes, or an hour. Bars within a day are named by their start in UTC; see
    docs/minutes.md."""
    bridge_sessions: bool = False
    """For bars within a day: windows reach over the close into earlier sessions. By default each session begins a
    segment, so a window lies in one session."""
    calendar: str = "XNYS"
    """Exchange calendar, which defines the sessions (a code of the exchange-calendars package)."""
    path: str | None = None
    """For `files`: a path, storage URI or glob, for example `s3://bucket/bars/*.csv.gz`. For `stored`: the path or URI
    of a version, `<root>/bars/<store>/universe/<day>.json`."""
    columns: dict[str, str] = Field(default_factory=dict)
    """For `files`: our column name = the file's column name, where they differ (`ticker = "symbol"`)."""
    renames: tuple[Rename, ...] = ()
    """For `files`: former tickers, in order, as in `renames = [{ old = "FB", new = "META", until = 2022-06-08 }]`."""
    ticker: Ticker | None = None
    """For `files` of one ticker: their ticker, whatever their columns and names say."""
    date_format: str | None = None
    """For `files`: the format of dates as in strptime, such as `%m/%d/%Y`, or `epoch` (since 1970), `excel` or `roc`
    (years of the Republic of China). Not set: the one that reads the dates of a file."""
    decimal: Literal[".", ","] | None = None
    """For `files`: the decimal mark of numbers, `.` or `,`. Not set: the one that the numbers of a file show."""
    encoding: str | None = None
    """For `files`: the encoding of text files, such as `cp1252` or `big5`. Not set: it is recognised."""
    header: tuple[str, ...] = ()
    """For `files` without a header line: the names of their columns, in order (`date,open,high,low,close,volume`)."""
    time_zone: str | None = None
    """For `files` with times in UTC or with an offset: the time zone of the exchange (`Asia/Tokyo`), where a time gives
    its date. Not set: the date as written. For bars within a day: the zone of times that are written without an
    offset, which need it."""
    bar_time: Literal["start", "end"] = "start"
    """For `files` with bars within a day: whether the time of a bar is its `start` or its `end`. With `end`, each bar
    gets the time of its start when it is read."""
    missing_volume: Literal["error", "zero"] = "error"
    """For `files`: `zero` reads a missing volume as 0, for indices and currencies, which have none."""
    ignore_files: tuple[str, ...] = ()
    """For `files`: names or globs of files below `path` that are not bars (`symbols_valid_meta.csv`)."""
    tickers_per_shard: int = Field(default=64, ge=1, le=10_000)
    """Tickers in one shard. One Spark task processes one shard."""
    synthetic: SyntheticConfig = SyntheticConfig()
    """Settings of the synthetic market."""
    yahoo: YahooConfig = YahooConfig()
    """How bars are requested from Yahoo Finance."""

    @property
    def origin(self) -> str:
        """The source of the bars; for `stored`, the source of the bars store, with which its name begins."""
        if self.source == "stored" and self.path:
            return "".join(self.path.split("/")[-3:-2]).split("-")[0]
        return self.source

    @field_validator("header", "ignore_files", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        """Accepts `market.header=date,open,close` without brackets and quotes."""
        return [part.strip() for part in value.split(",")] if isinstance(value, str) else value

    @field_validator("time_zone")
    @classmethod
    def _is_time_zone(cls, value: str | None) -> str | None:
        """Rejects a name that is not in the time zone database."""
        if value is not None and value not in zoneinfo.available_timezones():
            raise ValueError("no time zone has this name; write for example America/New_York or Asia/Tokyo")
        return value

    @field_validator("encoding")
    @classmethod
    def _is_encoding(cls, value: str | None) -> str | None:
        """Rejects a name that Python does not know as an encoding of text."""
        try:
            valid = value is None or codecs.lookup(value)._is_text_encoding
        except LookupError:
            valid = False
        if not valid:
            raise ValueError("no encoding has this name; write for example cp1252, big5, gb18030 or shift_jis")
        return value

    @field_validator("date_format")
    @classmethod
    def _is_date_format(cls, value: str | None) -> str | None:
        """Rejects a format that does not determine a day, such as one without a year."""
        if value in _DATE_FORMS:
            return value
        day = dt.datetime(2024, 12, 31, tzinfo=dt.UTC)
        try:
            valid = value is None or dt.datetime.strptime(day.strftime(value), value).date() == day.date()
        except ValueError:
            valid = False
        if not valid:
            raise ValueError("no date can be read by this format; write for example %m/%d/%Y for 12/31/2024")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.start >= self.end:
            raise ValueError(f"start {self.start} must be before end {self.end}")
        if self.source == "files" and not self.path:
            raise ValueError("path must be set when source is 'files' (a file, a glob or a storage URI)")
        if self.interval != "1d" and self.source == "stored":
            raise ValueError(f"a bars store has daily bars, and interval is {self.interval}: set market.interval=1d")
        if self.bar_time == "end" and (self.interval == "1d" or self.source != "files"):
            raise ValueError("bar_time=end is for files of bars within a day: set market.source=files and an interval")
        if self.bridge_sessions and self.interval == "1d":
            raise ValueError("bridge_sessions is for bars within a day, such as market.interval=1h")
        if self.source == "stored" and not (self.path or "").endswith(".json"):
            raise ValueError("path must be set when source is 'stored' (<root>/bars/<store>/universe/<day>.json)")
        if self.source not in ("files", "stored") and self.path:
            raise ValueError(f"path is for source 'files' and source is {self.source!r}: set market.source=files")
        return self


class CleanConfig(Section):
    """How bars are validated and cleaned."""

    max_fill_bars: int = Field(default=2, ge=0, le=20)
    """Missing or rejected sessions in a row that are filled with the last close; a longer gap starts a new segment."""
    outlier_min_move: float = Field(default=0.40, gt=0.0)
    """Smallest absolute log-move from the trailing level that counts as an outlier (0.40 is +49 % or -33 %)."""
    outlier_mads: float = Field(default=12.0, gt=0.0)
    """An outlier must also be this many trailing robust deviations of the log-return from zero."""
    outlier_lookback_bars: int = Field(default=63, ge=10, le=504)
    """Bars from which the trailing robust deviation is computed."""
    max_stale_bars: int = Field(default=10, ge=0, le=21)
    """Most bars with one price and no volume among any 21; more mean that there is no market, as before a listing."""
    max_refused_fraction: float = Field(default=0.02, ge=0.0, le=1.0)
    """The run fails if cleaning rejects a larger share of all bars."""
    max_filled_fraction: float = Field(default=0.02, ge=0.0, le=1.0)
    """The run fails if a larger share of all bars would be filled."""
    max_refused_fraction_ticker: float = Field(default=0.25, ge=0.0, le=1.0)
    """The run fails if cleaning rejects a larger share of the bars of any ticker."""
    max_missing_fraction: float = Field(default=0.0, ge=0.0, lt=1.0)
    """The run fails if a larger share of the requested tickers has no bars in the source, or none after cleaning."""


class DatasetConfig(Section):
    """Windows, labels and the dates of the splits."""

    window_bars: int = Field(default=50, ge=2, le=2048)
    """Bars in a window, the input of the model."""
    horizon_bars: int = Field(default=1, ge=1, le=60)
    """Bars from the end of the window to the forecast date."""
    train_end: dt.date = dt.date(2021, 12, 31)
    """Last date of training labels."""
    validation_end: dt.date = dt.date(2022, 12, 31)
    """Last date of validation labels; the test split begins after it."""
    labels_across_closes: bool = False
    """For bars within a day with `market.bridge_sessions`: a label may begin in one session and end in a later one."""
    layout: Literal["sequences", "windows"] = "sequences"
    """`sequences` stores each bar once and cuts windows when reading; `windows` also exports an Example per window."""
