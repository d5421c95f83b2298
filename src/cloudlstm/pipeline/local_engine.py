"""Runs functions over shards in processes of this machine, without a JVM: the same `map` and `shuffle` as Spark's.

A round of one task runs in the driver, and so does every round with one process: for a small universe no process has
to start. The pieces of a shuffle go through files in the temporary folder of the job, so memory holds about one shard
and one piece of a file a core.
"""

from __future__ import annotations

import ctypes
import os
import platform
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, overload

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cloudlstm.pipeline.engine import Item, ReportUnits, Result, reporting
from cloudlstm.pipeline.worker_pool import ALLOCATOR, WorkerPool, run_here
from cloudlstm.storage.local import disk_errors
from cloudlstm.workers.child_environment import cores_here

_MODULES = ("cloudlstm.pipeline.prepare",)
"""What the tasks of prepare import."""

_MALLOPT = {"MALLOC_TRIM_THRESHOLD_": -1, "MALLOC_MMAP_THRESHOLD_": -3}
"""The numbers of glibc's settings in `mallopt`."""


class LocalEngine:
    """Worker processes of this machine, started on first use.

    Args:
        processes: Their number; None: one a core.
    """

    def __init__(self, processes: int | None = None) -> None:
        self.cores = processes or cores_here()
        self._pool = WorkerPool(self.cores, _MODULES)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.close()

    def start(self, tasks: int) -> None:
        """Starts the worker processes that a round of `tasks` tasks needs."""
        if self._runs_here(tasks):
            _keep_freed_memory()
        else:
            self._pool.start()

    @property
    def start_seconds(self) -> float:
        """Seconds that the start of the worker processes has taken; 0 if none has started."""
        return self._pool.start_seconds

    def facts(self) -> dict[str, Any]:
        """Facts about the engine for the manifest."""
        return {
            "name": "local",
            "version": f"Python {platform.python_version()}",
            "master": "processes of one machine",
            "cores": self.cores,
            "start_s": self.start_seconds,
        }

    def map(
        self,
        function: Callable[[Item], Result],
        items: Sequence[Item],
        *,
        units: Callable[[Result], int] = lambda _: 1,
        report: ReportUnits | None = None,
    ) -> list[Result]:
        """The results of `function` for all items, in their order; see `Engine.map`."""
        done = 0

        def count(result: Result) -> None:
            nonlocal done
            done += units(result)

        with reporting(lambda: report(done) if report else None):
            if self._runs_here(len(items)):
                return run_here(function, items, count)
            return self._pool.run(function, items, count)

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
        with tempfile.TemporaryDirectory(prefix="shuffle-") as folder:
            spilled = self.map(_Spill(split, folder), items, report=report_split)
            shards = _Shards(spilled, n_shards)
            return self.map(_Gather(join), shards, units=units, report=report)

    def _runs_here(self, tasks: int) -> bool:
        return tasks <= 1 or self.cores == 1


@dataclass(frozen=True, slots=True)
class _Pieces:
    """Where the pieces of one item are: arrays (pieces,).

    Attributes:
        path: The file that holds them.
        shard: The shard of each piece.
        begin: Its first byte.
        size: Its bytes.
    """

    path: str
    shard: NDArray[np.int64]
    begin: NDArray[np.int64]
    size: NDArray[np.int64]


def _temporary_files(verb: str) -> AbstractContextManager[None]:
    return disk_errors(f"{verb} temporary files in {tempfile.gettempdir()}")


@dataclass(frozen=True)
class _Spill:
    """Splits an item and appends its pieces to the file of this process."""

    split: Callable[[Any], Iterable[tuple[int, bytes]]]
    folder: str

    def __call__(self, item: Any) -> _Pieces:
        path = Path(self.folder, str(os.getpid()))
        placed = []
        with _temporary_files("write"):
            file = path.open("ab")  # what a killed process of this number left comes before
        try:
            for shard, piece in self.split(item):
                with _temporary_files("write"):
                    placed.append((shard, file.tell(), file.write(piece)))
        except BaseException:
            with suppress(OSError):  # on a full disk it fails again
                file.close()
            raise
        with _temporary_files("write"):
            file.close()
        shards, begins, sizes = np.array(placed, np.int64).reshape(-1, 3).T
        return _Pieces(str(path), shards, begins, sizes)


@dataclass(frozen=True, slots=True)
class _Shard:
    """Where the pieces of one shard are, in the order of the items.

    Attributes:
        number: Of the shard.
        pieces: (path, first byte, bytes) of each piece.
    """

    number: int
    pieces: list[tuple[str, int, int]]


class _Shards(Sequence[_Shard]):
    """The shards; each is made when it is asked for, because many files in many shards are very many pieces."""

    def __init__(self, spilled: Sequence[_Pieces], n_shards: int) -> None:
        self._paths = [each.path for each in spilled]
        shard = _concatenated([each.shard for each in spilled])
        order = np.argsort(shard, kind="stable")
        self._bounds = np.searchsorted(shard[order], np.arange(n_shards + 1))
        self._item = np.repeat(np.arange(len(spilled)), [len(each.shard) for each in spilled])[order]
        self._begin = _concatenated([each.begin for each in spilled])[order]
        self._size = _concatenated([each.size for each in spilled])[order]

    def __len__(self) -> int:
        return len(self._bounds) - 1

    @overload
    def __getitem__(self, number: int) -> _Shard: ...
    @overload
    def __getitem__(self, number: slice) -> list[_Shard]: ...
    def __getitem__(self, number: int | slice) -> _Shard | list[_Shard]:
        if isinstance(number, slice):
            return [self[each] for each in range(len(self))[number]]
        if not 0 <= number < len(self):
            raise IndexError(number)
        own = slice(self._bounds[number], self._bounds[number + 1])
        paths = [self._paths[item] for item in self._item[own]]
        return _Shard(number, list(zip(paths, self._begin[own].tolist(), self._size[own].tolist(), strict=True)))


def _concatenated(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate([np.empty(0, np.int32), *arrays])


@dataclass(frozen=True)
class _Gather:
    """Reads the pieces of a shard and joins them."""

    join: Callable[[int, list[bytes]], Any]

    def __call__(self, shard: _Shard) -> Any:
        pieces = []
        with _temporary_files("read"), ExitStack() as opened:
            files = {
                path: opened.enter_context(Path(path).open("rb")) for path in {path for path, _, _ in shard.pieces}
            }
            for path, begin, size in shard.pieces:
                files[path].seek(begin)
                pieces.append(files[path].read(size))
        return self.join(shard.number, pieces)


def _keep_freed_memory() -> None:
    """Makes this process keep freed memory, as workers do."""
    pa.set_memory_pool(pa.system_memory_pool())
    with suppress(OSError, AttributeError):  # not glibc
        mallopt = ctypes.CDLL(None).mallopt
        for name, number in _MALLOPT.items():
            mallopt(number, int(ALLOCATOR[name]))
