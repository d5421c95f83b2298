"""A run with a table of periods: from the file to the forecasts, and what runs again when a period changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from cloudlstm import storage
from cloudlstm.cli import plans
from cloudlstm.cli.unchanged import inputs_of
from cloudlstm.config import RunConfig
from cloudlstm.errors import CloudLSTMError, DataError, ObjectNotFoundError, UnknownTickerError
from cloudlstm.runs.manifest import Manifest
from cloudlstm.runs.paths import RunPaths
from cloudlstm.targets import open_target
from pipeline.cli_runner import SMALL, one_run, report, submit, write_config
from pipeline.test_rounds import config_of, prepare

TABLE = """ticker,from,to
SYN000001,2018-01-01,
SYN000002,2019-01-01,2020-06-30  # left, and its bars go on
SYN000002,2022-03-01,2022-12-31
SYN000003,2022-06-01,            # joined late
SYN000004,2010-01-01,2018-12-31  # no member in the dates of the run
"""
PERIODS = {
    "SYN000001": [("2018-01-01", "2023-12-31")],
    "SYN000002": [("2019-01-01", "2020-06-30"), ("2022-03-01", "2022-12-31")],
    "SYN000003": [("2022-06-01", "2023-12-31")],
}
QUICK = ("market.synthetic.late_listings=0", "market.synthetic.missing_days=0", "market.synthetic.bad_ticks=0")


def table(folder: Path, text: str = TABLE) -> str:
    (folder / "members.csv").write_text(text)
    return f"universe.path={folder}/members.csv"


def facts(paths: RunPaths) -> dict[str, Any]:
    found = Manifest.load(paths, "sequences")
    assert found is not None
    return dict(found.facts)


def test_forecasts_are_of_members_only(tmp_path: Path) -> None:
    root = f"file://{tmp_path}/runs"
    words = [table(tmp_path), *QUICK, "prepare.engine=local", "train.epochs=1", "train.max_steps=2"]
    done = submit(write_config(tmp_path, SMALL), root, *words)
    assert done.returncode == 0, done.stderr
    run = one_run(root)
    [predictions] = [row.uri for row in storage.list_objects(f"{run}/data/train/") if "predictions" in row.uri]
    rows = pq.read_table(predictions.removeprefix("file://")).to_pylist()
    by_split: dict[str, dict[str, list[str]]] = {}
    for row in rows:
        origins = by_split.setdefault(row["split"], {}).setdefault(row["ticker"], [])
        origins.append(row["origin_date"].isoformat())
    assert by_split["validation"].keys() == {"SYN000001", "SYN000002", "SYN000003"}
    assert by_split["test"].keys() == {"SYN000001", "SYN000003"}
    for split in ("validation", "test"):
        for ticker, origins in by_split[split].items():
            assert all(any(first <= day <= last for first, last in PERIODS[ticker]) for day in origins)
    assert min(by_split["validation"]["SYN000002"]) == "2022-03-01"
    assert min(by_split["validation"]["SYN000003"]) == "2022-06-01"
    assert {row["ticker"] for row in report(run)["forecasts"]["rows"]} == {"SYN000001", "SYN000003"}
    found = facts(RunPaths(run))["members"]
    left_out = found.pop("windows_left_out")
    assert found == {
        "tickers": 3, "left": 1, "bars_to_end": 1, "without_periods": 0, "excluded": 0, "last_date": "2023-12-29",
    }  # fmt: skip
    assert left_out["forecast"] == 1


def test_windows_left_out_are_counted_and_only_the_sequences_depend_on_the_periods(tmp_path: Path) -> None:
    paths = RunPaths(f"file://{tmp_path}/run")
    listed = config_of(tmp_path, table(tmp_path, "SYN000001\nSYN000002\nSYN000003\n"), *QUICK)
    prepare(paths, listed)
    whole = facts(paths)["windows"]
    assert "members" not in facts(paths)
    before = (tmp_path / "members.csv").read_text()

    table(tmp_path)
    assert prepare(paths, listed) == [["sequences"]]
    first = facts(paths)
    left_out = first["members"]["windows_left_out"]
    assert {split: first["windows"][split] + left_out[split] for split in whole} == whole
    assert left_out["forecast"] == 1
    assert left_out["test"] == whole["test"] // 3

    table(tmp_path, TABLE + "# another comment\n")
    assert prepare(paths, listed) == [], "the content of the table is the same"
    table(tmp_path, TABLE.replace("2020-06-30", "2020-06-29"))
    assert prepare(paths, listed) == [["sequences"]]
    assert facts(paths)["windows"]["train"] == first["windows"]["train"] - 1

    table(tmp_path, "ticker,from,to\n" + "".join(f"{name},2018-01-01,\n" for name in before.split()))
    prepare(paths, listed)
    assert facts(paths)["windows"] == whole


def test_a_split_without_members_ends_the_step(tmp_path: Path) -> None:
    paths = RunPaths(f"file://{tmp_path}/run")
    with pytest.raises(DataError, match=r"membership leaves no window in test \(\d+ windows\)"):
        prepare(paths, config_of(tmp_path, table(tmp_path, "ticker,from,to\nSYN000001,2018-01-01,2022-12-31\n")))


def looked(folder: Path, *words: str) -> RunConfig:
    """The launcher's look at the sources of a run."""
    here = open_target(None)
    config = str(write_config(folder, SMALL))
    plan = plans.submit_plan(here, config=config, overrides=words, root=str(folder / "runs"), run=None)
    plans.look(plan, plans.config_of(plan), here)
    return plans.config_of(plan)


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("ticker,from,to\nSYN000001,2018-01-01,2022-12-31\n", DataError, "a label of test can begin"),
        ("ticker,from,to\nSYN000001,2024-01-01,\n", DataError, "no member between 2019-01-01 and 2023-12-31"),
        ("ticker,from,to\nSYN000001,01.01.2018,\n", DataError, "line 2 of the universe"),
    ],
)
def test_a_table_that_cannot_work_is_refused_before_the_run(
    tmp_path: Path, text: str, kind: type[CloudLSTMError], message: str
) -> None:
    with pytest.raises(kind, match=message):
        looked(tmp_path, table(tmp_path, text))
    assert not (tmp_path / "runs").exists()


def test_sectors_are_read_before_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ObjectNotFoundError, match=r"universe\.sectors: there is no file file://.*/nowhere\.csv"):
        looked(tmp_path, "universe.sectors=nowhere.csv")
    sectors = tmp_path / "sectors.csv"
    sectors.write_text("SYN000001,Energy\n")
    with pytest.raises(DataError, match="is not the header ticker,sector"):
        looked(tmp_path, "universe.sectors=sectors.csv")
    assert not (tmp_path / "runs").exists()
    sectors.write_text("ticker,sector\nSYN000001,Energy\n")
    config = looked(tmp_path, "universe.sectors=sectors.csv")
    assert config.universe.sectors == f"file://{sectors}", "jobs on other machines get a URI"
    before = inputs_of(config)
    sectors.write_text("ticker,sector\nSYN000001,Utilities\n")
    assert inputs_of(config) != before


def test_a_period_is_an_input_of_a_submit(tmp_path: Path) -> None:
    config = config_of(tmp_path, table(tmp_path))
    before = inputs_of(config)
    table(tmp_path, TABLE + "\n# nothing new\n")
    assert inputs_of(config) == before
    table(tmp_path, TABLE.replace("2020-06-30", "2020-06-29"))
    assert inputs_of(config) != before


def test_a_member_that_the_files_lack_is_missing_as_far_as_the_settings_allow(tmp_path: Path) -> None:
    rng, days = np.random.default_rng(5), np.arange("2019-01-01", "2024-01-01", dtype="datetime64[D]")
    days = days[np.is_busday(days)]
    for ticker, n in (("KEPT", len(days)), ("SOLD", 900)):
        close = (50 * np.exp(np.cumsum(rng.normal(0, 0.01, n)))).round(4)
        lines = [f"{day},{c},{c * 1.01:.4f},{c * 0.99:.4f},{c},{1000 + k}" for k, (day, c) in
                 enumerate(zip(days, close, strict=False))]  # fmt: skip
        (tmp_path / "bars").mkdir(exist_ok=True)
        (tmp_path / "bars" / f"{ticker}.csv").write_text("\n".join(["date,open,high,low,close,volume", *lines]))
    sold = days[899]  # 2022-06-13
    rows = f"KEPT,2010-01-01,\nSOLD,2010-01-01,{sold}\nGONE,2010-01-01,2021-03-01\n"
    words = [table(tmp_path, f"ticker,from,to\n{rows}"), "market.source=files", f"market.path={tmp_path}/bars",
             "market.calendar=24/5"]  # fmt: skip
    with pytest.raises(UnknownTickerError, match=r"has no GONE"):
        looked(tmp_path, *words)
    config = looked(tmp_path, *words, "clean.max_missing_fraction=0.34")
    paths = RunPaths(f"file://{tmp_path}/run")
    prepare(paths, config)
    found = facts(paths)["members"]
    assert {name: found[name] for name in ("tickers", "left", "bars_to_end")} == {
        "tickers": 3, "left": 2, "bars_to_end": 1,
    }  # fmt: skip
    assert found["windows_left_out"] == {"train": 0, "validation": 0, "test": 0, "forecast": 1}
    clean = Manifest.load(paths, "clean")
    assert clean is not None
    assert clean.facts["missing_tickers"] == ["GONE"]
