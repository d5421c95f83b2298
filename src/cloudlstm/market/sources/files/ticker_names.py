"""Takes a ticker from the name of a file or folder, if the file has no column of tickers.

AAPL.csv, ticker=AAPL/part-0.parquet, AAPL/2024.csv, daily_adjusted_AAPL.csv and "AAPL Historical Data.csv" are all bars
of AAPL. A name that nobody gives to a ticker, such as part-0 or prices, is refused.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from cloudlstm.config.tickers import ticker
from cloudlstm.errors import UnreadableSourceError
from cloudlstm.market.sources.files import column_names

_SUFFIX = re.compile(r"(\.(csv|txt|tsv|parquet|pq|gz|zip|snappy|zstd|lz4))+$", re.IGNORECASE)


_KIND = r"(?:daily|1d|d1|day|eod|adjusted|unadjusted|historical|history|ohlcv?|max|1m|1h|m1|h1|1min|1wk|1mo|weekly)"
_BEFORE = re.compile(
    rf"^(?:time[_ ]series[_ ])?(?:(?:{_KIND}|prices?|data|bars?|stocks?|quotes?|export|ticker|symbol)[_ -]"
    r"|stock_day_)+(?=.)",
    re.IGNORECASE,
)
_HISTORY = (
    r"(?:historical (?:data|prices)|stock price history|historische (?:daten|kursdaten|gegevens|data)"
    r"|datos hist[oó]ricos|donn[eé]es historiques|dados hist[oó]ricos|dati storici|исторические данные"
    r"|прошлые данные|geçmiş verileri|historiska data|dane historyczne|历史数据|歷史數據|過去データ|과거 데이터)"
)
"""What Investing.com adds to a ticker, in its languages."""
_PERIOD = r"(?:19|20)\d\d(?:-?(?:0[1-9]|1[0-2])(?:-?(?:0[1-9]|[12]\d|3[01])(?:\d{4})?)?|[_-]?q[1-4])?"
"""A year, a month, a day, a minute or a quarter."""
_BEHIND = re.compile(
    rf"(?:[_ -]{_KIND}(?:[_ -](?:data|prices?|bars?))?| (?:- )?{_HISTORY}"
    r"|[_ -](?:stock[_ ])?(?:data|prices?|bars?|dataset|quotes?|stock)| ?\(\d+\)| - copy"
    rf"|[_ -]{_PERIOD}(?:[_ -](?:to[_ -])?{_PERIOD})?|[_ -]part[_ -]?\d+|[_ -]\d+ ?y(?:ears?|rs?)?)$",
    re.IGNORECASE,
)
_STOOQ = re.compile(r"^([a-z0-9^.-]+)_([a-z]{2})_[dwm]$")
_TRADINGVIEW = re.compile(r"^[A-Z]+(?:_DLY)?_([^,]+), ?\w+$")
_YEAR = re.compile(rf"^({_PERIOD})$", re.IGNORECASE)
_PART_OF_A_WHOLE = re.compile(
    r"^(part[-_]?\d.*|[-_]?\d+[-_]of[-_]\d+|chunk.*|shard.*|\d{1,2}|q[1-4]"
    r"|[0-9a-f]{16,}.*|page[-_]?\d+|export.*|data[-_]?\d*)$",
    re.IGNORECASE,
)
_GENERIC = frozenset(
    column_names.listed(
        "bar bars candles chart csv data dataset datasets daily download downloads eod equities equity etfs "
        "export file files history historical historicaldata historicalquotes hourly index indices intraday "
        "kaggle kurse market marketdata merged minute ohlc ohlcv output panel portfolio price prices quote "
        "quotes result results sample series share shares sheet stock stockdata stocks symbols table tabelle "
        "tickers timeseries train universe untitled wiki yahoo yfinance"
    )
)
"""Words that name files and folders of bars, and not a ticker."""

_FILLERS = frozenset(column_names.listed("all any first input last my new old out raw temp test time tmp"))
"""Words that are a ticker only if they stand alone."""


def ticker_of(item: str, folder: str, first_year: int | None, key: str = "") -> str:
    """Returns the ticker that a file or its folder is named after.

    Args:
        item: The file, see contents.py.
        folder: URI of the folder of all files; only the names below it count.
        first_year: Year of the file's first bar; None if it has none. It tells whether 2002.csv names a year.
        key: `market.columns.ticker`: the KEY of folders KEY=AAPL, if it is no usual name.

    Raises:
        UnreadableSourceError: if neither is named after a ticker.
    """
    below = item.removeprefix(folder).replace(".zip!/", "/")
    *folders, file_name = below.split("/")
    for part in reversed(folders):
        name, equals, value = part.partition("=")
        if equals and (name == key or column_names.column_of(name) == "ticker") and (found := ticker(unquote(value))):
            return found
    stem = _SUFFIX.sub("", file_name)
    for text in (stem, *reversed([part for part in folders if "=" not in part])):
        if _YEAR.match(text):
            if first_year is not None and int(text[:4]) != first_year and (found := ticker(text)):
                return found
            continue
        if found := _ticker_in(text):
            return found
        if not (_PART_OF_A_WHOLE.match(text) or _GENERIC.issuperset(_words(text))):
            break
    raise UnreadableSourceError(
        f"{item} has no column of tickers, and its name is not a ticker",
        hint="market.ticker=AAPL for bars of one ticker, or market.columns.ticker=NAME, or name each file after its "
        "ticker, as in AAPL.csv",
    )


def _ticker_in(text: str) -> str | None:
    """Returns the ticker in the name of a file or folder; None if it names something else."""
    if found := _STOOQ.match(text):  # aapl_us_d.csv
        return ticker(f"{found[1]}.{found[2]}")
    if found := _TRADINGVIEW.match(text):  # "NASDAQ_AAPL, 1D.csv"
        return ticker(found[1])
    name = _BEFORE.sub("", text.strip())
    words = _words(name)
    if len(words) > 1 and _FILLERS.intersection(words):
        return None
    before = None
    while name != before:
        before, name = name, _BEHIND.sub("", name)
    name = name.strip("[]{}' ")
    if _PART_OF_A_WHOLE.match(name) or _is_generic(name):
        return None
    return ticker(name)


def _is_generic(text: str) -> bool:
    words = _words(text)
    return not words or bool(_GENERIC.intersection(words))


def _words(text: str) -> list[str]:
    return [word.rstrip("0123456789") or word for word in re.split(r"[\W_]+", text.lower()) if word]
