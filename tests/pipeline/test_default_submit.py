"""`cloudlstm submit` without a configuration, for the core six, against a server that replaces Yahoo."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from localstack.yahoo import Fault, Listing, Yahoo, listings, read_bars

from bar_factory import bars_of, walk
from cloudlstm import storage
from cloudlstm.config.data import CORE_SIX
from cloudlstm.market.calendar import sessions
from pipeline.cli_runner import cloudlstm, one_run, report
from real_data import real_data

SHORT = ("train.epochs=1", "train.max_steps=16", "model.units=8", "dataset.window_bars=10")
"""Settings that only shorten the training."""


def core_six() -> dict[str, Listing]:
    """Fifteen years of the core six; real bars if they are available."""
    try:
        return read_bars(real_data("core6_daily_2010_2024.csv.gz"))
    except pytest.skip.Exception:
        days = sessions("XNYS", dt.date(2010, 1, 1), dt.date(2024, 12, 31))
        made = (bars_of(ticker, days, walk(len(days), seed)) for seed, ticker in enumerate(CORE_SIX))
        return listings(row for table in made for row in table.to_pylist())


def test_submit_without_arguments_also_after_a_kill(tmp_path: Path) -> None:
    root = f"file://{tmp_path}/runs"
    with Yahoo(core_six()) as yahoo:
        env = {"CLOUDLSTM_YAHOO_URL": yahoo.url, "CLOUDLSTM_ROOT": root}
        yahoo.faults["TSLA"] = [Fault("slow", seconds=600)]
        launcher = subprocess.Popen(
            [sys.executable, "-m", "cloudlstm", "submit", *SHORT], env=os.environ | env,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            deadline = time.monotonic() + 180
            while len(list((tmp_path / "runs").rglob("snapshots/*.parquet"))) < 5 or not yahoo.asked["TSLA"]:
                assert time.monotonic() < deadline
                assert launcher.poll() is None
                time.sleep(0.1)
        finally:
            launcher.kill()
            launcher.wait()
        yahoo.faults.clear()
        asked = dict(yahoo.asked)
        done = cloudlstm("submit", *SHORT, env=env)
        assert done.returncode == 0, done.stderr
        assert yahoo.asked.total() - sum(asked.values()) == 1, "of six tickers five were stored"
        assert asked == dict.fromkeys(CORE_SIX, 1)
    assert "lstm" in done.stdout
    run = one_run(root)
    config = storage.read_json(f"{run}/config.json")
    assert config["market"]["source"] == "yahoo"
    assert config["universe"]["tickers"] == list(CORE_SIX)
    assert (config["market"]["start"], config["market"]["end"]) == ("2010-01-01", "2024-12-31")
    facts = storage.read_json(f"{run}/manifests/ingest.json")["facts"]
    assert [facts["coverage"][key] for key in ("asked", "fetched", "reused", "failed")] == [6, 6, 5, 0]
    assert {row["model"] for row in report(run)["models"]} == {"naive", "drift", "ridge", "lstm", "calibrated"}
    assert report(run)["models"][0]["rmse_price"] > 0
