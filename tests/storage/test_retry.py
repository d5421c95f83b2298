"""Retries: when, how often, for how long."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cloudlstm import errors
from cloudlstm.runs.manifest import read_object, write_object
from cloudlstm.storage import retry as module
from cloudlstm.storage.buckets import retry_request
from cloudlstm.storage.retry import retry
from fake_clock import FakeClock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    made = FakeClock()
    monkeypatch.setattr(module, "time", made)
    return made


class Failing:
    """Work that fails so often, and then gives its number of calls."""

    def __init__(self, times: float, error: Callable[[int], Exception] = lambda _: OSError("busy")) -> None:
        self.calls, self._times, self._error = 0, times, error

    def __call__(self) -> int:
        self.calls += 1
        if self.calls <= self._times:
            raise self._error(self.calls)
        return self.calls


def test_temporary_errors_are_retried_with_growing_pauses(clock: FakeClock) -> None:
    moments: list[float] = []
    work = Failing(6)
    assert retry(work, OSError, first_pause_s=1.0, longest_pause_s=8.0,
                 before_pause=lambda _: moments.append(clock.passed_s)) == 7  # fmt: skip
    pauses = [after - before for before, after in itertools.pairwise([*moments, clock.passed_s])]
    for pause, most in zip(pauses, [1, 2, 4, 8, 8, 8], strict=True):
        assert most / 2 <= pause <= most
    assert len({pause / most for pause, most in zip(pauses, [1, 2, 4, 8, 8, 8], strict=True)}) == 6, "at random"


def test_tries_and_time_are_limited_and_the_last_error_is_raised(clock: FakeClock) -> None:
    work = Failing(100, lambda call: OSError(str(call)))
    with pytest.raises(OSError, match=r"^4$"):
        retry(work, OSError, tries=4)
    began = clock.now
    with pytest.raises(OSError, match="busy"):
        retry(Failing(10**6), OSError, limit_s=60.0)
    assert 50 < clock.now - began <= 60
    work = Failing(1)
    with pytest.raises(OSError, match="busy"):
        retry(work, OSError, limit_s=0.0, first_pause_s=0.0)
    assert work.calls == 1


def test_a_permanent_error_is_raised_at_once(clock: FakeClock) -> None:
    for work, when in ((Failing(1, lambda _: ValueError()), True), (Failing(1), False)):
        with pytest.raises((ValueError, OSError)):
            retry(work, OSError, when=lambda _, passes=when: passes)
        assert work.calls == 1
    assert clock.passed_s == 0


def test_an_object_is_read_three_times_before_it_counts_as_corrupt(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    row = write_object(f"file://{tmp_path}/object", b"right", kind="bars", rows=1)
    answers: Iterator[bytes] = iter([b"wrong", b"short", b"right", *[b"wrong"] * 3, b"right"])
    monkeypatch.setattr("cloudlstm.storage.read", lambda _: next(answers))
    assert read_object(row) == b"right"
    with pytest.raises(errors.CorruptObjectError, match="checksum"):
        read_object(row)
    assert next(answers) == b"right"


def test_an_object_that_is_always_corrupt_is_read_four_times(clock: FakeClock) -> None:
    work = Failing(100, lambda _: errors.CorruptObjectError("spoilt"))
    with pytest.raises(errors.CorruptObjectError):
        retry_request(work, 60.0)
    assert work.calls == 4
    assert retry_request(Failing(3, lambda _: errors.CorruptObjectError("spoilt")), 60.0) == 4
    assert retry_request(Failing(5, lambda _: errors.StorageUnavailableError("away")), 60.0) == 6
