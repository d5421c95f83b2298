"""Training on a trainer group: takes the lease, sets a deadline, scales out, waits for the outcome, scales in."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from cloudlstm import storage
from cloudlstm.errors import (
    CapacityError,
    CloudLSTMError,
    RunBusyError,
    StorageError,
    TargetError,
)
from cloudlstm.runs.paths import RunPaths
from cloudlstm.targets.base import JobState, Request, Restart
from cloudlstm.targets.lease import Holder, Lease
from cloudlstm.targets.polling import INTERVALS, CloudJob, Intervals, Phases
from cloudlstm.targets.services import GroupStatus, TrainerGroup
from cloudlstm.workers import assignment, rendezvous
from cloudlstm.workers.rendezvous import Generation

_LOG_LINES = 20


class TrainerJob(CloudJob):
    """The workers of a run on the machines of a group.

    Args:
        request: Gives the request, with nothing left open but the lease, once what it needs is in place.
        group: The machines.
        described: What they are and where, for people.
        wait: Whether to wait while another run has the group.
        intervals: The pauses between requests.
    """

    def __init__(
        self,
        request: Callable[[], Request],
        group: TrainerGroup,
        described: str,
        *,
        wait: bool,
        intervals: Intervals = INTERVALS,
    ) -> None:
        self._make_request, self._group, self._described, self._wait = request, group, described, wait
        self._request: Request = {}
        self._lease: Lease | None = None
        self._generation: Generation | None = None
        self._logs: set[str] = set()
        super().__init__(intervals)

    def _phases(self) -> Phases:
        yield "sending the code"
        self._request = self._make_request()
        self._paths = RunPaths(self._request["run"])
        self._lease = Lease(self._request["coordinates"], self._paths.uri, self._at_work)
        while (holder := self._lease.take()) is not None:
            known = self._lease.is_known(holder)
            if known and not self._wait:
                raise RunBusyError(
                    f"the trainers are at work for {holder}",
                    hint="submit with --wait, or end what they do with `cloudlstm cancel` or `cloudlstm down`",
                )
            give_up = time.monotonic() + self._intervals.lease_poll_s
            while time.monotonic() < give_up:
                yield (
                    f"waiting for the trainers, which {holder} has"
                    if known
                    else f"looking whether {holder}, which has the trainers, is still alive"
                )
        self._logs = set(self._machine_logs())
        if self._has_outcome():  # since before this launcher, which has only the machines to send away
            return
        if not self._is_assigned():
            yield from self._wait_until_empty()
            self._lease.require_held()
            document = self._request["assignment"]["document"] | {"lease": self._lease.token}
            storage.write_json(self._request["assignment"]["uri"], document)
        if deadline := self._request.get("deadline"):  # first: from here on nothing can stay for ever
            self._retry(lambda: self._group.send(deadline))
        self._retry(lambda: self._group.send(self._request["scale_out"]))
        yield from self._follow()

    def _is_assigned(self) -> bool:
        """Whether the machines are at work for this attempt already, since before this launcher."""
        if not is_assigned(self._request):
            return False
        if found := assignment.find(self._request["assignment"]["uri"]):
            self._request = {**self._request, "deadline": self._group.deadline_request(iso(found.deadline))}
        return bool(self._retry(self._group.look).size == self._request["workers"])

    def _wait_until_empty(self) -> Phases:
        """What earlier machines were told must not be read by new ones, and the other way round."""
        storage.delete(self._request["assignment"]["uri"])
        poll = self._poller(self._group.look)
        sent = False
        while True:
            seen = poll()
            if seen and not seen.machines and not seen.size:
                return
            if seen and seen.size and not sent:
                self._retry(lambda: self._group.send(self._request["scale_in"]))
                sent = True
            yield "waiting for the machines of an earlier run to go"

    def _follow(self) -> Phases:
        """From the first machine to the outcome."""
        workers = self._request["workers"]
        complete = time.time()  # since when the group is not
        poll_group, poll = self._poller(self._group.look), self._poller(self._newest)
        group: GroupStatus | None = None
        while True:
            if self._has_outcome(poll()):
                return
            formed = self._generation
            group = seen if (seen := poll_group()) else group
            ready = sum(machine.ready for machine in group.machines) if group else 0
            if seen and seen.size < workers and time.time() - complete > self._intervals.shrink_grace_s:
                raise self._shrunk_error(seen)
            if formed and ready >= workers:
                complete = time.time()
            elif time.time() - complete > self._request["fill_timeout_s"]:
                raise self._capacity_error(complete, ready)
            yield "" if formed else f"{ready} of {workers} machines run, waiting for all to join"

    def _newest(self) -> Generation | None:
        return _newest(self._paths, self._request["assignment"]["document"]["attempt"])

    def _has_outcome(self, *newest: Generation | None) -> bool:
        """Takes in the newest generation, asked for unless it is given; whether it says that all is over."""
        formed = self._generation = (newest[0] if newest else self._newest()) or self._generation
        if formed is None:
            return False
        self.restarts = [Restart(when, cause, "") for when, cause in formed.restarts]
        if formed.outcome:
            self._final = JobState.DONE if formed.outcome == rendezvous.DONE else JobState.FAILED
        return bool(formed.outcome)

    def _shrunk_error(self, group: GroupStatus) -> CloudLSTMError:
        """The group got smaller than the run needs: a machine that could not be set up left it, or its time is up."""
        if told := self._machine_log_tail():
            return CapacityError(f"a machine could not be set up: {told}", hint=f"see {self._logs_uri}")
        return TargetError(
            f"the trainer group was set to {group.size} of {self._request['workers']} machines while they worked: "
            "its deadline has passed, or somebody did it",
            hint="submit again: training goes on from its last checkpoint; trainers.max_hours sets the deadline",
        )

    def _capacity_error(self, since: float, ready: int) -> CloudLSTMError:
        workers, waited_s = self._request["workers"], self._request["fill_timeout_s"]
        why = ""
        with suppress(TargetError):
            why = self._group.launch_error(since)
        if ready >= workers:
            told = self._machine_log_tail() or "they told nothing"
            return CapacityError(
                f"{workers} machines ran for {waited_s:.0f} s and did not join ({self._described}): {told}",
                hint=f"see {self._logs_uri}; trainers.fill_timeout_s gives them longer",
            )
        return CapacityError(
            f"{ready} of {workers} machines came within {waited_s:.0f} s ({self._described})"
            + (f": {why}" if why else ""),
            hint="another machine type or more zones in Terraform, fewer train.workers, or submit again later",
        )

    def cancel(self) -> None:
        """Takes the group back to 0 and gives the lease back.

        Raises:
            TargetError: the group could not be set to 0.
        """
        self._final = self._final or JobState.CANCELLED
        lease, self._lease = self._lease, None
        if lease is None or not lease.token:
            return
        try:
            with suppress(RunBusyError):
                lease.require_held()
                self._scale_in()
        finally:
            lease.release()

    def abandon(self) -> None:
        """The machines are the other launcher's, or were never this one's."""
        self._final = self._final or JobState.CANCELLED
        lease, self._lease = self._lease, None
        if lease:
            lease.abandon()

    def _scale_in(self) -> None:
        with suppress(StorageError):
            storage.delete(self._request["assignment"]["uri"])
        try:
            self._retry(lambda: self._group.send(self._request["scale_in"]))
        except TargetError as error:
            raise TargetError(
                f"the trainer group could not be scaled to 0 ({error.message}); its machines shut down at "
                f"{time.strftime('%H:%M', time.localtime(self._request['assignment']['document']['deadline']))}",
                hint="cloudlstm down",
            ) from error
        with suppress(TargetError):  # one that stays does no harm: it would set the size to 0
            self._group.forget_deadline()

    def explain(self) -> str:
        """How the last generation ended."""
        told = self._generation.message if self._generation else ""
        return told or "the workers ended without a word"

    def _at_work(self, holder: Holder) -> bool:
        """Whether another run's training goes on although its launcher is gone."""
        found = assignment.find(self._request["assignment"]["uri"])
        if not found or not holder.token or found.lease != holder.token:
            return False
        formed = _newest(RunPaths(holder.run), found.attempt)
        return not (formed and formed.outcome) and self._retry(self._group.look).size > 0

    @property
    def _logs_uri(self) -> str:
        return f"{self._request['coordinates']}/machines/"

    def _machine_logs(self) -> list[str]:
        return [item.uri for item in storage.list_objects(self._logs_uri)]

    def _machine_log_tail(self) -> str:
        """The last words of a machine whose set-up failed."""
        with suppress(StorageError):
            for uri in sorted(set(self._machine_logs()) - self._logs):
                lines = storage.read(uri).decode(errors="replace").strip().splitlines()[-_LOG_LINES:]
                return " / ".join(line.strip() for line in lines[-3:])[:300]
        return ""


def is_assigned(request: Request) -> bool:
    """Whether the group of a train request, with nothing left open, was assigned to just this before."""
    wanted, found = request["assignment"]["document"], assignment.find(request["assignment"]["uri"])
    if found is None or found.deadline <= time.time():
        return False
    return all(getattr(found, key) == wanted[key] for key in ("run", "attempt", "opened", "package", "workers"))


def iso(when: float) -> str:
    """A moment as services read it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(when))


def _newest(paths: RunPaths, attempt: int) -> Generation | None:
    """The newest generation of an attempt; None before the first, and while storage is silent."""
    with suppress(StorageError):
        number = rendezvous.newest(paths)
        if number and (found := rendezvous.read(paths, number)).attempt == attempt:
            return found
    return None
