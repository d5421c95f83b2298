"""The fetch result of every requested ticker: fetched, empty or failed, with the cause."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from cloudlstm.errors import FetchError

Status = Literal["fetched", "empty", "failed"]

FETCHED: Status = "fetched"
"""Its bars were fetched."""
EMPTY: Status = "empty"
"""The service answered that it has no bars: the ticker is unknown or delisted, or has no bars in the range."""
FAILED: Status = "failed"
"""There was no usable answer after all attempts; a later attempt may succeed."""

NOT_REQUESTED = "not requested"
"""Beginning of the cause of a ticker that was not requested after others had failed."""

_LISTED = 20
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Outcome:
    """The fetch result of one ticker.

    Attributes:
        ticker: The requested ticker.
        symbol: The service's spelling of it.
        status: "fetched", "empty" or "failed".
        cause: Why it was not fetched, or a remark about a fetched ticker; may be empty.
        as_of: Time of the answer, ISO format in UTC.
        rows: Number of fetched bars.
        first_date, last_date: Dates of the first and last bar, ISO format; None without bars.
        snapshot: URI of the stored snapshot; None for a failed ticker.
        reused: True if the snapshot existed already.
    """

    ticker: str
    symbol: str
    status: Status
    cause: str
    as_of: str
    rows: int = 0
    first_date: str | None = None
    last_date: str | None = None
    snapshot: str | None = None
    reused: bool = False


def summary(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Counts the results for the report, JSON-ready: fetched + empty + failed = asked; reused ones are included.

    `as_of` is the time of the oldest answer.
    """
    unfetched = sorted((each for each in outcomes if each.status != FETCHED), key=lambda each: each.status != FAILED)
    return {
        "asked": len(outcomes),
        **{status: sum(each.status == status for each in outcomes) for status in (FETCHED, EMPTY, FAILED)},
        "reused": sum(each.reused for each in outcomes),
        "as_of": min((each.as_of for each in outcomes), default=None),
        "unfetched": [
            {"ticker": each.ticker, "status": each.status, "cause": each.cause} for each in unfetched[:_LISTED]
        ],
    }


def document(outcomes: Sequence[Outcome], folder: str) -> dict[str, Any]:
    """Returns the coverage report, JSON-ready; snapshots are named relative to `folder`."""
    tickers = [asdict(each) for each in outcomes]
    for each in tickers:
        each["snapshot"] = each["snapshot"] and each["snapshot"].removeprefix(folder)
    return {"schema": 1, **{key: value for key, value in summary(outcomes).items() if key != "unfetched"},
            "tickers": tickers}  # fmt: skip


def remarks(outcomes: Sequence[Outcome]) -> list[str]:
    """One line for each cause among outcomes that were not reused; it names the first tickers with that cause."""
    words = {FETCHED: "{}", EMPTY: "no bars of {}", FAILED: "{} failed"}
    alike: dict[tuple[Status, str], list[str]] = {}
    for each in outcomes:
        if each.cause and not each.reused:
            alike.setdefault((each.status, each.cause), []).append(each.ticker)
    lines = []
    for (status, cause), tickers in alike.items():
        more = f" and {len(tickers) - _LISTED} more" if len(tickers) > _LISTED else ""
        lines.append(f"{words[status].format(', '.join(tickers[:_LISTED]) + more)}: {cause}")
    return lines


def require_fetched(outcomes: Sequence[Outcome], source: str, report: str) -> None:
    """Raises FetchError with the first causes if a ticker failed.

    Args:
        outcomes: The results of all tickers.
        source: Name of the source.
        report: URI of the coverage report.
    """
    failed = [each for each in outcomes if each.status == FAILED]
    if not failed:
        return
    requested = [each for each in failed if not each.cause.startswith(NOT_REQUESTED)] or failed
    shown = "; ".join(f"{each.ticker}: {each.cause}" for each in requested[:_SHOWN])
    more = f"; and {len(requested) - _SHOWN} more" if len(requested) > _SHOWN else ""
    more += f"; {len(failed) - len(requested)} were not requested after that" if len(requested) < len(failed) else ""
    raise FetchError(
        f"{len(failed)} of {len(outcomes)} tickers could not be fetched from {source}: {shown}{more}",
        hint="submit again: fetched tickers are kept, only missing ones are requested; "
        f"`cloudlstm doctor` checks the connection; all causes are in {report}",
    )
