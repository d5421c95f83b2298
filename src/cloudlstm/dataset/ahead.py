"""Makes values ahead of their use, in threads.

NumPy and BLAS release the interpreter lock during their work, so several threads make batches at the same time, and the
caller computes meanwhile.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from cloudlstm.workers.child_environment import cores_here

Item = TypeVar("Item")
Made = TypeVar("Made")

MOST_THREADS = 4
"""Most threads that make values; more would wait for the interpreter lock."""


def ahead(make: Callable[[Item], Made], items: Iterable[Item], threads: int | None = None) -> Iterator[Made]:
    """Yields `make(item)` for each item, in order; threads make the next values while the caller uses one.

    An error of `make` is raised where its value is due. At most `threads` + 1 values wait.

    Args:
        make: Makes one value; several threads call it at the same time.
        items: What the values are made from; read in the caller's thread.
        threads: By default one per core, at most MOST_THREADS.
    """
    threads = threads or min(cores_here(), MOST_THREADS)
    pool = ThreadPoolExecutor(threads, thread_name_prefix="ahead")
    waiting: deque[Future[Made]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(make, item))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
