"""Builds the evidence section of the report."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from cloudlstm.config import RunConfig
from cloudlstm.dataset.folds import embargo_of
from cloudlstm.evaluation import intervals, scoring
from cloudlstm.evaluation.folds import fold_scores, mean_member_test
from cloudlstm.evaluation.forecasts import Forecasts
from cloudlstm.evaluation.groups import by_group, by_regime, by_sector
from cloudlstm.evaluation.ic_series import ic_series
from cloudlstm.evaluation.portfolio import decile_portfolio
from cloudlstm.evaluation.quant_rows import FoldScores
from cloudlstm.evaluation.scored import Scored, combined
from cloudlstm.evaluation.sessions import evidence_horizon
from cloudlstm.evaluation.spread import ambiguity, member_spread
from cloudlstm.report.evidence_models import Evidence, FoldEvidence, Member, ModelPooled, SeedScores
from cloudlstm.report.sections import facts_of
from cloudlstm.runs.manifest import Manifest


def evidence(
    scored: Scored,
    config: RunConfig,
    train: Manifest | None,
    nesting: Collection[str],
    sectors: Mapping[str, str] | None = None,
) -> Evidence:
    """The evidence of a run.

    Args:
        scored: The forecasts of all models.
        config: The run's configuration.
        train: The manifest of the step "train".
        nesting: The models that contain the naive forecast.
        sectors: Ticker -> sector; None without a table of sectors.
    """
    test, horizon, least = scored.test, evidence_horizon(config), config.evaluation.ic_min_tickers
    model, names = combined(test), [str(number) for number in range(len(scored.fits))]
    by_fold = {
        each: fold_scores(test, each, scored.fold, names, horizon, least) for each in test.models if each != "naive"
    }
    several_seeds, walk = len(test.members) > 1, config.evaluation.walk.mode != "off"
    seeds = tuple(_seed_scores(test, nesting, horizon, least)) if several_seeds else ()
    networks = np.array(list(test.members.values())) if several_seeds else np.zeros((0, len(test)))
    signal = test.ticker, test.origin, test.actual, test.models[model]
    regimes, regime_names = by_regime(test.session, scored.volatility)
    grouped = by_sector(test.tickers, test.ticker, sectors) if sectors else None
    return Evidence(
        model=model,
        embargo_bars=embargo_of(config) if walk else None,
        seeds=seeds,
        spread=member_spread([row.model_dump(exclude={"seed"}) for row in seeds]),
        ambiguity=ambiguity(test.actual, networks, test.session) if several_seeds else None,
        mean_member=mean_member_test(test.actual, networks, test.session, horizon) if several_seeds else None,
        folds=tuple(_folds(scored, by_fold, train)),
        over_folds=tuple(
            ModelPooled(model=name, better=each.better, pooled=each.pooled) for name, each in by_fold.items()
        )
        if len(scored.fits) > 1
        else (),
        members=tuple(_members(train)),
        coverage=intervals.coverage(
            scored.levels, scored.halves, test.actual, test.models["calibrated"], test.session, horizon
        ),
        regimes=tuple(by_group(test, model, regimes, regime_names, horizon, least)),
        sectors=tuple(by_group(test, model, *grouped, horizon, least)) if grouped else (),
        coefficients=ic_series(test, model, least),
        portfolio=decile_portfolio(
            *signal, config.dataset.horizon_bars, least, config.evaluation.cost_bps,
            None if test.sessions is None else test.session, horizon,
        ),
    )  # fmt: skip


def _seed_scores(test: Forecasts, nesting: Collection[str], horizon: int, least: int) -> Sequence[SeedScores]:
    """The scores of each seed over all folds, as those of the row "lstm"."""
    rows = []
    for seed, forecast in test.members.items():
        own = replace(test, models={"naive": test.models["naive"], "lstm": forecast})
        tests = scoring.compare_models(own, horizon, nesting)
        _, scores = scoring.score_models(own, tests, horizon=horizon, ic_min_tickers=least)
        rows.append(SeedScores(seed=seed, **scores.model_dump()))
    return rows


def _folds(scored: Scored, scores: Mapping[str, FoldScores], train: Manifest | None) -> Sequence[FoldEvidence]:
    """Every fold in the order of time.

    Args:
        scored: The forecasts of all models.
        scores: Model -> its scores by fold.
        train: The manifest of the step "train".
    """
    dates = list(facts_of(train).get("folds") or ())
    found = []
    for number, fit in enumerate(scored.fits):
        own = dates[number] if number < len(dates) else {}
        found.append(
            FoldEvidence(
                fold=number,
                train=own.get("train"),
                validation=own.get("validation"),
                test=own.get("test"),
                slope=fit.slope,
                ridge_alpha=fit.baselines.ridge_alpha,
                scores=tuple(row for each in scores.values() for row in each.folds if row.group == str(number)),
            )
        )
    return found


def _members(train: Manifest | None) -> Sequence[Member]:
    rows = []
    for facts in facts_of(train).get("members") or ():
        windows = facts.get("windows") or {}
        ablation = bool(facts.get("ablation"))
        rows.append(Member.model_validate({**facts, "ablation": ablation, "windows": windows.get("train")}))
    return rows
