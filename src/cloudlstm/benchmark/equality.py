"""Checks that the cells have made the same results, before a time counts.

Features and sequences must be the same bytes for the same universe, whatever ran the data steps. Losses and forecasts
of any number of workers must agree within a tolerance, because sums of floats depend on how they are grouped.
Everything is read again and compared with the checksums of its manifest, so a changed object is found, too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cloudlstm.benchmark.document import EqualityCheck
from cloudlstm.errors import CloudLSTMError
from cloudlstm.evaluation.forecasts import Forecasts, read_predictions
from cloudlstm.runs import manifest as manifests
from cloudlstm.runs.manifest import Manifest, read_object
from cloudlstm.runs.paths import RunPaths

LOSS_TOLERANCE = 1e-5
"""Largest relative difference between losses of an epoch."""

FORECAST_TOLERANCE = 1e-5
"""Largest difference between two forecasts of a log-return: a thousandth of a percent."""

_AT_ONCE = 8

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is compared of one run.

    Attributes:
        run: Its id.
        digest: Hash of the bytes of features and sequences; empty for training.
        losses: Training and validation loss by epoch (n, 2); empty for data cells.
        forecasts: Split -> forecasts; empty for data cells.
        problem: Why the results cannot be trusted; empty if they can be compared.
    """

    run: str
    digest: str = ""
    losses: Floats = field(default_factory=lambda: np.zeros((0, 2)))
    forecasts: Mapping[str, Forecasts] = field(default_factory=dict)
    problem: str = ""


def data_evidence(paths: RunPaths, found: Mapping[str, Manifest], check: Literal["bytes", "manifests"]) -> Evidence:
    """The evidence of the data steps of a run.

    Args:
        paths: The run.
        found: Step -> manifest.
        check: Whether to read all features, or to trust the manifests and compare sizes only.
    """
    made = [found[step] for step in ("features", "sequences") if step in found]
    try:
        if check == "bytes":
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                for _ in pool.map(read_object, [row for each in made for row in each.objects]):
                    pass
        elif not all(manifests.finished(paths, each.step, each.fingerprint) for each in made):
            return Evidence(paths.run_id, problem="its objects do not have the sizes of their manifests")
    except CloudLSTMError as error:
        return Evidence(paths.run_id, problem=error.message)
    return Evidence(paths.run_id, digest=manifests.fingerprint([each.digest() for each in made]))


def training_evidence(paths: RunPaths, found: Mapping[str, Manifest], check: Literal["bytes", "manifests"]) -> Evidence:
    """The evidence of the training of a run, whose data is checked as in `data_evidence`."""
    train = found["train"]
    if problem := data_evidence(paths, found, check).problem:
        return Evidence(paths.run_id, problem=problem)
    try:
        lines = [line for row in train.of_kind("history") for line in read_object(row).decode().splitlines()]
        records = [json.loads(line) for line in lines if line]
        # Epoch 0 is before the first step and has no training loss.
        pairs = [[each.get("train_loss"), each.get("validation_loss")] for each in records]
        losses = np.array(pairs, np.float64).reshape(-1, 2)  # None becomes NaN
        forecasts = read_predictions(read_object(row) for row in train.of_kind("predictions"))
    except (CloudLSTMError, ValueError) as error:
        return Evidence(paths.run_id, problem=str(error))
    if not np.isfinite(losses.ravel()[1:]).all():
        return Evidence(paths.run_id, problem="a loss of it is not a number")
    return Evidence(paths.run_id, losses=losses, forecasts=forecasts)


def compare_data(subject: str, found: Sequence[Evidence]) -> tuple[EqualityCheck, dict[str, str]]:
    """Compares the bytes of the data steps of runs on the same universe.

    Returns:
        The check, and run -> why it does not count.
    """
    return _judged(
        f"bytes of features and sequences, {subject}", found, 0.0,
        lambda one, other: 0.0 if one.digest == other.digest else np.inf,
        "its features or sequences are other bytes than those of run {}",
    )  # fmt: skip


def compare_training(subject: str, found: Sequence[Evidence]) -> tuple[list[EqualityCheck], dict[str, str]]:
    """Compares losses, then forecasts, of trainings on the same data; as `compare_data`."""
    losses, unequal = _judged(
        f"training and validation loss of every epoch, {subject}", found, LOSS_TOLERANCE, _loss_difference,
        f"its losses differ by more than {LOSS_TOLERANCE:g} from those of run {{}}",
    )  # fmt: skip
    forecasts, more = _judged(
        f"forecasts of the log-return, {subject}", found, FORECAST_TOLERANCE, _forecast_difference,
        f"its forecasts differ by more than {FORECAST_TOLERANCE:g} from those of run {{}}",
    )  # fmt: skip
    return [losses, forecasts], more | unequal


def _loss_difference(one: Evidence, other: Evidence) -> float:
    """The largest relative difference of the losses; infinite if the epochs differ or a loss is not a number."""
    if one.losses.shape != other.losses.shape:
        return np.inf
    mine, theirs = one.losses.ravel()[1:], other.losses.ravel()[1:]  # without the training loss of epoch 0
    scale = np.maximum(np.abs(mine), np.abs(theirs))
    return _largest((mine - theirs) / np.where(scale > 0.0, scale, 1.0))


def _forecast_difference(one: Evidence, other: Evidence) -> float:
    """The largest difference of the forecast log-returns; infinite if one is not a number, or for other labels."""
    if one.forecasts.keys() != other.forecasts.keys():
        return np.inf
    largest = 0.0
    for split, mine in one.forecasts.items():
        theirs = other.forecasts[split]
        same = mine.tickers == theirs.tickers and np.array_equal(mine.ticker, theirs.ticker)
        if not (same and np.array_equal(mine.origin, theirs.origin)):
            return np.inf
        largest = max(largest, _largest(mine.models["lstm"] - theirs.models["lstm"]))
    return largest


def _largest(differences: Floats) -> float:
    """The largest absolute value; infinite if one is not a number, 0 if there are none."""
    return float(np.abs(differences).max(initial=0.0)) if np.isfinite(differences).all() else np.inf


def _judged(
    subject: str, found: Sequence[Evidence], tolerance: float, difference: Callable[[Evidence, Evidence], float],
    reason: str,
) -> tuple[EqualityCheck, dict[str, str]]:  # fmt: skip
    """Takes a run with which most others agree for right, and judges all runs by it.

    It is the first one with which more than half agree; without one, the first of those with which most agree.

    Args:
        subject: What is compared.
        found: The runs.
        tolerance: The largest difference that counts as equal.
        difference: The difference of two runs.
        reason: Why an unequal run does not count, with {} for the run that is taken for right.
    """
    sound = [each for each in found if not each.problem]
    unequal = {each.run: each.problem for each in found if each.problem}
    right, most = "", 0
    gaps: dict[str, float] = {}
    for candidate in sound:
        own = {each.run: difference(candidate, each) for each in sound if each is not candidate}
        agreeing = 1 + sum(gap <= tolerance for gap in own.values())
        if agreeing > most:
            right, gaps, most = candidate.run, own, agreeing
        if 2 * agreeing > len(sound):
            break
    equal = [each.run for each in sound if each.run == right or gaps[each.run] <= tolerance]
    unequal = {each.run: reason.format(right) for each in sound if each.run not in equal} | unequal
    largest = max((gap for gap in gaps.values() if gap <= tolerance), default=None)
    check = EqualityCheck(
        subject=subject, tolerance=tolerance, largest=largest, equal=tuple(equal), unequal=tuple(unequal)
    )
    return check, unequal
