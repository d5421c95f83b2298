"""The yahoo source: daily bars of any symbol that Yahoo Finance knows.

Nobody is asked when the source is opened. `fetch` is the work of one task: ticker by ticker, each stored as a snapshot
at once, so that whatever ends the task, nothing that was fetched is fetched again.
"""

from __future__ import annotations

import datetime as dt
import importlib.util
import logging
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cloudlstm.config import MarketConfig
from cloudlstm.errors import DataError, MissingExtraError
from cloudlstm.market.calendar import last_closed_session
from cloudlstm.market.sources import snapshots
from cloudlstm.market.sources.base import Partition
from cloudlstm.market.sources.coverage import FAILED, Outcome
from cloudlstm.market.sources.snapshots import Snapshot, SnapshotSource
from cloudlstm.market.sources.yahoo.client import client
from cloudlstm.runs.environment import YAHOO_URL

_LOG = logging.getLogger(__name__)


FORMAT_VERSION = 1
"""Counts the changes of what is made from a reply of Yahoo; part of the source's identity."""

_LEAST_PER_TASK = 15.0
"""Requests a minute that a task should have: more tasks than this allows would do nothing but wait."""

_FAILURES_IN_A_ROW = 5
"""So many tickers failed one after another: it is not the tickers. The rest is not asked for."""

_LATE = dt.timedelta(minutes=30)
"""Yahoo shows many exchanges up to 20 minutes late: only then is a session's bar what it stays."""


@dataclass(frozen=True, slots=True)
class YahooSource:
    """What a run asks Yahoo for.

    Attributes:
        config: The section `market`.
        universe: The tickers, sorted.
        through: The last date that may have a bar: market.end, or the last session that had closed before.
        base_url: Of a server that stands in for Yahoo; empty for Yahoo itself.
    """

    config: MarketConfig
    universe: tuple[str, ...]
    through: dt.date
    base_url: str
    name: str = "Yahoo Finance"

    @classmethod
    def open(cls, config: MarketConfig, requested: tuple[str, ...] | None) -> YahooSource:
        """The bars of the tickers asked for as they are known now.

        Raises:
            DataError: when no ticker is named, or no session of the range has closed yet.
            MissingExtraError: when yfinance or exchange-calendars is not installed.
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
        base_url = os.environ.get(YAHOO_URL, "")
        if base_url:
            _LOG.warning("%s stands in for Yahoo Finance (%s)", base_url, YAHOO_URL)
        return cls(config, tuple(sorted(requested)), through, base_url)

    def identity(self) -> Any:
        return {
            "source": "yahoo",
            "form": FORMAT_VERSION,
            "base_url": self.base_url,
            "dates": [self.config.start.isoformat(), self.through.isoformat()],
            "universe": list(self.universe),
        }

    def tasks(self, known: Sequence[str], cores: int) -> list[Partition]:
        """The universe as one partition for each task that may fetch at the same time.

        Args:
            known: Tickers that are stored already; they cost no request.
            cores: Tasks that can run at the same time.
        """
        there = set(known)
        missing = [ticker for ticker in self.universe if ticker not in there]
        useful = math.ceil(self.config.yahoo.requests_per_minute / _LEAST_PER_TASK) if missing else cores
        number = max(min(cores, useful, len(missing) or len(self.universe)), 1)
        stored = [ticker for ticker in self.universe if ticker in there]
        return [Partition(task, (*missing[task::number], *stored[task::number])) for task in range(number)]

    def fetch(self, partition: Partition, tasks: int, folder: str) -> list[Outcome]:
        """What became of each ticker of a partition; what is not stored in `folder` already is asked for.

        Args:
            partition: One of `tasks`.
            tasks: How many there are.
            folder: Where snapshots lie; ends with a slash.
        """
        outcomes: list[Outcome] = []
        failed: list[Outcome] = []  # in a row
        for ticker in partition.items:
            outcome = snapshots.find(folder, ticker)
            if outcome is None and len(failed) >= _FAILURES_IN_A_ROW:
                cause = f"not asked for after {len(failed)} failures in a row, the last: {failed[-1].cause}"
                outcome = Outcome(ticker, symbol_of(ticker), FAILED, cause, failed[-1].as_of)
            elif outcome is None:
                outcome = self._fetch(ticker, tasks, folder)
                failed = [*failed, outcome] if outcome.status == FAILED else []
            outcomes.append(outcome)
        return outcomes

    def _fetch(self, ticker: str, tasks: int, folder: str) -> Outcome:
        symbol = symbol_of(ticker)
        yahoo = client(self.config.yahoo, tasks, self.base_url)
        reply = yahoo.fetch(ticker, symbol, self.config.start, self.through)
        as_of = _now().isoformat(timespec="seconds")
        if reply.status == FAILED:
            return Outcome(ticker, symbol, FAILED, reply.cause, as_of)
        snapshot = Snapshot(ticker, symbol, reply.status, reply.cause, as_of, reply.facts, reply.table)
        return snapshots.store(folder, snapshot)

    def fetched(self, outcomes: Sequence[Outcome]) -> SnapshotSource:
        """What was fetched, as a source that can be read."""
        uris = [each.snapshot for each in sorted(outcomes, key=lambda each: each.ticker) if each.snapshot]
        return SnapshotSource(self.name, tuple(uris), self.config.tickers_per_shard)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


_ONE_LETTER_EXCHANGES = frozenset("FLTV")
"""Frankfurt, London, Tokyo and TSX Venture; any other single letter behind a dot is a class of shares."""


def symbol_of(ticker: str) -> str:
    """Yahoo's symbol of a ticker.

    Yahoo keeps the dot for the exchange (GS2C.DE, 0700.HK, VOD.L) and writes a class of shares with a hyphen: BRK.B is
    BRK-B, and BBD.B.TO, a class in Toronto, BBD-B.TO. Indices, currencies and futures (^GSPC, EURUSD=X, ES=F) stay as
    they are. A class of shares called F, L, T or V has to be written with the hyphen.
    """
    *stem, last = ticker.split(".")
    if not stem:
        return ticker
    is_class = len(last) == 1 and last.isalpha() and last not in _ONE_LETTER_EXCHANGES
    return "-".join(stem) + ("-" if is_class else ".") + last
