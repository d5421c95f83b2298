"""Plans a benchmark: reads its matrix and settings, and makes the plan of a submit for each run of each cell."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from cloudlstm.benchmark.matrix import Cell, Matrix, cells, parse_matrix, resolved
from cloudlstm.benchmark.paths import BenchmarkPaths
from cloudlstm.benchmark.records import Started, started_here
from cloudlstm.cli.find import root_uri
from cloudlstm.cli.plans import make_plan
from cloudlstm.cli.unchanged import inputs_outside
from cloudlstm.config import RunConfig, parse, read_document
from cloudlstm.config.overrides import apply
from cloudlstm.errors import ConfigError
from cloudlstm.market.sources.base import look_at_source, open_source
from cloudlstm.market.universe import requested_tickers
from cloudlstm.runs import own_packages
from cloudlstm.runs.manifest import fingerprint
from cloudlstm.targets import Plan, Target, open_target
from cloudlstm.targets.cloud import CloudTarget
from cloudlstm.workers.child_environment import cores_here

SECTION = "benchmark"
"""The table of the matrix in a TOML file."""

_SET_BY_CELLS = {
    "prepare.engine": "engines=local,spark",
    "prepare.processes": "cores=1,2",
    "prepare.reuse": "leave it out; trainings reuse what a cell has prepared",
    "spark.master": "cores=1,2",
    "train.workers": "workers=1,2",
}
"""Settings of the runs that cells set -> what to write instead. A file that submits read, too, may have them."""


@dataclass(frozen=True, slots=True)
class CellRun:
    """One run of a cell.

    Attributes:
        cell: The cell.
        repeat: Its number among the runs of the cell, from 1.
        plan: What a submit would do.
        target: Where its jobs run.
    """

    cell: Cell
    repeat: int
    plan: Plan
    target: Target

    @property
    def cores(self) -> int | None:
        """Cores of this machine to which the run is limited; None for no limit."""
        return _limit(self.cell)

    @property
    def run_id(self) -> str:
        """The id of the run."""
        return self.cell.run_id(self.repeat)


@dataclass(frozen=True, slots=True)
class BenchmarkPlan:
    """Everything that a benchmark does.

    Attributes:
        paths: The benchmark.
        started: What matrix.json gets.
        runs: The runs in their order.
    """

    paths: BenchmarkPaths
    started: Started
    runs: tuple[CellRun, ...]


def _limit(cell: Cell) -> int | None:
    return cell.cores if cell.kind == "train" else None


@contextmanager
def limited(cores: int | None) -> Iterator[None]:
    """Limits this process, and the processes that it starts, to the first of its cores; None for no limit."""
    if cores is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:cores])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def read_settings(config: str | None, words: Sequence[str]) -> tuple[RunConfig, Matrix]:
    """Reads the settings of the runs and the matrix.

    A word with a dot before its equals sign is a setting of the runs, and so is `name`; the others are of the matrix,
    and so are those that begin with `benchmark.`, as in the file.

    Args:
        config: A TOML file whose table `benchmark` is the matrix, or its storage URI.
        words: What was typed.

    Raises:
        ConfigError: There are problems.
    """
    words = [word.removeprefix(f"{SECTION}.") for word in words]
    of_runs = [word for word in words if _is_of_runs(word)]
    for word in of_runs:
        if axis := _SET_BY_CELLS.get(word.partition("=")[0]):
            raise ConfigError(f"{word!r} has no effect: each cell of the benchmark sets it", hint=axis)
    document = read_document(config, of_runs)
    own_packages.look_beside(config)
    values: dict[str, Any] = document.pop(SECTION, {})
    if not isinstance(values, dict):
        raise ConfigError(f"{SECTION} is a table, not {values!r}", hint=f"[{SECTION}] in the file")
    for word in words:
        if word not in of_runs:
            apply(values, word)
    return parse(document, of_runs), parse_matrix(values)


def _is_of_runs(word: str) -> bool:
    key = word.partition("=")[0]
    return "." in key or key in RunConfig.model_fields


def make_benchmark_plan(target: Target, settings: RunConfig, matrix: Matrix, root: str | None) -> BenchmarkPlan:
    """Plans all runs of a benchmark.

    Args:
        target: Where training and the engine `cluster` run.
        settings: The settings that all runs have in common.
        matrix: What is measured.
        root: The folder of all runs, as typed.

    Raises:
        ConfigError: The matrix asks for what there is not, or for trainings without an epoch.
    """
    on_target = target.root is not None
    whole = resolved(matrix, here=cores_here(), on_target=on_target)
    if whole.workers and settings.train.epochs == 0:
        raise ConfigError(
            "train.epochs=0 trains nothing, so training has no time",
            hint="train.epochs=1, or workers=[] without training",
        )
    place = root_uri(root or target.root)
    started = started_here(
        settings, whole, target.name, _source_bytes(settings), inputs=fingerprint(inputs_outside(settings)),
        emulated=_is_emulated(target),
    )  # fmt: skip
    paths = BenchmarkPaths.of(place, started.name())
    known = _tickers(settings) if whole.tickers or whole.train_tickers else None
    found = cells(whole, on_target=on_target)
    runs: list[CellRun] = []
    for kind in ("data", "train"):
        for repeat in range(1, whole.repeats + 1):
            for cell in (each for each in found if each.kind == kind):
                prepared = next((run.plan.run for run in runs if run.cell.tickers == cell.tickers), None)
                reuse = prepared if kind == "train" else None
                runs.append(_run(cell, repeat, _settings(cell, settings, known, reuse), target, paths))
    return BenchmarkPlan(paths, started, tuple(runs))


def _settings(cell: Cell, common: RunConfig, known: Sequence[str] | None, reuse: str | None) -> RunConfig:
    """The settings of the runs of a cell.

    Args:
        cell: The cell.
        common: The settings that all runs have in common.
        known: The tickers of the source; None if they need not be known.
        reuse: The run whose prepared data a training uses; None if the run prepares its own.
    """
    document = common.model_dump(mode="json")
    if cell.tickers is not None:
        _choose(document, cell.tickers, common, known or ())
    document["prepare"] = {"engine": "local" if cell.engine == "local" else "spark", "reuse": reuse}
    if cell.kind == "train":
        document["train"]["workers"] = cell.workers
    elif cell.engine == "local":
        document["prepare"]["processes"] = cell.cores
    elif cell.engine == "spark":
        document["spark"]["master"] = f"local[{cell.cores}]"
    return parse(document)


def _run(cell: Cell, repeat: int, settings: RunConfig, target: Target, paths: BenchmarkPaths) -> CellRun:
    """A run of a cell: the plan of a submit, of data cells without training."""
    where = target if cell.engine == "cluster" or cell.kind == "train" else open_target(None)
    with limited(_limit(cell)):  # the plan divides the cores among the workers
        plan = make_plan("benchmark", where, settings, paths.cells, cell.run_id(repeat))
    if cell.kind == "data":
        plan = replace(plan, requests=tuple(each for each in plan.requests if each.get("job") != "train"))
    return CellRun(cell, repeat, plan, where)


def _choose(document: dict[str, Any], size: int, settings: RunConfig, known: Sequence[str]) -> None:
    """Limits the universe of a configuration to the first tickers by name."""
    if settings.market.source == "synthetic":
        document["market"]["synthetic"]["tickers"] = size
        return
    if size > len(known):
        raise ConfigError(
            f"tickers={size} is more than the source has: {len(known)}",
            hint=f"tickers={len(known)} at most, or market.source=synthetic, which has as many as are asked for",
        )
    document["universe"] = {"tickers": list(known[:size]), "path": None, "exclude": []}


def _tickers(settings: RunConfig) -> tuple[str, ...] | None:
    """All tickers of the universe, sorted; None for the synthetic market, which has as many as are asked for."""
    if settings.market.source == "synthetic":
        return None
    found = requested_tickers(settings.universe, settings.market)
    if found is None:
        found = look_at_source(settings).tickers
    if found is None:
        raise ConfigError("the tickers of the source are not known", hint="universe.tickers=…, or leave out tickers=")
    return tuple(sorted(set(found) - set(settings.universe.exclude)))


def _is_emulated(target: Target) -> bool:
    """True for a cloud whose services are emulated on this machine."""
    return isinstance(target, CloudTarget) and bool(target.config.endpoints)


def _source_bytes(settings: RunConfig) -> int | None:
    """The size of the files of bars; None for other sources."""
    files = getattr(open_source(settings, None), "files", None) if settings.market.source == "files" else None
    return sum(file.size_bytes for file in files) if files is not None else None
