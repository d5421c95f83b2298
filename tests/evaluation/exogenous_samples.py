"""A made-up section of further features for tests of the report."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cloudlstm.evaluation.exogenous_rows import INPUTS_GROUPS, AblationRow, AgainstNone, ColumnCorrelation
from cloudlstm.evaluation.quant_rows import Spread
from cloudlstm.features import FEATURES
from cloudlstm.report.exogenous_models import Exogenous, FeatureImportance, Importance, RefusedRows, Sources

COLUMNS = ("macro_vixcls", "macro_vixcls_age_days", "news_count", "news_mean", "news_strongest", "news_novelty")


def make_exogenous(
    columns: Sequence[str] = COLUMNS, *, seeds: int = 3, seed: int = 0, scale: float = 1.0, words: Sequence[str] = ()
) -> Exogenous:
    """A section with an ablation of all groups.

    Args:
        columns: Names of the features beyond the eight.
        seeds: Networks of each group.
        seed: Of the numbers.
        scale: How many times larger errors are than usual ones.
        words: Missing sources, notes and reasons.
    """
    rng = np.random.default_rng(seed)

    def spread(middle: float, error: float) -> Spread:
        found = middle + error * rng.standard_normal(seeds)
        sd = float(found.std(ddof=1)) if seeds > 1 else None
        return Spread(members=seeds, mean=float(found.mean()), sd=sd, min=float(found.min()), max=float(found.max()))

    rows = []
    for number, group in enumerate(INPUTS_GROUPS):
        share = float(scale * rng.normal(-0.002, 0.004))
        against = AgainstNone(
            dates=240, difference=share, low=share - 0.004 * scale, high=share + 0.003 * scale, statistic=-1.2, p=0.23,
            cw_statistic=1.7, cw_p=0.046,
        )  # fmt: skip
        rows.append(
            AblationRow(
                inputs=group, own=group == "both", features=8 + 2 * number, rmse_return=spread(0.019, 1e-5),
                r2_oos=spread(-0.001, 0.001), skill=spread(-0.001, 0.001), mean_r2_oos=-0.0005,
                against_none=None if group == "none" else against,
            )
        )  # fmt: skip
    correlations = [
        ColumnCorrelation(
            feature=name, group="macro" if name.startswith("macro") else "news", unit="score", labels=4000, missing=120,
            dates=230, same_day=float(rng.uniform(-0.4, 0.4)), same_day_p=0.0004,
            next_return=float(rng.uniform(-0.05, 0.05)), next_return_p=0.41,
        )
        for name in columns
    ]  # fmt: skip
    features = []
    for name, group in [*((each.name, each.group) for each in FEATURES), *((name, "news") for name in columns)]:
        low, middle, high = sorted((scale * rng.normal(0.003, 0.004, 3)).tolist())
        features.append(FeatureImportance(feature=name, group=group, increase=middle, low=low, high=high))
    return Exogenous(
        inputs="both",
        ablation=tuple(rows),
        correlations=tuple(correlations),
        importance=Importance(seed=1, fold=0, windows=4096, of=12_000, repeats=3, mse=4e-4, features=tuple(features)),
        sources=Sources(
            rows=120_000,
            refused=tuple(RefusedRows(reason=word, rows=35) for word in words or ("no_time",)),
            scorer="vader 3.3.2",
            missing=tuple(words),
            notes=tuple(words) or ("Vintages of VIXCLS are assumed from a table of release lags.",),
        ),
    )
