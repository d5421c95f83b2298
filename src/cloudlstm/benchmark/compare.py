"""What the times of the cells say against each other: serial shares, and Spark against one process."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal

from cloudlstm.benchmark.document import AgainstOneProcess, AmdahlFit, CellResult
from cloudlstm.benchmark.matrix import Engine
from cloudlstm.benchmark.scaling import amdahl
from cloudlstm.benchmark.summary import one_process, size_of

_Unit = Literal["processes", "cores", "devices"]
_UNITS: Mapping[tuple[str, Engine], tuple[_Unit, str]] = {
    ("data", "local"): ("processes", "data steps in processes"),
    ("data", "spark"): ("cores", "data steps on Spark"),
    ("train", "local"): ("devices", "training"),
    ("train", "cluster"): ("devices", "training"),
}
"""Kind and engine -> what the number counts, and the name of the fit."""


def fits(cells: Sequence[CellResult]) -> list[AmdahlFit]:
    """Amdahl's law for each engine on each universe, and for training, where two numbers have a time above zero."""
    groups: dict[tuple[Literal["data", "train"], Engine, int | None], list[tuple[int, float]]] = defaultdict(list)
    for cell in cells:
        number = cell.cores if cell.kind == "data" else cell.replicas
        if cell.seconds is not None and cell.seconds.median > 0.0 and number and (cell.kind, cell.engine) in _UNITS:
            groups[cell.kind, cell.engine, cell.tickers].append((number, cell.seconds.median))
    found = []
    for (kind, engine, tickers), points in groups.items():
        law = amdahl(points)
        if law is not None:
            unit, name = _UNITS[kind, engine]
            one_s, share, error = law
            found.append(
                AmdahlFit(
                    subject=f"{name}, {size_of(tickers)}", kind=kind, engine=engine, tickers=tickers, unit=unit,
                    numbers=tuple(number for number, _ in points), seconds=tuple(seconds for _, seconds in points),
                    one_s=one_s, serial_share=share, error=error,
                )
            )  # fmt: skip
    return found


def against_one_process(cells: Sequence[CellResult]) -> list[AgainstOneProcess]:
    """Each Spark cell against one process on the same universe."""
    alone = one_process(cells)
    found = []
    for cell in cells:
        one = alone.get(cell.tickers)
        if cell.kind != "data" or cell.engine == "local" or cell.seconds is None or one is None or one.seconds is None:
            continue
        found.append(
            AgainstOneProcess(
                cell=cell.name,
                tickers=cell.tickers,
                engine=cell.engine,
                cores=cell.cores,
                ratio=one.seconds.median / cell.seconds.median,
                ratio_with_start=(one.seconds.median + _start_s(one)) / (cell.seconds.median + _start_s(cell)),
            )
        )
    return found


def _start_s(cell: CellResult) -> float:
    return cell.start_s.median if cell.start_s else 0.0
