"""The columns that the settings of macro series and news add to the feature table."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from cloudlstm.config import ExogenousConfig
from cloudlstm.config.exogenous import SeriesKind
from cloudlstm.errors import UsageError

Measure = Literal["value", "age", "count", "mean", "strongest", "novelty"]
"""What a column says of a series: for macro the newest known value, or its age; for news a summary of one session."""

NEWS, NOVELTY = "news.score", "news.novelty"
"""The series of scored headlines, and of how new each is, in the table of exogenous rows."""

_RATES = (
    "VIXCLS", "DGS1MO", "DGS3MO", "DGS6MO", "DGS1", "DGS2", "DGS3", "DGS5", "DGS7", "DGS10", "DGS20", "DGS30", "DTB3",
    "DFF", "FEDFUNDS", "UNRATE", "T10Y2Y", "T10Y3M", "BAMLH0A0HYM2", "SYNTHETIC",
)  # fmt: skip
_INDICES = ("CPIAUCSL", "CPILFESL", "PCEPI", "PAYEMS", "INDPRO", "GDP", "DTWEXBGS", "DCOILWTICO")
KINDS: dict[str, SeriesKind] = {}
KINDS.update(dict.fromkeys(_RATES, "rate"))
KINDS.update(dict.fromkeys(_INDICES, "index"))
"""What well-known series are; `exogenous.macro.kinds` says it for others."""


@dataclass(frozen=True, slots=True)
class Column:
    """One exogenous column of the feature table.

    Attributes:
        name: Its name.
        group: "macro" or "news".
        kind: As of features: rate, index, count, score or age. It decides how relative inputs scale a window.
        unit: The unit of its values.
        series: The series in the table of exogenous rows.
        measure: What it says of the series.
        max_age_days: A value that has been known for longer is missing.
    """

    name: str
    group: Literal["macro", "news"]
    kind: Literal["rate", "index", "count", "score", "age"]
    unit: Literal["percent", "index points", "number", "score", "days"]
    series: str
    measure: Measure
    max_age_days: int


_UNITS = {"rate": "percent", "index": "index points", "count": "number", "score": "score"}


def columns_of(config: ExogenousConfig) -> tuple[Column, ...]:
    """The columns of a run, in the order of the feature table: macro series as named in the settings, then news.

    Raises:
        UsageError: it is not known what kind a series is.
    """
    found: list[Column] = []
    if config.macro.source != "off":
        for series in config.macro.series:
            kind = config.macro.kinds.get(series) or KINDS.get(series.upper())
            if kind is None:
                raise UsageError(
                    f"exogenous.macro.series: it is not known what kind of series {series} is",
                    hint=f'exogenous.macro.kinds.{series}=rate (a percentage), index (a level), count or score',
                )  # fmt: skip
            name, age = f"macro_{_plain(series)}", config.macro.max_age_days
            if name in {column.name for column in found}:
                raise UsageError(
                    f"exogenous.macro.series: two series would have the column {name}",
                    hint="rename one of them in the file",
                )
            found.append(Column(name, "macro", kind, _UNITS[kind], series, "value", age))  # type: ignore[arg-type]
            found.append(Column(f"{name}_age_days", "macro", "age", "days", series, "age", age))
    if config.news.source != "off":
        age = config.news.max_age_days
        found += [
            Column("news_count", "news", "count", "number", NEWS, "count", age),
            Column("news_mean", "news", "score", "score", NEWS, "mean", age),
            Column("news_strongest", "news", "score", "score", NEWS, "strongest", age),
            Column("news_novelty", "news", "score", "score", NOVELTY, "novelty", age),
            Column("news_age_days", "news", "age", "days", NEWS, "age", age),
        ]
    return tuple(found)


def _plain(series: str) -> str:
    """The name of a series as a part of a column's name."""
    return re.sub(r"\W+", "_", series.lower()).strip("_")
