"""Splitting tables into the pieces of shards, and joining the pieces."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from bar_factory import bars_of, bits, walk, weekdays, with_values
from cloudlstm.market import bars, columns
from cloudlstm.pipeline import row_pieces, shard_io
from cloudlstm.runs.context import StepData
from cloudlstm.runs.paths import RunPaths

SESSIONS = weekdays(40)


def table_of(*tickers: str) -> pa.Table:
    return pa.concat_tables([bars_of(ticker, SESSIONS, walk(40, seed)) for seed, ticker in enumerate(tickers)])


UNIVERSE = ("AAA", "BBB", "CCC", "DDD", "EEE")


def test_shards_hold_consecutive_tickers():
    column = pa.chunked_array([["EEE", "AAA", None, "ZZZ", "CCC", "BBB"]])
    assert shard_io.shard_of(column, UNIVERSE, 2).tolist() == [2, 0, 0, -1, 1, 0]
    assert [shard_io.count(UNIVERSE, size) for size in (1, 2, 5, 6)] == [5, 3, 1, 1]


@pytest.mark.parametrize("size", [1, 2, 5])
def test_splitting_and_joining_loses_no_row_and_keeps_the_order_of_arrival(size):
    random = np.random.default_rng(0)
    rows = table_of(*UNIVERSE, "ZZZ").take(pa.array(random.integers(0, 240, 500)))
    rows = rows.set_column(7, "volume", pa.array(np.arange(500)))
    cut = [rows.slice(start, 100) for start in range(0, 500, 100)]
    pieces: dict[int, list[bytes]] = {}
    for part in cut:
        for number, piece in shard_io.split(part, UNIVERSE, size):
            pieces.setdefault(number, []).append(piece)
    assert set(pieces) == set(range(shard_io.count(UNIVERSE, size)))
    joined = pa.concat_tables([shard_io.join(pieces[number]) for number in sorted(pieces)])
    wanted = rows.to_pandas().query("ticker != 'ZZZ'").astype({"ticker": str})
    wanted = wanted.sort_values(["ticker", "date"], kind="stable")
    assert joined["volume"].to_pylist() == wanted.volume.tolist()


def test_a_shard_without_pieces_is_empty():
    assert shard_io.join([]).num_rows == 0
    assert list(shard_io.split(bars.empty(), UNIVERSE, 2)) == []
    assert list(shard_io.split(table_of("ZZZ"), UNIVERSE, 2)) == []


def test_a_written_shard_tells_its_first_and_last_date(tmp_path):
    paths = RunPaths(f"file://{tmp_path}/run")
    data = StepData(paths, "clean", "made")
    table = table_of("AAA", "BBB")
    for rows, ends in ((table, (SESSIONS[0], SESSIONS[-1])), (table.slice(3, 2), (SESSIONS[3], SESSIONS[4]))):
        (row,) = shard_io.write_shard(data, "bars", 0, rows).objects
        first, last = np.array(ends, "datetime64[D]").astype(str).tolist()
        assert row.extra == {"first_date": first, "last_date": last}
    (row,) = shard_io.write_shard(data, "bars", 1, bars.empty()).objects
    assert row.extra == {"first_date": None, "last_date": None}


def day_of(*tickers: str | None) -> pa.Table:
    """The file of one day: one bar per ticker."""
    table = table_of("AAA").take(pa.array([0] * len(tickers)))
    return bars.conform(table.set_column(0, "ticker", pa.array(tickers, pa.string())), bars.BARS)


def piece_bytes(n_tickers: int) -> int:
    """Total size of the pieces of such a file, as they are shuffled."""
    names = [f"TICKER{number:06d}" for number in range(n_tickers)]
    return sum(len(piece) for _, piece in shard_io.split(day_of(*names), names, 64))


def test_the_size_of_all_pieces_grows_linearly_with_the_tickers():
    assert piece_bytes(8_000) < 8.5 * piece_bytes(1_000)


def test_a_piece_holds_its_own_names_only():
    table = pa.concat_tables([day_of("A", "B", None, "C"), day_of("D", "A")])
    pieces = dict(shard_io.split(table, ["A", "B", "D"], 1))
    named = {number: shard_io.join([piece])["ticker"] for number, piece in pieces.items()}
    assert {number: names.to_pylist() for number, names in named.items()} == {0: ["A", "A", None], 1: ["B"], 2: ["D"]}
    assert [columns.codes(names)[1] for names in named.values()] == [["A"], ["B"], ["D"]]
    assert bits(shard_io.join([pieces[0]])) == bits(bars.sort(pa.concat_tables([day_of("A", None), day_of("A")])))


def test_a_piece_keeps_every_value_and_what_is_missing():
    table = table_of("AAA", "BBB")
    for name, value in (("open", None), ("volume", None), ("date", None), ("adj_close", None), ("source", None)):
        table = with_values(table, name, 3, value)
    table = with_values(with_values(table, "unreadable", 5, "close='x'"), "volume", 6, -7)
    halves = [table.slice(0, 40), table.slice(40)]
    ((_, one),), ((_, other),) = (shard_io.split(each, UNIVERSE, 2) for each in halves)
    assert bits(row_pieces.decode([one, other])) == bits(table)


def test_splitting_does_not_copy_the_universe_per_partition():
    class CountingList(list):
        lookups = 0

        def __getitem__(self, place):
            CountingList.lookups += 1
            return super().__getitem__(place)

        def __iter__(self):
            raise AssertionError("the universe must not be iterated")

    universe = CountingList(f"T{number:06d}" for number in range(100_000))
    assert shard_io.shard_of(day_of("T000000", "T099999", "none", None)["ticker"], universe, 64).tolist() == [
        0,
        1562,
        -1,
        0,
    ]
    assert CountingList.lookups < 60
