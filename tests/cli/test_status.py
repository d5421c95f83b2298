"""`status`: which step is done, at work, failed or waiting."""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import pytest
from rich.console import Console

from cloudlstm import storage
from cloudlstm.cli import main, status_view
from cloudlstm.cli.status import step_states
from cloudlstm.config import parse
from cloudlstm.errors import DataError, to_record
from cloudlstm.runs import attempts, settings
from cloudlstm.runs.attempts import Attempt
from cloudlstm.runs.liveness import Owner
from cloudlstm.runs.manifest import Manifest
from cloudlstm.runs.paths import RunPaths
from cloudlstm.runs.progress import PhaseWriter, Progress, read_phase
from cloudlstm.runs.steps import STEPS
from cloudlstm.targets import JobState, Plan, launcher
from cloudlstm.text.numbers import counted
from module_time import replace_time

MARK = "0123456789abcdef"
PREPARE = ("ingest", "clean", "features", "sequences")


@pytest.fixture
def paths(tmp_path: Path) -> RunPaths:
    return RunPaths(f"file://{tmp_path}/core6")


@contextmanager
def attempt(paths: RunPaths) -> Iterator[Attempt]:
    with Attempt(paths) as held:
        document = parse({"market": {"source": "synthetic"}}).model_dump(mode="json")
        settings.create(paths, held.number, document)
        yield held


def done(paths: RunPaths, *steps: str) -> None:
    for step in steps:
        Manifest(step, MARK, (), 75.0, {"rows": 1234}).save(paths)


def progress(paths: RunPaths, step: str, done: int = 60, total: int = 100, *, finished: bool = False) -> None:
    now = time.time()
    report = Progress(step, "driver", done, total, "rows", now - 1, now, finished=finished)
    storage.write_json(paths.progress(step, "driver"), asdict(report))


def failed(paths: RunPaths, job: str) -> None:
    storage.write_json(paths.failure(job), to_record(DataError("no file matches x.csv")))


def aged(uri: str, seconds: float) -> None:
    """As if the store had written the object so long ago."""
    os.utime(uri.removeprefix("file://"), (time.time() - seconds,) * 2)


def rows(paths: RunPaths, capsys: pytest.CaptureFixture[str]) -> dict[str, tuple[str, str]]:
    """State and figures of each step as `status` prints them."""
    capsys.readouterr()
    assert main(["status", paths.uri]) == 0
    lines = capsys.readouterr().out.splitlines()
    found = {}
    for line in lines:
        name, _, rest = line.strip().partition(" ")
        if name in {step.name for step in STEPS} - found.keys():  # `train failed: …` below the table is no row
            state, _, figures = rest.strip().partition("  ")
            found[name] = (state, figures.strip())
    assert list(found) == [step.name for step in STEPS]
    return found


def states(paths: RunPaths, capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [state for state, _ in rows(paths, capsys).values()]


def test_before_the_first_report_the_first_step_is_at_work(paths: RunPaths, capsys: pytest.CaptureFixture[str]) -> None:
    with attempt(paths):
        assert rows(paths, capsys)["ingest"] == ("at work", "starting")
        assert states(paths, capsys)[1:] == ["waiting"] * 5


def test_the_phase_that_the_launcher_wrote_is_shown(paths: RunPaths, capsys: pytest.CaptureFixture[str]) -> None:
    with attempt(paths) as held:
        PhaseWriter(paths, held.number, "prepare").write("Spark on the cluster: RUNNING")
        assert rows(paths, capsys)["ingest"] == ("at work", "Spark on the cluster: RUNNING")
        done(paths, *PREPARE)
        assert rows(paths, capsys)["train"] == ("at work", "starting"), "that was the phase of another job"
        PhaseWriter(paths, held.number, "train").write("1 of 2 machines run, waiting for all to join")
        assert rows(paths, capsys)["train"] == ("at work", "1 of 2 machines run, waiting for all to join")


def test_a_step_that_reports_is_at_work_with_its_figures(paths: RunPaths, capsys: pytest.CaptureFixture[str]) -> None:
    with attempt(paths):
        done(paths, "ingest")
        progress(paths, "ingest", 100, finished=True)
        progress(paths, "clean")
        found = rows(paths, capsys)
        assert found["ingest"] == ("done", "1,234 rows, 0 objects in 75 s")
        assert found["clean"][0] == "at work"
        assert found["clean"][1].startswith("60% · ")
        assert [state for state, _ in found.values()][2:] == ["waiting"] * 4


def test_a_step_that_is_done_again_is_at_work(paths: RunPaths, capsys: pytest.CaptureFixture[str]) -> None:
    with attempt(paths):
        done(paths, *PREPARE)
        progress(paths, "clean")
        assert states(paths, capsys) == ["done", "at work", "done", "done", "waiting", "waiting"]


def test_progress_of_an_earlier_attempt_is_ignored(paths: RunPaths, capsys: pytest.CaptureFixture[str]) -> None:
    with attempt(paths):
        done(paths, *PREPARE)
        progress(paths, "train")
    for uri in (paths.progress("train", "driver"), paths.attempt(1), paths.heartbeat(1)):
        aged(uri, 600)
    with attempt(paths):
        assert rows(paths, capsys)["train"] == ("at work", "starting")


@pytest.mark.parametrize(
    ("job", "made", "reporting", "expected"),
    [
        ("prepare", (), None, ["failed", *["waiting"] * 5]),
        ("prepare", ("ingest",), "clean", ["done", "failed", *["waiting"] * 4]),
        ("prepare", PREPARE, "features", ["done", "done", "failed", "done", "waiting", "waiting"]),
        ("train", PREPARE, "train", ["done"] * 4 + ["failed", "waiting"]),
        ("train", (*PREPARE, "train"), None, ["done"] * 5 + ["failed"]),
    ],
)
def test_the_failed_step_is_shown(
    paths: RunPaths,
    capsys: pytest.CaptureFixture[str],
    job: str,
    made: tuple[str, ...],
    reporting: str | None,
    expected: list[str],
) -> None:
    with attempt(paths):
        done(paths, *made)
        if reporting:
            progress(paths, reporting)
        failed(paths, job)
    found = rows(paths, capsys)
    assert [state for state, _ in found.values()] == expected
    if reporting:
        assert found[reporting] == ("failed", "ended at 60%")


def test_the_steps_of_a_stopped_run_wait(paths: RunPaths, capsys: pytest.CaptureFixture[str]) -> None:
    with attempt(paths):
        done(paths, *PREPARE)
        progress(paths, "train")
    assert rows(paths, capsys)["train"] == ("waiting", "ended at 60%")


def test_a_finished_run_is_done(paths: RunPaths, capsys: pytest.CaptureFixture[str]) -> None:
    with attempt(paths):
        done(paths, *(step.name for step in STEPS))
    assert states(paths, capsys) == ["done"] * 6


@pytest.mark.parametrize(
    ("silent_s", "reported_s", "state"),
    [(600, 1, "at work"), (600, 300, "waiting"), (70, 69, "waiting")],
    ids=["machines report", "nobody reports", "jobs ended with their launcher"],
)
def test_jobs_of_a_lost_launcher_are_at_work(
    paths: RunPaths, capsys: pytest.CaptureFixture[str], silent_s: int, reported_s: int, state: str
) -> None:
    with attempt(paths):
        done(paths, *PREPARE)
    gone = asdict(Owner.me()) | {"ticks": 1, "started": time.time() - 3600}  # its process id has another process now
    storage.write_json(paths.attempt(1), gone)
    storage.write_json(paths.heartbeat(1), {"time": time.time() - silent_s, "ended": False})
    progress(paths, "train")
    aged(paths.attempt(1), 3600)
    aged(paths.heartbeat(1), silent_s)
    aged(paths.progress("train", "driver"), reported_s)
    assert rows(paths, capsys)["train"][0] == state
    assert main(["status", paths.uri, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["launcher_lost"]
    assert document["state"] == ("at work" if state == "at work" else "stopped")
    if state == "at work":
        attempts.cancel(paths, 1)
        assert rows(paths, capsys)["train"][0] == "waiting", "the launcher has ended it"


def test_the_first_waiting_step_is_at_work() -> None:
    """While a job runs, its first unfinished step is at work; steps after a failed step wait."""
    names = [step.name for step in STEPS]
    for number in range(7):
        made = set(names[:number])
        at_work = step_states(made, set(), at_work=True, failed=set())
        assert list(at_work.values()) == ["done"] * number + ["at work", *["waiting"] * 6][: 6 - number]


class Phased:
    """A job that waits for one thing after another, then is done."""

    restarts = ()
    working_since = None

    def __init__(self, *phases: str) -> None:
        self._phases, self.phase = list(phases), ""

    def state(self) -> JobState:
        if not self._phases:
            return JobState.DONE
        self.phase = self._phases.pop(0)
        return JobState.RUNNING

    def wait(self, seconds: float) -> None:
        pass

    def cancel(self) -> None:
        pass


def test_a_launcher_writes_each_phase_once(paths: RunPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    class Target:
        name, root = "phased", None

        def start(self, _: object) -> Phased:
            return Phased("sending the code", "sending the code", "Spark on the cluster: RUNNING", "")

    written = []
    write = storage.write_json

    def noted(uri: str, document: object, **options: bool) -> None:
        write(uri, document, **options)
        if uri == paths.phase(1):
            written.append(read_phase(paths, 1))

    monkeypatch.setattr(storage, "write_json", noted)
    plan = Plan("submit", paths.uri, ({"action": "job", "job": "prepare"},))
    launcher.carry_out(plan, Target(), lambda _: None, poll_s=0.0)  # type: ignore[arg-type]
    output = ["sending the code", "Spark on the cluster: RUNNING", ""]
    assert written == [("prepare", phase) for phase in output]


def test_the_status_as_json(paths: RunPaths, capsys: pytest.CaptureFixture[str]) -> None:
    with attempt(paths):
        done(paths, "ingest")
        progress(paths, "clean", done=60, total=100)
        assert main(["status", paths.uri, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["run"], document["state"], document["attempt"]) == ("core6", "at work", 1)
    steps = {step["name"]: step for step in document["steps"]}
    assert [step["state"] for step in steps.values()] == ["done", "at work", *["waiting"] * 4]
    assert (steps["ingest"]["rows"], steps["ingest"]["seconds"]) == (1234, 75.0)
    assert (steps["clean"]["done"], steps["clean"]["total"], steps["clean"]["unit"]) == (60, 100, "rows")
    failed(paths, "prepare")
    assert main(["status", paths.uri, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["state"] == "failed"
    assert document["failures"] == [
        {"job": "prepare", "kind": "DataError", "message": "no file matches x.csv", "hint": ""}
    ]


def test_a_watch_needs_a_terminal(paths: RunPaths, capsys: pytest.CaptureFixture[str]) -> None:
    with attempt(paths):
        pass
    assert main(["status", paths.uri, "--watch"]) == 2
    assert "cloudlstm logs --follow" in capsys.readouterr().err


def test_a_watch_ends_with_the_run(paths: RunPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run ends while the watch waits for the second time."""
    waits: list[float] = []
    out = Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None)
    monkeypatch.setattr(status_view, "console", lambda: out)
    with attempt(paths) as held:

        def wait(duration: float) -> None:
            waits.append(duration)
            if len(waits) == 2:
                done(paths, *(step.name for step in STEPS))
                held.__exit__(None, None, None)

        replace_time(monkeypatch, status_view, sleep=wait)
        assert main(["status", paths.uri, "--watch"]) == 0
    assert len(waits) == 2
    assert "attempt 1, done" in out.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize(("value", "text"), [(0, "0 objects"), (1, "1 object"), (1234, "1,234 objects")])
def test_things_are_counted_in_the_right_number(value: int, text: str) -> None:
    assert counted(value, "object") == text
