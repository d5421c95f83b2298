"""The universe of a run: the tickers that it uses."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from cloudlstm import storage
from cloudlstm.config import UniverseConfig
from cloudlstm.config.tickers import ticker
from cloudlstm.errors import (
    DataError,
    ObjectNotFoundError,
    ObjectTooLargeError,
    UnknownTickerError,
    UnreadableSourceError,
)

_SHOWN = 5
_MOST_LISTED = 20
"""A hint names all tickers of a source that has at most so many."""
_MOST_BYTES = 16 * 2**20
"""Limit for a universe file; enough for a million tickers with comments."""
RENAMED = {
    "ABC": "COR", "ANTM": "ELV", "BBT": "TFC", "CTL": "LUMN", "FB": "META", "UTX": "RTX", "VIAC": "PARA",
}  # fmt: skip
"""Former ticker of a large company -> its later one, for hints."""


def requested_tickers(config: UniverseConfig) -> tuple[str, ...] | None:
    """Returns the requested tickers without the excluded ones, sorted and unique; None means all tickers of the source.

    Raises:
        DataError: if the universe file contains no ticker, or all tickers are excluded.
        UnknownTickerError: if an excluded ticker is not requested.
        UnreadableSourceError: if a line of the file is not a ticker.
        ObjectNotFoundError: if the file does not exist.
    """
    requested = set(config.tickers)
    if config.path is not None:
        uri = storage.absolute(config.path)
        requested.update(_read(uri))
        if not requested:
            raise DataError(
                f"the universe is empty: {uri} names no ticker", hint="one ticker a line, # starts a comment"
            )
    return without(sorted(requested), config.exclude, "the universe") if requested else None


def without(tickers: Sequence[str], exclude: Sequence[str], source: str) -> tuple[str, ...]:
    """Returns sorted tickers without the excluded ones.

    Args:
        tickers: All tickers, sorted and unique.
        exclude: The tickers to leave out.
        source: What has the tickers, for error messages.

    Raises:
        UnknownTickerError: if an excluded ticker is not among them.
        DataError: if none is left.
    """
    unknown = sorted(set(exclude).difference(tickers))
    if unknown:
        raise UnknownTickerError(
            f"universe.exclude names {_listed(unknown)}, and {source} has no such ticker",
            hint=_near(unknown, tickers, source),
        )
    left = tuple(ticker for ticker in tickers if ticker not in set(exclude))
    if not left:
        raise DataError("the universe is empty: universe.exclude names all its tickers", hint="exclude fewer")
    return left


def _read(uri: str) -> Iterable[str]:
    try:
        lines = storage.read_small(uri, _MOST_BYTES).decode("utf-8-sig").splitlines()
    except ObjectNotFoundError:
        raise ObjectNotFoundError(
            f"universe.path: there is no file {uri}", hint="universe.path=FILE with one ticker a line", uri=uri
        ) from None
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


def resolve_universe(
    requested: Sequence[str] | None, known: Iterable[str], source: str, exclude: Sequence[str] = ()
) -> tuple[str, ...]:
    """Returns the universe of the run, sorted: the requested tickers, or all of the source but the excluded ones.

    Args:
        requested: The result of `requested_tickers`.
        known: The tickers of the source.
        source: Name of the source, for error messages.
        exclude: The excluded tickers, which `requested` lacks already.

    Raises:
        UnknownTickerError: if the source lacks requested or excluded tickers; names them and similar ones that it has.
        DataError: if the source has no tickers, or all are excluded.
    """
    available = sorted(set(known))
    if not available:
        raise DataError(
            f"the universe is empty: {source} holds no bar with a ticker",
            hint="a file with rows, or another market.path",
        )
    if requested is None:
        return without(available, exclude, source)
    unknown = sorted(set(requested).difference(available))
    if unknown:
        raise UnknownTickerError(f"{source} has no {_listed(unknown)}", hint=_near(unknown, available, source))
    return tuple(sorted(set(requested)))


def _listed(tickers: Sequence[str]) -> str:
    more = len(tickers) - _SHOWN
    return ", ".join(tickers[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _near(unknown: Sequence[str], available: Sequence[str], source: str) -> str:
    """Returns what the unknown tickers may be called in the source."""
    near = [name for ticker in unknown[:_SHOWN] for name in _names_of(ticker, available)]
    if near:
        return ", ".join(dict.fromkeys(near))
    if len(available) == 1 and source.rsplit("/", 1)[-1].upper().startswith(f"{available[0]}."):
        name = available[0]
        return (
            f"market.columns.ticker=NAME; the file has no column of tickers, so its name was used as the ticker {name}"
        )
    if len(available) <= _MOST_LISTED:
        return f"its only tickers are {', '.join(available)}"
    return f"it has {len(available)} tickers, from {available[0]} to {available[-1]}"


def _names_of(ticker: str, available: Sequence[str]) -> list[str]:
    """Returns the ticker to which an unknown one was renamed, or from which, else similar ones."""
    former = {new: old for old, new in RENAMED.items()}
    if (later := RENAMED.get(ticker)) in available:
        return [f"{later}, as {ticker} is called now"]
    if (earlier := former.get(ticker)) in available:
        return [f"{earlier}, as {ticker} was called"]
    return difflib.get_close_matches(ticker, available, n=2, cutoff=0.6)
