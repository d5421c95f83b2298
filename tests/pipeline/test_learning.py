"""The default model finds a planted signal, and no signal in noise."""

from __future__ import annotations

import datetime as dt
import io
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from cloudlstm import storage
from cloudlstm.config import SyntheticConfig, parse
from cloudlstm.market.calendar import sessions
from cloudlstm.market.sources.synthetic import oracle_forecast, ticker_names
from cloudlstm.pipeline import prepare
from cloudlstm.runs.context import RunContext
from cloudlstm.runs.journal import Journal
from cloudlstm.runs.paths import RunPaths
from cloudlstm.targets import Plan, launcher
from cloudlstm.targets.local.target import LocalTarget
from pipeline.cli_runner import report

# Everything is as it comes: 32 tickers, 2010-2024, the model of record. The epochs are fewer, as they are most of what
# the tests cost, and there is one worker: training's own tests show that any number of them trains the same network.
MARKET = {"market": {"source": "synthetic"}, "train": {"epochs": 3, "workers": 1}, "prepare": {"engine": "local"}}


def trained(folder: Path, *words: str) -> str:
    """The URI of a finished run; its job "prepare" runs in this process, without Spark."""
    paths, target = RunPaths(f"file://{folder}/run"), LocalTarget()
    config = parse(MARKET, [*words, f'train.cache_dir="{folder}/cache"'])
    storage.write_json(paths.config, config.model_dump(mode="json"))
    with Journal(paths, "prepare", "driver") as journal:
        prepare.run(RunContext(paths, config, 0, journal))
    job = {"action": "job", **target.request("train", config, paths)}
    launcher.carry_out(Plan("submit", paths.uri, (job,)), target, lambda _: None)
    return paths.uri


def oracle_r2(run: str, config: SyntheticConfig) -> float:
    """Out-of-sample R² of the true expectation, on the forecasts of the report."""
    objects = storage.read_json(f"{run}/manifests/train.json")["objects"]
    (uri,) = [f"{run}/{row['uri']}" for row in objects if row["kind"] == "predictions"]
    table = pq.read_table(io.BytesIO(storage.read(uri))).to_pandas()
    test = table[table["split"] == "test"]
    days = sessions("XNYS", dt.date(2010, 1, 1), dt.date(2024, 12, 31))
    oracle = oracle_forecast(config, ticker_names(config), days).to_pandas()
    joined = test.merge(oracle.astype({"ticker": str}), left_on=["ticker", "origin_date"], right_on=["ticker", "date"])
    assert len(joined) == len(test) > 5000
    actual = joined["actual_return"].to_numpy()
    return float(1 - np.sum((actual - joined["forecast"].to_numpy()) ** 2) / np.sum(actual**2))


def lstm(run: str) -> dict[str, float]:
    (row,) = [row for row in report(run)["models"] if row["model"] == "lstm"]
    return row


def test_it_recovers_at_least_half_of_a_planted_signal(tmp_path: Path) -> None:
    run = trained(tmp_path, "market.synthetic.signal_r2=0.05", "train.epochs=2")
    settings = json.loads(storage.read(f"{run}/config.json"))["market"]["synthetic"]
    best = oracle_r2(run, SyntheticConfig(**settings))
    assert best > 0.02, "two years of fat tails are not the long run, but there must be something to recover"
    assert lstm(run)["r2_oos"] >= 0.5 * best
    assert lstm(run)["dm_p"] < 0.01


@pytest.mark.parametrize("seed", [1, 2])
def test_it_finds_no_signal_in_noise(tmp_path: Path, seed: int) -> None:
    # A smaller market is harder: with less data, noise looks more like a signal. Two seeds test more than one
    # larger market.
    smaller = ("market.synthetic.tickers=16", "market.start=2015-01-01")
    run = trained(tmp_path, *smaller, f"market.synthetic.seed={seed}", f"train.seed={seed}")
    assert lstm(run)["dm_p"] > 0.05
    assert abs(lstm(run)["r2_oos"]) < 0.005
