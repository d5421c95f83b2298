"""Times at sizes that were not measured: computed from the cells, with the formula and every input shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from pydantic import JsonValue

from cloudlstm.benchmark.document import DATA_FORMULA, AmdahlFit, CellResult, Projection
from cloudlstm.benchmark.matrix import Matrix
from cloudlstm.benchmark.scaling import relative_fit, seconds_at
from cloudlstm.costs.prices import prices
from cloudlstm.text.numbers import counted

_HOUR_S = 3600.0
_DISK_GIB = 100
_SPARK_NODES = (("aws", "m6i.xlarge"), ("gcp", "n2-standard-4"))
"""Spark nodes with four cores, as the Terraform roots start them by default."""
_GPU_TRAINERS = (("aws", "g5.xlarge"), ("gcp", "g2-standard-4"))
"""Trainers with one GPU, whose price includes it."""

TRAINING_FORMULA = "T(n) = T(1) (s + (1 - s) / (n g)), g = windows/s of a GPU / windows/s of one device"


def project(matrix: Matrix, cells: Sequence[CellResult], fits: Sequence[AmdahlFit]) -> list[Projection]:
    """The projections of a benchmark.

    Args:
        matrix: The sizes to compute, and what is assumed.
        cells: The cells.
        fits: The fits of Amdahl's law.
    """
    found = []
    for engine in ("spark", "local"):
        of_engine = [cell for cell in cells if (cell.kind, cell.engine) == ("data", engine)]
        timed = [cell for cell in of_engine if cell.seconds and cell.tickers]
        # With one size, what every run needs once could not be told from what each ticker needs.
        if len({cell.cores for cell in timed}) > 1 and len({cell.tickers for cell in timed}) > 1:
            made = [_data(matrix, timed, nodes) for nodes in matrix.projected_nodes]
            found += [each for each in made if each is not None]
            break
    fit = next((each for each in fits if each.kind == "train"), None)
    windows = next((cell.rows for cell in cells if cell.kind == "train" and cell.rows), None)
    if fit is not None and windows:
        found += [_training(matrix, fit, windows, workers) for workers in matrix.projected_workers]
    return found


def _data(matrix: Matrix, cells: Sequence[CellResult], nodes: int) -> Projection | None:
    """The data steps on some nodes; None if more cores made no cell faster, since more nodes then bring nothing."""
    sizes = np.array([float(cell.tickers or 1) for cell in cells])
    cores = np.array([float(cell.cores or 1) for cell in cells])
    seconds = np.array([cell.seconds.median for cell in cells if cell.seconds])
    serial, divided, constant = relative_fit([sizes, sizes / cores, np.ones_like(sizes)], seconds)
    if divided <= 0.0:
        return None
    tickers, number = matrix.projected_tickers, nodes * matrix.cores_per_node
    projected = constant + tickers * (serial + divided / number)
    inputs: dict[str, JsonValue] = {
        "a": constant,
        "b": serial,
        "c": divided,
        "t": tickers,
        "nodes": nodes,
        "cores of a node": matrix.cores_per_node,
        "fitted to": f"{counted(len(cells), 'cell')} of {'Spark' if cells[0].engine == 'spark' else 'processes'}",
    }
    nodes_usd = ((cloud, machine, prices(cloud).spark_node(machine)) for cloud, machine in _SPARK_NODES)
    return Projection(
        subject=f"data steps, {counted(tickers, 'ticker')} on {counted(nodes, 'node')}",
        formula=DATA_FORMULA,
        inputs=inputs,
        seconds=projected,
        speed_up=(constant + tickers * (serial + divided)) / projected,
        usd=_usd(nodes_usd, nodes, projected),
    )


def _training(matrix: Matrix, fit: AmdahlFit, windows: int, workers: int) -> Projection:
    rate = windows / fit.one_s
    seconds = seconds_at(fit, workers * matrix.gpu_windows_per_s / rate)
    inputs: dict[str, JsonValue] = {
        "T(1)": fit.one_s,
        "s": fit.serial_share,
        "n": workers,
        "windows/s of a GPU (assumed)": matrix.gpu_windows_per_s,
        "windows/s of one device (fitted)": rate,
    }
    trainers_usd = (
        (cloud, machine, prices(cloud).trainer(machine, "none", _DISK_GIB, spot=False))
        for cloud, machine in _GPU_TRAINERS
    )  # fmt: skip
    return Projection(
        subject=f"training of {counted(windows, 'window')} on {counted(workers, 'GPU')}",
        formula=TRAINING_FORMULA,
        inputs=inputs,
        seconds=seconds,
        speed_up=fit.one_s / seconds,
        usd=_usd(trainers_usd, workers, seconds),
    )


def _usd(found: Iterable[tuple[str, str, float | None]], machines: int, seconds: float) -> dict[str, float]:
    """Machines -> their list price for some seconds, without start and idle time."""
    costs = {}
    for cloud, machine, price in found:
        if price is not None:
            table = prices(cloud)
            costs[f"{machines} x {machine} ({table.region}, {table.date})"] = machines * price * seconds / _HOUR_S
    return costs
