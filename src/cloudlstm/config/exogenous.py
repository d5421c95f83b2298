"""Settings of features beyond the eight: those of the user's own code, macro series and news."""

from __future__ import annotations

import re
import zoneinfo
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from cloudlstm.config.data import Section

OBJECT_PATTERN = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
"""How an object of the user's package is named: `package.module:NAME`."""

BUILT_IN_SCORERS = ("vader", "lexicon")

Group = Literal["none", "macro", "news", "both"]
"""Which exogenous columns a network gets."""

SeriesKind = Literal["rate", "index", "count", "score"]
"""What a series is: a rate in percent, a positive level such as a price index, a number of things, or a score."""


def require_object_name(value: str) -> str:
    """Returns the name of an object of the user's package, or raises ValueError."""
    if not OBJECT_PATTERN.fullmatch(value):
        raise ValueError(f"{value!r} is not package.module:NAME, for example mypkg.features:MOMENTUM")
    return value


def _split(value: object) -> object:
    """Accepts a list without brackets and quotes."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


class FeaturesConfig(Section):
    """Features of the user's own code; see docs/extending.md."""

    extra: tuple[str, ...] = ()
    """Features that are added to the eight, each as `package.module:NAME`; NAME is a cloudlstm.features.Feature."""

    @field_validator("extra", mode="before")
    @classmethod
    def _are_texts(cls, value: object) -> object:
        return _split(value)

    @field_validator("extra")
    @classmethod
    def _are_objects(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise ValueError("the same feature is named twice")
        return tuple(require_object_name(each) for each in value)


class MacroConfig(Section):
    """Series of numbers with the time at which each number was known; see docs/exogenous.md."""

    source: Literal["off", "files", "fred", "alfred", "synthetic"] = "off"
    """`files`: tables with the column `available_at`; `fred`: files as FRED gives them, with assumed release lags;
    `alfred`: ALFRED with true vintages, by the key in the environment variable FRED_API_KEY; `synthetic`: generated."""
    path: str | None = None
    """For `files` and `fred`: a file, folder, glob or storage URI (CSV or Parquet)."""
    series: tuple[str, ...] = ()
    """The series that become features, for example VIXCLS,DGS10,CPIAUCSL."""
    kinds: dict[str, SeriesKind] = Field(default_factory=dict)
    """What a series is, where the table in docs/exogenous.md does not say it: `rate`, `index`, `count` or `score`."""
    max_age_days: int = Field(default=120, ge=1, le=3650)
    """A value that has been known for longer is missing."""

    @field_validator("series", mode="before")
    @classmethod
    def _are_texts(cls, value: object) -> object:
        return _split(value)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.source in ("files", "fred") and not self.path:
            raise ValueError(f"path must be set when source is {self.source!r} (a file, a folder or a storage URI)")
        if self.source != "off" and not self.series:
            raise ValueError("series must name what becomes a feature, for example VIXCLS,DGS10")
        if len({each.lower() for each in self.series}) != len(self.series):
            raise ValueError("the same series is named twice")
        if unknown := sorted(set(self.kinds) - set(self.series)):
            raise ValueError(f"kinds names {', '.join(unknown)}, and series does not")
        return self


class NewsConfig(Section):
    """Headlines, scored and counted by ticker and session; see docs/exogenous.md."""

    source: Literal["off", "files", "yahoo", "synthetic"] = "off"
    """`files`: tables of headlines; `yahoo`: the newest headlines of Yahoo Finance; `synthetic`: generated."""
    path: str | None = None
    """For `files`: a file, folder, glob or storage URI (CSV or Parquet)."""
    columns: dict[str, str] = Field(default_factory=dict)
    """For `files`: our column name = the file's column name, where they differ (`headline = "title"`)."""
    time_zone: str | None = None
    """For `files`: the time zone of times that have none. Not set: such times are refused."""
    scorer: str = "vader"
    """`vader`, `lexicon`, or a scorer of the user's as `package.module:NAME`."""
    lexicon: str | None = None
    """For the scorer `lexicon`: a file in the form of the Loughran-McDonald master dictionary."""
    max_age_days: int = Field(default=5, ge=1, le=365)
    """The age of the newest headline is missing beyond this."""
    novelty_days: int = Field(default=7, ge=1, le=365)
    """A headline is compared with the headlines of so many days before it."""
    synthetic_r2: float = Field(default=0.03, ge=0.0, le=0.5)
    """For `synthetic`: share of the next return's variance that the headlines of a session explain."""

    @field_validator("scorer")
    @classmethod
    def _is_scorer(cls, value: str) -> str:
        return value if value in BUILT_IN_SCORERS else require_object_name(value)

    @field_validator("time_zone")
    @classmethod
    def _is_time_zone(cls, value: str | None) -> str | None:
        if value is not None and value not in zoneinfo.available_timezones():
            raise ValueError("no time zone has this name; write for example America/New_York")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.source == "files" and not self.path:
            raise ValueError("path must be set when source is 'files' (a file, a folder or a storage URI)")
        if (self.scorer == "lexicon") != (self.lexicon is not None):
            raise ValueError("lexicon is the file of the scorer 'lexicon': set both or neither")
        return self


class ExogenousConfig(Section):
    """Macro series and news as features: only what was known before the close of each bar."""

    embargo_minutes: int = Field(default=15, ge=0, le=10_080)
    """What became known less than so many minutes before the close of the session, or the end of a bar within a day, is
    used from the next bar on."""
    inputs: Group = "both"
    """Which of these columns the network gets: `none`, `macro`, `news` or `both`."""
    ablation: bool = True
    """Also trains the networks with fewer of these columns, and without them, for a comparison in the report."""
    macro: MacroConfig = MacroConfig()
    news: NewsConfig = NewsConfig()

    @model_validator(mode="after")
    def _has_inputs(self) -> Self:
        if self.groups and self.inputs in ("macro", "news") and self.inputs not in self.groups:
            raise ValueError(f"inputs is {self.inputs!r}, and exogenous.{self.inputs}.source is off")
        return self

    @property
    def groups(self) -> tuple[Literal["macro", "news"], ...]:
        """The groups of columns that the settings make: of "macro" and "news"."""
        sources: dict[Literal["macro", "news"], str] = {"macro": self.macro.source, "news": self.news.source}
        return tuple(name for name, source in sources.items() if source != "off")

    @property
    def own_inputs(self) -> Group:
        """The group of columns that the networks of the run itself get, as far as the settings make it."""
        if self.inputs == "both":
            return "both" if len(self.groups) > 1 else self.groups[0] if self.groups else "none"
        return self.inputs if self.inputs in self.groups else "none"
