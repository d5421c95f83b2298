"""What one update of a store has changed, ready for JSON. Equal inputs give equal values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Correction:
    """A value of a stored bar that the source has changed.

    Attributes:
        ticker: The ticker.
        date: The session, ISO date.
        column: The column.
        old: The stored value as text; None if it was missing, or if the bar was.
        new: The value of the source now, likewise.
    """

    ticker: str
    date: str
    column: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class Restatement:
    """A ticker whose whole history was fetched anew, because the source has rescaled it.

    Attributes:
        ticker: The ticker.
        price_factor: New price over old price in the overlap.
        adjusted_factor: The same of `adj_close`; 1.0 if a value is missing.
        cause: What explains the factors.
    """

    ticker: str
    price_factor: float
    adjusted_factor: float
    cause: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A ticker whose stored bars stay as they are, although the source has others.

    Attributes:
        ticker: The ticker.
        reason: Why.
    """

    ticker: str
    reason: str


@dataclass(frozen=True, slots=True)
class Changes:
    """What an update has done. A ticker is in at most one of the lists, which are sorted.

    Attributes:
        as_of: The day of the update, ISO date.
        previous: The day of the update before it; None for the first one.
        sessions: Sessions after `previous`; of the first update, all since the start.
        rows_read: Bars that the source has read within the dates.
        rows_compared: Bars of the source that were compared with stored ones.
        rows_written: Bars in the new pieces, without those that were only moved together.
        requests: Tickers that a remote source was asked for; one of a restatement counts twice.
        appended: Number of tickers that got bars of new sessions only.
        rounded: Number of tickers of a remote source whose bars differ by rounding only; the stored ones are kept.
        new: Tickers that were not stored.
        corrected: Tickers with late corrections.
        corrections: Every changed value of these.
        restated: Tickers whose history was fetched anew.
        gone: Stored tickers that the source lacks, or that have no bars since the beginning of the overlap.
        quarantined: Tickers whose bars contradict the stored ones; these are kept.
        failed: Tickers for which a remote source gave no answer.
        compacted: True if all bars were moved into new base pieces.
    """

    as_of: str
    previous: str | None
    sessions: int
    rows_read: int = 0
    rows_compared: int = 0
    rows_written: int = 0
    requests: int = 0
    appended: int = 0
    rounded: int = 0
    new: tuple[str, ...] = ()
    corrected: tuple[str, ...] = ()
    corrections: tuple[Correction, ...] = ()
    restated: tuple[Restatement, ...] = ()
    gone: tuple[str, ...] = ()
    quarantined: tuple[Refusal, ...] = ()
    failed: tuple[Refusal, ...] = ()
    compacted: bool = False
