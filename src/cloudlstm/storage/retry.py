"""One way to do again what fails for a reason that may pass."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from typing import Any, TypeVar

Result = TypeVar("Result")


def retry(
    work: Callable[[], Result],
    on: type[Exception] | tuple[type[Exception], ...],
    *,
    when: Callable[[Any], bool] = lambda _: True,
    tries: float = math.inf,
    limit_s: float = math.inf,
    first_pause_s: float = 0.25,
    longest_pause_s: float = 8.0,
    before_pause: Callable[[Exception], object] = lambda _: None,
) -> Result:
    """The result of `work`, which is called again while it raises an error that may pass.

    The pauses double. Each is shortened at random, so that many processes do not ask at the same moment.

    Args:
        work: What to do.
        on: The errors that may pass.
        when: Which of them may pass; by default all.
        tries: How often `work` is called at most.
        limit_s: No new call begins later than this after the first; 0 for a single call.
        first_pause_s: Between the first call and the second.
        longest_pause_s: The pauses grow up to this.
        before_pause: Is given each error after which `work` is called again.

    Raises:
        Exception: The last error, when there is no time or no try left.
    """
    give_up = time.monotonic() + limit_s
    pause_s, calls = first_pause_s, 0
    while True:
        calls += 1
        try:
            return work()
        except on as error:
            if calls >= tries or time.monotonic() + pause_s >= give_up or not when(error):
                raise
            before_pause(error)
        time.sleep(pause_s * random.uniform(0.5, 1.0))
        pause_s = min(2 * pause_s, longest_pause_s)
