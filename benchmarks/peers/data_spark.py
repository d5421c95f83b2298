"""Spark SQL window functions, in one application on this machine."""

from __future__ import annotations

import os
from functools import cache

from contender import Task, main
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as f

from cloudlstm.targets.local.java import find_java


@cache
def session(threads: int) -> SparkSession:
    """The application; it starts before the time begins."""
    os.environ.setdefault("JAVA_HOME", str(find_java().home))
    settings = {
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": "8g",
        "spark.sql.shuffle.partitions": 4 * threads,  # by default 200, too many for a few cores
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    return SparkSession.builder.master(f"local[{threads}]").config(map=settings).getOrCreate()


def query(bars: DataFrame) -> DataFrame:
    """The features of the valid bars. All windows share one partitioning, so there is one shuffle."""
    valid = bars.withColumn("arrived", f.monotonically_increasing_id()).where(
        (f.least("open", "high", "low", "close") > 0) & (f.col("high") >= f.col("low")) & (f.col("volume") >= 0)
    )
    arrival = Window.partitionBy("ticker").orderBy("date", "arrived")
    next_date = f.lead("date").over(arrival)
    last = valid.withColumn("next", next_date).where(f.col("next").isNull() | (f.col("next") != f.col("date")))
    by_date = Window.partitionBy("ticker").orderBy("date")
    features = last.drop("arrived", "next")
    for n_bars in (7, 21):
        window = by_date.rowsBetween(1 - n_bars, 0)
        full = f.count("*").over(window) == n_bars
        features = features.withColumn(f"ma{n_bars}", f.when(full, f.avg("close").over(window)))
    return features.withColumn("daily_return", f.col("close") / f.lag("close").over(by_date) - 1)


def work(task: Task) -> None:
    """Cleans the bars and computes the features; see data_check.py for the rules."""
    bars = session(task.threads).read.parquet(str(task.input))
    query(bars).write.mode("overwrite").parquet(str(task.output / "features"))


if __name__ == "__main__":
    main(work, "pyspark")
