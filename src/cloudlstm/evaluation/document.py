"""Puts report.json together: judged forecasts, and what the manifests of the steps before have to say.

Facts in a manifest are free-form: what a step does not tell is null in the report, never guessed.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from cloudlstm import __version__
from cloudlstm.config import RunConfig
from cloudlstm.evaluation import environment, judge
from cloudlstm.evaluation.baselines import Fitted
from cloudlstm.evaluation.forecasts import DayArray, Forecasts
from cloudlstm.evaluation.headline import headline, verdict
from cloudlstm.evaluation.judge import Row, plain
from cloudlstm.evaluation.metrics import METRICS
from cloudlstm.evaluation.series import iso, series
from cloudlstm.manifest import Manifest
from cloudlstm.steps import STEPS

SCHEMA_VERSION = 1

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


def document(
    run_id: str,
    config: RunConfig,
    manifests: Mapping[str, Manifest | None],
    history: Sequence[Mapping[str, Any]],
    splits: Mapping[str, Forecasts],
    beyond: DayArray,
    fitted: Fitted,
    seconds: float,
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
        seconds: What this step has taken so far.
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
            "headline": headline(
                rows["lstm"], rows["naive"], dates=dates, baselines={name: rows[name] for name in ("drift", "ridge")}
            ),
            "verdict": verdict(rows["lstm"]["dm_p"], rows["lstm"]["r2_oos"]),
            "universe": _universe(config, splits),
            "data": _data(config, manifests),
            "splits": _splits(config, manifests.get("sequences")),
            "settings": _settings(config),
            "metrics": [asdict(metric) for metric in METRICS],
            "models": models,
            "dm": tests,
            "per_year": judge.by_year(test),
            "per_ticker": per_ticker,
            "baselines": _baselines(fitted),
            "forecasts": _forecasts(splits.get("forecast"), beyond, per_ticker),
            "training": _training(manifests.get("train"), history, fitted.naive_validation_loss),
            "quality": _quality(manifests.get("clean")),
            "steps": _steps(manifests, seconds),
            "benchmark": _benchmark(config, manifests),
            "environment": _environment(config, manifests),
            "caveats": _caveats(config, _facts(manifests.get("train"))),
            "series": series(test, per_ticker),
        }
    )
    return found


def _facts(manifest: Manifest | None) -> Mapping[str, Any]:
    return manifest.facts if manifest else {}


def _universe(config: RunConfig, splits: Mapping[str, Forecasts]) -> list[str]:
    judged = {name for split in splits.values() for name in split.tickers}
    return sorted(judged | set(config.universe.tickers))


def _data(config: RunConfig, manifests: Mapping[str, Manifest | None]) -> Row:
    ingest = manifests.get("ingest")
    return {
        "source": config.market.source,
        "synthetic": config.market.source == "synthetic",
        "path": config.market.path,
        "calendar": config.market.calendar,
        "first_date": str(config.market.start),
        "last_date": str(config.market.end),
        "rows": _facts(ingest).get("rows"),
        "tickers": _facts(manifests.get("clean")).get("tickers"),
        "hash": ingest.digest() if ingest else None,
    }


def _splits(config: RunConfig, sequences: Manifest | None) -> list[Row]:
    windows = _facts(sequences).get("windows", {})
    day = dt.timedelta(days=1)
    train_end, validation_end = config.dataset.train_end, config.dataset.validation_end
    ranges = {
        "train": (config.market.start, train_end),
        "validation": (train_end + day, validation_end),
        "test": (validation_end + day, config.market.end),
    }
    return [
        {"split": name, "first_date": str(first), "last_date": str(last), "windows": windows.get(name)}
        for name, (first, last) in ranges.items()
    ]


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


def _training(train: Manifest | None, history: Sequence[Mapping[str, Any]], naive_loss: float) -> Row:
    facts = _facts(train)
    told = ("train_loss", "validation_loss", "learning_rate", "seconds", "windows_per_s")
    return {
        # Epoch 0 is the network before its first step.
        "history": [{"epoch": int(row["epoch"])} | {name: row.get(name) for name in told} for row in history],
        "best_epoch": facts.get("best_epoch"),
        "best_validation_loss": facts.get("validation_loss"),
        "naive_validation_loss": naive_loss,
        "steps": facts.get("steps"),
        "parameters": facts.get("parameters"),
    }


def _quality(clean: Manifest | None) -> Row:
    facts = _facts(clean)
    reasons = facts.get("refused")
    counted = reasons.items() if isinstance(reasons, Mapping) else ()
    return {
        "rows": facts.get("rows"),
        "kept": facts.get("kept"),
        "filled": facts.get("filled"),
        "refused": sum(rows for _, rows in counted) if isinstance(reasons, Mapping) else None,
        "refused_fraction": facts.get("refused_fraction"),
        "reasons": [
            {"reason": reason, "rows": rows}
            for reason, rows in sorted(counted, key=lambda entry: (-entry[1], entry[0]))
        ],
    }


def _steps(manifests: Mapping[str, Manifest | None], seconds: float) -> list[Row]:
    """Seconds, rows and rate of every step; of this one, whose report is still being written, only seconds so far."""
    rows = []
    for step in STEPS:
        manifest = manifests.get(step.name)
        facts = _facts(manifest)
        names = ("windows_seen", "windows_per_s") if step.name == "train" else ("rows", "rows_per_s")
        count, rate = (facts.get(name) for name in names)
        took = seconds if step.name == "evaluate" else manifest.seconds if manifest else None
        unit = "windows" if step.name in ("train", "evaluate") else "rows"
        rows.append(
            {"step": step.name, "title": step.title, "seconds": took, "rows": count, "unit": unit, "rate": rate}
        )
    return rows


def _benchmark(config: RunConfig, manifests: Mapping[str, Manifest | None]) -> Row:
    """What a comparison of runs fills in later is null here: one run alone has no speed-up."""
    facts = _facts(manifests.get("train"))
    devices = facts.get("devices") or [None]
    return {
        "workers": facts.get("workers", config.train.workers),
        "replicas": facts.get("replicas"),
        "device": devices[0] and str(devices[0]).split(":")[0],
        "train_windows_per_s": facts.get("windows_per_s"),
        "single_worker_windows_per_s": None,
        "speed_up": None,
        "efficiency": None,
        "cost_usd": None,
        "spark": _spark(_facts(manifests.get("ingest")).get("spark")),
    }


def _spark(told: Any) -> Row | None:
    if not isinstance(told, Mapping):
        return None
    return {name: told.get(name) for name in ("version", "master", "cores", "start_s")}


def _environment(config: RunConfig, manifests: Mapping[str, Manifest | None]) -> Row:
    told: dict[str, Any] = {}
    for manifest in manifests.values():
        versions = _facts(manifest).get("versions")
        if isinstance(versions, Mapping):
            told |= {str(name): str(version) for name, version in versions.items() if name != "python"}
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


def _caveats(config: RunConfig, training: Mapping[str, Any]) -> list[Row]:
    first = ("synthetic", SYNTHETIC) if config.market.source == "synthetic" else ("survivorship", SURVIVORSHIP)
    found = [first, ("no trading result", COSTS)]
    trained, untrained = training.get("validation_loss"), training.get("validation_loss_untrained")
    if training.get("best_epoch") and trained is not None and untrained is not None and trained >= untrained:
        found.append(("no gain in validation", NO_GAIN))
    return [{"name": name, "text": text} for name, text in found]
