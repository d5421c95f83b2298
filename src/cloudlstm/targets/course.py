"""A job of a cloud as a course of waiting: a generator that is moved on whenever somebody asks how the job fares."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cloudlstm.targets.base import JobState, Restart

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
