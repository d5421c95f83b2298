"""Builds the report from forecasts, step manifests and the configuration."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cloudlstm.config import RunConfig
from cloudlstm.costs.usage import Usage
from cloudlstm.evaluation import scoring
from cloudlstm.evaluation.baselines import BaselineFit
from cloudlstm.evaluation.forecasts import DayArray, Forecasts
from cloudlstm.evaluation.rows import TickerScores
from cloudlstm.evaluation.scored import Scored
from cloudlstm.evaluation.sessions import evidence_horizon
from cloudlstm.market.interval import texts_of
from cloudlstm.report import sections
from cloudlstm.report.caveats import across_close, caveats
from cloudlstm.report.chart_data import chart_data
from cloudlstm.report.evidence import evidence
from cloudlstm.report.exogenous_models import Exogenous
from cloudlstm.report.glossary import METRICS
from cloudlstm.report.models import (
    SCHEMA_VERSION,
    Baselines,
    Forecast,
    NextForecasts,
    PriceInterval,
    Report,
    RidgeLoss,
    Settings,
)
from cloudlstm.report.run_models import Epoch
from cloudlstm.report.summary import find_test, headline, verdict
from cloudlstm.report.terms import TERMS, terms_within_a_day
from cloudlstm.report.timeline import Timing, step_rows, timeline
from cloudlstm.runs.manifest import Manifest


@dataclass(frozen=True, slots=True)
class ReportInputs:
    """Everything that a report is built from.

    Attributes:
        run_id: The run.
        config: Its configuration.
        manifests: Step -> manifest, None for a step without one.
        history: Epochs of training in their order.
        scored: The forecasts of all models.
        next_session_dates: Target dates of the split "forecast", days since 1970-01-01 (n,).
        label_dates: Split -> first and last target date of its labels, as ISO dates; without the splits that have none.
        turnover: Ticker -> close x volume in dollars a session, at the end of the test split.
        windows: Number of windows that the evaluation read; None if not counted.
        timing: Times of the attempt and of the evaluation.
        usage: Machines that the run has used on a cloud, over all attempts.
        sectors: Ticker -> sector; None without a table of sectors.
        exogenous: What features beyond the eight bring; None for a run without them.
    """

    run_id: str
    config: RunConfig
    manifests: Mapping[str, Manifest | None]
    history: Sequence[Epoch]
    scored: Scored
    next_session_dates: DayArray
    label_dates: Mapping[str, tuple[str, str]]
    turnover: Mapping[str, float]
    windows: int | None
    timing: Timing
    usage: Sequence[Usage] = ()
    sectors: Mapping[str, str] | None = None
    exogenous: Exogenous | None = None


def build_report(inputs: ReportInputs) -> Report:
    """Scores the test split and builds the whole report."""
    config, manifests, scored = inputs.config, inputs.manifests, inputs.scored
    test, baselines = scored.test, scored.fits[-1].baselines
    horizon = evidence_horizon(config)
    # A network on price levels cannot repeat the last close exactly, so naive is not nested in it.
    networks = {"lstm", "ensemble", "calibrated"}
    nesting = scoring.NESTING - (networks if config.train.inputs == "levels" else set())
    tests = scoring.compare_models(test, horizon, nesting)
    models = scoring.score_models(test, tests, horizon=horizon, ic_min_tickers=config.evaluation.ic_min_tickers)
    per_ticker = scoring.score_by_ticker(test)
    by_name = {str(row.model): row for row in models}
    training = sections.training_section(
        manifests.get("train"), inputs.history, baselines.naive_validation_loss
    )  # fmt: skip
    quality = sections.quality_section(manifests.get("clean"))
    forecasts = _next_forecasts(scored, inputs.next_session_dates, per_ticker)
    members = sections.members_section(manifests.get("sequences"))
    found = evidence(scored, config, manifests.get("train"), nesting, inputs.sectors)
    return Report(
        schema_version=SCHEMA_VERSION,
        run_id=inputs.run_id,
        created=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        headline=headline(
            by_name, tests, dates=len(np.unique(test.session)), evidence=found,
            date_word="date" if test.unit == "D" else "session",
        ),
        verdict=verdict(find_test(tests, "naive")),
        universe=_universe(config, scored),
        data=sections.data_section(config, manifests),
        splits=tuple(sections.split_sections(inputs.label_dates, manifests.get("sequences"))),
        settings=Settings.model_validate(config.model_dump(mode="json")),
        config=config.model_dump(mode="json"),
        metrics=METRICS,
        terms=TERMS if test.unit == "D" else terms_within_a_day(),
        models=tuple(models),
        dm=tuple(tests),
        per_year=tuple(scoring.score_by_year(test)),
        per_ticker=tuple(per_ticker),
        baselines=_baselines(baselines),
        evidence=found,
        exogenous=inputs.exogenous,
        forecasts=forecasts,
        training=training,
        quality=quality,
        steps=tuple(step_rows(manifests, inputs.timing, inputs.windows)),
        timeline=timeline(manifests, inputs.timing),
        benchmark=sections.benchmark_section(config, manifests),
        cost=sections.cost_section(inputs.usage),
        environment=sections.environment_section(config, manifests),
        caveats=(
            *caveats(config, training, quality, forecasts, members, inputs.exogenous), *across_close(config, forecasts),
        ),
        series=chart_data(test, per_ticker, inputs.turnover, horizon=horizon),
    )  # fmt: skip


def _universe(config: RunConfig, scored: Scored) -> tuple[str, ...]:
    found = set(scored.test.tickers) | set(scored.forecast.tickers if scored.forecast else ())
    return tuple(sorted((found | set(config.universe.tickers)) - set(config.universe.exclude)))


def _baselines(fit: BaselineFit) -> Baselines:
    losses = tuple(RidgeLoss(alpha=alpha, mse=mse) for alpha, mse in sorted(fit.ridge_losses.items()))
    return Baselines(
        ridge_alpha=fit.ridge_alpha,
        ridge_validation=losses,
        drift_pooled=fit.drift_pooled,
    )


def _next_forecasts(
    scored: Scored, target: DayArray, per_ticker: Sequence[TickerScores]
) -> NextForecasts:  # fmt: skip
    """The forecasts for the next session; tickers whose bars end before the others' are only counted."""
    split = scored.forecast
    if split is None:
        return NextForecasts(origin_date=None, target_date=None, tickers=0, ended_earlier=0, rows=())
    rmse = {row.ticker: row.rmse_return for row in per_ticker if row.model == "lstm"}
    latest = split.origin == split.origin.max()
    rows = []
    for at in np.flatnonzero(latest).tolist():
        name, close = split.tickers[split.ticker[at]], float(split.last_close[at])
        error = rmse.get(name)
        rows.append(
            Forecast(
                ticker=name,
                last_close=close,
                lstm_return=float(split.models["lstm"][at]),
                lstm_price=float(close * np.exp(split.models["lstm"][at])),
                ridge_price=float(close * np.exp(split.models["ridge"][at])),
                naive_price=close,
                ensemble_price=_price(split, "ensemble", at),
                calibrated_price=_price(split, "calibrated", at),
                intervals=_intervals(scored, split, at),
                typical_error_price=None if error is None else close * error,
            )
        )
    return NextForecasts(
        origin_date=texts_of(split.origin[latest][:1], split.unit)[0],
        target_date=texts_of(target[latest][:1], split.unit)[0],
        tickers=len(split),
        ended_earlier=int((~latest).sum()),
        rows=tuple(rows),
    )


def _price(split: Forecasts, model: str, at: int) -> float | None:
    """The forecast price of one label; None if the run has no such model."""
    if model not in split.models:
        return None
    return float(split.last_close[at] * np.exp(split.models[model][at]))


def _intervals(scored: Scored, split: Forecasts, at: int) -> tuple[PriceInterval, ...]:
    """The intervals of one forecast price."""
    found = []
    for level, half in zip(scored.levels, scored.forecast_halves[:, at], strict=True):
        middle, close = float(split.models["calibrated"][at]), float(split.last_close[at])
        known = np.isfinite(half)
        low, high = (float(close * np.exp(middle + sign * half)) if known else None for sign in (-1.0, 1.0))
        found.append(PriceInterval(level=level, low=low, high=high))
    return tuple(found)
