"""Retry and poll intervals for cloud APIs, and the base class of a cloud job, which each poll advances."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from cloudlstm.errors import TargetUnavailableError
from cloudlstm.storage.retry import retry
from cloudlstm.targets.base import JobState, Restart

Result = TypeVar("Result")

RETRY_LIMIT_S = 120.0
"""How long a request is retried while its service is unavailable."""

MAX_SILENCE_S = 1800.0
"""How long a job counts as running while its service is unavailable: the job does not need the launcher."""

_BACKGROUND_POLL_S = 0.01
_POLL_SHARE = 0.05
"""A poll interval is this share of the time since the first poll."""


@dataclass(frozen=True, slots=True)
class Intervals:
    """Pauses between requests to a cloud, in seconds. Tests use short ones.

    Attributes:
        first_pause_s: Before the first retry.
        longest_pause_s: Between retries in the end.
        first_poll_s: Between the first two polls.
        longest_poll_s: Between polls in the end.
        lease_poll_s: Between two attempts to take the trainer group's lease.
        shrink_grace_s: How long the group may be smaller than requested before this counts as a loss of machines.
        cancel_poll_s: Between polls of a job that is being cancelled.
    """

    first_pause_s: float = 0.5
    longest_pause_s: float = 10.0
    first_poll_s: float = 1.0
    longest_poll_s: float = 10.0
    lease_poll_s: float = 5.0
    shrink_grace_s: float = 5.0
    cancel_poll_s: float = 1.0


INTERVALS = Intervals()
"""The intervals for real clouds."""


def retry_unavailable(
    work: Callable[[], Result], limit_s: float | None = None, intervals: Intervals = INTERVALS
) -> Result:
    """Calls `work` until the service is available.

    Args:
        work: Sends one request.
        limit_s: How long to retry; RETRY_LIMIT_S by default.
        intervals: The pauses between retries.

    Raises:
        TargetUnavailableError: the service was unavailable for `limit_s`.
    """
    return retry(
        work,
        TargetUnavailableError,
        limit_s=RETRY_LIMIT_S if limit_s is None else limit_s,
        first_pause_s=intervals.first_pause_s,
        longest_pause_s=intervals.longest_pause_s,
    )


class Poller(Generic[Result]):
    """Sends a request at most once per interval; the interval grows with time.

    A poll of an unavailable service gives no result. After MAX_SILENCE_S without an answer the error is raised.

    Args:
        request: Sends the request.
        intervals: The first and the longest interval.
    """

    def __init__(self, request: Callable[[], Result], intervals: Intervals = INTERVALS) -> None:
        self._request, self._intervals = request, intervals
        self._started = self._answered = time.monotonic()
        self._next = 0.0

    def __call__(self) -> Result | None:
        """Returns the answer; None if the next poll is not due, or the service is unavailable."""
        now = time.monotonic()
        if now < self._next:
            return None
        first_s, longest_s = self._intervals.first_poll_s, self._intervals.longest_poll_s
        self._next = now + min(max(first_s, _POLL_SHARE * (now - self._started)), longest_s)
        try:
            answer = self._request()
        except TargetUnavailableError:
            if now - self._answered > MAX_SILENCE_S:
                raise
            return None
        self._answered = now
        return answer


Phases = Generator[str]
"""The state machine of a job: yields a description of what it waits for, and returns when the job has ended."""


SendFirst = Callable[[Callable[[str], None]], None]
"""Sends what takes minutes; receives the function to which it reports what it does."""


class _StoppedError(Exception):
    """The work in the background is no longer wanted."""


def in_background(work: Callable[[Callable[[str], None]], None]) -> Phases:
    """Does `work` in a thread; yields its newest report until it has ended, and raises its error if it fails.

    If the generator is closed earlier, the next report of the work raises an error, which ends it.

    Args:
        work: Receives the function to which it reports what it does, some times a second.
    """
    newest, failures, unwanted = "", list[BaseException](), threading.Event()

    def report(what: str) -> None:
        nonlocal newest
        newest = what
        if unwanted.is_set():
            raise _StoppedError

    def run() -> None:
        try:
            work(report)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run, name="background", daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            yield newest or "sending the code"
            thread.join(_BACKGROUND_POLL_S)
    finally:
        unwanted.set()
        thread.join()
    if failures:
        raise failures[0]


class CloudJob:
    """Base class of cloud jobs. A subclass implements the state machine as a generator, and `cancel`.

    Args:
        intervals: The pauses between requests.

    Attributes:
        phase: What the job waits for, to be shown to the user; empty once the job reports progress itself.
        restarts: The restarts so far.
        working_since: When its machines were requested, seconds since the epoch; None before.
    """

    def __init__(self, intervals: Intervals = INTERVALS) -> None:
        self.phase = ""
        self.working_since: float | None = None
        self.restarts: Sequence[Restart] = ()
        self._intervals = intervals
        self._final: JobState | None = None
        self._remaining = self._phases()

    def _phases(self) -> Phases:
        """Runs the whole job; sets `_final`."""
        raise NotImplementedError

    def state(self) -> JobState:
        """Advances the state machine by one step and returns the job's state. Call it repeatedly."""
        if self._final is None:
            try:
                self.phase = next(self._remaining)
            except StopIteration:
                self._final = self._final or JobState.DONE
        return self._final or JobState.RUNNING

    def wait(self, seconds: float) -> None:
        """Waits for `seconds`."""
        time.sleep(seconds)

    def _retry(self, work: Callable[[], Result]) -> Result:
        return retry_unavailable(work, intervals=self._intervals)

    def _poller(self, request: Callable[[], Result]) -> Poller[Result]:
        return Poller(request, self._intervals)
