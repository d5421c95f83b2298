"""The universe of a run: the tickers that it uses."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cloudlstm import storage
from cloudlstm.config import MarketConfig, UniverseConfig
from cloudlstm.errors import DataError, UnknownTickerError
from cloudlstm.market.universe_file import FORM, Period, read_universe_file

_SHOWN = 5
_MOST_LISTED = 20
"""A hint names all tickers of a source that has at most so many."""
RENAMED = {
    "ABC": "COR", "ANTM": "ELV", "BBT": "TFC", "CTL": "LUMN", "FB": "META", "UTX": "RTX", "VIAC": "PARA",
}  # fmt: skip
"""Former ticker of a large company -> its later one, for hints."""


@dataclass(frozen=True, slots=True)
class Universe:
    """The tickers that a configuration names, and when they were members.

    Attributes:
        tickers: The requested tickers without the excluded ones, sorted and unique; None means all of the source.
        periods: Ticker -> periods of its membership, for those of `tickers` that the table of `universe.path` has. A
            ticker without periods is always a member. None without such a table.
        excluded: Tickers of the table that `universe.exclude` leaves out.
    """

    tickers: tuple[str, ...] | None
    periods: Mapping[str, tuple[Period, ...]] | None = None
    excluded: int = 0


def read_universe(config: UniverseConfig, market: MarketConfig | None = None) -> Universe:
    """Returns the requested tickers and their periods.

    Args:
        config: The settings of the universe.
        market: Its dates limit a table of periods: a ticker that is no member on any of them is not requested. None
            for no limit.

    Raises:
        DataError: if the universe file contains no ticker of these dates, or all tickers are excluded.
        UnknownTickerError: if an excluded ticker is not requested.
        UnreadableSourceError: if a line of the file is not a ticker or a row of a table.
        ObjectNotFoundError: if the file does not exist.
    """
    named = set(config.tickers)
    if config.path is None:
        return Universe(without(sorted(named), config.exclude, "the universe") if named else None)
    uri = storage.absolute(config.path)
    file = read_universe_file(uri)
    everything = sorted(named.union(file.tickers))
    if not everything:
        raise DataError(f"the universe is empty: {uri} names no ticker", hint=FORM)
    left = without(everything, config.exclude, "the universe")
    if file.periods is None:
        return Universe(left)
    members = {ticker: periods for ticker, periods in file.periods.items() if market is None or _meets(periods, market)}
    tickers = tuple(ticker for ticker in left if ticker in members or ticker not in file.periods)
    if not tickers and market is not None:
        raise DataError(
            f"the universe is empty: {uri} has no member between {market.start} and {market.end}",
            hint="market.start and market.end, or periods of these dates",
        )
    excluded = len(members.keys() & set(config.exclude))
    return Universe(tickers, {ticker: members[ticker] for ticker in tickers if ticker in members}, excluded)


def _meets(periods: Iterable[Period], market: MarketConfig) -> bool:
    """True if a date of the market lies in one of the periods."""
    return any(first <= market.end and (last is None or last >= market.start) for first, last in periods)


def requested_tickers(config: UniverseConfig, market: MarketConfig | None = None) -> tuple[str, ...] | None:
    """Returns the tickers of `read_universe`, which has the arguments and errors."""
    return read_universe(config, market).tickers


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


def resolve_universe(
    requested: Sequence[str] | None,
    known: Iterable[str],
    source: str,
    exclude: Sequence[str] = (),
    may_lack: float | None = None,
) -> tuple[str, ...]:
    """Returns the universe of the run, sorted: the requested tickers, or all of the source but the excluded ones.

    Args:
        requested: The result of `requested_tickers`.
        known: The tickers of the source.
        source: Name of the source, for error messages.
        exclude: The excluded tickers, which `requested` lacks already.
        may_lack: Largest share of the requested tickers that the source may lack; they are left out here, and the
            quality gate counts them. None if the setting `clean.max_missing_fraction` does not apply.

    Raises:
        UnknownTickerError: if the source lacks more requested tickers, or excluded ones; names similar ones.
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
    wanted = set(requested)
    unknown = sorted(wanted.difference(available))
    share = len(unknown) / max(len(wanted), 1)
    if unknown and (share == 1.0 or share > (may_lack or 0.0)):
        hint = _near(unknown, available, source)
        if may_lack is not None and _SHOWN < len(unknown) < len(wanted):
            enough = min(math.ceil(100 * share) / 100, 0.99)
            hint += f"; or clean.max_missing_fraction={enough:g} to go on without them"
        raise UnknownTickerError(f"{source} has no {_listed(unknown)}", hint=hint)
    return tuple(sorted(wanted.difference(unknown)))


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
