"""Tables of headlines: one row a headline, with its ticker and the time of its publication.

A headline is known from its time on. A date without a time, and a midnight, which most programs write for such a date,
is known from the open of the first session after the date: later than any time of that date in any zone of the world.
"""

from __future__ import annotations

import ast
import datetime as dt
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cloudlstm.config import NewsConfig
from cloudlstm.config.tickers import ticker as ticker_of_text
from cloudlstm.errors import ConfigError, UnreadableSourceError
from cloudlstm.exogenous.sources import moments, tables
from cloudlstm.exogenous.sources.found import HEADLINE_KEYS, Found, once
from cloudlstm.exogenous.sources.moments import Flags, Moments, Times
from cloudlstm.exogenous.sources.tables import Table
from cloudlstm.exogenous.table import HEADLINES
from cloudlstm.market import columns
from cloudlstm.market.calendar import hours_on, sessions_after, to_days
from cloudlstm.market.sources.files import ticker_names
from cloudlstm.text.numbers import counted

ALIASES = {
    "ticker": (
        "ticker", "symbol", "ticker symbol", "stock symbol", "stock", "tickers", "symbols", "stocks", "related",
        "stock code", "instrument", "ric", "code", "entity", "股票代码", "股票代碼", "代號", "銘柄コード", "종목코드",
    ),
    "headline": (
        "headline", "title", "headline_slug", "headline text", "news title", "article title", "news headline",
        "headlines", "news", "標題", "标题", "見出し", "제목", "titel", "titre", "titulo",
    ),
    "published_at": (
        "published_at", "published", "publish date", "publish time", "published date", "published time",
        "publication date", "date published", "time published", "pub date", "published utc", "provider publish time",
        "datetime", "date time", "timestamp", "date", "date_raw", "time", "created at", "發布時間", "发布时间", "日期",
    ),
}  # fmt: skip
"""Our column -> names in files, the most certain one first."""

_FILE = "exogenous.news.path"
_SEVERAL = re.compile(r"[,;|]")
_SPACE = r"\s+"
_NO_TICKER = re.compile(r"NEWS|HEADLINE|ARTICLE|STORIES|SENTIMENT|PRESS|FEED|RSS")
"""Words in the names of files of headlines that are no ticker."""
_SECOND = 1_000_000
_LATEST_ZONE = 12 * 3600 * _SECOND
"""A date ends 12 hours after midnight in UTC, on Baker Island."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which headlines a run uses.

    Attributes:
        tickers: Its tickers; None for all.
        first: The first date of interest, in days since 1970-01-01.
        last: The last date of interest.
        calendar: The exchange, for dates without a time.
        now: Microseconds since 1970 in UTC; nothing later can be known.
    """

    tickers: Collection[str] | None
    first: int
    last: int
    calendar: str
    now: int


def read(config: NewsConfig, wanted: Wanted) -> Found:
    """Reads the headlines at `exogenous.news.path`; what cannot be used is refused with a reason.

    Raises:
        ConfigError: `exogenous.news.columns` names a column that headlines do not have.
    """
    if unknown := sorted(set(config.columns) - set(ALIASES)):
        raise ConfigError(
            f"exogenous.news.columns names {', '.join(unknown)}, which is not a column of headlines",
            hint=f"the names left of the equals sign are {', '.join(ALIASES)}",
        )
    found = Found()
    match = tables.by_aliases(ALIASES, config.columns, ("headline", "published_at"))
    for table in tables.read_all(config.path or "", match, found, _FILE):
        _add(table, config, wanted, found)
    return found


def headlines_of(
    tickers: Sequence[str], period: NDArray[np.int32], utc: Times, headline: Sequence[str], source: str
) -> pa.Table:
    """Returns HEADLINES rows; doubled ones once.

    Args:
        tickers: The ticker of each row.
        period: The date of each row, in days since 1970-01-01.
        utc: When each row was known, in microseconds since 1970 in UTC.
        headline: The texts.
        source: Where they come from.
    """
    arrays = [
        pa.array(tickers, pa.string()),
        pa.array(period, pa.int32()).cast(pa.date32()),
        pa.array(utc, pa.int64()).cast(pa.timestamp("us", "UTC")),
        pa.array(headline, pa.string()),
        pa.array([source] * len(period), pa.string()),
    ]
    return once(pa.table(arrays, schema=HEADLINES), HEADLINE_KEYS)


def _add(table: Table, config: NewsConfig, wanted: Wanted, found: Found) -> None:
    """Adds the headlines of one file."""
    rows = table.rows
    time = moments.read(rows.column("published_at"), config.time_zone)
    spaced = pc.replace_substring_regex(rows.column("headline").cast(pa.string()), _SPACE, " ")
    headline = pc.fill_null(pc.utf8_trim_whitespace(spaced), "").to_pylist()
    written = _written_tickers(table, rows, config)
    if written is None:
        found.refuse("no_ticker", [f"{table.item} has no column of tickers, and its name is no ticker"], table.source)
        return
    code, names = written
    fault = time.fault.copy()
    known = np.array([bool(each) for each in names], np.bool_)
    fault[(fault == "") & ~np.append(known, False)[code]] = "no_ticker"
    fault[(fault == "") & np.array([not text for text in headline], np.bool_)] = "no_headline"
    fault[(fault == "") & _is_later(time, wanted.now)] = "in_the_future"
    for reason in sorted({str(each) for each in fault if each}):
        at = np.flatnonzero(fault == reason)
        raw = [f"{time.raw[row]} | {headline[row]}" for row in at]
        found.refuse(reason, raw, table.source, entity=[_first(names, int(code[row])) for row in at])
    good = fault == ""
    inside = good & (time.day >= wanted.first) & (time.day <= wanted.last)
    of_run = [[name for name in each if wanted.tickers is None or name in wanted.tickers] for each in names]
    used = inside & np.append(np.array([bool(each) for each in of_run], np.bool_), False)[code]
    at = np.flatnonzero(used)
    if left := int(good.sum()) - len(at):
        found.notes.append(
            f"{table.source}: {counted(left, 'headline')} of {counted(int(good.sum()), 'headline')} "
            "of other tickers or outside the dates of the run"
        )
    if not len(at):
        return
    utc = _known(time, at, wanted.calendar)
    lists = [of_run[code[row]] for row in at]
    repeat = np.repeat(np.arange(len(at)), [len(each) for each in lists])
    made = headlines_of(
        [name for each in lists for name in each],
        time.day[at][repeat],
        utc[repeat],
        [headline[at[row]] for row in repeat],
        table.source,
    )
    if doubled := len(repeat) - made.num_rows:
        found.notes.append(f"{table.source}: {counted(doubled, 'doubled headline')} counted once")
    found.headlines.append(made)


def _known(time: Moments, at: NDArray[np.intp], calendar: str) -> Times:
    """Returns since when some rows are known: their time, or the open of the next session after their date.

    A date is over everywhere before it counts.
    """
    utc = time.utc[at].copy()
    dates = ~time.timed[at] | time.midnight[at]
    if dates.any():
        distinct, place = np.unique(time.day[at][dates], return_inverse=True)
        opens = hours_on(calendar, sessions_after(calendar, distinct)).opens.astype(np.int64) * 60 * _SECOND
        over = (distinct.astype(np.int64) + 1) * 86_400 * _SECOND + _LATEST_ZONE  # an exchange in the east opens before
        utc[dates] = np.maximum(opens, over)[place]
    return utc


def _is_later(time: Moments, now: int) -> Flags:
    """True for a time after now, and for a date after today in the zone where the day begins first."""
    today = (now // _SECOND + 14 * 3600) // 86_400
    return np.where(time.timed & ~time.midnight, time.utc > now, time.day > today)


def _written_tickers(
    table: Table, rows: pa.Table, config: NewsConfig
) -> tuple[NDArray[np.int32], list[tuple[str, ...]]] | None:
    """Returns a code for each row, and the tickers of each code; None if the file tells no ticker."""
    if "ticker" in rows.column_names:
        code, texts = columns.codes(rows.column("ticker").cast(pa.string()))
        return code, [_tickers(text or "") for text in texts]
    try:
        name = ticker_names.ticker_of(table.item, table.folder, None, config.columns.get("ticker", ""))
    except UnreadableSourceError:
        return None
    return None if _NO_TICKER.search(name) else (np.zeros(rows.num_rows, np.int32), [(name,)])


def _tickers(text: str) -> tuple[str, ...]:
    """Returns the tickers of a cell, such as AAPL or "AAPL, MSFT" or "['AAPL']"; none if a part is no ticker."""
    text = text.strip()
    if text.startswith(("[", "(")):
        try:
            listed = ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return ()
        parts = [str(each) for each in listed] if isinstance(listed, list | tuple) else []
    else:
        parts = [part for part in _SEVERAL.split(text) if part.strip()]
    found = [ticker_of_text(part) for part in parts]
    return tuple(dict.fromkeys(name for name in found if name)) if all(found) else ()


def _first(names: Sequence[tuple[str, ...]], code: int) -> str:
    return names[code][0] if code >= 0 and names[code] else ""


def span(start: dt.date, end: dt.date, before_days: int, after_days: int) -> tuple[int, int]:
    """Returns the first and last date of interest, as days since 1970-01-01."""
    return to_days(start) - before_days, to_days(end) + after_days
