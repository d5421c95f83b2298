"""qlib: expressions over its own binary store.

    begin=files    writes the store from the files (cleaned with pandas), then computes the features
    begin=store    computes the features from a store that is there already

qlib keeps float32 values and one row for each session of its calendar.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import qlib
from contender import Clock, Done, Task, main
from data_pandas import valid_bars
from qlib.data import D

FIELDS = ("open", "high", "low", "close", "volume")
EXPRESSIONS = {
    **{name: f"${name}" for name in FIELDS},
    "ma7": "Mean($close, 7)",
    "ma21": "Mean($close, 21)",
    "daily_return": "$close / Ref($close, 1) - 1",
}


def write_store(bars: pd.DataFrame, store: Path) -> None:
    """Writes the layout that qlib reads: a calendar, the instruments, and a file of float32 for each field."""
    sessions = np.sort(bars.date.unique())
    for folder in ("calendars", "instruments", "features"):
        (store / folder).mkdir(parents=True, exist_ok=True)
    days = pd.DatetimeIndex(sessions).strftime("%Y-%m-%d")
    (store / "calendars" / "day.txt").write_text("\n".join(days) + "\n")
    lines = []
    for ticker, part in bars.groupby("ticker", sort=True):
        place = np.searchsorted(sessions, part.date.to_numpy())
        first, last = int(place[0]), int(place[-1])
        lines.append(f"{ticker}\t{days[first]}\t{days[last]}")
        folder = store / "features" / str(ticker).lower()
        folder.mkdir(exist_ok=True)
        for name in FIELDS:
            column = np.full(last - first + 2, np.nan, "<f4")
            column[0] = first
            column[place - first + 1] = part[name].to_numpy()
            column.tofile(folder / f"{name}.day.bin")
    (store / "instruments" / "all.txt").write_text("\n".join(lines) + "\n")


def from_store(task: Task, store: Path) -> None:
    """Computes the features of all tickers and writes them."""
    qlib.init(
        provider_uri=str(store), region="us", kernels=task.threads, logging_level=40, expression_cache=None,
        dataset_cache=None, clear_mem_cache=True,
    )  # fmt: skip
    features = D.features(D.instruments("all"), list(EXPRESSIONS.values()), freq="day")
    features.columns = list(EXPRESSIONS)
    features = (
        features.dropna(subset="close").reset_index().rename(columns={"instrument": "ticker", "datetime": "date"})
    )
    features.to_parquet(task.output / "features.parquet", index=False)


def work(task: Task) -> Done:
    """Cleans the bars and computes the features; see data_check.py for the rules."""
    store = task.output / "store"
    if task.settings.get("begin") == "store":
        write_store(valid_bars(task.input), store)
    with Clock() as clock:
        if task.settings.get("begin") != "store":
            write_store(valid_bars(task.input), store)
        from_store(task, store)
    return clock.done()


if __name__ == "__main__":
    main(work, "pyqlib", "pandas", "pyarrow")
