"""Repeats a call after temporary failures, with growing random pauses."""

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
    """Calls `work` until it succeeds; returns its result.

    The pauses double. Each is shortened at random, so that many processes do not repeat at the same moment.

    Args:
        work: The call.
        on: Errors that may be temporary.
        when: True for those of them that are; by default all.
        tries: Most calls of `work`.
        limit_s: Seconds after which no new call begins; 0 allows a single call.
        first_pause_s: Pause after the first call.
        longest_pause_s: Upper limit of the pauses.
        before_pause: Called with each error after which `work` is called again.

    Raises:
        Exception: The last error, if no time or no try is left.
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
