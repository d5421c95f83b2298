"""What groups of exogenous columns are worth: the same networks with and without them.

A run trains its networks, of all seeds and folds, also with fewer of the columns and without any. Seed, folds, windows
and settings are the same, so the networks of two groups differ in their inputs only.

- By seed: errors of each network, every date weighing the same. How far they differ between seeds says whether
  a difference between groups is more than chance.
- The mean forecast of the seeds is compared with that of the networks without the columns, by two tests on the same
  labels (`significance`): Diebold-Mariano, whether the errors differ, and Clark-West, whether the columns hold
  information about returns. Networks without the columns are nested in those with them: with weights of zero for the
  columns they are equal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict

import numpy as np

from cloudlstm.errors import DataError
from cloudlstm.evaluation import metrics
from cloudlstm.evaluation.exogenous_rows import INPUTS_GROUPS, AblationRow, AgainstNone, InputsGroup
from cloudlstm.evaluation.forecasts import Forecasts
from cloudlstm.evaluation.members import pool, read_folds
from cloudlstm.evaluation.significance import FloatArray, clark_west, diebold_mariano
from cloudlstm.evaluation.spread import member_spread
from cloudlstm.runs.manifest import Manifest
from cloudlstm.training.results import ablations_of

_FIGURES = ("rmse_return", "r2_oos", "skill")


def read_ablation(train: Manifest, test: Forecasts, own: InputsGroup) -> dict[InputsGroup, Forecasts]:
    """The forecasts of all groups on the test split over all folds; empty if the run has no ablation.

    Args:
        train: The manifest of the step "train".
        test: The forecasts of the run's own networks, of each seed in `members`, over all folds.
        own: The group of the run's own networks.

    Raises:
        DataError: networks of another group forecast other labels.
    """
    known: Mapping[str, InputsGroup] = {name: name for name in INPUTS_GROUPS}
    others = [known[name] for name in ablations_of(train)]
    if not others:
        return {}
    found = {own: test}
    for group in others:
        parts = [fold["test"] for fold in read_folds(train, group) if "test" in fold]
        joined = pool(parts)[0] if parts else None
        if joined is None or not _same_labels(joined, test):
            raise DataError(
                f"the networks with the inputs {group!r} forecast other labels or seeds than those with {own!r}",
                hint="submit again with another run name",
            )
        found[group] = joined
    return {group: found[group] for group in INPUTS_GROUPS if group in found}


def _same_labels(found: Forecasts, test: Forecasts) -> bool:
    names = ("ticker", "origin", "target", "actual")
    same = all(np.array_equal(getattr(found, name), getattr(test, name)) for name in names)
    return same and found.tickers == test.tickers and set(found.members) == set(test.members)


def ablation_rows(
    groups: Mapping[InputsGroup, Forecasts], own: InputsGroup, width: Callable[[InputsGroup], int], horizon: int
) -> list[AblationRow]:
    """One row for each group.

    Args:
        groups: From `read_ablation`; on the same labels.
        own: The group of the run's own networks.
        width: Inputs of a bar of a group's networks.
        horizon: Bars ahead.
    """
    rows, none = [], groups.get("none")
    for group, test in groups.items():
        spread = member_spread([_scores(test, forecast) for forecast in test.members.values()])
        mean = mean_forecast(test)
        against = None if none is None or test is none else _against(test, mean, mean_forecast(none), horizon)
        rows.append(
            AblationRow(
                inputs=group,
                own=group == own,
                features=width(group),
                rmse_return=spread["rmse_return"],
                r2_oos=spread.get("r2_oos"),
                skill=spread.get("skill"),
                mean_r2_oos=_scores(test, mean)["r2_oos"],
                against_none=against,
            )
        )
    return rows


def mean_forecast(test: Forecasts) -> FloatArray:
    """The mean forecast of all seeds, log-return (n,)."""
    mean: FloatArray = np.mean(list(test.members.values()), axis=0)
    return mean


def _scores(test: Forecasts, forecast: FloatArray) -> dict[str, float]:
    """The figures of one forecast of all labels, every date weighing the same; NaN where one cannot be computed."""
    found = metrics.scores(test.last_close, test.actual, forecast, test.origin)
    return {name: float(found[name][0]) for name in _FIGURES}


def _against(test: Forecasts, model: FloatArray, none: FloatArray, horizon: int) -> AgainstNone:
    """The tests of a mean forecast against that of the networks without exogenous columns."""
    compared = diebold_mariano((model - test.actual) ** 2, (none - test.actual) ** 2, test.origin, horizon=horizon)
    nested = clark_west(test.actual, model, none, test.origin, horizon=horizon)
    return AgainstNone(**asdict(compared), cw_statistic=nested.statistic, cw_p=nested.p)
