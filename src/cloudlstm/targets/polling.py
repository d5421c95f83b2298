"""Retry and poll intervals for cloud APIs, and a cloud job as a generator that each poll advances."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

from cloudlstm.errors import TargetUnavailableError
from cloudlstm.storage.retry import retry
from cloudlstm.targets.base import JobState, Restart

Result = TypeVar("Result")

PATIENCE_S = 120.0
"""How long a request is repeated on which something depends now."""

SILENCE_S = 1800.0
"""How long a job is taken to be at work while its service does not say: it works without us."""

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 10.0
_FIRST_LOOK_S, _LAST_LOOK_S, _SHARE = 1.0, 10.0, 0.05


def patiently(work: Callable[[], Result], patience_s: float = PATIENCE_S) -> Result:
    """The result of `work`, repeated with longer and longer pauses while the service does not answer."""
    return retry(
        work, TargetUnavailableError, limit_s=patience_s, first_pause_s=_FIRST_PAUSE_S, longest_pause_s=_LONGEST_PAUSE_S
    )


class Glances(Generic[Result]):
    """Looks at something now and then: soon at first, every ten seconds in the long run.

    A look that fails because the service does not answer tells nothing; only after SILENCE_S its error is raised.

    Args:
        look: Asks the service.
    """

    def __init__(self, look: Callable[[], Result]) -> None:
        self._look = look
        self._began = self._heard = time.monotonic()
        self._next = 0.0

    def __call__(self) -> Result | None:
        """What a look found, if it was time for one and the service answered."""
        now = time.monotonic()
        if now < self._next:
            return None
        self._next = now + min(max(_FIRST_LOOK_S, _SHARE * (now - self._began)), _LAST_LOOK_S)
        try:
            found = self._look()
        except TargetUnavailableError:
            if now - self._heard > SILENCE_S:
                raise
            return None
        self._heard = now
        return found


Course = Iterator[str]
"""Yields what it waits for; returns when there is nothing left to wait for."""


class CourseJob:
    """What the jobs of a cloud have in common. Its subclass says what there is to do, and cleans up after it.

    Attributes:
        phase: What the job waits for, for people; empty once it tells of itself by its progress.
        restarts: Those there have been.
    """

    def __init__(self) -> None:
        self.phase = ""
        self.restarts: Sequence[Restart] = ()
        self._final: JobState | None = None
        self._rest = self._course()

    def _course(self) -> Course:
        """All that is to be done, up to the end of the job; sets `_final`."""
        raise NotImplementedError

    def state(self) -> JobState:
        """How the job fares; to be asked again and again, as this is where it is moved on."""
        if self._final is None:
            try:
                self.phase = next(self._rest)
            except StopIteration:
                self._final = self._final or JobState.DONE
        return self._final or JobState.RUNNING
