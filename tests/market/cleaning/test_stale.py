"""Bars without trades: before a listing, after a delisting, and on single days."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bar_factory import bars_of, walk, weekdays
from cloudlstm.config import CleanConfig
from cloudlstm.market import bars
from cloudlstm.market.cleaning.clean import Cleaned, clean

N = 100
SESSIONS = weekdays(N)
CONFIG = CleanConfig()
KEPT = CONFIG.max_stale_bars


def market(idle_bars: np.ndarray, ticker: str = "AAA", *, zeros: bool = False) -> pa.Table:
    """Bars of which some have no trade and repeat the last close; with `zeros`, their open, high and low are 0."""
    close = walk(len(idle_bars))
    for bar in np.flatnonzero(idle_bars[1:]) + 1:
        close[bar] = close[bar - 1]
    valid = bars_of(ticker, SESSIONS[: len(idle_bars)], close)
    columns = {}
    for name in ("open", "high", "low"):
        columns[name] = np.where(idle_bars, 0.0 if zeros else close, valid[name].to_numpy())
    columns["volume"] = np.where(idle_bars, 0, valid["volume"].to_numpy())
    return bars_of(ticker, SESSIONS[: len(idle_bars)], close, **columns)


def cleaned(table: pa.Table) -> Cleaned:
    return clean(table, CONFIG, SESSIONS)


def places(table: pa.Table, ticker: str = "AAA") -> list[int]:
    rows = table.filter(pa.array([name == ticker for name in table["ticker"].to_pylist()], pa.bool_()))
    return np.searchsorted(SESSIONS, rows["date"].cast(pa.int32()).to_numpy()).tolist()


def dropped_labels(result: Cleaned) -> list[int]:
    return places(result.bars.filter(result.bars["withdrawn"]))


def test_bars_before_a_listing_are_stale():
    result = cleaned(market(np.arange(N) < 40))
    assert places(result.quarantine) == list(range(KEPT, 40))
    assert set(result.quarantine["reason"].to_pylist()) == {"stale"}
    assert dropped_labels(result) == list(range(KEPT))
    assert result.bars.filter(result.bars["segment"].to_numpy() == 1).num_rows == N - 40


def test_bars_after_a_delisting_are_stale():
    result = cleaned(market(np.arange(N) >= 60))
    assert places(result.quarantine) == list(range(60 + KEPT, N))
    assert dropped_labels(result) == list(range(60, 60 + KEPT))


@pytest.mark.parametrize("days", [[50], [50, 51], list(range(50, 50 + KEPT)), [10, 30, 50, 70]])
def test_a_few_days_without_a_trade_are_kept(days):
    result = cleaned(market(np.isin(np.arange(N), days)))
    assert result.quarantine.num_rows == 0
    assert dropped_labels(result) == []


def test_a_single_trade_does_not_end_staleness():
    idle_bars = np.isin(np.arange(N), [12, 25], invert=True) & (np.arange(N) < 40)
    result = cleaned(market(idle_bars))
    assert places(result.quarantine) == [bar for bar in range(KEPT, 40) if bar not in (12, 25)]


def test_missing_volume_alone_is_not_stale():
    table = bars_of("AAA", SESSIONS, walk(N), volume=np.zeros(N, int))  # prices move: a vendor without volume
    assert cleaned(table).quarantine.num_rows == 0
    flat = np.full(N, 20.0)
    assert cleaned(bars_of("AAA", SESSIONS, flat, open=flat, high=flat, low=flat)).quarantine.num_rows == 0


def test_zeros_for_a_day_without_a_trade_have_their_own_reason_and_are_filled():
    result = cleaned(market(np.isin(np.arange(N), [50, 51]), zeros=True))
    assert result.quarantine["reason"].to_pylist() == ["no_trade"] * 2
    assert places(result.bars.filter(result.bars["filled"])) == [50, 51]
    traded = bars_of("AAA", SESSIONS, walk(N), open=np.where(np.arange(N) == 50, 0.0, walk(N)))
    assert cleaned(traded).quarantine["reason"].to_pylist() == ["missing_open"]


@settings(max_examples=80)
@given(seed=st.integers(0, 2**32 - 1), share=st.floats(0.0, 1.0), cut=st.integers(1, N - 1))
def test_staleness_counts_trailing_bars_of_the_ticker_only(seed, share, cut):
    random = np.random.default_rng(seed)
    idle_bars = random.random((2, N)) < share
    both = bars.sort(pa.concat_tables([market(idle_bars[0]), market(idle_bars[1], "AAB")]))
    result = cleaned(both)
    for ticker, idle in (("AAA", idle_bars[0]), ("AAB", idle_bars[1])):
        among = np.array([idle[max(bar - 20, 0) : bar + 1].sum() for bar in range(N)])
        assert places(result.quarantine, ticker) == np.flatnonzero(idle & (among > KEPT)).tolist()
    before = cleaned(market(idle_bars[0][:cut]))
    assert places(before.quarantine) == [bar for bar in places(result.quarantine) if bar < cut]
    stale = np.array(places(result.quarantine))
    kept = [bar for bar in np.flatnonzero(idle_bars[0]) if bar not in stale]
    assert dropped_labels(cleaned(market(idle_bars[0]))) == [
        bar for bar in kept if ((stale > bar) & (stale <= bar + 20)).any()
    ]
