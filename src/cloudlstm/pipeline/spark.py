"""Runs functions over shards in parallel on Spark. The only module that imports pyspark."""

from __future__ import annotations

import importlib
import logging
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext, suppress
from types import TracebackType
from typing import Any, Self

from cloudlstm import errors
from cloudlstm.config import SparkConfig
from cloudlstm.pipeline.engine import TASK_TRIES, Item, ReportUnits, Result, reporting
from cloudlstm.pipeline.spark_errors import (
    JVM_EXIT_S,
    ensure_space,
    errors_as_text,
    jvm_has_ended,
    jvm_killed_error,
    start_error,
    to_cloudlstm_error,
)
from cloudlstm.pipeline.worker_pool import ALLOCATOR
from cloudlstm.workers import jvm

_LOG = logging.getLogger(__name__)

_TASKS_PER_CORE = 4
"""Enough to balance cores of different speed; each task costs about 65 ms of a core."""

_JAVA_OPTIONS = "spark.driver.extraJavaOptions"

_GATEWAY = "PYSPARK_GATEWAY_PORT"
"""Set by spark-submit: the port of the driver's JVM."""


class Spark:
    """A Spark application, started on first use: a run whose steps are all finished starts no JVM.

    Under spark-submit the JVM is there already, and the application starts at once. YARN counts an application as
    failed if it has no context after 100 s, or ends without one, even with exit status 0.

    Args:
        config: The master.
        app_name: The name of the application.
        java: Options of the JVM on this machine; by default those for a fast start.
    """

    def __init__(self, config: SparkConfig, *, app_name: str, java: Sequence[str] | None = None) -> None:
        self._config = config
        self._app_name = app_name
        self._java = java
        self._started: Any = None
        self._is_local = False
        self.start_seconds = 0.0

    def __enter__(self) -> Self:
        if _GATEWAY in os.environ:
            self.context  # noqa: B018 - starts it
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._started is None:
            return
        if self._is_local and jvm.ends_with_launcher() and not jvm_has_ended():
            self._started = None
            return
        with suppress(Exception) if jvm_has_ended() else nullcontext():  # a dead JVM cannot be stopped
            self._started.stop()
        self._started = None
        if isinstance(error, Exception) and not isinstance(error, errors.CloudLSTMError) and jvm_has_ended(JVM_EXIT_S):
            raise jvm_killed_error() from error

    @property
    def context(self) -> Any:
        """The SparkContext; started on first use."""
        if self._started is None:
            began = time.monotonic()
            self._started = self._start()
            self.start_seconds += time.monotonic() - began
            _LOG.info(
                "Spark %s on %s with %d cores, started in %.1f s",
                self._started.version, self._started.master, self._started.defaultParallelism, self.start_seconds,
            )  # fmt: skip
        return self._started

    def start(self, tasks: int) -> None:  # noqa: ARG002
        """Starts the application, whatever the number of tasks."""
        self.context  # noqa: B018 - starts it

    @property
    def cores(self) -> int:
        """Tasks that run at the same time."""
        return int(self.context.defaultParallelism)

    def facts(self) -> dict[str, Any]:
        """Facts about the application for the manifest."""
        context = self.context
        return {
            "name": "spark",
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
        # Without this, executors use the first `python3` on the node's PATH.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        if _GATEWAY in os.environ:  # started by spark-submit: SparkConf reads its settings from the JVM
            pyspark.SparkContext._ensure_initialized()
        conf = pyspark.SparkConf()
        conf.setAppName(self._app_name)
        if self._config.master:
            conf.setMaster(self._config.master)
        conf.setIfMissing("spark.master", "local[*]")
        conf.setIfMissing("spark.task.maxFailures", str(TASK_TRIES))
        if plain := re.fullmatch(r"local(?:\[([\d*]+)\])?", conf.get("spark.master")):
            conf.setMaster(f"local[{plain[1] or 1},{TASK_TRIES}]")  # a local master tries a task once by default
        if str(conf.get("spark.master")).startswith("local"):
            conf.set("spark.driver.host", "127.0.0.1").set("spark.driver.bindAddress", "127.0.0.1")
            conf.set("spark.authenticate", "true")  # other users reach that address; Spark makes the secret
        for name, value in ALLOCATOR.items():
            conf.setIfMissing(f"spark.executorEnv.{name}", value)
            os.environ.setdefault(name, value)  # workers of a local master inherit the driver's environment
        conf.setIfMissing("spark.ui.enabled", "false")
        conf.setIfMissing("spark.ui.showConsoleProgress", "false")
        conf.setIfMissing("spark.python.worker.reuse", "true")
        self._is_local = _GATEWAY not in os.environ and str(conf.get("spark.master")).startswith("local")
        try:
            ensure_space()
            context = self._start_quickly(conf) if self._is_local else pyspark.SparkContext.getOrCreate(conf)
        except Exception as error:
            raise start_error(error) from error
        context.setLogLevel("WARN")
        return context

    def _start_quickly(self, conf: Any) -> Any:
        """Starts an application on this machine, with the archive of Java's classes if there is one that works."""
        spark = importlib.import_module("pyspark").SparkContext
        sparing, options = jvm.sparing_options(), jvm.start_options() if self._java is None else list(self._java)
        os.environ.setdefault("SPARK_LAUNCHER_OPTS", " ".join(sparing))  # a first JVM makes the command of the second
        try:
            return spark.getOrCreate(conf.set(_JAVA_OPTIONS, " ".join(options)))
        except Exception:
            if self._java is not None or options == sparing or spark._gateway is not None:  # the JVM came up
                raise
        context = spark.getOrCreate(conf.set(_JAVA_OPTIONS, " ".join(sparing)))
        _LOG.warning("Java started only without the archive of its classes, which is not used any more")
        jvm.give_up(jvm.archive_path())
        return context

    def map(
        self,
        function: Callable[[Item], Result],
        items: Sequence[Item],
        *,
        units: Callable[[Result], int] = lambda _: 1,
        report: ReportUnits | None = None,
    ) -> list[Result]:
        """The results of `function` for all items, in their order; see `Engine.map`."""
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
        report: ReportUnits | None = None,
        report_split: ReportUnits | None = None,
    ) -> list[Result]:
        """Splits every item, then joins the pieces of each shard; see `Engine.shuffle`."""
        done, read = self.context.accumulator(0), self.context.accumulator(0)

        def cut(numbered: tuple[int, Item]) -> Iterator[tuple[int, tuple[int, int, bytes]]]:
            order, item = numbered
            with errors_as_text():
                for place, (shard, piece) in enumerate(split(item)):  # one after the other, so that none has to wait
                    yield shard, (order, place, piece)
            read.add(1)

        def report_either(units_done: int) -> None:
            if units_done and report:
                report(units_done)
            elif report_split:
                report_split(read.value)

        def gather(shard: int, pairs: Iterable[tuple[int, tuple[int, int, bytes]]]) -> list[Result]:
            # A shuffle delivers in any order, but the order of the items decides which of two equal rows is later.
            pieces = [piece for _, (_, _, piece) in sorted(pairs, key=lambda pair: pair[1][:2])]
            with errors_as_text():
                result = join(shard, pieces)
            done.add(units(result))
            return [result]

        def shards() -> Any:
            pieces = self.context.parallelize(list(enumerate(items)), max(len(items), 1)).flatMap(cut)
            return pieces.partitionBy(n_shards, lambda shard: shard).mapPartitionsWithIndex(gather)

        return self._collect(shards, done, report_either)

    def _collect(self, dataset: Callable[[], Any], done: Any, report: ReportUnits | None) -> list[Any]:
        """Creates and collects a dataset, while a thread reports the accumulator `done`."""
        try:
            with reporting(lambda: report(done.value) if report else None):
                collected: list[Any] = dataset().collect()
        except Exception as error:
            raise to_cloudlstm_error(error) from error
        return collected
