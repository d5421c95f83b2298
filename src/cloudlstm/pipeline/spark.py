"""Spark schedules, Arrow moves the bytes: any function of the work side over shards, in parallel.

The only module that imports pyspark. It knows two moves: `map` runs a function on each item;
`shuffle` brings pieces of tables together that belong to one shard. Both report rows as tasks finish, and a
CloudLSTMError that is raised in a task arrives in the driver as itself.
"""

from __future__ import annotations

import importlib
import logging
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext, suppress
from types import TracebackType
from typing import Any, Self, TypeVar

from cloudlstm import errors
from cloudlstm.config import SparkConfig
from cloudlstm.pipeline.spark_errors import (
    DYING_S,
    TASK_TRIES,
    as_ours,
    errors_as_text,
    java_ended,
    java_killed,
    not_started,
    require_space,
)

_LOG = logging.getLogger(__name__)

# Tasks make arrays of tens of MiB over and over. By default each goes back to the system and is faulted in anew, which
# takes as long as the work itself: so let the workers keep what they have freed (glibc; elsewhere without effect).
_ALLOCATOR = {
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(512 << 20),
}

_TASKS_PER_CORE = 4
"""Enough for cores of unequal speed to share the work evenly; each further task costs about 65 ms of a core."""

_GATEWAY = "PYSPARK_GATEWAY_PORT"
"""Variable by which spark-submit tells a driver of its JVM."""

Item = TypeVar("Item")
Result = TypeVar("Result")
Report = Callable[[int], None]
"""Called in the driver with the number of units done so far."""


class Spark:
    """A Spark application that starts when first needed: a run whose steps are all done never starts a JVM."""

    def __init__(self, config: SparkConfig, *, app_name: str) -> None:
        self._config = config
        self._app_name = app_name
        self._started: Any = None
        self.start_seconds = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._started is None:
            return
        with suppress(Exception) if java_ended() else nullcontext():  # a dead JVM cannot be stopped
            self._started.stop()
        self._started = None
        if isinstance(error, Exception) and not isinstance(error, errors.CloudLSTMError) and java_ended(DYING_S):
            raise java_killed() from error

    @property
    def context(self) -> Any:
        """The SparkContext; started on first use."""
        if self._started is None:
            began = time.monotonic()
            self._started = self._start()
            self.start_seconds = time.monotonic() - began
            _LOG.info(
                "Spark %s on %s with %d cores, started in %.1f s",
                self._started.version, self._started.master, self._started.defaultParallelism, self.start_seconds,
            )  # fmt: skip
        return self._started

    @property
    def cores(self) -> int:
        """How many tasks run at the same time, as far as Spark knows now."""
        return int(self.context.defaultParallelism)

    def facts(self) -> dict[str, Any]:
        """What the report says of the application."""
        context = self.context
        return {
            "version": context.version,
            "master": context.master,
            "cores": context.defaultParallelism,
            "start_s": self.start_seconds,
        }

    def _start(self) -> Any:
        try:
            pyspark = importlib.import_module("pyspark")
        except ImportError:
            raise errors.MissingExtraError(
                "preparing data needs pyspark", hint="pip install 'cloudlstm[spark]'"
            ) from None
        # Without this, executors take whatever `python3` is first on the node's PATH.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        if _GATEWAY in os.environ:  # started by spark-submit: without its JVM, SparkConf knows nothing of its settings
            pyspark.SparkContext._ensure_initialized()
        conf = pyspark.SparkConf()
        conf.setAppName(self._app_name)
        if self._config.master:
            conf.setMaster(self._config.master)
        conf.setIfMissing("spark.master", "local[*]")
        conf.setIfMissing("spark.task.maxFailures", str(TASK_TRIES))
        if plain := re.fullmatch(r"local(?:\[([\d*]+)\])?", conf.get("spark.master")):
            conf.setMaster(f"local[{plain[1] or 1},{TASK_TRIES}]")  # a local master tries once unless told here
        if str(conf.get("spark.master")).startswith("local"):
            conf.set("spark.driver.host", "127.0.0.1").set("spark.driver.bindAddress", "127.0.0.1")
            conf.set("spark.authenticate", "true")  # other users reach that address too; Spark makes a secret itself
        for name, value in _ALLOCATOR.items():
            conf.setIfMissing(f"spark.executorEnv.{name}", value)
            os.environ.setdefault(name, value)  # a local master's workers take the driver's environment
        conf.setIfMissing("spark.ui.enabled", "false")
        conf.setIfMissing("spark.ui.showConsoleProgress", "false")
        conf.setIfMissing("spark.python.worker.reuse", "true")
        try:
            require_space()
            context = pyspark.SparkContext.getOrCreate(conf)
        except Exception as error:
            raise not_started(error) from error
        context.setLogLevel("WARN")
        return context

    def map(
        self,
        function: Callable[[Item], Result],
        items: Sequence[Item],
        *,
        units: Callable[[Result], int] = lambda _: 1,
        report: Report | None = None,
    ) -> list[Result]:
        """`function` of every item, spread over all cores, results in the order of `items`.

        Args:
            function: Picklable; runs on executors.
            items: What to run it on.
            units: What a finished task adds to the progress.
            report: Told the units done so far while tasks finish.
        """
        if not items:
            return []
        done = self.context.accumulator(0)

        def task(item: Item) -> Result:
            with errors_as_text():
                result = function(item)
            done.add(units(result))
            return result

        slices = min(len(items), _TASKS_PER_CORE * self.context.defaultParallelism)
        return self._collect(lambda: self.context.parallelize(items, slices).map(task), done, report)

    def shuffle(
        self,
        split: Callable[[Item], Iterable[tuple[int, bytes]]],
        items: Sequence[Item],
        join: Callable[[int, list[bytes]], Result],
        *,
        n_shards: int,
        units: Callable[[Result], int] = lambda _: 1,
        report: Report | None = None,
    ) -> list[Result]:
        """Cuts every item into pieces by shard and joins each shard's pieces, in the order of the items.

        Args:
            split: Gives (shard number, piece) pairs of an item; runs on executors.
            items: What to split, each in a task of its own.
            join: Makes a shard of its number and its pieces; runs on executors, also for a shard without pieces.
            n_shards: How many shards there are.
            units: What a finished shard adds to the progress.
            report: Told the units done so far.
        """
        done = self.context.accumulator(0)

        def cut(numbered: tuple[int, Item]) -> list[tuple[int, tuple[int, bytes]]]:
            order, item = numbered
            with errors_as_text():
                return [(shard, (order, piece)) for shard, piece in split(item)]

        def gather(shard: int, pairs: Iterable[tuple[int, tuple[int, bytes]]]) -> list[Result]:
            # A shuffle delivers in any order; the order of arrival decides which of two rows is the later one.
            pieces = [piece for _, (_, piece) in sorted(pairs, key=lambda pair: pair[1][0])]
            with errors_as_text():
                result = join(shard, pieces)
            done.add(units(result))
            return [result]

        def shards() -> Any:
            pieces = self.context.parallelize(list(enumerate(items)), max(len(items), 1)).flatMap(cut)
            return pieces.partitionBy(n_shards, lambda shard: shard).mapPartitionsWithIndex(gather)

        return self._collect(shards, done, report)

    def _collect(self, dataset: Callable[[], Any], done: Any, report: Report | None) -> list[Any]:
        """Makes a dataset, which writes files of its own, and collects it.

        Meanwhile a thread reports the accumulator, which Spark updates as tasks finish.
        """
        stop = threading.Event()

        def watch() -> None:
            while report and not stop.wait(0.3):
                report(done.value)

        watcher = threading.Thread(target=watch, name="spark-progress", daemon=True)
        watcher.start()
        try:
            collected: list[Any] = dataset().collect()
        except Exception as error:
            raise as_ours(error) from error
        finally:
            stop.set()
            watcher.join()
        return collected
