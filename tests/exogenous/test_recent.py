"""The rows of the last sessions give their bars the same bits as all rows."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudlstm.exogenous.columns import NEWS, NOVELTY, Column
from cloudlstm.exogenous.join import join
from cloudlstm.exogenous.recent import Span, needed_headlines, needed_rows, span_of
from cloudlstm.exogenous.table import EXOGENOUS, HEADLINES
from cloudlstm.market.calendar import sessions

TICKERS, EMBARGO, HOUR = ("A", "B"), 15, 3_600_000_000
DAYS = sessions("XNYS", dt.date(2023, 11, 1), dt.date(2024, 3, 20))
COLUMNS = (
    Column("rate", "macro", "rate", "percent", "RATE", "value", 30),
    Column("rate_age", "macro", "age", "days", "RATE", "age", 30),
    Column("news_count", "news", "count", "number", NEWS, "count", 5),
    Column("news_mean", "news", "score", "score", NEWS, "mean", 5),
    Column("news_age", "news", "age", "days", NEWS, "age", 5),
    Column("news_novelty", "news", "score", "score", NOVELTY, "novelty", 5),
)


def random_rows(rng: np.random.Generator, number: int) -> pa.Table:
    """Rows known up to 40 days after their period, some of them twice, and some that are missing values."""
    period = rng.integers(DAYS[0] - 40, DAYS[-1] + 5, number)
    known = period.astype(np.int64) * 24 * HOUR + rng.integers(0, 40 * 24, number) * HOUR
    return pa.table(
        {
            "series": rng.choice(["RATE", NEWS, NOVELTY], number), "entity": rng.choice(["", *TICKERS], number),
            "period": pa.array(period, pa.int32()).cast(pa.date32()),
            "available_at": pa.array(known).cast(pa.timestamp("us", "UTC")),
            "value": np.where(rng.random(number) < 0.1, np.nan, rng.normal(size=number)),
            "vintage": rng.integers(0, 3, number), "source": ["test"] * number,
        },
    ).cast(EXOGENOUS)  # fmt: skip


def bars(days: np.ndarray) -> pa.Table:
    dates = pa.array(np.tile(days, len(TICKERS)), pa.int32()).cast(pa.date32())
    return pa.table({"ticker": pa.array(np.repeat(TICKERS, len(days))), "date": dates})


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), number=st.sampled_from([0, 20, 300]), first=st.integers(1, len(DAYS) - 12))
def test_needed_rows_give_the_bits_of_all_rows(seed: int, number: int, first: int) -> None:
    rng = np.random.default_rng(seed)
    rows, tail = random_rows(rng, number), DAYS[first : first + 10]
    needed = needed_rows(rows, span_of("XNYS", int(tail[0]), int(tail[-1]), EMBARGO))
    assert needed.num_rows <= rows.num_rows
    whole = join(bars(DAYS), rows, COLUMNS, "XNYS", EMBARGO)
    ours = join(bars(tail), needed, COLUMNS, "XNYS", EMBARGO)
    place = np.flatnonzero(np.isin(whole["date"].cast(pa.int32()).to_numpy(), tail))
    for column in COLUMNS:
        expected = whole[column.name].to_numpy()[place]
        np.testing.assert_array_equal(ours[column.name].to_numpy().view(np.int64), expected.view(np.int64))


def test_few_rows_before_the_span_are_needed() -> None:
    rows = random_rows(np.random.default_rng(3), 5000)
    span = span_of("XNYS", int(DAYS[-5]), int(DAYS[-1]), EMBARGO)
    times = needed_rows(rows, span)["available_at"].cast(pa.int64()).to_numpy()
    assert 0 < np.sum(times <= span.after) <= 2 * 9  # three series, of the market and two tickers
    assert times.max() <= span.until


def test_headlines_of_the_days_of_novelty_are_needed_and_the_newest_before() -> None:
    hours = [-500, -300, -49, -47, 0, 10, 24, 25]
    known = pa.array([hour * HOUR for hour in hours]).cast(pa.timestamp("us", "UTC"))
    table = pa.table(
        {"entity": ["A"] * 8, "period": known.cast(pa.date32()), "available_at": known,
         "headline": [str(hour) for hour in hours], "source": ["test"] * 8}
    ).cast(HEADLINES)  # fmt: skip
    found = needed_headlines(table, Span(0, 24 * HOUR), 2)["headline"].to_pylist()
    assert found == ["-47", "0", "10", "24"]
    old = table.filter(pc.less(table["available_at"].cast(pa.int64()), -200 * HOUR))
    assert needed_headlines(old, Span(0, 24 * HOUR), 2)["headline"].to_pylist() == ["-300"]
