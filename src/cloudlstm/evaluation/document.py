"""Puts report.json together: judged forecasts, and what the manifests of the steps before have to say.

Facts in a manifest are free-form: what a step does not tell is null in the report, never guessed.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from cloudlstm import __version__
from cloudlstm.config import RunConfig
from cloudlstm.evaluation import environment, judge
from cloudlstm.evaluation.forecasts import DayArray, Forecasts
from cloudlstm.evaluation.headline import headline, verdict
from cloudlstm.evaluation.judge import Row, plain
from cloudlstm.evaluation.metrics import METRICS
from cloudlstm.evaluation.series import iso, series
from cloudlstm.manifest import Manifest
from cloudlstm.steps import STEPS

SCHEMA_VERSION = 1

UNITS = {"ingest": "rows", "clean": "rows", "features": "rows", "sequences": "windows", "train": "windows"}
"""What each step counts."""

SYNTHETIC = (
    "The market is made up by a random generator with a fixed seed. Nothing here says anything about real prices."
)
SURVIVORSHIP = (
    "The universe was chosen with today's knowledge: companies that failed or left the exchange are missing, so levels "
    "of return look better than they were. Comparisons between models on the same labels suffer less, but are not immune."
)
COSTS = (
    "Figures are forecast errors, not trading results: no costs, no capacity, no risk. The best of many runs on one test "
    "period is an optimistic choice."
)


@dataclass(frozen=True, slots=True)
class Baselines:
    """What fitting the baselines left to tell.

    Attributes:
        ridge_alpha: The penalty that the validation split chose.
        ridge_losses: Penalty -> mean squared error on the validation split, normalised; None where it has no label.
        drift_pooled: Mean log-return over all training labels.
        seconds: Wall-clock seconds that both took.
    """

    ridge_alpha: float
    ridge_losses: Mapping[float, float | None]
    drift_pooled: float
    seconds: float


def document(
    run_id: str,
    config: RunConfig,
    manifests: Mapping[str, Manifest | None],
    splits: Mapping[str, Forecasts],
    beyond: DayArray,
    baselines: Baselines,
) -> dict[str, Any]:
    """The whole report, JSON-ready and without NaN.

    Args:
        run_id: The run.
        config: Its configuration.
        manifests: Step -> manifest, None where a step has none.
        splits: The judged forecasts by split; "test" must be there.
        beyond: Target dates of the split "forecast", days since 1970-01-01.
        baselines: What fitting them left to tell.
    """
    test, horizon = splits["test"], config.dataset.horizon_bars
    tests = judge.compare(test, horizon)
    models = judge.pooled(test, tests, horizon=horizon, ic_min_tickers=config.evaluation.ic_min_tickers)
    per_ticker = judge.by_ticker(test)
    rows = {row["model"]: row for row in models}
    dates = len(np.unique(test.origin))
    found: dict[str, Any] = plain(
        {
            "schema_version": SCHEMA_VERSION,
            "run_id": run_id,
            "created": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            "headline": headline(rows["lstm"], rows["naive"], dates=dates),
            "verdict": verdict(rows["lstm"]["dm_p"], rows["lstm"]["r2_oos"]),
            "universe": _universe(config, manifests, splits),
            "data": _data(config, manifests),
            "splits": _splits(config, manifests, splits),
            "settings": _settings(config),
            "metrics": [asdict(metric) for metric in METRICS],
            "models": models,
            "dm": tests,
            "per_year": judge.by_year(test),
            "per_ticker": per_ticker,
            "baselines": _baselines(baselines),
            "forecasts": _forecasts(splits.get("forecast"), beyond, per_ticker),
            "training": _training(manifests.get("train")),
            "quality": _quality(manifests.get("clean")),
            "steps": _steps(manifests, baselines, len(test)),
            "benchmark": _benchmark(config, manifests),
            "environment": _environment(config, manifests),
            "caveats": _caveats(config, manifests),
            "series": series(test, per_ticker),
        }
    )
    return found


def _facts(manifest: Manifest | None) -> Mapping[str, Any]:
    return manifest.facts if manifest else {}


def _first(facts: Mapping[str, Any], *names: str) -> Any:
    """The first of the facts that is there."""
    return next((facts[name] for name in names if facts.get(name) is not None), None)


def _rows(manifest: Manifest | None, *, without: tuple[str, ...] = ()) -> int | None:
    if manifest is None:
        return None
    return sum(row.rows for row in manifest.objects if row.kind not in without)


def _synthetic(config: RunConfig, manifests: Mapping[str, Manifest | None]) -> bool:
    told = _facts(manifests.get("ingest")).get("synthetic")
    return config.market.source == "synthetic" if told is None else bool(told)


def _universe(
    config: RunConfig, manifests: Mapping[str, Manifest | None], splits: Mapping[str, Forecasts]
) -> list[str]:
    told = _facts(manifests.get("ingest")).get("universe")
    if isinstance(told, list | tuple) and told:
        return [str(name) for name in told]
    judged = {name for split in splits.values() for name in split.tickers}
    return sorted(judged | set(config.universe.tickers))


def _data(config: RunConfig, manifests: Mapping[str, Manifest | None]) -> Row:
    ingest = manifests.get("ingest")
    facts = _facts(ingest)
    synthetic = _synthetic(config, manifests)
    return {
        "source": config.market.source,
        "description": _first(facts, "description", "source_description"),
        "synthetic": synthetic,
        "path": config.market.path,
        "calendar": config.market.calendar,
        "rows": _first(facts, "rows", "bars") or _rows(ingest),
        "tickers": _first(facts, "n_tickers", "tickers") if not isinstance(facts.get("tickers"), list) else len(facts["tickers"]),
        "first_date": str(_first(facts, "first_date", "start") or config.market.start),
        "last_date": str(_first(facts, "last_date", "end") or config.market.end),
        "hash": ingest.digest() if ingest else None,
    }  # fmt: skip


def _splits(
    config: RunConfig, manifests: Mapping[str, Manifest | None], splits: Mapping[str, Forecasts]
) -> list[Row]:
    sequences = manifests.get("sequences")
    day = dt.timedelta(days=1)
    first_validation, first_test = config.dataset.train_end + day, config.dataset.validation_end + day
    ranges = {
        "train": (config.market.start, config.dataset.train_end),
        "validation": (first_validation, config.dataset.validation_end),
        "test": (first_test, config.market.end),
    }
    rows = []
    for name, (first, last) in ranges.items():
        stored = sequences.of_kind(name) if sequences else []
        judged = splits.get(name)
        rows.append(
            {
                "split": name,
                "first_date": str(first),
                "last_date": str(last),
                "windows": sum(row.rows for row in stored) if stored else len(judged) if judged else None,
                "tickers": len(judged.tickers) if judged else None,
            }
        )
    return rows


def _settings(config: RunConfig) -> Row:
    chosen = config.model_dump(mode="json", include={"dataset", "model", "train", "evaluation"})
    return {section: dict(sorted(values.items())) for section, values in sorted(chosen.items())}


def _baselines(baselines: Baselines) -> Row:
    return {
        "ridge_alpha": baselines.ridge_alpha,
        "ridge_validation": [{"alpha": alpha, "mse": mse} for alpha, mse in sorted(baselines.ridge_losses.items())],
        "drift_pooled": baselines.drift_pooled,
        "seconds": baselines.seconds,
    }


def _forecasts(split: Forecasts | None, beyond: DayArray, per_ticker: list[Row]) -> Row:
    """The forecasts beyond the last bar; those of tickers whose bars ended earlier than the others' are only counted."""
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


def _training(train: Manifest | None) -> Row:
    facts = _facts(train)
    history = []
    for number, epoch in enumerate(facts.get("history") or [], start=1):
        history.append(
            {
                "epoch": int(_first(epoch, "epoch") or number),
                "loss": _first(epoch, "loss", "train_loss"),
                "val_loss": _first(epoch, "val_loss", "validation_loss"),
                "learning_rate": _first(epoch, "learning_rate", "lr"),
                "seconds": _first(epoch, "seconds"),
            }
        )
    return {
        "history": history,
        "best_epoch": _first(facts, "best_epoch"),
        "best_val_loss": _first(facts, "best_val_loss", "best_validation_loss", "validation_loss"),
        "naive_val_loss": _first(facts, "naive_val_loss", "naive_validation_loss"),
        "stopped": _first(facts, "stopped", "stop_reason"),
        "steps": _first(facts, "steps", "global_steps"),
        "parameters": _first(facts, "parameters", "n_parameters"),
    }


def _quality(clean: Manifest | None) -> Row:
    facts = _facts(clean)
    reasons = _first(facts, "refused_by_reason", "reasons", "by_reason") or {}
    kept = sum(row.rows for row in clean.objects if row.kind != "quarantine") if clean else None
    refused = sum(row.rows for row in clean.of_kind("quarantine")) if clean else None
    refused = facts.get("refused", refused) if isinstance(facts.get("refused", refused), int) else refused
    arrived = _first(facts, "rows_in", "bars_in", "rows")
    share = refused / arrived if refused is not None and arrived else _first(facts, "refused_fraction")
    return {
        "rows_in": arrived,
        "rows_out": kept,
        "refused": refused,
        "refused_fraction": share,
        "filled": _first(facts, "filled", "rows_filled"),
        "segments": _first(facts, "segments"),
        "reasons": [
            {"reason": str(reason), "rows": rows}
            for reason, rows in sorted(reasons.items(), key=lambda entry: (-entry[1], entry[0]))
        ],
    }


def _steps(manifests: Mapping[str, Manifest | None], baselines: Baselines, forecasts: int) -> list[Row]:
    rows = []
    for step in STEPS:
        manifest = manifests.get(step.name)
        seconds: float | None
        if step.name == "evaluate":
            # The report cannot know how long writing itself took; the baselines are what takes time.
            seconds, count, unit = baselines.seconds, forecasts, "forecasts"
        else:
            seconds = manifest.seconds if manifest else None
            told = _first(_facts(manifest), "windows_trained", "samples") if step.name == "train" else None
            count = told if told is not None else _step_rows(step.name, manifest)
            unit = UNITS[step.name]
        rate = count / seconds if count and seconds else None
        if step.name == "evaluate":
            rate = None
        rows.append(
            {"step": step.name, "title": step.title, "seconds": seconds, "rows": count, "unit": unit, "rate": rate}
        )
    return rows


def _step_rows(step: str, manifest: Manifest | None) -> int | None:
    if step == "train":
        return None  # its objects are forecasts, not what it worked through
    return _rows(manifest, without=("quarantine",))


def _benchmark(config: RunConfig, manifests: Mapping[str, Manifest | None]) -> Row:
    facts = _facts(manifests.get("train"))
    return {
        "workers": _first(facts, "workers") or config.train.workers,
        "device": _first(facts, "device"),
        "train_windows_per_second": _first(facts, "windows_per_second", "train_windows_per_second"),
        "single_worker_windows_per_second": None,
        "speed_up": None,
        "efficiency": None,
        "cost_usd": None,
    }


def _environment(config: RunConfig, manifests: Mapping[str, Manifest | None]) -> Row:
    told: dict[str, Any] = {}
    for manifest in manifests.values():
        versions = _facts(manifest).get("versions")
        if isinstance(versions, Mapping):
            told |= {str(name): str(version) for name, version in versions.items()}
    packages = environment.versions() | {"cloudlstm": __version__} | told
    return {
        "machine": environment.machine(),
        "python": environment.python(),
        "packages": dict(sorted(packages.items())),
        "seeds": {
            "train": config.train.seed,
            "market": config.market.synthetic.seed if config.market.source == "synthetic" else None,
        },
    }


def _caveats(config: RunConfig, manifests: Mapping[str, Manifest | None]) -> list[Row]:
    first = ("synthetic", SYNTHETIC) if _synthetic(config, manifests) else ("survivorship", SURVIVORSHIP)
    return [{"name": name, "text": text} for name, text in (first, ("no trading result", COSTS))]
