"""Days of a model on recorded bars: forecasts, outcomes, trainings, refusals, and the same bytes after a kill."""

from __future__ import annotations

import datetime as dt
import os
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from cloudlstm import storage
from cloudlstm.cli.daily_run import run_daily
from cloudlstm.errors import StorageError, UsageError
from cloudlstm.models import ledger, registry
from cloudlstm.models.creating import create, read_policy
from cloudlstm.models.day import run_day
from cloudlstm.models.paths import ModelPaths
from cloudlstm.models.verifying import verify_ledger
from cloudlstm.runs.paths import RunPaths
from cloudlstm.targets import open_target
from models.daily.recorded import CONFIG, FIRST_DAY, change_rows, evenings, objects, stamp, write_market
from pipeline.cli_runner import one_run, submit, write_config

POLICY = ("warm_every=10", "refresh_after=5", "cold_every=none", "warm_epochs=1")
NOTHING_DUE = ("warm_every=none", "cold_every=none")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with recorded bars and one finished run on them."""
    folder = tmp_path_factory.mktemp("recorded")
    write_market(folder / "bars")
    done = submit(write_config(folder, CONFIG.format(path=folder / "bars/*.csv")), f"file://{folder}/runs")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    """A copy of the bars and of the root."""
    shutil.copytree(trained, tmp_path / "own")
    return tmp_path / "own"


def model_of(folder: Path, *policy: str) -> ModelPaths:
    """A model on the folder's run. Its bars are the folder's own."""
    root = f"file://{folder}/runs"
    run = RunPaths(one_run(root))
    for name in [run.config, *(item.uri for item in storage.list_objects(run.attempts))]:
        text = storage.read(name).decode()
        at = text.find("file://")
        if at >= 0 and "/bars/" in text:
            old = text[at : text.index("/bars/", at)]
            storage.write(name, text.replace(old, f"file://{folder}").encode())
    paths = ModelPaths.of(root, "m")
    create(paths, run, read_policy(policy))
    return paths


def test_a_model_lives_from_day_to_day(folder: Path) -> None:
    paths = model_of(folder, *POLICY)
    target = open_target(None)
    days = []
    for number, (day, now) in enumerate(evenings(FIRST_DAY, 20)):
        if number == 7:  # a missed day
            continue
        done = run_daily(paths, target, lambda moment=now: moment)  # type: ignore[misc]
        assert done.date == day.isoformat()
        days.append(done)

    assert [day.status for day in days] == ["done"] * 19
    missed = [day.isoformat() for day, _ in evenings(FIRST_DAY, 8)][7]
    assert days[7].missed == (missed,)
    # The outcome of each session but the newest is known, also that of the missed day, forecast the day before it.
    settled = [outcome for day in days for outcome in day.outcomes]
    assert len(settled) == 18
    assert all(outcome.tickers == 4 for outcome in settled)
    for outcome in settled:
        record = ledger.record_of(paths, outcome.session)
        table = ledger.forecasts_of(paths, record)
        came = dict(zip(*pq.read_table(paths.outcomes(outcome.session).removeprefix("file://")).to_pydict().values(),
                        strict=True))  # fmt: skip
        own = [(row["forecast_return"], came[row["ticker"]]) for row in table.to_pylist()
               if row["version"] == outcome.champion]  # fmt: skip
        expected = sum((actual - forecast) ** 2 for forecast, actual in own) / len(own)
        assert outcome.loss[str(outcome.champion)] == pytest.approx(expected, rel=1e-12)
    # A warm challenger was trained, competed for five sessions and was promoted as a refresh.
    versions = registry.versions_of(paths)
    assert [version.kind for version in versions][:2] == ["created", "warm"]
    assert versions[1].parent == 1
    assert versions[1].seen > versions[0].seen
    moves = registry.moves_of(paths)
    assert moves[-1].basis == "refresh"
    assert moves[-1].version >= 2
    assert not any(day.refused for day in days)

    # The ledger is whole; a changed, missing or late forecast is found.
    local = Path(paths.ledger.removeprefix("file://"))
    stamp(local)
    found = verify_ledger(paths)
    assert (found.records, found.problems) == (19, ())
    assert len(found.gaps) == 1
    victim = sorted(local.glob("*.parquet"))[3]
    data = victim.read_bytes()
    victim.write_bytes(data[:-1] + b"x")
    assert [each.kind for each in verify_ledger(paths).problems] == ["changed"]
    victim.unlink()
    assert [each.kind for each in verify_ledger(paths).problems] == ["missing"]
    victim.write_bytes(data)
    os.utime(sorted(local.glob("*.json"))[5])
    assert [each.kind for each in verify_ledger(paths).problems] == ["late"]


def test_the_same_day_again_changes_nothing(folder: Path) -> None:
    paths = model_of(folder, *NOTHING_DUE)
    _, now = next(evenings(FIRST_DAY, 1))
    first = run_day(paths, now)
    before = objects(paths)
    assert run_day(paths, now + dt.timedelta(hours=1)) == first
    assert objects(paths) == before


def test_a_model_is_created_once(folder: Path) -> None:
    """The same creation again goes on where it stopped; another policy is not dropped silently."""
    paths = model_of(folder, *NOTHING_DUE)
    made, run = objects(paths), RunPaths(one_run(paths.root))
    create(paths, run, read_policy(NOTHING_DUE))
    assert objects(paths) == made
    with pytest.raises(UsageError, match="model m exists already"):
        create(paths, run, read_policy(POLICY))
    for name in ("versions/0001.json", "aliases/champion/0001.json"):
        storage.delete(f"{paths.uri}/{name}", within=paths.uri)
    create(paths, run, read_policy(NOTHING_DUE))
    assert objects(paths) == made


def test_forecasts_are_those_of_predict(folder: Path) -> None:
    """The run's own forecasts of the last session, by the pipeline, are those of the first day."""
    paths = model_of(folder, *NOTHING_DUE)
    _, now = next(evenings(FIRST_DAY, 1))
    day = run_day(paths, now)
    table = ledger.forecasts_of(paths, ledger.record_of(paths, day.session))
    ours = dict(zip(table["ticker"].to_pylist(), table["forecast_return"].to_pylist(), strict=True))
    run = RunPaths(registry.version_of(paths, 1).run)
    report = pq.read_table(run.report("forecasts.parquet").removeprefix("file://")).to_pylist()
    theirs = {row["ticker"]: row for row in report if row["model"] == "lstm"} if "model" in report[0] else {
        row["ticker"]: row for row in report}  # fmt: skip
    assert set(ours) == set(theirs)
    key = next(name for name in report[0] if "return" in name)
    for ticker, forecast in ours.items():
        assert forecast == pytest.approx(theirs[ticker][key], abs=1e-6)


def test_bad_data_is_refused_and_the_champion_stays(folder: Path) -> None:
    paths = model_of(folder, *NOTHING_DUE)
    moments = list(evenings(FIRST_DAY, 3))
    run_day(paths, moments[0][1])
    for file in (folder / "bars").glob("*.csv"):
        change_rows(file, {moments[1][0].isoformat()}, -1.0)
    day = run_day(paths, moments[1][1])
    assert day.status == "refused"
    assert day.refused
    assert any("coverage" in reason for reason in day.reasons)
    assert day.session == ""
    assert registry.newest_move(paths).version == 1
    for file in (folder / "bars").glob("*.csv"):
        change_rows(file, {moments[1][0].isoformat()}, -1.0)
    after = run_day(paths, moments[2][1])
    assert after.status == "done"
    assert len(after.bars["corrected"]) == 4


def test_a_late_day_makes_no_forecasts(folder: Path) -> None:
    paths = model_of(folder, *NOTHING_DUE)
    _, now = next(evenings(FIRST_DAY, 1))
    day = run_day(paths, now + dt.timedelta(hours=16))
    assert day.status == "late"
    assert ledger.sessions_of(paths) == []


def test_forecasts_that_a_slow_fetch_delays_beyond_the_opening_are_not_made(folder: Path) -> None:
    paths = model_of(folder, *NOTHING_DUE)
    _, now = next(evenings(FIRST_DAY, 1))
    assert run_day(paths, now, lambda: now + dt.timedelta(hours=16)).status == "late"


@pytest.mark.parametrize("seed", range(8))
def test_a_killed_day_is_done_again_with_the_same_bytes(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """A day that ends at any write leaves nothing wrong behind."""
    paths = model_of(folder, *NOTHING_DUE)
    moments = [now for _, now in evenings(FIRST_DAY, 3)]
    run_day(paths, moments[0])
    kept = tmp_path / "kept"
    shutil.copytree(folder, kept)
    run_day(paths, moments[1])
    undisturbed = objects(paths)
    shutil.rmtree(folder)
    shutil.copytree(kept, folder)

    writes = 0
    write, write_json = storage.write, storage.write_json

    def failing(original: Any) -> Any:
        def call(*words: Any, **flags: Any) -> Any:
            nonlocal writes
            writes += 1
            if writes == seed + 1:
                raise StorageError("the process was killed")
            return original(*words, **flags)

        return call

    monkeypatch.setattr(storage, "write", failing(write))
    monkeypatch.setattr(storage, "write_json", failing(write_json))
    try:
        run_day(paths, moments[1])
    except StorageError:
        assert writes == seed + 1
    monkeypatch.setattr(storage, "write", write)
    monkeypatch.setattr(storage, "write_json", write_json)
    run_day(paths, moments[1])
    assert objects(paths) == undisturbed
