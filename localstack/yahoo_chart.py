"""Yahoo's chart protocol v8: listings with their bars, and the JSON answers made of them."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import time
import zoneinfo
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_LIMITS = {"1m": (8, 30), "5m": (60, 60), "15m": (60, 60), "1h": (730, 730)}
"""Interval -> most days of a request, and days back from now."""
_PRICES = ("open", "high", "low", "close")


@dataclass(frozen=True, slots=True)
class Bar:
    """One row of an answer; None stands for null.

    Attributes:
        time: Seconds since the epoch: the session's open; in an open session, its last trade.
        values: open, high, low, close.
        adj_close: The close, also adjusted for dividends.
        volume: Shares.
    """

    time: int
    values: tuple[float | None, ...]
    adj_close: float | None
    volume: int | None


@dataclass(slots=True)
class Listing:
    """A symbol that Yahoo knows.

    Attributes:
        bars: Sorted by time.
        live: The bar of the open session; Yahoo appends it to every range.
        dividends: Amount by time.
        splits: Numerator and denominator by time.
        time_zone: Time zone of the exchange.
        recorded: A recorded answer; sent unchanged.
        intervals: Bars within a day by interval ("1m"), sorted by time; the daily ones are `bars`.
    """

    bars: list[Bar] = field(default_factory=list)
    live: Bar | None = None
    dividends: dict[int, float] = field(default_factory=dict)
    splits: dict[int, tuple[float, float]] = field(default_factory=dict)
    time_zone: str = "America/New_York"
    recorded: Any = None
    intervals: dict[str, list[Bar]] = field(default_factory=dict)


def opening(date: dt.date, time_zone: str = "America/New_York") -> int:
    """Returns 9:30 of a date in seconds since the epoch."""
    return int(dt.datetime.combine(date, dt.time(9, 30), zoneinfo.ZoneInfo(time_zone)).timestamp())


def read_bars(path: Path) -> dict[str, Listing]:
    """Reads listings by symbol from a CSV file."""
    with gzip.open(path, "rt", newline="") if path.suffix == ".gz" else path.open(newline="") as lines:
        return listings(csv.DictReader(lines))


def listings(rows: Iterable[Mapping[str, Any]]) -> dict[str, Listing]:
    """Returns listings by symbol, from rows with the columns of bars; the rows of a ticker are sorted by date."""
    found: dict[str, Listing] = {}
    for row in rows:
        date = row["date"] if isinstance(row["date"], dt.date) else dt.date.fromisoformat(row["date"])
        numbers = tuple(None if row[name] in (None, "") else float(row[name]) for name in _PRICES)
        adjusted = numbers[3] if row.get("adj_close") in (None, "") else float(row["adj_close"])
        volume = None if row["volume"] in (None, "") else int(float(row["volume"]))
        found.setdefault(row["ticker"], Listing()).bars.append(Bar(opening(date), numbers, adjusted, volume))
    return found


def chart_reply(listing: Listing | None, symbol: str, query: Mapping[str, str]) -> tuple[int, Any]:
    """Returns status and document of the answer to a request for a chart.

    Args:
        listing: What is known of the symbol; None if it is unknown.
        symbol: The symbol.
        query: The parameters of the request: interval, and period1 and period2, in seconds since the epoch.
    """
    if listing is None:
        return 404, _error("Not Found", "No data found, symbol may be delisted")
    if listing.recorded is not None:
        return 200, listing.recorded
    first, last = int(query.get("period1", 0)), int(query.get("period2", time.time()))
    interval = query.get("interval", "1d")
    if refusal := _refusal(interval, first, last):
        return 422, _error("Unprocessable Entity", refusal)
    known = listing.bars if interval == "1d" else listing.intervals.get(interval, [])
    bars = [bar for bar in known if first <= bar.time < last]
    if listing.live and interval == "1d":
        bars.append(listing.live)
    if not bars:
        return 400, _error("Bad Request", f"Data doesn't exist for startDate = {first}, endDate = {last}")
    return 200, {"chart": {"result": [_result(symbol, listing, bars, (first, last), interval)], "error": None}}


def _refusal(interval: str, first: int, last: int) -> str:
    """Why Yahoo gives no bars within a day for a range: it is too long, or too long ago; "" if it does."""
    if interval not in _LIMITS:
        return ""
    most, back = (days * 86_400 for days in _LIMITS[interval])
    if last - first > most:
        return f"{interval} data not available. Only {most // 86_400} days worth of {interval} data are allowed"
    if first < time.time() - back:
        return f"{interval} data not available. The requested range must be within the last {back // 86_400} days."
    return ""


def _trading_periods(bars: list[Bar], interval: str, time_zone: str) -> Any:
    """The regular hours of each date, which replies with bars within a day have."""
    if interval == "1d":
        return {}
    zone = zoneinfo.ZoneInfo(time_zone)
    dates = sorted({dt.datetime.fromtimestamp(bar.time, zone).date() for bar in bars})
    hours = ((opening(date, time_zone), 23_400) for date in dates)
    periods = (
        [{"timezone": "EST", "start": start, "end": start + long, "gmtoffset": -18_000}] for start, long in hours
    )
    return {"tradingPeriods": list(periods)}


def _adjusted(bars: list[Bar], interval: str) -> Any:
    """The adjusted closes; Yahoo has them for daily bars only."""
    return {"adjclose": [{"adjclose": [bar.adj_close for bar in bars]}]} if interval == "1d" else {}


def _error(code: str, description: str) -> Any:
    return {"chart": {"result": None, "error": {"code": code, "description": description}}}


def _result(symbol: str, listing: Listing, bars: list[Bar], span: tuple[int, int], interval: str) -> Any:
    events: dict[str, Any] = {}
    dividends = {when: amount for when, amount in listing.dividends.items() if span[0] <= when < span[1]}
    splits = {when: ratio for when, ratio in listing.splits.items() if span[0] <= when < span[1]}
    if dividends:
        events["dividends"] = {str(when): {"amount": amount, "date": when} for when, amount in dividends.items()}
    if splits:
        ratios = ({"date": when, "numerator": up, "denominator": down} for when, (up, down) in splits.items())
        events["splits"] = {str(ratio["date"]): ratio for ratio in ratios}
    quote: dict[str, Any] = {name: [bar.values[at] for bar in bars] for at, name in enumerate(_PRICES)}
    quote["volume"] = [bar.volume for bar in bars]
    meta = {
        "currency": "USD",
        "symbol": symbol,
        "exchangeName": "NMS",
        "instrumentType": "EQUITY",
        "firstTradeDate": listing.bars[0].time if listing.bars else None,
        "exchangeTimezoneName": listing.time_zone,
        "dataGranularity": interval,
        **_trading_periods(bars, interval, listing.time_zone),
    }
    return {
        "meta": meta,
        "timestamp": [bar.time for bar in bars],
        **({"events": events} if events else {}),
        "indicators": {"quote": [quote], **_adjusted(bars, interval)},
    }
