"""The matrix of a benchmark: its settings, and the cells that they ask for."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError

from cloudlstm.config.data import Section
from cloudlstm.config.problems import sentence
from cloudlstm.errors import ConfigError

Engine = Literal["local", "spark", "cluster"]
ENGINES: tuple[Engine, ...] = ("local", "spark", "cluster")


def _entries(value: object) -> object:
    """Accepts `tickers=6,100` without brackets, and one entry without a list."""
    if isinstance(value, str):
        return [part.strip() for part in value.strip("[]").split(",") if part.strip()]
    return (value,) if isinstance(value, int) and not isinstance(value, bool) else value


Counts = Annotated[tuple[Annotated[int, Field(ge=1, le=1_000_000)], ...], BeforeValidator(_entries)]
Engines = Annotated[tuple[Engine, ...], BeforeValidator(_entries)]


class Matrix(Section):
    """What is measured. An axis that is not set takes its default when the place of the jobs is known."""

    tickers: Counts = ()
    """Sizes of the universe for the data steps; not set: the universe of the configuration."""
    engines: Engines | None = None
    """What runs the data steps: `local`, processes of this machine without Java; `spark`, Spark on this machine;
    `cluster`, Spark on the target. Not set: `local` and `spark`; with a target `local` and `cluster`. Empty: no data
    steps are measured."""
    cores: Counts = ()
    """Processes of `local`, and cores of `spark`; not set: 1 and all cores of this machine. `local` with one process
    is always measured."""
    workers: Counts | None = None
    """Numbers of training workers; not set: 1 and 2. One worker is always measured. Empty: no training is measured."""
    train_cores: Counts | None = None
    """Numbers of cores to which one worker on this machine is also limited; not set: 1. Empty: none. Without a limit,
    the workers of a machine use all its cores."""
    train_tickers: int | None = Field(default=None, ge=1)
    """Size of the universe for training; not set: the smallest of `tickers`."""
    repeats: int = Field(default=3, ge=1, le=100)
    """Runs of each cell. The cells alternate: all cells run once, then all again."""
    check: Literal["bytes", "manifests"] = "bytes"
    """How features are compared: `bytes` reads every object of them; `manifests` trusts the checksums that the steps
    have written, for large data in a bucket."""
    projected_tickers: int = Field(default=10_000, ge=1)
    """Tickers of the projection of the data steps."""
    projected_nodes: Counts = (50,)
    """Numbers of Spark nodes of the projection."""
    cores_per_node: int = Field(default=4, ge=1)
    """Cores of such a node."""
    projected_workers: Counts = (8,)
    """Numbers of trainers of the projection."""
    gpu_windows_per_s: float = Field(default=300_000.0, gt=0.0)
    """Assumed speed of one GPU in training, for the projection; no GPU was measured."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination that is measured.

    Attributes:
        kind: "data" for the steps of prepare, "train" for training.
        tickers: Size of the universe; None for that of the configuration.
        engine: What runs the data steps.
        cores: Processes of "local" and cores of "spark", or the cores to which a worker is limited; None where the
            target decides, and for workers without a limit.
        workers: Training workers; 0 for data cells.
    """

    kind: Literal["data", "train"]
    tickers: int | None
    engine: Engine
    cores: int | None
    workers: int = 0

    @property
    def name(self) -> str:
        """Its name in the results, and the beginning of the ids of its runs."""
        size = "all" if self.tickers is None else str(self.tickers)
        if self.kind == "train":
            return f"train-{size}-workers-{self.workers}" + (f"-cores-{self.cores}" if self.cores else "")
        return f"data-{size}-{self.engine}" + (f"-{self.cores}" if self.cores else "")

    def run_id(self, repeat: int) -> str:
        """The id of the run of a repetition, counted from 1."""
        return f"{self.name}-r{repeat}"


def parse_matrix(values: Mapping[str, Any]) -> Matrix:
    """Validates the settings of a matrix.

    Raises:
        ConfigError: There are problems; the message lists all of them.
    """
    empty = [key for key in ("tickers", "cores") if values.get(key) in ("", [], ())]
    if empty:
        raise ConfigError.of([f"{key} is empty; leave it out for its usual values" for key in empty])
    try:
        return Matrix.model_validate(dict(values))
    except ValidationError as error:
        details = error.errors(include_url=False)
        problems = [
            _unknown(str(each["loc"][-1])) if each["type"] == "extra_forbidden" else sentence(each) for each in details
        ]
        raise ConfigError.of(list(dict.fromkeys(problems))) from None


def _unknown(key: str) -> str:
    known = list(Matrix.model_fields)
    near = difflib.get_close_matches(key, known, n=1)
    if near:
        return f"unknown key {key!r} of the benchmark, did you mean {near[0]!r}?"
    return (
        f"unknown key {key!r} of the benchmark, known: {', '.join(known)}; a setting of the runs is section.key=value"
    )


def resolved(matrix: Matrix, *, here: int, on_target: bool) -> Matrix:
    """The matrix with all its axes, each value once.

    Args:
        matrix: The settings as given.
        here: Cores of this machine.
        on_target: Whether the benchmark has a cloud target.

    Raises:
        ConfigError: It asks for a cluster without a target, for more cores than there are, or for nothing at all.
    """
    usual: tuple[Engine, ...] = ("local", "cluster") if on_target else ("local", "spark")
    engines = usual if matrix.engines is None else matrix.engines
    if "cluster" in engines and not on_target:
        raise ConfigError("engines: there is no cluster on this machine", hint="--target=…, or engines=local,spark")
    too_many = [each for each in matrix.train_cores or () if each > here]
    if too_many:
        raise ConfigError(f"train_cores={too_many[0]}: this machine has {here} cores", hint="fewer, or leave it out")
    workers = (1, 2) if matrix.workers is None else matrix.workers
    if not engines and not workers:
        raise ConfigError("the benchmark measures nothing: engines and workers are empty", hint="leave out one of them")
    sizes = _each_once(matrix.tickers)
    return matrix.model_copy(
        update={
            "tickers": sizes,
            "engines": _each_once(engines),
            "cores": _each_once(matrix.cores or (1, here)),
            "workers": _each_once((1, *workers)) if workers else (),
            "train_cores": _limits(matrix.train_cores, here) if workers and not on_target else (),
            "train_tickers": matrix.train_tickers or (min(sizes) if sizes else None),
        }
    )


def cells(matrix: Matrix, *, on_target: bool) -> list[Cell]:
    """The cells of a resolved matrix: for each size the data steps, the one-process baseline first; then training.

    Args:
        matrix: The matrix.
        on_target: Whether training runs on a cloud target.
    """
    found = [cell for size in matrix.tickers or (None,) for cell in _data_cells(matrix, size)]
    place: Engine = "cluster" if on_target else "local"
    found += [Cell("train", matrix.train_tickers, place, cores, 1) for cores in matrix.train_cores or ()]
    found += [Cell("train", matrix.train_tickers, place, None, workers) for workers in matrix.workers or ()]
    return found


def _limits(cores: tuple[int, ...] | None, here: int) -> tuple[int, ...]:
    """Numbers of cores that are limits on a machine with `here` cores, the least first.

    Raises:
        ConfigError: Limits are asked for, and processes of this system cannot be limited.
    """
    if not hasattr(os, "sched_setaffinity"):
        if cores:
            raise ConfigError("train_cores: this system cannot limit a process to some cores", hint="leave it out")
        return ()
    return tuple(sorted(each for each in _each_once((1,) if cores is None else cores) if each < here))


def _data_cells(matrix: Matrix, size: int | None) -> Iterator[Cell]:
    if not matrix.engines:
        return
    yield Cell("data", size, "local", 1)
    for engine in ENGINES:
        if engine in matrix.engines:
            for cores in matrix.cores if engine != "cluster" else (None,):
                if (engine, cores) != ("local", 1):
                    yield Cell("data", size, engine, cores)


def _each_once(values: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(values))
