"""What a benchmark records while it runs: matrix.json at its begin, and a measurement of each run."""

from __future__ import annotations

from pydantic import JsonValue

from cloudlstm import __version__, storage
from cloudlstm.benchmark.document import Measurement
from cloudlstm.benchmark.matrix import Matrix
from cloudlstm.benchmark.paths import BenchmarkPaths
from cloudlstm.config import RunConfig
from cloudlstm.errors import CorruptObjectError, ObjectNotFoundError
from cloudlstm.evaluation.rows import Row
from cloudlstm.report.machine import machine
from cloudlstm.report.run_models import Machine
from cloudlstm.runs import documents, index
from cloudlstm.runs.manifest import fingerprint


class Started(Row):
    """matrix.json: what was asked for, a hash of the files that are read, and where the jobs run."""

    version: str
    target: str
    emulated: bool = False
    machine: Machine
    matrix: Matrix
    settings: dict[str, JsonValue]
    source: str
    source_bytes: int | None
    inputs: str = ""

    @property
    def on_target(self) -> bool:
        """True if the benchmark has a cloud target."""
        return self.target != "local"

    def name(self) -> str:
        """The id of the benchmark: equal settings, files, cells, release and machine give the same one."""
        asked = self.matrix.model_dump(mode="json", include={*_AXES})
        settings = RunConfig.model_validate(self.settings)
        identity = [self.version, settings.identity(), self.inputs, asked, self.target]
        identity.append(self.machine.model_dump(mode="json"))
        return f"{settings.name}-{fingerprint(identity)[:8]}"


_AXES = ("tickers", "engines", "cores", "workers", "train_cores", "train_tickers")
"""The settings of a matrix that decide which cells there are. More runs of a cell continue the same benchmark."""


def started_here(
    settings: RunConfig, matrix: Matrix, target: str, source_bytes: int | None, *, inputs: str = "",
    emulated: bool = False,
) -> Started:  # fmt: skip
    """What a benchmark that this machine launches is started with.

    Args:
        settings: The settings that all runs have in common.
        matrix: The resolved matrix.
        target: The name of the target.
        source_bytes: Size of the files of bars; None if the source has none.
        inputs: A hash of what the runs read besides their settings.
        emulated: Whether the target is a cloud that is emulated on this machine.
    """
    return Started(
        version=__version__,
        target=target,
        emulated=emulated,
        machine=machine(),
        matrix=matrix,
        settings=settings.model_dump(mode="json"),
        source=settings.market.source,
        source_bytes=source_bytes,
        inputs=inputs,
    )


def read_started(paths: BenchmarkPaths) -> Started:
    """What the benchmark was started with; raises ObjectNotFoundError if it was not."""
    return documents.read(Started, paths.matrix)


def read_measurement(paths: BenchmarkPaths, run_id: str) -> Measurement | None:
    """What the launcher saw of a run; None if it has not ended."""
    try:
        return documents.read(Measurement, paths.measurement(run_id))
    except (ObjectNotFoundError, CorruptObjectError):
        return None


def write_measurement(paths: BenchmarkPaths, measured: Measurement) -> None:
    """Writes what the launcher saw of a run."""
    storage.write_json(paths.measurement(measured.run), measured.model_dump(mode="json"))


def remove(paths: BenchmarkPaths) -> tuple[str, ...]:
    """Removes the records and results of a benchmark whose runs are deleted, and its marker.

    Returns:
        The URIs of files of others that stay in its folder.
    """
    found = [paths.matrix, *(paths.result(ending) for ending in ("json", "html", "md"))]
    for uri in (*found, *(item.uri for item in storage.list_objects(paths.measurements, within=paths.uri))):
        storage.delete(uri, within=paths.uri)
    index.forget(paths.folder, paths.name)
    return storage.remove_folders(paths.uri)
