"""How much results differ between members of an ensemble, and what averaging their forecasts brings.

Members are networks that differ in their seed only, trained and tested on the same dates. The spread of a figure over
them says how far a single network's result depends on its seed. It says nothing about other dates: all members see the
same returns, so the interval of a figure comes from its test over dates, not from this spread.

The squared error of a mean forecast obeys, on every label and so in every mean,

    mean of the members' squared errors = squared error of their mean + mean squared distance from their mean.

So the ensemble is never worse than its members are on average, and it gains exactly their distance (ambiguity).

Krogh, Vedelsby: Neural network ensembles, cross validation, and active learning. Advances in Neural Information
Processing Systems 7, 1995.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cloudlstm.evaluation.metrics import date_weights
from cloudlstm.evaluation.quant_rows import Ambiguity, Spread
from cloudlstm.evaluation.significance import FloatArray, IntArray


def member_spread(members: Sequence[Mapping[str, Any]]) -> dict[str, Spread]:
    """Mean, standard deviation, smallest and largest value of every figure over the members.

    Args:
        members: Figure -> value of each member, such as `ModelScores.model_dump()`. Text is left out. A member without
            a figure (None or NaN) does not count for it.

    Returns:
        Figure -> spread, in the order of the first member that has it; figures that no member has are left out.
    """
    values: dict[str, list[float]] = {}
    for member in members:
        for name, value in member.items():
            if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
                values.setdefault(name, []).append(float(value))
    return {
        name: Spread(
            members=len(known),
            mean=float(np.mean(known)),
            sd=float(np.std(known, ddof=1)) if len(known) > 1 else None,
            min=min(known),
            max=max(known),
        )
        for name, known in values.items()
    }


def ambiguity(actual: FloatArray, members: FloatArray, origin: IntArray) -> Ambiguity:
    """Divides the members' mean squared return error into that of their mean forecast and their distance from it.

    Args:
        actual: Realised log-return (n,), n > 0.
        members: Forecast log-return of each member (members, n).
        origin: Origin date of each label, in any integer form; every date weighs the same (n,).
    """
    weight = date_weights(origin)
    weight /= weight.sum()
    ensemble = members.mean(axis=0)
    return Ambiguity(
        members=len(members),
        member_mse=float(np.mean([weight @ (member - actual) ** 2 for member in members])),
        ensemble_mse=float(weight @ (ensemble - actual) ** 2),
        distance=float(np.mean([weight @ (member - ensemble) ** 2 for member in members])),
    )
