"""The newest headlines of a symbol from Yahoo Finance, through yfinance.

Yahoo keeps no archive: it answers with the newest entries only. As for bars, yfinance runs in the session of this room,
which limits the rate, keeps the cookie and can send requests to another server.
"""

from __future__ import annotations

import logging
import time
from typing import Any
from urllib.parse import urlsplit

from curl_cffi import requests

from cloudlstm.config import YahooConfig
from cloudlstm.errors import FetchError
from cloudlstm.market.sources.yahoo.client import open_yfinance
from cloudlstm.market.sources.yahoo.session import Pace, RetryableError, YahooSession, curl_cause, retry_after_s

_LOG = logging.getLogger(__name__)

COUNT = 50
"""Headlines that are asked for."""

_PATH = "/xhr/ncp"
_BURST = 4
_CAUSE_LENGTH = 160


class NewsSession(YahooSession):
    """A session that keeps the last reply about news."""

    def __init__(self, base_url: str, pace: Pace, timeout_s: float) -> None:
        super().__init__(base_url, pace, timeout_s)
        self.news: requests.Response | None = None

    def request(self, method: Any, url: str, *args: Any, **kwargs: Any) -> requests.Response:
        """Sends a request, as in any session; RetryableError if the server does not answer about news."""
        response = super().request(method, url, *args, **kwargs)
        if urlsplit(url).path == _PATH:
            self.news = response
            if response.status_code >= 500 or response.status_code in (408, 429):
                wait_s = retry_after_s(response.headers.get("retry-after"))
                raise RetryableError(f"HTTP {response.status_code}", wait_s)
        return response


class NewsClient:
    """Asks for headlines, one symbol at a time.

    Args:
        config: Attempts, timeouts and the rate.
        base_url: URL of a server that replaces Yahoo; empty for Yahoo itself.

    Raises:
        MissingExtraError: yfinance is not installed.
    """

    def __init__(self, config: YahooConfig, base_url: str) -> None:
        self._yfinance = open_yfinance()
        self._config = config
        self._session = NewsSession(base_url, Pace(config.requests_per_minute, _BURST), config.timeout_s)
        known = self._yfinance.data.YfData(session=self._session)  # one for the whole process
        known._cookie = known._crumb = None  # they belong to another session

    def newest(self, symbol: str) -> list[dict[str, Any]]:
        """Returns Yahoo's entries about a symbol as they came, the newest first; advertisements are left out.

        Raises:
            FetchError: it did not deliver them.
        """
        cause, began = "", time.monotonic()
        for attempt in range(1, self._config.attempts + 1):
            wait_s = self._config.backoff_s * 2.0 ** (attempt - 1)
            try:
                return self._ask(symbol)
            except Exception as error:  # a server may answer anything; the cause is kept
                cause = " ".join(curl_cause(str(error) or type(error).__name__).split())[:_CAUSE_LENGTH]
                wait_s = max(wait_s, getattr(error, "retry_after_s", None) or 0.0)
            if attempt == self._config.attempts or time.monotonic() - began + wait_s > self._config.max_ticker_s:
                break
            time.sleep(wait_s)
        raise FetchError(f"Yahoo Finance did not deliver headlines of {symbol}: {cause}")

    def _ask(self, symbol: str) -> list[dict[str, Any]]:
        self._session.news = None
        entries = self._yfinance.Ticker(symbol, session=self._session).get_news(count=COUNT)
        reply = self._session.news
        if reply is None or reply.status_code != 200:
            raise RetryableError(f"HTTP {reply.status_code}" if reply is not None else "no request was sent")
        if not isinstance(entries, list):
            raise RetryableError("the reply holds no list of headlines")
        return [entry for entry in entries if isinstance(entry, dict)]
