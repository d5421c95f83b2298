"""Jumps of the price level on generated bars: rejected bars, started segments, and similar cases without a fault."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bar_factory import bars_of, walk, weekdays
from cloudlstm.config import CleanConfig
from cloudlstm.market import bars
from cloudlstm.market.cleaning.clean import Cleaned, clean
from cloudlstm.market.cleaning.jumps import ValidRows, adj_close_shows_split, examine
from cloudlstm.market.cleaning.shard import Shard

N = 120
SESSIONS = weekdays(N)
CONFIG = CleanConfig()
AT = 80


def moved(
    factor: float, n_bars: int = N, *, volume: float = 1.0, opened: float | None = None, adjusted: bool = True
) -> pa.Table:
    """Bars whose prices are multiplied by `factor` for `n_bars` bars, starting at AT.

    Args:
        factor: Factor of all prices.
        n_bars: Number of bars.
        volume: Factor of their volume.
        opened: First open / last close; low or high is adjusted to it.
        adjusted: True if adj_close jumps like close.
    """
    inside = (np.arange(N) >= AT) & (np.arange(N) < AT + n_bars)
    close = walk(N) * np.where(inside, factor, 1.0)
    columns = {"open": close * 0.999, "high": close * 1.01, "low": close * 0.99}
    columns["volume"] = np.rint(np.random.default_rng(1).lognormal(9, 0.2, N) * np.where(inside, volume, 1.0))
    columns["adj_close"] = close * 0.9 / np.where(inside | adjusted, 1.0, 1.0 / factor)
    if not adjusted:
        columns["adj_close"] = close / np.where(inside, factor, 1.0)
    if opened is not None:
        columns["open"][AT] = close[AT - 1] * opened
        columns["high"][AT] = max(columns["open"][AT], columns["high"][AT])
        columns["low"][AT] = min(columns["open"][AT], columns["low"][AT])
    return bars_of("AAA", SESSIONS, close, **columns)


def cleaned(table: pa.Table, **settings_: Any) -> Cleaned:
    return clean(table, CleanConfig(**settings_), SESSIONS)


def found(result: Cleaned) -> dict[str, int]:
    counts = result.counts["AAA"]
    return {reason: n for reason, n in counts.items() if reason not in ("rows", "kept", "filled")}


def segment_starts(result: Cleaned) -> list[int]:
    """Returns the indices of bars that start a segment, except the first."""
    return list(np.flatnonzero(np.diff(result.bars["segment"].to_numpy())) + 1)


@pytest.mark.parametrize("ratio", [2, 3, 4, 7, 10, 20, 1.5, 1 / 4, 1 / 8, 1 / 10])
def test_an_unmarked_split_starts_a_segment_and_costs_no_bar(ratio):
    result = cleaned(moved(1 / ratio, volume=ratio))
    assert (found(result), segment_starts(result)) == ({"unmarked_split": 1}, [AT])
    assert result.bars.num_rows == N


@pytest.mark.parametrize("ratio", [5 / 4, 4 / 3, 3 / 2, 2, 35, 1 / 25])
@pytest.mark.parametrize("volume", [1.0, 30.0])
def test_adj_close_shows_a_split_at_any_volume(ratio, volume):
    result = cleaned(moved(1 / ratio, volume=volume, adjusted=False))
    assert (found(result), segment_starts(result)) == ({"unmarked_split": 1}, [AT])


@pytest.mark.parametrize("factor", [0.45, 0.5, 0.25, 2.6])
def test_a_real_move_with_high_volume_starts_no_segment(factor):
    for opened in (factor, 1.0):  # at the open, and during the day
        result = cleaned(moved(factor, volume=40.0, opened=opened))
        assert found(result) == {}


def test_a_crash_during_the_day_needs_ordinary_volume_only():
    assert found(cleaned(moved(0.45, volume=1.6 / 0.45, opened=0.95))) == {}
    assert "outlier" in found(cleaned(moved(0.45, volume=0.1, opened=0.95)))


def test_a_special_dividend_is_not_a_fault():
    table = moved(0.58)
    adjusted = table["close"].to_numpy() / np.where(np.arange(N) >= AT, 0.58, 1.0)
    result = cleaned(table.set_column(table.column_names.index("adj_close"), "adj_close", pa.array(adjusted)))
    assert found(result) == {}


@pytest.mark.parametrize("factor", [100.0, 0.01])
@pytest.mark.parametrize(("n_bars", "refused", "divided"), [(1, 1, []), (2, 1, [AT + 1, AT + 2]), (9, 1, None)])
def test_a_decimal_error_is_rejected_and_several_get_their_own_segment(factor, n_bars, refused, divided):
    result = cleaned(moved(factor, n_bars))
    # After nine bars the level is the new one, so the first bar of the old level is rejected.
    refused, divided = (2, [AT + 1, AT + n_bars + 1]) if divided is None else (refused, divided)
    expected = {"outlier": refused} | ({"level_shift": len(divided)} if divided else {})
    expected |= {"reverted_spike": 1} if n_bars == 2 else {}
    assert (found(result), segment_starts(result)) == (expected, divided)
    close = np.log(result.bars["close"].to_numpy())
    jumps = np.flatnonzero(np.abs(np.diff(close)) > 1.0) + 1
    assert list(jumps) == divided


def test_alternating_series_never_share_a_segment():
    factor = np.where(np.random.default_rng(3).random(N) < 0.5, 1.0, 6.0)
    result = cleaned(bars_of("AAA", SESSIONS, walk(N) * factor, adj_close=pa.nulls(N, pa.float64())))
    table = result.bars.to_pandas()
    close = np.log(table.close)
    assert not (close.diff().abs()[table.segment.diff() == 0] > 1.0).any()


def test_a_squeeze_that_reverts_loses_its_label_and_stays_an_input():
    table = moved(1.9, 1, volume=50.0)
    result = cleaned(table)
    assert found(result)["reverted_spike"] == 1
    assert list(np.flatnonzero(result.bars["withdrawn"].to_numpy())) == [AT]
    assert result.bars["close"].to_pylist()[AT] == table["close"].to_pylist()[AT]
    lasting = cleaned(moved(1.9, volume=50.0))
    assert not any(lasting.bars["withdrawn"].to_pylist())


def test_an_odd_adjustment_is_noted_and_nothing_is_rejected():
    table = bars_of("AAA", SESSIONS, walk(N))
    factor = np.where(np.arange(N) < AT, 0.77, 1.0)
    for adjusted in (table["close"].to_numpy() * factor, np.where(np.arange(N) == AT, -1.0, table["close"].to_numpy())):
        odd = table.set_column(table.column_names.index("adj_close"), "adj_close", pa.array(adjusted))
        assert found(cleaned(odd)) == {"odd_adjustment": 1}
        assert segment_starts(cleaned(odd)) == []
    close = table["close"].to_numpy() * np.where(np.arange(N) < AT, 1.0, 0.79)
    paid = bars_of("AAA", SESSIONS, close, adj_close=close * factor)
    assert found(cleaned(paid)) == {}


def test_a_jump_across_a_long_gap_is_not_reported():
    table = moved(0.02)
    holed = pa.concat_tables([table.slice(0, AT - 10), table.slice(AT)])
    assert found(cleaned(holed)) == {}
    assert segment_starts(cleaned(holed)) == [AT - 10 + CONFIG.max_fill_bars]


seeds = st.integers(0, 2**32 - 1)


def random_shard(seed: int) -> Shard:
    """Two tickers with volatile closes; some are adjusted, some have jumps."""
    random = np.random.default_rng(seed)
    tables = []
    for ticker in ("AAA", "BBB"):
        jumps = random.choice([1.0, 0.5, 2.0, 1 / 3, 100.0, 0.6], N, p=[0.9, 0.02, 0.02, 0.02, 0.02, 0.02])
        close = walk(N, int(random.integers(1 << 30)), float(random.choice([0.01, 0.05]))) * np.cumprod(jumps)
        volume = np.rint(random.lognormal(9, 1.0, N))
        adjusted = close / np.where(random.random() < 0.5, np.cumprod(jumps), 1.0)
        tables.append(bars_of(ticker, SESSIONS, close, volume=volume, adj_close=adjusted))
    return Shard.of(bars.sort(pa.concat_tables(tables)), SESSIONS)


def verdicts(shard: Shard) -> list[list[int]]:
    valid = ValidRows.of(shard)
    jumps = examine(valid, valid.movers(0.2), CONFIG)
    return [
        jumps.at[values].tolist()
        for values in (jumps.unexplained, jumps.off_level, jumps.market_confirmed, jumps.split)
    ]


@settings(max_examples=60)
@given(seed=seeds, shift=st.integers(-6, 6), shares=st.integers(0, 5))
def test_results_do_not_depend_on_the_units_of_prices_and_shares(seed, shift, shares):
    shard, other = random_shard(seed), random_shard(seed)
    for name in ("open", "high", "low", "close", "adj_close"):
        setattr(other, name, getattr(other, name) * 2.0**shift)
    other.volume = other.volume * 2**shares
    # Logarithms are rounded, so a result exactly at a limit may differ: only the counts are compared.
    assert Counter(map(len, verdicts(shard))) == Counter(map(len, verdicts(other)))


@settings(max_examples=60)
@given(seed=seeds, cut=st.integers(1, N - 1))
def test_the_result_for_a_bar_needs_no_later_bar(seed, cut):
    whole = random_shard(seed)
    part = random_shard(seed)
    for name in ("rank", "day", "key", "session", "open", "high", "low", "close", "adj_close", "volume", "verdict"):
        setattr(part, name, getattr(part, name)[: N + cut])
    first = [[at for at in each if at < N + cut] for each in verdicts(whole)]
    assert verdicts(part) == first


@settings(max_examples=200)
@given(ratio=st.sampled_from([1.25, 4 / 3, 1.5, 2.0, 3.0, 7.0, 20.0]), noise=st.floats(-0.1, 0.1), up=st.booleans())
def test_adj_close_shows_simple_ratios_only(ratio, noise, up):
    split = np.log(ratio) * (1 if up else -1)
    move = np.array([split + noise * abs(split)])
    assert adj_close_shows_split(move, np.array([-split]))[0]
    assert not adj_close_shows_split(move, np.array([-split * 1.04]))[0] or ratio > 3
    assert not adj_close_shows_split(move, np.array([0.0]))[0]
