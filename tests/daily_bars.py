"""Bars that a vendor publishes day by day in one CSV file, with everything that happens to histories."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from cloudlstm.config import RunConfig, SyntheticConfig, parse
from cloudlstm.market import bars, columns
from cloudlstm.market.calendar import sessions, to_date, to_days
from cloudlstm.market.sources.synthetic import make_bars, ticker_names

START = dt.date(2023, 1, 3)
END = dt.date(2023, 12, 29)
SESSIONS = sessions("XNYS", START, END)
DAYS = [to_date(day) for day in SESSIONS.tolist()]
_COLUMNS = [name for name in bars.VALUES.names if name != "source"]


def config_of(path: object, **market: object) -> RunConfig:
    """The settings of the source "files" for a file."""
    return parse(
        {
            "market": {"source": "files", "path": str(path), "start": START, "end": END, "tickers_per_shard": 4}
            | market,
            "dataset": {"train_end": dt.date(2023, 6, 1), "validation_end": dt.date(2023, 9, 1)},
            "prepare": {"engine": "local"},
        }
    )


@dataclass(slots=True)
class Vendor:
    """The histories of some tickers as a vendor has them now.

    Attributes:
        tables: Ticker -> all its bars, also those of later days.
        last: Ticker -> its last day, if it is delisted.
        first_shown: Ticker -> the day from which on the file has it.
    """

    tables: dict[str, pa.Table]
    last: dict[str, dt.date] = field(default_factory=dict)
    first_shown: dict[str, dt.date] = field(default_factory=dict)

    @classmethod
    def synthetic(cls, tickers: int = 8, seed: int = 7) -> Vendor:
        """Synthetic bars, with faults such as duplicates and missing days."""
        config = SyntheticConfig(tickers=tickers, seed=seed, missing_days=0.01, bad_ticks=0.01)
        names = ticker_names(config)
        table = make_bars(config, names, SESSIONS)
        parts = {name: table.filter(pa.compute.equal(table.column("ticker").cast(pa.string()), name)) for name in names}
        return cls(parts)

    def split(self, ticker: str, day: dt.date, ratio: float) -> None:
        """Rescales all bars before `day` as a vendor does after a split."""
        self._change(ticker, columns.days(self.tables[ticker].column("date")) < to_days(day), 1.0 / ratio, ratio)

    def correct(self, ticker: str, day: dt.date, factor: float) -> None:
        """Multiplies the closes of one day."""
        self._change(ticker, columns.days(self.tables[ticker].column("date")) == to_days(day), factor, 1.0, ["close"])

    def _change(
        self,
        ticker: str,
        rows: np.ndarray,
        prices: float,
        volume: float,
        names: Iterable[str] = (*bars.PRICES, "adj_close"),
    ) -> None:
        table = self.tables[ticker]
        for name in (*names, "volume"):
            value = columns.one_chunk(table.column(name)).to_numpy().copy()
            value[rows] = value[rows] * (volume if name == "volume" else prices)
            table = table.set_column(table.column_names.index(name), name, pa.array(value))
        self.tables[ticker] = table

    def bars(self, day: dt.date) -> pa.Table:
        """What the file has on a day, in order of tickers and dates."""
        shown = []
        for ticker, table in self.tables.items():
            if day >= self.first_shown.get(ticker, START):
                last = to_days(min(day, self.last.get(ticker, day)))
                shown.append(table.filter(pa.array(columns.days(table.column("date")) <= last)))
        return pa.concat_tables(shown).unify_dictionaries()

    def publish(self, day: dt.date, path: Path) -> None:
        """Writes the file of a day."""
        table = self.bars(day).select(_COLUMNS)
        table = table.set_column(0, "ticker", table.column("ticker").cast(pa.string()))
        pa.csv.write_csv(table, path)
