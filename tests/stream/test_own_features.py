"""Features of the user's own code in a stream, and networks that take what a stream does not have."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from cloudlstm import storage
from cloudlstm.config import parse
from cloudlstm.errors import UsageError
from cloudlstm.features import FEATURE_NAMES
from cloudlstm.market import columns
from cloudlstm.models.paths import ModelPaths
from cloudlstm.models.tail import Windows
from cloudlstm.runs.manifest import Manifest
from cloudlstm.runs.paths import RunPaths
from cloudlstm.stream.advance import Rules, advance
from cloudlstm.stream.bars import VALUES
from cloudlstm.stream.forecasting import ChampionModel, RunModel, forecast
from cloudlstm.stream.kernel import Kernel
from cloudlstm.stream.state import State
from models.daily.untrained import add_version, make_model
from stream.market import grid, market, table

EXAMPLES = Path(__file__).parents[2] / "examples"
OWN = "features.extra=own.features:MOMENTUM,own.features:RANGE"


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    yield
    for name in [each for each in sys.modules if each.partition(".")[0] == "own"]:
        del sys.modules[name]


def model_with(folder: Path, *settings: str) -> ModelPaths:
    return make_model(f"file://{folder}/runs", "minutes", folder / "bars", settings=settings)


def test_a_champion_gets_the_users_features_in_the_order_of_its_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(EXAMPLES)
    champion = ChampionModel(model_with(tmp_path, OWN))
    assert champion.features.names == (*FEATURE_NAMES, "momentum_10", "daily_range")
    kernel, predictor = Kernel.of(champion.features), champion.open("1")
    rows = market(tickers=2, sessions=2)
    state, found, features = State.empty(), [], []
    rules = Rules(grid(), kernel, keep_bars=kernel.lookback_bars + predictor.window_bars - 2)
    for begin in range(0, len(rows), 37):
        made = advance(state, table(rows[begin : begin + 37]), rules)
        out = forecast(made, predictor, grid())
        state = made.state(out.at_new)
        found.append(out.table)
        features.append(made.feature_table(kernel.names))
    live, batch = pa.concat_tables(features), batch_table(rows)
    wanted = champion.features.compute(batch)
    order = [("ticker", "ascending"), ("minute", "ascending")]
    live = live.set_column(0, "ticker", live["ticker"].cast(pa.string())).sort_by(order)
    for name in kernel.names:
        np.testing.assert_array_equal(live[name].to_numpy(), wanted[name].to_numpy(), err_msg=name)
    made_from = windows(wanted, predictor.window_bars, champion.features.names)
    expected = predictor.forecaster.returns(made_from)
    assert len(expected) > 100
    forecasts = pa.concat_tables(found)
    forecasts = forecasts.set_column(0, "ticker", forecasts["ticker"].cast(pa.string())).sort_by(order)
    np.testing.assert_allclose(forecasts["forecast_return"].to_numpy(), expected, rtol=0, atol=1e-6)
    assert np.std(expected) > 1e-5


def batch_table(rows: list[dict[str, object]]) -> pa.Table:
    """The cleaned bars, by ticker and minute; each session is a segment."""
    rows = sorted(rows, key=lambda row: (row["ticker"], row["minute"]))
    session = grid().places(np.array([row["minute"] for row in rows], np.int64)).session
    return pa.table(
        {
            "ticker": pa.array([row["ticker"] for row in rows]).dictionary_encode(),
            "date": columns.from_days(np.zeros(len(rows), np.int32)),
            "segment": session,
            "filled": np.zeros(len(rows), bool),
            "withdrawn": np.zeros(len(rows), bool),
            **{name: pa.array([row[name] for row in rows], pa.float64()) for name in VALUES},
        }
    )


def windows(features: pa.Table, bars: int, names: tuple[str, ...]) -> Windows:
    """Every complete window but those that end with the last bar of a session."""
    values = np.stack([features[name].to_numpy() for name in names], axis=1).astype(np.float32)
    session, ticker = (
        features["segment"].to_numpy(),
        features["ticker"].cast(pa.string()).to_numpy(zero_copy_only=False),
    )
    ends = [
        end
        for end in range(bars - 1, len(values) - 1)
        if np.isfinite(values[end - bars + 1 : end + 1]).all()
        and (session[end - bars + 1], ticker[end - bars + 1]) == (session[end + 1], ticker[end + 1])
    ]
    cut = np.stack([values[end - bars + 1 : end + 1] for end in ends])
    return Windows(cut, ticker[ends].astype(np.str_), session[ends], np.full(len(ends), np.nan))


def test_a_network_that_takes_news_is_refused_before_the_stream_begins(tmp_path: Path) -> None:
    news = ("exogenous.news.source=files", "exogenous.news.path=news.csv")
    paths = model_with(tmp_path, *news)
    champion = ChampionModel(paths)
    assert champion.features.names == FEATURE_NAMES
    with pytest.raises(UsageError, match=r"minutes v1 takes news_count.*a stream has no macro series and no news"):
        champion.open(champion.newest())
    add_version(paths, 2)
    assert champion.open("2").forecaster.names == FEATURE_NAMES, "a version without them serves"


def test_code_that_has_changed_since_the_training_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(EXAMPLES)
    run = RunPaths(f"file://{tmp_path}/mine")
    storage.write_json(run.config, parse({}, ["market.source=synthetic", OWN]).model_dump(mode="json"))
    Manifest("train", "f", (), 0.0, {}).save(run)
    Manifest("features", "f", (), 0.0, {"own_code": [["own", "another content"]]}).save(run)
    with pytest.raises(UsageError, match=r"the code of own\.features:MOMENTUM.* has changed since run mine"):
        RunModel(run)
