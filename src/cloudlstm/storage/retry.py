"""Doing something again while it fails for a reason that may pass: the one place that knows pauses and limits."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")
Kinds = type[BaseException] | tuple[type[BaseException], ...]


def retried(
    work: Callable[[], Result],
    passing: Kinds,
    *,
    for_s: float,
    first_pause_s: float = 0.25,
    longest_pause_s: float = 8.0,
    few: Kinds = (),
    few_tries: int = 4,
    failed: Callable[[BaseException], None] = lambda _: None,
) -> Result:
    """The result of `work`; its last error when it fails for too long or for another reason.

    Pauses double from the first to the longest, and are shortened at random, so that many tasks do not ask at once.

    Args:
        work: What to do.
        passing: Errors after which it is done again, as long as the next pause ends within `for_s` seconds.
        for_s: Since the begin; 0 for one try, infinity for ever.
        first_pause_s: Seconds.
        longest_pause_s: Seconds.
        few: Errors after which it is done again a few times only, since they may not pass.
        few_tries: How often it is done in all before such an error counts.
        failed: Told each error that passes; may raise to give up.
    """
    give_up = time.monotonic() + for_s
    pause_s, found = first_pause_s, 0
    while True:
        try:
            return work()
        except (*_tuple(passing), *_tuple(few)) as error:
            if isinstance(error, _tuple(few)):
                found += 1
                if found >= few_tries:
                    raise
            elif time.monotonic() + pause_s > give_up:
                raise
            failed(error)
        time.sleep(pause_s * random.uniform(0.5, 1.0))
        pause_s = min(2 * pause_s, longest_pause_s)


def _tuple(kinds: Kinds) -> tuple[type[BaseException], ...]:
    return kinds if isinstance(kinds, tuple) else (kinds,)
