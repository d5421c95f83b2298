"""ALFRED by HTTP: the vintages of a series, in pages and within the limits of the service.

- `fred/series/observations` with `output_type=1` gives one row for each time span in which a period had a value. Its
  `realtime_start` is the date of the vintage, but not before the `realtime_start` of the request.
- One request may cover at most 2000 vintage dates, which a daily series exceeds. So `fred/series/vintagedates` is asked
  first, and the vintages in spans. A row at the beginning of a span repeats an older value; it is dropped.
- The key is a parameter of the URL, so no URL is in an error or a log, and the key is cut out of the service's answers.
  It is sent over HTTPS only, or to this machine.
"""

from __future__ import annotations

import datetime as dt
import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cloudlstm.errors import FetchError, UsageError
from cloudlstm.storage.retry import retry

ALFRED = "https://api.stlouisfed.org"

EARLIEST = "1776-07-04"
"""The first date that the service accepts."""

MOST_DATES = 2000
"""Vintage dates that one request may cover."""

_OBSERVATIONS, _DATES = "fred/series/observations", "fred/series/vintagedates"
_LIMIT = {_OBSERVATIONS: 100_000, _DATES: 10_000}
_TIMEOUT_S = 60.0
_TRIES = 6
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0
_MOST_BYTES = 256 * 2**20
_LOCAL = ("127.0.0.1", "localhost", "::1")
_MOST_MESSAGE = 200


class _RetryableError(Exception):
    """A later request may succeed."""


@dataclass(frozen=True, slots=True)
class Revision:
    """A value of a period since a vintage date.

    Attributes:
        period: The date that it is about.
        vintage: The date on which it was published.
        value: The number as text; "." is none.
    """

    period: dt.date
    vintage: dt.date
    value: str


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirect, which could send the key elsewhere; the reply counts as a refusal."""

    def redirect_request(self, *_: object) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirects)


class Client:
    """Asks ALFRED.

    Args:
        key: The user's key.
        base_url: URL of a server that replaces ALFRED; empty for ALFRED itself.
        first_pause_s: Pause before the second request after a refusal; it doubles.

    Raises:
        UsageError: the key would be sent over a network without encryption.
    """

    def __init__(self, key: str, base_url: str = "", first_pause_s: float = _FIRST_PAUSE_S) -> None:
        self._key, self._base_url, self._pause_s = key, (base_url or ALFRED).rstrip("/"), first_pause_s
        parts = urllib.parse.urlsplit(self._base_url)
        if parts.scheme != "https" and parts.hostname not in _LOCAL:
            raise UsageError("the key of ALFRED is sent over HTTPS only", hint="an https:// URL")

    def __repr__(self) -> str:
        return f"Client({self._base_url!r})"

    def revisions(self, series: str, since: dt.date, until: dt.date) -> list[Revision]:
        """Returns all values of a series, each with the date on which it was published, sorted by period and date.

        Args:
            series: Its id.
            since: The first period.
            until: The last vintage date; not in the future.

        Raises:
            FetchError: the service did not answer, or refused the request; the message has its reason.
        """
        dates = self._dates(series, until)
        found: dict[tuple[dt.date, dt.date], Revision] = {}
        for start in range(0, len(dates), MOST_DATES):
            span = dates[start : start + MOST_DATES]
            for row in self._pages(
                _OBSERVATIONS,
                "observations",
                series,
                realtime_start=span[0].isoformat(),
                realtime_end=span[-1].isoformat(),
                observation_start=since.isoformat(),
                output_type="1",
            ):
                each = _revision(row, series)
                found.setdefault((each.period, each.vintage), each)
        return _without_repeated([found[key] for key in sorted(found)])

    def _dates(self, series: str, until: dt.date) -> list[dt.date]:
        """Returns the vintage dates of a series, sorted."""
        rows = self._pages(
            _DATES, "vintage_dates", series, realtime_start=EARLIEST, realtime_end=until.isoformat(), sort_order="asc"
        )
        return sorted({_date(row, series) for row in rows})

    def _pages(self, path: str, name: str, series: str, **parameters: str) -> Iterator[Any]:
        """Yields the entries of all pages."""
        offset = 0
        while True:
            answer = self._get(path, series, limit=str(_LIMIT[path]), offset=str(offset), **parameters)
            entries = answer.get(name)
            if not isinstance(entries, list):
                raise FetchError(f"ALFRED: the answer about {series} has no {name}")
            yield from entries
            offset += len(entries)
            if not entries or offset >= int(answer.get("count", 0)):
                return

    def _get(self, path: str, series: str, **parameters: str) -> dict[str, Any]:
        query = urllib.parse.urlencode({"series_id": series, "file_type": "json", **parameters, "api_key": self._key})
        request = urllib.request.Request(f"{self._base_url}/{path}?{query}", headers={"Accept": "application/json"})

        def ask() -> dict[str, Any]:
            return self._answer(request, series)

        try:
            return retry(
                ask,
                _RetryableError,
                tries=_TRIES,
                first_pause_s=self._pause_s,
                longest_pause_s=_LONGEST_PAUSE_S,
            )
        except _RetryableError as error:
            raise FetchError(f"ALFRED did not deliver {series}: {error}", hint="submit again later") from None

    def _answer(self, request: urllib.request.Request, series: str) -> dict[str, Any]:
        try:
            with _OPENER.open(request, timeout=_TIMEOUT_S) as reply:
                body = reply.read(_MOST_BYTES + 1)
        except urllib.error.HTTPError as error:
            message = self._message(error)
            if error.code == 429 or error.code >= 500:
                raise _RetryableError(f"HTTP {error.code}{message}") from None
            hint = "export FRED_API_KEY=… (a key of https://fredaccount.stlouisfed.org)" if "api_key" in message else ""
            raise FetchError(f"ALFRED refused {series}: HTTP {error.code}{message}", hint=hint) from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise _RetryableError(self._clean(f"{type(error).__name__}: {reason}")) from None
        if len(body) > _MOST_BYTES:
            raise FetchError(f"ALFRED: the answer about {series} is larger than {_MOST_BYTES >> 20} MiB")
        try:
            found = json.loads(body)
        except ValueError:
            raise _RetryableError("the answer is no complete JSON") from None
        if not isinstance(found, dict):
            raise FetchError(f"ALFRED: the answer about {series} is no JSON object")
        return found

    def _message(self, error: urllib.error.HTTPError) -> str:
        """Returns ": " and the service's message; "" if there is none."""
        try:
            text = str(json.loads(error.read(100_000))["error_message"])
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
            return ""
        return f": {self._clean(' '.join(text.split()))[:_MOST_MESSAGE]}"

    def _clean(self, text: str) -> str:
        """Returns a text without the key."""
        return text.replace(self._key, "***") if self._key else text


def _revision(row: Any, series: str) -> Revision:
    try:
        return Revision(_date(row["date"], series), _date(row["realtime_start"], series), str(row["value"]).strip())
    except (KeyError, TypeError):
        raise FetchError(f"ALFRED: a row of {series} has no date, realtime_start or value") from None


def _date(text: Any, series: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except (TypeError, ValueError):
        raise FetchError(f"ALFRED: {text!r} in the answer about {series} is no date") from None


def _without_repeated(revisions: list[Revision]) -> list[Revision]:
    """Drops rows, sorted by period and vintage, that repeat the value of the vintage before."""
    found: list[Revision] = []
    for each in revisions:
        before = found[-1] if found and found[-1].period == each.period else None
        if before is None or before.value != each.value:
            found.append(each)
    return found
