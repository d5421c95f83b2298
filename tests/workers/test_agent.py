"""Trainer agents: members of each generation, restarts and the outcome. Real processes with tiny workers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudlstm import storage
from cloudlstm.config import parse
from cloudlstm.errors import CostLimitError, from_record, to_record
from cloudlstm.runs.paths import RunPaths
from cloudlstm.workers import rendezvous
from cloudlstm.workers.rendezvous import Generation
from on_emulators import until

MACHINE = """
import json, os, random, sys
from pathlib import Path
from cloudlstm import storage
from cloudlstm.errors import StorageUnavailableError
chance, share = random.Random(int(sys.argv[2].rpartition(".")[2])), float(os.environ.get("AWAY", "0"))
def failing(verb):
    def asked(*words, **more):
        if chance.random() < share:
            raise StorageUnavailableError("away")
        return verb(*words, **more)
    return asked
for name in ("exists", "stat", "read", "read_json", "write_json", "list_objects"):
    setattr(storage, name, failing(getattr(storage, name)))
from cloudlstm.workers import agent
from cloudlstm.workers.agent import TrainerAgent
from cloudlstm.workers.assignment import Assignment
agent._LONGEST_PAUSE_S = 0.5
run, address, workers = sys.argv[1:4]
stop = json.loads(os.environ.get("STOP", "{}"))
sys.exit(TrainerAgent(Assignment(run, 1, int(workers), 28470, stop=stop), address, sys.argv[4:]).run())
"""

WORKER = """
import json, os, sys, time
from cloudlstm.runs.paths import RunPaths
task = json.loads(os.environ.get("TF_CONFIG") or '{"task": {"index": 0}}')["task"]
index, generation = task["index"], int(os.environ["CLOUDLSTM_GENERATION"])
def lose_a_peer(): time.sleep(1); sys.exit(75)
def checkpoint():
    from cloudlstm import storage
    storage.write(RunPaths(sys.argv[1]).checkpoint("f", generation, "a" * 64), b"")
"""


class Machines:
    """Machines of one run, in a folder each."""

    def __init__(self, folder: Path, worker: str, *, max_restarts: int = 3) -> None:
        self.paths = RunPaths(f"file://{folder}/run")
        for uri, allowed in ((self.paths.config, 9), (self.paths.settings(1), max_restarts)):
            config = parse({"market": {"source": "synthetic"}, "train": {"max_restarts": allowed}})
            storage.write_json(uri, config.model_dump(mode="json"))
        storage.write_json(self.paths.attempt(1), {})
        self._folder, self._worker = folder, WORKER + worker
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, *addresses: str, workers: int = 2) -> None:
        for address in addresses:
            folder = self._folder / address
            folder.mkdir()
            command = [sys.executable, "-c", MACHINE, self.paths.uri, address, str(workers)]
            self.running[address] = subprocess.Popen(
                [*command, sys.executable, "-c", self._worker],
                cwd=folder,
                env=os.environ | {"CLOUDLSTM_ATTEMPT": "1"},
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )

    def statuses(self) -> list[int]:
        return [each.wait(120) for each in self.running.values()]

    def generations(self) -> list[Generation]:
        numbers = range(1, rendezvous.newest(self.paths) + 1)
        return [rendezvous.read(self.paths, number) for number in numbers]

    def kill(self, address: str) -> None:
        os.killpg(self.running[address].pid, signal.SIGKILL)
        self.running.pop(address).wait()


@pytest.fixture
def ends() -> Iterator[list[Machines]]:
    started: list[Machines] = []
    yield started
    for machines in started:
        for address in list(machines.running):
            machines.kill(address) if machines.running[address].poll() is None else None


def hosts(generation: Generation) -> list[str]:
    return [address.rsplit(":", 1)[0] for address in generation.addresses]


def test_a_foreign_file_among_the_members_ends_no_training(tmp_path: Path, ends: list[Machines]) -> None:
    machines = Machines(tmp_path, "time.sleep(5); checkpoint()")
    ends.append(machines)
    for number in (1, 2, 3):
        storage.write(machines.paths.members(number) + ".DS_Store", b"not ours")
    machines.start("127.0.0.11", "127.0.0.12")
    assert machines.statuses() == [0, 0]
    assert [found.outcome for found in machines.generations()] == ["", "done"]


@pytest.mark.parametrize("worker", ["checkpoint()", "generation or lose_a_peer(); checkpoint()"])
def test_storage_that_often_does_not_answer_ends_no_machine(
    tmp_path: Path, ends: list[Machines], worker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One in seven requests of the machines fails; what they do about it must neither end nor restart a training."""
    monkeypatch.setenv("AWAY", "0.15")
    machines = Machines(tmp_path, worker)
    ends.append(machines)
    machines.start("127.0.0.11", "127.0.0.12")
    assert machines.statuses() == [0, 0]
    found = machines.generations()
    assert (found[-1].outcome, len(found)) == ("done", 2 if worker == "checkpoint()" else 3)


def test_a_run_that_goes_well_is_one_generation(tmp_path: Path, ends: list[Machines]) -> None:
    machines = Machines(tmp_path, "checkpoint()")
    ends.append(machines)
    machines.start("127.0.0.12", "127.0.0.11")
    assert machines.statuses() == [0, 0]
    first, last = machines.generations()
    assert hosts(first) == ["127.0.0.11", "127.0.0.12"]
    assert len({address.rsplit(":", 1)[1] for address in first.addresses}) == 2, "two workers here need two ports"
    assert (last.outcome, last.restarts) == ("done", ())


def test_a_worker_that_is_killed_makes_a_new_generation(tmp_path: Path, ends: list[Machines]) -> None:
    machines = Machines(tmp_path, "if generation == 0: os.kill(os.getpid(), 9) if index else lose_a_peer()")
    ends.append(machines)
    machines.start("127.0.0.11", "127.0.0.12")
    assert machines.statuses() == [0, 0]
    _, second, last = machines.generations()
    assert [why for _, why in second.restarts] == ["worker-1 killed by signal 9 (SIGKILL)"]
    assert last.outcome == "done"


def test_a_non_retryable_exit_ends_the_group(tmp_path: Path, ends: list[Machines]) -> None:
    machines = Machines(tmp_path, "print('the loss is NaN'); sys.exit(1) if index else lose_a_peer()")
    ends.append(machines)
    machines.start("127.0.0.11", "127.0.0.12")
    assert machines.statuses() == [0, 0]
    _, last = machines.generations()
    assert last.outcome == "failed"
    assert last.message.splitlines() == ["worker-1 ended with status 1", "the loss is NaN"]


def test_workers_without_progress_are_given_up(tmp_path: Path, ends: list[Machines]) -> None:
    machines = Machines(tmp_path, "os.kill(os.getpid(), 9) if index else lose_a_peer()", max_restarts=1)
    ends.append(machines)
    machines.start("127.0.0.11", "127.0.0.12")
    assert machines.statuses() == [0, 0]
    assert [each.outcome for each in machines.generations()] == ["", "", "failed"]


def test_a_machine_that_is_lost_is_replaced_by_another(tmp_path: Path, ends: list[Machines]) -> None:
    machines = Machines(tmp_path, "checkpoint(); time.sleep(600 if generation == 0 else 0)")
    ends.append(machines)
    machines.start("127.0.0.11", "127.0.0.12")
    until(lambda: list(storage.list_objects(machines.paths.all_checkpoints)), "workers at work")
    machines.kill("127.0.0.11")
    time.sleep(1.0)
    machines.start("127.0.0.13")
    assert machines.statuses() == [0, 0]
    _, second, last = machines.generations()
    assert hosts(second) == ["127.0.0.12", "127.0.0.13"]
    assert [why for _, why in second.restarts] == ["the machine of worker-0 was lost"]
    assert last.outcome == "done"


def test_machines_of_a_superseded_attempt_stop(tmp_path: Path, ends: list[Machines]) -> None:
    machines = Machines(tmp_path, "checkpoint(); time.sleep(600)")
    ends.append(machines)
    machines.start("127.0.0.11", workers=1)
    until(lambda: list(storage.list_objects(machines.paths.all_checkpoints)), "a worker at work")
    storage.write_json(machines.paths.attempt(2), {})
    assert machines.statuses() == [0]


STOPPED = """
import signal
def save(*_):
    checkpoint()
    sys.exit(143)
signal.signal(signal.SIGTERM, save)
time.sleep(60)
"""


def test_at_their_limit_the_workers_save_and_the_run_ends_with_its_error(
    tmp_path: Path, ends: list[Machines], monkeypatch: pytest.MonkeyPatch
) -> None:
    error = CostLimitError("2 trainers would cost more than trainers.max_usd=1", hint="a higher limit")
    monkeypatch.setenv("STOP", json.dumps({"at": time.time() + 8, "error": to_record(error)}))
    machines = Machines(tmp_path, STOPPED)
    ends.append(machines)
    machines.start("127.0.0.11", "127.0.0.12")
    assert machines.statuses() == [0, 0]
    first, last = machines.generations()
    assert (first.outcome, last.outcome, last.message) == ("", "failed", error.message)
    assert len(list(storage.list_objects(machines.paths.checkpoints("f")))) == 1
    found = from_record(storage.read_json(machines.paths.failure("train")))
    assert (type(found), found.message, found.hint) == (CostLimitError, error.message, error.hint)


def test_machines_that_wait_for_others_end_at_their_limit_too(
    tmp_path: Path, ends: list[Machines], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STOP", json.dumps({"at": time.time() + 2, "error": {"kind": "CostLimitError", "message": "m"}}))
    machines = Machines(tmp_path, "")
    ends.append(machines)
    machines.start("127.0.0.11")  # the second one never comes
    assert machines.statuses() == [0]
    (last,) = machines.generations()
    assert (last.outcome, last.message) == ("failed", "m")
