"""What became of every ticker that was asked for: fetched, empty or failed, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from cloudlstm.errors import FetchError

Status = Literal["fetched", "empty", "failed"]

FETCHED: Status = "fetched"
"""Its bars are there."""
EMPTY: Status = "empty"
"""The service answered that there is nothing: unknown, delisted, or no bars in the range."""
FAILED: Status = "failed"
"""No answer after all attempts: asking again may help."""

_LISTED = 20
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one ticker.

    Attributes:
        ticker: As asked for.
        symbol: As the service spells it.
        status: Whether it was fetched, is empty or has failed.
        cause: Why it was not fetched, or what is worth knowing of one that was; may be empty.
        as_of: When the service answered; ISO time in UTC.
        rows: Bars fetched.
        first_date, last_date: Of those bars, ISO dates; None without.
        snapshot: URI of what was fetched; None of a failed ticker.
        reused: Whether the snapshot was there already.
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
    """The figures of a report, JSON-ready: fetched, empty and failed add up to asked; reused counts among them.

    `as_of` is the oldest answer: the data knows nothing that came out later.
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
    """The whole coverage report, JSON-ready, with the names of snapshots below `folder`."""
    tickers = [asdict(each) for each in outcomes]
    for each in tickers:
        each["snapshot"] = each["snapshot"] and each["snapshot"].removeprefix(folder)
    return {"schema": 1, **{key: value for key, value in summary(outcomes).items() if key != "unfetched"},
            "tickers": tickers}  # fmt: skip


def require_fetched(outcomes: Sequence[Outcome], source: str, report: str) -> None:
    """Raises FetchError, naming the first causes, unless every ticker was fetched or is empty.

    Args:
        outcomes: Of every ticker.
        source: Whom was asked.
        report: URI of the whole coverage report.
    """
    failed = [each for each in outcomes if each.status == FAILED]
    if not failed:
        return
    shown = "; ".join(f"{each.ticker}: {each.cause}" for each in failed[:_SHOWN])
    more = f"; and {len(failed) - _SHOWN} more" if len(failed) > _SHOWN else ""
    raise FetchError(
        f"{len(failed)} of {len(outcomes)} tickers could not be fetched from {source}: {shown}{more}",
        hint="submit again: what was fetched is kept, only what is missing is asked for; "
        f"`cloudlstm doctor` looks at the connection; every cause is in {report}",
    )
