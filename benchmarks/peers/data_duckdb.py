"""DuckDB: one query with window functions, from files to a file."""

from __future__ import annotations

import duckdb
from contender import Task, main

QUERY = """
COPY (
    SELECT ticker, date, open, high, low, close, volume,
        CASE WHEN count(*) OVER week = 7 THEN avg(close) OVER week END AS ma7,
        CASE WHEN count(*) OVER month = 21 THEN avg(close) OVER month END AS ma21,
        close / lag(close) OVER by_date - 1 AS daily_return
    FROM (
        SELECT * FROM read_parquet('{source}', filename = true, file_row_number = true)
        WHERE least(open, high, low, close) > 0 AND high >= low AND volume >= 0
        QUALIFY lead(date) OVER (PARTITION BY ticker ORDER BY date, filename, file_row_number) IS DISTINCT FROM date
    )
    WINDOW
        by_date AS (PARTITION BY ticker ORDER BY date),
        week AS (PARTITION BY ticker ORDER BY date ROWS 6 PRECEDING),
        month AS (PARTITION BY ticker ORDER BY date ROWS 20 PRECEDING)
    ORDER BY ticker, date
) TO '{target}' (FORMAT parquet)
"""


def work(task: Task) -> None:
    """Cleans the bars and computes the features; see data_check.py for the rules."""
    source, target = task.input / "*.parquet", task.output / "features.parquet"
    with duckdb.connect(config={"threads": task.threads}) as connection:
        connection.execute(QUERY.format(source=source, target=target))


if __name__ == "__main__":
    main(work, "duckdb")
