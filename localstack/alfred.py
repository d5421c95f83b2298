"""A stand-in for ALFRED: the vintages of series over HTTP, as its API reference describes them.

    python localstack/alfred.py --revisions FILE --key KEY [--port 8098]
    CLOUDLSTM_ALFRED_URL=http://127.0.0.1:8098 FRED_API_KEY=KEY cloudlstm submit

FILE is CSV with the columns series, period, vintage and value: a value of a period that was published on the date
`vintage`; "." is a value that was withdrawn. The server holds two endpoints, fred/series/observations (output_type 1)
and fred/series/vintagedates, and refuses what the service refuses: no key, a key that is not registered, an unknown
series, dates in the future, more than 2000 vintage dates in one request, limits out of range. Its answers are written
from the API reference (https://fred.stlouisfed.org/docs/api/fred/); none was recorded.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import datetime as dt
import json
import re
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

if not __package__:  # run as a script: imports start at the repository's root
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from localstack.http_server import Handler, StandIn

FIRST_DATE, LAST_DATE = "1776-07-04", "9999-12-31"
MOST_DATES = 2000
"""Vintage dates that one request of JSON may cover."""

_LIMITS = {"observations": 100_000, "vintagedates": 10_000}
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_ONE_DAY = dt.timedelta(days=1)


class RefusedError(Exception):
    """A request that the service refuses.

    Args:
        status: HTTP status.
        message: The service's message.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


@dataclass
class Series:
    """A series with its vintages.

    Attributes:
        values: Vintage date -> period -> value as text; only periods whose value is new or differs.
    """

    values: dict[str, dict[str, str]] = field(default_factory=dict)

    def publish(self, vintage: str, values: Mapping[str, str]) -> None:
        """Adds the values that are published on a date."""
        self.values.setdefault(vintage, {}).update(values)

    def spans(self, start: str, end: str) -> list[tuple[str, str, str, str]]:
        """Returns (period, realtime_start, realtime_end, value) of all values known from `start` to `end`.

        The dates are cut to the request's, as the service does.
        """
        dates = sorted(self.values)
        by_period: dict[str, list[tuple[str, str]]] = {}
        for date in dates:
            for period, value in self.values[date].items():
                by_period.setdefault(period, []).append((date, value))
        found = []
        for period, history in sorted(by_period.items()):
            for place, (date, value) in enumerate(history):
                after = history[place + 1][0] if place + 1 < len(history) else None
                last = _day_before(after) if after else LAST_DATE
                if date <= end and last >= start:
                    found.append((period, max(date, start), min(last, end), value))
        return found


class Alfred(StandIn):
    """The server; it runs in a thread during the `with` block.

    Args:
        series: Series by id.
        keys: The registered keys.
        port: The port on 127.0.0.1; 0 for any free port.
        today: The last date that counts as past.

    Attributes:
        url: Its URL.
        requests: Path and parameters of every request, without the key.
        failures: Statuses that the next requests get, in order; 0 is an answer that ends too early.
        most: Entries in one answer; less than the service's own limit, to test paging.
    """

    def __init__(self, series: Mapping[str, Series], keys: Iterable[str], port: int = 0, today: str = "2026-01-01"):
        super().__init__(port)
        self.series, self.keys, self.today = dict(series), set(keys), today
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.failures: list[int] = []
        self.most: int | None = None

    def handler(self) -> Callable[..., BaseHTTPRequestHandler]:
        return _handler(self)

    def answer(self, path: str, query: Mapping[str, str]) -> dict[str, Any]:
        """Returns the document of an answer.

        Raises:
            RefusedError: the service refuses such a request.
        """
        name = {"/fred/series/observations": "observations", "/fred/series/vintagedates": "vintagedates"}.get(path)
        if name is None:
            raise RefusedError(404, "Not Found.")
        self._check_key(query.get("api_key", ""))
        if query.get("file_type", "xml") != "json":
            raise RefusedError(400, "Bad Request.  This stand-in answers file_type=json only.")
        found = self.series.get(query.get("series_id", ""))
        if found is None:
            raise RefusedError(400, "Bad Request.  The series does not exist.")
        start, end = self._real_time(query, whole=name == "vintagedates")
        most = _LIMITS[name]
        limit, offset = _number(query, "limit", most), _number(query, "offset", 0)
        if not 1 <= limit <= most:
            raise RefusedError(400, f"Bad Request.  Variable limit is not between 1 and {most}.")
        dates = [date for date in sorted(found.values) if start <= date <= end]
        head = {"realtime_start": start, "realtime_end": end, "sort_order": "asc", "offset": offset, "limit": limit}
        shown = slice(offset, offset + min(limit, self.most or limit))
        if name == "vintagedates":
            return {**head, "order_by": "vintage_date", "count": len(dates), "vintage_dates": dates[shown]}
        return {**head, "order_by": "observation_date", **self._observations(found, query, dates, (start, end), shown)}

    def _observations(
        self, series: Series, query: Mapping[str, str], dates: list[str], span: tuple[str, str], shown: slice
    ) -> dict[str, Any]:
        if query.get("output_type", "1") != "1":
            raise RefusedError(400, "Bad Request.  This stand-in answers output_type=1 only.")
        if len(dates) > MOST_DATES:
            raise RefusedError(
                400,
                f"Bad Request.  There are {len(dates)} vintage dates in the specified real-time period: "
                f"{span[0]} to {span[1]}.  This exceeds the maximum number of vintage dates allowed for this file "
                f"type ({MOST_DATES}).",
            )
        if series.values and span[1] < min(series.values):
            raise RefusedError(400, "Bad Request.  The series does not exist in ALFRED but may exist in FRED.")
        first, last = query.get("observation_start", FIRST_DATE), query.get("observation_end", LAST_DATE)
        rows = [row for row in series.spans(*span) if first <= row[0] <= last]
        names = ("date", "realtime_start", "realtime_end", "value")
        return {
            "observation_start": first, "observation_end": last, "units": "lin", "output_type": 1,
            "file_type": "json", "count": len(rows),
            "observations": [dict(zip(names, row, strict=True)) for row in rows[shown]],
        }  # fmt: skip

    def _check_key(self, key: str) -> None:
        if not key:
            raise RefusedError(400, "Bad Request.  Variable api_key is not set.")
        if not re.fullmatch(r"[a-z0-9]{32}", key):
            raise RefusedError(
                400,
                "Bad Request.  The value for variable api_key is not a 32 character alpha-numeric lower-case string.",
            )
        if key not in self.keys:
            raise RefusedError(400, "Bad Request.  The value for variable api_key is not registered.")

    def _real_time(self, query: Mapping[str, str], *, whole: bool) -> tuple[str, str]:
        usual = (FIRST_DATE, LAST_DATE) if whole else (self.today, self.today)
        start, end = query.get("realtime_start", usual[0]), query.get("realtime_end", usual[1])
        for name, value in (("realtime_start", start), ("realtime_end", end)):
            if not _DATE.fullmatch(value):
                raise RefusedError(400, f"Bad Request.  Variable {name} is not a YYYY-MM-DD formatted date.")
            if value > self.today and value != LAST_DATE:
                raise RefusedError(
                    400,
                    f"Bad Request.  Variable {name} can not be after today's date ({self.today}) unless it's equal to "
                    f"the real-time max date {LAST_DATE}.",
                )
        if start > end or start < FIRST_DATE:
            raise RefusedError(400, "Bad Request.  The real-time period is not valid.")
        return start, end


def read_revisions(path: Path) -> dict[str, Series]:
    """Reads series by id from a CSV file."""
    found: dict[str, Series] = {}
    with path.open(newline="") as lines:
        for row in csv.DictReader(lines):
            found.setdefault(row["series"], Series()).publish(row["vintage"], {row["period"]: row["value"]})
    return found


def _day_before(date: str) -> str:
    return (dt.date.fromisoformat(date) - _ONE_DAY).isoformat()


def _number(query: Mapping[str, str], name: str, usual: int) -> int:
    text = query.get(name, str(usual))
    if not text.isdigit():
        raise RefusedError(400, f"Bad Request.  Variable {name} is not a whole number.")
    return int(text)


def _handler(alfred: Alfred) -> type[Handler]:
    class AlfredHandler(Handler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
            with alfred.guard:
                seen = {name: value for name, value in query.items() if name != "api_key"}
                alfred.requests.append((parts.path, seen))
                failure = alfred.failures.pop(0) if alfred.failures else None
            try:
                if failure:
                    words = {429: "Too Many Requests.  Exceeded Rate Limit"}.get(failure, "Internal Server Error")
                    raise RefusedError(failure, words)
                body = json.dumps(alfred.answer(parts.path, query)).encode()
                self.send(200, body if failure is None else body[: len(body) // 2], _JSON)
            except RefusedError as error:
                document = {"error_code": error.status, "error_message": error.message}
                self.send(error.status, json.dumps(document).encode(), _JSON)

    return AlfredHandler


_JSON = {"Content-Type": "application/json"}


def main() -> None:
    """Runs the server until it is interrupted."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--revisions", type=Path, required=True, help="CSV file: series, period, vintage, value")
    parser.add_argument("--key", required=True, help="a key of 32 lower-case letters and digits")
    parser.add_argument("--port", type=int, default=8098)
    arguments = parser.parse_args()
    today = dt.datetime.now(dt.UTC).date().isoformat()
    with Alfred(read_revisions(arguments.revisions), [arguments.key], arguments.port, today) as alfred:
        print(f"{len(alfred.series)} series at {alfred.url}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
