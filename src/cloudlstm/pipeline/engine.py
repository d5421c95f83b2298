"""What runs tasks: the protocol of both engines, and which one a run uses.

`map` runs a function on each item; `shuffle` collects the pieces of each shard. Both use all cores and report units as
tasks finish. Functions and items are pickled, so functions are module-level functions or instances of module-level
classes. A CloudLSTMError that a task raises is raised again in the driver.

Spark (spark.py) runs tasks on this machine or on a cluster, LocalEngine (local_engine.py) in processes of this machine
without a JVM. Equal inputs give equal bytes with both.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar, cast

if TYPE_CHECKING:
    from cloudlstm.config import RunConfig

TASK_TRIES = 3
"""Tries of a task before the job fails; the death of a worker costs one try."""

_REPORT_EVERY_S = 0.3

Item = TypeVar("Item")
Result = TypeVar("Result")
ReportUnits = Callable[[int], None]
"""Called in the driver with the number of units done so far."""


class Engine(Protocol):
    """Runs tasks. It starts on first use, so that a run whose steps are all finished starts nothing."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def start(self, tasks: int) -> None:
        """Starts what a round of `tasks` tasks needs, and waits for it; called before the time of a step begins."""
        ...

    @property
    def cores(self) -> int:
        """Tasks that run at the same time."""
        ...

    @property
    def start_seconds(self) -> float:
        """Seconds that all starts have taken so far."""
        ...

    def facts(self) -> dict[str, Any]:
        """Facts about the engine for the manifest: name, version, master, cores, start_s."""
        ...

    def map(
        self,
        function: Callable[[Item], Result],
        items: Sequence[Item],
        *,
        units: Callable[[Result], int] = ...,
        report: ReportUnits | None = None,
    ) -> list[Result]:
        """The results of `function` for all items, in their order.

        Args:
            function: Runs in worker processes.
            items: Its arguments.
            units: The units of a finished task, for the progress.
            report: Receives the units done so far.
        """
        ...

    def shuffle(
        self,
        split: Callable[[Item], Iterable[tuple[int, bytes]]],
        items: Sequence[Item],
        join: Callable[[int, list[bytes]], Result],
        *,
        n_shards: int,
        units: Callable[[Result], int] = ...,
        report: ReportUnits | None = None,
        report_split: ReportUnits | None = None,
    ) -> list[Result]:
        """Splits every item into pieces by shard, then joins the pieces of each shard in the order of the items.

        Args:
            split: Returns the (shard number, piece) pairs of an item; runs in worker processes.
            items: The items, each in its own task.
            join: Makes a shard from its number and its pieces, also a shard without pieces; runs in worker processes.
            n_shards: The number of shards.
            units: The units of a finished shard, for the progress.
            report: Receives the units done so far.
            report_split: Receives the number of items that have been split, until the first shard is finished.
        """
        ...


def open_engine(config: RunConfig, *, app_name: str) -> Engine:
    """The engine that `prepare.engine` names; not started.

    Args:
        config: The settings of the run.
        app_name: What a cluster shows.
    """
    if config.prepare.engine == "local":
        local = importlib.import_module("cloudlstm.pipeline.local_engine")
        return cast(Engine, local.LocalEngine(config.prepare.processes))
    spark = importlib.import_module("cloudlstm.pipeline.spark")
    return cast(Engine, spark.Spark(config.spark, app_name=app_name))


@contextmanager
def reporting(report: Callable[[], None]) -> Iterator[None]:
    """Calls `report` about three times a second in a thread while the block runs."""
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(_REPORT_EVERY_S):
            report()

    watcher = threading.Thread(target=watch, name="engine-progress", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join()
