"""Compares the dates of bars with exchange calendars: which calendar fits, and how far apart the bars are.

A calendar fits if the dates are its sessions, and its sessions have a bar. Both count: every date is a session of 24/7,
and a weekly bar is on a session of most exchanges. The measure is the share of dates that are in both, among those that
are in either, from the first to the last date (the Jaccard index).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cloudlstm.errors import UsageError
from cloudlstm.market import columns
from cloudlstm.market.calendar import sessions, time_zone, to_date

Floats = NDArray[np.float64]

SUFFIXES = {
    "TW": "XTAI", "TWO": "XTAI", "T": "XTKS", "HK": "XHKG", "KS": "XKRX", "KQ": "XKRX", "SS": "XSHG", "SZ": "XSHG",
    "SI": "XSES", "JK": "XIDX", "KL": "XKLS", "BK": "XBKK", "PS": "XPHS", "KA": "XKAR", "NS": "XBOM", "BO": "XBOM",
    "AX": "XASX", "NZ": "XNZE", "L": "XLON", "IL": "XLON", "IR": "XDUB", "DE": "XETR", "F": "XFRA", "SG": "XSTU",
    "HM": "XHAM", "DU": "XDUS", "PA": "XPAR", "AS": "XAMS", "BR": "XBRU", "LS": "XLIS", "MI": "XMIL", "MC": "XMAD",
    "SW": "XSWX", "VI": "XWBO", "ST": "XSTO", "CO": "XCSE", "OL": "XOSL", "HE": "XHEL", "IC": "XICE", "WA": "XWAR",
    "PR": "XPRA", "BD": "XBUD", "AT": "ASEX", "IS": "XIST", "ME": "XMOS", "TA": "XTAE", "SR": "XSAU", "JO": "XJSE",
    "TO": "XTSE", "V": "XTSE", "CN": "XTSE", "NE": "XTSE", "MX": "XMEX", "SA": "BVMF", "SN": "XSGO", "BA": "XBUE",
}  # fmt: skip
"""Yahoo's suffix of a ticker -> the calendar of its exchange."""

_COMMON = (
    "XNYS", "XLON", "XTKS", "XHKG", "XSHG", "XBOM", "XTAI", "XETR", "XPAR", "XMIL", "XSWX", "XTSE", "XASX", "24/5",
    "BVMF", "XSTO", "XCSE", "XOSL", "XHEL", "XMAD", "XWAR", "XSES", "XIDX", "XKLS", "XBKK", "XJSE", "XMEX", "XIST",
    "XMOS", "XTAE", "XKRX", "CMES",
)  # fmt: skip
_WITH_WEEKENDS = ("24/7", "XTAE", "XSAU")

_LATEST = 750
"""Dates that are compared. Three years contain every holiday; creating a longer calendar takes more time."""
_FEWEST = 20
_FITS = 0.97
_ALIKE = 0.01
"""Calendars whose Jaccard indices differ by less fit equally well: the likeliest one is named."""
_MOST_ARE_SESSIONS, _ALL_ARE_SESSIONS = 0.98, 0.995
ONE_A_DAY = "daily bars from the same place (yfinance: interval='1d'; pandas, for shorter bars: resample('1D'))"
_ROWS_OF_SHORTER_BARS = 3.0
_DAY_S = 86_400
_REGULAR = 0.8
"""Share of the steps between dates that agree with the interval."""
_APART = (("week", 5, 9), ("month", 26, 35), ("quarter", 85, 97), ("year", 355, 375))


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, and words to type that mend it.

    Attributes:
        message: What was found.
        hint: What to type or to do.
        is_interval: True if the bars are not daily, so that no calendar and no limit helps.
    """

    message: str
    hint: str
    is_interval: bool = False


@dataclass(frozen=True, slots=True)
class Fit:
    """How well dates agree with a calendar.

    Attributes:
        code: The calendar.
        sessions: Share of the dates that are sessions.
        covered: Share of the sessions from the first to the last date that are among the dates.
        index: Share of the dates in both among those in either.
    """

    code: str
    sessions: float
    covered: float
    index: float


def describe_fit(days: NDArray[np.int32], rows_per_day: float, tickers: Sequence[str], code: str) -> Problem | None:
    """Returns why the dates of daily bars do not fit the calendar `code`, or None if they fit or no reason is known.

    Args:
        days: The dates of one ticker or of a few of one exchange, sorted and unique, as days since 1970-01-01.
        rows_per_day: Median number of rows of one ticker on one date.
        tickers: The tickers; a suffix such as .TW tells the exchange.
        code: The configured calendar.
    """
    if apart := bars_apart(days, rows_per_day):
        return Problem(f"the bars are {apart}, and daily bars are needed", ONE_A_DAY, is_interval=True)
    if len(days) < _FEWEST:
        return None
    recent = days[-_LATEST:]
    configured = fit(recent, code)
    if configured.sessions >= _MOST_ARE_SESSIONS and configured.index >= _FITS:
        return None
    if configured.sessions >= _ALL_ARE_SESSIONS and not _weekend(_known_sessions(recent, code)).any():
        # All dates are sessions: only bars are missing, since almost no calendar has fewer sessions.
        return None
    best = _best(recent, tickers, configured)
    if best is not None:
        return _other_calendar(configured, best) if best.code != code else None
    for moved, when in ((1, "early"), (-1, "late")):
        shifted = _best(recent + np.int32(moved), tickers, None)
        if shifted is not None:
            return _other_day(shifted.code, when)
    return None


def describe_bars(bars: pa.Table, code: str) -> Problem | None:
    """Returns why the dates of one ticker's bars do not fit the calendar `code`; see `describe_fit`.

    Rows that were carried over days without a session are no bars here.

    Args:
        bars: BARS of one ticker, in any order.
        code: The configured calendar.
    """
    days, rows_per_day = dates_of(bars, code)
    if not len(days):
        return None
    return describe_fit(days, rows_per_day, [bars.column("ticker")[0].as_py() or ""], code)


def dates_of(bars: pa.Table, code: str = "") -> tuple[NDArray[np.int32], float]:
    """Returns the dates of one ticker's bars, sorted and unique, and the median number of rows of a date.

    Rows without a close and exact copies do not count.

    Args:
        bars: BARS of one ticker, in any order.
        code: A calendar: rows on days without a session that repeat the row before do not count.
    """
    bars = bars.filter(pc.and_(bars.column("date").is_valid(), pc.is_finite(bars.column("close")))).sort_by("date")
    if not bars.num_rows:
        return np.empty(0, np.int32), 0.0
    day = columns.days(bars.column("date"))
    again = repeats(*(columns.floats(bars.column(name)) for name in ("open", "high", "low", "close")))
    off_session = ~np.isin(day, _known_sessions(day, code)) if code else np.zeros(len(day), bool)
    copy = np.append(False, day[1:] == day[:-1])
    days, counts = np.unique(day[~(again & (off_session | copy))], return_counts=True)
    return days, float(np.median(counts))


def bars_apart(days: NDArray[np.int32], rows_per_day: float, step_s: float = 0.0) -> str:
    """Returns how far apart bars are that are not daily, such as "a week apart"; "" for daily and for unclear bars.

    Args:
        days: Dates, sorted and unique.
        rows_per_day: Median number of rows of one ticker on one date.
        step_s: Distance of their times in seconds; 0 if it is not known.
    """
    if rows_per_day >= _ROWS_OF_SHORTER_BARS:
        return f"{interval_in_words(step_s)} apart ({rows_per_day:.0f} rows a date)"
    steps = np.diff(days)
    if len(steps) < 4:
        return ""
    # A ticker that rarely trades has steps of all lengths.
    shares = ((name, np.mean((steps >= least) & (steps <= most))) for name, least, most in _APART)
    return next((f"a {name} apart" for name, share in shares if share >= _REGULAR), "")


def interval_in_words(seconds: float) -> str:
    """Returns a time shorter than a day in words: a minute, 5 minutes, an hour."""
    for unit, one, name in ((3600, "an hour", "hours"), (60, "a minute", "minutes"), (1, "a second", "seconds")):
        number, rest = divmod(seconds, unit)
        if number and not rest and seconds < _DAY_S:
            return one if number == 1 else f"{number:.0f} {name}"
    return "less than a day"


def fit(days: NDArray[np.int32], code: str) -> Fit:
    """Compares dates with a calendar. An unknown calendar, or one that does not cover the dates, fits not at all."""
    known = _known_sessions(days, code)
    both = len(np.intersect1d(days, known, assume_unique=True))
    either = len(days) + len(known) - both
    return Fit(code, both / len(days), both / max(len(known), 1), both / either)


def likely_codes(days: NDArray[np.int32], tickers: Sequence[str]) -> list[str]:
    """Returns the calendars to try, the most likely first: by the suffixes of the tickers, then the common ones."""
    common = _WITH_WEEKENDS if _weekend(days).mean() > 0.1 else _COMMON
    return list(dict.fromkeys([*(code for ticker in tickers if (code := code_of(ticker))), *common]))


def _weekend(days: NDArray[np.int32]) -> NDArray[np.bool_]:
    return (days + 3) % 7 >= 5  # 1970-01-01 was a Thursday


def code_of(ticker: str) -> str:
    """Returns the calendar that a ticker's suffix tells; "" if it tells none."""
    name = ticker.upper()
    if name.endswith(("-USD", "-EUR", "-USDT", "-BTC")):
        return "24/7"
    if name.endswith("=X"):
        return "24/5"
    _, dot, suffix = name.rpartition(".")
    return SUFFIXES.get(suffix, "") if dot else ""


def repeats(open_: Floats, high: Floats, low: Floats, close: Floats) -> NDArray[np.bool_]:
    """Returns True for each row whose four prices are those of the row before, as in rows that were carried forward."""
    same = np.zeros(len(close), bool)
    same[1:] = np.logical_and.reduce([values[1:] == values[:-1] for values in (open_, high, low, close)])
    return same


def _best(days: NDArray[np.int32], tickers: Sequence[str], configured: Fit | None) -> Fit | None:
    """Returns the fit of the likeliest calendar that fits about as well as any; None if none fits."""
    fits = [] if configured is None else [configured]
    told = {code for ticker in tickers if (code := code_of(ticker))}
    for code in likely_codes(days, tickers):
        fits.append(fit(days, code))
        if fits[-1].index >= (_FITS if code in told else 1 - _ALIKE):
            return fits[-1]
    best = max(fits, key=lambda each: each.index, default=None)
    if best is None or best.index < _FITS:
        return None
    return next(each for each in fits if each.index >= best.index - _ALIKE)


def _other_calendar(configured: Fit, best: Fit) -> Problem:
    return Problem(
        f"the dates fit the calendar {best.code} ({best.sessions:.1%} of them are sessions, and {best.covered:.1%} of "
        f"the sessions have a bar) and not {configured.code} ({configured.sessions:.1%}, {configured.covered:.1%})",
        f"market.calendar={best.code}",
    )


def _other_day(code: str, when: str) -> Problem:
    zone = time_zone(code)
    return Problem(
        f"the dates are one day {when}: one day {'later' if when == 'early' else 'earlier'} they fit the calendar "
        f"{code}. They may be moments in another time zone than {zone}",
        f"market.calendar={code} market.time_zone={zone}, if its times are in UTC",
    )


def _known_sessions(days: NDArray[np.int32], code: str) -> NDArray[np.int32]:
    """Returns the sessions from the first to the last date; none if the calendar does not cover them."""
    first, last = int(days[0]), int(days[-1])
    # In steps of some days, so that dates that were moved by a day find the same calendar in the cache.
    known = _sessions(code, first // 8 * 8 - 8, last // 8 * 8 + 15)
    if not len(known):
        known = _sessions(code, first, last)
    return known[(known >= first) & (known <= last)]


@lru_cache(maxsize=128)
def _sessions(code: str, first: int, last: int) -> NDArray[np.int32]:
    try:
        return sessions(code, to_date(first), to_date(last))
    except UsageError:
        return np.empty(0, np.int32)
