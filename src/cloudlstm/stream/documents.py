"""The documents of a stream. All are JSON; times are seconds since 1970-01-01 UTC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Position = Mapping[str, Any]
"""Where a source is, JSON-ready; each source has its own keys. The empty one is the beginning."""


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """What a stream reads and how: what must not change while it lives.

    Attributes:
        source: The source: `kafka://address/topic`, or the URI of a folder of landed files.
        model: Name of the model whose champion forecasts; empty without one.
        run: URI of the run whose network forecasts; empty without one.
        calendar: The exchange, for example XNYS.
        interval_s: Length of a bar in seconds.
        max_fill_bars: Most missing bars in a row that are filled.
        bridge_sessions: Whether a segment may reach over a close, as in `market.bridge_sessions`.
        labels_across_closes: Whether a forecast may be for a bar of a later session, as in `dataset`.
        provisional: Whether bars that are not final are used.
        features: Whether the features are written as well.
        forecasts: "all" for a forecast at each bar, "newest" for one at the newest bar of each ticker in a batch.
        begin: Where a new stream begins in a topic.
        sinks: Where forecasts go: "parquet", or the URI of a topic. "console" is not among them, as it leaves nothing.
    """

    source: str
    model: str = ""
    run: str = ""
    calendar: str = "XNYS"
    interval_s: int = 60
    max_fill_bars: int = 0
    bridge_sessions: bool = False
    labels_across_closes: bool = False
    provisional: bool = True
    features: bool = False
    forecasts: Literal["all", "newest"] = "all"
    begin: Literal["earliest", "latest"] = "earliest"
    sinks: tuple[str, ...] = ("parquet",)


@dataclass(frozen=True, slots=True)
class TakenDocument:
    """What a batch takes, written before its work, so that a batch that is done again is the same.

    Attributes:
        number: The batch, from 1.
        start: Where it begins in the source.
        end: Where the next one begins.
        model: What forecasts: the number of a version, "run", or empty for nothing.
        sinks: Where each sink was before the batch, by its name.
        began: When it was begun; 0 in documents of earlier versions. Bars that start later are refused.
    """

    number: int
    start: Mapping[str, Any]
    end: Mapping[str, Any]
    model: str = ""
    sinks: Mapping[str, Any] = field(default_factory=dict)
    began: float = 0.0


@dataclass(frozen=True, slots=True)
class Scores:
    """Sums over forecasts whose outcomes have come.

    Attributes:
        outcomes: Number of them.
        squared_error: Sum of squared errors of the log-returns.
        squared_return: Sum of squared log-returns: the squared errors of naive, which forecasts 0.
        same_sign: Number of forecasts with the sign of the outcome.
        moved: Number of outcomes that are not 0.
    """

    outcomes: int = 0
    squared_error: float = 0.0
    squared_return: float = 0.0
    same_sign: int = 0
    moved: int = 0

    def __add__(self, other: Scores) -> Scores:
        return Scores(
            self.outcomes + other.outcomes,
            self.squared_error + other.squared_error,
            self.squared_return + other.squared_return,
            self.same_sign + other.same_sign,
            self.moved + other.moved,
        )


@dataclass(frozen=True, slots=True)
class BatchDocument:
    """What a batch gave; written last.

    Attributes:
        number: The batch, from 1.
        end: Where the next batch begins in the source.
        model: What forecast, as in TakenDocument.
        counts: Numbers of bars by kind, as in `advance`; also "forecasts", "refused", "tickers", and
            "synthetic": bars whose source is "synthetic".
        outputs: The objects: kind -> their rows and the SHA-256 of their bytes.
        scores: Forecasts whose outcomes came with this batch.
        totals: The sums of `counts` over all batches so far, but of "tickers".
        all_scores: The sums of `scores` over all batches so far.
        last_minute: The newest minute of the batch; None if it used no bar.
        latency_s: Quantiles "p50" and "p95" and the most of the seconds from the sending of a bar to the end of the
            batch; empty if no bar says when it was sent.
        lag: Messages that wait in the topic after it, or files that wait in the folder; None if that is not known.
        sinks: What each sink notes.
        took_s: Seconds that the batch took.
        finished: When it was finished.
    """

    number: int
    end: Mapping[str, Any]
    model: str
    counts: Mapping[str, int]
    outputs: Mapping[str, Mapping[str, Any]]
    scores: Scores
    totals: Mapping[str, int]
    all_scores: Scores
    last_minute: int | None
    latency_s: Mapping[str, float]
    lag: int | None
    sinks: Mapping[str, Any]
    took_s: float
    finished: float
