from __future__ import annotations

import numpy as np
import pandas as pd  # noqa: TID253 - the standard of comparison
import pyarrow as pa
import pytest

from bar_factory import bars_of, bits, walk, weekdays
from cloudlstm.config import CleanConfig
from cloudlstm.features import EIGHT, FEATURE_NAMES, FEATURES, compute, table
from cloudlstm.market import bars
from cloudlstm.market.cleaning.clean import clean
from market.sources.file_sources import parsed
from real_data import real_data

SESSIONS = weekdays(300)


def features_with_pandas(cleaned: pa.Table) -> pd.DataFrame:
    """Computes the features with pandas, segment by segment."""
    frame = cleaned.to_pandas().astype({"ticker": str})
    groups = frame.groupby(["ticker", "segment"], sort=False).close
    return pd.DataFrame(
        {
            **{name: frame[name].astype(float) for name in ("open", "high", "low", "close", "volume")},
            "ma7": groups.transform(lambda close: close.rolling(7).mean()),
            "ma21": groups.transform(lambda close: close.rolling(21).mean()),
            "daily_return": groups.transform(lambda close: close.pct_change()),
        }
    )


def assert_equal_to_pandas(cleaned: pa.Table) -> None:
    ours = compute(cleaned).to_pandas()[list(FEATURE_NAMES)]
    pd.testing.assert_frame_equal(ours, features_with_pandas(cleaned), rtol=1e-9, atol=0.0)


def bars_with_gaps() -> pa.Table:
    """Tickers with gaps: segments shorter and longer than every look-back."""
    tables = []
    for seed, ticker in enumerate(("AAA", "BBB", "CCC")):
        table = bars_of(ticker, SESSIONS, walk(300, seed))
        tables += [table.slice(0, 40), table.slice(50, 5), table.slice(60, 1), table.slice(70, 21), table.slice(100)]
    return clean(pa.concat_tables(tables), CleanConfig(), SESSIONS).bars


def test_features_equal_pandas_within_every_segment():
    cleaned = bars_with_gaps()
    assert cleaned["segment"].to_numpy().max() == 4
    assert_equal_to_pandas(cleaned)


def test_features_equal_pandas_over_many_blocks(monkeypatch):
    monkeypatch.setattr(table, "_BLOCK_ROWS", 64)
    assert_equal_to_pandas(bars_with_gaps())


def test_features_equal_pandas_on_real_bars():
    path = real_data("core6_daily_2010_2024.csv.gz")
    raw = bars.sort(parsed(path.read_bytes(), path.as_uri()).bars)
    cleaned = clean(raw, CleanConfig(), np.unique(raw["date"].cast(pa.int32()).to_numpy())).bars
    assert cleaned.num_rows == 21_923
    assert_equal_to_pandas(cleaned)


def test_rows_and_keys_are_kept_and_there_are_no_nulls():
    cleaned = bars_with_gaps()
    table = compute(cleaned)
    assert table.cast(EIGHT.schema).schema == EIGHT.schema
    keys = ["ticker", "date", "segment", "filled", "withdrawn"]
    assert bits(table.select(keys)) == bits(cleaned.select(keys))
    assert all(column.null_count == 0 for column in table.columns)
    assert bits(bars.from_parquet(bars.to_parquet(table))) == bits(table)


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name)
def test_a_feature_is_nan_exactly_while_its_look_back_is_incomplete(feature):
    table = compute(bars_with_gaps()).to_pandas()
    nth = table.groupby(["ticker", "segment"], observed=True).cumcount()
    assert (table[feature.name].isna() == (nth < feature.lookback_bars - 1)).all()


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name)
def test_a_feature_depends_on_its_look_back_bars_only(feature):
    close = walk(300)
    before = compute(clean(bars_of("AAA", SESSIONS, close), CleanConfig(), SESSIONS).bars)[feature.name].to_numpy()
    changed = close.copy()
    changed[150] *= 1.1
    after = compute(clean(bars_of("AAA", SESSIONS, changed), CleanConfig(), SESSIONS).bars)[feature.name].to_numpy()
    moved = np.flatnonzero(before.view(np.int64) != after.view(np.int64))
    if feature.name == "volume":
        assert not len(moved)
    else:
        assert list(moved) == list(range(150, 150 + feature.lookback_bars))


def test_other_tickers_in_the_shard_change_no_bit():
    alone = bars_of("BBB", SESSIONS, walk(300, 1))
    for company in ("AAA", "CCC"):
        both = bars.sort(pa.concat_tables([alone, bars_of(company, SESSIONS[:150], walk(150, 2, start=1e6))]))
        table = compute(clean(both, CleanConfig(), SESSIONS).bars).to_pandas()
        mine = pa.Table.from_pandas(table[table.ticker == "BBB"].astype({"ticker": str}), preserve_index=False)
        own = compute(clean(alone, CleanConfig(), SESSIONS).bars).to_pandas().astype({"ticker": str})
        assert bits(mine) == bits(pa.Table.from_pandas(own, preserve_index=False))


def test_an_empty_shard():
    cleaned = clean(bars.empty(), CleanConfig(), SESSIONS).bars
    assert compute(cleaned).cast(EIGHT.schema).num_rows == 0


def test_the_declared_features():
    assert FEATURE_NAMES == ("open", "high", "low", "close", "volume", "ma7", "ma21", "daily_return")
    assert [feature.lookback_bars for feature in FEATURES] == [1, 1, 1, 1, 1, 7, 21, 2]
