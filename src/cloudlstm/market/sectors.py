"""The sectors of tickers, from a CSV file with the header `ticker,sector`."""

from __future__ import annotations

from cloudlstm import storage
from cloudlstm.errors import UnreadableSourceError
from cloudlstm.market.ticker_file import TickerFile, split_fields

OTHER = "other"
"""The sector of a ticker that the file does not name, or names without a sector."""
HEADER = ("ticker", "sector")
_FORM = "a table with the header ticker,sector"
_MOST_LETTERS = 60


def read_sectors(uri: str) -> dict[str, str]:
    """Ticker -> sector, sorted by ticker; a ticker that is not in it has the sector OTHER.

    Args:
        uri: A file or storage URI: UTF-8, `#` starts a comment. A name that contains commas stands in quotes.

    Raises:
        UnreadableSourceError: if the file is no such table, or a ticker has two sectors.
        ObjectNotFoundError: if the file does not exist.
    """
    file = TickerFile(storage.absolute(uri), "universe.sectors", "the sectors", _FORM)
    lines = file.lines()
    number, header = next(lines, (1, ""))
    if tuple(field.lower() for field in split_fields(header)) != HEADER:
        raise UnreadableSourceError(
            f"line {number} of the sectors {file.uri} is not the header ticker,sector: {header[:_MOST_LETTERS]!r}",
            hint=_FORM,
        )
    found: dict[str, tuple[str, int]] = {}
    for number, text in lines:
        name, sector = file.fields(number, text, len(HEADER))
        ticker = file.ticker(number, name)
        sector = sector or OTHER
        if len(sector) > _MOST_LETTERS or not sector.isprintable():
            raise UnreadableSourceError(
                f"line {number} of the sectors {file.uri} has no name of a sector: {sector[:_MOST_LETTERS]!r}",
                hint=f"up to {_MOST_LETTERS} printable characters",
            )
        known, above = found.setdefault(ticker, (sector, number))
        if known != sector:
            raise UnreadableSourceError(
                f"line {number} of the sectors {file.uri}: {ticker} has another sector in line {above}",
                hint="one sector for each ticker",
            )
    return {ticker: sector for ticker, (sector, _) in sorted(found.items())}
