"""A machine of the trainer group as a member of a run: it joins a generation, runs the worker, joins the next.

What local training has in its launcher is here spread over machines that come and go: each watches its own worker, all
of them follow the generations (generations.py), and the one with the lowest address decides, by the same policy as the
local target (restarts.py), whether there is to be another.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from cloudlstm import storage
from cloudlstm.errors import CorruptObjectError, ObjectNotFoundError, RunBusyError, StorageError
from cloudlstm.runs import attempts, documents, journal, settings
from cloudlstm.runs.environment import ATTEMPT, DEVICES, GENERATION, MOST_DEVICES, RESTARTS
from cloudlstm.runs.paths import RunPaths, join
from cloudlstm.storage.retry import retry
from cloudlstm.workers import rendezvous
from cloudlstm.workers.child_environment import cores_here, worker_environment
from cloudlstm.workers.processes import Process
from cloudlstm.workers.rendezvous import Generation, Roll, announced
from cloudlstm.workers.restarts import KNOWN_CAUSES, PEER_LOST, TERMINATED, Restarts, cause_of, told, worth_another

Result = TypeVar("Result")

_JOB = "train"
_LOOK_S = 0.5
_FOLLOW_S = 2.0
"""Between looks at what the other members do."""

_LONGEST_PAUSE_S = 10.0
"""Between requests while storage does not answer."""

_ENDING_S = 20.0
"""What a worker gets to save its state and end."""

_STOPPED_S = 10.0
"""A worker that has been stopped for this long is lost."""

_PORTS = 100
_TOLD_LINES = 40


@dataclass(frozen=True, slots=True)
class Assignment:
    """What the machines of a group are to do.

    Attributes:
        paths: The run.
        attempt: The attempt that they work for.
        workers: How many of them there are.
        port: The first port that a worker may take.
    """

    paths: RunPaths
    attempt: int
    workers: int
    port: int

    @classmethod
    def read(cls, uri: str) -> Assignment:
        """From the object that the launcher wrote; ObjectNotFoundError if there is none."""
        found = documents.read(_Document, uri)
        return cls(RunPaths(found.run), found.attempt, found.workers, found.port)


@dataclass(frozen=True, slots=True)
class _Document:
    """What an agent needs of an assignment's object."""

    run: str
    attempt: int
    workers: int
    port: int


def main(script: Path) -> int:
    """Carries out the assignment of this machine's group by the worker's script; returns the exit status.

    It is 0 when the run has no more work for this machine.
    """
    base = join(os.environ["CLOUDLSTM_BUCKET_URI"], "trainers", os.environ["CLOUDLSTM_GROUP"])
    try:
        assignment = _patiently(lambda: Assignment.read(join(base, "assignment.json")))
    except ObjectNotFoundError:
        _say("nothing is assigned to this group any more")
        return 0
    return Member(assignment, os.environ["CLOUDLSTM_ADDRESS"], [sys.executable, str(script)]).run()


class Member:
    """A machine's part in an assignment.

    Args:
        assignment: What the group is to do.
        address: Of this machine, as the others reach it.
        command: What starts a worker; the run's URI is added.
    """

    def __init__(self, assignment: Assignment, address: str, command: list[str]) -> None:
        self._assignment, self._paths = assignment, assignment.paths
        self._address, self._command = address, command
        self._worker: Process | None = None
        self._told: list[str] = []
        self._reserved = socket.socket()
        signal.signal(signal.SIGTERM, self._shut_down)

    def run(self) -> int:
        """Joins generation after generation until the run has no more work; returns the exit status."""
        number = _patiently(lambda: rendezvous.newest(self._paths)) + 1
        status: int | None = None
        try:
            while True:
                if number > 1 and self._is_over(_patiently(partial(rendezvous.read, self._paths, number - 1))):
                    return 0
                formed = self._joined(number, status)
                if self._is_over(formed):
                    return 0
                index = self._place(formed)
                if index is None:
                    self._look_on(formed)
                    status = None
                else:
                    status = self._work(formed, index)
                number += 1
        except RunBusyError as error:  # a later attempt has other machines
            _say(str(error))
            return 0
        finally:
            self._end_worker()

    def _is_over(self, generation: Generation) -> bool:
        over = bool(generation.outcome) and generation.attempt == self._assignment.attempt
        if over:
            _say(f"training is over: {generation.outcome}")
        return over

    def _place(self, generation: Generation) -> int | None:
        hosts = [address.rsplit(":", 1)[0] for address in generation.addresses]
        return hosts.index(self._address) if self._address in hosts else None

    def _joined(self, number: int, status: int | None) -> Generation:
        """The generation of this number, once it is there; `status` is how this machine's last worker ended."""
        _say(f"waiting for generation {number}")
        devices = min(cores_here(), MOST_DEVICES)
        me = {"address": f"{self._address}:{self._reserve_port()}", "status": status, "devices": devices}
        roll = Roll(self._paths, number, self._address, me)
        while True:
            with suppress(StorageError):  # it is asked again, for as long as this machine lives
                attempts.ensure_not_superseded(self._paths, self._assignment.attempt)
                try:
                    return rendezvous.read(self._paths, number)
                except ObjectNotFoundError:
                    pass
                present = roll.call()
                if len(present) >= self._assignment.workers and min(present, key=_order) == self._address:
                    rendezvous.write(self._paths, self._next(number, roll.records(present)))
                    continue
            time.sleep(_LOOK_S)

    def _next(self, number: int, records: Mapping[str, Mapping[str, Any]]) -> Generation:
        """What follows the generation before `number`: another one of these members, or the end."""
        chosen = sorted(records, key=_order)[: self._assignment.workers]
        addresses = tuple(str(records[member]["address"]) for member in chosen)
        devices = min(int(records[member].get("devices", 1)) for member in chosen)  # the same on all
        attempt = self._assignment.attempt
        allowed = settings.read(self._paths, attempt).train.max_restarts
        last = rendezvous.read(self._paths, number - 1) if number > 1 else None
        if last is None or last.attempt != attempt:
            fresh = Restarts(self._paths, _JOB, allowed)
            return Generation(number, attempt, addresses, budget=fresh.state, devices=devices)
        statuses: dict[str, int] = {}
        lost = []
        for index, address in enumerate(last.addresses):
            known = records.get(address.rsplit(":", 1)[0], {}).get("status")
            if known is None:
                lost.append(f"the machine of worker-{index} was lost")
            statuses[f"worker-{index}"] = -int(signal.SIGKILL) if known is None else int(known)
        why = ", ".join(lost) or cause_of(statuses)
        budget = Restarts(self._paths, _JOB, allowed, last.budget)
        if not worth_another(statuses.values()) or not budget.another(statuses.values()):
            return Generation(number, attempt, restarts=last.restarts, outcome=rendezvous.FAILED, told=why)
        restarts = (*last.restarts, (time.time(), why))
        return Generation(number, attempt, addresses, restarts, budget.state, devices=devices)

    def _work(self, generation: Generation, index: int) -> int:
        """Runs the worker of this machine until the generation ends; how it ended, as the next one is to know it."""
        _say(f"worker {index} of generation {generation.number}: {', '.join(generation.addresses)}")
        self._reserved.close()
        worker = self._worker = Process(
            f"worker-{index}", [*self._command, self._paths.uri], _environment(generation, index), Path("worker.txt")
        )
        followed = time.monotonic()
        while True:
            worker.look()
            if worker.status is None and worker.stopped_s > _STOPPED_S:
                self._end_worker()
                return self._ended(generation, -int(signal.SIGSTOP))
            if worker.status == 0 and index == 0:
                self._close(generation, rendezvous.DONE)
                return 0
            if worker.status:
                return self._ended(generation, worker.status)
            if time.monotonic() - followed >= _FOLLOW_S:
                followed = time.monotonic()
                if self._moved_on(generation):
                    self._end_worker()
                    own = worker.status or 0
                    return self._ended(generation, own) if own > 0 and own != TERMINATED else PEER_LOST
            time.sleep(_LOOK_S)

    def _look_on(self, generation: Generation) -> None:
        """A machine too many waits until the others need a next generation."""
        while not self._moved_on(generation):
            time.sleep(_FOLLOW_S)

    def _moved_on(self, generation: Generation) -> bool:
        """Whether somebody waits for the next generation, or has written it."""
        with suppress(StorageError):
            attempts.ensure_not_superseded(self._paths, self._assignment.attempt)
            following = generation.number + 1
            waiting = announced(self._paths.members(following))
            return bool(waiting) or storage.exists(self._paths.generation(following))
        return False

    def _ended(self, generation: Generation, status: int) -> int:
        """Notes how the worker ended; an end that would come again is the end of all."""
        worker = self._worker
        assert worker is not None
        said = told(worker.name, status)
        self._told = worker.printed()[-_TOLD_LINES:]
        journal.write_warning(self._paths, _JOB, f"machine-{self._address}", said, self._told, when=time.time())
        _say(said)
        if status in KNOWN_CAUSES:
            self._close(generation, rendezvous.FAILED, "\n".join([said, *self._told]))
        return status

    def _close(self, generation: Generation, outcome: str, why: str = "") -> None:
        """Writes the last generation of this attempt; if another has written the next one, that one holds."""
        last = Generation(
            generation.number + 1, generation.attempt, restarts=generation.restarts, outcome=outcome, told=why
        )

        def write() -> None:
            attempts.ensure_not_superseded(self._paths, self._assignment.attempt)
            rendezvous.write(self._paths, last)

        _patiently(write)

    def _reserve_port(self) -> int:
        """A port that nothing holds now, held until the worker starts: TensorFlow listens at all addresses.

        One that was killed may keep its own for a while, and machines of an emulated cloud share their ports.
        """
        self._reserved.close()
        for port in range(self._assignment.port, self._assignment.port + _PORTS):
            self._reserved = socket.socket()
            try:
                self._reserved.bind(("", port))
            except OSError:
                self._reserved.close()
                continue
            return port
        return self._assignment.port

    def _end_worker(self) -> None:
        if self._worker and self._worker.status is None:
            self._worker.ask_to_end()
            self._worker.end(time.monotonic() + _ENDING_S)

    def _shut_down(self, _number: int, _frame: FrameType | None) -> None:
        """The machine is taken away, or systemd stops us: the worker saves its state."""
        raise SystemExit(TERMINATED)


def _environment(generation: Generation, index: int) -> dict[str, str]:
    return worker_environment(generation.addresses, index) | {
        ATTEMPT: str(generation.attempt),
        GENERATION: str(len(generation.restarts)),
        DEVICES: str(generation.devices),
        RESTARTS: json.dumps([why for _, why in generation.restarts]),
    }


def _patiently(work: Callable[[], Result]) -> Result:
    """The result of `work`, repeated while storage does not answer, for as long as this machine lives.

    Raises:
        ObjectNotFoundError, CorruptObjectError: storage did answer.
        RunBusyError: a later attempt has the run.
    """

    def may_pass(error: StorageError) -> bool:
        return not isinstance(error, ObjectNotFoundError | CorruptObjectError)

    return retry(
        work,
        StorageError,
        when=may_pass,
        first_pause_s=_LOOK_S,
        longest_pause_s=_LONGEST_PAUSE_S,
        before_pause=lambda error: _say(f"trying again: {error}"),
    )


def _order(address: str) -> tuple[int, str]:
    return len(address), address


def _say(line: str) -> None:
    print(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {line}", file=sys.stderr, flush=True)  # noqa: T201
