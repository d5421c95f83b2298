"""The progress board, tables and the comparison of runs; no line wraps at any width."""

from __future__ import annotations

import dataclasses
import io
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console, RenderableType

from cloudlstm import storage
from cloudlstm.cli import main, runs, tables
from cloudlstm.cli.board import Board, progress_display
from cloudlstm.cli.progress import figures
from cloudlstm.cli.tables import Column, fitted
from cloudlstm.config import parse
from cloudlstm.evaluation.rows import ModelScores
from cloudlstm.runs.attempts import Attempt
from cloudlstm.runs.journal import Journal
from cloudlstm.runs.manifest import Manifest
from cloudlstm.runs.paths import RunPaths, index
from cloudlstm.runs.progress import Progress
from cloudlstm.runs.steps import STEPS
from cloudlstm.targets import Plan

RUN = "file:///home/somebody/with/a/long/path/to/runs/core6-0123abcd"


def shown(what: RenderableType, width: int) -> str:
    out = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None, highlight=False)
    out.print(what)
    text = out.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(len, text.splitlines())) <= width
    return str(text)


def training(worker: str = "worker-0", done: int = 6_000, **facts: Any) -> Progress:
    figures_ = {"epoch": 3, "loss": 0.98234, "validation_loss": 1.0123} | facts
    return Progress("train", worker, done, 10_000, "windows", 100.0, 102.0, facts=figures_)


def board(*reports: Progress, epochs: int = 30) -> Board:
    made = Board(RUN, epochs)
    made([Progress(step.name, "driver", 38_000, 38_000, "rows", 10.0, 12.0, finished=True) for step in STEPS[:4]])
    made(list(reports))
    return made


@pytest.mark.parametrize("width", [24, 40, 60, 80, 100, 160])
def test_the_board_has_the_same_lines_at_every_width(width: int) -> None:
    running = board(training(), training("worker-1"))
    text = shown(running, width)
    # A line each for the run, four steps that are done, the running one and its figures, the last step, the clock.
    assert len(text.splitlines()) == 9


def test_the_board_shows_step_rate_time_left_and_loss() -> None:
    lines = shown(board(training(), training("worker-1")), 100).splitlines()
    assert lines[0].startswith("core6-0123abcd  in /home/somebody")
    assert lines[1] == "✓ ingest     2.0 s · 19 k rows/s · 38 k rows"
    (step,) = [line for line in lines if " train " in line]
    assert "60%" in step
    assert step.rstrip().endswith("3 k windows/s · 1.3 s left")
    assert lines[6].strip() == "epoch 3/30 · loss 0.9823 · best val 1.012 · 2 workers"
    assert lines[7].strip() == "· evaluate"
    assert "0 s elapsed" in lines[8]


def test_before_the_first_report_the_board_shows_a_phase() -> None:
    assert "ingest     starting Spark" in shown(Board(RUN, 3), 80)
    assert "train      starting the workers" in shown(board(), 80)
    output = shown(board(training(done=0, phase="compiling")), 80)
    assert "train      compiling" in output
    assert "60%" not in output


def test_progress_of_an_earlier_job_stays_on_the_board() -> None:
    one = board()
    one([training()])
    assert shown(one, 80).count("✓") == 4


def test_the_time_left_runs_down_between_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [50.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    slow = Progress("train", "worker-0", 6_000, 10_000, "windows", 100.0, 160.0)
    one = board(slow)
    lefts = []
    for moment in (50.0, 60.0, 89.0, 95.0):
        now[0] = moment
        one([slow])  # the same report is read again and again
        lefts.append(shown(one, 100).split(" left")[0].rsplit("·", 1)[1].strip())
    assert lefts == ["40 s", "30 s", "1.0 s", "1.0 s"]
    one([dataclasses.replace(slow, done=8_000, updated=180.0)])
    assert "20 s left" in shown(one, 100)


def test_the_validation_loss_is_shown_beside_that_of_the_naive_forecast() -> None:
    assert figures(training(naive_loss=1.0234)).endswith("loss 0.9823 · best val 1.012 (naive 1.023)")
    assert "naive" not in figures(training())


def test_a_step_is_finishing_when_all_units_are_done() -> None:
    assert figures(training(done=10_000)).startswith("5 k windows/s · finishing")
    assert figures(training(loss=float("nan"), validation_loss=float("inf"))) == "3 k windows/s · 1.3 s left · epoch 3"


def test_a_plain_line_is_printed_when_the_progress_changes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    plan = Plan("submit", RUN, ({"action": "settings", "document": {"train": {"epochs": 30}}},))
    with progress_display(plan) as watch:
        for second in range(20):
            now[0] = float(second)
            watch([training(done=6_000 if second < 12 else 7_000)])
        watch([dataclasses.replace(training(done=10_000), finished=True)])
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        f"run {RUN}",
        "train      60%  3 k windows/s · 1.3 s left · epoch 3/30 · loss 0.9823 · best val 1.012",
        "train      70%  3.5 k windows/s · 0.9 s left · epoch 3/30 · loss 0.9823 · best val 1.012",
        "train     done  5 k windows/s · took 2.0 s · epoch 3/30 · loss 0.9823 · best val 1.012",
    ]


def test_the_time_of_a_phase_is_not_part_of_a_rate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "time", lambda: now[0])
    journal = Journal(RunPaths(f"file://{tmp_path}/run"), "train", "worker-0")
    output: list[tuple[int, int, dict[str, Any]]] = [
        (100, 0, {"phase": "staging"}),
        (130, 0, {"phase": "compiling"}),
        (160, 500, {}),
        (162, 900, {}),
    ]
    for moment, done, facts in output:
        now[0] = float(moment)
        journal.report("train", done, 0 if facts else 1000, "windows", **facts)
    journal.flush()
    stored = Progress(**storage.read_json(f"file://{tmp_path}/run/progress/train/worker-0.json"))
    assert stored.rate == 200.0


def test_the_least_important_columns_are_left_out_first() -> None:
    columns = [Column("run", 9, text=True), Column("extra", 1), Column("figure", 5)]
    rows = [["core6-0123abcd", "12345", "1.2345"]]
    assert "extra" in shown(fitted(columns, rows, 80), 80)
    narrow = shown(fitted(columns, rows, 28), 28)
    assert "extra" not in narrow
    assert "1.2345" in narrow
    assert "core6-0123abcd" in narrow


def a_run(root: str, name: str, *overrides: str, rmse: float | None = None) -> str:
    """A run folder as a submit leaves it."""
    config = parse({"name": name, "market": {"source": "synthetic"}}, overrides).model_dump(mode="json")
    paths = RunPaths.of(root, name)
    storage.write_json(paths.config, config)
    storage.write_json(index(root, name), {"run": name})
    with Attempt(paths):
        pass
    if rmse is not None:
        row = dict.fromkeys(ModelScores.model_fields) | {
            "model": "lstm", "rmse_price": rmse, "skill": 1 - rmse / 2, "dm_p": 0.0001, "directional_accuracy": 0.5,
            "labels": 1000, "zero_forecasts": 0, "ic_dates": 0,
        }  # fmt: skip
        report = {"models": [row], "universe": ["A", "B"], "data": {"last_date": "2024-12-31", "hash": "h"}}
        storage.write_json(paths.report("report.json"), report)
        facts = {"best_epoch": 2, "epochs": 3, "windows_per_s": 4321.0, "workers": 2, "validation_loss": 1.01}
        Manifest(step="train", fingerprint="f", objects=(), seconds=75.0, facts=facts).save(paths)
    return name


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(tables, "_PIPE_COLUMNS", 200)
    place = f"file://{tmp_path}"
    a_run(place, "alpha", "train.seed=1", rmse=1.5)
    a_run(place, "beta", "train.seed=2", "model.units=64", rmse=1.25)
    a_run(place, "gamma")
    return place


def test_runs_lists_settings_and_results(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert runs.show_runs(root, ["cloudlstm", "runs", f"--root={root}"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line.strip()}
    output = "done 2 2024-12-31 64 x 50 2/3 1.2500 +0.3750 4.32 k 75 s 2"
    assert lines["beta"].split()[3:] == output.split()
    assert "stopped" in lines["gamma"]


def test_a_comparison_shows_only_settings_that_differ(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "alph", "beta", f"--root={root}"]) == 0
    rows = {line[:20].strip(): line.split()[-2:] for line in capsys.readouterr().out.splitlines() if line.strip()}
    assert rows["model.units"] == ["128", "64"]
    assert rows["train.seed"] == ["1", "2"]
    assert rows["RMSE $"] == ["1.5000", "1.2500"]
    assert rows["DM p"] == ["<0.001", "<0.001"]
    assert "train.epochs" not in rows
    assert "R² o.o.s." not in rows  # no run has it


@pytest.mark.parametrize(("words", "output"), [(["a", "beta"], "more than one"), (["delta"], "no run delta")])
def test_an_ambiguous_run_id_is_rejected(
    root: str, words: list[str], output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["runs", *words, f"--root={root}"]) == 2
    assert output in capsys.readouterr().err


def test_settings_are_compared_by_value() -> None:
    assert runs.flat({"a": {"b": {"c": 1}}, "d": [1], "e": {}}) == {"a.b.c": 1, "d": [1], "e": {}}


SLOW = """
import os, sys, time
from cloudlstm.targets import launcher as launch
from cloudlstm.cli import entry
def slow(plan, target, watch):
    os.write(1, b"at work ")
    try:
        time.sleep(60)
    finally:
        time.sleep(0.5)
launch.carry_out = slow
entry()
"""
"""A launcher whose jobs take their time to end."""


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_is_shown_at_once_with_the_command_that_continues(tmp_path: Path, sent: signal.Signals) -> None:
    words = ["submit", f"--root={tmp_path}/runs", "market.source=synthetic", "train.epochs=3"]
    screen, terminal = pty.openpty()
    process = subprocess.Popen([sys.executable, "-c", SLOW, *words], stdout=terminal, stderr=terminal)
    os.close(terminal)
    output = b""
    interrupted = False
    try:
        while select.select([screen], [], [], 60)[0]:
            try:
                output += os.read(screen, 65536)
            except OSError:  # the terminal's other end is closed
                break
            if b"at work" in output and not interrupted:
                process.send_signal(sent)
                interrupted = True
        assert process.wait(60) == 130
    finally:
        process.kill()
        process.wait()
        os.close(screen)
    text = output.decode(errors="replace")
    assert text.index("stopping") < text.index("stopped after")
    assert f"to continue: cloudlstm {' '.join(words)}" in text
    assert "Traceback" not in text
