"""Puts report.json together: judged forecasts, and what the manifests of the steps before have to say."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from cloudlstm.config import RunConfig
from cloudlstm.evaluation import scoring
from cloudlstm.evaluation.baselines import Fitted
from cloudlstm.evaluation.forecasts import DayArray, Forecasts
from cloudlstm.evaluation.metrics import METRICS
from cloudlstm.evaluation.scoring import Row, plain
from cloudlstm.report import sections, timeline
from cloudlstm.report.chart_data import iso, series
from cloudlstm.report.glossary import TERMS
from cloudlstm.report.summary import headline, verdict
from cloudlstm.runs.manifest import Manifest

SCHEMA_VERSION = 2
"""2 adds timeline, terms, config, coverage, withdrawn labels, monthly errors and a sample of forecasts to 1."""

SYNTHETIC = (
    "The market is made up by a random generator with a fixed seed. Nothing here says anything about real prices."
)
SURVIVORSHIP = (
    "The universe was chosen with today's knowledge: companies that failed or left the exchange are missing, so levels "
    "of return look better than they were. Comparisons between models on the same labels suffer less."
)
NO_GAIN = (
    "No epoch of training improved on the untrained network in the validation split, which with relative inputs is the "
    "naive forecast: whatever the test split shows, validation gave no reason to prefer the trained one."
)
COSTS = (
    "Figures are forecast errors, not trading results: no costs, no capacity, no risk. The best of many runs on one "
    "test period is an optimistic choice."
)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What evaluation knows of itself and nobody else told.

    Attributes:
        began: When it began, seconds since the epoch.
        seconds: What it has taken so far.
        windows: Windows that it looked at; None when that was not counted.
        submitted: When the run's attempt began, seconds since the epoch; 0.0 where that is not known.
        turnover: Ticker -> close x volume in dollars a session, at the end of the test split.
    """

    began: float
    seconds: float
    windows: int | None = None
    submitted: float = 0.0
    turnover: Mapping[str, float] = field(default_factory=dict)


def document(
    run_id: str,
    config: RunConfig,
    manifests: Mapping[str, Manifest | None],
    history: Sequence[Mapping[str, Any]],
    splits: Mapping[str, Forecasts],
    beyond: DayArray,
    fitted: Fitted,
    evaluation: Evaluation,
) -> dict[str, Any]:
    """The whole report, JSON-ready and without NaN.

    Args:
        run_id: The run.
        config: Its configuration.
        manifests: Step -> manifest, None where a step has none.
        history: Training's records, one an epoch.
        splits: The judged forecasts by split; "test" must be there.
        beyond: Target dates of the split "forecast", days since 1970-01-01.
        fitted: What fitting the baselines left to tell.
        evaluation: What this step knows of itself.
    """
    test, horizon = splits["test"], config.dataset.horizon_bars
    tests = scoring.compare(test, horizon)
    models = scoring.pooled(test, tests, horizon=horizon, ic_min_tickers=config.evaluation.ic_min_tickers)
    per_ticker = scoring.by_ticker(test)
    rows = {row["model"]: row for row in models}
    dates = len(np.unique(test.origin))
    when = (manifests, evaluation.submitted, evaluation.began, evaluation.seconds)
    found: dict[str, Any] = plain(
        {
            "schema_version": SCHEMA_VERSION,
            "run_id": run_id,
            "created": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            "headline": headline(
                rows["lstm"], rows["naive"], dates=dates, baselines={name: rows[name] for name in ("drift", "ridge")}
            ),
            "verdict": verdict(rows["lstm"]["dm_p"], rows["lstm"]["r2_oos"]),
            "universe": _universe(config, splits),
            "data": sections.data(config, manifests),
            "splits": sections.splits(config, manifests.get("sequences")),
            "settings": _settings(config),
            "config": config.model_dump(mode="json"),
            "metrics": [asdict(metric) for metric in METRICS],
            "terms": [asdict(term) for term in TERMS],
            "models": models,
            "dm": tests,
            "per_year": scoring.by_year(test),
            "per_ticker": per_ticker,
            "baselines": _baselines(fitted),
            "forecasts": _forecasts(splits.get("forecast"), beyond, per_ticker),
            "training": sections.training(manifests.get("train"), history, fitted.naive_validation_loss),
            "quality": sections.quality(manifests.get("clean")),
            "steps": timeline.steps(*when, evaluation.windows),
            "timeline": timeline.spans(*when),
            "benchmark": sections.benchmark(config, manifests),
            "environment": sections.environment(config, manifests),
            "caveats": _caveats(config, sections.facts_of(manifests.get("train"))),
            "series": series(test, per_ticker, evaluation.turnover),
        }
    )
    return found


def _universe(config: RunConfig, splits: Mapping[str, Forecasts]) -> list[str]:
    judged = {name for split in splits.values() for name in split.tickers}
    return sorted(judged | set(config.universe.tickers))


def _settings(config: RunConfig) -> Row:
    chosen = config.model_dump(mode="json", include={"dataset", "model", "train", "evaluation"})
    return {section: dict(sorted(values.items())) for section, values in sorted(chosen.items())}


def _baselines(fitted: Fitted) -> Row:
    return {
        "ridge_alpha": fitted.ridge_alpha,
        "ridge_validation": [{"alpha": alpha, "mse": mse} for alpha, mse in sorted(fitted.ridge_losses.items())],
        "drift_pooled": fitted.drift_pooled,
    }


def _forecasts(split: Forecasts | None, beyond: DayArray, per_ticker: list[Row]) -> Row:
    """The forecasts beyond the last bar; those of tickers whose bars ended before the others' are counted."""
    if split is None:
        return {"origin_date": None, "target_date": None, "tickers": 0, "ended_earlier": 0, "rows": []}
    usual = {row["ticker"]: row["rmse_return"] for row in per_ticker if row["model"] == "lstm"}
    latest = split.origin == split.origin.max()
    rows = []
    for at in np.flatnonzero(latest):
        name, close = split.tickers[split.ticker[at]], split.last_close[at]
        rows.append(
            {
                "ticker": name,
                "last_close": close,
                "lstm_return": split.models["lstm"][at],
                "lstm_price": close * np.exp(split.models["lstm"][at]),
                "ridge_price": close * np.exp(split.models["ridge"][at]),
                "naive_price": close,
                "usual_miss_price": close * usual[name] if usual.get(name) is not None else None,
            }
        )
    return {
        "origin_date": iso(split.origin[latest][:1])[0],
        "target_date": iso(beyond[latest][:1])[0],
        "tickers": len(split),
        "ended_earlier": int((~latest).sum()),
        "rows": rows,
    }


def _caveats(config: RunConfig, training: Mapping[str, Any]) -> list[Row]:
    first = ("synthetic", SYNTHETIC) if config.market.source == "synthetic" else ("survivorship", SURVIVORSHIP)
    found = [first, ("no trading result", COSTS)]
    trained, untrained = training.get("validation_loss"), training.get("validation_loss_untrained")
    if training.get("best_epoch") and trained is not None and untrained is not None and trained >= untrained:
        found.append(("no gain in validation", NO_GAIN))
    return [{"name": name, "text": text} for name, text in found]
