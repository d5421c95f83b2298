"""Writes daily bars of a synthetic market, 2018 to 2024, as if they had been recorded: one CSV file for each ticker.

    python examples/recorded_market.py s3://BUCKET/runs/market

A model on these files lives through any of their days, by `cloudlstm daily NAME --now=2024-06-28T22:00` or by the moved
clock of an emulated cloud. A day sees no bar that was not yet known then.
"""

from __future__ import annotations

import io
import sys

import pyarrow.csv

from cloudlstm import storage
from cloudlstm.config import parse
from cloudlstm.market.sources.synthetic import SyntheticSource

SETTINGS = {
    "market": {
        "source": "synthetic",
        "start": "2018-01-02",
        "end": "2024-12-31",
        "synthetic": {"tickers": 4, "signal_r2": 0.1, "missing_days": 0.0, "bad_ticks": 0.0, "late_listings": 0.0},
    }
}


def main(folder: str) -> None:
    """Writes the files into a folder or below the URI of a bucket."""
    source = SyntheticSource.open(parse(SETTINGS).market, None)
    for partition in source.partitions():
        bars = source.read(partition).to_pandas()
        for ticker, own in bars.groupby("ticker", observed=True):
            columns = own[["date", "open", "high", "low", "close", "volume"]]
            file = io.BytesIO()
            pyarrow.csv.write_csv(pyarrow.Table.from_pandas(columns, preserve_index=False), file)
            storage.write(f"{folder.rstrip('/')}/{ticker}.csv", file.getvalue())
            print(f"wrote {ticker}.csv: {len(own)} bars to {own['date'].max()}")


if __name__ == "__main__":
    main(*sys.argv[1:])
