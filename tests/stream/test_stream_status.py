"""The state of a stream, and its end by `cancel`: whatever works on it holds its attempt."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from cloudlstm import storage
from cloudlstm.cli import main
from cloudlstm.cli.stream_status import Reader
from cloudlstm.errors import JobError, RunBusyError, StreamError, to_record
from cloudlstm.runs import attempts
from cloudlstm.runs.environment import ATTEMPT
from cloudlstm.runs.paths import RunPaths
from cloudlstm.stream import local
from cloudlstm.stream.documents import StreamSettings
from cloudlstm.stream.journal import Journal
from cloudlstm.stream.kafka_client import read_properties
from cloudlstm.stream.paths import StreamPaths
from cloudlstm.stream.publish import FolderPublisher
from cloudlstm.workers.restarts import TERMINATED
from stream.market import market, table
from stream.test_stream_page import batch

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def paths(tmp_path: Path) -> StreamPaths:
    found = StreamPaths.of(f"file://{tmp_path}/runs", "live")
    Journal(found).open(StreamSettings("kafka://127.0.0.1:1/bars"))
    return found


def state(paths: StreamPaths, capsys: Captured) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["status", paths.uri, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_the_state_is_that_of_whatever_works_on_it(paths: StreamPaths, capsys: Captured) -> None:
    folder = RunPaths(paths.uri)
    assert (state(paths, capsys)["state"], state(paths, capsys)["attempt"]) == ("stopped", 0)
    with attempts.Attempt(folder) as launcher:
        storage.write_json(folder.phase(1), {"job": "stream", "phase": "submitting"})
        assert (state(paths, capsys)["state"], state(paths, capsys)["phase"]) == ("at work", "submitting")
        driver = attempts.continued(folder, launcher.number)
        driver.__enter__()
    found = state(paths, capsys)
    assert (found["state"], found["attempt"], found["phase"]) == ("at work", 1, None), "its launcher has ended"
    with pytest.raises(RunBusyError, match="is being worked on"), attempts.Attempt(folder):
        pass
    driver.__exit__(None, None, None)
    assert state(paths, capsys)["state"] == "stopped"
    attempts.cancel(folder, 1)
    assert state(paths, capsys)["state"] == "cancelled"


def job(paths: StreamPaths, work: str, **environment: str) -> int:
    """Runs a job in a process of its own; returns its exit status."""
    program = f"""
import sys
from cloudlstm.errors import DataError
from cloudlstm.runs import attempts
from cloudlstm.runs.paths import RunPaths
from cloudlstm.workers import job
folder = RunPaths({paths.uri!r})
def work():
    {work}
sys.exit(job.main_alone("stream", folder, work, hours=1.0))
"""
    variables = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)} | environment
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=variables, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    sys.stderr.write(done.stderr)
    return done.returncode


def test_a_job_by_hand_leaves_how_it_ended(paths: StreamPaths, capsys: Captured) -> None:
    assert job(paths, "raise DataError('no bars', hint='some bars')") == 1
    assert capsys.readouterr().err == "no bars (try: some bars)\n"
    found = state(paths, capsys)
    assert (found["state"], found["failure"]) == ("failed", "no bars (try: some bars)")
    assert main(["status", paths.uri]) == 0
    assert "no bars (try: some bars)" in capsys.readouterr().out
    assert job(paths, "pass") == 0
    found = state(paths, capsys)
    assert (found["state"], found["attempt"], found["failure"]) == ("done", 2, None)


def test_a_job_of_a_launcher_continues_its_attempt(paths: StreamPaths, capsys: Captured) -> None:
    with attempts.Attempt(RunPaths(paths.uri)) as launcher:
        given = {ATTEMPT: str(launcher.number)}
        assert job(paths, "assert attempts.latest_launcher(folder, 1) == 2", **given) == 0
        assert job(paths, "raise AssertionError('its work is claimed')", **given) == 0
    assert state(paths, capsys)["state"] == "done"


def test_a_cancelled_job_ends_itself(paths: StreamPaths, capsys: Captured) -> None:
    assert job(paths, "import time; attempts.cancel(folder, 1); time.sleep(50)") == TERMINATED
    assert state(paths, capsys)["state"] == "cancelled"


def test_what_is_no_stream_is_told(tmp_path: Path, capsys: Captured) -> None:
    for verb in ("status", "logs", "cancel"):
        assert main([verb, "streams/none", f"--root={tmp_path}"]) == 2
        assert f"no stream none in file://{tmp_path}" in capsys.readouterr().err
    assert main(["status", "streams/No", f"--root={tmp_path}"]) == 2
    assert "'No' is no name of a stream" in capsys.readouterr().err


def test_one_process_is_cancelled_by_another(tmp_path: Path, capsys: Captured) -> None:
    FolderPublisher(f"file://{tmp_path}/landed").send(table(market(2, 1, 5)))
    root = f"--root={tmp_path}/runs"
    words = ["stream", "live", f"--source={tmp_path}/landed", "--calendar=none", root]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-m", "cloudlstm", *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            paths = StreamPaths.of(f"file://{tmp_path}/runs", "live")
            give_up = time.monotonic() + 60.0
            while Journal(paths).newest < 1 and time.monotonic() < give_up:
                time.sleep(0.1)
            assert state(paths, capsys)["state"] == "at work"
            assert main(words) == 1
            assert f"live is being worked on by process {process.pid}" in capsys.readouterr().err
            assert main(["cancel", "streams/live", root]) == 0
            assert "asked attempt 1 of stream live to stop" in capsys.readouterr().out
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == JobError("").exit_code
    assert "stream live was cancelled (try: the same command continues it)" in said
    assert state(paths, capsys)["state"] == "cancelled"
    assert not storage.exists(RunPaths(paths.uri).failure("stream"))
    assert "The stream was cancelled; the same command continues it" in storage.read(paths.page).decode()
    assert main([*words, "--available-now"]) == 0
    assert state(paths, capsys) | {"attempt": 2, "state": "done"} == state(paths, capsys)


def test_the_error_of_one_process_is_the_one_that_is_shown(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    FolderPublisher(f"file://{tmp_path}/landed").send(table(market(2, 1, 5)))
    paths = StreamPaths.of(f"file://{tmp_path}/runs", "live")
    words = ["stream", "live", f"--source={tmp_path}/landed", "--calendar=none", f"--root={tmp_path}/runs"]
    failure = RunPaths(paths.uri).failure("stream")

    def ended_by(error: BaseException) -> int:
        def run(*_: object) -> None:
            raise error

        storage.write_json(failure, to_record(StreamError("the error of an earlier job on Spark")))
        with monkeypatch.context() as patched:
            patched.setattr(local, "run", run)
            return main(words)

    assert ended_by(KeyboardInterrupt()) == 130
    found = state(paths, capsys)
    assert (found["state"], found["failure"]) == ("stopped", None)
    assert ended_by(StreamError("no broker", hint="later")) == 1
    found = state(paths, capsys)
    assert (found["state"], found["failure"]) == ("failed", "no broker (try: later)")
    assert ended_by(RunBusyError("another has it")) == RunBusyError("").exit_code
    assert not storage.exists(failure), "the object is that of the other"
    assert main([*words, "--available-now"]) == 0
    assert state(paths, capsys)["state"] == "done"


def test_a_watch_reads_only_what_is_new(paths: StreamPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (1, 2):
        storage.write_json(paths.batch(number), asdict(batch(number)))
    reader = Reader(paths)
    assert reader.read()[0].batch == 2
    read: list[str] = []
    listed: list[str] = []
    read_json, list_objects = storage.read_json, storage.list_objects
    monkeypatch.setattr(storage, "read_json", lambda uri: read.append(uri) or read_json(uri))
    monkeypatch.setattr(storage, "list_objects", lambda uri: listed.append(uri) or list_objects(uri))
    storage.write_json(paths.batch(3), asdict(batch(3)))
    status, line = reader.read()
    assert (status.batch, status.bars) == (3, 1500)
    assert "batch 3" in line
    assert [uri for uri in read if "/batches/" in uri] == [paths.batch(3), paths.batch(4)]
    assert paths.batches not in listed


def test_properties_may_be_an_object(tmp_path: Path) -> None:

    uri = f"file://{tmp_path}/kafka.properties"
    storage.write(uri, b"# login\nsasl.password = x=y\n")
    assert read_properties(uri) == {"sasl.password": "x=y"}
