"""The file of `universe.path`: a list of tickers, or a table of the periods in which each was a member.

A list has one ticker a line. A table begins with the header `ticker,from,to`; a ticker with several periods has several
rows. Both dates belong to the period; an empty `to` means that the ticker is still a member.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, pairwise

from cloudlstm.errors import UnreadableSourceError
from cloudlstm.market.ticker_file import TickerFile, split_fields

HEADER = ("ticker", "from", "to")
FORM = "one ticker a line, or a table with the header ticker,from,to"

Period = tuple[dt.date, dt.date | None]
"""The first and the last date of a membership; None without an end."""


@dataclass(frozen=True, slots=True)
class UniverseFile:
    """The content of the file.

    Attributes:
        tickers: All tickers, sorted and unique.
        periods: Ticker -> its periods in order of time, which do not overlap; None for a list.
    """

    tickers: tuple[str, ...]
    periods: Mapping[str, tuple[Period, ...]] | None


def read_universe_file(uri: str) -> UniverseFile:
    """Reads a universe file.

    Raises:
        UnreadableSourceError: if a line is not a ticker or a row of the table, or periods of a ticker overlap.
        ObjectNotFoundError: if the file does not exist.
    """
    file = TickerFile(uri, "universe.path", "the universe", FORM)
    lines = file.lines()
    first = next(lines, None)
    if first is None:
        return UniverseFile((), None)
    if tuple(field.lower() for field in split_fields(first[1])) == HEADER:
        periods = _table(file, lines)
        return UniverseFile(tuple(sorted(periods)), periods)
    return UniverseFile(tuple(sorted({file.ticker(*line) for line in chain([first], lines)})), None)


def _table(file: TickerFile, lines: Iterator[tuple[int, str]]) -> dict[str, tuple[Period, ...]]:
    found: dict[str, list[tuple[Period, int]]] = {}
    for number, text in lines:
        name, start, end = file.fields(number, text, len(HEADER))
        first = file.date(number, start)
        last = file.date(number, end) if end else None
        ticker = file.ticker(number, name)
        if last is not None and first > last:
            raise UnreadableSourceError(
                f"line {number} of the universe {file.uri}: the period of {ticker} begins {first} and ends {last}",
                hint="exchange the dates; a ticker that is still a member has no date in the column to",
            )
        found.setdefault(ticker, []).append(((first, last), number))
    return {ticker: _in_order(file, ticker, rows) for ticker, rows in found.items()}


def _in_order(file: TickerFile, ticker: str, rows: list[tuple[Period, int]]) -> tuple[Period, ...]:
    """The periods of a ticker in order of time; UnreadableSourceError if two overlap."""
    rows = sorted(rows, key=lambda row: row[0][0])
    for (before, above), (after, below) in pairwise(rows):
        if before[1] is None or after[0] <= before[1]:
            raise UnreadableSourceError(
                f"line {max(above, below)} of the universe {file.uri}: the period of {ticker} overlaps that of line "
                f"{min(above, below)}",
                hint="join the two periods; both dates of a row belong to its period",
            )
    return tuple(period for period, _ in rows)
