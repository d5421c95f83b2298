"""The run folder's bookkeeping: attempts, claims, manifests, journal, errors across storage."""

from __future__ import annotations

import logging
import os
import pickle
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from cloudlstm import errors, storage
from cloudlstm.cli.logs import Parts
from cloudlstm.runs import attempts, manifest
from cloudlstm.runs.journal import Journal
from cloudlstm.runs.liveness import Heartbeat, Owner
from cloudlstm.runs.manifest import Manifest, ManifestRow, write_object
from cloudlstm.runs.paths import RunPaths
from cloudlstm.runs.progress import read_progress


@pytest.fixture
def paths(tmp_path: Path) -> RunPaths:
    return RunPaths.of(f"file://{tmp_path}", "run-1")


@pytest.mark.parametrize("run_id", ["1run", "Run", "a_b", "", "a" * 64, "../x", "a/b"])
def test_run_ids_begin_with_a_letter(run_id: str) -> None:
    with pytest.raises(errors.UsageError):
        RunPaths.of("file:///runs", run_id)


def test_one_attempt_at_a_time(paths: RunPaths) -> None:
    with attempts.Attempt(paths) as first:
        assert first.number == 1
        with pytest.raises(errors.RunBusyError, match=str(os.getpid())), attempts.Attempt(paths):
            pass
    with attempts.Attempt(paths) as second:
        assert second.number == 2


def test_one_of_many_launchers_gets_the_run(paths: RunPaths) -> None:
    outcomes: list[str] = []
    barrier = threading.Barrier(6)

    def launch() -> None:
        barrier.wait()
        try:
            with attempts.Attempt(paths):
                outcomes.append("held")
                time.sleep(0.5)
        except errors.RunBusyError:
            outcomes.append("refused")

    threads = [threading.Thread(target=launch) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["held", *["refused"] * 5]


def test_a_killed_launcher_is_superseded_at_once(paths: RunPaths) -> None:
    code = (
        "import sys, time; from cloudlstm.runs.attempts import Attempt; from cloudlstm.runs.paths import RunPaths\n"
        f"with Attempt(RunPaths({paths.uri!r})): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert attempts.is_alive(paths, 1)
        holder.kill()
    with attempts.Attempt(paths) as attempt:
        assert attempt.number == 2


def test_a_launcher_elsewhere_is_alive_while_its_heartbeat_changes(
    paths: RunPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other machine's clock has no effect, nor has a local process with the same id."""
    monkeypatch.setattr(attempts, "HEARTBEAT_DEAD_AFTER_S", 0.5)
    monkeypatch.setattr(attempts, "LOOK_S", 5.0)
    storage.write_json(paths.attempt(1), asdict(replace(Owner.me(), boot="another", started=0.0)))
    heartbeat = Heartbeat(paths.heartbeat(1), 0.1)
    heartbeat.start()
    assert attempts.is_alive(paths, 1)
    with pytest.raises(errors.RunBusyError), attempts.Attempt(paths):
        pass
    heartbeat.abandon()
    heartbeat._thread.join()
    assert not attempts.is_alive(paths, 1)
    notices: list[str] = []
    with attempts.Attempt(paths, notice=notices.append) as second:
        assert second.number == 2
    assert [f"whether process {os.getpid()} on" in notice for notice in notices] == [True]


def test_many_silent_launchers_are_watched_at_the_same_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "LOOK_S", 2.0)
    runs = [RunPaths(f"file://{tmp_path}/run-{number}") for number in range(40)]
    for run in runs:
        storage.write_json(run.attempt(1), asdict(replace(Owner.me(), boot="another")))
        storage.write_json(run.heartbeat(1), {"time": 0.0, "ended": False})
    living = Heartbeat(runs[7].heartbeat(1), 0.1)
    living.start()
    began = time.monotonic()
    assert attempts.are_alive([(run, 1) for run in runs]) == {runs[7].uri}
    assert time.monotonic() - began < 40, "not one after the other, which takes 80 s"
    living.abandon()


def test_a_job_that_is_started_twice_finds_the_claim(paths: RunPaths) -> None:
    with attempts.Attempt(paths) as first:
        assert attempts.claim(paths, first.number, "prepare")
        assert not attempts.claim(paths, first.number, "prepare")
        assert attempts.claim(paths, first.number, "train")
    with attempts.Attempt(paths) as second:
        assert attempts.claim(paths, second.number, "prepare")


def test_the_holder_notices_a_cancellation(paths: RunPaths) -> None:
    with attempts.Attempt(paths) as attempt:
        assert not attempt.cancelled()
        attempts.cancel(paths, attempt.number)
        attempts.cancel(paths, attempt.number)
        assert attempt.cancelled()


def _manifest(paths: RunPaths, text: bytes = b"shard") -> Manifest:
    row = write_object(paths.data("clean", "print", "bars-0"), text, kind="bars", rows=3)
    return Manifest("clean", "print", (row,), 1.5, {"kept": 3})


def test_a_run_folder_can_be_moved(paths: RunPaths, tmp_path: Path) -> None:
    _manifest(paths).save(paths)
    moved = RunPaths.of(f"file://{tmp_path}", "elsewhere")
    (tmp_path / "run-1").rename(tmp_path / "elsewhere")
    found = Manifest.load(moved, "clean")
    assert found is not None
    assert manifest.read_object(found.objects[0]) == b"shard"
    assert found.facts == {"kept": 3}


def test_a_step_is_finished_only_for_its_inputs_and_with_all_objects(paths: RunPaths) -> None:
    assert manifest.finished(paths, "clean", "print") is None
    made = _manifest(paths)
    made.save(paths)
    assert manifest.finished(paths, "clean", "print") == made
    assert manifest.finished(paths, "clean", "other") is None
    storage.delete(made.objects[0].uri)
    assert manifest.finished(paths, "clean", "print") is None


@pytest.mark.parametrize(("damage", "word"), [(b"shar", "bytes"), (b"shark", "checksum")])
def test_a_corrupt_object_is_noticed(paths: RunPaths, damage: bytes, word: str) -> None:
    made = _manifest(paths)
    storage.write(made.objects[0].uri, damage)
    with pytest.raises(errors.CorruptObjectError, match=word):
        manifest.read_object(made.objects[0])


def test_pruning_removes_only_objects_of_other_inputs(paths: RunPaths) -> None:
    kept, older = "0123456789abcdef", "fedcba9876543210"
    for step, mark in (("clean", kept), ("clean", older), ("features", older)):
        storage.write(paths.data(step, mark, "bars-0"), b"bars")
    for name in ("mine.csv", "old/bars-0", f"{older}.csv", f"{older[:15]}/bars-0", f"{older}0/bars-0"):
        storage.write(f"{paths.step_data('clean')}{name}", b"somebody's own")
    before = {item.uri for item in storage.list_objects(f"{paths.uri}/")}
    manifest.prune(paths, "clean", kept)
    gone = before - {item.uri for item in storage.list_objects(f"{paths.uri}/")}
    assert gone == {paths.data("clean", older, "bars-0")}


def test_the_digest_depends_on_contents_only() -> None:
    row = ManifestRow("file:///a", "bars", 3, 5, "abc")
    one = Manifest("clean", "p", (row,), 1.0)
    assert replace(one, seconds=9.0, objects=(replace(row, uri="s3://b/c"),)).digest() == one.digest()
    assert replace(one, objects=(replace(row, sha256="abd"),)).digest() != one.digest()


def test_a_place_is_that_of_the_step_and_no_folder_in_it(paths: RunPaths) -> None:
    uris = [paths.data("train", "one", "model"), paths.data("train", "two", "tensorboard/data/events")]
    assert Manifest("train", "p", tuple(ManifestRow(uri, "x", 1, 1, "a") for uri in uris), 1.0).places() == {
        "one",
        "two",
    }


def test_the_journal_keeps_lines_in_order_over_several_attempts(paths: RunPaths) -> None:
    log = logging.getLogger("cloudlstm.anything")
    for attempt in range(2):
        with Journal(paths, "prepare", "driver", every_s=0.05) as journal:
            for number in range(3):
                log.info("line %d of %d", number, attempt)
                time.sleep(0.06)
            journal.report("clean", attempt + 1, 2, "rows", loss=0.5)
    parts = Parts(paths)
    lines = [line.split(" INFO ")[1] for _, lines in parts.poll() for line in lines]
    assert lines == [f"line {number} of {attempt}" for attempt in range(2) for number in range(3)]
    assert list(parts.poll()) == []
    (report,) = read_progress(paths)
    assert (report.done, report.total, report.facts) == (2, 2, {"loss": 0.5})


def test_a_journal_that_cannot_write_does_not_stop_the_work(paths: RunPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(paths, "prepare", "driver", every_s=60)
    with journal:
        logging.getLogger("cloudlstm.x").info("first")

        def fail(*_: object, **__: object) -> None:
            raise errors.StorageUnavailableError("no answer")

        with monkeypatch.context() as patch:
            patch.setattr(storage, "write", fail)
            journal.flush()
        journal.flush()
    assert ["first" in line for _, lines in Parts(paths).poll() for line in lines] == [True]


@pytest.mark.parametrize("kind", [errors.QualityGateError, errors.AccessDeniedError, errors.ConfigError])
def test_errors_cross_processes_and_storage(kind: type[errors.CloudLSTMError]) -> None:
    error = kind("found this", hint="that")
    for back in (pickle.loads(pickle.dumps(error)), errors.from_record(errors.to_record(error))):
        assert type(back) is kind
        assert str(back) == "found this (try: that)"
        assert back.exit_code == error.exit_code


def test_an_unknown_failure_becomes_a_job_error() -> None:
    back = errors.from_record(errors.to_record(ZeroDivisionError("division by zero")))
    assert isinstance(back, errors.JobError)
    assert "ZeroDivisionError: division by zero" in str(back)
