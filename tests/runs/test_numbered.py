"""Numbered objects beside other files, in every folder of a run that has them."""

from __future__ import annotations

import io
import sys
import time
from dataclasses import asdict

import pytest

from cloudlstm import storage
from cloudlstm.cli.logs import Parts
from cloudlstm.runs import attempts, numbered
from cloudlstm.runs.journal import Journal
from cloudlstm.runs.liveness import Owner
from cloudlstm.runs.paths import RunPaths
from cloudlstm.runs.progress import read_progress
from cloudlstm.targets import lease
from cloudlstm.workers import assignment, rendezvous
from cloudlstm.workers.rendezvous import Generation, Membership

FOREIGN = (".DS_Store", "0009 (conflicted copy).json", "9999.json~", "0009.json.tmp", "x.json", "0009", "9.json",
           "00009.json", "0009.txt", "٣.json", "-1.json", "sub/0009.json", "Icon\r")  # fmt: skip


def litter(folder: str) -> None:
    for name in FOREIGN:
        storage.write(folder + name, b"not ours")


def test_only_whole_names_count() -> None:
    folder = "memory://numbered/plain/"
    litter(folder)
    assert numbered.newest(folder) == 0
    for number in (2, 10):
        assert numbered.create(f"{folder}{number:04d}.json", {})
        assert not numbered.create(f"{folder}{number:04d}.json", {}), "it has been written"
    assert numbered.numbers(folder) == [2, 10]
    assert storage.read(folder + ".DS_Store") == b"not ours"


def test_attempts_beside_files_of_others() -> None:
    paths = RunPaths("memory://numbered/attempts")
    litter(paths.attempts)
    with attempts.Attempt(paths) as first:
        assert first.number == 1
        litter(paths.attempts)
    assert attempts.latest_attempt(paths) == 1


def test_generations_and_members_beside_files_of_others() -> None:
    paths = RunPaths("memory://numbered/generations")
    litter(paths.generations)
    litter(paths.members(1))
    assert rendezvous.newest(paths) == 0
    assert rendezvous.write(paths, Generation(1, 1, ("127.0.0.4:8470",)))
    assert rendezvous.newest(paths) == 1
    membership = Membership(paths, 1, "127.0.0.4", {"address": "127.0.0.4:8470"})
    assert membership.alive_members() == {"127.0.0.4"}
    litter(paths.members(1))
    for name in FOREIGN:
        storage.write(paths.members(1) + name, b"changed")
    assert membership.alive_members() == {"127.0.0.4"}, "a file that changes is no machine"


def test_leases_beside_files_of_others() -> None:
    base = "memory://numbered/group"
    litter(f"{base}/leases/")
    assert lease.newest(base) is None
    taken = lease.Lease(base, "memory://runs/a", lambda _: False)
    assert taken.take() is None
    found = lease.newest(base)
    assert found is not None
    assert (found.number, found.run) == (1, "memory://runs/a")
    taken.release()


def test_a_damaged_lease_does_not_keep_the_group_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "EXPIRES_AFTER_S", 0.2)
    base = "memory://numbered/damaged"
    storage.write(f"{base}/leases/000003.json", b"[]")
    taken = lease.Lease(base, "memory://runs/a", lambda _: False)
    deadline = time.monotonic() + 60
    while (holder := taken.take()) is not None:
        assert not taken.is_known(holder), "it may be alive, and is watched"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    found = lease.newest(base)
    assert found is not None
    assert (found.number, found.run) == (4, "memory://runs/a")
    taken.release()


@pytest.mark.parametrize("found", [[], {}, {"deadline": "soon"}, {"deadline": 1}, 7, None])
def test_an_invalid_assignment_is_ignored(found: object) -> None:
    storage.write_json("memory://numbered/assignment.json", found)
    assert assignment.find("memory://numbered/assignment.json") is None


def test_logs_and_progress_beside_files_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    paths = RunPaths("memory://numbered/logs")
    folders = [paths.logs, f"{paths.logs}train/", f"{paths.logs}train/worker-0/", paths.progresses,
               f"{paths.progresses}train/"]  # fmt: skip
    for folder in folders:
        litter(folder)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with Journal(paths, "train", "worker-0") as journal:
        journal.report("train", 1, 2, "windows")
    with Journal(paths, "train", "worker-0"):
        pass
    storage.write(paths.log("train", "worker-0", 1), b"2026-01-01T00:00:00+0000 INFO later\n")
    storage.write(paths.log("train", "worker-0", 0), b"2026-01-01T00:00:00+0000 INFO first\n")
    lines = [line.split()[-1] for _, part in Parts(paths).poll(final=True) for line in part]
    assert lines == ["first", "later"]
    assert [report.step for report in read_progress(paths)] == ["train"]


def test_a_note_of_the_launcher_is_no_gap() -> None:
    """Notes are numbered by time in milliseconds, so gaps between them are normal."""
    paths = RunPaths("memory://numbered/notes")
    parts = Parts(paths)
    for number in (1_795_000_000_000, 1_795_000_123_456):
        storage.write(paths.log("train", "launcher", number), b"2026-01-01T00:00:00+0000 WARNING said\n")
        assert len(list(parts.poll())) == 1, "at once"
    storage.write(paths.log("train", "worker-0", 0), b"a\n")
    assert len(list(parts.poll())) == 1
    storage.write(paths.log("train", "worker-0", 2), b"c\n")
    assert list(parts.poll()) == [], "part 1 is on its way"


def test_owners_are_written_as_they_are_read() -> None:
    paths = RunPaths("memory://numbered/owner")
    me = Owner.me()
    storage.write_json(paths.attempt(1), asdict(me))
    assert attempts.read_owner(paths, 1) == me
