"""Training on a trainer group: takes the lease, sets a deadline, scales out, waits for the outcome, scales in."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from cloudlstm import storage
from cloudlstm.costs.usage import machine_hours, read_usage
from cloudlstm.errors import CapacityError, RunBusyError, StorageError, TargetError
from cloudlstm.runs.paths import RunPaths
from cloudlstm.targets.base import JobState, Request, Restart
from cloudlstm.targets.lease import Holder, Lease
from cloudlstm.targets.machine_logs import MachineLogs
from cloudlstm.targets.polling import INTERVALS, CloudJob, Intervals, Phases, SendFirst, in_background
from cloudlstm.targets.services import GroupStatus, TrainerGroup
from cloudlstm.workers import assignment, rendezvous
from cloudlstm.workers.rendezvous import Generation

ASSIGNED = ("run", "attempt", "opened", "package", "own", "workers")
"""Keys of an assignment by which a launcher finds its own again."""


class TrainerJob(CloudJob):
    """The training workers of a run on a trainer group.

    Args:
        request: Uploads what the request needs and returns it; only the lease is still a placeholder.
        group: The trainer group.
        described: Its machine types and zones, for messages.
        send_first: Sends what takes minutes, and receives where to report what it does; None if there is no such thing.
        wait: Whether to wait while another run has the group.
        intervals: The pauses between requests.
    """

    def __init__(
        self,
        request: Callable[[], Request],
        group: TrainerGroup,
        described: str,
        *,
        send_first: SendFirst | None = None,
        wait: bool,
        intervals: Intervals = INTERVALS,
    ) -> None:
        self._make_request, self._group, self._described, self._wait = request, group, described, wait
        self._send_first = send_first
        self._request: Request = {}
        self._lease: Lease | None = None
        self._generation: Generation | None = None
        super().__init__(intervals)

    def _phases(self) -> Phases:
        yield "sending the code"
        if self._send_first:
            yield from in_background(self._send_first)
        self._request = self._make_request()
        self._paths = RunPaths(self._request["run"])
        self._lease = Lease(self._request["coordinates"], self._paths.uri, self._at_work)
        while (holder := self._lease.take()) is not None:
            known = self._lease.is_known(holder)
            if known and not self._wait:
                raise RunBusyError(
                    f"the trainer group is in use by {holder}",
                    hint="submit with --wait, or stop that run with `cloudlstm cancel` or `cloudlstm down`",
                )
            give_up = time.monotonic() + self._intervals.lease_poll_s
            while time.monotonic() < give_up:
                yield (
                    f"waiting for the trainer group, in use by {holder}"
                    if known
                    else f"checking whether {holder}, which holds the trainer group, is still alive"
                )
        if self._has_outcome():  # training ended before this launcher started: only scaling to 0 is left
            return
        if not self._is_assigned():
            yield from self._wait_until_empty()
            self._request = self._make_request()  # again: what it waited for must not count for its deadline
            self._lease.require_held()
            document = self._request["assignment"]["document"] | {"lease": self._lease.token}
            storage.write_json(self._request["assignment"]["uri"], document)
        self._logs = MachineLogs(self._request["coordinates"], self._paths)
        if deadline := self._request.get(
            "deadline"
        ):  # before scaling out, so that no machine can run without a deadline
            self._retry(lambda: self._group.send(deadline))
        self.working_since = time.time()
        self._retry(lambda: self._group.send(self._request["scale_out"]))
        yield from self._follow()

    def _is_assigned(self) -> bool:
        """True if the machines already work for this attempt, started by an earlier launcher."""
        if not is_assigned(self._request):
            return False
        if found := assignment.find(self._request["assignment"]["uri"]):
            self._request = {**self._request, "deadline": self._group.deadline_request(iso(found.deadline))}
        return bool(self._retry(self._group.look).size == self._request["workers"])

    def _wait_until_empty(self) -> Phases:
        """Waits until the group is empty, so that old machines cannot read the new assignment, or new ones the old."""
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
            yield "waiting for the machines of an earlier run to stop"

    def _follow(self) -> Phases:
        """Follows the job from the first machine to the outcome."""
        workers = self._request["workers"]
        complete = time.time()  # when the group was last complete
        poll_group, poll = self._poller(self._group.look), self._poller(self._newest)
        read_logs = self._poller(self._logs.read)
        group: GroupStatus | None = None
        while True:
            if self._has_outcome(poll()):
                return
            read_logs()
            if (gave_up := self._logs.gave_up()) and not self._has_outcome():
                raise gave_up
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
        """Updates the state from the newest generation (read unless given); True if it has an outcome."""
        formed = self._generation = (newest[0] if newest else self._newest()) or self._generation
        if formed is None:
            return False
        self.restarts = [Restart(when, cause, "") for when, cause in formed.restarts]
        if formed.outcome:
            self._final = JobState.DONE if formed.outcome == rendezvous.DONE else JobState.FAILED
        return bool(formed.outcome)

    def _shrunk_error(self, group: GroupStatus) -> TargetError:
        """Returns the error for a group that got too small: a machine gave up, or the deadline has passed."""
        self._logs.read()
        return self._logs.gave_up() or TargetError(
            f"the trainer group was set to {group.size} of {self._request['workers']} machines during training: "
            "its deadline has passed, or another user resized it",
            hint="submit again: training continues from its last checkpoint; trainers.max_hours sets the deadline",
        )

    def _capacity_error(self, since: float, ready: int) -> CapacityError:
        workers, waited_s = self._request["workers"], self._request["fill_timeout_s"]
        why = ""
        with suppress(TargetError):
            why = self._group.launch_error(since)
        if ready >= workers:
            self._logs.read()
            log = self._logs.tail or "they wrote no log"
            return CapacityError(
                f"{workers} machines ran for {waited_s:.0f} s and did not join ({self._described}): {log}",
                hint=f"see {self._logs.uri}; trainers.fill_timeout_s gives them longer",
            )
        return CapacityError(
            f"{ready} of {workers} machines started within {waited_s:.0f} s ({self._described})"
            + (f": {why}" if why else ""),
            hint="another machine type or more zones in Terraform, fewer train.workers, or submit again later",
        )

    def cancel(self) -> None:
        """Scales the group to 0 and releases the lease.

        Raises:
            TargetError: the group could not be set to 0.
        """
        self._final = self._final or JobState.CANCELLED
        self._remaining.close()
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
        """Stops the heartbeat of the lease; the machines belong to the other launcher."""
        self._final = self._final or JobState.CANCELLED
        self._remaining.close()
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
        with suppress(TargetError):  # a deadline that stays only sets the size to 0
            self._group.forget_deadline()

    def explain(self) -> str:
        """Returns how the last generation ended."""
        message = self._generation.message if self._generation else ""
        return message or "the workers ended without a message"

    def _at_work(self, holder: Holder) -> bool:
        """True if another run's training continues although its launcher died."""
        found = assignment.find(self._request["assignment"]["uri"])
        if not found or not holder.token or found.lease != holder.token:
            return False
        formed = _newest(RunPaths(holder.run), found.attempt)
        return not (formed and formed.outcome) and self._retry(self._group.look).size > 0


def is_assigned(request: Request) -> bool:
    """True if the group is assigned to exactly this train request (without placeholders)."""
    wanted, found = request["assignment"]["document"], assignment.find(request["assignment"]["uri"])
    if found is None or found.deadline <= time.time():
        return False
    return all(getattr(found, key) == wanted.get(key, {}) for key in ASSIGNED)


def hours_before(request: Request) -> float:
    """Returns the hours that single trainers of the run have worked, together, but for those at work for this request.

    The limit of these was set when they were requested, by another launcher.
    """
    at_work = request["assignment"]["document"]["attempt"] if is_assigned(request) else None
    return machine_hours([each for each in read_usage(RunPaths(request["run"])) if each.attempt != at_work], "train")


def iso(when: float) -> str:
    """Formats epoch seconds as ISO 8601 in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(when))


def _newest(paths: RunPaths, attempt: int) -> Generation | None:
    """Returns the newest generation of an attempt; None before the first, or while storage is unavailable."""
    with suppress(StorageError):
        number = rendezvous.newest(paths)
        if number and (found := rendezvous.read(paths, number)).attempt == attempt:
            return found
    return None
