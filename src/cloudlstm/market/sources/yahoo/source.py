"""The source "yahoo": bars of any symbol of Yahoo Finance: daily, and those of the last days or months within a day.

Opening the source sends no request, and `look` one. `fetch` is the work of one task. It stores the snapshot of each
ticker at once, so that nothing is fetched twice, even if the task is killed.
"""

from __future__ import annotations

import datetime as dt
import importlib.util
import logging
import math
import os
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from cloudlstm.config import MarketConfig
from cloudlstm.errors import DataError, MissingExtraError
from cloudlstm.market.calendar import last_closed_session
from cloudlstm.market.sources import snapshots
from cloudlstm.market.sources.base import Findings, Partition
from cloudlstm.market.sources.coverage import FAILED, NOT_REQUESTED, Outcome
from cloudlstm.market.sources.snapshots import Snapshot, SnapshotSource
from cloudlstm.market.sources.yahoo import within_a_day
from cloudlstm.market.sources.yahoo.client import client
from cloudlstm.market.sources.yahoo.session import probe
from cloudlstm.runs.environment import YAHOO_URL

_LOG = logging.getLogger(__name__)


FORMAT_VERSION = 1
"""Increase it whenever replies of Yahoo are converted differently; part of the source's identity."""

_LEAST_PER_TASK = 15.0
"""Smallest useful rate of one task, in requests per minute; with more tasks, each would mostly wait."""

_FAILURES_IN_A_ROW = 5
"""After this many failed tickers in a row the cause is not the tickers: the rest is not requested."""

_UNREACHABLE_IN_A_ROW = 1
"""The same for tickers whose requests reached no server. Each has waited for `market.yahoo.attempts` attempts."""

_FRESH = dt.timedelta(days=1)
"""An answer that another run got within this time is used again. Older answers are not, because a split changes the
prices of the past."""

HISTORY_DAYS = {"1m": 28, "5m": 58, "15m": 58, "1h": 728}
"""Days back from today for which bars within a day are requested. Yahoo has them for the last 30, 60 and 730 days, and
a request begins a day early."""

_LATE = dt.timedelta(minutes=30)
"""Yahoo's data of many exchanges is up to 20 minutes late; a session's bar is final only after that."""


@dataclass(frozen=True, slots=True)
class YahooSource:
    """The request of a run to Yahoo.

    Attributes:
        config: The section `market`.
        universe: The tickers, sorted.
        through: The last date with a bar: market.end, or the last closed session if that is earlier.
        base_url: URL of a server that replaces Yahoo; empty for Yahoo itself.
    """

    config: MarketConfig
    universe: tuple[str, ...]
    through: dt.date
    base_url: str
    name: str = "Yahoo Finance"

    @classmethod
    def open(cls, config: MarketConfig, requested: tuple[str, ...] | None) -> YahooSource:
        """Opens the source for the requested tickers, up to the last session that has closed.

        Raises:
            DataError: if no ticker is requested, or no session of the range has closed yet.
            MissingExtraError: if yfinance or exchange-calendars is not installed.
        """
        if not requested:
            raise DataError("Yahoo Finance has no list of its tickers", hint="name them in universe.tickers")
        if importlib.util.find_spec("yfinance") is None:
            raise MissingExtraError("source yahoo needs yfinance", hint="pip install 'cloudlstm[market]'")
        through = min(config.end, last_closed_session(config.calendar, _now() - _LATE))
        if through < config.start:
            raise DataError(
                f"no session of {config.calendar} from {config.start} on has closed yet", hint="an earlier market.start"
            )
        if (days := HISTORY_DAYS.get(config.interval)) and config.start < (first := _now().date() - dt.timedelta(days)):
            raise DataError(
                f"Yahoo Finance has bars of {config.interval} for the last {days} days only, and market.start is "
                f"{config.start}",
                hint=f"market.start={first} or later, and split dates after it",
            )
        base_url = os.environ.get(YAHOO_URL, "")
        if base_url:
            _LOG.warning("%s replaces Yahoo Finance (%s)", base_url, YAHOO_URL)
        return cls(config, tuple(sorted(requested)), through, base_url)

    def look(self, exclude: Collection[str] = ()) -> Findings:  # noqa: ARG002 - no bars are seen
        """Checks that Yahoo can be reached from this machine; sends one request, and finds nothing else.

        Raises:
            FetchError: it cannot.
        """
        probe(self.base_url)
        return Findings()

    def identity(self) -> Any:
        return {"source": "yahoo", **self._request(), "universe": list(self.universe)}

    def _request(self) -> dict[str, Any]:
        """What is requested for each ticker."""
        dates = [self.config.start.isoformat(), self.through.isoformat()]
        interval = {} if self.config.interval == "1d" else {"interval": self.config.interval}
        return {"form": FORMAT_VERSION, "base_url": self.base_url, "dates": dates, **interval}

    def adopt(self, folder: str, places: Iterable[str]) -> int:
        """Copies snapshots of other runs that are at most a day old and have the same dates; returns their number.

        Args:
            folder: URI of the folder for snapshots; ends with a slash.
            places: Beginnings of the URIs of other runs' objects.
        """
        request, oldest = self._request(), (_now() - _FRESH).isoformat()

        def fits(snapshot: Snapshot) -> bool:
            return snapshot.request == request and snapshot.as_of >= oldest

        missing = set(self.universe) - snapshots.uris_by_ticker(folder).keys()
        before = len(missing)
        for place in places:
            if not missing:
                break
            missing -= snapshots.adopt(folder, missing, place, fits)
        return before - len(missing)

    def tasks(self, known: Sequence[str], cores: int) -> list[Partition]:
        """Divides the universe into one partition per fetching task.

        Args:
            known: Tickers that are stored already; they need no request.
            cores: Number of tasks that can run at the same time.
        """
        done = set(known)
        missing = [ticker for ticker in self.universe if ticker not in done]
        useful = math.ceil(self.config.yahoo.requests_per_minute / _LEAST_PER_TASK) if missing else cores
        number = max(min(cores, useful, len(missing) or len(self.universe)), 1)
        stored = [ticker for ticker in self.universe if ticker in done]
        return [Partition(task, (*missing[task::number], *stored[task::number])) for task in range(number)]

    def fetch(self, partition: Partition, tasks: int, folder: str) -> list[Outcome]:
        """Fetches the tickers of a partition that are not stored in `folder`, and returns an outcome for each ticker.

        Args:
            partition: One of the partitions from `tasks`.
            tasks: Number of these partitions.
            folder: URI of the folder for snapshots; ends with a slash.
        """
        outcomes: list[Outcome] = []
        failed: list[Outcome] = []  # in a row
        most = _FAILURES_IN_A_ROW
        for ticker in partition.items:
            outcome = snapshots.find(folder, ticker)
            if outcome is None and len(failed) >= most:
                last = failed[-1]
                times = f"{len(failed)} failures in a row, the last" if len(failed) > 1 else f"{last.ticker} failed"
                cause = f"{NOT_REQUESTED} after {times}: {last.cause}"
                outcome = Outcome(ticker, symbol_of(ticker), FAILED, cause, last.as_of)
            elif outcome is None:
                outcome, unreachable = self._fetch(ticker, tasks, folder)
                failed = [*failed, outcome] if outcome.status == FAILED else []
                most = _UNREACHABLE_IN_A_ROW if unreachable else _FAILURES_IN_A_ROW
            outcomes.append(outcome)
        return outcomes

    def _fetch(self, ticker: str, tasks: int, folder: str) -> tuple[Outcome, bool]:
        """Fetches and stores one ticker; the second value is True if no server was reached."""
        symbol = symbol_of(ticker)
        yahoo = client(self.config.yahoo, tasks, self.base_url)
        span = self.config.start, self.through
        if self.config.interval == "1d":
            reply = yahoo.fetch(ticker, symbol, *span)
        else:
            reply = within_a_day.fetch(yahoo, ticker, symbol, self.config, self.through)
        as_of = _now().isoformat(timespec="seconds")
        if reply.status == FAILED:
            return Outcome(ticker, symbol, FAILED, reply.cause, as_of), reply.unreachable
        snapshot = Snapshot(ticker, symbol, reply.status, reply.cause, as_of, reply.facts, reply.table, self._request())
        return snapshots.store(folder, snapshot), False

    def fetched(self, outcomes: Sequence[Outcome]) -> SnapshotSource:
        """Returns the fetched snapshots as a source."""
        uris = [each.snapshot for each in sorted(outcomes, key=lambda each: each.ticker) if each.snapshot]
        last = max((each.last_date for each in outcomes if each.last_date), default=None)
        return SnapshotSource(self.name, tuple(uris), self.config.tickers_per_shard, last)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


_ONE_LETTER_EXCHANGES = frozenset("FLTV")
"""Frankfurt, London, Tokyo and TSX Venture. Any other single letter after a dot is a share class."""


_CLASS = re.compile(r"[/ ](?=[A-Z](\.|$))")
"""A slash or a blank before a share class."""


def symbol_of(ticker: str) -> str:
    """Returns Yahoo's symbol of a ticker.

    Yahoo uses the dot for the exchange (GS2C.DE, 0700.HK, VOD.L) and a hyphen for a share class: BRK.B becomes BRK-B,
    and BBD.B.TO (a class in Toronto) becomes BBD-B.TO. Indices, currencies and futures (^GSPC, EURUSD=X, ES=F) do not
    change. Write the share classes F, L, T and V with a hyphen. BRK/B and "BRK B" are share classes as well.
    """
    ticker = _CLASS.sub("-", ticker)
    *stem, last = ticker.split(".")
    if not stem:
        return ticker
    is_class = len(last) == 1 and last.isalpha() and last not in _ONE_LETTER_EXCHANGES
    return "-".join(stem) + ("-" if is_class else ".") + last
