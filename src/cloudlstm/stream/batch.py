"""One micro-batch, from bars to results. Both runners call it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cloudlstm.market import columns
from cloudlstm.market.interval import Interval
from cloudlstm.stream.advance import Rules, advance
from cloudlstm.stream.bars import refused_table, require_interval
from cloudlstm.stream.documents import BatchDocument, Scores, StreamSettings, TakenDocument
from cloudlstm.stream.forecasting import Models, Predictor, forecast
from cloudlstm.stream.journal import Journal
from cloudlstm.stream.kernel import Kernel
from cloudlstm.stream.sessions import ExchangeSessions, Sessions, always_open
from cloudlstm.stream.sinks.base import Sink
from cloudlstm.stream.sinks.parquet import write_output
from cloudlstm.stream.sources.base import Taken
from cloudlstm.stream.state import State
from cloudlstm.stream.synthetic import SOURCE as SYNTHETIC

ALWAYS_OPEN = "none"
"""The calendar of a market without sessions."""
AHEAD_S = 300
"""So far may the clock of a producer be ahead of ours: bars that start later after the begin of a batch are refused."""


def sessions_of(settings: StreamSettings) -> Sessions:
    """The bars that a stream can have."""
    if settings.calendar == ALWAYS_OPEN:
        return always_open(settings.interval_s)
    return ExchangeSessions(settings.calendar, Interval.of_seconds(settings.interval_s))


@dataclass(frozen=True, slots=True)
class Done:
    """A finished batch and the state after it."""

    document: BatchDocument
    state: State


class BatchWork:
    """The work on the batches of one stream.

    Args:
        journal: What the stream has taken and finished.
        settings: Its settings.
        models: What forecasts.
        sinks: Where the forecasts go.
        clock: Gives the time in seconds since the epoch.
    """

    def __init__(
        self, journal: Journal, settings: StreamSettings, models: Models, sinks: Sequence[Sink],
        clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self._journal, self._settings, self._models, self._sinks = journal, settings, models, sinks
        self._clock = clock
        self._sessions, self._kernel = sessions_of(settings), Kernel.of(models.features)

    def expect(self, bars: pa.Table) -> None:
        """Raises UsageError if the first bars of a stream have a shorter interval; called before a batch begins."""
        if not self._journal.newest:
            require_interval(bars, self._settings.interval_s)

    def begin(self, number: int, start: Mapping[str, Any], end: Mapping[str, Any]) -> TakenDocument:
        """Notes what a batch takes, and which model forecasts; a model that cannot be opened binds no batch."""
        places = {sink.name: sink.position() for sink in self._sinks}
        newest, began = self._models.newest(), round(self._clock(), 3)
        self._models.open(newest)
        taken = TakenDocument(number, dict(start), dict(end), newest, places, began)
        self._journal.begin(taken)
        return taken

    def finish(
        self, taken: TakenDocument, found: Taken, state: State, *, again: bool = False, lag: int | None = None
    ) -> Done:
        """Does the work of a batch that was begun.

        Args:
            taken: What it takes.
            found: Its bars.
            state: The state before it.
            again: True if a process that was killed may have done some of it.
            lag: Messages in the topic, or files in the folder, after it.
        """
        began = time.monotonic()
        paths, settings, number = self._journal.paths, self._settings, taken.number
        predictor = self._models.open(taken.model)
        advanced = advance(state, found.bars, self._rules(predictor, taken.began))
        made = forecast(
            advanced, predictor, self._sessions, across_closes=settings.labels_across_closes,
            newest_only=settings.forecasts == "newest",
        )  # fmt: skip
        refused = [*found.refused, *advanced.refused]
        outputs = {
            "corrections": write_output(paths, "corrections", number, advanced.corrections),
            "refused": write_output(paths, "refused", number, refused_table(refused)),
        }
        if settings.features:
            outputs["features"] = write_output(paths, "features", number, advanced.feature_table(self._kernel.names))
        notes = {
            sink.name: dict(sink.write(number, made.table, taken.sinks.get(sink.name), again=again))
            for sink in self._sinks
        }
        after = advanced.state(made.at_new)
        now = self._clock()
        used = advanced.rows.take(advanced.new)
        counts = advanced.counts | {
            "refused": len(refused), "forecasts": made.table.num_rows, "tickers": len(after.tickers),
            "synthetic": _synthetic(found.bars),
        }  # fmt: skip
        last = self._journal.last()
        totals = {
            name: n + (last.totals.get(name, 0) if last else 0) for name, n in counts.items() if name != "tickers"
        }
        document = BatchDocument(
            number=number,
            end=dict(taken.end),
            model=taken.model,
            counts=counts,
            outputs=outputs,
            scores=made.scores,
            totals=totals,
            all_scores=(last.all_scores if last else Scores()) + made.scores,
            last_minute=int(used.minute.max()) if len(used) else None,
            latency_s=_latency(columns.floats(found.bars["sent"]), now),
            lag=lag,
            sinks=notes,
            took_s=round(time.monotonic() - began, 4),
            finished=round(now, 3),
        )
        self._journal.finish(document, after)
        return Done(document, after)

    def _rules(self, predictor: Predictor | None, began: float) -> Rules:
        settings, kernel = self._settings, self._kernel
        window, horizon = (predictor.window_bars, predictor.horizon_bars) if predictor else (1, 0)
        keep = max(kernel.lookback_bars - 1 + window - 1, horizon)
        return Rules(
            self._sessions, kernel, keep_bars=keep, max_fill_bars=settings.max_fill_bars,
            bridged=settings.bridge_sessions, provisional=settings.provisional,
            until=int(began) + AHEAD_S if began else None,
        )  # fmt: skip


def _synthetic(bars: pa.Table) -> int:
    """The number of bars whose source says that they are synthetic."""
    return int(pc.sum(pc.equal(bars["source"], SYNTHETIC), min_count=0).as_py())


def _latency(sent: np.ndarray[Any, Any], now: float) -> dict[str, float]:
    """Quantiles of the seconds since bars were sent; empty if none says when."""
    waited = now - sent[np.isfinite(sent)]
    if not len(waited):
        return {}
    p50, p95, most = np.quantile(waited, [0.5, 0.95, 1.0])
    return {"p50": round(float(p50), 4), "p95": round(float(p95), 4), "max": round(float(most), 4)}
