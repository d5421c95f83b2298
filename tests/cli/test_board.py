"""The progress board; no line wraps at any width."""

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
from cloudlstm.cli.board import Board, progress_display
from cloudlstm.cli.progress import figures, summary
from cloudlstm.config import parse
from cloudlstm.runs.context import RunContext
from cloudlstm.runs.journal import Journal
from cloudlstm.runs.paths import RunPaths
from cloudlstm.runs.progress import Progress, read_progress
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


def test_a_narrow_terminal_shows_the_losses_of_a_finished_training() -> None:
    done = dataclasses.replace(training(done=10_000, naive_loss=1.0999), finished=True)
    text = shown(board(done, epochs=30), 80)
    assert "✓ train      2.0 s · epoch 3/30 · loss 0.9823 · best val 1.012 (naive 1.1) · " in text


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
        f"run {RUN.removeprefix('file://')}",
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


SLOW = """
import os, sys, time
from cloudlstm.targets import launcher as launch
from cloudlstm.cli import entry
def slow(plan, target, watch, **_):
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


def test_the_board_shows_the_time_of_a_finished_step_as_status_does(tmp_path: Path) -> None:
    """`status` shows the time of the manifest, which begins before the first count."""
    paths = RunPaths(f"file://{tmp_path}/run")
    context = RunContext(paths, parse({}), 1, Journal(paths, "train", "worker-0"))
    context.step("train", "f").report(9, 9, "windows", finished=True, seconds=82.0)
    context.journal.flush()
    reports = [*read_progress(paths), dataclasses.replace(training("worker-1", done=9), finished=True)]
    assert "82 s" in shown(board(*reports), 100)
    assert "took 82 s" in figures(summary(reports)[0])
