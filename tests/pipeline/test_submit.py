"""The command end to end with real Spark and TensorFlow workers: submit, read, resume, predict, on disk and GCS.

reliability/test_killed_submit.py does it on S3, and asks for equal bytes.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cloudlstm import storage
from cloudlstm.config import load
from cloudlstm.runs.paths import RunPaths
from pipeline.cli_runner import SMALL, cloudlstm, data_objects, error_line, one_run, report, submit, write_config

TWO = "train.workers=2"
"""Two processes in a network that nothing else can reach."""


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The root of a finished run on this machine's disk."""
    folder = tmp_path_factory.mktemp("local")
    done = submit(write_config(folder), f"file://{folder}/runs", TWO)
    assert done.returncode == 0, done.stderr
    for word in ("naive", "drift", "ridge", "lstm", "calibrated", "report.html"):
        assert word in done.stdout
    return f"file://{folder}/runs"


def test_every_step_has_its_manifest_and_the_report_exists(local: str) -> None:
    run = one_run(local)
    steps = {item.uri.rsplit("/", 1)[1] for item in storage.list_objects(f"{run}/manifests/")}
    assert steps == {f"{step}.json" for step in ("ingest", "clean", "features", "sequences", "train", "evaluate")}
    rows = {row["model"]: row for row in report(run)["models"]}
    assert set(rows) == {"naive", "drift", "ridge", "lstm", "calibrated"}
    assert all(row["rmse_price"] > 0 for row in rows.values())
    facts = json.loads(storage.read(f"{run}/manifests/train.json"))["facts"]
    pids = [process["pid"] for process in facts["worker_processes"]]
    assert len(set(pids)) == 2
    assert storage.read(f"{run}/report/report.html").startswith(b"<!")


def test_forecasts_are_for_the_next_session(local: str) -> None:
    text = storage.read(f"{one_run(local)}/report/forecasts.csv").decode()
    rows = list(csv.DictReader(text.splitlines()))
    assert {row["ticker"] for row in rows} == {f"SYN{number:06d}" for number in range(1, 6)}
    # 2023-12-29 was the last session of 2023, and New Year's Day none.
    assert {row["origin_date"] for row in rows if row["origin_date"] == "2023-12-29"}
    assert {row["target_date"] for row in rows if row["origin_date"] == "2023-12-29"} == {"2024-01-02"}


def test_a_second_submit_does_nothing_again(local: str, tmp_path: Path) -> None:
    run = one_run(local)
    before = {item.uri: item.etag for item in storage.list_objects(f"{run}/")}
    done = submit(write_config(tmp_path), local, TWO)
    assert done.returncode == 0
    assert done.stderr.count("unchanged, skipped") == 6
    assert "nothing has changed since" in done.stdout
    assert {item.uri: item.etag for item in storage.list_objects(f"{run}/")} == before, "no job was started"
    storage.delete(f"{run}/report/report.html")
    again = submit(write_config(tmp_path), local, TWO)
    assert again.stderr.count("unchanged, skipped") == 5
    assert storage.exists(f"{run}/report/report.html")


def test_the_reading_commands(local: str) -> None:
    run_id = one_run(local).rsplit("/", 1)[1]
    status = cloudlstm("status", run_id[-6:], f"--root={local}").stdout  # a part of the id is enough
    assert run_id in status
    assert status.count("done") >= 6
    assert "rows in" in cloudlstm("logs", run_id[:9], f"--root={local}").stdout
    assert run_id in cloudlstm("runs", f"--root={local}").stdout
    assert "lstm" in cloudlstm("report", one_run(local)).stdout
    assert "nothing to cancel" in cloudlstm("cancel", f"--root={local}").stdout


def test_object_storage_gives_the_same_metrics(local: str, gs_root: str, tmp_path: Path) -> None:
    done = submit(write_config(tmp_path), gs_root, "prepare.engine=local")  # its bytes are those of Spark
    assert done.returncode == 0, done.stderr
    here, there = report(one_run(local))["models"], report(one_run(gs_root))["models"]
    assert [row["model"] for row in here] == [row["model"] for row in there]
    for mine, other in zip(here, there, strict=True):
        figures = {name: value for name, value in mine.items() if isinstance(value, float)}
        assert figures
        for name, value in figures.items():
            assert other[name] == pytest.approx(value, rel=1e-5, abs=1e-9), (mine["model"], name)
    manifests = [storage.read_json(f"{one_run(base)}/manifests/sequences.json") for base in (local, gs_root)]
    mine, other = [[row["sha256"] for row in manifest["objects"]] for manifest in manifests]
    assert mine == other


def test_predict_applies_the_weights_to_newer_bars(local: str) -> None:
    trained = one_run(local)
    words = ("market.end=2024-03-28", "train.workers=1")
    done = cloudlstm("predict", f"--root={local}", *words)
    assert done.returncode == 0, done.stderr
    assert "from the close of 2024-03-28 for 2024-04-01" in done.stdout
    assert "SYN000001" in done.stdout
    assert "forecasts.csv" in done.stdout
    layouts = [item.uri.rsplit("/", 1)[1] for item in storage.list_objects(f"{local}/index/")]
    (predicted,) = [run_id for run_id in layouts if "predict" in run_id]
    paths = RunPaths.of(local, predicted)
    rows = list(csv.DictReader(storage.read(paths.report("forecasts.csv")).decode().splitlines()))
    # Good Friday, 2024-03-29, was no session.
    assert "2024-04-01" in {row["target_date"] for row in rows}
    weights = []
    for run in (trained, paths.uri):
        objects = json.loads(storage.read(f"{run}/manifests/train.json"))["objects"]
        weights += [row["sha256"] for row in objects if row["kind"] == "weights"]
    assert weights[0] == weights[1]
    again = cloudlstm("predict", f"--root={local}", *words, "--dry-run")
    assert json.loads(again.stdout)["run"] == paths.uri, "the last run that was trained, not the last prediction"
    shown = cloudlstm("report", f"--root={local}", predicted)
    assert "from the close of 2024-03-28" in shown.stdout, "the report of a prediction shows its forecasts"
    storage.delete(f"{local}/index/{predicted}")


def test_deletion_leaves_nothing_of_a_finished_run(local: str, tmp_path: Path) -> None:
    copy = tmp_path / "runs"
    shutil.copytree(local.removeprefix("file://"), copy)
    run = one_run(f"file://{copy}")
    assert len(list(storage.list_objects(f"{run}/"))) > 30
    done = cloudlstm("delete", run, "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert not Path(run.removeprefix("file://")).exists()
    assert run.rsplit("/", 1)[1] not in cloudlstm("runs", f"--root={copy}").stdout


LONG = SMALL.replace("epochs = 2", "epochs = 10_000\npatience_epochs = 10_000")
"""Trains for longer than a test waits."""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_config(tmp_path, LONG)


@pytest.fixture
def prepared(local: str, tmp_path: Path, config: Path) -> str:
    """A root with a run of `config` that is prepared but not trained."""
    run = Path(one_run(local).removeprefix("file://"))
    (tmp_path / "runs" / "index").mkdir(parents=True)
    (tmp_path / "runs" / "index" / run.name).write_bytes((run.parent / "index" / run.name).read_bytes())
    made_later = shutil.ignore_patterns("progress", "report", "train", "train.json", "evaluate.json")
    shutil.copytree(run, tmp_path / "runs" / run.name, ignore=made_later)
    storage.write_json(
        f"file://{tmp_path}/runs/{run.name}/config.json", load(str(config), [TWO]).model_dump(mode="json")
    )
    return f"file://{tmp_path}/runs"


def started(root: str, config: Path, *words: str) -> subprocess.Popen[str]:
    """A submit of the prepared run, with a long training."""
    words = (f"--config={config}", f"--root={root}", f"--run={one_run(root).rsplit('/', 1)[1]}", *words)
    return subprocess.Popen(
        [sys.executable, "-m", "cloudlstm", "submit", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


def wait_for_training(root: str, timeout_s: float = 600) -> str:
    """Waits until the run trains; returns the run's URI."""
    run = one_run(root)
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        for item in storage.list_objects(f"{run}/progress/train/"):
            if storage.read_json(item.uri)["done"]:
                return run
        time.sleep(0.2)
    raise AssertionError("training did not begin in time")


def processes_of(run: str) -> list[int]:
    """Every process with the run's URI on its command line."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if run.encode() in entry.read_bytes():
                found.append(int(entry.parent.name))
        except OSError:
            continue
    return found


def wait_for_end(run: str, timeout_s: float = 120) -> list[int]:
    deadline = time.monotonic() + timeout_s
    while processes_of(run) and time.monotonic() < deadline:
        time.sleep(0.2)
    return processes_of(run)


def test_ctrl_c_stops_everything_and_a_second_submit_goes_on(prepared: str, config: Path) -> None:
    launcher = started(prepared, config, TWO)
    run = wait_for_training(prepared)
    assert len(processes_of(run)) == 2
    output = interrupted(launcher)
    assert "Traceback" not in output
    assert wait_for_end(run) == []
    before = data_objects(run)
    assert list(storage.list_objects(f"{run}/checkpoints/"))

    words = (f"--config={config}", f"--root={prepared}", f"--run={run.rsplit('/', 1)[1]}", TWO)
    refused = cloudlstm("submit", *words, "train.seed=2")
    assert refused.returncode == 2
    assert "has other settings: train.seed 1 -> 2 (try: another --run, or cloudlstm delete" in error_line(refused)
    assert data_objects(run) == before

    settings = storage.read_json(f"{run}/config.json")
    again = started(prepared, config, TWO, "train.max_restarts=7")  # which is no part of what names the run
    deadline = time.monotonic() + 600
    while "resuming from step" not in cloudlstm("logs", run).stdout:
        assert again.poll() is None, again.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert interrupted(again).count("unchanged, skipped") == 4
    assert wait_for_end(run) == []
    assert data_objects(run) == before
    assert storage.read_json(f"{run}/config.json") == settings
    newest = max(item.uri for item in storage.list_objects(f"{run}/attempts/") if ".config." in item.uri)
    assert storage.read_json(newest)["train"]["max_restarts"] == 7


def interrupted(launcher: subprocess.Popen[str]) -> str:
    """The output of a launcher that ends by Ctrl-C."""
    os.kill(launcher.pid, signal.SIGINT)
    _, output = launcher.communicate(timeout=300)
    assert launcher.returncode == 130
    return output


def test_a_run_is_cancelled_from_elsewhere_and_refused_twice(prepared: str, config: Path) -> None:
    root = prepared
    launcher = started(root, config, TWO)
    run = wait_for_training(root)
    second = submit(config, root, f"--run={run.rsplit('/', 1)[1]}", TWO)
    assert second.returncode == 1
    assert "being worked on" in error_line(second)
    assert "at work" in cloudlstm("status", f"--root={root}").stdout.split("train")[1]
    refused = cloudlstm("delete", run, "--yes")
    assert (refused.returncode, "being worked on" in error_line(refused)) == (1, True)
    assert cloudlstm("cancel", f"--root={root}").returncode == 0
    _, output = launcher.communicate(timeout=300)
    assert launcher.returncode == 1
    assert "was cancelled" in output
    assert wait_for_end(run) == []


def test_a_killed_launcher_takes_its_jobs_with_it(prepared: str, config: Path) -> None:
    launcher = started(prepared, config, TWO)
    run = wait_for_training(prepared)
    assert len(processes_of(run)) == 2
    launcher.kill()
    launcher.communicate(timeout=300)
    assert wait_for_end(run) == []
    assert not storage.exists(f"{run}/manifests/train.json"), "or they ended by themselves"
