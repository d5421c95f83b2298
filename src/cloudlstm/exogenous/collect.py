"""Collects macro series and headlines as the settings say: the rows, the refused rows, and what a user should know.

A source that is missing, or that can be read in part only, never stops a run: what it lacks is told. Settings that
contradict each other are errors, and so is a package that is not installed.

What came is part of the result, so that a step which stores it sees the same in every repetition, also of services that
answer differently every day.
"""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from cloudlstm.config import RunConfig
from cloudlstm.errors import CloudLSTMError, MissingExtraError, UsageError
from cloudlstm.exogenous.sources import (
    alfred,
    fred_files,
    macro_files,
    news_files,
    release_lags,
    synthetic,
    tables,
    yahoo_news,
)
from cloudlstm.exogenous.sources.found import Found

FORM_VERSION = 1
"""Increase it whenever files are read differently; part of the identity."""

HEADLINES_NAME = "headlines"
"""The name in `Collected.missing` if there is no headline at all."""

_DAYS_AFTER = 7
"""Headlines so many days after the end of the market are kept: some calendars close for a week."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What the sources have.

    Attributes:
        rows: EXOGENOUS rows of macro series, sorted by series, entity, period, time and vintage.
        headlines: HEADLINES rows, sorted by ticker, time and text.
        refused: REFUSED rows, sorted.
        notes: What a user should know, as sentences.
        missing: The series of the settings without a row, and "headlines" if there is none.
        incomplete: True if something could not be had now, and a later call may get it.
    """

    rows: pa.Table
    headlines: pa.Table
    refused: pa.Table
    notes: list[str]
    missing: list[str]
    incomplete: bool = False


def collect(config: RunConfig, tickers: Sequence[str] | None, now: dt.datetime | None = None) -> Collected:
    """Reads macro series and headlines.

    Args:
        config: The settings of the run.
        tickers: The tickers of the run; None: all that the sources have, for Yahoo those of the settings.
        now: The time, with a zone; not given: the clock. Nothing that was known later is used.

    Raises:
        UsageError: settings that contradict each other.
        MissingExtraError: a package is not installed.
    """
    moment = now or dt.datetime.now(dt.UTC)
    found = Found()
    macro, news = config.exogenous.macro, config.exogenous.news
    for source, read in (
        (f"exogenous.macro.source={macro.source}", lambda: _macro(config, tickers, moment)),
        (f"exogenous.news.source={news.source}", lambda: _news(config, tickers, moment)),
    ):
        found.add(_told(source, read))
    rows, headlines, refused = found.all_rows(), found.all_headlines(), found.all_refused()
    present = set(pc.unique(rows.column("series")).to_pylist())
    missing = [name for name in macro.series if macro.source != "off" and name not in present]
    if news.source != "off" and not headlines.num_rows:
        missing.append(HEADLINES_NAME)
    notes = [*found.notes, *found.refusal_notes()]
    if missing:
        notes.append(f"without any row: {', '.join(missing)}; their features are missing on every date")
    return Collected(rows, headlines, refused, list(dict.fromkeys(notes)), missing, found.incomplete)


def identity(config: RunConfig, tickers: Sequence[str] | None = None, now: dt.datetime | None = None) -> dict[str, Any]:
    """Returns a JSON-ready value that changes whenever what `collect` returns can change.

    Of files it has names, sizes and etags; of services the request, and the day as far as answers depend on it.

    Args:
        config: The settings of the run.
        tickers: The tickers of the run; None for all.
        now: The time, with a zone; not given: the clock.
    """
    moment = now or dt.datetime.now(dt.UTC)
    today = moment.astimezone(zoneinfo.ZoneInfo(release_lags.ZONE)).date()
    macro, news, market = config.exogenous.macro, config.exogenous.news, config.market
    of_macro: dict[str, Any] = macro.model_dump(mode="json", include={"source", "series", "max_age_days"})
    of_news: dict[str, Any] = {"source": news.source}
    if macro.source in ("files", "fred"):
        of_macro |= {"path": macro.path, "files": tables.identity(macro.path or "")}
    elif macro.source == "alfred":
        of_macro |= alfred.identity(macro, market, today)
    elif macro.source == "synthetic":
        of_macro |= synthetic.identity(market)
    if news.source == "files":
        of_news |= news.model_dump(
            mode="json", include={"path", "columns", "time_zone", "max_age_days", "novelty_days"}
        )
        of_news |= {"files": tables.identity(news.path or "")}
    elif news.source == "yahoo":
        of_news |= yahoo_news.identity(_tickers(config, tickers), today)
    elif news.source == "synthetic":
        of_news |= synthetic.identity(market, news.synthetic_r2)
    return {
        "form": FORM_VERSION,
        "macro": of_macro,
        "news": of_news,
        "calendar": market.calendar,
        "dates": [market.start.isoformat(), market.end.isoformat()],
        "tickers": None if tickers is None else sorted(tickers),
    }


def _told(source: str, read: Callable[[], Found]) -> Found:
    """Returns what a source has; if it fails, a note instead."""
    try:
        return read()
    except (UsageError, MissingExtraError):
        raise
    except CloudLSTMError as error:
        return Found(notes=[f"{source}: {error}"], incomplete=True)
    except (pa.ArrowException, UnicodeError, KeyError) as error:  # a form of file that no reader expects
        return Found(notes=[f"{source} cannot be read: {type(error).__name__}: {error}"])


def _macro(config: RunConfig, tickers: Collection[str] | None, now: dt.datetime) -> Found:
    macro = config.exogenous.macro
    if macro.source == "files":
        return macro_files.read(macro, None if tickers is None else frozenset(tickers), _us(now))
    if macro.source == "fred":
        return fred_files.read(macro, _us(now))
    if macro.source == "alfred":
        today = now.astimezone(zoneinfo.ZoneInfo(release_lags.ZONE)).date()
        return alfred.read(macro, config.market, today)
    if macro.source == "synthetic":
        return synthetic.macro(config.market)
    return Found()


def _news(config: RunConfig, tickers: Sequence[str] | None, now: dt.datetime) -> Found:
    news, market = config.exogenous.news, config.market
    if news.source == "synthetic":
        return synthetic.news(market, tickers, news.synthetic_r2)
    if news.source == "off":
        return Found()
    first, last = news_files.span(market.start, market.end, news.max_age_days + news.novelty_days, _DAYS_AFTER)
    asked = _tickers(config, tickers) if news.source == "yahoo" else tickers
    wanted = news_files.Wanted(None if asked is None else frozenset(asked), first, last, market.calendar, _us(now))
    return news_files.read(news, wanted) if news.source == "files" else yahoo_news.read(market.yahoo, wanted)


def _tickers(config: RunConfig, tickers: Sequence[str] | None) -> Sequence[str] | None:
    """The tickers that a service is asked for."""
    return tickers if tickers is not None else config.universe.tickers or None


def _us(moment: dt.datetime) -> int:
    """Microseconds since 1970 in UTC."""
    return (moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)
