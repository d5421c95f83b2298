"""The synthetic market of bars within a day."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow.compute as pc
import pytest

from cloudlstm.market import columns
from cloudlstm.market.grid import Grid
from cloudlstm.market.sources.session_shape import SessionShape
from cloudlstm.market.sources.synthetic import SyntheticSource, _Traits, make_bars, oracle_forecast, ticker_names
from minute_bars import market

SOUND = {"bad_ticks": 0.0, "missing_days": 0.0, "late_listings": 0.0, "splits": 0.0}


def test_bars_within_a_day_have_the_shape_of_a_session() -> None:
    config = market(start="2024-09-03", end="2024-11-27", synthetic={"tickers": 8, **SOUND})
    source = SyntheticSource.open(config, None)
    table = source.read(source.partitions()[0])
    own = Grid.of(config)
    minute = (own.starts - own.hours.opens[own.place_of(own.starts)]) % 390
    close, open_, volume = (table.column(name).to_numpy().reshape(8, 62, 390) for name in ("close", "open", "volume"))
    assert (minute.reshape(62, 390) == np.arange(390)).all(), "whole sessions only"
    parts = [slice(0, 30), slice(180, 240), slice(360, 390)]
    volatility = [np.log(close / open_)[:, :, part].std() for part in parts]
    traded = [volume[:, :, part].mean() for part in parts]
    for first, noon, last in (volatility, traded):
        assert first > 1.3 * noon
        assert last > 1.1 * noon
    # The variances of a session's bars add up to that of a day, and the night adds a quarter of it.
    within = np.log(close[:, :, -1] / open_[:, :, 0]).std(axis=1)
    night = np.log(open_[:, 1:, 0] / close[:, :-1, -1]).std(axis=1)
    assert 0.3 < float((night / within).mean()) < 0.8
    assert 0.005 < float(within.mean()) < 0.03
    assert source.last_date() == dt.datetime(2024, 11, 27, 20, 59, tzinfo=dt.UTC)


def test_splits_of_bars_within_a_day_happen_between_sessions() -> None:
    config = market("15m", start="2022-01-03", end="2024-11-29", synthetic={"tickers": 4, "splits": 2.0})
    own = Grid.of(config)
    shape = SessionShape.of(own)
    for ticker in ticker_names(config.synthetic):
        factor = _Traits.of(config.synthetic, ticker, len(own.starts), shape).split_factor
        if factor is not None:
            assert (own.days[1:][np.diff(factor) != 0] != own.days[:-1][np.diff(factor) != 0]).all()


def test_the_planted_signal_is_that_of_the_next_bar() -> None:
    config = market("5m", start="2024-01-02", end="2024-11-29",
                    synthetic={"tickers": 12, "signal_r2": 0.05, "bad_ticks": 0.0, "missing_days": 0.0,
                               "late_listings": 0.0, "splits": 0.0})  # fmt: skip
    own = Grid.of(config)
    names = ticker_names(config.synthetic)
    close = make_bars(config.synthetic, names, own.starts, own).column("close").to_numpy().reshape(12, -1)
    oracle = oracle_forecast(config.synthetic, names, own.starts, own)
    assert oracle.schema.field("date").type == columns.MOMENT
    forecast = oracle.column("forecast").to_numpy().reshape(12, -1)[:, :-1]
    actual = np.diff(np.log(close))
    within = np.diff(own.days) == 0
    error = ((actual - forecast)[:, within] ** 2).sum() / (actual[:, within] ** 2).sum()
    assert 1.0 - error == pytest.approx(0.05, abs=0.01)


def test_bars_within_a_day_do_not_depend_on_the_other_tickers() -> None:
    config = market("15m", synthetic={"tickers": 3})
    own = Grid.of(config)
    together = make_bars(config.synthetic, ticker_names(config.synthetic), own.starts, own)
    alone = make_bars(config.synthetic, ("SYN000002",), own.starts, own)
    assert together.filter(pc.equal(together.column("ticker"), "SYN000002")).to_pylist() == alone.to_pylist()
