"""Renamed tickers: the bars of both names are joined."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pydantic import ValidationError

from bar_factory import bars_of, walk, weekdays
from cloudlstm.config import MarketConfig, Rename
from cloudlstm.market import bars
from cloudlstm.market.sources.files.source import FilesSource
from cloudlstm.market.sources.renames import apply_renames, tickers_after
from real_data import real_data

SESSIONS = weekdays(600)
RENAMES = [{"old": "fb", "new": "META", "until": "2020-01-02"}]
LINES = "date,ticker,open,high,low,close,volume\n" + "".join(
    f"{day},{ticker},{price},{price},{price},{price},100\n"
    for day, ticker, price in [("2020-01-02", "FB", 1), ("2020-01-03", "META", 2), ("2020-01-03", "FB", 30)]
)


def source_of(path: Path, universe: tuple[str, ...] | None = None, **market: Any) -> FilesSource:
    return FilesSource.open(MarketConfig.model_validate({"source": "files", "path": str(path), **market}), universe)


def read(path: Path, universe: tuple[str, ...] | None = None, **market: Any) -> pa.Table:
    source = source_of(path, universe, **market)
    return pa.concat_tables([source.read(partition) for partition in source.partitions()])


def test_bars_of_the_old_ticker_move_to_the_new_one(tmp_path):
    path = tmp_path / "bars.csv"
    path.write_text(LINES)
    table = read(path, renames=RENAMES)
    assert list(zip(table["ticker"].to_pylist(), table["close"].to_pylist(), strict=True)) == [
        ("META", 1.0), ("META", 2.0), ("FB", 30.0),
    ]  # fmt: skip
    assert read(path, ("META",), renames=RENAMES)["close"].to_pylist() == [1.0, 2.0]
    without_end = [{"old": "FB", "new": "META"}]
    assert set(read(path, renames=without_end)["ticker"].to_pylist()) == {"META"}
    [partition] = source_of(path, renames=RENAMES).partitions()
    assert source_of(path, renames=RENAMES).tickers(partition) == ["FB", "META"]
    assert source_of(path, renames=without_end).tickers(partition) == ["META"]
    assert source_of(path, renames=RENAMES).identity() != source_of(path).identity()


def test_a_ticker_may_change_twice_and_unknown_tickers_are_ignored():
    renames = [Rename(old="A", new="B"), Rename(old="B", new="C"), Rename(old="X", new="Y")]
    table = pa.concat_tables([bars_of(ticker, SESSIONS[:3], walk(3)) for ticker in "ABD"])
    table = bars.conform(table, bars.BARS)
    assert apply_renames(table, renames)["ticker"].to_pylist() == ["C"] * 6 + ["D"] * 3
    assert tickers_after(["A", "B", "D"], renames) == {"C", "D"}
    assert apply_renames(table, []) is table
    assert apply_renames(bars.empty(), renames).num_rows == 0
    nameless = table.set_column(0, "ticker", pa.array([None, *["A"] * 8]).dictionary_encode())
    assert apply_renames(nameless, renames)["ticker"].to_pylist() == [None, *["C"] * 8]


def test_a_rename_needs_two_different_tickers():
    with pytest.raises(ValidationError, match="both META"):
        Rename(old="meta", new="META")


def test_renames_join_a_real_history():
    path = real_data("raw_unadjusted_lean_2010_2021.csv.gz")
    renames = [{"old": "GOOG", "new": "GOOGL", "until": "2014-04-02"}, {"old": "FB", "new": "META"}]
    table = read(path, renames=renames).to_pandas()
    first, last, rows = (table.groupby("ticker", observed=True).date.agg(what) for what in ("min", "max", "size"))
    assert (rows["GOOGL"], rows["GOOG"], rows["META"]) == (2830, 1761, 2231)
    assert first["GOOGL"] == dt.date(2010, 1, 4)
    assert first["GOOG"] == dt.date(2014, 4, 3)
    assert last["META"] == dt.date(2021, 3, 31)
