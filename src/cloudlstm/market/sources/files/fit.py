"""Compares the dates of the files of a source with `market.interval` and with the calendar."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa

from cloudlstm.config import MarketConfig
from cloudlstm.errors import DataError
from cloudlstm.market import columns
from cloudlstm.market.bars import joined
from cloudlstm.market.calendar_fit import Problem, bars_apart, dates_of, describe_bars
from cloudlstm.market.interval_fit import describe_times, name_of
from cloudlstm.market.sources.base import Findings

_SERIES_COMPARED = 5
_FEWEST_ROWS = 60
"""A series with fewer rows fits several calendars."""


def require_interval(
    tables: Sequence[tuple[str, pa.Table]], steps: Mapping[str, float], config: MarketConfig
) -> Findings:
    """Compares the dates of the longest series with the interval and the calendar.

    Args:
        tables: The files, and their rows that the run uses.
        steps: By file: the distance of its times in seconds; 0 without times.
        config: The settings of the market.

    Returns:
        Findings with `off_calendar`, if most of the series fit another calendar or another time zone.

    Raises:
        DataError: if the bars are of another interval.
    """
    by_ticker: dict[str, list[tuple[str, pa.Table]]] = {}
    for item, table in tables:
        for ticker, rows in _series_of(table):
            by_ticker.setdefault(ticker, []).append((item, rows))
    series = [(parts[0][0], joined([rows for _, rows in parts])) for parts in by_ticker.values()]
    if config.interval == "1d":
        _require_daily(series, steps)
    series = sorted(series, key=lambda each: -each[1].num_rows)[:_SERIES_COMPARED]
    series = [(item, rows) for item, rows in series if rows.num_rows >= _FEWEST_ROWS]
    problems = [(item, found) for item, rows in series if (found := _describe(rows, config))]
    for item, problem in problems:
        if problem.is_interval and config.interval != "1d":
            raise DataError(f"{item}: {problem.message}", hint=problem.hint)
    if len(problems) <= len(series) / 2:
        return Findings(notes=tuple(f"{item}: {problem.message}" for item, problem in problems))
    item, problem = problems[0]
    return Findings(off_calendar=(f"{item}: {problem.message}", problem.hint))


def _describe(rows: pa.Table, config: MarketConfig) -> Problem | None:
    return describe_bars(rows, config.calendar) if config.interval == "1d" else describe_times(rows, config)


def _require_daily(series: Sequence[tuple[str, pa.Table]], steps: Mapping[str, float]) -> None:
    """Raises DataError if bars are not daily; names the setting for bars within a day."""
    for item, rows in series:
        if apart := bars_apart(*dates_of(rows), steps[item]):
            name = name_of(steps[item])
            raise DataError(
                f"{item}: the bars are {apart}, and daily bars are needed",
                hint=f"market.interval={name} for bars within a day, or a file with one bar a day"
                if name
                else "a file with one bar a day",
            )


def _series_of(table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """Yields the tickers of a file that have most rows, each with its rows."""
    code, names = columns.codes(table.column("ticker"))
    counts = np.bincount(code[code >= 0], minlength=max(len(names), 1))
    for ticker in np.argsort(-counts, kind="stable")[:_SERIES_COMPARED]:
        if counts[ticker]:
            yield names[ticker] or "", table.filter(pa.array(code == ticker))
