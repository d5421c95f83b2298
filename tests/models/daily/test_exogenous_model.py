"""A model with macro series, news and a feature of the user's own, by the command line: its run, days and trainings."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cloudlstm import storage
from cloudlstm.market import calendar
from cloudlstm.models import exogenous_rows, ledger, registry
from cloudlstm.models.paths import ModelPaths
from cloudlstm.runs import settings
from cloudlstm.runs.paths import RunPaths
from models.daily.recorded import CALENDAR, CONFIG, END, FIRST_DAY, START, evenings, write_market
from pipeline.cli_runner import cloudlstm, one_run, write_config

PACKAGE = """
import numpy as np
from cloudlstm.features import Feature

def kernel(close, starts):
    out = np.full(len(close), np.nan)
    out[29:] = np.lib.stride_tricks.sliding_window_view(close, 30).max(axis=1)
    return out

HIGHEST = Feature("highest_30", "price", "currency per share", 30, "close", kernel)
"""
MORE = """
[features]
extra = ["own:HIGHEST"]
[exogenous]
ablation = false
[exogenous.macro]
source = "files"
path = "{folder}/macro.csv"
series = ["DGS10"]
[exogenous.news]
source = "files"
path = "{folder}/news.csv"
"""


def test_a_model_with_exogenous_columns_and_an_own_feature(tmp_path: Path) -> None:
    bars = write_market(tmp_path / "bars", tickers=2)
    (tmp_path / "own.py").write_text(PACKAGE)
    days = [calendar.to_date(int(day)) for day in calendar.sessions(CALENDAR, START, END)]
    macro = [f"DGS10,{day},{day}T20:00:00Z,{2 + 0.01 * (number % 50)}" for number, day in enumerate(days)]
    (tmp_path / "macro.csv").write_text("\n".join(["series,period,available_at,value", *macro]))
    words = ("great orders", "weak demand", "a routine filing")
    news = [f"{file.stem},{day}T13:00:00Z,{words[number % 3]} {number}"
            for file in sorted(bars.glob("*.csv")) for number, day in enumerate(days)]  # fmt: skip
    (tmp_path / "news.csv").write_text("\n".join(["ticker,published_at,headline", *news]))
    config = write_config(tmp_path, CONFIG.format(path=bars / "*.csv") + MORE.format(folder=tmp_path))
    root = f"file://{tmp_path}/runs"
    done = cloudlstm("submit", f"--config={config}", f"--root={root}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    run = RunPaths(one_run(root))
    policy = ("warm_every=1", "cold_every=none", "warm_epochs=1")
    made = cloudlstm("models", "create", "m", f"--run={run.run_id}", f"--root={root}", *policy, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    for _, now in evenings(FIRST_DAY, 2):
        day = cloudlstm("daily", "m", f"--now={now.isoformat()}", f"--root={root}", cwd=tmp_path)
        assert day.returncode == 0, day.stderr
    paths = ModelPaths.of(root, "m")
    versions = registry.versions_of(paths)
    assert len(versions) >= 2
    names = [json.loads(storage.read(paths.version(each.number, "inputs.json")))["features"] for each in versions]
    assert names[0] == names[1]
    assert names[0][8:10] == ["highest_30", "macro_dgs10"]
    trained = RunPaths(versions[1].run)
    assert settings.read(trained, 0).market.source == "stored"
    # The forecasts of the first day are those of the run itself.
    first = registry.day_of(paths, registry.day_dates(paths)[0])
    table = ledger.forecasts_of(paths, ledger.record_of(paths, first.session)).to_pylist()
    report = pq.read_table(run.report("forecasts.parquet").removeprefix("file://")).to_pylist()
    theirs = {row["ticker"]: row for row in report if row.get("model", "lstm") == "lstm"}
    key = next(name for name in report[0] if "return" in name)
    for row in table:
        assert row["forecast_return"] == pytest.approx(theirs[row["ticker"]][key], abs=1e-6)
    rows, _ = exogenous_rows.read(paths.exogenous(first.date))
    assert set(rows["series"].to_pylist()) == {"DGS10", "news.score", "news.novelty"}
