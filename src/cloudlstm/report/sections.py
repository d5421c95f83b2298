"""Report sections built from step manifests: data, splits, training, quality, speed and environment.

The facts of a manifest are free-form. A fact that a step does not give is null in the report.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from cloudlstm import __version__
from cloudlstm.config import RunConfig, overrides
from cloudlstm.costs.usage import Usage, cost
from cloudlstm.market.cleaning.rules import RULES
from cloudlstm.report import machine as this_machine
from cloudlstm.report.run_models import (
    UNFETCHED_SHOWN,
    Benchmark,
    Cost,
    Coverage,
    Data,
    DroppedLabels,
    Engine,
    Environment,
    Epoch,
    Members,
    Quality,
    RejectedBars,
    Seeds,
    Split,
    TickerQuality,
    Training,
    UnfetchedTicker,
    UsedMachines,
)
from cloudlstm.runs.manifest import Manifest

Manifests = Mapping[str, Manifest | None]
"""Step -> manifest, None for a step without one."""


def facts_of(manifest: Manifest | None) -> Mapping[str, Any]:
    """The facts of a manifest; empty if there is no manifest."""
    return manifest.facts if manifest else {}


def data_section(config: RunConfig, manifests: Manifests) -> Data:
    """Source, dates and number of the bars. The dates are those of the bars, not those of the settings."""
    ingest = manifests.get("ingest")
    first_date, last_date = _bar_dates(manifests.get("clean"))
    return Data(
        source=config.market.source,
        synthetic=config.market.origin == "synthetic",
        path=config.market.path,
        calendar=config.market.calendar,
        first_date=first_date,
        last_date=last_date,
        rows=facts_of(ingest).get("rows"),
        tickers=facts_of(manifests.get("clean")).get("tickers"),
        hash=ingest.digest() if ingest else None,
        coverage=_coverage(facts_of(ingest).get("coverage")),
    )


def _bar_dates(clean: Manifest | None) -> tuple[str | None, str | None]:
    """First and last date of the bars after cleaning, as ISO dates; None if the manifest has none."""
    shards = [row.extra for row in clean.of_kind("bars")] if clean else []
    first, last = ([str(each[name]) for each in shards if each.get(name)] for name in ("first_date", "last_date"))
    return min(first, default=None), max(last, default=None)


def _coverage(facts: Any) -> Coverage | None:
    if not isinstance(facts, Mapping):
        return None
    unfetched = [UnfetchedTicker.model_validate(row) for row in (facts.get("unfetched") or [])[:UNFETCHED_SHOWN]]
    return Coverage.model_validate({**facts, "unfetched": unfetched})


def split_sections(label_dates: Mapping[str, tuple[str, str]], sequences: Manifest | None) -> list[Split]:
    """Label dates and windows of the splits.

    Args:
        label_dates: Split -> first and last target date of its labels.
        sequences: Manifest of the sequences step.
    """
    windows = facts_of(sequences).get("windows", {})
    names: tuple[Literal["train", "validation", "test"], ...] = ("train", "validation", "test")
    found = []
    for name in names:
        first, last = label_dates.get(name, (None, None))
        found.append(Split(split=name, first_date=first, last_date=last, windows=windows.get(name)))
    return found


def members_section(sequences: Manifest | None) -> Members | None:
    """Membership of the tickers; None without a table of periods.

    Args:
        sequences: Manifest of the sequences step.
    """
    found = facts_of(sequences).get("members")
    return Members.model_validate(found) if found else None


def training_section(train: Manifest | None, history: Sequence[Epoch], naive_loss: float) -> Training:
    """Course and result of training.

    Args:
        train: Manifest of the train step.
        history: Epochs in their order.
        naive_loss: Loss of the naive forecast on the validation split; NaN without validation labels.
    """
    facts = facts_of(train)
    restarts = facts.get("restarts")
    return Training(
        history=tuple(history),
        best_epoch=facts.get("best_epoch"),
        best_validation_loss=facts.get("validation_loss"),
        untrained_validation_loss=facts.get("validation_loss_untrained"),
        naive_validation_loss=naive_loss,
        steps=facts.get("steps"),
        parameters=facts.get("parameters"),
        seconds=_own_facts(facts).get("training_seconds"),
        restarts=len(restarts) if isinstance(restarts, list | tuple) else restarts,
    )


def _own_facts(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    """The facts of the network that stands for the run; those of the step in manifests of older releases."""
    place = facts.get("seed"), facts.get("fold")
    own = (each for each in facts.get("members") or () if not each.get("ablation"))
    return next((each for each in own if (each.get("seed"), each.get("fold")) == place), facts)


def quality_section(clean: Manifest | None) -> Quality:
    """Result of cleaning, with the meaning of each rule and the tickers with the most rejected bars."""
    facts = facts_of(clean)
    rejected, withdrawn = facts.get("refused"), facts.get("withdrawn")
    return Quality(
        rows=facts.get("rows"),
        kept=facts.get("kept"),
        filled=facts.get("filled"),
        refused=sum(rejected.values()) if isinstance(rejected, Mapping) else None,
        refused_fraction=facts.get("refused_fraction"),
        reasons=_rejected(rejected),
        withdrawn=_dropped(withdrawn) if isinstance(withdrawn, Mapping) else None,
        missing_tickers=tuple(facts.get("missing_tickers") or ()),
        worst_tickers=tuple(
            TickerQuality(
                ticker=row["ticker"],
                rows=row["rows"],
                refused_fraction=row["refused_fraction"],
                reasons=_rejected(row["refused"]),
            )
            for row in facts.get("worst_tickers") or ()
        ),
        duplicate_series=tuple(tuple(group) for group in facts.get("same_bars") or ()),
    )


def _rejected(counts: Any) -> tuple[RejectedBars, ...]:
    return tuple(RejectedBars(reason=name, rows=n, meaning=meaning) for name, n, meaning in _by_reason(counts))


def _dropped(counts: Any) -> tuple[DroppedLabels, ...]:
    return tuple(DroppedLabels(reason=name, labels=n, meaning=meaning) for name, n, meaning in _by_reason(counts))


def _by_reason(counts: Any) -> list[tuple[str, int, str | None]]:
    """Reason, count and meaning of the rule, the most frequent reason first."""
    meanings = {rule.reason: rule.meaning for rule in RULES}
    items = counts.items() if isinstance(counts, Mapping) else ()
    ordered = sorted(items, key=lambda item: (-item[1], item[0]))
    return [(reason, count, meanings.get(reason)) for reason, count in ordered]


def benchmark_section(config: RunConfig, manifests: Manifests) -> Benchmark:
    """Workers and speed of training. One run alone has no speed-up."""
    facts = facts_of(manifests.get("train"))
    devices = facts.get("devices") or [None]
    engine = facts_of(manifests.get("ingest")).get("engine")
    return Benchmark(
        workers=facts.get("workers", config.train.workers or 1),
        replicas=facts.get("replicas"),
        device=devices[0] and str(devices[0]).split(":")[0],
        train_windows_per_s=facts.get("windows_per_s"),
        engine=Engine.model_validate(engine) if isinstance(engine, Mapping) else None,
    )


def cost_section(usage: Sequence[Usage]) -> Cost | None:
    """What the run's machines have cost; None if it used none that are paid by the hour."""
    if not usage:
        return None
    rows = [
        UsedMachines(
            attempt=each.attempt,
            job=each.job,
            machine=each.rate.machine,
            machines=each.rate.machines,
            spot=each.rate.spot,
            hours=round(each.hours, 4),
            usd_per_hour=each.rate.usd_per_hour,
            usd=None if each.usd is None else round(each.usd, 4),
        )
        for each in usage
    ]
    named = dict.fromkeys(each.rate.prices for each in usage)
    return Cost(prices="; ".join(named), usd=round(cost(list(usage)), 4), rows=tuple(rows))


def environment_section(config: RunConfig, manifests: Manifests) -> Environment:
    """Machine, versions, devices, seeds, and the command to repeat the run."""
    packages = this_machine.versions() | {"cloudlstm": __version__}
    for manifest in manifests.values():
        versions = facts_of(manifest).get("versions")
        if isinstance(versions, Mapping):
            packages |= {str(name): str(version) for name, version in versions.items() if name != "python"}
    devices = facts_of(manifests.get("train")).get("devices")
    return Environment(
        machine=this_machine.machine(),
        python=platform.python_version(),
        packages=dict(sorted(packages.items())),
        devices=tuple(str(device) for device in devices or ()),
        precision=config.train.precision,
        seeds=Seeds(
            train=config.train.seed,
            market=config.market.synthetic.seed if config.market.source == "synthetic" else None,
        ),
        command=overrides.command(config),
    )
