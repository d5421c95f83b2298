"""What the manifests of the steps have to say: data, quality, training, environment.

Facts in a manifest are free-form: what a step does not tell is null in the report, never guessed.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from cloudlstm import __version__
from cloudlstm.config import RunConfig, overrides
from cloudlstm.evaluation.scoring import Row
from cloudlstm.market.cleaning.rules import RULES
from cloudlstm.report import machine as here
from cloudlstm.runs.manifest import Manifest

Manifests = Mapping[str, Manifest | None]

UNFETCHED_SHOWN = 20


def facts_of(manifest: Manifest | None) -> Mapping[str, Any]:
    """What a step told, nothing where it has not run."""
    return manifest.facts if manifest else {}


def data(config: RunConfig, manifests: Manifests) -> Row:
    """Where the bars came from and how many there are."""
    ingest = manifests.get("ingest")
    return {
        "source": config.market.source,
        "synthetic": config.market.source == "synthetic",
        "path": config.market.path,
        "calendar": config.market.calendar,
        "first_date": str(config.market.start),
        "last_date": str(config.market.end),
        "rows": facts_of(ingest).get("rows"),
        "tickers": facts_of(manifests.get("clean")).get("tickers"),
        "hash": ingest.digest() if ingest else None,
        "coverage": _coverage(facts_of(ingest).get("coverage")),
    }


def _coverage(told: Any) -> Row | None:
    """What became of the tickers that were asked of a source on the network."""
    if not isinstance(told, Mapping):
        return None
    unfetched = told.get("unfetched") or []
    return {name: told.get(name) for name in ("asked", "fetched", "reused", "empty", "failed", "as_of")} | {
        "unfetched": [
            {name: row.get(name) for name in ("ticker", "status", "cause")} for row in unfetched[:UNFETCHED_SHOWN]
        ]
    }


def splits(config: RunConfig, sequences: Manifest | None) -> list[Row]:
    """The dates and windows of the splits."""
    windows = facts_of(sequences).get("windows", {})
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


def training(train: Manifest | None, history: Sequence[Mapping[str, Any]], naive_loss: float) -> Row:
    """How training went, epoch by epoch."""
    facts = facts_of(train)
    told = ("train_loss", "validation_loss", "learning_rate", "seconds", "windows_per_s")
    return {
        # Epoch 0 is the network before its first step.
        "history": [{"epoch": int(row["epoch"])} | {name: row.get(name) for name in told} for row in history],
        "best_epoch": facts.get("best_epoch"),
        "best_validation_loss": facts.get("validation_loss"),
        "untrained_validation_loss": facts.get("validation_loss_untrained"),
        "naive_validation_loss": naive_loss,
        "steps": facts.get("steps"),
        "parameters": facts.get("parameters"),
        "seconds": facts.get("training_seconds"),
        "restarts": _count(facts.get("restarts")),
    }


def _count(told: Any) -> int | None:
    """A number, or how many there are of what was told one by one."""
    return len(told) if isinstance(told, list | tuple) else int(told) if isinstance(told, int) else None


def quality(clean: Manifest | None) -> Row:
    """What cleaning did, with the meaning of each rule and the tickers that it found worst."""
    facts = facts_of(clean)
    refused, withdrawn = facts.get("refused"), facts.get("withdrawn")
    return {
        "rows": facts.get("rows"),
        "kept": facts.get("kept"),
        "filled": facts.get("filled"),
        "refused": sum(refused.values()) if isinstance(refused, Mapping) else None,
        "refused_fraction": facts.get("refused_fraction"),
        "reasons": _by_reason(refused, "rows"),
        "withdrawn": _by_reason(withdrawn, "labels") if isinstance(withdrawn, Mapping) else None,
        "missing_tickers": list(facts.get("missing_tickers") or []),
        "worst_tickers": [
            {
                "ticker": row["ticker"],
                "rows": row["rows"],
                "refused_fraction": row["refused_fraction"],
                "reasons": _by_reason(row["refused"], "rows"),
            }
            for row in facts.get("worst_tickers") or []
        ],
    }


def _by_reason(counted: Any, unit: str) -> list[Row]:
    """The most frequent reason first."""
    meanings = {rule.reason: rule.meaning for rule in RULES}
    found = counted.items() if isinstance(counted, Mapping) else ()
    return [
        {"reason": reason, unit: count, "meaning": meanings.get(reason)}
        for reason, count in sorted(found, key=lambda entry: (-entry[1], entry[0]))
    ]


def benchmark(config: RunConfig, manifests: Mapping[str, Manifest | None]) -> Row:
    """What a comparison of runs fills in later is null here: one run alone has no speed-up."""
    facts = facts_of(manifests.get("train"))
    devices = facts.get("devices") or [None]
    return {
        "workers": facts.get("workers", config.train.workers or 1),
        "replicas": facts.get("replicas"),
        "device": devices[0] and str(devices[0]).split(":")[0],
        "train_windows_per_s": facts.get("windows_per_s"),
        "single_worker_windows_per_s": None,
        "speed_up": None,
        "efficiency": None,
        "cost_usd": None,
        "spark": _spark(facts_of(manifests.get("ingest")).get("spark")),
    }


def _spark(told: Any) -> Row | None:
    if not isinstance(told, Mapping):
        return None
    return {name: told.get(name) for name in ("version", "master", "cores", "start_s")}


def environment(config: RunConfig, manifests: Manifests) -> Row:
    """Machine, versions, devices, seeds, and how to run it again."""
    told: dict[str, Any] = {}
    for manifest in manifests.values():
        versions = facts_of(manifest).get("versions")
        if isinstance(versions, Mapping):
            told |= {str(name): str(version) for name, version in versions.items() if name != "python"}
    packages = here.versions() | {"cloudlstm": __version__} | told
    devices = facts_of(manifests.get("train")).get("devices")
    return {
        "machine": here.machine(),
        "python": here.python(),
        "packages": dict(sorted(packages.items())),
        "devices": [str(device) for device in devices or []],
        "precision": config.train.precision,
        "seeds": {
            "train": config.train.seed,
            "market": config.market.synthetic.seed if config.market.source == "synthetic" else None,
        },
        "command": overrides.command(config),
    }
