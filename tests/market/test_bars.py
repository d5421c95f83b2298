from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from bar_factory import bars_of, bits, walk, weekdays, with_values
from cloudlstm.errors import CorruptObjectError, DataError
from cloudlstm.market import bars, columns

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
    wider = bars.sort(pa.concat_tables([table_of("ZZZ"), table]))  # its dictionary also holds ZZZ
    fewer = wider.filter(pc.invert(pc.equal(wider["ticker"].cast(pa.string()).fill_null(""), "ZZZ")))
    same = [plain, pieces, bars.from_parquet(data), fewer]
    assert all(bars.to_parquet(other) == data for other in same)
    assert bars.to_parquet(table.slice(1)) != data


def test_other_parquet_readers_get_plain_types():
    schema = pq.read_schema(io.BytesIO(bars.to_parquet(table_of("AAA"))))
    assert schema.remove_metadata() == bars.BARS


@pytest.mark.parametrize("schema", [bars.BARS, bars.CLEANED, bars.QUARANTINE])
def test_an_empty_table_survives_parquet(schema):
    back = bars.from_parquet(bars.to_parquet(bars.empty(schema)))
    assert back.num_rows == 0
    assert back.cast(schema).schema == schema


def test_an_object_that_is_not_parquet_is_named():
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


def test_a_table_without_unreadable_gets_it_as_nulls():
    table = table_of("AAA")
    same = bars.conform(table.drop_columns([bars.UNREADABLE]), bars.BARS)
    assert same.column_names == bars.BARS.names
    assert same[bars.UNREADABLE].null_count == same.num_rows
    with_text = with_values(table, bars.UNREADABLE, 3, "close='12,3x'")
    assert bits(bars.from_parquet(bars.to_parquet(with_text))) == bits(with_text)
    assert bars.to_parquet(with_text) != bars.to_parquet(same)


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


def test_ranks_are_alphabetical_for_any_dictionary():
    column = pa.chunked_array(
        [pa.array(["B", None, "A"]).dictionary_encode(), pa.array(["C", "B"]).dictionary_encode()]
    )
    rank, names = columns.ranks(column)
    assert (rank.tolist(), names) == ([1, 3, 0, 2, 1], ["A", "B", "C"])
