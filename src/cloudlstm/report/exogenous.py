"""Builds the section of the report on features beyond the eight."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from cloudlstm.config import RunConfig
from cloudlstm.dataset.folds import Fold
from cloudlstm.dataset.inputs import chosen_features
from cloudlstm.evaluation.ablation import ablation_rows, read_ablation
from cloudlstm.evaluation.correlations import correlations
from cloudlstm.evaluation.scored import Scored
from cloudlstm.features import EIGHT
from cloudlstm.report.exogenous_models import Exogenous, FeatureImportance, Importance, RefusedRows, Sources
from cloudlstm.report.sections import Manifests, facts_of
from cloudlstm.runs.manifest import Manifest, read_object
from cloudlstm.training.objects import IMPORTANCE


def exogenous_section(
    config: RunConfig, manifests: Manifests, folds: Sequence[Fold], scored: Scored
) -> Exogenous | None:
    """What features beyond the eight bring; None for a run without such features.

    Args:
        config: The run's configuration.
        manifests: Step -> manifest, None for a step without one.
        folds: The windows of every fold.
        scored: The forecasts of the run's own networks.

    Raises:
        DataError: networks of the ablation forecast other labels.
    """
    train, features = manifests.get("train"), folds[0].splits["test"].features
    if train is None or features.width == EIGHT.width:
        return None
    own, horizon = config.exogenous.own_inputs, config.dataset.horizon_bars
    groups = read_ablation(train, scored.test, own)
    return Exogenous(
        inputs=own,
        ablation=tuple(ablation_rows(groups, own, lambda group: chosen_features(features, group).width, horizon)),
        correlations=tuple(correlations([fold.splits["test"] for fold in folds], features, horizon)),
        importance=_importance(train),
        sources=_sources(manifests.get("exogenous")),
    )


def _importance(train: Manifest) -> Importance | None:
    """The importance that training stored; None if it stored none."""
    for row in train.of_kind(IMPORTANCE):
        document = json.loads(read_object(row))
        features = tuple(map(_feature, document["features"]))
        return Importance.model_validate({**document, "features": features})
    return None


def _feature(row: Mapping[str, Any]) -> FeatureImportance:
    known = [value for value in row["increases"] if value is not None]
    return FeatureImportance(
        feature=row["feature"],
        group=row["group"],
        increase=sum(known) / len(known) if known else None,
        low=min(known, default=None),
        high=max(known, default=None),
    )


def _sources(manifest: Manifest | None) -> Sources | None:
    """What the step "exogenous" found; None for a run without it."""
    if manifest is None:
        return None
    facts = facts_of(manifest)
    refused = sorted((facts.get("refused") or {}).items(), key=lambda item: (-item[1], item[0]))
    return Sources(
        rows=facts.get("rows"),
        refused=tuple(RefusedRows(reason=reason, rows=rows) for reason, rows in refused),
        scorer=facts.get("scorer") or None,
        missing=tuple(facts.get("missing") or ()),
        notes=tuple(facts.get("notes") or ()),
    )
