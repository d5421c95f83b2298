"""The universe of a run: the tickers that it uses."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from cloudlstm import storage
from cloudlstm.config import UniverseConfig
from cloudlstm.config.tickers import ticker
from cloudlstm.errors import DataError, ObjectTooLargeError, UnknownTickerError, UnreadableSourceError

_SHOWN = 5
_MOST_BYTES = 16 * 2**20
"""Limit for a universe file; enough for a million tickers with comments."""


def requested_tickers(config: UniverseConfig) -> tuple[str, ...] | None:
    """Returns the requested tickers, sorted and unique; None means all tickers of the source.

    Raises:
        DataError: if the universe file contains no ticker.
        UnreadableSourceError: if a line of the file is not a ticker.
        ObjectNotFoundError: if the file does not exist.
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
            found = ticker(text)
            if found is None:
                raise UnreadableSourceError(
                    f"line {number} of the universe {uri} is not a ticker: {text[:40]!r}", hint="one ticker a line"
                )
            yield found


def resolve_universe(requested: Sequence[str] | None, known: Iterable[str], source: str) -> tuple[str, ...]:
    """Returns the universe of the run, sorted: the requested tickers, or all tickers of the source.

    Args:
        requested: The result of `requested_tickers`.
        known: The tickers of the source.
        source: Name of the source, for error messages.

    Raises:
        UnknownTickerError: if the source lacks requested tickers; names them and similar ones that it has.
        DataError: if the source has no tickers.
    """
    available = sorted(set(known))
    if not available:
        raise DataError(
            f"the universe is empty: {source} holds no bar with a ticker",
            hint="a file with rows, or another market.path",
        )
    if requested is None:
        return tuple(available)
    unknown = sorted(set(requested).difference(available))
    if unknown:
        raise UnknownTickerError(f"{source} has no {_listed(unknown)}", hint=_near(unknown, available, source))
    return tuple(sorted(set(requested)))


def _listed(tickers: Sequence[str]) -> str:
    more = len(tickers) - _SHOWN
    return ", ".join(tickers[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _near(unknown: Sequence[str], available: Sequence[str], source: str) -> str:
    near = [
        name for ticker in unknown[:_SHOWN] for name in difflib.get_close_matches(ticker, available, n=2, cutoff=0.6)
    ]
    if near:
        return ", ".join(dict.fromkeys(near))
    if len(available) == 1 and source.rsplit("/", 1)[-1].upper().startswith(f"{available[0]}."):
        return f"market.columns.ticker=…: it has no column of tickers, so its name {available[0]} was taken for one"
    if len(available) <= _SHOWN:
        return f"{', '.join(available)}: it has no other"
    return f"it has {len(available)}, from {available[0]} to {available[-1]}"
