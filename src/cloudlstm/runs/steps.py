"""The steps and jobs of a run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """A part of a run; it runs once for the same inputs.

    Attributes:
        name: Its name in manifests, progress and the report.
        job: The job that runs it.
        title: What it does, for users.
    """

    name: str
    job: str
    title: str


STEPS = (
    Step("ingest", "prepare", "bars from the source into shards of whole tickers"),
    Step("clean", "prepare", "reject faulty bars, fill short gaps"),
    Step("features", "prepare", "the features"),
    Step("sequences", "prepare", "TFRecord sequences and their splits"),
    Step("train", "train", "fit the LSTM and forecast"),
    Step("evaluate", "train", "score the forecasts and write the report"),
)
"""The steps that every run has, in the order in which they run."""

EXOGENOUS = Step("exogenous", "prepare", "macro series and headlines, with the time at which each was known")
"""Runs first, and only in a run whose settings name such a source."""

ALL_STEPS = (EXOGENOUS, *STEPS)
"""Every step that a run may have, in the order in which they run."""

JOBS = ("prepare", "train")
