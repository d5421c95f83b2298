"""The HTTP session for yfinance.

It limits the rate of all requests, also of those for cookies. It can send them to another server instead of Yahoo. It
requests the cookie once; yfinance without its database would request it every time. And it raises an error for replies
of the chart service that decide the result of a ticker: yfinance would repeat a request at once after a 429, and cannot
distinguish a server error from a delisted ticker except by the text.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import json
import re
import time
from typing import Any
from urllib.parse import urlsplit

from curl_cffi import CurlECode, requests
from curl_cffi.requests.exceptions import RequestException

from cloudlstm.errors import FetchError

YAHOO = "https://query2.finance.yahoo.com"
"""The host of the chart service."""
_CHART = "/v8/finance/chart/"
_COOKIE_HOST = "fc.yahoo.com"
_PROBES = 2
_PROBE_S = 4.0
_UNREACHABLE = (
    CurlECode.COULDNT_RESOLVE_PROXY, CurlECode.COULDNT_RESOLVE_HOST, CurlECode.COULDNT_CONNECT, CurlECode.PROXY,
    CurlECode.PEER_FAILED_VERIFICATION,
)  # fmt: skip
_REFUSALS = (408, 425, 429)
NO_BARS = ("no data found", "data doesn't exist")
"""Start of Yahoo's message if there are no bars: "No data found, symbol may be delisted" with status 404, or "Data
doesn't exist for startDate = …" with status 400 for a known symbol."""


class RetryableError(Exception):
    """Yahoo did not answer the request; a later attempt may succeed.

    Attributes:
        retry_after_s: Pause that Yahoo requests, if it does.
    """

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NoBarsError(Exception):
    """Yahoo answered that it does not know the symbol, or has no bars in the range."""


def probe(base_url: str) -> int:
    """Sends one request, with the proxies that all requests use, and returns the HTTP status of the answer.

    Args:
        base_url: URL of the server that replaces Yahoo; empty for Yahoo itself.

    Raises:
        FetchError: no server answered within about ten seconds.
    """
    host = base_url.rstrip("/") or YAHOO
    cause = ""
    with requests.Session[requests.Response](impersonate="chrome") as session:
        for _ in range(_PROBES):
            try:
                return int(session.get(f"{host}/", timeout=_PROBE_S, allow_redirects=False).status_code)
            except RequestException as error:
                cause = curl_cause(str(error))
    raise FetchError(
        f"Yahoo Finance cannot be reached: {cause}",
        hint="market.source=files or --config=examples/demo.toml need no network; "
        "behind a proxy, export HTTPS_PROXY=http://HOST:PORT",
    )


def is_unreachable(error: Exception) -> bool:
    """True if the request reached no server: no network, no such host, no connection, a wrong proxy or certificate."""
    return isinstance(error, RequestException) and error.code in _UNREACHABLE


def curl_cause(text: str) -> str:
    """The cause in the text of an error of curl; other texts do not change."""
    found = re.search(r"curl: \(\d+\) (.*?)(?:\. See https?://|$)", text)
    return found[1] if found else text


class Pace:
    """Limits the rate of requests; allows a few at once at the start.

    Args:
        per_minute: Requests per minute.
        burst: Requests that may be sent at once.
    """

    def __init__(self, per_minute: float, burst: int) -> None:
        self._every_s = 60.0 / per_minute
        self._slack_s = self._every_s * (burst - 1)
        self._due = 0.0

    def wait(self) -> None:
        """Waits until the next request may be sent."""
        now = time.monotonic()
        self._due = max(self._due, now - self._slack_s)
        if self._due > now:
            time.sleep(self._due - now)
        self._due += self._every_s


class YahooSession(requests.Session[requests.Response]):
    """A session that imitates Chrome, like the session of yfinance itself.

    Args:
        base_url: URL of the server that replaces all Yahoo hosts; empty for Yahoo itself.
        pace: Rate limit of all requests.
        timeout_s: Timeout of each request; overrides the one of yfinance.

    Attributes:
        chart: The last reply of the chart service; None before the first.
    """

    def __init__(self, base_url: str, pace: Pace, timeout_s: float) -> None:
        super().__init__(impersonate="chrome")
        self._base_url, self._pace, self._timeout_s = base_url.rstrip("/"), pace, timeout_s
        self.chart: requests.Response | None = None
        self._cookie_reply: requests.Response | None = None

    def request(self, method: Any, url: str, *args: Any, **kwargs: Any) -> requests.Response:
        """Sends a request, as in any session.

        Raises:
            RetryableError, NoBarsError: for replies of the chart service only.
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
    """Raises an error for a reply without bars. After 401 and 403 it does nothing: yfinance then renews its cookies."""
    status = response.status_code
    if status in _REFUSALS or status >= 500:
        raise RetryableError(f"HTTP {status}", retry_after_s(response.headers.get("retry-after")))
    if status in (400, 404):
        description = _error_description(response)
        if description and (status == 404 or description.lower().startswith(NO_BARS)):
            raise NoBarsError(description)
        raise RetryableError(
            f"HTTP {status}: {description}" if description else f"HTTP {status} without a message from Yahoo"
        )


def _error_description(response: requests.Response) -> str:
    """Returns Yahoo's message in a reply of the chart service; "" if the reply is not from Yahoo."""
    try:
        return str(json.loads(response.content)["chart"]["error"]["description"])
    except (ValueError, KeyError, TypeError):
        return ""


def retry_after_s(header: str | None) -> float | None:
    """Parses a Retry-After header (seconds or a date) to seconds from now; None if it is neither."""
    if not header:
        return None
    try:
        return max(float(header), 0.0)
    except ValueError:
        pass
    try:
        date = email.utils.parsedate_to_datetime(header)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=dt.UTC)
    return max((date - dt.datetime.now(dt.UTC)).total_seconds(), 0.0)
