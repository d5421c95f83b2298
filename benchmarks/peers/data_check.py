"""Compares the features of two contenders of the group "data".

The rules of the other contenders: a row is valid if its prices are above 0, high is not below low and volume is not
below 0; of several valid rows of one bar the last one in the order of the files is kept; rows are sorted by ticker and
date; ma7 and ma21 are the means of the last 7 and 21 closes and daily_return is close / last close - 1, each within the
ticker.

cloudlstm does more: it fills missing sessions, rejects outliers and starts segments at breaks. So a row is compared if
both results have the same last 21 bars for it, without a filled bar or the start of a segment.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

LOOKBACK_BARS = 21
TOLERANCE = 1e-9
"""Largest difference: relative for prices and averages, absolute for returns."""
LEAST_SHARE = 0.9
"""Least share of rows that must be comparable."""

_PRICES = ("open", "high", "low", "close", "volume", "ma7", "ma21")


def read(folder: Path) -> pa.Table:
    """The features that a contender wrote, sorted by ticker and date. Of repeated bars, the last one."""
    files = [each for each in sorted(folder.rglob("*.parquet")) if each.is_file()]
    files = [each for each in files if "features" in str(each.relative_to(folder))]
    tables = [pq.read_table(each) for each in files]
    table = pa.concat_tables(
        [each.set_column(each.schema.get_field_index("ticker"), "ticker", each["ticker"].cast(pa.string()))
         .set_column(each.schema.get_field_index("date"), "date", each["date"].cast(pa.date32())) for each in tables],
        promote_options="permissive",
    )  # fmt: skip
    return table.take(np.argsort(keys(table), kind="stable"))


def keys(table: pa.Table) -> np.ndarray:
    """One number per row that sorts as (ticker, date)."""
    tickers = table["ticker"].combine_chunks().dictionary_encode()
    names = np.array(tickers.dictionary.to_pylist())
    # The rank of a ticker must not depend on the other tickers of its table: names end with their number.
    numbers = np.array([int("".join(filter(str.isdigit, name))) for name in names], np.int64)
    days = table["date"].cast(pa.int32()).to_numpy()
    return (numbers[tickers.indices.to_numpy(zero_copy_only=False)] << 32) + days


def compare(ours: pa.Table, theirs: pa.Table, tolerance: float = TOLERANCE) -> dict[str, float]:
    """Raises ValueError unless all comparable rows are equal; returns shares and the largest difference.

    Args:
        ours: The features of cloudlstm, from `read`.
        theirs: The features of another contender, from `read`.
        tolerance: Largest difference: relative for prices and averages, absolute for returns.
    """
    our_keys, their_keys = keys(ours), keys(theirs)
    place = np.searchsorted(their_keys, our_keys, side="right") - 1
    same = (place >= 0) & (their_keys[place] == our_keys)
    rows = comparable(ours, np.where(same, place, -1))
    share = len(rows) / max(len(our_keys), 1)
    if share < LEAST_SHARE:
        raise ValueError(f"only {share:.1%} of the rows can be compared; at least {LEAST_SHARE:.0%} must be")
    largest = 0.0
    for name in (*_PRICES, "daily_return"):
        a, b = values(ours, name)[rows], values(theirs, name)[place[rows]]
        scale = 1.0 if name == "daily_return" else np.maximum(np.abs(a), 1e-12)
        difference = float(np.max(np.abs(a - b) / scale, initial=0.0))
        if not difference <= tolerance:  # NaN is no equality
            raise ValueError(f"{name} differs by up to {difference:.3g}; the tolerance is {tolerance:g}")
        largest = max(largest, difference)
    return {"compared": round(share, 4), "largest_difference": largest, "rows": len(their_keys)}


def values(table: pa.Table, name: str) -> np.ndarray:
    """A column as float64; a missing value is NaN."""
    return table[name].cast(pa.float64()).to_numpy(zero_copy_only=False)


def comparable(ours: pa.Table, place: np.ndarray) -> np.ndarray:
    """The rows of `ours` whose last 21 bars are the same in both tables.

    Args:
        ours: The features of cloudlstm.
        place: The row of the other table for each row, -1 if it has none.
    """
    back = LOOKBACK_BARS - 1
    rows = np.arange(back, len(place))
    strange = place < 0
    if "filled" in ours.column_names:
        strange |= ours["filled"].to_numpy(zero_copy_only=False)
    before = np.concatenate([[0], np.cumsum(strange)])
    known = before[rows + 1] == before[rows - back]
    joined = place[rows] - place[rows - back] == back
    ticker = keys(ours) >> 32
    together = ticker[rows] == ticker[rows - back]
    if "segment" in ours.column_names:
        segment = ours["segment"].to_numpy()
        together &= segment[rows] == segment[rows - back]
    return rows[known & joined & together]
