"""The names that files give to the columns of bars, in several languages, and which column of a file is which.

Case, accents, blanks and punctuation are ignored, and so is a number in front, as in "1. open".
"""

from __future__ import annotations

import difflib
import re
import shlex
import unicodedata
from collections.abc import Mapping, Sequence

_WRITTEN = {
    "ticker": (
        "ticker, symbol, tickersymbol, stocksymbol, ticker symbol, stock symbol, symbols, tickers, tckr symb, "
        "ts code, instrument, security, secid, ric, stockcode, code, stock, scrip, tradingsymbol, name, kürzel, "
        "symbole, símbolo, simbolo, ativo, тикер, 股票代码, 股票代碼, 证券代码, 證券代號, 代码, 代碼, "
        "代號, 銘柄コード, コード, 종목코드"
    ),
    "date": (
        "date, datetime, timestamp, time, day, tradedate, tradingdate, trading day, trade day, trad dt, "
        "open time, opentime, datum, fecha, data, data pregão, jour, дата, 日期, 交易日期, 交易日, 時間, "
        "时间, 日付, 日付け, 날짜, "
        "일자, tarih, päivä, dato, ds"
    ),
    "open": (
        "open, opn pric, openprice, opening price, price open, eröffnung, eroeffnung, eröffn, eröffnungskurs, "
        "erster, apertura, abertura, ouverture, ouv, openen, öppning, åpning, avaus, açılış, otwarcie, откр, "
        "открытие, цена открытия, 开盘, 開盤, 开盘价, 開盤價, 始値, 시가"
    ),
    "high": (
        "high, hgh pric, highprice, price high, day high, hoch, tageshoch, höchst, höchstkurs, máximo, máxima, "
        "massimo, plus haut, haut, hoog, högsta, yüksek, najwyższy, maks, max, макс, максимум, "
        "максимальная цена, 高, 最高, 最高价, 最高價, 高値, 고가"
    ),
    "low": (
        "low, lw pric, lowprice, price low, day low, tief, tagestief, tiefst, tiefstkurs, mínimo, mínima, "
        "minimo, plus bas, bas, laag, lägsta, düşük, najniższy, min, мин, минимум, минимальная цена, 低, "
        "最低, 最低价, "
        "最低價, 安値, 저가"
    ),
    "close": (
        "close, cls pric, closeprice, closing price, price close, close last, last close, price, last, "
        "last price, schluss, schlusskurs, zuletzt, letzter, cierre, fechamento, chiusura, clôture, cloture, "
        "dernier, último, ultimo, slot, slotkoers, laatste, stängning, kapanış, şimdi, zamknięcie, ostatnio, "
        "цена, закрытие, цена закрытия, 收盘, 收盤, 收盘价, 收盤價, 終値, 종가"
    ),
    "adj_close": (
        "adj close, adjusted close, adjusted, adj, adjusted closing price, close adj, close adjusted, "
        "adj close price, 调整后收盘价, 調整後終値"
    ),
    "volume": (
        "volume, tick vol, tick volume, vol, number of shares, shares, stück, stuecke, stücke, share volume, "
        "shares traded, total trade quantity, total traded quantity, traded volume, trade volume, ttl trd qnty, "
        "tottrdqty, ttl tradg vol, volumen, umsatz, volumes, объём, объем, 成交量, 成交股數, 成交股数, "
        "交易量, 出来高, 거래량, "
        "hacim, hac, wolumen, wol, obrót"
    ),
}

ALIASES = {column: tuple(names.split(", ")) for column, names in _WRITTEN.items()}
"""Columns of bars -> names in files, the most certain one first."""

UNCERTAIN = frozenset(
    ("instrument", "security", "secid", "stockcode", "code", "stock", "scrip", "name", "symbole", "simbolo", "ativo")
)
"""Names of a column of tickers that can also be one of something else, such as a company or a currency."""

NONE = "-"
"""Value of `market.columns.ticker` that says that a file has no such column."""

OPTIONAL = ("ticker", "adj_close")
"""Columns that a file need not have."""

REQUIRED = tuple(column for column in ALIASES if column not in OPTIONAL)

_NUMBERED = re.compile(r"^\s*\d+[a-z]?[.)]\s*(?=\D)")
_IGNORED = re.compile(r"[\W_]+")
_ACCENTS = re.compile("[\u0300-\u036f]")
_NAMELESS = re.compile(r"^(unnamed\d*|indexlevel\d+|index|)$")


def listed(words: str) -> list[str]:
    """Returns the words of a text."""
    return words.split()


def plain(name: str) -> str:
    """Returns a column's name without case, accents, blanks and punctuation; letters of every script stay."""
    text = unicodedata.normalize("NFKD", _NUMBERED.sub("", name).casefold())
    return _IGNORED.sub("", unicodedata.normalize("NFC", _ACCENTS.sub("", text)))


_PLAIN = {column: tuple(dict.fromkeys(plain(alias) for alias in aliases)) for column, aliases in ALIASES.items()}
_COLUMN_OF = {alias: column for column, aliases in reversed(_PLAIN.items()) for alias in aliases}


def column_of(name: str) -> str | None:
    """Returns the column of bars that a name usually stands for; None if it stands for none."""
    return _COLUMN_OF.get(plain(name))


def is_uncertain(name: str) -> bool:
    """True for a name of a column of tickers that can also be one of something else."""
    return plain(name) in UNCERTAIN


def is_nameless(name: str) -> bool:
    """True for a name that programs write for an index without a name: "", "Unnamed: 0", "__index_level_0__"."""
    return bool(_NAMELESS.match(plain(name)))


def match(names: Sequence[str], mapping: Mapping[str, str]) -> tuple[dict[str, int], dict[str, list[int]]]:
    """Finds the columns of bars among a file's columns.

    Args:
        names: The file's column names.
        mapping: Column of bars -> the file's name for it, from `market.columns`; used before `ALIASES`.

    Returns:
        Column of bars -> position in `names`; and column -> positions, where several names fit equally.
    """
    places: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        places.setdefault(plain(name), []).append(place)
    found: dict[str, int] = {}
    unclear: dict[str, list[int]] = {}
    for column, aliases in _PLAIN.items():
        if mapping.get(column) == NONE:
            continue
        if column in mapping:
            exact = [place for place, name in enumerate(names) if name == mapping[column]]
            candidates = exact or places.get(plain(mapping[column]), [])
        else:
            candidates = next((places[alias] for alias in aliases if alias in places), [])
        if len(candidates) > 1:
            unclear[column] = candidates
        if candidates:
            found[column] = candidates[0]
    return found, unclear


def suggestions(missing: Sequence[str], names: Sequence[str], found: Mapping[str, int]) -> str:
    """Returns the settings for missing columns, one for each, as words that can be typed.

    Args:
        missing: The columns of bars without a column in the file.
        names: The file's column names.
        found: The columns that were found; their names are not suggested again.
    """
    free = [name for place, name in enumerate(names) if place not in found.values() and name.strip()]
    words = []
    for column in missing:
        near = [name for name in free if any(alias in plain(name) for alias in _PLAIN[column] if len(alias) > 2)]
        by_plain = {plain(name): name for name in free}
        similar = difflib.get_close_matches(column, by_plain, n=1, cutoff=0.75)
        near = near or [by_plain[name] for name in similar]
        if near:
            free.remove(near[0])
        words.append(f"market.columns.{column}={shlex.quote(near[0].strip()) if near else 'NAME'}")
    return " ".join(words)
