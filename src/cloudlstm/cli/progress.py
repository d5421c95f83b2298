"""The progress of a step as short text, for the live board, plain lines and `status`."""

from __future__ import annotations

import math

from cloudlstm.runs.progress import Progress
from cloudlstm.runs.steps import ALL_STEPS
from cloudlstm.text.numbers import amount, seconds

_NAMES = {"validation_loss": "best val", "naive_loss": "", "epochs": "", "phase": "", "skipped": ""}
"""Labels that differ from the name of a fact; a fact with an empty label is not shown."""


def summary(reports: list[Progress]) -> list[Progress]:
    """One report a step, in the order of the steps. Each worker reports the whole step; the one ahead counts."""
    merged = []
    for step in ALL_STEPS:
        parts = [report for report in reports if report.step == step.name]
        if parts:
            ahead = max(parts, key=lambda part: (part.done, part.updated))
            merged.append(
                Progress(
                    step.name,
                    f"{len(parts)} workers" if len(parts) > 1 else parts[0].worker,
                    done=ahead.done,
                    total=max(part.total for part in parts),
                    unit=ahead.unit,
                    started=min(part.started for part in parts),
                    updated=max(part.updated for part in parts),
                    finished=all(part.finished for part in parts),
                    facts=ahead.facts,
                    resumed=max(part.resumed for part in parts),
                    seconds=max((part.seconds for part in parts if part.seconds is not None), default=None),
                )
            )
    return merged


_LEAST_LEFT_S = 1.0


def figures(report: Progress, epochs: int | None = None) -> str:
    """Rate, time left and the figures of the step, in one line."""
    return " · ".join(part for part in (pace(report), facts(report, epochs)) if part)


def pace(report: Progress, age_s: float = 0.0) -> str:
    """Rate and time of a step, or its phase.

    Args:
        report: The last report.
        age_s: Seconds since it arrived; the time left is shorter by this.
    """
    if report.facts.get("skipped"):
        return "unchanged, skipped"
    if report.facts.get("phase"):
        return str(report.facts["phase"])
    parts = [f"{amount(report.rate)} {report.unit}/s"] if report.rate else []
    left = report.seconds_left
    if report.finished:
        parts.append(f"took {seconds(report.took_s)}")
    elif report.total and report.done >= report.total:
        parts.append("finishing")
    elif left is not None:
        parts.append(f"{seconds(max(left - age_s, min(left, _LEAST_LEFT_S)))} left")
    elif not parts:
        parts.append("at work")  # only its start is known
    return " · ".join(parts)


def facts(report: Progress, epochs: int | None = None) -> str:
    """The figures of a step, such as `epoch 3/30 · loss 0.98 · best val 1.01 (naive 1.02)`."""
    whole = report.facts.get("epochs", epochs)
    parts = []
    naive = report.facts.get("naive_loss")
    for name, value in report.facts.items():
        label = _NAMES.get(name, name.replace("_", " "))
        if label and value is not None and not (isinstance(value, float) and not math.isfinite(value)):
            of = f"/{whole}" if name == "epoch" and whole else ""
            against = f" (naive {_figure(naive)})" if name == "validation_loss" and naive is not None else ""
            parts.append(f"{label} {_figure(value)}{of}{against}")
    return " · ".join(parts)


def _figure(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
