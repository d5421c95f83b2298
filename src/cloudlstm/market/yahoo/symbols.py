"""Tickers as Yahoo spells them."""

from __future__ import annotations

_ONE_LETTER_EXCHANGES = frozenset("FLTV")
"""Frankfurt, London, Tokyo and TSX Venture; any other single letter behind a dot is a class of shares."""


def symbol_of(ticker: str) -> str:
    """Yahoo's symbol of a ticker.

    Yahoo keeps the dot for the exchange (GS2C.DE, 0700.HK, VOD.L) and writes a class of shares with a hyphen: BRK.B is
    BRK-B, and BBD.B.TO, a class in Toronto, BBD-B.TO. Indices, currencies and futures (^GSPC, EURUSD=X, ES=F) stay as
    they are. A class of shares called F, L, T or V has to be written with the hyphen.
    """
    *stem, last = ticker.split(".")
    if not stem:
        return ticker
    is_class = len(last) == 1 and last.isalpha() and last not in _ONE_LETTER_EXCHANGES
    return "-".join(stem) + ("-" if is_class else ".") + last
