"""Values made ahead, in threads."""

from __future__ import annotations

import threading
import time

import pytest

from cloudlstm.dataset.ahead import ahead


def test_the_values_come_in_order_whichever_is_made_first() -> None:
    def make(item: int) -> int:
        time.sleep(0.002 * (item % 3))
        return item * item

    assert list(ahead(make, range(20), threads=4)) == [item * item for item in range(20)]


def test_all_threads_work_and_few_values_wait() -> None:
    together, made = threading.Barrier(3), []

    def make(item: int) -> int:
        together.wait(timeout=60)  # passes only if three values are made at the same time
        made.append(item)
        return item

    values = ahead(make, range(30), threads=3)
    for used in range(30):
        assert next(values) == used
        assert len(made) <= used + 1 + 3


def test_an_error_is_raised_where_its_value_is_due() -> None:
    def make(item: int) -> int:
        if item == 2:
            raise OSError("disk gone")
        return item

    values = ahead(make, range(4), threads=2)
    assert [next(values), next(values)] == [0, 1]
    with pytest.raises(OSError, match="disk gone"):
        next(values)


def test_a_caller_that_stops_early_leaves_no_thread() -> None:
    values = ahead(lambda item: item, range(1000), threads=2)
    next(values)
    values.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]
