"""Times of the steps, and of the gaps between them: the start of Spark, of TensorFlow and of the jobs.

Each step uses the clock of its own machine, so on a cluster times may be off by a few tenths of a second.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from cloudlstm.report.run_models import Span, Step, Timeline
from cloudlstm.runs.manifest import Manifest
from cloudlstm.runs.steps import ALL_STEPS, STEPS

EVALUATE = "evaluate"

SHORTEST_GAP_S = 0.3
"""Shorter gaps between steps are not shown."""

_GRACE_S = 1.0
"""A step may seem to begin this much before its attempt, because clocks differ."""

_STARTS = {
    "prepare": ("start of prepare", "the launcher, the job's process and its imports"),
    "train": ("start of training", "the end of the job before, then the workers' processes and TensorFlow's import"),
}

_ENGINE_STARTS = {
    "spark": ("start of Spark", "the JVM and Spark's context"),
    "local": ("start of workers", "the processes of the data steps and their imports"),
}


_PHASES = {
    "connect": "connect to the other workers",
    "cache": "copy sequences to the cache",
    "compile": "build the network and compile it",
    "train": "fit the LSTM, with the validations",
    "forecast": "forecast the windows of all splits but train",
    "importance": "measure how much the LSTM relies on each feature",
    "write": "write the results",
}
"""What the phases of the step "train" do."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Times of the attempt and of its evaluate step, which has no manifest yet.

    Attributes:
        submitted: Begin of the attempt, seconds since the epoch; 0.0 if unknown.
        began: Begin of the evaluation, likewise.
        seconds: Duration of the evaluation so far.
    """

    submitted: float
    began: float
    seconds: float


def step_rows(manifests: Mapping[str, Manifest | None], timing: Timing, windows: int | None) -> list[Step]:
    """Duration, units and rate of every step.

    Args:
        manifests: Step -> manifest, None for a step without one.
        timing: Times of the attempt and of the evaluation.
        windows: Number of windows that the evaluation read.
    """
    rows = []
    for step in ALL_STEPS:
        manifest = manifests.get(step.name)
        if manifest is None and step not in STEPS:
            continue
        facts = manifest.facts if manifest else {}
        names = ("windows_seen", "windows_per_s") if step.name == "train" else ("rows", "rows_per_s")
        count, rate = (facts.get(name) for name in names)
        seconds, start = (manifest.seconds, manifest.began) if manifest else (None, 0.0)
        if step.name == "train" and count is None and rate and facts.get("training_seconds"):
            count = round(rate * facts["training_seconds"])
        if step.name == EVALUATE:
            seconds, start, count = timing.seconds, timing.began, windows
            rate = windows / seconds if windows and seconds > 0.0 else None
        rows.append(
            Step(
                step=step.name,
                title=step.title,
                began=iso_time(start),
                seconds=seconds,
                rows=count,
                unit="windows" if step.job == "train" else "rows",
                rate=rate,
                reused=bool(start and timing.submitted and start < timing.submitted - _GRACE_S),
            )
        )
    return rows


def timeline(manifests: Mapping[str, Manifest | None], timing: Timing) -> Timeline:
    """The steps of this attempt and the gaps between them, from its submission to now.

    Steps of earlier attempts are left out. There are no spans if a manifest has no start time.

    Args:
        manifests: Step -> manifest, None for a step without one.
        timing: Times of the attempt and of the evaluation.
    """
    if any(manifest and not manifest.began for manifest in manifests.values()):
        return Timeline()
    ran = []
    for step in ALL_STEPS:
        manifest = manifests.get(step.name)
        start, seconds = (manifest.began, manifest.seconds) if manifest else (0.0, 0.0)
        if step.name == EVALUATE:
            start, seconds = timing.began, timing.seconds
        if start and start >= timing.submitted - _GRACE_S:
            ran.append((step, start, seconds))
    if not ran:
        return Timeline()
    zero = timing.submitted or ran[0][1] - _engine_start(manifests, ran[0][0].name)[1]
    at, spans, jobs = zero, [], set[str]()
    for step, start, seconds in ran:
        first_of_job = step.job not in jobs
        jobs.add(step.job)
        engine, engine_s = _engine_start(manifests, step.name) if first_of_job and step.job == "prepare" else ("", 0.0)
        engine_s = min(engine_s, max(start - at, 0.0))
        if start - engine_s - at >= SHORTEST_GAP_S:
            name, what = _STARTS[step.job] if first_of_job else ("between steps", "reading and writing the run folder")
            spans.append(_span(name, "start" if first_of_job else "wait", what, at - zero, start - engine_s - at))
        if engine_s:
            name, what = _ENGINE_STARTS.get(engine, _ENGINE_STARTS["spark"])
            spans.append(_span(name, "start", what, start - engine_s - zero, engine_s))
        for name, what, begin, took in _phases(step.name, step.title, manifests.get(step.name), seconds):
            spans.append(_span(name, "step", what, start + begin - zero, took))
        at = max(at, start + seconds)
    return Timeline(began=iso_time(zero), seconds=round(at - zero, 3), spans=tuple(spans))


def _phases(step: str, title: str, manifest: Manifest | None, seconds: float) -> list[tuple[str, str, float, float]]:
    """The phases of a step as (name, what it does, begin, duration); the whole step if its manifest has no phases."""
    found, at = [], 0.0
    for row in manifest.facts.get("phases", ()) if manifest else ():
        phase, took = str(row["phase"]), float(row["seconds"])
        found.append((step if phase == step else f"{step}: {phase}", _PHASES.get(phase, phase), at, took))
        at += took
    return found or [(step, title, 0.0, seconds)]


def _span(name: str, kind: Literal["step", "start", "wait"], what: str, begin: float, seconds: float) -> Span:
    return Span(
        name=name, kind=kind, what=what, begin_s=round(max(begin, 0.0), 3), seconds=round(max(seconds, 0.0), 3)
    )  # fmt: skip


def _engine_start(manifests: Mapping[str, Manifest | None], step: str) -> tuple[str, float]:
    """The name of the engine of the data steps, and the seconds that it took to start before a step; 0.0 if unknown."""
    manifest = manifests.get(step)
    engine = manifest.facts.get("engine") if manifest else None
    if not isinstance(engine, Mapping):
        return "", 0.0
    return str(engine.get("name")), float(engine.get("start_s") or 0.0)


def iso_time(epoch_s: float) -> str | None:
    """Seconds since the epoch as ISO time in UTC; None for 0.0, which means unknown."""
    return dt.datetime.fromtimestamp(epoch_s, dt.UTC).isoformat(timespec="milliseconds") if epoch_s else None
