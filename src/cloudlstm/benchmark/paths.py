"""The names of all objects of a benchmark. Only this module builds them.

<root>/benchmarks/index/<id>             marks that the benchmark exists, with the time of its last start
<root>/benchmarks/<id>/
    matrix.json                          the matrix, the settings of the runs, and the place of the jobs
    cells/…                              the runs of the cells: a root of runs of its own
    measurements/<run id>.json           what the launcher saw of a run; written when the run has ended
    benchmark.json, benchmark.html, benchmark.md
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cloudlstm.errors import UsageError
from cloudlstm.runs import index
from cloudlstm.runs.paths import RunPaths, benchmarks, is_run_id, join


@dataclass(frozen=True, slots=True)
class BenchmarkPaths:
    """Names the objects of the benchmark at `uri` (no trailing slash)."""

    uri: str

    @classmethod
    def of(cls, root: str, name: str) -> BenchmarkPaths:
        """The paths of benchmark `name` below the storage URI of all runs."""
        if not is_run_id(name):
            raise UsageError(f"{name!r} is no id of a benchmark", hint="cloudlstm runs lists them")
        return cls(join(benchmarks(root), name))

    @property
    def name(self) -> str:
        """The id of the benchmark."""
        return self.uri.rsplit("/", 1)[1]

    @property
    def folder(self) -> str:
        """The URI of the folder of all benchmarks of the root."""
        return self.uri.rsplit("/", 1)[0]

    @property
    def cells(self) -> str:
        """The root of the runs of the cells."""
        return join(self.uri, "cells")

    def run(self, run_id: str) -> RunPaths:
        """The run of a cell."""
        return RunPaths.of(self.cells, run_id)

    @property
    def matrix(self) -> str:
        return join(self.uri, "matrix.json")

    def measurement(self, run_id: str) -> str:
        return join(self.uri, f"measurements/{run_id}.json")

    @property
    def measurements(self) -> str:
        return self.uri + "/measurements/"

    def result(self, ending: str) -> str:
        """The results: `json`, `html` or `md`."""
        return join(self.uri, f"benchmark.{ending}")

    def mark(self) -> None:
        """Writes the marker with the time of this start."""
        index.mark(self.folder, self.name)


def benchmark_ids(root: str) -> list[str]:
    """The ids of all benchmarks below the folder of all runs."""
    return index.run_ids(benchmarks(root))


def newest_benchmarks(root: str) -> Iterator[BenchmarkPaths]:
    """Yields the benchmarks below the folder of all runs, the last started first."""
    for name in index.newest_first(benchmarks(root)):
        yield BenchmarkPaths.of(root, name)
