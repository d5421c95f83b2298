"""Real bars with known faults: the files, the result of cleaning, and the true faults.

A row of a fault case is faulty if its prices differ between the raw and the repaired state. It is found if it is
rejected, or kept apart: in a segment without valid rows, so that no window and no label contains both kinds.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd  # noqa: TID253 - nothing here is loaded by the package
import pyarrow as pa

from cloudlstm.config import CleanConfig, MarketConfig
from cloudlstm.market import bars
from cloudlstm.market.calendar import sessions
from cloudlstm.market.cleaning.clean import Cleaned, clean
from cloudlstm.market.sources.files.tabular import Content, parse

CONFIG = CleanConfig()
PRICES = list(bars.PRICES)
CORE = "core6_daily_2010_2024.csv.gz"
MEMBERS = "sp205_close_adjclose_2010_2023.parquet"
MORE_MEMBERS = "sp500_rest_adjusted_2010_2023.parquet"
BROAD = "us_broad_google_2014_2017.parquet"
LEAN = "raw_unadjusted_lean_2010_2021.csv.gz"
CASES = "dirty_yahoo_repair_cases.csv.gz"
DROPS = "landing_pystock_2015"

PRICE_FAULTS = ("100x-error", "bad-stock-split")
CONTROL = "no-bad-divs"


def data(name: str) -> Path:
    """A file or folder of the real data."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("CLOUDLSTM_DATA") or beside) / name


def _read(path: Path) -> pa.Table:
    config = MarketConfig.model_validate({"source": "files", "path": str(path), "start": "1970-01-02"})
    return parse(Content(path.read_bytes(), path.as_uri()), config).bars


@cache
def parsed(name: str) -> pa.Table:
    """BARS of a file, or of all files of a folder in order of arrival, as the source `files` reads them."""
    path = data(name)
    paths = sorted(path.iterdir()) if path.is_dir() else [path]
    tables = [_read(each) for each in paths]
    return bars.sort(pa.concat_tables(tables).unify_dictionaries())


def cleaned(table: pa.Table, calendar: str | None = "XNYS") -> Cleaned:
    """Cleans bars like the step clean. Without a calendar, the sessions are the dates in the table."""
    days = table["date"].cast(pa.int32()).drop_null().to_numpy()
    if calendar is None:
        return clean(table, CONFIG, np.unique(days))
    first, last = (dt.date(1970, 1, 1) + dt.timedelta(days=int(day)) for day in (days.min(), days.max()))
    return clean(table, CONFIG, sessions(calendar, first, last))


@cache
def result_of(name: str) -> Cleaned:
    """Returns the result of cleaning a file."""
    return cleaned(parsed(name))


def cases() -> Iterator[tuple[str, str, pd.DataFrame, pd.DataFrame]]:
    """(problem, ticker, raw, repaired) of every recorded fault; a control is its own repair."""
    table = pd.read_csv(data(CASES))
    table["date"] = pd.to_datetime(table.date.str[:10]).dt.date
    for (problem, ticker), both in table.groupby(["problem", "ticker"]):
        by_state = {state: part.sort_values("date").reset_index(drop=True) for state, part in both.groupby("state")}
        yield problem, ticker, by_state["raw"], by_state.get("fixed", by_state["raw"])


def to_bars(frame: pd.DataFrame) -> pa.Table:
    """BARS of a frame with the columns of the tidy schema."""
    table = pa.table(
        {
            "ticker": pa.array(frame.ticker, pa.string()),
            "date": pa.array(frame.date, pa.date32()),
            **{name: pa.array(frame[name].astype(float), from_pandas=True) for name in (*PRICES, "adj_close")},
            "volume": pa.array(np.rint(frame.volume), from_pandas=True).cast(pa.int64()),
            "source": ["case"] * len(frame),
        }
    )
    return bars.sort(bars.conform(table, bars.BARS))


def faulty_dates(raw: pd.DataFrame, fixed: pd.DataFrame) -> set[dt.date]:
    """Dates of the rows whose prices were repaired."""
    return set(raw.date[(np.abs(raw[PRICES] / fixed[PRICES] - 1) > 1e-3).any(axis=1)])


def kept_bars(result: Cleaned) -> pd.DataFrame:
    """Returns the kept bars, without filled ones."""
    table = result.bars.to_pandas()
    return table[~table.filled]


def apart(result: Cleaned, faulty: set[dt.date]) -> set[dt.date]:
    """Returns the dates of one ticker in segments with faulty bars only."""
    segments = kept_bars(result).groupby("segment").date.agg(set)
    return set().union(*(dates for dates in segments if dates <= faulty))


def lean_splits() -> Iterator[tuple[str, dt.date]]:
    """(ticker, first day after it) of the splits in the factor files, under the tickers of today."""
    factors = pd.read_csv(data("raw_unadjusted_lean_factors.csv.gz"), parse_dates=["date"])
    for ticker, rows in factors.groupby("ticker"):
        ratio = (rows.split_factor / rows.split_factor.shift(-1)).to_numpy()
        for place in np.flatnonzero(np.abs(np.log(ratio[:-1])) > 0.1):
            yield ticker, rows.date.iloc[place].date()


def in_other_segments(result: Cleaned, ticker: str, last: dt.date) -> bool:
    """True if the bars up to a day and the bars after it are in different segments."""
    table = kept_bars(result)
    table = table[table.ticker == ticker]
    before, after = table[table.date <= last], table[table.date > last]
    return bool(len(before) and len(after)) and before.segment.iloc[-1] != after.segment.iloc[0]


def drop_splits() -> list[tuple[str, dt.date]]:
    """(ticker, last day before it) where close and adj_close of one drop differ by a simple ratio."""
    found = []
    for path in sorted(data(DROPS).iterdir()):
        table = _read(path).to_pandas().dropna(subset=["ticker", "date"])
        table = table[(table[[*PRICES, "adj_close"]] > 0).all(axis=1)]
        table = table.drop_duplicates(["ticker", "date"], keep="last").sort_values(["ticker", "date"])
        factor = np.log(table.adj_close / table.close)
        change = factor.groupby(table.ticker, observed=True).diff().shift(-1)
        found += [(row.ticker, row.date) for row in table[change.abs() > 0.2].itertuples()]
    return found


def rebased(name: str) -> list[tuple[str, dt.date]]:
    """(ticker, last day before it) where the price level changed, as later bars show: mostly unmarked splits.

    The bar opened more than a factor 1.42 away from the last close, the median of the next ten bars stayed there, and
    less than four times the usual money was traded. After news, more is traded and prices move on.
    """
    table = parsed(name).to_pandas()
    found = []
    for ticker, rows in table[(table[PRICES] > 0).all(axis=1)].groupby("ticker", observed=True):
        opened, close, money = np.log(rows.open.to_numpy()), np.log(rows.close.to_numpy()), rows.volume * rows.close
        for at in np.flatnonzero(np.abs(opened[1:] - close[:-1]) > 0.35) + 1:
            if at < 10 or len(close) - at < 10:
                continue
            level = np.median(close[at : at + 10]) - np.median(close[at - 10 : at])
            gap = opened[at] - close[at - 1]
            stands = abs(level - gap) < 0.25 and abs(close[at] - opened[at]) < 0.15
            if stands and money.iloc[at] < 4.0 * money.iloc[max(at - 20, 0) : at].median():
                found.append((ticker, rows.date.iloc[at - 1]))
    return found
