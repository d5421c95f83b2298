"""Liveness: from changes of a heartbeat and from the process table of the same machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from cloudlstm import storage
from cloudlstm.errors import RunBusyError
from cloudlstm.runs import attempts, documents, liveness
from cloudlstm.runs.liveness import Changes, Heartbeat, Owner, ProcessState, Verdict, Watch
from cloudlstm.runs.paths import RunPaths
from cloudlstm.runs.progress import Progress
from cloudlstm.targets import Restart, launcher

BEAT = "memory://liveness/beat.json"
NEVER_S = 3600.0


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process of this machine."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        yield process
        process.kill()


def owner_of(pid: int) -> Owner:
    state, ticks = liveness._entry(str(pid))
    assert state
    return replace(Owner.me(), pid=pid, ticks=ticks)


def beat(ended: bool = False, when: float = 0.0) -> None:
    storage.write_json(BEAT, {"time": when, "ended": ended})


def test_this_process_runs() -> None:
    assert Owner.me().process() is ProcessState.RUNNING


def test_the_process_table_shows_dead_stopped_and_zombie_processes(sleeper: subprocess.Popen[bytes]) -> None:
    owner = owner_of(sleeper.pid)
    assert owner.process() is ProcessState.RUNNING
    sleeper.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, sleeper.pid, os.WSTOPPED | os.WNOWAIT)
    assert owner.process() is ProcessState.STOPPED
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert owner.process() is ProcessState.GONE, "its parent has not collected it"
    sleeper.wait()
    assert owner.process() is ProcessState.GONE


def test_a_reused_process_id_proves_death() -> None:
    assert replace(Owner.me(), ticks=Owner.me().ticks - 1).process() is ProcessState.GONE


@pytest.mark.parametrize("change", [{"boot": "another"}, {"namespace": "pid:[1]"}, {"boot": ""}, {"ticks": 0}])
def test_a_process_of_another_namespace_or_machine_is_unknown(change: dict[str, object]) -> None:
    """Two containers may have the same host name and process id; older releases stored only these."""
    assert replace(Owner.me(), pid=1, **change).process() is ProcessState.UNKNOWN


def test_an_owner_is_read_with_what_a_newer_release_adds_and_without_what_an_older_one_lacks() -> None:
    me = Owner.me()
    assert documents.built(Owner, asdict(me) | {"container": "x"}, "x") == me
    old = documents.built(Owner, {"host": me.host, "pid": me.pid, "started": 1.0}, "x")
    assert old.process() is ProcessState.UNKNOWN


def test_the_first_observation_is_not_a_change() -> None:
    changes = Changes()
    changes.observe("a", "1")
    assert not changes.changed_within("a", NEVER_S)
    changes.observe("a", "1")
    assert not changes.changed_within("a", NEVER_S)
    changes.observe("a", "2")
    assert changes.changed_within("a", NEVER_S)
    assert not changes.changed_within("a", 0.0), "it was too long ago"
    assert not changes.changed_within("b", NEVER_S)


def test_time_between_observations_counts_only_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The watcher, or its whole machine, was asleep for an hour."""
    changes, now = Changes(), time.monotonic()
    changes.observe("a", "1")
    changes.observe("a", "2")
    monkeypatch.setattr(time, "monotonic", lambda: now + 3600)
    changes.observe("a", "2")
    assert changes.unchanged_s("a") <= 10
    assert changes.changed_within("a", 60.0)


def test_the_process_table_of_another_namespace_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that sees the host's /proc."""
    monkeypatch.setattr(os, "getpid", lambda: 1)
    assert liveness._machine() == ("", "")
    assert Owner.me().process() is ProcessState.UNKNOWN


def test_a_changing_heartbeat_outweighs_the_process_table() -> None:
    gone = replace(Owner.me(), ticks=1)
    beat()
    watch = Watch(gone, BEAT, NEVER_S)
    assert watch.look() is Verdict.DEAD
    beat()
    assert watch.look() is Verdict.ALIVE
    beat(ended=True)
    assert watch.look() is Verdict.ENDED


@pytest.mark.parametrize("ahead_s", [-1e9, -1.0, 7200.0])
def test_clocks_are_not_compared(ahead_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time in the heartbeat and jumps of the local clock have no effect."""
    when = time.time() + ahead_s
    beat(when=when)
    elsewhere = Watch(replace(Owner.me(), boot="another", started=when), BEAT, NEVER_S)
    here = Watch(Owner.me(), BEAT, NEVER_S)
    assert (elsewhere.look(), here.look()) == (Verdict.UNDECIDED, Verdict.ALIVE)
    for step in (-7200.0, 7200.0, 1e9):
        now = time.time()
        monkeypatch.setattr(time, "time", lambda now=now, step=step: now + step)
        assert (elsewhere.look(), here.look()) == (Verdict.UNDECIDED, Verdict.ALIVE)
        monkeypatch.undo()


def test_a_silent_process_is_dead_only_after_the_limit() -> None:
    beat()
    elsewhere = replace(Owner.me(), boot="another")
    assert Watch(elsewhere, BEAT, NEVER_S).wait(0.2) is Verdict.UNDECIDED
    assert Watch(elsewhere, BEAT, 0.2).wait(60.0) is Verdict.DEAD
    assert Watch(None, BEAT + ".missing", 0.2).wait(60.0) is Verdict.DEAD, "no heartbeat was ever written"


def test_a_stopped_process_is_watched(sleeper: subprocess.Popen[bytes]) -> None:
    beat()
    owner = owner_of(sleeper.pid)
    sleeper.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, sleeper.pid, os.WSTOPPED | os.WNOWAIT)
    assert Watch(owner, BEAT, NEVER_S).look() is Verdict.UNDECIDED
    assert Watch(owner, BEAT, 0.2).wait(60.0) is Verdict.DEAD


@pytest.mark.parametrize("torn", [b"", b'{"time": 1.0, "en', b"[]", b'{"time": "?", "ended": 0}', b"[" * 100_000])
def test_a_damaged_heartbeat_only_shows_that_it_was_written(torn: bytes) -> None:
    storage.write(BEAT, torn)
    watch = Watch(None, BEAT, NEVER_S)
    assert watch.look() is Verdict.UNDECIDED
    storage.write(BEAT, torn + b" ")
    assert watch.look() is Verdict.ALIVE


def test_the_documented_limits() -> None:
    assert (attempts.HEARTBEAT_EVERY_S, attempts.HEARTBEAT_DEAD_AFTER_S) == (5.0, 60.0)


def test_one_of_two_launchers_that_saw_the_same_end_gets_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """A third launcher may create the attempt after this one has checked."""
    paths = RunPaths("memory://liveness/second-look")
    create = attempts.numbered.create

    def late(uri: str, document: object) -> bool:
        if uri == paths.attempt(1):
            made = create(uri, document)
            return made and create(paths.attempt(2), asdict(Owner.me()))  # of another launcher, at this moment
        return create(uri, document)

    monkeypatch.setattr(attempts.numbered, "create", late)
    with pytest.raises(RunBusyError, match="taken over"), attempts.Attempt(paths):
        pass


def test_only_a_heartbeat_that_ends_writes_its_end() -> None:
    for end, ended in (("abandon", False), ("end", True)):
        heartbeat = Heartbeat(BEAT, 60.0)
        heartbeat.start()
        getattr(heartbeat, end)()
        found = liveness.last_beat(BEAT)
        assert found is not None
        assert found.ended == ended


@pytest.mark.parametrize("at_work", [True, False])
@pytest.mark.parametrize("taken", [(1, 2), (2, 1)], ids=["its attempt is gone on with", "another attempt"])
def test_a_launcher_that_took_the_run_meanwhile_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_work: bool, taken: tuple[int, int]
) -> None:
    monkeypatch.setattr(attempts, "HEARTBEAT_DEAD_AFTER_S", 0.4)
    paths = RunPaths(f"file://{tmp_path}/run")
    storage.write_json(paths.attempt(1), asdict(replace(Owner.me(), boot="another")))

    def meanwhile(_: str) -> None:  # called before the watch begins
        storage.write_json(paths.attempt(*taken), asdict(Owner.me()))

    with pytest.raises(RunBusyError, match=str(os.getpid())), attempts.Attempt(paths, lambda _: at_work, meanwhile):
        pass
    found = {item.uri for item in storage.list_objects(paths.attempts)}
    assert found == {paths.attempt(1), paths.attempt(*taken)}


def test_the_first_report_says_how_much_was_finished_before(tmp_path: Path) -> None:
    paths = RunPaths(f"file://{tmp_path}/run")

    def phase(job: str = "prepare", waiting_for: str = "sending the code") -> object:
        return launcher.ProgressView(paths, job, 200.0).progress((), waiting_for)[0].facts["phase"]

    assert phase() == "sending the code"
    storage.write_json(paths.manifest("ingest"), {})
    assert phase() == "1 of 6 steps is finished, looking for changes · sending the code"
    for step in ("clean", "features", "sequences"):
        storage.write_json(paths.manifest(step), {})
    assert phase(waiting_for="") == "4 of 6 steps are finished, looking for changes"
    assert phase("train") == "sending the code"
    for step in ("train", "evaluate"):
        storage.write_json(paths.manifest(step), {})
    assert phase().startswith("all steps are finished, looking for changes")  # type: ignore[attr-defined]


@pytest.mark.parametrize("skew_s", [-7200.0, 7200.0])
def test_progress_does_not_depend_on_the_clock_of_the_job(skew_s: float, tmp_path: Path) -> None:
    paths = RunPaths(f"file://{tmp_path}/run")

    def report(done: int, moment: float) -> None:
        made = Progress("ingest", "driver", done, 10, "rows", moment - 1, moment + skew_s)
        storage.write_json(paths.progress("ingest", "driver"), asdict(made))

    report(1, 100.0)
    shown = launcher.ProgressView(paths, "prepare", 200.0)
    assert [each.facts for each in shown.progress((), "starting")] == [{"phase": "starting"}], "not that of before"
    report(2, 201.0)
    assert [each.done for each in shown.progress((), "starting")] == [2]
    restarts = [Restart(201.0, "a worker was lost", "")]
    for _ in range(2):
        assert shown.progress(restarts)[0].facts == {"phase": "a worker was lost; starting again"}
    report(3, 202.0)
    assert [(each.done, each.facts) for each in shown.progress(restarts)] == [(3, {})]
