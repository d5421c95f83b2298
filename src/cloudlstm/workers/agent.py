"""The agent on a trainer machine: it joins the group's generations and runs one worker in each.

On one machine a single launcher watches all workers. On trainer machines, which come and go, each agent watches only
its own worker, and all agents agree on the workers of the next generation (rendezvous.py). The agent with the lowest
address decides whether training restarts, by the same policy as the local target (restarts.py).
"""

from __future__ import annotations

import json
import math
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TypeVar

from cloudlstm import storage
from cloudlstm.errors import CorruptObjectError, ObjectNotFoundError, RunBusyError, StorageError
from cloudlstm.runs import attempts, journal
from cloudlstm.runs.environment import ACCELERATOR, ATTEMPT, DEVICES, GENERATION, MOST_DEVICES, RESTARTS
from cloudlstm.runs.paths import join
from cloudlstm.storage.retry import retry
from cloudlstm.workers import assignment, rendezvous
from cloudlstm.workers.assignment import Assignment
from cloudlstm.workers.child_environment import cores_here, worker_environment
from cloudlstm.workers.processes import Process
from cloudlstm.workers.rendezvous import Generation, Membership, announcements
from cloudlstm.workers.restarts import KNOWN_CAUSES, PEER_LOST, TERMINATED, describe_exit

Result = TypeVar("Result")

_JOB = "train"
_POLL_S = 0.5
_GROUP_POLL_S = 2.0
"""Seconds between looks at the other machines."""

_LONGEST_PAUSE_S = 10.0
"""Longest pause between requests while storage does not answer."""

_STOP_GRACE_S = 20.0
"""Seconds in which a worker can save its state and end."""

_SUSPENDED_S = 10.0
"""A worker that is suspended (SIGSTOP) for this long is lost."""

_PORTS = 100


def main(script: Path) -> int:
    """Works on the assignment of this machine's group; `script` is the worker's program.

    Returns:
        The exit status; 0 when the run has no more work for this machine.
    """
    base = join(os.environ["CLOUDLSTM_BUCKET_URI"], "trainers", os.environ["CLOUDLSTM_GROUP"])
    try:
        work = _until_storage_answers(lambda: assignment.read(join(base, "assignment.json")))
    except ObjectNotFoundError:
        _log("this group has no assignment any more")
        return 0
    return TrainerAgent(work, os.environ["CLOUDLSTM_ADDRESS"], [sys.executable, str(script)]).run()


class TrainerAgent:
    """Runs the workers of one machine.

    Args:
        assignment: What the group trains.
        address: Address of this machine, as the others reach it.
        command: Starts a worker; the URI of the run is appended.
    """

    def __init__(self, assignment: Assignment, address: str, command: list[str]) -> None:
        self._assignment, self._paths = assignment, assignment.paths
        self._address, self._command = address, command
        self._worker: Process | None = None
        self._reserved = socket.socket()
        self._stop_at = float(assignment.stop.get("at", math.inf))
        signal.signal(signal.SIGTERM, self._shut_down)

    def run(self) -> int:
        """Joins generations until the run has no more work; returns the exit status."""
        number = _until_storage_answers(lambda: rendezvous.newest(self._paths)) + 1
        status: int | None = None
        try:
            while True:
                if number > 1:
                    previous = _until_storage_answers(partial(rendezvous.read, self._paths, number - 1))
                    if self._is_finished(previous):
                        return 0
                generation = self._join(number, status)
                if self._is_finished(generation):
                    return 0
                if self._address in generation.hosts:
                    status = self._run_worker(generation, generation.hosts.index(self._address))
                else:
                    self._stand_by(generation)
                    status = None
                number += 1
        except RunBusyError as error:  # a later attempt uses other machines
            _log(str(error))
            return 0
        finally:
            self._stop_worker()

    def _is_finished(self, generation: Generation) -> bool:
        finished = bool(generation.outcome) and generation.attempt == self._assignment.attempt
        if finished:
            _log(f"training has ended: {generation.outcome}")
        return finished

    def _join(self, number: int, status: int | None) -> Generation:
        """Announces this machine and waits for a generation; `status` is the exit status of its last worker."""
        _log(f"waiting for generation {number}")
        devices = min(cores_here(), MOST_DEVICES)
        record = {"address": f"{self._address}:{self._reserve_port()}", "status": status, "devices": devices}
        membership = Membership(self._paths, number, self._address, record)
        while True:
            with suppress(StorageError):  # the next turn tries again
                self._ensure_not_superseded()
                try:
                    return rendezvous.read(self._paths, number)
                except ObjectNotFoundError:
                    pass
                if time.time() >= self._stop_at:
                    self._end_at_limit(number, self._restarts_before(number))
                    continue
                alive = membership.alive_members()
                is_leader = min(alive, key=rendezvous.address_order) == self._address
                if len(alive) >= self._assignment.workers and is_leader:
                    records = membership.records(alive)
                    rendezvous.write(self._paths, rendezvous.next_generation(self._assignment, number, records))
                    continue
            time.sleep(_POLL_S)

    def _run_worker(self, generation: Generation, index: int) -> int:
        """Runs the worker of this machine until its generation ends; returns the status to announce."""
        _log(f"worker {index} of generation {generation.number}: {', '.join(generation.addresses)}")
        self._reserved.close()
        environment = _environment(generation, index) | {ACCELERATOR: self._assignment.accelerator}
        worker = self._worker = Process(
            f"worker-{index}", [*self._command, self._paths.uri], environment, Path("worker.txt")
        )
        looked = time.monotonic()
        while True:
            worker.poll()
            if worker.status is None and worker.stopped_s > _SUSPENDED_S:
                self._stop_worker()
                return self._report_exit(generation, worker, -int(signal.SIGSTOP))
            if worker.status == 0 and index == 0:
                self._write_outcome(generation, rendezvous.DONE)
                return 0
            if worker.status:
                return self._report_exit(generation, worker, worker.status)
            if time.time() >= self._stop_at:
                self._stop_worker()  # all workers save the same checkpoint and end
                self._end_at_limit(generation.number + 1, generation.restarts)
                return TERMINATED
            if time.monotonic() - looked >= _GROUP_POLL_S:
                looked = time.monotonic()
                if self._has_ended(generation):
                    self._stop_worker()
                    own = worker.status or 0
                    failed_itself = own > 0 and own != TERMINATED
                    return self._report_exit(generation, worker, own) if failed_itself else PEER_LOST
            time.sleep(_POLL_S)

    def _stand_by(self, generation: Generation) -> None:
        """Waits until the generation ends, on a machine that is not part of it."""
        while not self._has_ended(generation):
            time.sleep(_GROUP_POLL_S)

    def _has_ended(self, generation: Generation) -> bool:
        """True if a machine has joined the next generation or has written it."""
        with suppress(StorageError):
            self._ensure_not_superseded()
            following = generation.number + 1
            joined = announcements(self._paths, following)
            return bool(joined) or storage.exists(self._paths.generation(following))
        return False

    def _report_exit(self, generation: Generation, worker: Process, status: int) -> int:
        """Logs how the worker ended. A non-retryable exit fails the whole group."""
        message, output = describe_exit(worker.name, status), worker.last_lines()
        if worker.out_of_memory:
            message += ": the machine had no memory left"
        journal.write_warning(self._paths, _JOB, f"machine-{self._address}", message, output, when=time.time())
        _log(message)
        if status in KNOWN_CAUSES:
            self._write_outcome(generation, rendezvous.FAILED, "\n".join([message, *output]))
        return status

    def _end_at_limit(self, number: int, restarts: tuple[tuple[float, str], ...]) -> None:
        """Ends the run because its time is over: stores the error of the assignment, and the outcome."""
        error = {str(key): str(value) for key, value in self._assignment.stop.get("error", {}).items()}
        message = error.get("message", "the time of the machines is over")
        _log(message)
        record = error | {"generation": len(restarts)}
        _until_storage_answers(lambda: storage.write_json(self._paths.failure(_JOB), record))
        last = Generation(
            number, self._assignment.attempt, restarts=restarts, outcome=rendezvous.FAILED, message=message
        )  # fmt: skip
        self._write_last(last)

    def _restarts_before(self, number: int) -> tuple[tuple[float, str], ...]:
        """Returns the restarts of this attempt before a generation that is not formed yet."""
        if number <= 1:
            return ()
        previous = rendezvous.read(self._paths, number - 1)
        return previous.restarts if previous.attempt == self._assignment.attempt else ()

    def _write_outcome(self, generation: Generation, outcome: str, message: str = "") -> None:
        """Writes the last generation of this attempt, unless another machine has written the next one already."""
        last = Generation(
            generation.number + 1, generation.attempt, restarts=generation.restarts, outcome=outcome, message=message
        )
        self._write_last(last)

    def _write_last(self, last: Generation) -> None:
        def write() -> None:
            self._ensure_not_superseded()
            rendezvous.write(self._paths, last)

        _until_storage_answers(write)

    def _ensure_not_superseded(self) -> None:
        attempts.ensure_not_superseded(self._paths, self._assignment.attempt)

    def _reserve_port(self) -> int:
        """Finds a free port and keeps it bound until the worker starts: TensorFlow listens on all addresses.

        A worker that was killed may keep its port for a while, and machines of an emulated cloud share their ports.
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

    def _stop_worker(self) -> None:
        if self._worker and self._worker.status is None:
            self._worker.terminate()
            self._worker.stop(time.monotonic() + _STOP_GRACE_S)

    def _shut_down(self, _number: int, _frame: FrameType | None) -> None:
        """Ends the agent on SIGTERM; the worker then saves its state."""
        raise SystemExit(TERMINATED)


def _environment(generation: Generation, index: int) -> dict[str, str]:
    return worker_environment(generation.addresses, index) | {
        ATTEMPT: str(generation.attempt),
        GENERATION: str(len(generation.restarts)),
        DEVICES: str(generation.devices),
        RESTARTS: json.dumps([cause for _, cause in generation.restarts]),
    }


def _until_storage_answers(work: Callable[[], Result]) -> Result:
    """Calls `work` again while storage does not answer, without a limit; returns its result.

    Raises:
        ObjectNotFoundError, CorruptObjectError: Storage has answered.
        RunBusyError: A later attempt has the run.
    """
    return retry(
        work,
        StorageError,
        when=lambda error: not isinstance(error, ObjectNotFoundError | CorruptObjectError),
        first_pause_s=_POLL_S,
        longest_pause_s=_LONGEST_PAUSE_S,
        before_pause=lambda error: _log(f"trying again: {error}"),
    )


def _log(line: str) -> None:
    print(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {line}", file=sys.stderr, flush=True)  # noqa: T201
