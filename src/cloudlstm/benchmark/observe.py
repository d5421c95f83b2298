"""What one finished run of a cell has left in its folder: times of its steps, sizes of its objects, scores and cost."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cloudlstm.benchmark.document import ForecastScores, Measurement
from cloudlstm.benchmark.matrix import Cell
from cloudlstm.costs.usage import Usage, cost, read_usage
from cloudlstm.errors import CloudLSTMError, CorruptObjectError, DataError
from cloudlstm.report.models import ReportSummary
from cloudlstm.report.schema import read_summary
from cloudlstm.runs import attempts
from cloudlstm.runs.manifest import Manifest
from cloudlstm.runs.paths import RunPaths
from cloudlstm.runs.steps import STEPS

_READS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "clean": ("ingest", ("bars",)),
    "features": ("clean", ("bars",)),
    "sequences": ("features", ()),
    "train": ("sequences", ()),
    "evaluate": ("sequences", ()),
}
"""Step -> the step whose objects it reads, and their kinds; no kinds stand for all."""


@dataclass(frozen=True, slots=True)
class StepTime:
    """One step of a run.

    Attributes:
        step: Its name.
        unit: What is counted.
        rows: Units processed; None if they were not counted.
        seconds: How long it took.
        bytes_in: Size of the objects that it read; None if unknown.
        bytes_out: Size of the objects that it wrote.
    """

    step: str
    unit: str
    rows: int | None
    seconds: float
    bytes_in: int | None
    bytes_out: int


@dataclass(frozen=True, slots=True)
class Observation:
    """One finished run.

    Attributes:
        steps: The steps that the cell measures.
        seconds: Seconds of work: from the begin of the first data step to the end of the last one, or in the steps of
            the optimiser. The start of Spark or of training is not in it.
        start_s: Seconds until Spark had started, or until training began; None if unknown.
        rows: Bars, or windows that were trained on.
        cores: Cores or processes of the data steps; None if unknown, and for training.
        replicas: Devices of all workers; None for data cells.
        device: Their kind, such as CPU; None for data cells.
        usage: The machines that are paid by the hour.
        scores: Errors of the forecasts; None for data cells.
        manifests: Step -> manifest.
    """

    steps: tuple[StepTime, ...]
    seconds: float
    start_s: float | None
    rows: int
    cores: int | None
    replicas: int | None
    usage: tuple[Usage, ...] = ()
    device: str | None = None
    scores: ForecastScores | None = None
    manifests: Mapping[str, Manifest] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Rows or windows per second of work."""
        return self.rows / max(self.seconds, 1e-9)

    @property
    def usd(self) -> float | None:
        """Cost of the machines by list prices; None if none were paid by the hour."""
        return cost(list(self.usage)) if self.usage else None


def observe(cell: Cell, paths: RunPaths, source_bytes: int | None = None) -> Observation:
    """Reads a finished run of a cell.

    Args:
        cell: The cell.
        paths: The run.
        source_bytes: Size of the files of bars; None if the source has none.

    Raises:
        DataError: A step that the cell measures has not finished.
    """
    names = [step.name for step in STEPS]
    found = {name: made for name in names if (made := Manifest.load(paths, name))}
    measured = _measured(cell)
    if missing := [name for name in measured if name not in found]:
        raise DataError(f"run {paths.run_id} lacks the step {missing[0]}", hint="start the benchmark again")
    steps = tuple(_step_time(name, found, source_bytes) for name in measured)
    usage = tuple(read_usage(paths))
    if cell.kind == "data":
        first, last = found[measured[0]], found[measured[-1]]
        engine = _engine_facts(first)
        return Observation(
            steps, seconds=last.began + last.seconds - first.began, start_s=engine.get("start_s"),
            rows=int(first.facts["rows"]), cores=engine.get("cores"), replicas=None, usage=usage, manifests=found,
        )  # fmt: skip
    train, summary = found["train"], read_summary(paths)
    seconds = float(train.facts["training_seconds"])
    return Observation(
        steps, seconds=seconds, start_s=_before_training(paths, found),
        rows=round(float(train.facts["windows_per_s"] or 0.0) * seconds), cores=None,
        replicas=train.facts.get("replicas"), usage=usage, device=_device(train), scores=_scores(summary, train),
        manifests=found,
    )  # fmt: skip


def _measured(cell: Cell) -> list[str]:
    """The steps that a cell measures, in their order."""
    job = "prepare" if cell.kind == "data" else "train"
    return [step.name for step in STEPS if step.job == job]


def has_run(cell: Cell, paths: RunPaths, measured: Measurement | None) -> bool:
    """True if a run of a cell has ended without an error and still has the manifests of the steps that it measures.

    A run that was deleted, or that has a damaged manifest, has not run. The contents of its objects are not read.
    """
    ended = measured is not None and measured.error is None
    try:
        return ended and all(Manifest.load(paths, name) is not None for name in _measured(cell))
    except CorruptObjectError:
        return False


def _step_time(name: str, manifests: Mapping[str, Manifest], source_bytes: int | None) -> StepTime:
    manifest = manifests[name]
    before, kinds = _READS.get(name, ("", ()))
    bytes_in = source_bytes if name == "ingest" else None
    if before in manifests:
        objects = manifests[before].objects
        bytes_in = sum(row.size_bytes for row in objects if not kinds or row.kind in kinds)
    rows = manifest.facts.get("rows")
    if name == "train" and manifest.facts.get("windows_per_s"):
        rows = round(manifest.facts["windows_per_s"] * manifest.facts["training_seconds"])
    unit = "windows" if name in ("train", "evaluate") else "rows"
    written = sum(row.size_bytes for row in manifest.objects)
    return StepTime(name, unit, rows, manifest.seconds, bytes_in, written)


def _engine_facts(manifest: Manifest) -> Mapping[str, Any]:
    """What ran the data steps: its cores, and how long it took to start."""
    found = manifest.facts.get("engine")
    return found if isinstance(found, Mapping) else {}


def _before_training(paths: RunPaths, manifests: Mapping[str, Manifest]) -> float | None:
    """Seconds from the end of the data steps, or from the launch, to the phase of training."""
    owner = attempts.read_owner(paths, attempts.latest_attempt(paths))
    if owner is None:
        return None
    ends = [made.began + made.seconds for made in manifests.values() if made.step not in ("train", "evaluate")]
    phases = manifests["train"].facts.get("phases") or []
    before = itertools.takewhile(lambda phase: phase["phase"] != "train", phases)
    first = manifests["train"].began + float(sum(phase["seconds"] for phase in before))
    return max(first - max([owner.started, *ends]), 0.0)


def _device(train: Manifest) -> str | None:
    """The kind of the devices: CPU of CPU:0."""
    devices = train.facts.get("devices")
    return str(devices[0]).partition(":")[0] if devices else None


def _scores(summary: ReportSummary | None, train: Manifest) -> ForecastScores | None:
    lstm = summary.scores("lstm") if summary else None
    if summary is None or lstm is None:
        return None
    naive = summary.scores("naive")
    return ForecastScores(
        rmse_price=lstm.rmse_price,
        naive_rmse_price=naive.rmse_price if naive else None,
        rmse_return=lstm.rmse_return,
        skill=lstm.skill,
        validation_loss=train.facts.get("validation_loss"),
    )


def try_observe(cell: Cell, paths: RunPaths, source_bytes: int | None) -> tuple[Observation | None, str]:
    """As `observe`; a run that cannot be read gives None and the reason."""
    try:
        return observe(cell, paths, source_bytes), ""
    except CloudLSTMError as error:
        return None, error.message
    except KeyError as error:
        return None, f"a manifest of the run lacks {error}"


def by_step(observed: Sequence[Observation]) -> dict[str, list[StepTime]]:
    """Step -> its times in all runs of a cell, in the order of the steps."""
    found: dict[str, list[StepTime]] = {}
    for each in observed:
        for step in each.steps:
            found.setdefault(step.step, []).append(step)
    return found
