"""pandas: one frame in memory."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from contender import Task, main


def valid_bars(folder: Path) -> pd.DataFrame:
    """The last valid row of each bar, sorted; see data_check.py for the rules."""
    files = [pq.read_table(each) for each in sorted(folder.glob("*.parquet"))]
    bars = pa.concat_tables(files).to_pandas(date_as_object=False)  # read_parquet would make an object of each date
    prices = bars[["open", "high", "low", "close"]]
    bars = bars[(prices > 0).all(axis=1) & (bars.high >= bars.low) & (bars.volume >= 0)]
    return bars.drop_duplicates(["ticker", "date"], keep="last").sort_values(["ticker", "date"], ignore_index=True)


def work(task: Task) -> None:
    """Cleans the bars and computes the features."""
    bars = valid_bars(task.input)
    close = bars.groupby("ticker", sort=False).close
    for n_bars in (7, 21):
        bars[f"ma{n_bars}"] = close.rolling(n_bars).mean().to_numpy()
    bars["daily_return"] = close.pct_change(fill_method=None)
    bars.to_parquet(task.output / "features.parquet", index=False)


if __name__ == "__main__":
    main(work, "pandas", "pyarrow")
