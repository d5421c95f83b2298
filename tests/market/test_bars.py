from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from bar_factory import bars_of, bits, walk, weekdays, with_values
from cloudlstm.errors import CorruptObjectError, DataError
from cloudlstm.market import bars, columns
from cloudlstm.pipeline import ingest, shard_io

SESSIONS = weekdays(40)


def table_of(*tickers: str) -> pa.Table:
    return pa.concat_tables([bars_of(ticker, SESSIONS, walk(40, seed)) for seed, ticker in enumerate(tickers)])


def test_parquet_returns_the_table():
    table = table_of("AAA", "BBB")
    assert bits(bars.from_parquet(bars.to_parquet(table))) == bits(table)


def test_tables_of_equal_content_give_equal_bytes():
    table = with_values(table_of("AAA", "BBB"), "ticker", 79, None)
    data = bars.to_parquet(table)
    plain = table.set_column(0, "ticker", pa.array(table["ticker"].to_pylist()))
    pieces = pa.concat_tables([table.slice(0, 7), plain.slice(7).combine_chunks().cast(table.schema)])
    wider = bars.sort(pa.concat_tables([table_of("ZZZ"), table]))  # its dictionary goes on to hold ZZZ
    fewer = wider.filter(pc.invert(pc.equal(wider["ticker"].cast(pa.string()).fill_null(""), "ZZZ")))
    same = [plain, pieces, bars.from_parquet(data), fewer]
    assert all(bars.to_parquet(other) == data for other in same)
    assert bars.to_parquet(table.slice(1)) != data


def test_other_readers_see_plain_types():
    schema = pq.read_schema(io.BytesIO(bars.to_parquet(table_of("AAA"))))
    assert schema.remove_metadata() == bars.BARS


@pytest.mark.parametrize("schema", [bars.BARS, bars.CLEANED, bars.QUARANTINE])
def test_an_empty_table_survives_parquet(schema):
    back = bars.from_parquet(bars.to_parquet(bars.empty(schema)))
    assert back.num_rows == 0
    assert back.cast(schema).schema == schema


def test_what_is_no_parquet_is_named():
    with pytest.raises(CorruptObjectError, match="s3://bucket/shard"):
        bars.from_parquet(b"nothing of the kind", uri="s3://bucket/shard")


def test_conform_casts_selects_and_orders():
    table = table_of("AAA")
    odd = table.append_column("sector", pa.array(["x"] * 40)).select([*reversed(bars.BARS.names), "sector"])
    odd = odd.set_column(odd.column_names.index("close"), "close", table["close"].cast(pa.float32()))
    result = bars.conform(odd, bars.BARS)
    assert result.column_names == bars.BARS.names
    assert result["close"].type == pa.float64()
    with pytest.raises(DataError, match="lacks volume"):
        bars.conform(table.drop_columns(["volume"]), bars.BARS)
    with pytest.raises(DataError, match="column volume"):
        bars.conform(table.set_column(7, "volume", pa.array(["many"] * 40)), bars.BARS)


def test_sorting_is_stable_and_puts_unreadable_keys_last():
    table = pa.table(
        {
            "ticker": ["B", "A", None, "A", "B", "A"],
            "date": pa.array([5, 7, 1, None, 3, 7], pa.int32()).view(pa.date32()),
            **{name: [1.0] * 6 for name in (*bars.PRICES, "adj_close")},
            "volume": range(6),
            "source": [None] * 6,
        }
    )
    assert bars.sort(bars.conform(table, bars.BARS))["volume"].to_pylist() == [1, 5, 3, 4, 0, 2]


def test_a_sorted_table_is_not_copied():
    table = table_of("AAA", "BBB")
    assert bars.sort(table) is table


def test_ranks_follow_the_alphabet_whatever_the_dictionary():
    column = pa.chunked_array(
        [pa.array(["B", None, "A"]).dictionary_encode(), pa.array(["C", "B"]).dictionary_encode()]
    )
    rank, names = columns.ranks(column)
    assert (rank.tolist(), names) == ([1, 3, 0, 2, 1], ["A", "B", "C"])


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
    pieces: dict[int, list[pa.Table]] = {}
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
    assert shard_io.split(bars.empty(), UNIVERSE, 2) == []
    assert shard_io.split(table_of("ZZZ"), UNIVERSE, 2) == []


def day_of(*tickers: str | None) -> pa.Table:
    """A day's file: one bar of each ticker."""
    table = table_of("AAA").take(pa.array([0] * len(tickers)))
    return bars.conform(table.set_column(0, "ticker", pa.array(tickers, pa.string())), bars.BARS)


def piece_bytes(n_tickers: int) -> int:
    """Bytes of all pieces that such a file is shuffled as."""
    names = [f"TICKER{number:06d}" for number in range(n_tickers)]
    return sum(len(ingest._to_ipc(piece)) for _, piece in shard_io.split(day_of(*names), names, 64))


def test_the_pieces_of_a_file_grow_with_its_tickers_and_not_with_their_square():
    assert piece_bytes(8_000) < 8.5 * piece_bytes(1_000)


def test_a_piece_names_only_what_is_in_it():
    table = pa.concat_tables([day_of("A", "B", None, "C"), day_of("D", "A")])
    pieces = dict(shard_io.split(table, ["A", "B", "D"], 1))
    named = {number: piece["ticker"].to_pylist() for number, piece in pieces.items()}
    assert named == {0: ["A", None, "A"], 1: ["B"], 2: ["D"]}
    assert [columns.codes(piece["ticker"])[1] for piece in pieces.values()] == [["A"], ["B"], ["D"]]
    ((_, alone),) = shard_io.split(table.slice(0, 1), ["A"], 64)
    assert columns.codes(alone["ticker"])[1] == ["A"], "also where all rows go to one shard"
    assert bits(shard_io.join([pieces[0]])) == bits(bars.sort(pa.concat_tables([day_of("A", None), day_of("A")])))


def test_a_universe_is_searched_and_not_listed_for_every_partition():
    class Asked(list):
        asked = 0

        def __getitem__(self, place):
            Asked.asked += 1
            return super().__getitem__(place)

        def __iter__(self):
            raise AssertionError("the whole universe was gone through")

    universe = Asked(f"T{number:06d}" for number in range(100_000))
    assert shard_io.shard_of(day_of("T000000", "T099999", "none", None)["ticker"], universe, 64).tolist() == [
        0,
        1562,
        -1,
        0,
    ]
    assert Asked.asked < 60
