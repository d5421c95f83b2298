"""When each step ran, and what lay between the steps: the start of Spark, of TensorFlow, of the jobs.

Steps keep the clock of the machine that they ran on, so on a cluster a few tenths of a second may be the clocks'.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from cloudlstm.runs.manifest import Manifest
from cloudlstm.runs.steps import STEPS

Row = dict[str, Any]

EVALUATE = "evaluate"

SHORTEST_WAIT_S = 0.3
"""What lies between two steps is told from here on."""

_STARTS = {
    "prepare": ("start of prepare", "the launcher, the job's process and its imports"),
    "train": ("start of training", "the end of the job before, then the workers' processes and TensorFlow's import"),
}


def steps(
    manifests: Mapping[str, Manifest | None], submitted: float, began: float, seconds: float, windows: int | None
) -> list[Row]:
    """Seconds, units and rate of every step; of this one, whose report is still being written, seconds so far.

    Args:
        manifests: Step -> manifest, None where a step has none.
        submitted: When this attempt began, seconds since the epoch; 0.0 where that is not known.
        began: When evaluation began, likewise.
        seconds: What evaluation has taken so far.
        windows: Windows that evaluation looked at.
    """
    rows = []
    for step in STEPS:
        manifest = manifests.get(step.name)
        facts = manifest.facts if manifest else {}
        unit = "windows" if step.job == "train" else "rows"
        names = ("windows_seen", "windows_per_s") if step.name == "train" else ("rows", "rows_per_s")
        count, rate = (facts.get(name) for name in names)
        took, start = (manifest.seconds, manifest.began) if manifest else (None, 0.0)
        if step.name == "train" and count is None and rate and facts.get("training_seconds"):
            count = round(rate * facts["training_seconds"])
        if step.name == EVALUATE:
            took, start, count = seconds, began, windows
            rate = windows / seconds if windows and seconds > 0.0 else None
        rows.append(
            {
                "step": step.name,
                "title": step.title,
                "began": moment(start),
                "seconds": took,
                "rows": count,
                "unit": unit,
                "rate": rate,
                # A second of grace: storage and machines have clocks of their own.
                "reused": bool(start and submitted and start < submitted - 1.0),
            }
        )
    return rows


def spans(manifests: Mapping[str, Manifest | None], submitted: float, began: float, seconds: float) -> Row:
    """The attempt from its submission to now: steps that ran in it, in order, and what lay between them.

    Arguments as those of `steps`. A step of an earlier attempt has no place on this line. Where a manifest
    tells no time nothing can be placed, and there are no spans.
    """
    if any(manifest and not manifest.began for manifest in manifests.values()):
        return {"began": None, "seconds": None, "spans": []}
    ran = []
    for step in STEPS:
        manifest = manifests.get(step.name)
        start, took = (manifest.began, manifest.seconds) if manifest else (0.0, 0.0)
        if step.name == EVALUATE:
            start, took = began, seconds
        if start and start >= submitted - 1.0:
            ran.append((step, start, took))
    if not ran:
        return {"began": None, "seconds": None, "spans": []}
    zero = submitted or ran[0][1] - _spark_start(manifests, ran[0][0].name)
    at, found, jobs = zero, [], set[str]()
    for step, start, took in ran:
        first = step.job not in jobs
        jobs.add(step.job)
        spark = _spark_start(manifests, step.name) if first and step.job == "prepare" else 0.0
        spark = min(spark, max(start - at, 0.0))
        if start - spark - at >= SHORTEST_WAIT_S:
            name, what = _STARTS[step.job] if first else ("between steps", "reading and writing the run folder")
            found.append(_span(name, "start" if first else "wait", what, at - zero, start - spark - at))
        if spark:
            found.append(_span("start of Spark", "start", "the JVM and Spark's context", start - spark - zero, spark))
        found.append(_span(step.name, "step", step.title, start - zero, took))
        at = max(at, start + took)
    return {"began": moment(zero), "seconds": round(at - zero, 3), "spans": found}


def _span(name: str, kind: str, what: str, begin: float, seconds: float) -> Row:
    return {
        "name": name, "kind": kind, "what": what, "begin_s": round(max(begin, 0.0), 3),
        "seconds": round(max(seconds, 0.0), 3),
    }  # fmt: skip


def _spark_start(manifests: Mapping[str, Manifest | None], step: str) -> float:
    manifest = manifests.get(step)
    told = manifest.facts.get("spark") if manifest else None
    return float(told.get("start_s") or 0.0) if isinstance(told, Mapping) else 0.0


def moment(epoch_s: float) -> str | None:
    """Seconds since the epoch as ISO time in UTC; None for 0.0, which stands for not known."""
    return dt.datetime.fromtimestamp(epoch_s, dt.UTC).isoformat(timespec="milliseconds") if epoch_s else None
