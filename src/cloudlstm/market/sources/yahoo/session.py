"""The HTTP session that yfinance is given.

It keeps a pace over all requests, those for cookies included; it sends them to another server where one stands in for
Yahoo; it gets its cookie once, where yfinance without its database would get it before every request. And it turns the
replies of the chart service that decide a ticker's fate into errors: yfinance would answer a 429 with an immediate
second request, and can tell a server's failure from a delisted ticker only by its text.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import json
import time
from typing import Any
from urllib.parse import urlsplit

from curl_cffi import requests

_CHART = "/v8/finance/chart/"
_COOKIE_HOST = "fc.yahoo.com"
_REFUSALS = (408, 425, 429)
NO_BARS = ("no data found", "data doesn't exist")
"""How Yahoo begins when there is nothing: "No data found, symbol may be delisted" with status 404, and with status 400,
of a symbol it knows, "Data doesn't exist for startDate = …"."""


class RetryableError(Exception):
    """Yahoo did not answer the question; asking later may help.

    Attributes:
        retry_after_s: Seconds that it asked to wait, if it did.
    """

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NoBarsError(Exception):
    """Yahoo answered that there is nothing: it does not know the symbol, or has no bars of it in the range."""


class Pace:
    """At most so many requests a minute, with a few at once at the start.

    Args:
        per_minute: Requests a minute.
        burst: Requests that need not wait for one another.
    """

    def __init__(self, per_minute: float, burst: int) -> None:
        self._every_s = 60.0 / per_minute
        self._slack_s = self._every_s * (burst - 1)
        self._due = 0.0

    def wait(self) -> None:
        """Returns when the next request may go out."""
        now = time.monotonic()
        self._due = max(self._due, now - self._slack_s)
        if self._due > now:
            time.sleep(self._due - now)
        self._due += self._every_s


class YahooSession(requests.Session[requests.Response]):
    """A session that looks like Chrome, as yfinance's own does.

    Args:
        base_url: Of the server that stands in for every Yahoo host; empty for Yahoo itself.
        pace: Kept over all requests.
        timeout_s: Of each request, whatever yfinance asks for.

    Attributes:
        chart: The last reply of the chart service; None before the first.
    """

    def __init__(self, base_url: str, pace: Pace, timeout_s: float) -> None:
        super().__init__(impersonate="chrome")
        self._base_url, self._pace, self._timeout_s = base_url.rstrip("/"), pace, timeout_s
        self.chart: requests.Response | None = None
        self._cookie_reply: requests.Response | None = None

    def request(self, method: Any, url: str, *args: Any, **kwargs: Any) -> requests.Response:
        """As of any session.

        Raises:
            RetryableError, NoBarsError: for the chart service only.
        """
        is_for_cookie = urlsplit(url).hostname == _COOKIE_HOST
        if is_for_cookie and self._cookie_reply is not None and len(self.cookies):
            return self._cookie_reply
        self._pace.wait()
        kwargs["timeout"] = self._timeout_s
        response = super().request(method, self._rewrite_url(url), *args, **kwargs)
        if is_for_cookie:
            self._cookie_reply = response
        if _CHART in url:
            self.chart = response
            _raise_for_reply(response)
        return response

    def _rewrite_url(self, url: str) -> str:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if not self._base_url or not (host == "yahoo.com" or host.endswith(".yahoo.com")):
            return url
        return f"{self._base_url}{parts.path or '/'}" + (f"?{parts.query}" if parts.query else "")


def _raise_for_reply(response: requests.Response) -> None:
    """Raises where the status settles the matter; 401 and 403 are left to yfinance, which then renews its cookies."""
    status = response.status_code
    if status in _REFUSALS or status >= 500:
        raise RetryableError(f"HTTP {status}", retry_after_s(response.headers.get("retry-after")))
    if status in (400, 404):
        description = _error_description(response)
        if description and (status == 404 or description.lower().startswith(NO_BARS)):
            raise NoBarsError(description)
        raise RetryableError(
            f"HTTP {status}: {description}" if description else f"HTTP {status} without a word from Yahoo"
        )


def _error_description(response: requests.Response) -> str:
    """Yahoo's own words in a reply of the chart service that brings no data; "" where it is not Yahoo that speaks."""
    try:
        return str(json.loads(response.content)["chart"]["error"]["description"])
    except (ValueError, KeyError, TypeError):
        return ""


def retry_after_s(header: str | None) -> float | None:
    """The seconds that a Retry-After header asks for, which is a number or a date; None where it says neither."""
    if not header:
        return None
    try:
        return max(float(header), 0.0)
    except ValueError:
        pass
    try:
        moment = email.utils.parsedate_to_datetime(header)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return max((moment - dt.datetime.now(dt.UTC)).total_seconds(), 0.0)
