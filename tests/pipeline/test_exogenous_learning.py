"""Networks find news that foretell returns, and gain nothing from tomorrow's return if it is dated today at 23:59."""

from __future__ import annotations

import datetime as dt
import io
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from cloudlstm import storage
from cloudlstm.config import MarketConfig
from cloudlstm.market.calendar import sessions, sessions_after
from cloudlstm.market.sources import synthetic
from cloudlstm.runs.manifest import Manifest, read_object
from cloudlstm.runs.paths import RunPaths
from pipeline.cli_runner import report
from pipeline.test_learning import trained

MARKET = MarketConfig.model_validate({"source": "synthetic", "start": "2015-01-01", "synthetic": {"tickers": 16}})
SEEDS = 3


def tomorrows_returns() -> pa.Table:
    """The next return of each ticker and session as a series that is published on the session at 23:59 in New York."""
    days = sessions(MARKET.calendar, MARKET.start, MARKET.end)
    later = np.concatenate([days, sessions_after(MARKET.calendar, days[-1:])])
    names = synthetic.ticker_names(MARKET.synthetic)
    returns, _ = synthetic.log_returns(MARKET.synthetic, names, later)
    at = [f"{dt.date(1970, 1, 1) + dt.timedelta(int(day))}T23:59:00-05:00" for day in days]
    return pa.table(
        {
            "series": ["TOMORROW"] * (len(names) * len(days)),
            "entity": np.repeat(names, len(days)),
            "period": pa.array(np.tile(days, len(names)), pa.int32()).cast(pa.date32()),
            "available_at": at * len(names),
            "value": returns[:, 1:].reshape(-1),
        }
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A finished run with both; its ablation has networks without either, and with one of them."""
    folder = tmp_path_factory.mktemp("exogenous")
    pq.write_table(tomorrows_returns(), folder / "tomorrow.parquet")
    return trained(
        folder, "market.start=2015-01-01", "market.synthetic.tickers=16", "dataset.window_bars=20", "model.units=32",
        f"train.seeds={SEEDS}", "train.learning_rate=2e-3", "exogenous.macro.source=files",
        f"exogenous.macro.path={folder}/tomorrow.parquet", "exogenous.macro.series=TOMORROW",
        "exogenous.macro.kinds.TOMORROW=score", "exogenous.news.source=synthetic", "exogenous.news.synthetic_r2=0.03",
    )  # fmt: skip


def ablation(run: str) -> dict[str, Any]:
    return {row["inputs"]: row for row in report(run)["exogenous"]["ablation"]}


def best_r2(run: str) -> float:
    """Share of the squared test returns that the scores explain, each in units of its ticker's volatility."""
    paths = RunPaths(run)
    features, train = Manifest.load(paths, "features"), Manifest.load(paths, "train")
    assert features
    assert train
    tables = [pq.read_table(io.BytesIO(read_object(row))) for row in features.objects]
    known = pa.concat_tables(tables).select(["ticker", "date", "news_mean"]).to_pandas()
    (row, *_) = train.of_kind("predictions")
    made = pq.read_table(io.BytesIO(read_object(row))).to_pandas()
    test = made[made["split"] == "test"].merge(
        known.astype({"ticker": str}), left_on=["ticker", "origin_date"], right_on=["ticker", "date"]
    )
    actual: NDArray[np.float64] = test["actual_return"].to_numpy()
    scaled = test["news_mean"].to_numpy() * test.groupby("ticker")["actual_return"].transform("std").to_numpy()
    return float((scaled @ actual) ** 2 / (scaled @ scaled) / (actual @ actual))


def test_news_that_foretell_returns_are_found_by_every_seed(run: str) -> None:
    best = best_r2(run)
    assert 0.02 < best < 0.05, "what was planted"
    for group in ("news", "both"):
        row = ablation(run)[group]
        assert row["r2_oos"]["members"] == SEEDS
        assert row["r2_oos"]["min"] >= 0.5 * best, group
        assert row["against_none"]["p"] < 0.01
        assert row["against_none"]["cw_p"] < 0.01


def test_tomorrows_return_dated_today_at_23_59_brings_nothing(run: str) -> None:
    row = ablation(run)["macro"]
    assert row["r2_oos"]["max"] < 0.005
    assert row["against_none"]["difference"] > -0.005


def test_the_correlations_show_what_a_leak_would_look_like(run: str) -> None:
    """The same numbers, had they been known on their date, would forecast the next return exactly."""
    found = {row["feature"]: row for row in report(run)["exogenous"]["correlations"]}
    assert found["macro_tomorrow"]["same_day"] > 0.95
    assert abs(found["macro_tomorrow"]["next_return"]) < 0.05
    assert found["news_mean"]["next_return"] > 0.1
    assert abs(found["news_mean"]["same_day"]) < 0.05


def test_the_network_relies_on_the_news(run: str) -> None:
    features = report(run)["exogenous"]["importance"]["features"]
    most = max(features, key=lambda row: row["increase"])
    assert most["feature"] in ("news_mean", "news_strongest")


def test_rows_and_scores_are_stored_with_their_times(run: str) -> None:
    manifest = Manifest.load(RunPaths(run), "exogenous")
    assert manifest
    assert manifest.facts["scorer"].startswith("vader ")
    assert manifest.facts["missing"] == []
    rows = pa.concat_tables([pq.read_table(io.BytesIO(read_object(row))) for row in manifest.of_kind("exogenous")])
    assert set(rows["series"].unique().to_pylist()) == {"TOMORROW", "news.score", "news.novelty"}
    assert rows["available_at"].null_count == 0
    root = RunPaths(run).root
    assert any("/scores/vader-" in found.uri for found in storage.list_objects(f"{root}/scores/"))
