"""Writes the bars that all contenders of the group "data" read: a synthetic market as Parquet, as a user would have it.

    python data_input.py --output=FOLDER --tickers=1000

Fifteen years of daily bars with a vendor's faults (zeros, high below low, decimal errors, repeated bars, missing days),
in 16 files of whole tickers, sorted by ticker and date: ticker, date, open, high, low, close, volume. Prints
the number of rows as JSON.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from cloudlstm.config import MarketConfig
from cloudlstm.market.calendar import sessions
from cloudlstm.market.sources.synthetic import make_bars, ticker_names

FILES = 16
COLUMNS = ("ticker", "date", "open", "high", "low", "close", "volume")


def write(folder: Path, tickers: int, files: int = FILES) -> int:
    """Writes the files and returns the number of rows."""
    market = MarketConfig.model_validate({"source": "synthetic", "synthetic": {"tickers": tickers}})
    days = sessions(market.calendar, market.start, market.end)
    names, rows = ticker_names(market.synthetic), 0
    folder.mkdir(parents=True, exist_ok=True)
    size = -(-len(names) // files)
    for number in range(-(-len(names) // size)):
        table = make_bars(market.synthetic, names[number * size : (number + 1) * size], days).select(COLUMNS)
        schema = table.schema.set(0, table.schema.field("ticker").with_type(pa.string()))
        pq.write_table(table.cast(schema), folder / f"bars-{number:02d}.parquet")
        rows += table.num_rows
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--tickers", type=int, default=1000)
    args = parser.parse_args()
    print(json.dumps({"units": write(args.output, args.tickers)}))
