from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from bar_factory import bars_of, bits, walk, weekdays, with_values
from cloudlstm.config import CleanConfig
from cloudlstm.errors import QualityGateError
from cloudlstm.market import bars
from cloudlstm.market.cleaning.clean import FILL, Cleaned, clean
from cloudlstm.market.cleaning.quality_gate import evaluate_gate
from cloudlstm.market.cleaning.rules import RULES

SESSIONS = weekdays(120)
CONFIG = CleanConfig()


def cleaned(table: pa.Table, **settings: Any) -> Cleaned:
    result = clean(table, CleanConfig(**settings), SESSIONS)
    n_filled = int(np.sum(result.bars["filled"].to_numpy()))
    assert table.num_rows == result.bars.num_rows - n_filled + result.quarantine.num_rows
    return result


def reasons(result: Cleaned) -> list[str]:
    return result.quarantine["reason"].to_pylist()


def valid_bars(n: int = 100, ticker: str = "AAA", seed: int = 0) -> pa.Table:
    return bars_of(ticker, SESSIONS[:n], walk(n, seed))


def test_valid_bars_come_back_bit_for_bit():
    table = pa.concat_tables([bars_of("AAA", SESSIONS, walk(120)), bars_of("BBB", SESSIONS, walk(120, 1))])
    result = cleaned(table)
    assert result.quarantine.num_rows == 0
    assert bits(result.bars.select(bars.VALUES.names)) == bits(table.select(bars.VALUES.names))
    assert result.bars["segment"].to_pylist() == [0] * 240
    assert not any(result.bars["filled"].to_pylist())
    assert result.counts == {name: {"rows": 120, "kept": 120, "filled": 0} for name in ("AAA", "BBB")}


def test_unusual_bars_without_a_fault_are_kept():
    close = walk(120)
    close[60:] *= 1.45  # a jump just below the smallest move that can be an outlier
    table = bars_of("AAA", SESSIONS, close, adj_close=pa.nulls(120, pa.float64()))
    table = with_values(table, "volume", 50, 0)
    for name in ("open", "high", "low"):
        table = with_values(table, name, 40, close[40])
    result = cleaned(table)
    assert reasons(result) == []
    assert result.bars["adj_close"].null_count == 120


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("ticker", None, "unreadable_key"),
        ("date", None, "unreadable_key"),
        ("date", dt.date(2020, 3, 7), "off_calendar"),  # a Saturday
        ("date", dt.date(1960, 3, 7), "off_calendar"),
        ("date", dt.date(2300, 3, 7), "off_calendar"),
        ("open", None, "missing_price"),
        ("high", float("nan"), "missing_price"),
        ("low", float("-inf"), "missing_price"),
        ("close", float("inf"), "missing_price"),
        ("open", 0.0, "missing_open"),
        ("high", 0.0, "non_positive_price"),
        ("low", -1.0, "non_positive_price"),
        ("close", 0.0, "non_positive_price"),
        ("high", 1.0, "high_below_low"),
        ("volume", None, "missing_volume"),
        ("volume", -5, "negative_volume"),
        ("close", 1e4, "price_outside_range"),
        ("close", 1.0, "price_outside_range"),
        ("open", 1e4, "price_outside_range"),
        ("high", 1e4, "wild_range"),
        ("low", 1.0, "wild_range"),
    ],
)
def test_only_the_faulty_row_is_rejected_and_for_its_reason(column, value, reason):
    table = bars.sort(with_values(valid_bars(), column, 47, value))
    result = cleaned(table)
    assert reasons(result) == [reason]
    assert result.quarantine[column].to_pylist() == [value] or np.isnan(value)
    is_filled = dict(zip(result.bars["date"].to_pylist(), result.bars["filled"].to_pylist(), strict=True))
    gap = valid_bars()["date"].to_pylist()[47]
    assert is_filled[gap] is True
    assert sum(is_filled.values()) == 1 + CONFIG.max_fill_bars  # and after the last bar


def emptied(row: int, volume: int | None = None) -> pa.Table:
    """Returns valid bars; one row has no value but the volume."""
    table = valid_bars()
    for name in (*bars.PRICES, "adj_close"):
        table = with_values(table, name, row, None)
    return with_values(table, "volume", row, volume)


@pytest.mark.parametrize("volume", [None, 0])
def test_a_row_without_a_value_is_no_bar(volume):
    table = emptied(47, volume)
    result = cleaned(table)
    assert reasons(result) == ["empty_row"]
    assert bits(result.bars) == bits(cleaned(pa.concat_tables([table.slice(0, 47), table.slice(48)])).bars)


def test_a_table_of_mostly_empty_rows_does_not_pass_the_gate():
    close = np.where(np.arange(100) % 10 == 0, walk(100), np.nan)
    volume = np.where(np.isnan(close), 0, 1000)
    result = cleaned(bars_of("AAA", SESSIONS[:100], close, volume=volume))
    assert reasons(result) == ["empty_row"] * 90
    with pytest.raises(QualityGateError, match=r"would fill sessions .* 90 rows without a value \(empty_row\)"):
        evaluate_gate([result.counts], None, CONFIG)


@pytest.mark.parametrize("name", ["open", "adj_close"])
def test_a_row_with_any_price_is_no_empty_row(name):
    assert reasons(cleaned(with_values(emptied(47), name, 47, 100.0))) == ["missing_price"]
    assert reasons(cleaned(emptied(47, volume=5))) == ["missing_price"]


def test_a_row_of_values_that_were_not_understood_is_no_empty_row():
    result = cleaned(with_values(emptied(47), "unreadable", 47, "close='1 o 2'"))
    assert reasons(result) == ["unreadable_value"]


def carried(**changed: Any) -> pa.Table:
    """Returns valid bars and, for the weekend after each Friday, two rows that repeat it."""
    table = valid_bars()
    friday = np.flatnonzero((SESSIONS[:100] + 3) % 7 == 4)
    copies = []
    for later in (1, 2):
        copy = table.take(pa.array(friday))
        days = pa.array(SESSIONS[friday] + np.int32(later)).view(pa.date32())
        copy = copy.set_column(copy.column_names.index("date"), "date", days)
        for name, value in changed.items():
            column = pa.array([value] * len(friday), bars.BARS.field(name).type)
            copy = copy.set_column(copy.column_names.index(name), name, column)
        copies.append(bars.conform(copy, bars.BARS))
    return bars.sort(pa.concat_tables([table, *copies]))


@pytest.mark.parametrize("changed", [{}, {"volume": 0}, {"volume": None}])
def test_rows_that_were_carried_over_a_weekend_are_no_bars(changed):
    result = cleaned(carried(**changed))
    assert set(reasons(result)) == {"carried_row"}
    assert bits(result.bars) == bits(cleaned(valid_bars()).bars)


@pytest.mark.parametrize("changed", [{"close": 99.0}, {"volume": 77}])
def test_a_weekend_row_with_a_value_of_its_own_is_off_the_calendar(changed):
    assert reasons(cleaned(carried(**changed)))[0] == "off_calendar"


def test_a_carried_row_repeats_its_own_ticker():
    table = bars_of("AAA", SESSIONS[:1], np.array([100.0]))
    other = bars_of("BBB", SESSIONS[:1] - SESSIONS[0] + 18_264, np.array([100.0]))  # 2020-01-03 is a Friday
    saturday = bars_of("BBB", np.array([18_265]), np.array([100.0]))
    assert reasons(cleaned(pa.concat_tables([table, saturday]))) == ["off_calendar"]
    assert reasons(cleaned(pa.concat_tables([other, saturday]))) == ["carried_row"]


def test_a_session_that_repeats_the_day_before_is_a_bar():
    table = valid_bars()
    same = {name: table[name][46].as_py() for name in (*bars.PRICES, "adj_close", "volume")}
    for name, value in same.items():
        table = with_values(table, name, 47, value)
    assert reasons(cleaned(table)) == []


def noted(column: str, text: str, row: int = 47) -> pa.Table:
    """Returns valid bars, but the source has `text` in one value that was not understood."""
    return with_values(with_values(valid_bars(), column, row, None), "unreadable", row, text)


@pytest.mark.parametrize("column", ["open", "high", "low", "close", "volume"])
def test_a_value_that_was_not_understood_is_not_a_missing_value(column):
    result = cleaned(noted(column, f"{column}='12,3x'"))
    assert reasons(result) == ["unreadable_value"]
    assert result.quarantine["unreadable"].to_pylist() == [f"{column}='12,3x'"]
    assert result.examples == {"unreadable_value": f"{column}='12,3x' in test"}
    assert bars.UNREADABLE not in result.bars.column_names


def test_the_text_of_an_unreadable_date_is_in_the_quarantine():
    result = cleaned(bars.sort(noted("date", "date='yesterday'")))
    assert reasons(result) == ["unreadable_key"]
    assert result.examples == {"unreadable_key": "date='yesterday' in test"}


def test_text_in_adj_close_rejects_no_bar():
    result = cleaned(noted("adj_close", "adj_close='-'"))
    assert (reasons(result), result.examples) == ([], {})


def test_only_rules_that_drop_labels_use_later_bars():
    assert {rule.reason for rule in RULES if not rule.causal} == {"stale_begin", "reverted_spike"}
    assert all(rule.causal != (rule.action == "drop_label") for rule in RULES)
    assert len({rule.reason for rule in RULES}) == len(RULES)


def test_one_of_several_exact_duplicates_is_kept():
    table = valid_bars()
    twice = bars.sort(pa.concat_tables([table, table.slice(20, 1), table.slice(20, 2)]))
    result = cleaned(twice)
    assert reasons(result) == ["duplicate_exact"] * 3
    assert bits(result.bars) == bits(cleaned(table).bars)


def test_the_last_of_conflicting_duplicates_is_kept():
    table = valid_bars()
    first = with_values(table, "close", 20, 101.5).slice(20, 1)
    result = cleaned(bars.sort(pa.concat_tables([first, table])))
    assert reasons(result) == ["duplicate_conflict"]
    assert result.examples == {"duplicate_conflict": "AAA on 2020-01-29 in test and in test"}
    assert result.quarantine["close"].to_pylist() == [101.5]
    assert bits(result.bars) == bits(cleaned(table).bars)


def test_a_bar_that_is_revised_and_reverted_is_unchanged():
    table = valid_bars()
    revised = with_values(table, "volume", 20, 7).slice(20, 1)
    result = cleaned(bars.sort(pa.concat_tables([table, revised, table.slice(20, 1)])))
    assert sorted(reasons(result)) == ["duplicate_conflict", "duplicate_exact"]
    assert bits(result.bars) == bits(cleaned(table).bars)


def test_duplicates_that_differ_in_a_missing_value_conflict():
    table = valid_bars()
    without = with_values(table, "adj_close", 20, None).slice(20, 1)
    assert reasons(cleaned(bars.sort(pa.concat_tables([without, table])))) == ["duplicate_conflict"]
    assert reasons(cleaned(bars.sort(pa.concat_tables([without, without, table.slice(0, 20)])))) == ["duplicate_exact"]


def test_a_faulty_copy_does_not_replace_a_valid_bar():
    table = valid_bars()
    faulty = with_values(table, "close", 20, None).slice(20, 1)
    result = cleaned(bars.sort(pa.concat_tables([table, faulty])))
    assert reasons(result) == ["missing_price"]
    assert bits(result.bars) == bits(cleaned(table).bars)


def test_only_the_order_of_duplicates_matters():
    table = pa.concat_tables([valid_bars(), valid_bars(ticker="BBB", seed=1)])
    shuffled = table.take(pa.array(np.random.default_rng(0).permutation(table.num_rows)))
    assert bits(cleaned(shuffled).bars) == bits(cleaned(table).bars)


def spiked(factors: dict[int, float], n: int = 100, sigma: float = 0.02, ticker: str = "AAA") -> pa.Table:
    close = walk(n, sigma=sigma)
    for row, factor in factors.items():
        close[row] *= factor
    return bars_of(ticker, SESSIONS[:n], close)


def rejected_rows(result: Cleaned) -> list[int]:
    days = np.array([(day - dt.date(1970, 1, 1)).days for day in result.quarantine["date"].to_pylist()], np.int32)
    return list(np.searchsorted(SESSIONS, days))


@pytest.mark.parametrize("row", [1, 2, 3, 4, 9, 63, 99])
@pytest.mark.parametrize("factor", [100.0, 0.01])
def test_a_bad_tick_is_rejected_and_its_neighbours_are_kept(row, factor):
    result = cleaned(spiked({row: factor}))
    assert (reasons(result), rejected_rows(result)) == (["outlier"], [row])


def test_after_two_bad_ticks_in_a_row_valid_bars_are_kept():
    # The second one confirms the first, like a new level. The return to the old level is not a jump.
    assert rejected_rows(cleaned(spiked({50: 100.0, 51: 100.0}))) == [50]
    assert rejected_rows(cleaned(spiked({50: 100.0, 52: 100.0}))) == [50, 52]


def test_a_jump_of_the_price_level_costs_one_bar():
    close = walk(100)
    close[50:] *= 0.3
    assert rejected_rows(cleaned(bars_of("AAA", SESSIONS[:100], close))) == [50]


def test_a_volatile_ticker_may_move_far():
    quiet, wild = spiked({70: 1.8}), spiked({70: 1.8}, sigma=0.10)
    assert rejected_rows(cleaned(quiet)) == [70]
    assert rejected_rows(cleaned(wild)) == []
    assert 70 in rejected_rows(cleaned(wild, outlier_mads=1.0))


@pytest.mark.parametrize("start", [1.0, 1e4])
def test_an_outlier_depends_on_its_own_ticker_only(start):
    other = bars_of("AAA", SESSIONS, walk(120, start=start))
    assert reasons(cleaned(pa.concat_tables([other, bars_of("BBB", SESSIONS, walk(120))]))) == []
    bad = spiked({1: 100.0, 60: 100.0}, ticker="BBB")
    assert rejected_rows(cleaned(pa.concat_tables([other, bad]))) == [1, 60]


def test_a_bar_close_to_the_previous_one_is_never_an_outlier():
    close = np.full(100, 10.0)
    close[50:] = 43.0
    close[50:53] = [14.5, 21.0, 30.0]  # each step is below the limit, their sum is far above
    assert rejected_rows(cleaned(bars_of("AAA", SESSIONS[:100], close))) == []
    close[50:53] = 43.0
    assert rejected_rows(cleaned(bars_of("AAA", SESSIONS[:100], close))) == [50]

    wild = np.tile([10.0, 10.0, 10.5], 34)[:100]  # its limit is 12 * 1.4826 * 0.049 = 0.87
    wild[60:] = [16.0, 26.0, *[42.0] * 38]  # steps of 0.49: above outlier_min_move, below this ticker's limit
    assert rejected_rows(cleaned(bars_of("AAA", SESSIONS[:100], wild))) == []


def filled_rows(result: Cleaned) -> list[int]:
    days = result.bars["date"].cast(pa.int32()).to_numpy()
    return list(np.searchsorted(SESSIONS, days[result.bars["filled"].to_numpy()]))


@pytest.mark.parametrize(
    ("gap", "filled", "n_segments"),
    [(0, [], 1), (1, [30], 1), (2, [30, 31], 1), (3, [30, 31], 2), (40, [30, 31], 2)],
)
def test_short_gaps_are_filled_and_long_ones_start_a_segment(gap, filled, n_segments):
    table = bars_of("AAA", SESSIONS, walk(120))
    result = cleaned(pa.concat_tables([table.slice(0, 30), table.slice(30 + gap)]))
    assert filled_rows(result) == filled
    segment = result.bars["segment"].to_numpy()
    assert segment.max() == n_segments - 1
    assert list(np.flatnonzero(np.diff(segment))) == ([31] if n_segments == 2 else [])


def test_a_filled_bar_has_the_last_close_and_no_volume():
    table = bars_of("AAA", SESSIONS, walk(120))
    result = cleaned(pa.concat_tables([table.slice(0, 30), table.slice(31)]))
    last, fill = result.bars.slice(29, 2).to_pylist()
    assert fill == last | {
        "date": table["date"][30].as_py(), "open": last["close"], "high": last["close"], "low": last["close"],
        "volume": 0, "filled": True, "source": FILL,
    }  # fmt: skip


def test_gaps_after_the_last_bar_are_filled_too():
    assert filled_rows(cleaned(valid_bars(100))) == [100, 101]
    assert filled_rows(cleaned(valid_bars(119))) == [119]
    assert filled_rows(cleaned(valid_bars(120))) == []


def test_nothing_is_filled_before_the_first_bar():
    late = bars_of("AAA", SESSIONS[50:], walk(70))
    assert filled_rows(cleaned(late)) == []


def test_a_filled_bar_has_no_adj_close_if_the_last_bar_has_none():
    table = with_values(bars_of("AAA", SESSIONS, walk(120)), "adj_close", 29, None)
    result = cleaned(pa.concat_tables([table.slice(0, 30), table.slice(31)]))
    assert result.bars["adj_close"].is_null().to_numpy().nonzero()[0].tolist() == [29, 30]


def test_filling_can_be_turned_off():
    table = bars_of("AAA", SESSIONS, walk(120))
    result = cleaned(pa.concat_tables([table.slice(0, 30), table.slice(31, 20)]), max_fill_bars=0)
    assert filled_rows(result) == []
    assert result.bars["segment"].to_pylist() == [0] * 30 + [1] * 20


def test_segments_are_numbered_from_zero_for_each_ticker():
    def holed(ticker: str) -> pa.Table:
        table = bars_of(ticker, SESSIONS, walk(120))
        return pa.concat_tables([table.slice(0, 20), table.slice(30, 20), table.slice(60)])

    result = cleaned(pa.concat_tables([holed("AAA"), holed("BBB")]))
    expected = [0] * 22 + [1] * 22 + [2] * 60
    assert result.bars["segment"].to_pylist() == expected * 2


def test_counts_cover_every_row():
    table = with_values(valid_bars(), "close", 20, None)
    table = with_values(table, "ticker", 99, None)
    result = cleaned(bars.sort(pa.concat_tables([table, valid_bars(ticker="BBB")])))
    assert result.counts == {
        "AAA": {"rows": 99, "kept": 98, "filled": 3, "missing_price": 1},
        "BBB": {"rows": 100, "kept": 100, "filled": 2},
        "": {"rows": 1, "kept": 0, "filled": 0, "unreadable_key": 1},
    }


@pytest.mark.parametrize(
    "table", [bars.empty(), with_values(valid_bars(1), "close", 0, None)], ids=["no rows", "none kept"]
)
def test_a_shard_with_nothing_to_keep(table):
    result = cleaned(table)
    assert result.bars.num_rows == 0
    assert result.bars.column_names == bars.CLEANED.names
    assert result.quarantine.column_names == bars.QUARANTINE.names


def test_cleaned_and_quarantined_tables_keep_their_schemas_in_parquet():
    result = cleaned(with_values(valid_bars(), "close", 20, None))
    for table, schema in ((result.bars, bars.CLEANED), (result.quarantine, bars.QUARANTINE)):
        back = bars.from_parquet(bars.to_parquet(table))
        assert bits(back) == bits(table)
        assert back.cast(schema).schema == schema
