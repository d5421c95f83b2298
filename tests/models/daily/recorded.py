"""A recorded market: CSV files that grow, change and end, and a model that lives on them."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from cloudlstm import storage
from cloudlstm.config import parse
from cloudlstm.market.calendar import opening, sessions, to_date
from cloudlstm.market.sources.synthetic import SyntheticSource
from cloudlstm.models.paths import ModelPaths

CALENDAR = "XNYS"
START, FIRST_DAY, END = dt.date(2018, 1, 2), dt.date(2021, 6, 30), dt.date(2021, 12, 31)
WINDOW = 10

CONFIG = """
name = "small"
[market]
source = "files"
path = "{path}"
start = 2018-01-02
end = 2021-06-30
[dataset]
window_bars = 10
train_end = 2020-06-30
validation_end = 2020-12-31
[model]
units = 4
[train]
epochs = 1
batch_windows = 512
[prepare]
engine = "local"
"""


def write_market(folder: Path, tickers: int = 4) -> Path:
    """Writes one CSV file a ticker, and returns their folder."""
    settings = {
        "market": {"source": "synthetic", "start": str(START), "end": str(END),
                   "synthetic": {"tickers": tickers, "missing_days": 0.0, "bad_ticks": 0.0, "splits": 0.0,
                                 "late_listings": 0.0, "signal_r2": 0.2}},
        "dataset": {"train_end": "2020-06-30", "validation_end": "2020-12-31"},
    }  # fmt: skip
    source = SyntheticSource.open(parse(settings).market, None)
    table = pa.concat_tables([source.read(each) for each in source.partitions()])
    folder.mkdir(parents=True)
    for ticker in pc.unique(table["ticker"].cast(pa.string())).to_pylist():
        own = table.filter(pc.equal(table["ticker"].cast(pa.string()), ticker))
        own = own.select(["date", "open", "high", "low", "close", "volume"])
        pa.csv.write_csv(own, folder / f"{ticker}.csv")
    return folder


def change_rows(file: Path, dates: set[str], factor: float) -> None:
    """Multiplies the prices of some dates of a file; a volume stays."""
    lines = file.read_text().splitlines()
    for place, line in enumerate(lines[1:], 1):
        date, *prices, volume = line.split(",")
        if date.strip('"') in dates:
            lines[place] = ",".join([date, *(repr(float(price) * factor) for price in prices), volume])
    file.write_text("\n".join(lines) + "\n")


def evenings(first: dt.date, number: int) -> Iterator[tuple[dt.date, dt.datetime]]:
    """Sessions from `first` on, each with a moment after its close and before the next opening."""
    days = [to_date(int(day)) for day in sessions(CALENDAR, first, END)]
    for day in days[:number]:
        yield day, dt.datetime(day.year, day.month, day.day, 23, 30, tzinfo=dt.UTC)


def stamp(ledger: Path) -> None:
    """Sets the modification times of a ledger to the evening before, as if it had been written in those days."""
    for file in ledger.glob("*.json"):
        moment = opening(CALENDAR, dt.date.fromisoformat(file.stem)) - 36_000
        os.utime(file, (moment, moment))


def objects(paths: ModelPaths) -> dict[str, str]:
    """Every object of the model and of the store of bars, with its checksum; without times."""
    root = paths.root
    found = {}
    for part in (paths.uri + "/", f"{root}/bars/"):
        for item in storage.list_objects(part):
            name = item.uri.removeprefix(root)
            if "/usage/" not in name and not name.endswith("monitor.html"):
                found[name] = hashlib.sha256(storage.read(item.uri)).hexdigest()
    return found
