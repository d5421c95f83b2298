"""Which tickers a run is about."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from pydantic import TypeAdapter, ValidationError

from cloudlstm import storage
from cloudlstm.config import UniverseConfig
from cloudlstm.config.models import Ticker
from cloudlstm.errors import DataError, ObjectTooLargeError, UnknownTickerError, UnreadableSourceError

_TICKER: TypeAdapter[str] = TypeAdapter(Ticker)
_SHOWN = 5
_MOST_BYTES = 16 * 2**20
"""Of a universe file: more than a million tickers, with comments."""


def requested_tickers(config: UniverseConfig) -> tuple[str, ...] | None:
    """The tickers asked for, sorted and unique; None stands for all that the source has.

    Raises:
        DataError: when the universe file names no ticker.
        UnreadableSourceError: when a line of it is no ticker.
        ObjectNotFoundError: when it is not there.
    """
    if config.path is None:
        return tuple(sorted(set(config.tickers))) or None
    uri = storage.absolute(config.path)
    tickers = set(config.tickers).union(_read(uri))
    if not tickers:
        raise DataError(f"the universe is empty: {uri} names no ticker", hint="one ticker a line, # starts a comment")
    return tuple(sorted(tickers))


def _read(uri: str) -> Iterable[str]:
    try:
        lines = storage.read_small(uri, _MOST_BYTES).decode("utf-8-sig").splitlines()
    except ObjectTooLargeError as error:
        raise UnreadableSourceError(f"the universe {error.message}", hint="one ticker a line") from None
    except UnicodeDecodeError:
        raise UnreadableSourceError(f"the universe {uri} is not a text file", hint="one ticker a line") from None
    for number, line in enumerate(lines, 1):
        text = line.partition("#")[0].strip()
        if text:
            try:
                yield _TICKER.validate_python(text)
            except ValidationError:
                raise UnreadableSourceError(
                    f"line {number} of the universe {uri} is not a ticker: {text[:40]!r}", hint="one ticker a line"
                ) from None


def resolve_universe(requested: Sequence[str] | None, known: Iterable[str], source: str) -> tuple[str, ...]:
    """The universe of the run: what was asked for, or all that is known; sorted.

    Args:
        requested: As from `requested_tickers`.
        known: The tickers that the source has.
        source: Its name, for the error.

    Raises:
        UnknownTickerError: naming the tickers that the source does not have, and near ones that it has.
        DataError: when the source has none at all.
    """
    there = sorted(set(known))
    if not there:
        raise DataError(
            f"the universe is empty: {source} holds no bar with a ticker",
            hint="a file with rows, or another market.path",
        )
    if requested is None:
        return tuple(there)
    unknown = sorted(set(requested).difference(there))
    if unknown:
        raise UnknownTickerError(f"{source} has no {_listed(unknown)}", hint=_near(unknown, there, source))
    return tuple(sorted(set(requested)))


def _listed(tickers: Sequence[str]) -> str:
    more = len(tickers) - _SHOWN
    return ", ".join(tickers[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _near(unknown: Sequence[str], there: Sequence[str], source: str) -> str:
    near = [name for ticker in unknown[:_SHOWN] for name in difflib.get_close_matches(ticker, there, n=2, cutoff=0.6)]
    if near:
        return ", ".join(dict.fromkeys(near))
    if len(there) == 1 and source.rsplit("/", 1)[-1].upper().startswith(f"{there[0]}."):
        return f"market.columns.ticker=…: it has no column of tickers, so its name {there[0]} was taken for one"
    if len(there) <= _SHOWN:
        return f"{', '.join(there)}: it has no other"
    return f"it has {len(there)}, from {there[0]} to {there[-1]}"
