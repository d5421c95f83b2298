"""What a run consists of, as plain values that the launch side and the work side share."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """A part of a run that is done once for its inputs.

    Attributes:
        name: As in manifests, progress and the report.
        job: The job that carries it out.
        title: What it does, for people.
    """

    name: str
    job: str
    title: str


STEPS = (
    Step("ingest", "prepare", "bars from the source into shards of whole tickers"),
    Step("clean", "prepare", "refuse faults, fill short gaps"),
    Step("features", "prepare", "the eight features of record"),
    Step("sequences", "prepare", "TFRecord sequences and their splits"),
    Step("train", "train", "fit the LSTM and forecast"),
    Step("evaluate", "train", "judge the forecasts and write the report"),
)

JOBS = ("prepare", "train")

PARENT_PIPE = "CLOUDLSTM_PARENT_PIPE"
"""Environment variable by which a launcher on the same machine asks a job to end when its standard input does."""

ATTEMPT = "CLOUDLSTM_ATTEMPT"
"""Environment variable: the number of the attempt that a job works for; a later attempt ends it."""

GENERATION = "CLOUDLSTM_GENERATION"
"""Environment variable: which membership of the workers a process belongs to; all restart into the next one."""

RESTARTS = "CLOUDLSTM_RESTARTS"
"""Environment variable: why the workers have started again in this attempt, as a JSON list of sentences."""

CORES = "CLOUDLSTM_CORES"
"""Environment variable: the cores that a worker on a shared machine keeps to, as in "0,2"."""

YAHOO_URL = "CLOUDLSTM_YAHOO_URL"
"""Environment variable: base URL of a server that stands in for every Yahoo host. Read in the driver."""


def worker_environment(addresses: Sequence[str], index: int) -> dict[str, str]:
    """The variables by which TensorFlow in worker `index` knows its peers, given the addresses of all in order."""
    cluster = {"cluster": {"worker": list(addresses)}, "task": {"type": "worker", "index": index}}
    return {"TF_CONFIG": json.dumps(cluster), "TF_CPP_MIN_LOG_LEVEL": "2"}
