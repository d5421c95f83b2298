"""Doing again what fails for a reason that may pass."""

from __future__ import annotations

import math
import time

import pytest

from cloudlstm.errors import AccessDeniedError, CorruptObjectError, StorageUnavailableError
from cloudlstm.storage.buckets import patiently
from cloudlstm.storage.retry import retried


class Failing:
    """Fails with these errors, one a call, and then gives its number of calls."""

    def __init__(self, *errors: Exception) -> None:
        self.errors, self.calls = list(errors), 0

    def __call__(self) -> int:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return self.calls


@pytest.fixture(autouse=True)
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses, which pass at once by a clock of the test's."""
    pauses: list[float] = []
    clock = time.monotonic()
    monkeypatch.setattr(time, "sleep", pauses.append)
    monkeypatch.setattr(time, "monotonic", lambda: clock + sum(pauses))
    return pauses


def away(count: int) -> list[Exception]:
    return [StorageUnavailableError("away") for _ in range(count)]


def test_pauses_double_up_to_the_longest(slept: list[float]) -> None:
    work = Failing(*away(6))
    assert retried(work, StorageUnavailableError, for_s=math.inf, first_pause_s=1.0, longest_pause_s=8.0) == 7
    for pause, most in zip(slept, (1, 2, 4, 8, 8, 8), strict=True):
        assert most / 2 <= pause <= most


def test_it_gives_up_when_the_next_pause_would_end_too_late(slept: list[float]) -> None:
    work = Failing(*away(1000))
    with pytest.raises(StorageUnavailableError):
        retried(work, StorageUnavailableError, for_s=60.0)
    assert 30 < sum(slept) <= 60


def test_another_error_is_raised_at_once() -> None:
    work = Failing(AccessDeniedError("no"))
    with pytest.raises(AccessDeniedError):
        retried(work, StorageUnavailableError, for_s=60.0)
    assert work.calls == 1


def test_an_object_that_is_always_spoilt_is_read_four_times() -> None:
    work = Failing(*[CorruptObjectError("spoilt") for _ in range(9)])
    with pytest.raises(CorruptObjectError):
        patiently(work, 60.0)
    assert work.calls == 4
    assert patiently(Failing(*[CorruptObjectError("spoilt") for _ in range(3)], *away(2)), 60.0) == 6


def test_each_error_that_passes_is_told_and_may_end_it() -> None:
    told: list[str] = []
    assert retried(Failing(*away(2)), StorageUnavailableError, for_s=60.0, failed=lambda e: told.append(str(e))) == 3
    assert told == ["away", "away"]
    with pytest.raises(KeyboardInterrupt):
        retried(
            Failing(*away(2)),
            StorageUnavailableError,
            for_s=60.0,
            failed=lambda _: (_ for _ in ()).throw(KeyboardInterrupt()),
        )
