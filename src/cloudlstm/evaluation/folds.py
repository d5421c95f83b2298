"""Walk-forward results: scores by fold, one test over all folds, and a test of several members.

A fold is a test period with a model that was trained on dates before it. The folds follow each other in time, so their
dates together are one longer test period in which the model was trained again from time to time.

- The pooled test is the Diebold-Mariano test over the dates of all folds: one number per date, every date weighs the
  same, so a long fold counts more than a short one. Not the folds are the unit of evidence: a handful of them would
  give no test, and p-values of folds must not be averaged. A date in two folds is one date, the mean of its labels.
- Several members (seeds) on the same dates are no further evidence about the market: they see the same returns. On each
  date their loss differences to naive are averaged, then the dates are tested. The hypothesis is that a member drawn at
  random has the same expected loss as naive, on average over the members that exist. The interval holds for
  other dates, not for other seeds; for those see `spread.member_spread`. It is not a test of the mean forecast, whose
  loss is smaller (`spread.ambiguity`).

Diebold, Mariano: Comparing predictive accuracy. Journal of Business & Economic Statistics 13(3), 1995.
Giacomini, White: Tests of conditional predictive ability. Econometrica 74(6), 2006, for models that are trained again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from cloudlstm.evaluation.forecasts import CodeArray, Forecasts
from cloudlstm.evaluation.groups import by_group
from cloudlstm.evaluation.quant_rows import FoldScores, PooledTest
from cloudlstm.evaluation.significance import FloatArray, IntArray, diebold_mariano


def fold_scores(
    forecasts: Forecasts, model: str, codes: CodeArray, names: Sequence[str], horizon: int, ic_min_tickers: int
) -> FoldScores:
    """Scores of one model by fold, and the test over all folds.

    Args:
        forecasts: Labels of all folds with the forecasts of the model.
        model: Name of the model in `forecasts.models`.
        codes: Index into `names` of each label's fold; -1 for labels in no fold (n,).
        names: Names of the folds, in the order of time.
        horizon: Bars ahead.
        ic_min_tickers: Dates with fewer tickers do not count for the information coefficients.
    """
    folds = tuple(by_group(forecasts, model, codes, names, horizon, ic_min_tickers))
    tested = codes >= 0
    actual = forecasts.actual[tested]
    loss = (forecasts.models[model][tested] - actual) ** 2
    return FoldScores(
        folds=folds,
        better=sum(fold.difference is not None and fold.difference < 0.0 for fold in folds),
        pooled=_pooled(loss, actual, forecasts.session[tested], horizon),
    )


def mean_member_test(actual: FloatArray, members: FloatArray, origin: IntArray, horizon: int) -> PooledTest:
    """Tests whether members are better than naive on average, on the dates that they share.

    Args:
        actual: Realised log-return (n,).
        members: Forecast log-return of each member (members, n).
        origin: Origin date of each label, in any integer form (n,).
        horizon: Bars ahead.
    """
    loss = np.zeros(len(actual))
    for member in members:
        loss += (member - actual) ** 2 / len(members)
    return _pooled(loss, actual, origin, horizon)


def _pooled(loss: FloatArray, actual: FloatArray, origin: IntArray, horizon: int) -> PooledTest:
    return PooledTest(**asdict(diebold_mariano(loss, actual**2, origin, horizon=horizon)))
