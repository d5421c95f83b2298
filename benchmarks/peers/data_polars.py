"""Polars: one lazy query from files to a file.

repeated=unique       drops repeated bars with `unique`, then sorts (the default)
repeated=neighbours   sorts, then compares each row with the next: less work
repeated=trusted      trusts that the rows are sorted and that no bar is repeated; the result may be wrong
"""

from __future__ import annotations

import polars as pl
from contender import Task, main

KEY = ["ticker", "date"]


def one_per_bar(bars: pl.LazyFrame, repeated: str) -> pl.LazyFrame:
    """The last row of each bar, sorted."""
    if repeated == "trusted":
        return bars
    if repeated == "neighbours":
        differ = [pl.col(name) != pl.col(name).shift(-1) for name in KEY]
        return bars.sort(KEY, maintain_order=True).filter(pl.any_horizontal(differ).fill_null(value=True))
    return bars.unique(KEY, keep="last").sort(KEY)


def work(task: Task) -> None:
    """Cleans the bars and computes the features; see data_check.py for the rules."""
    bars = pl.scan_parquet(task.input / "*.parquet").filter(
        pl.min_horizontal("open", "high", "low", "close") > 0, pl.col("high") >= pl.col("low"), pl.col("volume") >= 0
    )
    close = pl.col("close")
    features = one_per_bar(bars, task.settings.get("repeated", "unique")).with_columns(
        ma7=close.rolling_mean(7).over("ticker"),
        ma21=close.rolling_mean(21).over("ticker"),
        daily_return=(close / close.shift(1) - 1).over("ticker"),
    )
    features.sink_parquet(task.output / "features.parquet")


if __name__ == "__main__":
    main(work, "polars")
