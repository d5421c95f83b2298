"""The sessions of an exchange, the dates that can have a bar, and their trading hours.

`hours` gives the hours of a range of sessions; everything else that needs a time of day is made of it.
"""

from __future__ import annotations

import datetime as dt
import difflib
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudlstm.errors import MissingExtraError, UsageError

OTHER_CODES = {
    "XBOM": ("XNSE", "NSE", "NSEI", "NIFTY"), "XSHG": ("XSHE", "SZSE", "SSE"), "XTAI": ("TWSE", "TPEX", "ROCO"),
    "XTKS": ("TSE", "TYO"), "XKRX": ("KRX", "KOSPI", "KOSDAQ", "XKOS"), "XHKG": ("HKG", "HKSE"),
    "XETR": ("XETRA", "GETTEX", "TRADEGATE"), "XPAR": ("EURONEXT", "ENX"), "BVMF": ("B3", "BOVESPA"),
    "XNYS": ("US", "USA", "AMEX", "XNMS", "XNGS", "XNCM"), "XSES": ("SGX",), "XJSE": ("JSE",), "XIDX": ("IDX",),
    "XIST": ("BIST",), "XSAU": ("TADAWUL",), "XMOS": ("MOEX",), "XMEX": ("BMV",), "XNZE": ("NZX",),
    "XSTO": ("OMX",), "24/7": ("CRYPTO", "BTC", "247", "24-7", "ALWAYS"), "24/5": ("FX", "FOREX", "245", "24-5"),
}  # fmt: skip
"""Calendars by names that people try instead: names of exchanges and codes that the package does not have."""

EPOCH = dt.date(1970, 1, 1)

_POPULAR = "XNYS, XNAS, XLON, XTKS, 24/7"
LONGEST_CLOSURE_DAYS = 30
"""Longer than any closure that a calendar can contain for the future."""
_PAST = dt.timedelta(days=366)
_KNOWN = dt.date(2024, 1, 1), dt.date(2024, 2, 1)
"""Dates that every calendar covers."""
_DAYS_A_SESSION = 2
"""More than the average number of days between two sessions, with weekends and holidays."""


def sessions(code: str, start: dt.date, end: dt.date) -> NDArray[np.int32]:
    """Returns the sessions of exchange `code` from `start` to `end` (inclusive), as days since 1970-01-01.

    Raises:
        UsageError: if there is no such calendar, it does not cover the range, or the range has no session.
        MissingExtraError: if the package exchange-calendars is missing.
    """
    known = _days(_calendar(code, start, end))
    first, last = np.searchsorted(known, [to_days(start), to_days(end) + 1])
    if first == last:  # raises the package's own reason
        known, first, last = _days(_exact_calendar(code, start, end)), 0, None
    days: NDArray[np.int32] = known[first:last]
    return days


def _days(calendar: Any) -> NDArray[np.int32]:
    days: NDArray[np.int32] = calendar.sessions.to_numpy().astype("datetime64[D]").astype(np.int32)
    return days


@dataclass(frozen=True, slots=True)
class Hours:
    """The trading hours of sessions, one entry a session, in order; moments are minutes since 1970-01-01 UTC.

    Attributes:
        days: The sessions, as days since 1970-01-01.
        opens: When the session opens.
        break_starts: When its break begins; the close where it has no break.
        break_ends: When its break ends; the close where it has no break.
        closes: When the session closes.
    """

    days: NDArray[np.int32]
    opens: NDArray[np.int32]
    break_starts: NDArray[np.int32]
    break_ends: NDArray[np.int32]
    closes: NDArray[np.int32]

    def take(self, places: NDArray[np.intp] | slice) -> Hours:
        """The hours of some of the sessions."""
        return Hours(*(getattr(self, each.name)[places] for each in fields(self)))


def hours(code: str, start: dt.date, end: dt.date) -> Hours:
    """Returns the trading hours of the sessions of exchange `code` from `start` to `end` (inclusive).

    Raises:
        UsageError: if there is no such calendar, it does not cover the range, or the range has no session.
        MissingExtraError: if the package exchange-calendars is missing.
    """
    wanted = sessions(code, start, end)
    calendar = _calendar(code, start, end)
    place = np.searchsorted(_days(calendar), wanted)
    if place[-1] >= len(calendar.sessions) or _days(calendar)[place[0]] != wanted[0]:
        calendar = _exact_calendar(code, start, end)
        place = np.searchsorted(_days(calendar), wanted)
    schedule = calendar.schedule.iloc[place]
    close = schedule["close"]
    moments = (schedule["open"], *(schedule[name].fillna(close) for name in ("break_start", "break_end")), close)
    minutes = (each.dt.tz_localize(None).to_numpy().astype("datetime64[m]").astype(np.int32) for each in moments)
    return Hours(wanted, *minutes)


def hours_with_past(code: str, start: dt.date, end: dt.date) -> Hours:
    """Returns the trading hours up to `end`, from about a year before `start` or from where the calendar begins.

    So the two sessions before `start` are among them, whatever closures there were (the longest, of 1914, took four
    and a half months).

    Raises:
        UsageError: if there is no such calendar, or it does not cover the dates from `start` to `end`.
        MissingExtraError: if the package exchange-calendars is missing.
    """
    begins, _ = bounds(code, start, end)
    return hours(code, max(start - _PAST, begins or dt.date.min), end)


def hours_on(code: str, days: NDArray[np.int32]) -> Hours:
    """Returns the trading hours of some sessions of exchange `code`.

    Args:
        code: The exchange, for example XNYS.
        days: Sessions, as days since 1970-01-01, in any order; at least one.

    Raises:
        UsageError: if one of them is no session.
    """
    every = hours(code, to_date(int(days.min())), to_date(int(days.max())))
    place = np.searchsorted(every.days, days).clip(max=len(every.days) - 1)
    if bool((every.days[place] != days).any()):
        other = to_date(int(days[every.days[place] != days][0]))
        raise UsageError(f"{other} is no session of the calendar {code}")
    return every.take(place)


def bounds(
    code: str, start: dt.date = _KNOWN[0], end: dt.date = _KNOWN[1]
) -> tuple[dt.date | None, dt.date | None]:  # fmt: skip
    """Returns the first and the last date that the calendar of exchange `code` can cover; None where it has no bound.

    Raises:
        UsageError: if there is no such calendar, or it does not cover the dates from `start` to `end`.
    """
    calendar = _calendar(code, start, end)
    first, last = calendar.bound_min(), calendar.bound_max()
    return first.date() if first is not None else None, last.date() if last is not None else None


def within_bounds(code: str, start: dt.date, end: dt.date) -> tuple[dt.date, dt.date]:
    """Returns the part of a range of dates that the calendar of exchange `code` can cover.

    Some calendars are known to the end of this year only, where a range of dates to look into reaches beyond it.

    Raises:
        UsageError: if there is no such calendar.
    """
    with suppress(UsageError):  # the rule; the calendar that this makes serves the next calls
        _calendar(code, start, end)
        return start, end
    least, most = bounds(code)
    return max(start, least or start), min(end, most or end)


def sessions_after(code: str, days: NDArray[np.int32], ahead: int = 1) -> NDArray[np.int32]:
    """Returns the session that is `ahead` sessions after each date.

    It creates the calendar once for all dates, since that takes 0.1 seconds.

    Args:
        code: The exchange, for example XNYS.
        days: Dates, as days since 1970-01-01.
        ahead: Number of sessions.
    """
    if not len(days):
        return np.zeros(0, np.int32)
    first, last = to_date(int(days.min())), to_date(int(days.max()))
    reach = dt.timedelta(days=LONGEST_CLOSURE_DAYS + _DAYS_A_SESSION * (ahead - 1))
    known = sessions(code, *within_bounds(code, first, last + reach))
    place = np.searchsorted(known, days, side="right") + ahead - 1
    if place.max() >= len(known):
        raise UsageError(
            f"the calendar {code} has no {ahead} sessions after {last}",
            hint="an earlier market.end, or a newer exchange-calendars",
        )
    found: NDArray[np.int32] = known[place]
    return found


def last_closed_session(code: str, moment: dt.datetime) -> dt.date:
    """Returns the last session of exchange `code` that closed at or before `moment` (with a time zone)."""
    today = moment.astimezone(dt.UTC).date()
    known = hours(code, today - dt.timedelta(days=LONGEST_CLOSURE_DAYS), today + dt.timedelta(days=1))
    closed = np.searchsorted(known.closes, int(moment.timestamp() // 60), side="right")
    return to_date(int(known.days[closed - 1]))


def opening(code: str, session: dt.date) -> float:
    """Returns when a session of exchange `code` opens, in seconds since the epoch."""
    return float(hours_on(code, np.array([to_days(session)], np.int32)).opens[0]) * 60.0


def time_zone(code: str) -> str:
    """Returns the time zone of exchange `code`, for example Asia/Tokyo."""
    today = dt.datetime.now(dt.UTC).date()
    return str(_calendar(code, today - dt.timedelta(days=LONGEST_CLOSURE_DAYS), today).tz)


def to_days(date: dt.date) -> int:
    """Converts a date to days since 1970-01-01."""
    return (date - EPOCH).days


def to_date(days: int) -> dt.date:
    """Converts days since 1970-01-01 to a date."""
    return EPOCH + dt.timedelta(days=days)


def _calendar(code: str, start: dt.date, end: dt.date) -> Any:
    """A calendar that has at least the sessions from `start` to `end`.

    It covers whole years, so that one serves many calls: creating one takes 0.1 seconds.
    """
    try:
        return _calendar_of_years(code, start.year, end.year)
    except UsageError:  # such years may reach beyond what the package knows
        return _exact_calendar(code, start, end)


@lru_cache(maxsize=16)
def _calendar_of_years(code: str, first: int, last: int) -> Any:
    return _exact_calendar(code, dt.date(first, 1, 1), dt.date(last, 12, 31))


def _exact_calendar(code: str, start: dt.date, end: dt.date) -> Any:
    try:
        import exchange_calendars
    except ImportError:
        raise MissingExtraError(
            "exchange calendars need the package exchange-calendars", hint="pip install 'cloudlstm[market]'"
        ) from None
    names = exchange_calendars.get_calendar_names()
    if code not in names:
        meant = next((known for known, others in OTHER_CODES.items() if code.upper() in others), "")
        near = ", ".join(difflib.get_close_matches(code.upper(), names, n=3, cutoff=0.4))
        hint = f"market.calendar={meant}" if meant else f"market.calendar as one of {near or _POPULAR}"
        raise UsageError(f"there is no exchange calendar {code!r}", hint=hint)
    try:
        # Pass both bounds: by default the package covers 20 years back and one year ahead.
        return exchange_calendars.get_calendar(code, start=start.isoformat(), end=end.isoformat())
    except (exchange_calendars.errors.CalendarError, ValueError) as error:
        raise UsageError(f"the calendar {code} does not cover {start} to {end}: {str(error).rstrip('.')}") from None
