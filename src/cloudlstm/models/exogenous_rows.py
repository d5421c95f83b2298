"""Macro series and headlines of one day: collected once, and stored beside the day.

A day that was killed and begins again reads what it has stored, so it makes the same forecasts, whatever its sources
have answered since. A source that is missing stops no day: its columns are missing, and the day says so.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Sequence
from contextlib import suppress

import pyarrow as pa

from cloudlstm import storage
from cloudlstm.config import RunConfig
from cloudlstm.errors import CloudLSTMError, CorruptObjectError, MissingExtraError, ObjectExistsError, UsageError
from cloudlstm.exogenous.collect import collect
from cloudlstm.exogenous.recent import Span, needed_headlines, needed_rows
from cloudlstm.exogenous.scoring.headlines import score_headlines
from cloudlstm.exogenous.scoring.scorer import open_scorer
from cloudlstm.exogenous.table import EXOGENOUS
from cloudlstm.market import bars

Score = Callable[[RunConfig, pa.Table], tuple[pa.Table, Sequence[str]]]
"""Scores HEADLINES as the settings say; returns EXOGENOUS rows, and what a user should know as sentences."""

_NOTES = "notes"
"""The entry of the notes in the metadata of the Parquet file: rows and notes are one object, so they fit together."""


def scored_in(root: str) -> Score:
    """Scores headlines in this process, and keeps the scores below a root, as runs do.

    Args:
        root: URI of the root of runs.
    """

    def score(config: RunConfig, headlines: pa.Table) -> tuple[pa.Table, Sequence[str]]:
        news = config.exogenous.news
        scored = score_headlines(headlines, open_scorer(news), root=root, novelty_days=news.novelty_days)
        return scored.rows, scored.notes

    return score


def rows_of_day(
    config: RunConfig, tickers: Sequence[str] | None, now: dt.datetime, span: Span, score: Score | None = None
) -> tuple[pa.Table, tuple[str, ...]]:
    """Collects what the exogenous columns of a day's bars depend on.

    Args:
        config: The settings of the recipe, with the last session of the day as the end of the market.
        tickers: The tickers of the universe; None: all that the sources have.
        now: The moment; what was known later is not used.
        span: The cuts of the day's bars.
        score: Scores headlines; None: the columns of news are missing.

    Returns:
        EXOGENOUS rows, and what is missing or refused as sentences.

    Raises:
        UsageError: Settings contradict each other.
        MissingExtraError: A package is not installed.
    """
    collected = collect(config, tickers, now)
    rows, notes = [needed_rows(collected.rows, span)], list(collected.notes)
    if config.exogenous.news.source != "off":
        headlines = needed_headlines(collected.headlines, span, config.exogenous.news.novelty_days)
        scored, told = _scored(config, headlines, score)
        rows.append(needed_rows(scored, span))
        notes += told
    table = pa.concat_tables(rows)
    return table.sort_by([(name, "ascending") for name in table.column_names]), tuple(dict.fromkeys(notes))


def stored_rows(
    uri: str, collected: Callable[[], tuple[pa.Table, tuple[str, ...]]]
) -> tuple[pa.Table, tuple[str, ...]]:
    """The rows and notes of a day that are stored; they are collected and stored if they are not there.

    Args:
        uri: Where they are stored; written once and never changed.
        collected: Collects them.

    Raises:
        CorruptObjectError: What is stored cannot be read.
    """
    if not storage.exists(uri):
        rows, notes = collected()
        with suppress(ObjectExistsError):  # another process does the same day, and was first
            storage.write(uri, bars.to_parquet(rows, {_NOTES: json.dumps(notes)}), if_absent=True)
    return read(uri)


def read(uri: str) -> tuple[pa.Table, tuple[str, ...]]:
    """Reads the rows and notes of a day.

    Raises:
        ObjectNotFoundError: There are none.
        CorruptObjectError: They cannot be read.
    """
    table = bars.from_parquet(storage.read(uri), uri=uri)
    try:
        notes = json.loads((table.schema.metadata or {})[_NOTES.encode()])
        return table.replace_schema_metadata(None).cast(EXOGENOUS), tuple(map(str, notes))
    except (KeyError, ValueError) as error:
        raise CorruptObjectError(
            f"{uri} is no table of exogenous rows: {error}", hint="delete it, then the same command again"
        ) from None


def _scored(config: RunConfig, headlines: pa.Table, score: Score | None) -> tuple[pa.Table, Sequence[str]]:
    """Scores headlines; if that fails, no rows and a note."""
    if score is None:
        return EXOGENOUS.empty_table(), ["headlines are not scored here; the columns of news are missing"]
    try:
        return score(config, headlines)
    except (UsageError, MissingExtraError):
        raise
    except CloudLSTMError as error:
        return EXOGENOUS.empty_table(), [f"exogenous.news.scorer={config.exogenous.news.scorer}: {error}"]
